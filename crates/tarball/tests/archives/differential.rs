//! What is accepted is what other readers make of the same bytes: GNU tar, libarchive's bsdtar, and Python's `tarfile`.
//!
//! Compared are paths, types, contents, execute bits and targets. What is rejected is compared with nothing.

mod generated;
mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use tarball::UnpackError;
use testkit::gzip;

use self::generated::Dice;
use self::readers::{Readers, Seen};
use crate::{MANIFEST, list, outcome};

/// Inputs that the fuzzer found worth keeping.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/gzip_tar");
/// Published plugins, which `cargo xtask fixtures` downloads.
const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/fixtures");

#[expect(clippy::disallowed_methods, reason = "a plain tree for another program to pack")]
fn plugin(root: &Path) {
    let at = root.join("package");
    std::fs::create_dir_all(at.join("node_modules/.bin")).unwrap();
    std::fs::create_dir_all(at.join(format!("dist/{}/{}", "long".repeat(30), "name".repeat(30)))).unwrap();
    std::fs::write(at.join("package.json"), MANIFEST).unwrap();
    std::fs::write(at.join("dist/ünï cödé.js"), vec![b'x'; 70_000]).unwrap();
    std::fs::write(at.join(format!("dist/{}/{}/f", "long".repeat(30), "name".repeat(30))), b"deep").unwrap();
    std::fs::write(at.join("node_modules/cli.js"), b"#!/usr/bin/env node").unwrap();
    std::fs::set_permissions(at.join("node_modules/cli.js"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::hard_link(at.join("package.json"), at.join("dist/again.json")).unwrap();
    symlink("../cli.js", at.join("node_modules/.bin/cli")).unwrap();
    symlink(format!("dist/{}/missing", "long".repeat(30)), at.join("far")).unwrap();
}

fn tar(arguments: &[&str], folder: &Path) {
    let status = Command::new("tar").arg("-C").arg(folder).args(arguments).status().unwrap();
    assert!(status.success(), "tar {arguments:?}");
}

#[test]
fn gnu_tar_and_we_unpack_the_same_tree() {
    let temp = tempfile::tempdir().unwrap();
    plugin(temp.path());
    // What has no room in the headers of old formats.
    let long = ["--exclude=long*", "--exclude=far"];
    for (format, without) in
        [("gnu", &[][..]), ("oldgnu", &[]), ("pax", &[]), ("posix", &[]), ("ustar", &long), ("v7", &long)]
    {
        let packed = temp.path().join("packed.tgz");
        let archive = packed.to_str().unwrap();
        let arguments = ["-cz", "--mode=u=rwX,go=rX", "--format", format, "-f", archive];
        tar(&[&arguments, without, &["package"]].concat(), temp.path());

        let theirs = tempfile::tempdir().unwrap();
        tar(&["-xpz", "-f", archive, "--strip-components=1"], theirs.path());
        let mut expected = BTreeMap::new();
        list(theirs.path(), "", &mut expected);

        let ours = outcome(&std::fs::read(&packed).unwrap());
        assert_eq!(ours.reason(), "accepted", "{format}: {:?}", ours.result);
        assert_eq!(ours.tree, expected, "{format}");
        expected.retain(|_, shown| !shown.ends_with('/'));
        assert_eq!(ours.told, expected, "{format}");
    }
}

#[test]
fn all_readers_agree_on_generated_archives_that_are_accepted() {
    agree_on_generated(1, 400);
}

#[test]
#[ignore = "takes minutes"]
fn all_readers_agree_on_many_generated_archives_that_are_accepted() {
    agree_on_generated(3, 5_000);
}

#[test]
fn all_readers_agree_on_what_the_fuzzer_found_and_is_accepted() {
    let Ok(corpus) = std::fs::read_dir(CORPUS) else { return };
    let inputs = corpus.map(|input| {
        let input = input.unwrap();
        (input.file_name().to_string_lossy().into_owned(), archive_of(&std::fs::read(input.path()).unwrap()))
    });
    assert!(agree_on(inputs) > 0, "nothing in the corpus is accepted");
}

#[test]
fn all_readers_agree_on_published_plugins() {
    let Ok(published) = std::fs::read_dir(PUBLISHED) else { return };
    let tarballs =
        published.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "tgz"));
    let inputs: Vec<_> = tarballs.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    assert_eq!(agree_on(inputs.clone()), inputs.len());
}

fn agree_on_generated(seed: u64, count: usize) {
    let mut dice = Dice::new(seed);
    let inputs = (0..count).map(|n| (format!("{seed}/{n}"), generated::archive(&mut dice)));
    let accepted = agree_on(inputs);
    // Were all of them accepted, or none, little would be learned.
    assert!((count / 5..count * 9 / 10).contains(&accepted), "{accepted} of {count} were accepted");
}

/// Compares all that are accepted, and says how many those are.
fn agree_on(inputs: impl IntoIterator<Item = (String, Vec<u8>)>) -> usize {
    let mut readers = Readers::new();
    let mut accepted = BTreeMap::new();
    for (name, artifact) in inputs {
        let ours = outcome(&artifact);
        // A package that only is no plugin was unpacked like one.
        if matches!(&ours.result, Ok(_) | Err(UnpackError::Manifest(_))) {
            let ours: Seen = ours.tree.into_iter().map(|(path, shown)| (path, readers::comparable(&shown))).collect();
            accepted.insert(readers.add(&artifact), (name, ours));
        }
    }
    let mut problems = Vec::new();
    for (reader, theirs) in readers.read() {
        for (number, (name, ours)) in &accepted {
            let theirs = &theirs[*number];
            let paths: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            problems.extend(paths.into_iter().filter_map(|path| {
                let (ours, theirs) = (ours.get(path), theirs.get(path));
                (!reader.agrees(ours, theirs))
                    .then(|| format!("{name}: `{path}` is {ours:?}, {reader:?} has {theirs:?}"))
            }));
        }
    }
    assert!(problems.is_empty(), "{} differences:\n{}", problems.len(), problems.join("\n"));
    accepted.len()
}

/// What an input of the fuzz target stands for: its first byte says whether the rest is gzip, or tar, or tar without
/// checksums.
fn archive_of(input: &[u8]) -> Vec<u8> {
    match input.split_first() {
        Some((mode, tar)) if mode % 3 == 1 => gzip(tar),
        Some((mode, tar)) if mode % 3 == 2 => {
            let mut tar = tar.to_vec();
            generated::mend(&mut tar);
            gzip(&tar)
        }
        Some((_, gzip)) => gzip.to_vec(),
        None => Vec::new(),
    }
}
