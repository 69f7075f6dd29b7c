//! What is told of a root while it stays, changes, or lies.

use std::fs;
use std::io::Write as _;

use integrity::Sha256;
use tarball::FileMode;
use transport::SystemClock;

use super::*;
use crate::state::{ContentRecord, FileRecord, StateWriter};

/// A root with the plugins `a` and `b`, a file each, which holds what [`write`] gave it.
fn root() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for plugin in ["a", "b"] {
        let made = Dir::open(folder.path()).unwrap().create_dir(format!("{plugin}-dynamic")).unwrap();
        made.create_file("index.js", FileMode::Plain).unwrap();
        put(folder.path(), plugin, "one");
    }
    record(folder.path(), "one");
    folder
}

fn put(root: &Path, plugin: &str, code: &str) {
    fs::write(root.join(format!("{plugin}-dynamic/index.js")), code).unwrap();
}

/// Records that both plugins hold this code, the way a commit does: by a rename.
fn record(root: &Path, code: &str) {
    let mut writer = StateWriter::begin(Vec::new(), Header::new("0.0.0", 7, None, None)).unwrap();
    for name in ["a", "b"] {
        let sha256 = Sha256::of_reader(&mut code.as_bytes(), &mut [0; 64]).unwrap();
        let content = ContentRecord::Regular { len: code.len() as u64, sha256, executable: false };
        let mut lines = Vec::new();
        FileRecord { path: "index.js".into(), content }.write(&mut lines).unwrap();
        writer.plugin(plugin(name), &mut lines.as_slice()).unwrap();
    }
    let dir = Dir::open(root).unwrap();
    let mut file = dir.create_file("new", FileMode::Plain).unwrap();
    file.write_all(&writer.end().unwrap()).unwrap();
    dir.rename("new", &dir, STATE).unwrap();
}

fn plugin(name: &str) -> PluginRecord {
    PluginRecord {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        dest: format!("{name}-dynamic"),
        source: format!("oci://r.example.com/{name}:1"),
        integrity: "sha512-…".to_owned(),
        manifest: None,
        installer: "0.0.0".to_owned(),
        installed: u64::MAX,
        synced: false,
        files: 1,
        folders: 0,
    }
}

/// Verifies while something happens whenever a plugin is done; returns what was told, in a word each.
fn verify_while(root: &Path, mut happens: impl FnMut(usize)) -> (Result<Verification, InventoryError>, Vec<String>) {
    let mut words = Vec::new();
    let result = verify(root, &SystemClock::start(), &Stop::new(), &mut |told| {
        words.push(match &told {
            Told::Difference { plugin, path, difference } => {
                format!("{} {}/{}", difference.name(), plugin.name, path.display())
            }
            Told::Plugin { plugin, .. } => plugin.name.clone(),
            Told::Foreign { folder } => format!("foreign {}", folder.display()),
            Told::Waiting => "waiting".to_owned(),
            Told::StartedOver => "started over".to_owned(),
        });
        if let Told::Plugin { .. } = told {
            happens(words.len());
        }
    });
    (result, words)
}

#[test]
fn upgrade_in_the_middle_is_no_difference() {
    let root = root();
    let (result, words) = verify_while(root.path(), |words| {
        if words == 1 {
            record(root.path(), "other");
            put(root.path(), "a", "other");
            put(root.path(), "b", "other");
        }
    });
    assert_eq!(words, ["a", "started over", "a", "b"]);
    assert_eq!(result.unwrap(), Verification { plugins: 2, files: 2, bytes: 10, differences: 0 });
}

#[test]
fn change_without_a_commit_is_a_difference() {
    let root = root();
    let (result, words) = verify_while(root.path(), |_| put(root.path(), "b", "two"));
    assert_eq!(words, ["a", "changed b/index.js", "b"]);
    assert_eq!(result.unwrap(), Verification { plugins: 2, files: 1, bytes: 3, differences: 1 });
}

#[test]
fn commit_that_was_undone_is_noticed() {
    let root = root();
    let (result, words) = verify_while(root.path(), |words| {
        if words == 1 {
            let at = |name| root.path().join(name);
            fs::hard_link(at(STATE), at("before")).unwrap();
            record(root.path(), "other");
            fs::rename(at("before"), at(STATE)).unwrap();
        }
    });
    assert_eq!(words, ["a", "b", "started over", "a", "b"]);
    assert_eq!(result.unwrap().differences, 0);
}

#[test]
fn root_that_changes_all_the_time_is_given_up() {
    let root = root();
    let (result, words) = verify_while(root.path(), |_| record(root.path(), "one"));
    assert!(matches!(result, Err(InventoryError::Changing)), "{result:?}");
    assert_eq!(words.iter().filter(|word| *word == "started over").count(), TRIES as usize);
}

#[test]
fn wish_to_stop_ends_it() {
    let (root, stop) = (root(), Stop::new());
    stop.ask();
    let result = verify(root.path(), &SystemClock::start(), &stop, &mut |_| panic!("nothing is told"));
    assert!(matches!(result, Err(InventoryError::Interrupted)), "{result:?}");
}

#[test]
fn moments_that_no_calendar_knows_do_no_harm() {
    let root = root();
    let inventory = Inventory::read(root.path()).unwrap();
    assert_eq!(inventory.plugins[0].installed, SystemTime::UNIX_EPOCH);
    assert_eq!(inventory.writing.unwrap().at, SystemTime::UNIX_EPOCH + Duration::from_secs(7));
}

#[test]
fn record_leads_nowhere_outside_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let root = root();
    let at = outside.path().file_name().unwrap().to_str().unwrap();
    let up = format!("../{at}");
    for (name, dest) in [
        ("a", ".."),
        ("a", "."),
        ("a", ""),
        ("a", "a-dynamic/index.js"),
        ("a", &up),
        ("a", "lost+found"),
        ("..", "..-dynamic"),
        ("../a", "..-a-dynamic"),
        (&up, &up),
    ] {
        let mut writer = StateWriter::begin(Vec::new(), Header::new("0.0.0", 7, None, None)).unwrap();
        let record = PluginRecord { name: name.to_owned(), dest: dest.to_owned(), files: 0, ..plugin("a") };
        writer.plugin(record, &mut &[][..]).unwrap();
        fs::write(root.path().join(STATE), writer.end().unwrap()).unwrap();
        let (result, words) = verify_while(root.path(), |_| {});
        assert!(matches!(result, Err(InventoryError::StateLost { .. })), "{name} {dest}: {result:?} {words:?}");
    }
}
