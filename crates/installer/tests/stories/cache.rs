//! `--cache`: what other roots and later runs need not ask for, and what a folder that anyone may spoil cannot do.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use base64ct::{Base64, Encoding as _};
use testkit::{Image, OCI_LAYER, Plugin, Proxy, Pushed, Registry, Reply, Tarball, Tree, World, sha256_digest, sri};

use crate::portal::{OnReject, Portal, Run, entry, publish, wait_until};

const INSTALLED: [&str; 2] = ["plugin_installed hello:1 hello", "completed"];
const CORRUPT: [&str; 3] = ["warning cache_corrupt", "plugin_installed hello:1 hello", "completed"];
const FAILED: [&str; 3] = ["warning cache_failed", "plugin_installed hello:1 hello", "completed"];

/// A registry, and pods on one node: all list the same, and share a cache.
struct Node {
    registry: Registry,
    entries: Vec<String>,
    cache: tempfile::TempDir,
}

impl Node {
    fn new(names: &[&str]) -> Self {
        let registry = Registry::start();
        let entries = names.iter().map(|name| entry(&publish(&registry, name, "1"))).collect();
        Self { registry, entries, cache: tempfile::tempdir().unwrap() }
    }

    /// A node on which `hello:1` was installed once, and the file in its cache.
    fn after_hello() -> (Self, PathBuf) {
        let node = Self::new(&["hello"]);
        assert_eq!(node.pod().install_cached(&node, &[]).events(), INSTALLED);
        node.registry.recorder().clear();
        let file = node.file();
        (node, file)
    }

