//! Rows about the bytes of a plugin. Their integrity is always right: whoever pinned it pinned these bytes.

use std::sync::LazyLock;

use testkit::{Bomb, Entry, Gzip, Plugin, Tarball, base_256, gzip};

use crate::bench::{self, Mode, Seen, Streams};
use crate::case::{Case, Entry as Listed, Listing};
use crate::judge;
use crate::net::{Net, REGISTRY};
use crate::placeholder::PLUG;
use crate::row::Row;

/// What the column `given` may say: the integrity is that of the hostile bytes, and no plugin path is selected.
const GIVEN: [&str; 2] = ["integrity is right", "plain artifact, no plugin path; integrity is right"];

/// A million empty files. They take seconds to make.
static MILLION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let files = (0..1_000_000).map(|n| Entry::file(format!("package/{n}"), ""));
    Bomb::new().archive(&good().ending([])).entries(files).zeros(1024).gzip()
});

/// Every row has a builder: its input is a description.
pub(crate) fn archive(row: &Row) -> Result<Case, String> {
    if !GIVEN.contains(&row.given.as_str()) {
        return Err(format!("expected one of {GIVEN:?} in `given`, found `{}`", row.given));
    }
    let artifact = traversal(row)
        .or_else(|| link(row))
        .or_else(|| entry(row))
        .or_else(|| bomb(row))
        .or_else(|| compressed(row))
        .or_else(|| structure(row))
        .or_else(|| name(row))
        .or_else(|| layout(row));
    let case = artifact.map(|artifact| pinned(&artifact)).ok_or_else(|| row.without_builder())?;
    Ok(match row.id.as_str() {
        "PA11" => case.holds(|seen| shows(seen, &["0777 link node_modules/.bin/x -> ../x/cli.js"])),
        "PA14" => case.holds(|seen| shows(seen, &["0644 file h 106b0862", "0644 file x 106b0862"])),
        "PA18" => case.holds(|seen| shows(seen, &["0755 file suid ", "0755 dir open "])),
        "PA19" => case.holds(|seen| shows(seen, &["0755 dir shut ", "0644 file shut/x "])),
        "PA43" => case.holds(|seen| shows(seen, &["0644 file A.txt ", "0644 file a.txt "])),
        "PA51" | "PA52" => case.holds(|seen| shows(seen, &["0644 file package.json ", "0644 file dist/index.cjs.js "])),
        _ => case,
    })
}

/// A bomb of a form that the table does not have.
fn other_bombs() -> Vec<(&'static str, Vec<u8>)> {
    let open = || good().ending([]);
    let zeros = |name: String, len: u64| Entry::file(name, "").declared_size(len);
    let many = (0..5).fold(Bomb::new().archive(&open()), |bomb, n| {
        let file = Tarball::new().entry(zeros(format!("package/{n}"), 16 << 20)).ending([]);
        bomb.archive(&file).zeros(16 << 20)
    });
    let linked = Bomb::new()
        .archive(&open().entry(zeros("package/zeros".to_owned(), 32 << 20)))
        .zeros(32 << 20)
        .entries((0..2000).map(|n| Entry::link(b'1', format!("package/{n}"), "package/zeros")));
    let climbing = format!("{}{}", "a/".repeat(60), "../../../../../../../../a/a/a/a/a/a/a/a/".repeat(20));
    let symlinks = Bomb::new()
        .archive(&open().dir(format!("package/{}", "a/".repeat(61))))
        .entries((0..5000).map(|n| Entry::link(b'2', format!("package/l{n}"), &climbing)));
    let records = format!("65536 comment={}\n", "a".repeat(65536 - 15));
    let described = Bomb::new()
        .archive(&open())
        .entries((0..4000).map(|n| Entry::file(format!("package/{n}"), "").pax_bytes(&records)));
    vec![
        ("zeros behind the end", Bomb::new().archive(&good()).zeros(10 << 30).gzip()),
        ("zeros and no archive", Bomb::new().zeros(10 << 30).gzip()),
        ("zeros in many files", many.zeros(1024).gzip()),
        ("hard links to a large file", linked.zeros(1024).gzip()),
        ("symlinks that are long to walk", symlinks.zeros(1024).gzip()),
        ("headers that are long to read", described.zeros(1024).gzip()),
        ("extension headers without end", {
            Bomb::new().archive(&open()).entries((0..10_000).map(|_| Entry::pax_global(&[]))).gzip()
        }),
        ("folders in folders", {
            let deep = |n| Entry::dir(format!("package/{}", "d/".repeat(n)));
            Bomb::new().archive(&open()).entries((1..5000).map(deep)).zeros(1024).gzip()
        }),
    ]
}

