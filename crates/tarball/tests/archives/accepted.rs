//! Archives that real packers make.

use std::cell::Cell;
use std::io;

use crate::writer::{FILE, Header, Tar, octal};
use crate::{MANIFEST, Outcome, outcome, outcome_of, shown_file, verified};
use tarball::{Dir, EntryPath, Layout, Limits, Record, Written, unpack};

fn accepted(artifact: &[u8]) -> Outcome {
    let outcome = outcome(artifact);
    assert_eq!(outcome.reason(), "accepted", "{:?}", outcome.result);
    outcome
}

#[test]
fn files_links_and_folders_arrive_as_told() {
    let big: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let outcome = accepted(
        &Tar::default()
            .dir("./", 0o700)
            .dir("package/", 0o2777)
            .file("package/package.json", MANIFEST)
            .dir("package/locked", 0o000)
            .file_with_mode("package/locked/suid", b"s", 0o6711)
            .file("package/empty", b"")
            .file("package/dist/big.js", &big)
            .symlink("package/node_modules/.bin/x", "../x/cli.js")
            .file_with_mode("package/node_modules/x/cli.js", b"#!", 0o754)
            .hard_link("package/node_modules/y/cli.js", "package/node_modules/x/cli.js")
            .symlink("package/dangling", "not/there/../yet")
            .symlink("package/top", ".")
            .dir("package/locked", 0o755)
            .file("package/A.txt", b"A")
            .file("package/a.txt", b"a")
            .gz(),
    );
    let files = [
        ("A.txt", shown_file(b"A", 0o644)),
        ("a.txt", shown_file(b"a", 0o644)),
        ("dangling", "-> not/there/../yet".to_owned()),
        ("dist/big.js", shown_file(&big, 0o644)),
        ("empty", shown_file(b"", 0o644)),
        ("locked/suid", shown_file(b"s", 0o755)),
        ("node_modules/.bin/x", "-> ../x/cli.js".to_owned()),
        ("node_modules/x/cli.js", shown_file(b"#!", 0o755)),
        ("node_modules/y/cli.js", shown_file(b"#!", 0o755)),
        ("package.json", shown_file(MANIFEST, 0o644)),
        ("top", "-> .".to_owned()),
    ]
    .map(|(path, shown)| (path.to_owned(), shown));
    assert_eq!(outcome.told.into_iter().collect::<Vec<_>>(), files);
    let (folders, on_disk): (Vec<_>, Vec<_>) = outcome.tree.into_iter().partition(|(_, shown)| shown.ends_with('/'));
    assert_eq!(on_disk, files);
    assert!(folders.iter().all(|(_, shown)| shown == "755/"), "{folders:?}");
    let unpacked = outcome.result.unwrap();
    assert_eq!(unpacked.manifest().name().destination().as_str(), "acme-plug-dynamic");
    assert_eq!(unpacked.files(), files.len() as u64);
    assert_eq!(unpacked.bytes(), (1 + 1 + big.len() + 1 + 2 + 2 + MANIFEST.len()) as u64);
}

#[test]
fn long_names_of_every_dialect_arrive() {
    let long = format!("package/{}/{}", "d".repeat(120), "f".repeat(120));
    let short = long.strip_prefix("package/").unwrap();
    let cut = &long[..100];
    let prefixed = {
        let mut tar = Tar::default().file("f", b"x").0;
        tar[345..345 + 7].copy_from_slice(b"package");
        tar[345 + 7] = b'/';
        tar[345 + 8..345 + 18].copy_from_slice(&[b'd'; 10]);
        tar[148..156].copy_from_slice(b"        ");
        let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar
    };
    let rows = [
        ("PAX", Tar::package().pax(b'x', &[("mtime", "1.5"), ("path", &long)]).file("PaxHeader", b"x").gz(), short),
        ("GNU", Tar::package().extension(b'L', format!("{long}\0").as_bytes()).file(cut, b"x").gz(), short),
        ("GNU, unterminated", Tar::package().extension(b'L', long.as_bytes()).file(cut, b"x").gz(), short),
        ("ustar prefix", Tar([Tar::package().0, prefixed].concat()).gz(), "dddddddddd/f"),
        (
            "v7",
            Tar::package()
                .header(Header { name: b"package/v7", magic: b"", flag: 0, size: &octal(1), ..FILE })
                .payload(b"x")
                .gz(),
            "v7",
        ),
        (
            "GNU magic",
            Tar::package()
                .header(Header { name: b"package/gnu", magic: b"ustar  \0", size: &octal(1), ..FILE })
                .payload(b"x")
                .gz(),
            "gnu",
        ),
        (
            "PAX size",
            Tar::package().pax(b'x', &[("size", "1")]).header(Header { name: b"package/p", ..FILE }).payload(b"x").gz(),
            "p",
        ),
        (
            "base 256 size",
            Tar::package()
                .header(Header { name: b"package/b", size: b"\x80\0\0\0\0\0\0\0\0\0\0\x01", ..FILE })
                .payload(b"x")
                .gz(),
            "b",
        ),
    ];
    for (name, artifact, path) in rows {
        assert_eq!(accepted(&artifact).told.get(path), Some(&shown_file(b"x", 0o644)), "{name}");
    }
    let target = format!("{}/x", "t".repeat(150));
    for (name, artifact) in [
        ("PAX link", Tar::package().pax(b'x', &[("linkpath", &target)]).symlink("package/l", "cut").gz()),
        ("GNU link", Tar::package().extension(b'K', format!("{target}\0").as_bytes()).symlink("package/l", "cut").gz()),
    ] {
        assert_eq!(accepted(&artifact).told.get("l"), Some(&format!("-> {target}")), "{name}");
    }
}

