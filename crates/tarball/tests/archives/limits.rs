//! Every limit, at the limit and one past it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::writer::{Tar, gzip};
use crate::{MANIFEST, outcome, outcome_of};
use tarball::{Layout, Limits};
use testkit::{Bomb, Entry, Tarball, base_256};

fn reason(artifact: &[u8], limits: &Limits) -> &'static str {
    outcome_of(artifact, &Layout::Package, limits).reason()
}

#[test]
fn every_limit_holds_at_the_limit_and_not_one_past_it() {
    let all = Limits::default();
    let bytes = MANIFEST.len() as u64;
    let three = Tar::package().file("package/a", b"").file("package/b", b"").gz();
    let file = Tar::package().file("package/a", &[1; 1000]).gz();
    let expanded = 2 * 512 + 512 + 1024 + 1024;
    let linked = Tar::package().hard_link("package/a", "package/package.json").gz();
    let symlinked = Tar::package().symlink("package/l", "a/b/../c").gz();
    let walked = Tar::package().dir("package/a/b", 0o755).symlink("package/l", "a/b/../b/x").gz();
    let far = Tar::package().symlink("package/l", &"t".repeat(30)).gz();
    let gnu = Tar::package().extension(b'L', b"package/a\0").file("cut", b"").gz();
    let two_symlinks = Tar::package().symlink("package/l", "abc").symlink("package/m", "abc").gz();
    let pax = Tar::package().extension(b'x', b"20 mtime=1700000000\n").file("package/a", b"").gz();
    let row = Tar::package()
        .pax(b'g', &[("comment", "x")])
        .extension(b'L', b"package/a\0")
        .extension(b'K', b"x\0")
        .symlink("package/cut", "cut")
        .gz();
    // A new limit needs a row here, or in another test of this file.
    let Limits {
        entries: _,
        file: _,
        expanded: _,
        depth: _,
        path: _,
        component: _,
        symlinks: _,
        symlink_steps: _,
        opened: _,
        extension: _,
        extensions: _,
        ratio: _,
        ratio_from: _,
        manifest: _,
    } = all;
    // `a`, then `b` and what is below it, then `a` again: four folders are opened.
    let back = |tar: Tar| tar.file("package/a/1", b"").file("package/b/c/2", b"");
    let files = back(Tar::package()).file("package/a/3", b"").gz();
    let hard = Tar::package().file("package/b/c/2", b"").hard_link("package/a/h", "package/b/c/2").gz();
    let soft = back(Tar::package()).symlink("package/a/l", "x").gz();
    let rows: [(&str, &[u8], Limits, Limits); 17] = [
        ("entries", &three, Limits { entries: 3, ..all }, Limits { entries: 2, ..all }),
        ("file", &file, Limits { file: 1000, ..all }, Limits { file: 999, ..all }),
        ("expanded", &file, Limits { expanded, ..all }, Limits { expanded: expanded - 1, ..all }),
        ("hard links", &linked, Limits { expanded: 2560, ..all }, Limits { expanded: 2 * bytes - 1, ..all }),
        (
            "depth",
            &Tar::package().file("package/a/b", b"").gz(),
            Limits { depth: 3, ..all },
            Limits { depth: 2, ..all },
        ),
        ("path", &three, Limits { path: 20, ..all }, Limits { path: 19, ..all }),
        ("path of a link", &far, Limits { path: 30, ..all }, Limits { path: 29, ..all }),
        ("component", &three, Limits { component: 12, ..all }, Limits { component: 11, ..all }),
        ("symlinks", &two_symlinks, Limits { symlinks: 2 * 68, ..all }, Limits { symlinks: 2 * 68 - 1, ..all }),
        ("symlink steps", &symlinked, Limits { symlink_steps: 4, ..all }, Limits { symlink_steps: 3, ..all }),
        // Five names, and two folders opened.
        ("symlink steps and folders", &walked, Limits { symlink_steps: 7, ..all }, Limits { symlink_steps: 6, ..all }),
        ("opened", &files, Limits { opened: 4, ..all }, Limits { opened: 3, ..all }),
        ("opened for a hard link", &hard, Limits { opened: 3, ..all }, Limits { opened: 2, ..all }),
        ("opened for a symlink", &soft, Limits { opened: 4, ..all }, Limits { opened: 3, ..all }),
        ("extension", &pax, Limits { extension: 20, ..all }, Limits { extension: 19, ..all }),
        ("GNU name", &gnu, Limits { extension: 10, ..all }, Limits { extension: 9, ..all }),
        ("extensions", &row, Limits { extensions: 3, ..all }, Limits { extensions: 2, ..all }),
    ];
    for (name, artifact, at, past) in rows {
        assert_eq!(
            reason(artifact, &at),
            "accepted",
            "{name}: {:?}",
            outcome_of(artifact, &Layout::Package, &at).result
        );
        assert_eq!(reason(artifact, &past), "archive_limit_exceeded", "{name}");
    }
}

#[test]
fn the_manifest_has_a_limit_and_a_reason_of_its_own() {
    let artifact = Tar::package().gz();
    let manifest = MANIFEST.len() as u64;
    let all = Limits::default();
    assert_eq!(reason(&artifact, &Limits { manifest, ..all }), "accepted");
    assert_eq!(reason(&artifact, &Limits { manifest: manifest - 1, ..all }), "manifest_invalid");
}