/// These bytes, pinned, where a good copy of the plugin is installed already.
fn pinned(artifact: &[u8]) -> Case {
    let mut net = Net::new();
    let before = net.push("plug:0.9.0", &Plugin::backend(PLUG).version("0.9.0"));
    let served = net.serve(&format!("oci://{REGISTRY}/my-org/plug:1.0.0"), artifact);
    let only = |served| Listing::of([Listed::from(served)]);
    Case { in_memory: true, ..Case::listing(net, only(&served)) }.after(only(&before))
}

fn traversal(row: &Row) -> Option<Vec<u8>> {
    let archive = match row.id.as_str() {
        "PA01" => good().file("package/../escape.txt", "out"),
        "PA02" => good().file("../escape.txt", "out"),
        "PA03" => good().file("/tmp/escape.txt", "out"),
        "PA04" => good().entry(Entry::file("package/x", "out").pax("path", "package/../../escape.txt")),
        "PA05" => good().entry(Entry::extension(b'L', "package/../../escape.txt\0")).file("package/x", "out"),
        _ => return None,
    };
    Some(archive.gzip())
}

fn link(row: &Row) -> Option<Vec<u8>> {
    let archive = match row.id.as_str() {
        "PA06" => good().symlink("package/l", "/etc/passwd"),
        "PA07" => good().symlink("package/l", "../../x"),
        "PA08" => good().symlink("package/l", "..").file("package/l/x", "out"),
        "PA09" => good().symlink("package/l", "../..").entry(Entry::dir("package/l").mode(0o777)),
        "PA10" => good().dir("package/d").symlink("package/d", "../..").file("package/d/x", "out"),
        "PA11" => {
            good().symlink("package/node_modules/.bin/x", "../x/cli.js").executable("package/node_modules/x/cli.js", "")
        }
        "PA12" => good().hardlink("package/h", "../../etc/passwd"),
        "PA13" => {
            good().symlink("package/a", ".").symlink("package/b", "a").hardlink("package/h", "package/b/package.json")
        }
        "PA14" => good().file("package/x", "inside").hardlink("package/h", "package/x"),
        _ => return None,
    };
    Some(archive.gzip())
}

fn entry(row: &Row) -> Option<Vec<u8>> {
    let archive = match row.id.as_str() {
        "PA15" => good().entry(Entry::special(b'3', "package/null")),
        "PA16" => good().entry(Entry::special(b'6', "package/pipe")),
        "PA17" => good().entry(Entry::gnu_sparse("package/s", 1 << 40, (1 << 40) - 512, [1; 512])),
        "PA18" => {
            good().entry(Entry::file("package/suid", "#!").mode(0o4755)).entry(Entry::dir("package/open").mode(0o777))
        }
        "PA19" => good().entry(Entry::dir("package/shut").mode(0)).file("package/shut/x", "inside"),
        "PA24" => good().entry(Entry::file("package/x", "inside").size_field(base_256(-512))),
        "PA25" => good().entry(Entry::file("package/x", "inside").declared_size(4096)),
        _ => return None,
    };
    Some(archive.gzip())
}

