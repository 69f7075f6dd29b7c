//! A commit is killed after each of its steps, or fails at one, and the root is whole all the same.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use integrity::HashingWriter;
use tarball::Limits;
use testkit::{Plugin, Tree};
use transport::{Stop, SystemClock};

use super::*;
use crate::inspect::{Condition, Depth, inspect};
use crate::staging::STAGING;
use crate::{Locking, Root, Staged};

fn removal(known: &Known) -> Removal {
    Removal { dest: known.record.destination().unwrap(), name: Some(known.record.name.clone()) }
}

fn lock(path: &Path) -> LockedRoot {
    let locking = Locking { holder: "a test".to_owned(), timeout: Duration::ZERO };
    Root::open(path).unwrap().lock(&locking, &SystemClock::start(), &Stop::new(), &mut |_| {}).unwrap()
}

fn stage(root: &LockedRoot, number: usize, name: &str, content: &str) -> Staged {
    let tarball = Plugin::backend(name).file("dist/index.cjs.js", content).tarball();
    let mut spool = HashingWriter::new(root.staging.spool().unwrap());
    spool.write_all(&tarball).unwrap();
    let hashed = spool.finish();
    let pinned = hashed.integrity();
    let mut artifact = hashed.verify(&pinned).unwrap();
    let (origin, limits) = (fetch::Origin::default(), Limits::default());
    let layers = std::slice::from_mut(&mut artifact);
    root.staging.stage(number, layers, &origin, config::Dialect::Butler, &limits, &Stop::new()).unwrap()
}

fn put(staged: &Staged, source: &str) -> Put {
    let manifest = staged.manifest();
    let record = PluginRecord {
        name: manifest.name().as_str().to_owned(),
        version: manifest.version().to_owned(),
        dest: manifest.name().destination().to_string(),
        source: source.to_owned(),
        integrity: "sha512-…".to_owned(),
        manifest: None,
        installer: "0.0.0".to_owned(),
        installed: 1,
        synced: false,
        files: staged.files(),
        folders: staged.folders(),
    };
    Put { names: staged.names.clone(), record }
}

/// Two plugins and an app-config, as an earlier run left them.
fn installed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = lock(folder.path());
    let (a, b) = (stage(&root, 0, "a", "old a"), stage(&root, 1, "b", "old b"));
    let changes = Changes {
        put: vec![put(&a, "oci://r.example.com/a:1"), put(&b, "oci://r.example.com/b:1")],
        app_config: Some("# butler-plugin-installer\nold: true\n".to_owned()),
        ..Changes::default()
    };
    root.commit(&Arc::new(changes), &Stop::new()).unwrap();
    root.release(&Stop::new()).unwrap();
    folder
}

/// What a portal sees: everything but our own dot files.
fn visible(path: &Path) -> Vec<String> {
    Tree::of(path).unwrap().lines().iter().filter(|line| !line.contains(".butler-plugins.")).cloned().collect()
}

/// Upgrades `a`, adds `c`, removes `b`, changes the app-config; stops where `steps` says, as a killed run does.
fn upgrade(folder: &Path, steps: impl FnOnce(&LockedRoot, &Arc<Changes>)) {
    let root = lock(folder);
    let (a, c) = (stage(&root, 0, "a", "new a"), stage(&root, 1, "c", "new c"));
    let plugins = &root.state.as_ref().unwrap().plugins;
    let changes = Changes {
        put: vec![put(&a, "oci://r.example.com/a:2"), put(&c, "oci://r.example.com/c:1")],
        remove: plugins.iter().filter(|known| known.record.name == "b").map(removal).collect(),
        app_config: Some("# butler-plugin-installer\nnew: true\n".to_owned()),
        ..Changes::default()
    };
    steps(&root, &Arc::new(changes));
}

/// What the next run finds, after it has put things in order.
fn heal(folder: &Path) -> Vec<String> {
    let root = lock(folder);
    let state = root.state.as_ref().unwrap();
    assert!(state.header.commit.is_none(), "the commit is still open");
    for known in &state.plugins {
        let dest = &known.record.dest;
        assert_eq!(inspect(known, &root.dir, dest, Depth::Content, &Stop::new()).unwrap(), Condition::Intact, "{dest}");
    }
    root.release(&Stop::new()).unwrap();
    assert!(!folder.join(STAGING).exists());
    visible(folder)
}

