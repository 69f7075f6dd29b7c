//! What becomes of the volume, run after run.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use testkit::{Plugin, Registry, Tree};

use crate::portal::{OnReject, Portal, entry, publish, text_of, wait_until, wrong_entry};

const STATE: &str = ".butler-plugins.state";

#[test]
fn second_run_asks_nobody_and_touches_nothing() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(0);
    let inode = || fs::metadata(portal.root().join("hello-dynamic")).unwrap().ino();
    let (before, first) = (portal.untouched(), inode());
    registry.recorder().clear();
    let run = portal.install().exits(0);
    assert_eq!(run.events(), ["plugin_skipped hello:1 unchanged", "completed"]);
    assert_eq!(registry.recorder().requests(), []);
    assert_eq!((portal.untouched(), inode()), (before, first));
}

#[test]
fn tampered_plugin_is_fetched_anew() {
    type Tamper = fn(&std::path::Path);
    let rows: [(&str, Tamper); 6] = [
        ("other content", |plugin| fs::write(plugin.join("dist/index.cjs.js"), "steal()").unwrap()),
        ("other mode", |plugin| set_mode(&plugin.join("dist/index.cjs.js"), 0o600)),
        ("a file is missing", |plugin| fs::remove_file(plugin.join("dist/index.cjs.js")).unwrap()),
        ("a file too many", |plugin| fs::write(plugin.join("dist/extra.js"), "").unwrap()),
        ("a symlink for a file", |plugin| {
            fs::rename(plugin.join("dist/index.cjs.js"), plugin.join("dist/moved")).unwrap();
            symlink("moved", plugin.join("dist/index.cjs.js")).unwrap();
        }),
        ("nothing left", |plugin| fs::remove_dir_all(plugin).unwrap()),
    ];
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(0);
    let whole = portal.plugin_tree("hello-dynamic");
    for (name, tamper) in rows {
        tamper(&portal.root().join("hello-dynamic"));
        let run = portal.install().exits(0);
        assert_eq!(run.events(), ["warning files_changed", "plugin_installed hello:1 hello", "completed"], "{name}");
        assert_eq!(portal.plugin_tree("hello-dynamic"), whole, "{name}");
    }
}

#[test]
fn plugin_that_is_listed_or_wanted_no_more_is_removed() {
    let registry = Registry::start();
    let (hello, other) = (entry(&publish(&registry, "hello", "1")), entry(&publish(&registry, "other", "1")));
    let portal = Portal::listing(OnReject::Abort, &[hello.clone(), other.clone()]);
    portal.install().exits(0);
    portal.list(OnReject::Abort, &[hello.clone() + "    disabled: true\n", other.clone()]);
    assert_eq!(
        portal.install().exits(0).events(),
        ["plugin_skipped hello:1 disabled", "plugin_skipped other:1 unchanged", "plugin_removed hello", "completed"]
    );
    assert_eq!(portal.plugins(), ["other-dynamic"]);
    portal.list(OnReject::Abort, &[hello]);
    assert_eq!(
        portal.install().exits(0).events(),
        ["plugin_installed hello:1 hello", "plugin_removed other", "completed"]
    );
    portal.list(OnReject::Abort, &[]);
    portal.install().exits(0).says("event=completed installed=0 rejected=0 skipped=0 removed=1");
    assert_eq!(portal.plugins(), [""; 0]);
}

#[test]
fn what_others_put_on_the_volume_stays() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let foreign = ["mine", "lost+found", ".hidden", "theirs-dynamic"];
    for folder in foreign {
        fs::create_dir(portal.root().join(folder)).unwrap();
        fs::write(portal.root().join(folder).join("package.json"), "{}").unwrap();
    }
    symlink("mine", portal.root().join("link")).unwrap();
    let theirs = |portal: &Portal| -> Vec<String> {
        portal.untouched().into_iter().filter(|line| !line.contains("hello") && !line.contains(STATE)).collect()
    };
    let before = theirs(&portal);
    portal.install().exits(0);
    portal.list(OnReject::Abort, &[]);
    portal.install().exits(0).says("event=warning reason=no_plugin_listed").says("event=plugin_removed name=hello");
    assert_eq!(theirs(&portal), before);
}