fn bomb(row: &Row) -> Option<Vec<u8>> {
    const ZEROS: u64 = 10 << 30;
    let bomb = match row.id.as_str() {
        "PA20" => {
            let file = good().entry(Entry::file("package/zeros", "").declared_size(ZEROS)).ending([]);
            Bomb::new().archive(&file).zeros(ZEROS + 1024)
        }
        "PA21" => return Some(MILLION.clone()),
        "PA22" => {
            let len = 64 << 20;
            let record = format!("{len} comment={}\n", "a".repeat(len - "67108864 comment=\n".len()));
            Bomb::new().archive(&good().entry(Entry::file("package/x", "").pax_bytes(record)))
        }
        "PA23" => Bomb::new().archive(&good().file(format!("package/{}x", "d/".repeat(5000)), "")),
        _ => return None,
    };
    Some(bomb.gzip())
}

fn compressed(row: &Row) -> Option<Vec<u8>> {
    let tar = good().tar();
    let whole = gzip(&tar);
    Some(match row.id.as_str() {
        "PA26" => [gzip(&tar[..1024]), gzip(&tar[1024..])].concat(),
        "PA27" => [&whole, &b"garbage"[..]].concat(),
        "PA28" => whole[..whole.len() / 2].to_vec(),
        "PA29" => Gzip::new(&tar).crc(0x0bad_c0de).member(),
        "PA30" => [&b"\xfd7zXZ\0"[..], &whole].concat(),
        "PA31" => Vec::new(),
        _ => return None,
    })
}

fn structure(row: &Row) -> Option<Vec<u8>> {
    let evil = || Tarball::new().file("package/../escape.txt", "out").tar();
    let archive = match row.id.as_str() {
        "PA32" => good().entry(Entry::file("package/x", "inside").checksum(1)),
        "PA33" => {
            let inside = evil();
            let size = inside.len().to_string();
            good().entry(Entry::file("package/x", inside).pax("size", size).declared_size(0))
        }
        "PA34" => good().entry(Entry::file("package/x", evil()).pax("size", "512")),
        "PA35" => good()
            .entry(Entry::extension(b'x', "24 path=package/renamed\n"))
            .entry(Entry::extension(b'L', "package/long\0"))
            .file("package/x", "inside"),
        "PA36" => good().entry(Entry::file("package/x", "inside").pax_bytes("99 path=package/y\n")),
        "PA53" => good().entry(Entry::file("package/x", "inside").pax_bytes("0 path=package/y\n")),
        "PA37" => good().ending([vec![0; 1024], evil()].concat()),
        _ => return None,
    };
    Some(archive.gzip())
}

fn name(row: &Row) -> Option<Vec<u8>> {
    let archive = match row.id.as_str() {
        "PA38" => good().file("package/a\nts=2026-01-01T00:00:00Z level=INFO event=completed", ""),
        "PA39" => good().file("package/\x1b[2Ja", ""),
        "PA40" => good().file("package\\..\\a", "").file("package/a\\b", ""),
        "PA41" => good().file(b"package/\xff", ""),
        "PA42" => good().file("package/x", "1").file("package/x", "2"),
        "PA43" => good().file("package/A.txt", "A").file("package/a.txt", "a"),
        "PA44" => good().file("package/x", "").file("package/x/y", ""),
        _ => return None,
    };
    Some(archive.gzip())
}

fn layout(row: &Row) -> Option<Vec<u8>> {
    let plugin = Plugin::backend(PLUG);
    let archive = match row.id.as_str() {
        "PA45" => plugin.archive_under("plugin"),
        "PA46" => Tarball::new().file("package", "no folder"),
        "PA47" => plugin.archive().dir("evil").file("evil/x", "out"),
        "PA48" => Tarball::new(),
        "PA49" => Tarball::new().dir("package").file("package/dist/index.cjs.js", ""),
        "PA50" => Tarball::new().dir("package").file("package/package.json", "nope"),
        "PA51" => plugin.archive_under("./package"),
        "PA52" => plugin.add_to(Tarball::new().entry(Entry::pax_global(&[("comment", "0a1b2c")])), "package"),
        _ => return None,
    };
    Some(archive.gzip())
}

