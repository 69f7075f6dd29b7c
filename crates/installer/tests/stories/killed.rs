//! Runs that end before they are done, and the run after them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Fault, Plugin, Pushed, Registry, Reply, Request, Tree};

use crate::portal::{OnReject, Portal, copy, entry, publish, text_of, wait_until};

const STAGING: &str = ".butler-plugins.staging";
const STATE: &str = ".butler-plugins.state";
const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";
/// Kubernetes waits longer, but nobody likes to.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn signal_in_a_stalled_download_ends_the_run_soon() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let registry = Registry::start();
        let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
        portal.install().exits(0);
        let before = portal.untouched();
        portal.list(OnReject::Abort, &[entry(&publish(&registry, "hello", "2"))]);
        registry.recorder().clear();
        registry.server().intercept(|request, answer| {
            if request.path.contains("/blobs/") { answer().broken_after(100, Fault::Stall) } else { answer() }
        });
        portal.write("termination-log", "");
        let mut running = portal.start(|command| command);
        wait_until("the download stalls", || is_asked_for_a_blob(&registry));
        let started = Instant::now();
        running.signal(signal);
        let run = running.end().exits(status);
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        assert_eq!(run.events(), ["plugin_rejected hello:2 interrupted", "fatal interrupted"]);
        assert_eq!(portal.untouched(), before);
        assert!(fs::read_to_string(portal.path("termination-log")).unwrap().starts_with("interrupted: "));
    }
}

#[test]
fn killed_download_leaves_nothing_that_the_next_run_minds() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let is_blob = |request: &Request| request.path.contains("/blobs/");
    registry.server().first(1, is_blob, || Reply::ok().body(*b"half").broken_after(2, Fault::Stall));
    let mut running = portal.start(|command| command);
    wait_until("the download stalls", || is_asked_for_a_blob(&registry));
    running.signal("KILL");
    assert_eq!(running.end().status, None);
    assert_eq!(portal.plugins(), [STAGING]);
    let run = portal.install_with(|command| command.arg("--lock-timeout=0")).exits(0);
    assert_eq!(run.events(), ["plugin_installed hello:1 hello", "completed"]);
    assert_eq!(portal.plugins(), ["hello-dynamic"]);
}

#[test]
fn run_killed_anywhere_shows_the_old_plugin_or_the_new_one() {
    let growth = Growth::new();
    for (name, has_come) in moments() {
        let portal = growth.portal();
        let mut running = portal.start(|command| command);
        wait_until(name, || has_come(&portal.root()) || running.has_ended());
        drop(running);
        let seen = visible(&portal);
        assert!([&growth.old_tree, &growth.new_tree].contains(&&seen), "{name}: {seen}");
        portal.install_with(|command| command.arg("--lock-timeout=0")).exits(0);
        assert_eq!(visible(&portal), growth.new_tree, "{name}");
        assert_eq!(portal.plugins(), ["hello-dynamic"], "{name}");
    }
}

#[test]
fn run_told_to_stop_anywhere_either_completes_or_changes_nothing() {
    let growth = Growth::new();
    for (name, has_come) in moments() {
        let portal = growth.portal();
        let before = portal.untouched();
        let mut running = portal.start(|command| command);
        wait_until(name, || has_come(&portal.root()) || running.has_ended());
        let started = Instant::now();
        running.signal("TERM");
        let run = running.end();
        assert!(started.elapsed() < SOON, "{name}: {:?}", started.elapsed());
        match run.status {
            Some(0) => assert_eq!(visible(&portal), growth.new_tree, "{name}"),
            Some(143) => assert_eq!(portal.untouched(), before, "{name}"),
            _ => panic!("{name}: {run:?}"),
        }
        assert_eq!(portal.plugins(), ["hello-dynamic"], "{name}");
    }
}

/// A small plugin, and its next version with many files.
struct Growth {
    old: Pushed,
    new: Pushed,
    old_tree: Tree,
    new_tree: Tree,
    _registry: Registry,
}

impl Growth {
    const FILES: usize = 600;

    fn new() -> Self {
        let registry = Registry::start();
        let old = publish(&registry, "hello", "1");
        let add = |plugin: Plugin, n| plugin.file(&format!("dist/{n}.js"), "//");
        let large = (0..Self::FILES).fold(Plugin::backend("hello"), add);
        let new = registry.push("my-org/hello", "2", &large.tarball());
        let tree = |pushed| {
            let portal = Portal::listing(OnReject::Abort, &[entry(pushed)]);
            portal.install().exits(0);
            visible(&portal)
        };
        Self { old_tree: tree(&old), new_tree: tree(&new), old, new, _registry: registry }
    }