#[test]
fn copy_of_a_listed_plugin_that_we_do_not_know_is_adopted() {
    type Forget = fn(&Portal);
    let rows: [(&str, Forget, &[&str]); 3] = [
        ("state deleted", |portal| fs::remove_file(portal.root().join(STATE)).unwrap(), &[]),
        (
            "state torn",
            |portal| {
                let state = text_of(&portal.root(), STATE);
                fs::write(portal.root().join(STATE), &state[..state.len() - 20]).unwrap();
            },
            &["warning state_lost"],
        ),
        (
            "made by another installer",
            |portal| {
                for name in [STATE, "hello-dynamic/dist/index.cjs.js"] {
                    fs::remove_file(portal.root().join(name)).unwrap();
                }
                fs::write(portal.root().join("hello-dynamic/dynamic-plugin-config.hash"), "x").unwrap();
            },
            &[],
        ),
    ];
    let registry = Registry::start();
    for (name, forget, remarks) in rows {
        let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
        portal.install().exits(0);
        let whole = portal.plugin_tree("hello-dynamic");
        forget(&portal);
        let run = portal.install().exits(0).says("adopted=true");
        assert_eq!(run.events(), [remarks, &["plugin_installed hello:1 hello", "completed"]].concat(), "{name}");
        assert_eq!(portal.plugin_tree("hello-dynamic"), whole, "{name}");
        assert_eq!(portal.install().exits(0).events(), ["plugin_skipped hello:1 unchanged", "completed"], "{name}");
    }
}

