//! Packages of 200 publishers: no rule about archives turns away what real authors make, and GNU tar unpacks the same.
//!
//! What becomes of them is written down by hand, from what this prints, in `docs/compatibility.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use tarball::{EntryPath, Layout, Limits, UnpackError};

use crate::{Outcome, list, outcome, outcome_of};

const LIST: &str = include_str!("../../../../fixtures/npm-sample.toml");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/fixtures/npm-sample");
/// Packed by other tools than npm: what is on top has another name than `package`.
const OTHER_TOPS: [(&str, &str); 3] =
    [("@types/node", "node v24.19"), ("busboy", "mscdex-busboy-9aadb7a"), ("filelist", "FileList-v1.0.6")];

/// Name and version of each package.
fn sample() -> impl Iterator<Item = (&'static str, &'static str)> {
    let value = |table: &'static str, key| {
        let mut fields = table.lines().filter_map(|line| line.split_once(" = "));
        fields.find(|(name, _)| *name == key).unwrap().1.trim_matches('"')
    };
    LIST.split("[[plugin]]").skip(1).map(move |table| (value(table, "name"), value(table, "version")))
}

/// What GNU tar makes of a tarball, with the modes of an installed file.
fn unpacked_by_tar(tarball: &Path) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .args(["-xpz", "--strip-components=1", "--no-same-owner", "--warning=no-unknown-keyword", "-f"])
        .arg(tarball)
        .arg("-C")
        .arg(folder.path())
        .status();
    assert!(status.unwrap().success(), "tar {}", tarball.display());
    let mut tree = BTreeMap::new();
    list(folder.path(), "", &mut tree);
    for shown in tree.values_mut() {
        *shown = with_installed_mode(shown);
    }
    tree
}

fn with_installed_mode(shown: &str) -> String {
    match shown.rsplit_once(' ') {
        _ if shown.ends_with('/') => "755/".to_owned(),
        Some((content, mode)) if content != "->" => {
            let executable = u32::from_str_radix(mode, 8).unwrap() & 0o111 != 0;
            format!("{content} {}", if executable { "755" } else { "644" })
        }
        _ => shown.to_owned(),
    }
}

/// The manifest is read last, so that a package which only is no plugin has passed every rule about archives.
fn is_no_plugin(outcome: &Outcome) -> bool {
    let role = "expected a string `backstage.role` in `package.json`, found none";
    matches!(&outcome.result, Err(UnpackError::Manifest(error)) if error.to_string() == role)
}

#[test]
#[ignore = "needs what `cargo xtask fixtures --sample` downloads"]
fn packages_of_two_hundred_publishers_are_unpacked_as_gnu_tar_does_it() {
    let (mut plugins, mut others, mut tops) = (0, 0, Vec::new());
    for (name, version) in sample() {
        let tarball =
            Path::new(FOLDER).join(format!("{}-{version}.tgz", name.trim_start_matches('@').replace('/', "-")));
        let bytes = std::fs::read(&tarball).unwrap();
        let mut ours = outcome(&bytes);
        if let Err(UnpackError::Layout { found, .. }) = &ours.result {
            println!("{name} {version}: {}", ours.result.as_ref().unwrap_err());
            let top = found.concat();
            let folder = EntryPath::parse(top.as_bytes(), &Limits::default()).unwrap();
            tops.push((name, top));
            ours = outcome_of(&bytes, &Layout::Folder(folder), &Limits::default());
        }
        match &ours.result {
            Ok(_) => plugins += 1,
            Err(_) if is_no_plugin(&ours) => others += 1,
            Err(error) => panic!("{name} {version}: {error}: {:?}", error.reason()),
        }
        let theirs = unpacked_by_tar(&tarball);
        assert_eq!(ours.tree.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{name}");
        for (path, shown) in &theirs {
            assert_eq!(&ours.tree[path], shown, "{name}: {path}");
        }
    }
    println!("{plugins} plugins, {others} other packages, {} of them with another top folder", tops.len());
    tops.sort();
    assert_eq!(tops, OTHER_TOPS.map(|(name, top)| (name, top.to_owned())));
    assert_eq!(plugins + others, 200);
}
