//! Plugins of the container itself, and those that git checks out.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::hub::{Hub, manifest, plugin};
use crate::portal::wait_until;

/// A plugin's folder beside the list.
fn folder(hub: &Hub, name: &str) -> PathBuf {
    let path = hub.path(name);
    fs::create_dir_all(path.join("dist")).unwrap();
    fs::write(path.join("package.json"), manifest(name)).unwrap();
    fs::write(path.join("dist/index.cjs.js"), "//").unwrap();
    path
}

#[test]
fn local_folder_is_copied_whole_and_again_only_when_it_has_changed() {
    type Change = fn(&Path);
    let hub = Hub::listing(&["./mine"]);
    let mine = folder(&hub, "mine");
    // What npm would leave out or take the trouble to read.
    fs::write(mine.join(".npmignore"), "dist/\n").unwrap();
    fs::create_dir_all(mine.join("node_modules/dep")).unwrap();
    fs::write(mine.join("node_modules/dep/index.js"), "dep").unwrap();
    symlink("index.cjs.js", mine.join("dist/link")).unwrap();
    hub.install().exits(0).says("\t==> Installed ./mine\n");
    assert_eq!(hub.plugins(), ["mine-1.0.0"]);
    assert_eq!(hub.installed("mine-1.0.0/node_modules/dep/index.js"), "dep");
    assert_eq!(fs::read_link(hub.root().join("mine-1.0.0/dist/link")).unwrap(), Path::new("index.cjs.js"));
    let before = hub.untouched();
    let plugin_files =
        |lines: &[String]| -> Vec<String> { lines.iter().filter(|line| !line.contains(" .butler")).cloned().collect() };
    hub.install().exits(0).says("\t==> ./mine: already installed, skipping\n");
    assert_eq!(plugin_files(&hub.untouched()), plugin_files(&before));

    let changes: [(&str, Change); 5] = [
        ("a file of the same length", |mine| fs::write(mine.join("dist/index.cjs.js"), "/*").unwrap()),
        ("one more file", |mine| fs::write(mine.join("dist/more.js"), "").unwrap()),
        ("one file less", |mine| fs::remove_file(mine.join("dist/more.js")).unwrap()),
        ("another link", |mine| {
            fs::remove_file(mine.join("dist/link")).unwrap();
            symlink("../package.json", mine.join("dist/link")).unwrap();
        }),
        ("another version", |mine| {
            let text = fs::read_to_string(mine.join("package.json")).unwrap();
            fs::write(mine.join("package.json"), text.replace("1.0.0", "1.0.1")).unwrap();
        }),
    ];
    for (row, change) in changes {
        change(&mine);
        let run = hub.install().exits(0);
        assert!(run.stdout.contains("\t==> Installed ./mine\n"), "{row}: {}", run.stdout);
        let run = hub.install().exits(0);
        assert!(run.stdout.contains("already installed"), "{row}: {}", run.stdout);
    }
    assert_eq!(hub.plugins(), ["mine-1.0.1"]);
    assert!(mine.join("package.json").exists());
}

#[test]
fn local_tarball_is_copied_again_when_its_bytes_have_changed() {
    let hub = Hub::listing(&["./mine.tgz"]);
    hub.write("mine.tgz", plugin("@my/mine", "1").tarball());
    hub.install().exits(0).says("\t==> Installed ./mine.tgz\n");
    assert_eq!(hub.installed("my-mine-1.0.0/dist/mark"), "1");
    hub.install().exits(0).says("already installed, skipping");
    hub.write("mine.tgz", plugin("@my/mine", "2").tarball());
    hub.install().exits(0).says("\t==> Installed ./mine.tgz\n");
    assert_eq!(hub.installed("my-mine-1.0.0/dist/mark"), "2");
    let before = hub.untouched();
    hub.write("mine.tgz", "no archive");
    hub.install().exits(1);
    assert_eq!(hub.untouched(), before);
}