#[test]
fn what_is_no_copy_of_the_plugin_is_not_replaced() {
    type Occupy = fn(&std::path::Path);
    let rows: [(&str, Occupy); 5] = [
        ("it is a symlink", |dest| symlink(dest.parent().unwrap().join("elsewhere"), dest).unwrap()),
        ("it is a symlink", |dest| symlink("gone", dest).unwrap()),
        ("it is a file", |dest| fs::write(dest, "").unwrap()),
        ("it is a folder that is no copy", |dest| fs::create_dir(dest).unwrap()),
        ("it is a folder that is no copy", |dest| {
            fs::create_dir(dest).unwrap();
            fs::write(dest.join("package.json"), r#"{"name":"other","version":"1.0.0"}"#).unwrap();
        }),
    ];
    let registry = Registry::start();
    for (detail, occupy) in rows {
        let portal = Portal::listing(OnReject::Continue, &[entry(&publish(&registry, "hello", "1"))]);
        fs::create_dir(portal.root().join("elsewhere")).unwrap();
        occupy(&portal.root().join("hello-dynamic"));
        let before = portal.untouched();
        let run = portal.install().exits(0).says("reason=destination_conflict").says(detail);
        assert_eq!(run.events(), ["completed", "plugin_rejected hello:1 destination_conflict"]);
        assert_eq!(portal.untouched(), before, "{detail}");
    }
}

#[test]
fn nothing_under_a_name_of_ours_leads_out_of_the_root() {
    let registry = Registry::start();
    let hello = entry(&publish(&registry, "hello", "1")) + "    pluginConfig: { app: { title: Hello } }\n";
    for name in [".butler-plugins.lock", STATE, ".butler-plugins.staging", "app-config.dynamic-plugins.yaml"] {
        for kind in ["folder", "outside/file", "outside", "outside/new", "fifo"] {
            let portal = Portal::listing(OnReject::Abort, std::slice::from_ref(&hello));
            let outside = portal.path("outside");
            fs::create_dir(&outside).unwrap();
            portal.write("outside/file", "precious");
            let before = Tree::with_owners_and_times(&outside).unwrap();
            let at = portal.root().join(name);
            match kind {
                "folder" => fs::create_dir(&at).unwrap(),
                "fifo" => assert!(Command::new("mkfifo").arg(&at).status().unwrap().success()),
                target => symlink(portal.path(target), &at).unwrap(),
            }
            let run = portal.install_with(|command| command.arg("--lock-timeout=0"));
            let is_installed = portal.root().join("hello-dynamic").exists();
            match run.status {
                Some(0) => assert!(is_installed, "{name} {kind}"),
                Some(1 | 3) => assert!(!is_installed, "{name} {kind}"),
                _ => panic!("{name} {kind}: {run:?}"),
            }
            assert_eq!(Tree::with_owners_and_times(&outside).unwrap(), before, "{name} {kind}");
        }
    }
}

#[test]
fn plugin_that_is_listed_twice_is_installed_once() {
    let registry = Registry::start();
    let hello = entry(&publish(&registry, "hello", "1"));
    let portal = Portal::listing(OnReject::Continue, &[hello.clone(), hello]);
    let run = portal.install().exits(0);
    assert_eq!(
        run.events(),
        ["plugin_installed hello:1 hello", "completed", "plugin_rejected hello:1 duplicate_plugin"]
    );
}

#[test]
fn two_plugins_for_one_destination_do_not_replace_each_other() {
    let registry = Registry::start();
    let (first, second) = (publish(&registry, "hello", "1"), publish(&registry, "hello-dynamic", "1"));
    let portal = Portal::listing(OnReject::Continue, &[entry(&first), entry(&second)]);
    let run = portal.install().exits(0).says("reason=destination_conflict").says(&first.reference);
    assert_eq!(
        run.events(),
        ["plugin_installed hello:1 hello", "completed", "plugin_rejected hello-dynamic:1 destination_conflict"]
    );
    assert!(text_of(&portal.root(), "hello-dynamic/package.json").contains(r#""name": "hello""#));
}

#[test]
fn other_version_takes_the_place_of_the_one_before() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(0);
    portal.list(OnReject::Abort, &[entry(&publish(&registry, "hello", "2"))]);
    assert_eq!(portal.install().exits(0).events(), ["plugin_installed hello:2 hello", "completed"]);
    let code = || text_of(&portal.root(), "hello-dynamic/dist/index.cjs.js");
    assert_eq!(code(), "module.exports = 'hello 2';\n");

    // The same tag, published anew, and pinned anew.
    let anew = Plugin::backend("hello").file("dist/new.js", "").tarball();
    portal.list(OnReject::Abort, &[entry(&registry.push("my-org/hello", "2", &anew))]);
    assert_eq!(portal.install().exits(0).events(), ["plugin_installed hello:2 hello", "completed"]);
    assert_eq!(code(), "exports.default = { $$type: '@backstage/BackendFeature' };\n");
    assert!(!portal.root().join(".butler-plugins.staging").exists());
}

#[test]
fn one_rejected_plugin_leaves_the_volume_as_it_was() {
    let registry = Registry::start();
    let version = |version| ["one", "two", "three"].map(|name| publish(&registry, name, version));
    let first = version("1");
    let portal = Portal::listing(OnReject::Abort, &first.each_ref().map(entry));
    portal.install().exits(0);
    let before = portal.untouched();
    let [one, two, three] = version("2");
    portal.list(OnReject::Abort, &[entry(&one), wrong_entry(&two), entry(&three)]);
    let run = portal.install().exits(1);
    assert_eq!(
        run.events(),
        [
            "plugin_skipped one:2 aborted",
            "plugin_skipped three:2 aborted",
            "plugin_rejected two:2 integrity_mismatch",
            "fatal continueOnError_false",
        ]
    );
    assert_eq!(portal.untouched(), before);
    portal.list(OnReject::Abort, &first.each_ref().map(entry));
    portal.install().exits(0).says("event=completed installed=0 rejected=0 skipped=3");
}

#[test]
fn fail_open_run_goes_on_without_the_rejected_plugin_and_its_older_copy() {
    let registry = Registry::start();
    let version = |version| ["one", "two", "three"].map(|name| publish(&registry, name, version));
    let portal = Portal::listing(OnReject::Continue, &version("1").each_ref().map(entry));
    portal.install().exits(0);
    assert_eq!(portal.plugins(), ["one-dynamic", "three-dynamic", "two-dynamic"]);
    let [one, two, three] = version("2");
    portal.list(OnReject::Continue, &[entry(&one), wrong_entry(&two), entry(&three)]);
    let run = portal.install().exits(0).says("event=completed installed=2 rejected=1 skipped=0 removed=1");
    assert_eq!(
        run.events(),
        [
            "plugin_installed one:2 one",
            "plugin_installed three:2 three",
            "plugin_removed two",
            "completed",
            "plugin_rejected two:2 integrity_mismatch",
        ]
    );
    assert_eq!(portal.plugins(), ["one-dynamic", "three-dynamic"]);
}

#[test]
fn outcomes_are_told_in_the_order_of_the_file() {
    let names = ["f", "e", "d", "c", "b", "a"];
    for jobs in ["1", "4"] {
        let registry = Registry::start();
        let pushed = names.map(|name| publish(&registry, name, "1"));
        let mut entries = pushed.each_ref().map(entry);
        entries[1] = wrong_entry(&pushed[1]);
        entries[3] += "    disabled: true\n";
        if jobs == "4" {
            // The first plugin comes last.
            let recorder = registry.recorder().clone();
            registry.server().intercept(move |request, answer| {
                if request.path.contains("/f/blobs/") {
                    let asked = || recorder.requests().iter().any(|request| request.path.contains("/a/blobs/"));
                    wait_until("the last plugin is fetched", asked);
                }
                answer()
            });
        }
        let portal = Portal::listing(OnReject::Continue, &entries);
        // One pipe for both streams keeps their order.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = portal.command();
        command.arg("--jobs").arg(jobs).stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        assert!(child.wait().unwrap().success());
        let told: Vec<_> = log
            .lines()
            .filter_map(|line| Some(line.split_once(" package=")?.1.split_once("/my-org/")?.1.split_once(":1")?.0))
            .collect();
        assert_eq!(told, names, "{log}");
        assert!(log.lines().last().unwrap().contains("event=completed installed=4 rejected=1 skipped=1"), "{log}");
    }
}

#[test]
fn root_that_cannot_be_used_is_told_before_anything_is_asked() {
    type Spoil = fn(&std::path::Path);
    let rows: [(&str, Spoil); 3] = [
        ("to exist, found nothing there", |root| fs::remove_dir(root).unwrap()),
        ("to be a directory", |root| {
            fs::remove_dir(root).unwrap();
            fs::write(root, "").unwrap();
        }),
        ("to be a directory", |root| {
            fs::rename(root, root.with_extension("moved")).unwrap();
            symlink("dynamic-plugins-root.moved", root).unwrap();
        }),
    ];
    let registry = Registry::start();
    for (detail, spoil) in rows {
        let portal = Portal::listing(OnReject::Continue, &[entry(&publish(&registry, "hello", "1"))]);
        spoil(&portal.root());
        let run = portal.install().exits(3).says(detail);
        assert_eq!(run.events(), ["plugin_skipped hello:1 aborted", "fatal root_unwritable"]);
        assert!(run.stderr.contains(" hint="), "{}", run.stderr);
    }
    assert_eq!(registry.recorder().requests(), []);
}

#[test]
fn root_of_the_whole_system_is_none_for_plugins() {
    let portal = Portal::listing(OnReject::Continue, &[]);
    for root in ["/", "//", "/usr/..", "/proc/self/root"] {
        let mut command = Command::new(portal.command().get_program());
        command.arg("--config").arg(portal.path("dynamic-plugins.yaml")).args(["--root", root]).env_clear();
        let run = portal.run(command).exits(3);
        assert_eq!(run.events().last().unwrap(), "fatal root_unwritable", "{root}");
        assert!(!Path::new("/.butler-plugins.lock").exists(), "{root}");
    }
}

#[test]
fn leftovers_of_killed_runs_are_cleared() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let deep = portal.root().join(".butler-plugins.staging/run-1/0000/dist");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("half"), "").unwrap();
    set_mode(&deep, 0o000);
    portal.install().exits(0);
    assert!(!portal.root().join(".butler-plugins.staging").exists());
}

