//! What is packed is what our installer, and others, unpack.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use integrity::{Algorithm, Integrity, OciDigest};
use tarball::{EntryPath, Layout, Limits, PackError, pack};

use super::plot::{Plot, text};
use super::{packed, packing};
use crate::{MANIFEST, list, outcome, outcome_of};

/// One of everything that a plugin may have.
fn everything() -> Plot {
    let long = format!("dist/{}/{}", "long".repeat(30), "name".repeat(30));
    Plot::new()
        .file("dist/index.cjs.js", &text(3_000_000, 1))
        .file("dist/.config-schema.json", b"{}")
        .file(".gitignore", b"*\n")
        .file("empty", b"")
        .file(&format!("{long}/deep.js"), b"deep")
        .file(&format!("dist/{}", "f".repeat(101)), b"f")
        .file("dist/ünï cödé.js", b"x")
        .file("A.txt", b"A")
        .file("a.txt", b"a")
        .folder_at("node_modules/empty")
        .folder_at(&format!("dist/{}/empty", "e".repeat(255)))
        .executable("node_modules/x/cli.js", b"#!/usr/bin/env node\n")
        .symlink("node_modules/.bin/x", "../x/cli.js")
        .symlink("node_modules/y", "x")
        .symlink("node_modules/self", "../node_modules/./x/..")
        .symlink("dangling", "not/there/../yet")
        .symlink("far", &format!("{long}/deep.js"))
        .symlink("ünï", "dist/ünï cödé.js")
}

#[test]
fn our_installer_unpacks_the_tree_that_was_packed() {
    let plot = everything();
    let packed = packed(&plot);
    let tree = plot.tree();
    assert_eq!(packed.entries(), tree.len() as u64 + 1, "and the folder itself");
    let artifact = packed.into_inner();
    let outcome = outcome(&artifact);
    assert_eq!(outcome.reason(), "accepted", "{:?}", outcome.result);
    assert_eq!(outcome.tree, tree);
}

#[test]
fn the_artifact_is_known_by_its_own_bytes() {
    let plot = Plot::new().file("dist/a", &text(100_000, 1));
    let packed = packed(&plot);
    assert_eq!(packed.unpacked_len(), 100_000 + MANIFEST.len() as u64);
    assert_eq!((packed.entries(), packed.is_empty()), (4, false));
    let (integrity, digest, diff_id, len) = (packed.integrity(), packed.digest(), packed.diff_id(), packed.len());
    let artifact = packed.into_inner();
    assert_eq!(len, artifact.len() as u64);
    let sha512 = OciDigest::of(Algorithm::Sha512, &artifact);
    assert_eq!(Integrity::parse(&sha512.to_string()).unwrap_err().hint(), {
        format!("the same digest in SRI form is `{integrity}`")
    });
    assert_eq!(digest, OciDigest::of(Algorithm::Sha256, &artifact));
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&artifact[..]), &mut tar).unwrap();
    assert_eq!(diff_id, OciDigest::of(Algorithm::Sha256, &tar));
    assert!(tar.ends_with(&[0; 1024]) && tar.len() == 4 * 512 + 512 + 100_000_usize.next_multiple_of(512) + 1024);
}

/// Runs a program that must have nothing to complain about.
fn runs(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).env("TZ", "UTC").output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{program} {arguments:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn gnu_tar_and_gzip_unpack_the_tree_that_was_packed() {
    let plot = everything();
    let into = Plot::bare().file("packed.tgz", &packed(&plot).into_inner());
    let theirs = into.path("");
    runs("gzip", &["-t", "packed.tgz"], &theirs);
    let listed = runs("tar", &["--numeric-owner", "-tzvf", "packed.tgz"], &theirs);
    for line in listed.lines() {
        assert!(line.contains(" 0/0 ") && line.contains(" 1985-10-26 08:15 package/"), "{line}");
    }
    assert!(listed.contains("-rwxr-xr-x 0/0"), "{listed}");
    assert!(listed.contains("lrwxrwxrwx 0/0"), "{listed}");
    runs("tar", &["-xpzf", "packed.tgz"], &theirs);
    let mut tree = BTreeMap::new();
    list(&into.path("package"), "", &mut tree);
    assert_eq!(tree, plot.tree());
}

#[test]
fn hard_links_become_files_of_their_own() {
    let plot = Plot::new().file("a", b"twice");
    plot.dir("").hard_link("a", &plot.dir("sub"), "b").unwrap();
    let outcome = outcome(&packed(&plot).into_inner());
    assert_eq!(outcome.tree["a"], outcome.tree["sub/b"]);
    assert_eq!(outcome.result.unwrap().bytes(), 10 + MANIFEST.len() as u64);
}

#[test]
fn several_folders_share_one_archive_and_unpack_apart() {
    let (a, b, c) = (Plot::new().file("a", b"a"), Plot::new().symlink("b", "package.json"), Plot::new());
    let folders = [b.folder("plugins/b"), c.folder("c"), a.folder("plugins/a")];
    let packed = pack(&folders, Vec::new(), &packing()).unwrap();
    assert_eq!(packed.entries(), 3 + 2 + 2 + 1 + 1, "one entry for `plugins`");
    let artifact = packed.into_inner();
    for (folder, plot) in [("plugins/a", &a), ("plugins/b", &b), ("c", &c)] {
        let layout = Layout::Folder(EntryPath::parse(folder.as_bytes(), &Limits::default()).unwrap());
        let outcome = outcome_of(&artifact, &layout, &Limits::default());
        assert_eq!(outcome.reason(), "accepted", "{folder}: {:?}", outcome.result);
        assert_eq!(outcome.tree, plot.tree(), "{folder}");
    }
}

#[test]
fn folders_that_would_mix_are_refused() {
    let plot = Plot::new();
    for (tops, refused) in [
        (&["a", "b", "a-b", "b/c"][..], true),
        (&["a", "a"], true),
        (&["a", "a-b", "a/b"], true),
        (&["a/b/c", "a"], true),
        (&[], true),
        (&["a", "a-b", "ab", "b/a", "b/ab"], false),
    ] {
        let folders: Vec<_> = tops.iter().map(|top| plot.folder(top)).collect();
        let result = pack(&folders, Vec::new(), &packing());
        assert_eq!(result.err().map(|error| error.reason()), refused.then_some("usage"), "{tops:?}");
    }
    for top in ["", ".", "..", "/a", "a/../b", "a\\b", "a\nb"] {
        let error = tarball::Folder::open(plot.dir(""), top, &Limits::default()).unwrap_err();
        assert!(matches!(error, PackError::Top { .. }), "{top}: {error}");
    }
}