/// A plugin that all is well with, open for more.
fn good() -> Tarball {
    Plugin::backend(PLUG).archive()
}

/// That the plugin's folder has these entries: mode, kind, path, and how the rest begins.
fn shows(seen: &Seen, expected: &[&str]) -> Result<(), String> {
    let missing = expected.iter().find(|expected| {
        let [mode, kind, path] = expected.splitn(3, ' ').collect::<Vec<_>>()[..] else { return true };
        let expected = format!("{mode} {kind} volume/plugins/plug-dynamic/{path}");
        !seen.after.visible.iter().any(|line| line.starts_with(&expected))
    });
    missing.map_or(Ok(()), |missing| Err(format!("expected `{missing}`, found {:#?}", seen.after.visible)))
}

#[test]
fn every_bomb_ends_soon_and_in_little_memory() {
    let line = "ZB01\tarchive\tbomb\t\tintegrity is right\treject\tarchive_limit_exceeded\tW0 V0 P0 M0 T0 L1\t";
    let row = Row::parse(line).unwrap();
    let mut problems = Vec::new();
    for (name, artifact) in other_bombs() {
        let case = pinned(&artifact);
        let seen = bench::run(&case, Mode::FailClosed, Streams::Captured);
        problems.extend(judge::problems(&row, &case, &seen).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_limit_can_be_set() {
    type Flag = &'static [&'static str];
    let manifest = r#"{"name":"plug","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
    let manifest = Tarball::new().file("package/package.json", format!("{manifest:200}"));
    let described =
        good().entry(Entry::pax_global(&[])).entry(Entry::file("package/x", "").pax_bytes("20 mtime=1700000000\n"));
    let zeros = good().file("package/zeros", vec![0; 1 << 20]);
    let rows: [(Tarball, Flag, Flag, &str); 12] = [
        (good(), &["--max-expanded-bytes=3584"], &["--max-expanded-bytes=3583"], "archive_limit_exceeded"),
        (
            good().file("package/x", [1; 1000]),
            &["--max-file-bytes=1000"],
            &["--max-file-bytes=999"],
            "archive_limit_exceeded",
        ),
        (
            zeros.clone(),
            &["--max-ratio=2000", "--max-ratio-from-bytes=1"],
            &["--max-ratio=20", "--max-ratio-from-bytes=1"],
            "archive_limit_exceeded",
        ),
        (zeros, &["--max-ratio-from-bytes=2MiB"], &["--max-ratio-from-bytes=512KiB"], "archive_limit_exceeded"),
        (good(), &["--max-entries=3"], &["--max-entries=2"], "archive_limit_exceeded"),
        (good(), &["--max-depth=3"], &["--max-depth=2"], "archive_limit_exceeded"),
        (good(), &["--max-path-bytes=25"], &["--max-path-bytes=24"], "archive_limit_exceeded"),
        (
            good().symlink("package/l", "t".repeat(60)),
            &["--max-path-bytes=60"],
            &["--max-path-bytes=59"],
            "archive_limit_exceeded",
        ),
        (good(), &["--max-name-bytes=12"], &["--max-name-bytes=11"], "archive_limit_exceeded"),
        (described.clone(), &["--max-extension-bytes=20"], &["--max-extension-bytes=19"], "archive_limit_exceeded"),
        (described, &["--max-extensions=2"], &["--max-extensions=1"], "archive_limit_exceeded"),
        (manifest, &["--max-package-json-bytes=200"], &["--max-package-json-bytes=199"], "manifest_invalid"),
    ];
    for (archive, at, past, reason) in rows {
        for (flags, expected) in [(at, "event=plugin_installed"), (past, &*format!(" reason={reason} "))] {
            let case = Case { flags, ..pinned(&archive.gzip()) };
            let seen = bench::run(&case, Mode::FailOpen, Streams::Captured);
            let log = format!("{}{}", seen.stdout, seen.stderr);
            assert!(log.contains(expected), "{flags:?}: {log}");
        }
    }
}