    /// A portal that has the old one and lists the new one.
    fn portal(&self) -> Portal {
        let portal = Portal::listing(OnReject::Abort, &[entry(&self.old)]);
        portal.install().exits(0);
        portal.list(OnReject::Abort, &[entry(&self.new)]);
        portal
    }
}

fn visible(portal: &Portal) -> Tree {
    Tree::of(&portal.root().join("hello-dynamic")).unwrap()
}

type Moment = (&'static str, Box<dyn Fn(&Path) -> bool>);

/// Moments of a run that can be seen on the volume.
fn moments() -> [Moment; 6] {
    let run_folder = |root: &Path| Some(fs::read_dir(root.join(STAGING)).ok()?.next()?.ok()?.path());
    let unpacked = |files: usize| {
        move |root: &Path| {
            let dist = run_folder(root).and_then(|run| fs::read_dir(run.join("0000/dist")).ok());
            dist.is_some_and(|dist| dist.count() > files)
        }
    };
    let state_with = |text: &'static str| move |root: &Path| text_of(root, STATE).contains(text);
    [
        ("staging is there", Box::new(move |root| run_folder(root).is_some())),
        ("unpacking begins", Box::new(unpacked(0))),
        ("half is unpacked", Box::new(unpacked(Growth::FILES / 2))),
        ("all is unpacked", Box::new(unpacked(Growth::FILES))),
        ("the commit is announced", Box::new(state_with("\"run\""))),
        ("the new state is there", Box::new(state_with(":2\""))),
    ]
}

#[test]
fn commit_killed_at_any_step_is_finished_by_the_next_run() {
    let upgrade = Upgrade::new();
    for steps in 0..=STEPS.len() {
        let portal = upgrade.killed_after(steps);
        upgrade.registry.recorder().clear();
        let run = portal.install().exits(0).says("event=completed installed=0 rejected=0 skipped=2 removed=0");
        let resumed = run.stdout.contains("reason=commit_resumed");
        assert_eq!(resumed, steps <= LAST_BEFORE_THE_STATE, "after {steps} steps: {}", run.stdout);
        assert_eq!(upgrade.registry.recorder().requests(), [], "after {steps} steps");
        assert_eq!(without_lock(&portal.root()), without_lock(&upgrade.after), "after {steps} steps");
        let next = portal.install().exits(0);
        assert_eq!(next.events(), ["plugin_skipped a:2 unchanged", "plugin_skipped c:1 unchanged", "completed"]);
    }
}

#[test]
fn exchanged_plugin_is_not_exchanged_again() {
    let upgrade = Upgrade::new();
    let portal = upgrade.killed_after(0);
    let staged = staging(&portal.root()).join("0000");
    let visible = portal.root().join("a-dynamic");
    let aside = portal.path("aside");
    for (from, to) in [(&staged, &aside), (&visible, &staged), (&aside, &visible)] {
        fs::rename(from, to).unwrap();
    }
    upgrade.registry.recorder().clear();
    portal.install().exits(0).says("reason=commit_resumed");
    assert_eq!(upgrade.registry.recorder().requests(), []);
    assert_eq!(without_lock(&portal.root()), without_lock(&upgrade.after));
}

#[test]
fn copy_that_was_torn_in_the_middle_of_a_commit_is_fetched_anew() {
    let upgrade = Upgrade::new();
    for steps in 0..=STEPS.len() {
        let portal = upgrade.killed_after(steps);
        for folder in [staging(&portal.root()).join("0000"), portal.root().join("a-dynamic")] {
            let file = folder.join("dist/index.cjs.js");
            if file.exists() {
                fs::write(file, "").unwrap();
            }
        }
        portal
            .install()
            .exits(0)
            .says("reason=files_changed")
            .says("event=completed installed=1 rejected=0 skipped=1 removed=0");
        assert_eq!(portal.plugins(), ["a-dynamic", "c-dynamic"], "after {steps} steps");
        let code = text_of(&portal.root(), "a-dynamic/dist/index.cjs.js");
        assert_eq!(code, "module.exports = 'a 2';\n", "after {steps} steps");
    }
}

#[test]
fn way_back_after_a_killed_commit_is_an_ordinary_run() {
    let upgrade = Upgrade::new();
    for steps in 0..=STEPS.len() {
        let portal = upgrade.killed_after(steps);
        portal.list(OnReject::Abort, &upgrade.old_list);
        portal.install().exits(0);
        assert_eq!(portal.plugins(), ["a-dynamic", "b-dynamic"], "after {steps} steps");
        for name in [APP_CONFIG, "a-dynamic/dist/index.cjs.js"] {
            assert_eq!(text_of(&portal.root(), name), text_of(&upgrade.before, name), "after {steps} steps");
        }
    }
}

/// The steps of a commit that can be told apart on the volume, where names cannot be exchanged.
const STEPS: [fn(&Path, &Path); 7] = [
    |root, staging| fs::rename(root.join("a-dynamic"), staging.join("0000.old")).unwrap(),
    |root, staging| fs::rename(staging.join("0000"), root.join("a-dynamic")).unwrap(),
    |root, staging| fs::rename(staging.join("0001"), root.join("c-dynamic")).unwrap(),
    |root, staging| fs::rename(root.join("b-dynamic"), staging.join("b-dynamic.removed")).unwrap(),
    |root, staging| fs::rename(staging.join("app-config.yaml"), root.join(APP_CONFIG)).unwrap(),
    |root, staging| fs::rename(staging.join("state.settled"), root.join(STATE)).unwrap(),
    |root, _| fs::remove_dir_all(root.join(STAGING)).unwrap(),
];
/// With at most this many steps done the state still says that a commit is under way.
const LAST_BEFORE_THE_STATE: usize = 5;

/// A run that brings `a` from 1 to 2, adds `c`, removes `b` and changes the app-config: the volume before and after.
struct Upgrade {
    registry: Registry,
    old_list: [String; 2],
    new_list: [String; 2],
    before: PathBuf,
    after: PathBuf,
    _folder: TempDir,
}

impl Upgrade {
    fn new() -> Self {
        let registry = Registry::start();
        let plugin = |name, version| entry(&publish(&registry, name, version));
        let title = |title| format!("    pluginConfig: {{ app: {{ title: {title} }} }}\n");
        let old_list = [plugin("a", "1") + &title("Old"), plugin("b", "1")];
        let new_list = [plugin("a", "2") + &title("New"), plugin("c", "1")];
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        let portal = Portal::listing(OnReject::Abort, &old_list);
        portal.install().exits(0);
        copy(&portal.root(), &before);
        portal.list(OnReject::Abort, &new_list);
        portal.install().exits(0).says("event=completed installed=2 rejected=0 skipped=0 removed=1");
        copy(&portal.root(), &after);
        Self { registry, old_list, new_list, before, after, _folder: folder }
    }

    /// A volume as the run left it that was killed after so many steps.
    fn killed_after(&self, steps: usize) -> Portal {
        let portal = Portal::listing(OnReject::Abort, &self.new_list);
        let (root, staging) = (portal.root(), staging(&portal.root()));
        fs::remove_dir(&root).unwrap();
        copy(&self.before, &root);
        fs::create_dir_all(&staging).unwrap();
        let names =
            [("a-dynamic", "0000"), ("c-dynamic", "0001"), (APP_CONFIG, "app-config.yaml"), (STATE, "state.settled")];
        for (name, staged) in names {
            copy(&self.after.join(name), &staging.join(staged));
        }
        copy(&self.before.join(STATE), &staging.join("state.before"));
        fs::write(root.join(STATE), self.intent()).unwrap();
        STEPS[..steps].iter().for_each(|step| step(&root, &staging));
        portal
    }

    /// What is announced before the first step.
    fn intent(&self) -> String {
        let after = text_of(&self.after, STATE);
        let mut header: Value = serde_json::from_str(after.lines().next().unwrap()).unwrap();
        let put = [(0, "a-dynamic"), (1, "c-dynamic")].map(|(staged, dest)| json!({ "staged": staged, "dest": dest }));
        header["header"]["commit"] = json!({ "run": 1, "put": put, "remove": [{ "dest": "b-dynamic", "name": "b" }] });
        let header = format!("{header}\n");
        let sha256 = testkit::sha256_digest(header.as_bytes());
        let end = json!({ "end": { "plugins": 0, "sha256": sha256.strip_prefix("sha256:") } });
        format!("{header}{end}\n")
    }
}

fn staging(root: &Path) -> PathBuf {
    root.join(STAGING).join("run-1")
}

/// What is in a root, but for the text in the lock file, which differs from run to run.
fn without_lock(root: &Path) -> Vec<String> {
    let tree = Tree::of(root).unwrap();
    tree.lines().iter().filter(|line| !line.contains(" .butler-plugins.lock ")).cloned().collect()
}

fn is_asked_for_a_blob(registry: &Registry) -> bool {
    registry.recorder().requests().iter().any(|request| request.path.contains("/blobs/"))
}