#[test]
fn harmless_oddities_are_accepted() {
    for (name, artifact) in [
        ("leading ./", Tar::default().dir("./package", 0o755).file("./package/package.json", MANIFEST).gz()),
        (
            "global comment first",
            Tar::default().pax(b'g', &[("comment", "0a1b2c")]).file("package/package.json", MANIFEST).gz(),
        ),
        ("no folder entries", Tar::package().file("package/a/b/c/d", b"x").gz()),
        ("v7 folder", Tar::package().header(Header { name: b"package/d/", flag: 0, magic: b"", ..FILE }).gz()),
        ("many zeros after the end", Tar::package().payload(&[0; 10_240]).gz()),
        (
            "manifest as a hard link",
            Tar::default().file("package/p", MANIFEST).hard_link("package/package.json", "package/p").gz(),
        ),
        ("40 links in a row", {
            let links =
                (1..40).fold(Tar::package(), |tar, n| tar.symlink(&format!("package/{n}"), &format!("{}", n + 1)));
            links.symlink("package/40", "package.json").gz()
        }),
    ] {
        assert_eq!(outcome(&artifact).reason(), "accepted", "{name}: {:?}", outcome(&artifact).result);
    }
}

#[test]
fn only_the_selected_folder_is_written() {
    let artifact = Tar::default()
        .file("index.json", b"{}")
        .dir("plugins/", 0o755)
        .file("plugins/a/package.json", MANIFEST)
        .file("plugins/a/dist/x", b"x")
        .hard_link("plugins/a/dist/y", "plugins/a/dist/x")
        .file("plugins/ab/package.json", b"other")
        .symlink("plugins/ab/l", "../a/dist")
        .dir("plugins/ab", 0o755)
        .dir("plugins/ab", 0o700)
        .hard_link("plugins/ab/h", "plugins/ab/package.json")
        .hard_link("plugins/ab/i", "plugins/a/dist/x")
        .gz();
    let layout = Layout::Folder(EntryPath::parse(b"./plugins/a/", &Limits::default()).unwrap());
    let outcome = outcome_of(&artifact, &layout, &Limits::default());
    assert_eq!(outcome.reason(), "accepted", "{:?}", outcome.result);
    assert_eq!(outcome.tree.keys().collect::<Vec<_>>(), ["dist", "dist/x", "dist/y", "package.json"]);
}

#[test]
fn an_artifact_is_read_from_its_start_each_time() {
    let mut artifact = verified(&Tar::package().gz());
    for _ in 0..2 {
        let temp = tempfile::tempdir().unwrap();
        let into = Dir::open(temp.path()).unwrap();
        let _ =
            unpack(&mut artifact, &Layout::Package, &into, &Limits::default(), &mut crate::Told::default()).unwrap();
    }
}

#[test]
fn what_is_passed_over_can_be_stopped_too() {
    struct Patient(Cell<u32>);
    impl Record for Patient {
        fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
            Ok(())
        }
        fn stopped(&self) -> bool {
            self.0.set(self.0.get() - 1);
            self.0.get() == 0
        }
    }
    let plugin = || Tar::default().file("a/package.json", MANIFEST);
    let zeros = vec![0; 8 << 20];
    let layout = Layout::Folder(EntryPath::parse(b"a", &Limits::default()).unwrap());
    for (name, artifact, reason) in [
        ("little", plugin().gz(), ""),
        ("a file beside it", plugin().file("b/x", &zeros).gz(), "interrupted"),
        ("zeros after the end", plugin().payload(&zeros).gz(), "interrupted"),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let into = Dir::open(temp.path()).unwrap();
        let mut record = Patient(Cell::new(20));
        let result = unpack(&mut verified(&artifact), &layout, &into, &Limits::default(), &mut record);
        assert_eq!(result.err().map_or("", |error| error.reason()), reason, "{name}");
    }
}

#[test]
fn a_record_can_stop_and_fail() {
    struct Stop {
        after: usize,
        fails: bool,
    }
    impl Record for Stop {
        fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
            if self.fails {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.after = self.after.saturating_sub(1);
            Ok(())
        }
        fn stopped(&self) -> bool {
            self.after == 0
        }
    }
    let artifact = Tar::package().file("package/x", b"x").symlink("package/l", "x").gz();
    for (after, fails, reason) in [
        (0, false, "interrupted"),
        (1, false, "interrupted"),
        (2, false, "interrupted"),
        (9, false, ""),
        (9, true, "io_error"),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let into = Dir::open(temp.path()).unwrap();
        let mut record = Stop { after, fails };
        let result = unpack(&mut verified(&artifact), &Layout::Package, &into, &Limits::default(), &mut record);
        assert_eq!(result.err().map_or("", |error| error.reason()), reason, "{after} {fails}");
    }
}