/// An operator may set what no machine has: nothing is believed before it is there.
#[test]
fn limits_without_measure_do_no_harm() {
    let none = Limits {
        expanded: u64::MAX,
        file: u64::MAX,
        ratio: u64::MAX,
        ratio_from: u64::MAX,
        entries: u64::MAX,
        depth: usize::MAX,
        path: usize::MAX,
        component: usize::MAX,
        extension: u64::MAX,
        extensions: usize::MAX,
        manifest: u64::MAX,
        symlinks: usize::MAX,
        symlink_steps: u64::MAX,
        opened: u64::MAX,
    };
    let huge = |flag: u8, size: i64| {
        let lie = Entry::file("package/x", "").typeflag(flag).size_field(base_256(size));
        Tarball::new().file("package/package.json", MANIFEST).entry(lie).gzip()
    };
    assert_eq!(reason(&Tar::package().gz(), &none), "accepted");
    for size in [i64::MAX, 1 << 40, 1 << 33] {
        for flag in [b'0', b'x', b'L', b'g'] {
            assert_eq!(reason(&huge(flag, size), &none), "archive_invalid", "{} {size}", char::from(flag));
        }
    }
}

#[test]
fn a_ratio_counts_once_enough_is_out() {
    let artifact = Tar::package().file("package/zeros", &vec![0; 1 << 20]).gz();
    let out = (512 + 512 + 512 + (1 << 20) + 1024) as u64;
    let ratio = out.div_ceil(artifact.len() as u64);
    let strict = Limits { ratio_from: 0, ..Limits::default() };
    assert_eq!(reason(&artifact, &Limits { ratio, ..strict }), "accepted");
    assert_eq!(reason(&artifact, &Limits { ratio: ratio - 1, ..strict }), "archive_limit_exceeded");
    assert_eq!(reason(&artifact, &Limits { ratio: 1, ratio_from: out, ..strict }), "accepted");
    assert_eq!(reason(&artifact, &Limits { ratio: 1, ratio_from: out - 1, ..strict }), "archive_limit_exceeded");
}

#[test]
fn deflate_blocks_without_content_are_no_way_to_keep_us_busy() {
    let package = || Tarball::new().file("package/package.json", MANIFEST);
    let all = |n| Bomb::new().empty_blocks(n).archive(&package()).gzip();
    let middle = |n| {
        let rest = Tarball::new().file("package/x", "x");
        Bomb::new().archive(&package().ending([])).empty_blocks(n).archive(&rest).gzip()
    };
    let end = |n| Bomb::new().archive(&package()).empty_blocks(n).gzip();
    let often = |n| {
        let file = Entry::file("package/x", "").declared_size(1000 * 512);
        let block = Tarball::new().raw_header([0; 512]).ending([]);
        let start = Bomb::new().archive(&package().entry(file).ending([]));
        let blocks = (0..1000).fold(start, |bomb, _| bomb.archive(&block).empty_blocks(n / 1000));
        blocks.archive(&Tarball::new()).gzip()
    };
    // Under a mebibyte, and well over it.
    for (n, reason) in [(190_000, "accepted"), (400_000, "archive_invalid")] {
        for (name, artifact) in [("first", all(n)), ("middle", middle(n)), ("last", end(n)), ("often", often(n))] {
            let outcome = outcome(&artifact);
            assert_eq!(outcome.reason(), reason, "{name}: {n}: {:?}", outcome.result);
        }
    }
    let large = Tarball::new().file("package/package.json", MANIFEST).file("package/x", noise(4 << 20));
    let mut stored = GzEncoder::new(Vec::new(), Compression::none());
    for chunk in large.tar().chunks(1024) {
        // Each chunk ends in a block without content: a packer that flushes all the time.
        stored.write_all(chunk).unwrap();
        stored.flush().unwrap();
    }
    assert_eq!(outcome(&stored.finish().unwrap()).reason(), "accepted");
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn bombs_are_stopped_by_the_default_limits() {
    let mut many = Tar::package();
    for n in 0..100_000 {
        many = many.file(&format!("package/{n}"), b"");
    }
    let mut deep = String::from("package");
    for _ in 0..5000 {
        deep.push_str("/d");
    }
    let far = |top: &str, n: u32| format!("package/{}/{n}", vec![top; 61].join("/"));
    let to_and_fro = (0..17_000).fold(Tar::package(), |tar, n| {
        let path = far(if n % 2 == 0 { "a" } else { "b" }, n);
        tar.pax(b'x', &[("path", &path)]).file("x", b"")
    });
    for (name, artifact) in [
        ("to and fro between deep folders", to_and_fro.gz()),
        ("one entry too many", many.gz()),
        ("zeros", gzip(&[Tar::package().0, vec![0; 80 << 20]].concat())),
        ("deep", Tar::package().pax(b'x', &[("path", &deep)]).file("x", b"").gz()),
        ("huge PAX header", Tar::package().extension(b'x', &vec![b'a'; 1 << 20]).gz()),
        ("huge GNU name", Tar::package().extension(b'L', &vec![b'a'; 1 << 20]).gz()),
        ("extension headers without end", (0..8000).fold(Tar::package(), |tar, _| tar.pax(b'g', &[])).gz()),
    ] {
        let outcome = outcome(&artifact);
        assert_eq!(outcome.reason(), "archive_limit_exceeded", "{name}: {:?}", outcome.result);
    }
}