#[test]
fn a_commit_killed_after_any_step_is_finished_by_the_next_run() {
    type Step = fn(&LockedRoot, &Arc<Changes>);
    let steps: [(&str, Step); 8] = [
        ("prepare", |root, changes| assert!(root.prepare(changes, &Stop::new()).unwrap())),
        ("announce", |root, _| root.announce().unwrap()),
        ("first put", |root, changes| drop(root.put(&changes.put[0]).unwrap())),
        ("second put", |root, changes| drop(root.put(&changes.put[1]).unwrap())),
        ("remove", |root, changes| drop(root.remove(changes.remove[0].dest.as_str()).unwrap())),
        ("app-config", |root, _| drop(root.swap_app_config(true).unwrap())),
        ("settle", |root, changes| root.settle(changes).unwrap()),
        ("release", |root, _| root.dir.remove_tree(STAGING).unwrap()),
    ];
    let old = visible(installed().path());
    let new = {
        let folder = installed();
        upgrade(folder.path(), |root, changes| {
            assert_eq!(root.commit(changes, &Stop::new()).unwrap().removed, ["b-dynamic"]);
        });
        heal(folder.path())
    };
    assert_ne!(old, new);
    for killed_after in 0..steps.len() {
        let folder = installed();
        upgrade(folder.path(), |root, changes| {
            steps[..=killed_after].iter().for_each(|(_, step)| step(root, changes));
        });
        let expected = if killed_after == 0 { &old } else { &new };
        assert_eq!(&heal(folder.path()), expected, "killed after {}", steps[killed_after].0);
        assert_eq!(&heal(folder.path()), expected, "a second run after {}", steps[killed_after].0);
    }
}

#[test]
fn a_kill_between_two_renames_is_finished_by_the_next_run() {
    let folder = installed();
    upgrade(folder.path(), |root, changes| {
        root.prepare(changes, &Stop::new()).unwrap();
        root.announce().unwrap();
        root.dir.rename("a-dynamic", root.staging.dir().unwrap(), "0000.old").unwrap();
    });
    let healed = heal(folder.path());
    assert!(healed.iter().any(|line| line.contains("a-dynamic/package.json")), "{healed:?}");
}

#[test]
fn a_torn_new_copy_gives_way_to_the_old_one() {
    let folder = installed();
    let before = visible(folder.path());
    upgrade(folder.path(), |root, changes| {
        root.prepare(changes, &Stop::new()).unwrap();
        root.announce().unwrap();
        root.dir.rename("a-dynamic", root.staging.dir().unwrap(), "0000.old").unwrap();
        root.staging.dir().unwrap().open_dir("0000").unwrap().remove_file("package.json").unwrap();
    });
    let root = lock(folder.path());
    let after = visible(folder.path());
    drop(root);
    let of_a = |lines: &[String]| lines.iter().filter(|line| line.contains("a-dynamic")).cloned().collect::<Vec<_>>();
    assert_eq!(of_a(&after), of_a(&before));
}

#[test]
fn a_commit_that_fails_at_any_put_is_undone() {
    for failing in [0, 1] {
        let folder = installed();
        let before = Tree::of(folder.path()).unwrap();
        upgrade(folder.path(), |root, changes| {
            root.staging.dir().unwrap().remove_tree(&changes.put[failing].names.folder).unwrap();
            let error = root.commit(changes, &Stop::new()).unwrap_err();
            assert!(error.undone, "{error:?}");
            root.dir.remove_tree(STAGING).unwrap();
        });
        assert_eq!(Tree::of(folder.path()).unwrap(), before, "put {failing}");
    }
}

#[test]
fn a_commit_that_cannot_be_undone_is_carried_through_by_the_next_run() {
    let folder = installed();
    upgrade(folder.path(), |root, changes| {
        let had_state = root.prepare(changes, &Stop::new()).unwrap();
        root.announce().unwrap();
        let mut done = Vec::new();
        root.swap(changes, &mut done).unwrap();
        // Somebody puts a file where `b` was: its folder cannot come back.
        root.dir.create_file("b-dynamic", tarball::FileMode::Plain).unwrap();
        assert!(root.undo(changes, done, had_state).is_err());
        root.dir.remove_file("b-dynamic").unwrap();
    });
    let healed = heal(folder.path());
    assert!(healed.iter().any(|line| line.contains("c-dynamic")), "{healed:?}");
    assert!(!healed.iter().any(|line| line.contains("b-dynamic")), "{healed:?}");
    let app_config = std::fs::read_to_string(folder.path().join(APP_CONFIG)).unwrap();
    assert!(app_config.contains("new: true"), "{app_config}");
}