    fn pod(&self) -> Portal {
        Portal::listing(OnReject::Abort, &self.entries)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&self.cache).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[track_caller]
    fn file(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    fn requests(&self) -> usize {
        self.registry.recorder().requests().len()
    }
}

impl Portal {
    fn install_cached(&self, node: &Node, flags: &[&str]) -> Run {
        self.install_with(|command| command.arg("--cache").arg(node.cache.path()).args(flags)).exits(0)
    }
}

fn cached(run: &Run) -> usize {
    run.stdout.lines().filter(|line| line.contains("event=plugin_installed") && line.ends_with(" cached=true")).count()
}

#[test]
fn other_roots_get_the_same_plugins_without_asking_anybody() {
    let node = Node::new(&["one", "two", "three"]);
    let first = node.pod();
    let run = first.install_cached(&node, &[]);
    assert_eq!(cached(&run), 0);
    assert!(run.stdout.contains(" manifest=sha256:"), "{}", run.stdout);
    assert_eq!(node.files().len(), 3);

    let Node { registry, entries, cache } = node;
    drop(registry);
    for flags in [&[][..], &["--jobs=1"], &["--without-sandbox"]] {
        let pod = Portal::listing(OnReject::Abort, &entries);
        let run = pod.install_with(|command| command.arg("--cache").arg(cache.path()).args(flags)).exits(0);
        assert_eq!(cached(&run), 3, "{flags:?}");
        assert!(run.stdout.contains("digest_verified=ok") && !run.stdout.contains(" manifest="), "{}", run.stdout);
        let trees = |pod: &Portal| {
            pod.plugins().iter().map(|name| Tree::of(&pod.root().join(name)).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(trees(&pod), trees(&first), "{flags:?}");
        // The variable is the flag; an empty one is none.
        fs::remove_dir_all(pod.root().join("one-dynamic")).unwrap();
        pod.install_with(|command| command.env("BUTLER_PLUGINS_CACHE", "").arg("--tries=1")).exits(1);
        let run = pod.install_with(|command| command.env("BUTLER_PLUGINS_CACHE", cache.path())).exits(0);
        assert_eq!(cached(&run), 1, "{flags:?}");
    }
}

#[test]
fn without_the_flag_nothing_is_kept() {
    let node = Node::new(&["hello"]);
    node.pod().install().exits(0);
    assert_eq!(node.files(), [""; 0].map(PathBuf::from));
}

#[test]
fn bytes_that_are_not_the_pinned_ones_are_fetched_anew_and_replaced() {
    type Spoil = fn(&Path);
    let rows: [(&str, Spoil); 6] = [
        ("one bit", |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[20] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("torn", |file| File::options().write(true).open(file).unwrap().set_len(100).unwrap()),
        ("zeroed", |file| fs::write(file, vec![0; 300]).unwrap()),
        ("empty", |file| fs::write(file, "").unwrap()),
        ("longer", |file| fs::write(file, [fs::read(file).unwrap(), b"more".to_vec()].concat()).unwrap()),
        ("another plugin", |file| fs::write(file, Plugin::backend("other").tarball()).unwrap()),
    ];
    for (name, spoil) in rows {
        let (node, file) = Node::after_hello();
        let good = fs::read(&file).unwrap();
        spoil(&file);
        let pod = node.pod();
        assert_eq!(pod.install_cached(&node, &[]).events(), CORRUPT, "{name}");
        assert!(node.requests() > 0 && fs::read(node.file()).unwrap() == good, "{name}");
        assert_eq!(pod.plugins(), ["hello-dynamic"], "{name}");
        node.registry.recorder().clear();
        assert_eq!((cached(&node.pod().install_cached(&node, &[])), node.requests()), (1, 0), "{name}");
    }
}

#[test]
fn what_stands_in_an_artifacts_place_is_never_followed_or_waited_for() {
    type Place = fn(&Path, &Path);
    let rows: [(&str, Place); 5] = [
        ("link to the artifact", |file, artifact| symlink(artifact, file).unwrap()),
        ("broken link", |file, _| symlink("gone", file).unwrap()),
        ("endless file", |file, _| symlink("/dev/zero", file).unwrap()),
        ("pipe", |file, _| assert!(Command::new("mkfifo").arg(file).status().unwrap().success())),
        ("folder", |file, _| fs::create_dir_all(file.join("deep/er")).unwrap()),
    ];
    for (name, place) in rows {
        let (node, file) = Node::after_hello();
        let pod = node.pod();
        let artifact = pod.path("artifact");
        fs::rename(&file, &artifact).unwrap();
        place(&file, &artifact);
        let run = pod.install_cached(&node, &[]);
        // A folder stays, as nobody knows whose it is, and is in the way of what would be kept.
        let expected = if file.is_dir() { [&CORRUPT[..1], &FAILED].concat() } else { CORRUPT.to_vec() };
        assert_eq!(run.events(), expected, "{name}");
        assert_eq!(node.file(), file, "{name}");
        assert!(artifact.is_file(), "{name}");
    }
}

#[test]
fn file_of_any_length_is_read_up_to_the_limit_of_artifacts() {
    let (node, file) = Node::after_hello();
    File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    let run = node.pod().install_cached(&node, &[]);
    assert_eq!(run.events(), INSTALLED);
    assert_eq!(cached(&run), 0);
    assert!(file.metadata().unwrap().len() < 10_000, "the artifact took its place");
}

#[test]
fn source_that_is_not_allowed_gets_nothing_out_of_the_cache() {
    let (node, _) = Node::after_hello();
    let pod = node.pod();
    let list = fs::read_to_string(pod.path("dynamic-plugins.yaml")).unwrap();
    pod.write("dynamic-plugins.yaml", list.replace("/my-org\"]", "/other-org\"]"));
    let run = pod.install_with(|command| command.arg("--cache").arg(node.cache.path())).exits(1);
    assert_eq!(run.events()[0], "plugin_rejected hello:1 source_not_allowed");

    // Nor does one that is allowed and never had these bytes.
    pod.write("dynamic-plugins.yaml", list.replace("/my-org", "/other-org"));
    let run = pod.install_with(|command| command.arg("--cache").arg(node.cache.path())).exits(1);
    assert_eq!(run.events()[0], "plugin_rejected hello:1 oci_pull_failed");
    assert_eq!(pod.plugins(), [""; 0]);
}

#[test]
fn plugin_of_an_image_is_cached_where_the_list_names_its_folder() {
    let registry = Registry::start();
    let archive = Plugin::backend("one").add_to(Tarball::new().file("index.json", "[]"), "plugins/one");
    let annotation = Base64::encode_string(br#"[{"plugins/one":{"name":"one","version":"1.0.0"}}]"#);
    let image = Image::new(OCI_LAYER, &archive.gzip()).annotation("io.backstage.dynamic-packages", &annotation);
    let unnamed = registry.push_image("my-org/one", "1", &image);
    let named = Pushed { reference: format!("{}!plugins/one", unnamed.reference), ..unnamed.clone() };
    let node = Node { registry, entries: vec![entry(&unnamed)], cache: tempfile::tempdir().unwrap() };
    for _ in 0..2 {
        let run = node.pod().install_cached(&node, &["--log-level=debug"]);
        let run = run.says("step=cache").says("with `!folder` in `package` the artifact is kept");
        assert_eq!((cached(&run), node.files().len()), (0, 0));
    }
    let node = Node { entries: vec![entry(&named)], ..node };
    node.pod().install_cached(&node, &["--log-level=debug"]).says("step=cache").says("detail=stored");
    node.registry.recorder().clear();
    let pod = node.pod();
    assert_eq!((cached(&pod.install_cached(&node, &[])), node.requests()), (1, 0));
    assert_eq!(pod.plugins(), ["one-dynamic"]);

    // Somebody puts the artifact where the folder is not named: that decides nothing.
    let source = sha256_digest(unnamed.reference.as_bytes()).replace("sha256:", "");
    let planted = node.file().with_extension(source);
    fs::rename(node.file(), &planted).unwrap();
    File::open(&planted).unwrap().set_modified(an_hour_ago()).unwrap();
    let node = Node { entries: vec![entry(&unnamed)], ..node };
    let run = node.pod().install_cached(&node, &[]);
    assert_eq!((run.events()[0].as_str(), cached(&run)), ("plugin_installed one:1 one", 0));
    assert!(
        planted.metadata().unwrap().modified().unwrap() > an_hour_ago() + Duration::from_mins(1),
        "it was not seen"
    );
}

#[test]
fn https_tarball_is_cached_as_well() {
    let tarball = Plugin::backend("hello").tarball();
    let package = "https://artifacts.example.com/plugins/hello-1.0.0.tgz";
    let list = format!(
        "allowedSources: [https://artifacts.example.com]\nplugins:\n  - package: {package}\n    integrity: {}\n",
        sri(&tarball)
    );
    let cache = tempfile::tempdir().unwrap();
    let world = World::new();
    let proxy = Proxy::start(&world);
    let server = world.server("artifacts.example.com", move |_| Reply::ok().body(tarball.clone()));
    let install = || {
        let pod = Portal::new();
        pod.write("dynamic-plugins.yaml", &list);
        let authority = pod.write("authority.pem", world.ca().pem());
        let https = |command: &mut Command| {
            command.env("https_proxy", proxy.url()).env("SSL_CERT_FILE", authority).arg("--cache").arg(cache.path());
        };
        cached(
            &pod.install_with(|command| {
                https(command);
                command
            })
            .exits(0),
        )
    };
    assert_eq!(install(), 0);
    drop(server);
    assert_eq!(install(), 1);
}

#[test]
fn pods_that_start_at_once_share_the_cache() {
    let node = Node::new(&["one", "two", "three", "four"]);
    for round in 0..3 {
        let pods = [(); 4].map(|()| node.pod());
        let running = pods.each_ref().map(|pod| pod.start(|command| command.arg("--cache").arg(node.cache.path())));
        for run in running.map(|running| running.end().exits(0)) {
            assert_eq!(run.events().len(), 5, "{run:?}");
            assert!(round == 0 || cached(&run) == 4, "{run:?}");
        }
        for pod in &pods {
            assert_eq!(pod.tree().lines().len(), pods[0].tree().lines().len());
            assert_eq!(pod.plugins(), ["four-dynamic", "one-dynamic", "three-dynamic", "two-dynamic"]);
        }
        assert_eq!(node.files().len(), 4, "{:?}", node.files());
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    noise
}

#[test]
fn cache_stays_within_its_maximum_and_forgets_what_was_not_used() {
    const SIZE: usize = 50_000;
    const MAX: &str = "--cache-max-bytes=160000";
    let registry = Registry::start();
    let entries: Vec<_> = (0..5)
        .map(|n| {
            let name = format!("plugin-{n}");
            let plugin = Plugin::backend(&name).file("dist/index.cjs.js", noise(SIZE)).tarball();
            entry(&registry.push(&format!("my-org/{name}"), "1", &plugin))
        })
        .collect();
    let mut node = Node { registry, entries: Vec::new(), cache: tempfile::tempdir().unwrap() };
    let mut install = |plugins: &[usize]| {
        node.entries = plugins.iter().map(|n| entries[*n].clone()).collect();
        let run = node.pod().install_cached(&node, &[MAX]);
        let total: u64 = node.files().iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(total <= 160_000 && node.files().len() <= 3, "{total}: {:?}", node.files());
        // What was used is told apart by its time; a step of the clock is far longer than that of the file system.
        for file in node.files() {
            let file = File::open(file).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.set_modified(before - Duration::from_mins(1)).unwrap();
        }
        cached(&run)
    };
    assert_eq!([install(&[0]), install(&[1]), install(&[2])], [0, 0, 0]);
    assert_eq!(install(&[0]), 1);
    assert_eq!(install(&[3]), 0, "1 was not used for the longest time");
    assert_eq!([install(&[0]), install(&[2]), install(&[3])], [1, 1, 1]);
    assert_eq!(install(&[1]), 0);
    // Of a list that is larger than the cache, what fits is found again.
    install(&[0, 1, 2, 3, 4]);
    assert_eq!(install(&[0, 1, 2, 3, 4]), 3);
}

#[test]
fn artifact_that_is_larger_than_the_cache_is_not_kept() {
    let node = Node::new(&["hello"]);
    let run = node.pod().install_cached(&node, &["--cache-max-bytes=100", "--log-level=debug"]);
    run.says("not stored: the artifact is larger than the cache may be");
    assert_eq!(node.files().len(), 0);
}

#[test]
fn killed_run_leaves_nothing_that_lasts() {
    let node = Node::new(&["hello"]);
    let pod = node.pod();
    let installer = pod.command();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=renameat,renameat2,rename", "-o", "/dev/null"]);
    strace.args(["-e", "inject=renameat,renameat2,rename:signal=KILL:when=1"]);
    strace.arg(installer.get_program()).args(installer.get_args()).arg("--cache").arg(node.cache.path());
    assert_eq!(pod.run(strace).status, None);
    let left = node.file();
    assert!(left.extension().unwrap() == "part", "{left:?}");

    assert_eq!(pod.install_cached(&node, &[]).events(), INSTALLED);
    assert_eq!(cached(&node.pod().install_cached(&node, &[])), 1);
    assert!(left.exists(), "somebody may be writing it");
    File::options().append(true).open(&left).unwrap().set_modified(an_hour_ago()).unwrap();
    let other = Node { entries: vec![entry(&publish(&node.registry, "other", "1"))], ..node };
    other.pod().install_cached(&other, &[]);
    assert!(!left.exists());
    assert_eq!(other.files().len(), 2);
}

#[test]
fn signal_on_a_slow_cache_ends_the_run_soon() {
    let node = Node::new(&[]);
    let large = Plugin::backend("hello").file("dist/index.cjs.js", noise(12 << 20)).tarball();
    let node = Node { entries: vec![entry(&node.registry.push("my-org/hello", "1", &large))], ..node };
    node.pod().install_cached(&node, &[]);
    let artifact = node.file();
    // Nothing else is written at offsets, but programs are read like that.
    let only = format!("--trace-path={}", artifact.display());
    for (slow, only) in [("pread64", Some(only)), ("pwrite64", None)] {
        if slow == "pwrite64" {
            fs::remove_file(&artifact).unwrap();
        }
        let pod = node.pod();
        let (installer, trace) = (pod.command(), pod.write("trace", ""));
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", &format!("trace={slow}")]).args(&only).arg("-o").arg(&trace);
        strace.args(["-e", &format!("inject={slow}:delay_exit=100000")]);
        strace.arg(installer.get_program()).args(installer.get_args()).arg("--cache").arg(node.cache.path());
        let (run, took) = std::thread::scope(|scope| {
            let running = scope.spawn(|| pod.run(strace));
            wait_until("the cache is slow", || {
                fs::read_to_string(&trace).unwrap().contains(slow) || running.is_finished()
            });
            let traced = fs::read_to_string(&trace).unwrap();
            let thread = traced.split_whitespace().next().unwrap();
            assert!(Command::new("sh").args(["-c", &format!("kill -TERM {thread}")]).status().unwrap().success());
            let told = Instant::now();
            (running.join().unwrap(), told.elapsed())
        });
        assert!(took < Duration::from_secs(5), "{slow}: {took:?}");
        let mut events = run.exits(143).events();
        // What `strace` says of itself is no record.
        events.retain(|event| !event.is_empty());
        assert_eq!(events, ["plugin_rejected hello:1 interrupted", "fatal interrupted"], "{slow}");
        assert_eq!(pod.plugins(), [""; 0], "{slow}");
        assert_eq!(node.files().len(), usize::from(slow == "pread64"), "{slow}: {:?}", node.files());
    }
}

#[test]
fn signal_is_heard_while_the_cache_does_not_answer() {
    let (node, _) = Node::after_hello();
    let pod = node.pod();
    let (installer, trace) = (pod.command(), pod.write("trace", ""));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=openat", "-P"]).arg(node.cache.path()).arg("-o").arg(&trace);
    strace.args(["-e", "inject=openat:delay_enter=6000000"]);
    // The sandbox would open the folder, too.
    strace.arg(installer.get_program()).args(installer.get_args()).arg("--without-sandbox");
    strace.arg("--cache").arg(node.cache.path());
    let run = std::thread::scope(|scope| {
        let running = scope.spawn(|| pod.run(strace));
        let traced = || fs::read_to_string(&trace).unwrap();
        wait_until("the cache is asked", || !traced().is_empty() || running.is_finished());
        let traced = traced();
        let thread = traced.split_whitespace().next().unwrap();
        assert!(Command::new("sh").args(["-c", &format!("kill -TERM {thread}")]).status().unwrap().success());
        running.join().unwrap()
    });
    let mut events = run.exits(143).events();
    events.retain(|event| !event.is_empty());
    let expected = ["warning sandbox_declined", "plugin_rejected hello:1 interrupted", "fatal interrupted"];
    assert_eq!(events, expected);
    let traced = fs::read_to_string(&trace).unwrap();
    assert!(!traced.contains(") = "), "it waited for the answer: {traced}");
}

fn an_hour_ago() -> SystemTime {
    SystemTime::now() - Duration::from_hours(1)
}

/// Runs where something is mounted over the cache; the names in it afterwards stand in `left`.
fn install_mounted(node: &Node, pod: &Portal, mount: &str) -> Option<Run> {
    let installer = pod.command();
    let script = format!(r#"cd "$0" && {mount} && cd "$0" && "$@"; status=$?; ls -A "$0" > left; exit $status"#);
    let script = script.replace("> left", &format!("> {}", pod.path("left").display()));
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount"]);
    if !Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status().is_ok_and(|can| can.success()) {
        println!("skipped: nothing can be mounted here");
        return None;
    }
    unshare.args(["sh", "-c", &script]).arg(node.cache.path()).arg(installer.get_program());
    unshare.args(installer.get_args()).arg("--cache").arg(node.cache.path());
    Some(pod.run(unshare))
}

#[test]
fn cache_that_is_mounted_read_only_is_used_and_not_complained_about() {
    let (node, file) = Node::after_hello();
    let node = Node { entries: vec![node.entries[0].clone(), entry(&publish(&node.registry, "other", "1"))], ..node };
    let read_only = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0""#;
    let Some(run) = install_mounted(&node, &node.pod(), read_only) else { return };
    let run = run.exits(0);
    assert_eq!(run.events(), ["plugin_installed hello:1 hello", "plugin_installed other:1 other", "completed"]);
    assert_eq!(cached(&run), 1);
    assert_eq!(node.file(), file);
}

#[test]
fn full_volume_below_the_cache_costs_a_warning() {
    let node = Node::new(&["hello"]);
    let large = Plugin::backend("hello").file("dist/index.cjs.js", noise(300_000)).tarball();
    let node = Node { entries: vec![entry(&node.registry.push("my-org/hello", "1", &large))], ..node };
    let pod = node.pod();
    let Some(run) = install_mounted(&node, &pod, r#"mount -t tmpfs -o size=128k none "$0""#) else { return };
    assert_eq!(run.exits(0).says("No space left on device").events(), FAILED);
    assert_eq!(fs::read_to_string(pod.path("left")).unwrap(), "");
    assert_eq!(pod.plugins(), ["hello-dynamic"]);
}

#[test]
fn folder_that_is_no_cache_costs_a_warning() {
    type Make = fn(&Path);
    let node = Node::new(&["hello"]);
    let rows: [(&str, Make); 3] =
        [("missing", |_| {}), ("file", |at| fs::write(at, "").unwrap()), ("link", |at| symlink("/tmp", at).unwrap())];
    for (name, make) in rows {
        let pod = node.pod();
        make(&pod.path(name));
        let run = pod.install_with(|command| command.arg("--cache").arg(pod.path(name))).exits(0);
        assert_eq!(run.says(&format!("`/{name}`")).events(), FAILED, "{name}");
    }
}

#[test]
fn cache_is_not_in_the_root() {
    let pod = Portal::listing(OnReject::Abort, &[]);
    fs::create_dir(pod.root().join("below")).unwrap();
    symlink(pod.root(), pod.path("link")).unwrap();
    for folder in ["dynamic-plugins-root", "dynamic-plugins-root/below", "link/below", "dynamic-plugins-root/gone"] {
        let run = pod.install_with(|command| command.arg("--cache").arg(folder)).exits(2);
        let run = run.says("expected the cache outside of the plugin root");
        assert_eq!(run.events(), ["fatal usage"], "{folder}");
    }
    // A folder whose name begins alike is another one, and a root may be in a folder that holds a cache.
    fs::create_dir(pod.path("dynamic-plugins-root-cache")).unwrap();
    for folder in ["dynamic-plugins-root-cache", ".", "dynamic-plugins-root/../dynamic-plugins-root-cache"] {
        pod.install_with(|command| command.arg("--cache").arg(folder)).exits(0);
    }
}

#[test]
fn file_that_was_made_larger_than_the_root_has_room_for_costs_no_plugin() {
    let (node, file) = Node::after_hello();
    File::options().write(true).open(&file).unwrap().set_len(64 * 1024 * 1024).unwrap();
    let pod = node.pod();
    let installer = pod.command();
    let mut shell = Command::new("/bin/sh");
    // Four MiB at most in any file, and an error instead of a signal past that.
    shell.env_clear().args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\""]).arg(installer.get_program());
    shell.args(installer.get_args()).arg("--cache").arg(node.cache.path());
    assert_eq!(pod.run(shell).exits(0).events(), FAILED);
}
