//! Whole archives, good and hostile, through the public interface.

#![cfg(test)]

mod accepted;
mod differential;
mod disagreement;
mod layers;
mod limits;
mod mutated;
mod packing;
mod rejected;
mod sample;
mod writer;

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use integrity::{Blame, HashingWriter, Sha256, Verified};
use tarball::{Content, Dir, FileMode, Layout, Limits, Record, UnpackError, Unpacked, Written, unpack};

/// A `package.json` that is good enough.
const MANIFEST: &[u8] = br#"{"name":"@acme/plug","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;

/// What was told and what is on disk after an archive was unpacked.
struct Outcome {
    result: Result<Unpacked, UnpackError>,
    told: BTreeMap<String, String>,
    tree: BTreeMap<String, String>,
}

impl Outcome {
    fn reason(&self) -> &'static str {
        self.result.as_ref().map_or_else(UnpackError::reason, |_| "accepted")
    }
}

/// Unpacks each of these archives, which must be rejected for this reason, and say so to the one who packed it.
fn all_are(reason: &str, rows: impl IntoIterator<Item = (&'static str, Vec<u8>)>) {
    for (name, artifact) in rows {
        let outcome = outcome(&artifact);
        assert_eq!(outcome.reason(), reason, "{name}: {:?}", outcome.result);
        assert_is_told(name, &outcome.result.unwrap_err());
    }
}

/// That an error says where it is, whose move it is, and what to do, on one line.
fn assert_is_told(name: &str, error: &UnpackError) {
    let said = format!("{error} {:?}", error.hint());
    assert!(!said.chars().any(char::is_control), "{name}: {said}");
    assert_eq!(error.blame(), Blame::Publisher, "{name}: {said}");
    assert!(error.hint().is_some(), "{name}: {said}");
    // Nothing in an archive has a name before its first entry, and the bytes around it know of none.
    let nameless = matches!(error, UnpackError::Gzip { .. } | UnpackError::Malformed { from: None, .. });
    assert!(nameless || error.to_string().contains('`') || error.reason() == "archive_layout", "{name}: {said}");
}

fn outcome_of(artifact: &[u8], layout: &Layout, limits: &Limits) -> Outcome {
    let unpacked = |into: &Dir, told: &mut Told| unpack(&mut verified(artifact), layout, into, limits, told);
    let (result, told, tree) = confined(unpacked);
    Outcome { result, told, tree }
}

/// Unpacks beside a file that must not change, in a folder that nothing must leave. Returns what was told, and what is
/// there.
fn confined<T>(act: impl FnOnce(&Dir, &mut Told) -> T) -> (T, BTreeMap<String, String>, BTreeMap<String, String>) {
    let temp = tempfile::tempdir().unwrap();
    let above = Dir::open(temp.path()).unwrap();
    above.create_file("canary", FileMode::Plain).unwrap().write_all(b"alive").unwrap();
    let into = above.create_dir("root").unwrap().create_dir("plugin").unwrap();
    let mut told = Told::default();
    let result = act(&into, &mut told);
    let mut outside = BTreeMap::new();
    list(temp.path(), "", &mut outside);
    let tree: BTreeMap<_, _> = outside
        .iter()
        .filter_map(|(path, content)| Some((path.strip_prefix("root/plugin/")?.to_owned(), content.clone())))
        .collect();
    outside.retain(|path, _| !path.starts_with("root/plugin/"));
    assert_eq!(outside.keys().collect::<Vec<_>>(), ["canary", "root", "root/plugin"], "written outside");
    assert_eq!(outside["canary"], shown_file(b"alive", 0o644), "changed outside");
    (result, told.0, tree)
}

fn outcome(artifact: &[u8]) -> Outcome {
    outcome_of(artifact, &Layout::Package, &Limits::default())
}

fn verified(artifact: &[u8]) -> Verified<Cursor<Vec<u8>>> {
    let mut spool = HashingWriter::new(Cursor::new(Vec::new()));
    spool.write_all(artifact).unwrap();
    let hashed = spool.finish();
    let pinned = hashed.integrity();
    hashed.verify(&pinned).unwrap()
}

#[derive(Default)]
struct Told(BTreeMap<String, String>);

impl Record for Told {
    fn written(&mut self, entry: &Written<'_>) -> io::Result<()> {
        let told = match entry.content {
            Content::Regular { len, sha256, mode } => {
                format!("{len} {sha256} {}", if mode == FileMode::Executable { "755" } else { "644" })
            }
            Content::Symlink { target } => format!("-> {target}"),
        };
        assert!(self.0.insert(entry.path.to_owned(), told).is_none(), "told twice: {}", entry.path);
        Ok(())
    }
}

fn shown_file(bytes: &[u8], mode: u32) -> String {
    let sha256 = Sha256::of_reader(&mut &bytes[..], &mut [0; 64]).unwrap();
    format!("{} {sha256} {mode:o}", bytes.len())
}

/// Every path below `root`; folders are shown by their mode, links by their text.
fn list(root: &Path, below: &str, listed: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        let metadata = entry.metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let shown = if metadata.is_dir() {
            list(root, &format!("{path}/"), listed);
            format!("{mode:o}/")
        } else if metadata.is_symlink() {
            format!("-> {}", std::fs::read_link(entry.path()).unwrap().to_str().unwrap())
        } else {
            shown_file(&std::fs::read(entry.path()).unwrap(), mode)
        };
        listed.insert(path, shown);
    }
}