#[test]
fn a_commit_that_cannot_be_announced_changes_nothing() {
    let folder = installed();
    let before = Tree::of(folder.path()).unwrap();
    upgrade(folder.path(), |root, changes| {
        let had_state = root.prepare(changes, &Stop::new()).unwrap();
        root.announce().unwrap();
        root.undo(changes, Vec::new(), had_state).unwrap();
        root.dir.remove_tree(STAGING).unwrap();
    });
    assert_eq!(Tree::of(folder.path()).unwrap(), before);
}

#[test]
fn an_intent_whose_staging_folder_is_gone_counts_as_a_lost_state() {
    let folder = installed();
    let before = visible(folder.path());
    upgrade(folder.path(), |root, changes| {
        root.prepare(changes, &Stop::new()).unwrap();
        root.announce().unwrap();
        root.dir.remove_tree(STAGING).unwrap();
    });
    let root = lock(folder.path());
    assert!(root.state.is_none());
    assert!(root.remarks.iter().any(|remark| remark.reason == "state_lost"), "{:?}", root.remarks);
    assert_eq!(visible(folder.path()), before, "something was removed that nobody remembers");
}

#[test]
fn what_was_moved_away_for_an_intent_that_is_lost_comes_back() {
    let folder = installed();
    let before = visible(folder.path());
    upgrade(folder.path(), |root, changes| {
        root.prepare(changes, &Stop::new()).unwrap();
        root.announce().unwrap();
        let staging = root.staging.dir().unwrap();
        root.dir.rename("a-dynamic", staging, "0000.old").unwrap();
        staging.remove_file(SETTLED).unwrap();
    });
    drop(lock(folder.path()));
    assert_eq!(visible(folder.path()), before);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "somebody else works with paths")]
fn somebody_elses_folder_is_left_by_a_commit_that_is_carried_through() {
    type Meanwhile = fn(&Path);
    let stranger = |folder: &Path| {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(
            folder.join("package.json"),
            r#"{"name":"other","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#,
        )
        .unwrap();
    };
    // Where `b` was, before and after it was removed; where `a` is to be.
    let rows: [(&str, &str, Meanwhile); 4] = [
        ("b-dynamic", "before", |root| std::fs::remove_dir_all(root.join("b-dynamic")).unwrap()),
        ("b-dynamic", "after", |_| ()),
        ("a-dynamic", "before", |root| std::fs::remove_dir_all(root.join("a-dynamic")).unwrap()),
        ("c-dynamic", "before", |_| ()),
    ];
    for (dest, when, meanwhile) in rows {
        let folder = installed();
        upgrade(folder.path(), |root, changes| {
            root.prepare(changes, &Stop::new()).unwrap();
            root.announce().unwrap();
            if when == "after" {
                root.remove(changes.remove[0].dest.as_str()).unwrap();
            }
        });
        meanwhile(folder.path());
        stranger(&folder.path().join(dest));
        let root = lock(folder.path());
        let manifest = std::fs::read_to_string(folder.path().join(dest).join("package.json")).unwrap();
        assert!(manifest.contains("other"), "{dest} {when}");
        assert!(root.remarks.iter().any(|remark| remark.reason == "folder_not_ours"), "{dest} {when}");
        root.release(&Stop::new()).unwrap();
        assert!(lock(folder.path()).state.unwrap().header.commit.is_none(), "{dest} {when}");
    }
}

#[test]
fn a_folder_with_a_strange_name_is_a_change_and_no_failure() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = installed();
    let root = lock(folder.path());
    let dir = root.dir.open_dir("a-dynamic").unwrap();
    dir.create_dir(std::ffi::OsStr::from_bytes(b"\xff")).unwrap();
    let known = &root.state.as_ref().unwrap().plugins[0];
    let condition = inspect(known, &root.dir, "a-dynamic", Depth::Content, &Stop::new()).unwrap();
    assert!(matches!(condition, Condition::Changed(_)), "{condition:?}");
}

#[test]
fn a_commit_that_changes_nothing_writes_nothing() {
    let folder = installed();
    let written = || std::fs::metadata(folder.path().join(STATE)).unwrap().modified().unwrap();
    let before = written();
    let root = lock(folder.path());
    let changes = Changes {
        keep: root.state.as_ref().unwrap().plugins.clone(),
        app_config: Some("# butler-plugin-installer\nold: true\n".to_owned()),
        ..Changes::default()
    };
    root.commit(&Arc::new(changes), &Stop::new()).unwrap();
    root.release(&Stop::new()).unwrap();
    assert_eq!(written(), before);
}