#[test]
fn local_path_with_nothing_at_it_is_skipped_and_its_config_is_not() {
    let hub = Hub::listing(&["./dynamic-plugins/dist/gone\npluginConfig: {kept: {a: 1}}", "./mine"]);
    folder(&hub, "mine");
    let said = "\t==> ./dynamic-plugins/dist/gone (not found at /dynamic-plugins/dist/gone)\n";
    hub.install().exits(0).says("\n======= Skipping 1 local plugins (directories not found)\n").says(said);
    assert_eq!(hub.plugins(), ["mine-1.0.0"]);
    assert!(hub.app_config().contains("\"kept\":"), "{}", hub.app_config());
    // A plugin whose folder is gone goes, too.
    fs::remove_dir_all(hub.path("mine")).unwrap();
    let run = hub.install().exits(0).says("Removing obsolete plugin mine-1.0.0");
    assert!(run.stdout.contains("WARNING: there is nothing at `./mine` any more, and `"), "{}", run.stdout);
    assert_eq!(hub.plugins(), [""; 0]);
}

#[test]
fn local_plugin_that_reaches_out_of_its_folder_is_rejected() {
    type Spoil = fn(&Hub, &Path);
    let rows: [(&str, &str, &str, Spoil); 6] = [
        ("a link upwards", "./mine", "/dist/link` (expected a link that stays in the plugin", |_, mine| {
            symlink("../../secret", mine.join("dist/link")).unwrap();
        }),
        ("a link to a path", "./mine", "/dist/link` (expected a relative link, found an absolute one)", |_, mine| {
            symlink("/etc/passwd", mine.join("dist/link")).unwrap();
        }),
        ("no package.json", "./mine", "package.json", |_, mine| fs::remove_file(mine.join("package.json")).unwrap()),
        ("a link in its place", "./mine", "package.json", |_, mine| {
            fs::rename(mine.join("package.json"), mine.join("other.json")).unwrap();
            symlink("other.json", mine.join("package.json")).unwrap();
        }),
        ("a link to somewhere else", "./linked", "leads out of the working folder", |hub, _| {
            symlink("/usr", hub.path("linked")).unwrap();
        }),
        ("a path upwards", "./mine/../../x", "must have no empty, `.` or `..` components", |_, _| ()),
    ];
    for (row, package, said, spoil) in rows {
        let hub = Hub::listing(&[package]);
        let mine = folder(&hub, "mine");
        hub.write("secret", "s3cret");
        spoil(&hub, &mine);
        // With the kernel's help and without.
        let told = [&[][..], &["--without-sandbox"]].map(|flags| {
            let run = hub.install_with(flags).exits(1);
            assert_eq!(hub.plugins(), [""; 0], "{row}");
            run.stdout.lines().filter(|line| line.contains("ERROR: ")).map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(told[0], told[1], "{row}");
        assert!(told[0].iter().any(|line| line.contains(said)), "{row}: {told:?}");
    }
}

/// A repository with a plugin, and whoever serves it.
struct Daemon {
    child: Child,
    port: u16,
    work: tempfile::TempDir,
}

impl Daemon {
    /// Starts git's own server; nothing where this git has none.
    fn start() -> Option<Self> {
        let exec_path = Command::new("git").arg("--exec-path").output().ok()?;
        let daemon = Path::new(str::from_utf8(&exec_path.stdout).ok()?.trim()).join("git-daemon");
        if !daemon.is_file() {
            return None;
        }
        let work = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new(daemon)
            .args(["--listen=127.0.0.1", "--reuseaddr", "--export-all"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", work.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, port, work };
        wait_until("git serves", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        daemon.git(&["init", "--quiet", "--initial-branch=main", "repo"], None);
        daemon.commit("1");
        Some(daemon)
    }

    /// One more commit, and a tag for it.
    fn commit(&mut self, mark: &str) {
        let repo = self.work.path().join("repo");
        fs::create_dir_all(repo.join("dist")).unwrap();
        fs::write(repo.join("package.json"), manifest("repo")).unwrap();
        fs::write(repo.join("dist/mark"), mark).unwrap();
        self.git(&["add", "--all"], Some("repo"));
        self.git(&["commit", "--quiet", "--message", mark], Some("repo"));
        self.git(&["tag", &format!("v{mark}")], Some("repo"));
    }

    fn git(&self, arguments: &[&str], folder: Option<&str>) {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(folder.map_or(self.work.path().to_owned(), |name| self.work.path().join(name)));
        for (name, value) in [("NAME", "made"), ("EMAIL", "made@example.com")] {
            git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        assert!(git.status().unwrap().success(), "{arguments:?}");
    }

    fn spec(&self, reference: &str) -> String {
        format!("git://127.0.0.1:{}/repo{reference}", self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A portal with this process's PATH, on which there is git.
fn with_git(entries: &[&str]) -> Hub {
    let mut hub = Hub::listing(entries);
    hub.set("PATH", std::env::var_os("PATH").unwrap());
    hub.set("SKIP_INTEGRITY_CHECK", "true");
    hub
}

#[test]
fn repository_is_checked_out_by_git_within_the_sandbox() {
    let Some(mut daemon) = Daemon::start() else {
        println!("skipped: this git serves nothing");
        return;
    };
    daemon.commit("2");
    for (reference, mark) in [("", "2"), ("#main", "2"), ("#v1", "1")] {
        let hub = with_git(&[&daemon.spec(reference)]);
        let run = hub.install().exits(0).says("\t==> Installed git://");
        assert!(!run.stdout.contains("sandbox none"), "{}", run.stdout);
        assert_eq!(hub.plugins(), ["repo-1.0.0"], "{reference}");
        assert_eq!(hub.installed("repo-1.0.0/dist/mark"), mark, "{reference}");
        assert!(!hub.root().join("repo-1.0.0/.git").exists());
    }

    // Nobody is asked again, unless somebody is to be.
    let hub = with_git(&[&daemon.spec("")]);
    hub.install().exits(0);
    daemon.commit("3");
    hub.install().exits(0).says("already installed, skipping");
    hub.plugins_are(&[&format!("{}\npullPolicy: Always", daemon.spec(""))]);
    hub.install().exits(0).says("\t==> Installed git://");
    assert_eq!(hub.installed("repo-1.0.0/dist/mark"), "3");

    let hub = with_git(&[&daemon.spec("#none")]);
    hub.install().exits(1).says("git failed to fetch `git://127.0.0.1").says("none");
    assert_eq!(hub.plugins(), [""; 0]);

    // What was installed serves when the server is gone, and the integrity is that of our own archive.
    let hub = with_git(&[&daemon.spec("#v1")]);
    hub.install().exits(0);
    drop(daemon);
    hub.install().exits(0).says("already installed, skipping");
}

#[test]
fn integrity_of_a_repository_is_that_of_what_was_checked_out() {
    let Some(daemon) = Daemon::start() else {
        println!("skipped: this git serves nothing");
        return;
    };
    let wrong = testkit::sri(b"other");
    let mut hub = with_git(&[&format!("'{}'\nintegrity: {wrong}", daemon.spec("#v1"))]);
    hub.set("SKIP_INTEGRITY_CHECK", "");
    let run = hub.install().exits(1).says("integrity check failed — got sha512-");
    let (_, got) = run.stdout.split_once("— got ").unwrap();
    let got = got.split(',').next().unwrap();
    hub.plugins_are(&[&format!("'{}'\nintegrity: {got}", daemon.spec("#v1"))]);
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["repo-1.0.0"]);
}

#[test]
fn without_git_a_repository_is_rejected_with_what_to_do() {
    let mut hub = Hub::listing(&["github:u/r#v1", "./mine"]);
    hub.set("SKIP_INTEGRITY_CHECK", "true");
    folder(&hub, "mine");
    let before = hub.untouched();
    for path in [None, Some("/nothing/here")] {
        if let Some(path) = path {
            hub.set("PATH", path);
        }
        let run = hub.install().exits(1).says("expected `git` on PATH to check out `github:u/r#v1`, found none");
        assert!(run.stdout.contains("help: publish the plugin to a registry"), "{}", run.stdout);
        assert_eq!(hub.untouched(), before);
    }
}

#[test]
fn git_that_waits_is_ended_with_the_run() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    silent.set_nonblocking(true).unwrap();
    let port = silent.local_addr().unwrap().port();
    let hub = with_git(&[&format!("git://127.0.0.1:{port}/repo"), "./mine"]);
    folder(&hub, "mine");
    let before = hub.untouched();
    let mut running = hub.start();
    let mut accepted = None;
    wait_until("git connects", || {
        accepted = silent.accept().ok();
        accepted.is_some()
    });
    let started = Instant::now();
    running.signal("TERM");
    running.end().exits(143);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(hub.untouched(), before);
    // Whoever is still there would hold the other end.
    let (mut connection, _) = accepted.unwrap();
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection.read_to_end(&mut Vec::new()).unwrap();
}
