//! The same tree gives the same bytes.

use std::num::NonZeroUsize;

use tarball::{Packing, pack};

use super::plot::{Plot, text};
use super::{packed, packed_with, packing};

/// Long names, an executable, links, an empty folder, and content of several blocks.
fn sample() -> Plot {
    Plot::new()
        .file("dist/a.js", &text(1_500_000, 1))
        .file("dist/b.js", &text(900_000, 2))
        .file(&format!("dist/{}/{}.js", "d".repeat(150), "f".repeat(90)), b"prefix")
        .file(&format!("dist/{}.js", "n".repeat(140)), b"pax")
        .file("ünï.js", b"pax")
        .executable("node_modules/x/cli.js", b"#!/usr/bin/env node\n")
        .symlink("node_modules/.bin/x", "../x/cli.js")
        .folder_at("empty")
}

/// The same, made from the end.
fn sample_backwards() -> Plot {
    Plot::bare()
        .folder_at("empty")
        .symlink("node_modules/.bin/x", "../x/cli.js")
        .executable("node_modules/x/cli.js", b"#!/usr/bin/env node\n")
        .file("ünï.js", b"pax")
        .file(&format!("dist/{}.js", "n".repeat(140)), b"pax")
        .file(&format!("dist/{}/{}.js", "d".repeat(150), "f".repeat(90)), b"prefix")
        .file("dist/b.js", &text(900_000, 2))
        .file("dist/a.js", &text(1_500_000, 1))
        .file("package.json", crate::MANIFEST)
        .handled_otherwise()
}

/// A change here changes the integrity of every plugin that is packed again: it needs a line in the changelog.
#[test]
fn the_bytes_are_those_of_every_release() {
    assert_eq!(
        packed(&sample()).integrity().to_string(),
        "sha512-WUrdUmOZUnBz0VDFZ+CxPSCf4G1aErCU2oFEwpCZYxihXxZ6FzwH6T5Fk2v4iH1ntFTYQBMwgDXPQwlw9qxSrw=="
    );
}

#[test]
fn times_modes_and_the_order_of_making_do_not_show() {
    assert_eq!(packed(&sample()).integrity(), packed(&sample_backwards()).integrity());
}

#[test]
fn the_number_of_threads_does_not_show() {
    let plot = sample();
    let one = packed(&plot).into_inner();
    for threads in [2, 4, 1000] {
        let packing = Packing { threads: NonZeroUsize::new(threads).unwrap(), ..packing() };
        assert!(packed_with(&plot, &packing).unwrap().into_inner() == one, "{threads} threads");
    }
}

#[test]
fn the_order_of_folders_does_not_show() {
    let (a, b) = (Plot::new(), Plot::new().file("b", b"b"));
    let there = pack(&[a.folder("x/a"), b.folder("b")], Vec::new(), &packing()).unwrap();
    let back = pack(&[b.folder("b"), a.folder("x/a")], Vec::new(), &packing()).unwrap();
    assert_eq!(there.integrity(), back.integrity());
}

#[test]
fn every_name_every_byte_and_the_execute_bit_show() {
    let base = || Plot::new().file("a", b"a").folder_at("d");
    let rows = [
        base(),
        base().file("b", b"").folder_at("d"),
        Plot::new().file("a", b"b").folder_at("d"),
        Plot::new().executable("a", b"a").folder_at("d"),
        Plot::new().file("a", b"a"),
        Plot::new().file("a", b"a").symlink("d", "a"),
        Plot::new().file("a", b"a").symlink("d", "b"),
    ];
    let mut all: Vec<_> = rows.iter().map(|plot| packed(plot).integrity().to_string()).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), rows.len());
}