#[test]
fn leftovers_that_cannot_be_cleared_stop_nobody() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let staging = portal.root().join(".butler-plugins.staging");
    let (mounted, other) = (staging.join("run-1/0000/config"), staging.join("run-2/0000"));
    fs::create_dir_all(&mounted).unwrap();
    fs::create_dir_all(&other).unwrap();
    let mount = |program: &str, arguments: &[&str]| Command::new(program).args(arguments).arg(&mounted).status();
    if !mount("mount", &["-t", "tmpfs", "none"]).is_ok_and(|status| status.success()) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    fs::write(mounted.join("precious"), "").unwrap();
    let runs = [(); 2].map(|()| portal.install());
    let (kept, cleared) = (mounted.join("precious").exists(), !other.exists());
    assert!(mount("umount", &[]).unwrap().success());
    let [first, second] = runs.map(|run| run.exits(0).events());
    assert_eq!(first, ["warning staging_left", "plugin_installed hello:1 hello", "completed"]);
    assert_eq!(second, ["warning staging_left", "plugin_skipped hello:1 unchanged", "completed"]);
    assert!(kept && cleared, "what was mounted is kept: {kept}, the rest is cleared: {cleared}");
    portal.install().exits(0);
    assert!(!staging.exists());
}

#[test]
fn everyone_can_read_what_is_installed_whatever_the_umask() {
    let registry = Registry::start();
    let plugin = Plugin::backend("hello").archive().executable("package/bin/run", "").gzip();
    let hello = entry(&registry.push("my-org/hello", "1", &plugin)) + "    pluginConfig: { app: { title: Hello } }\n";
    let portal = Portal::listing(OnReject::Abort, &[hello]);
    let installer = portal.command();
    let mut shell = Command::new("/bin/sh");
    shell
        .env_clear()
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(installer.get_program())
        .args(installer.get_args());
    portal.run(shell).exits(0);
    let tree = portal.tree().to_string();
    for line in [
        "0644 file app-config.dynamic-plugins.yaml ",
        "0755 dir hello-dynamic\n",
        "0755 dir hello-dynamic/dist\n",
        "0644 file hello-dynamic/package.json ",
        "0644 file hello-dynamic/dist/index.cjs.js ",
        "0755 file hello-dynamic/bin/run ",
    ] {
        assert!(tree.contains(line), "no `{line}` in\n{tree}");
    }
}

impl Portal {
    /// One plugin's folder.
    fn plugin_tree(&self, dest: &str) -> Tree {
        Tree::of(&self.root().join(dest)).unwrap()
    }
}

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}
