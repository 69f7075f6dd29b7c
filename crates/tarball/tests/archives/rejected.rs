//! Hostile archives, by class. Each row names what it tries; nothing may be written outside the plugin's folder.

use crate::writer::{FILE, Header, Tar, gzip, octal};
use crate::{MANIFEST, all_are, assert_is_told, outcome, outcome_of};
use tarball::{EntryPath, Layout, Limits};
use testkit::{Entry, Field, Tarball};

fn header(header: Header<'_>) -> Vec<u8> {
    Tar::package().header(header).gz()
}

#[test]
fn names_that_leave_the_plugin_are_unsafe() {
    all_are(
        "archive_unsafe_entry",
        vec![
            ("parent inside", Tar::package().file("package/../escape", b"x").gz()),
            ("parent on top", Tar::package().file("../escape", b"x").gz()),
            ("absolute", Tar::package().file("/tmp/escape", b"x").gz()),
            ("parent as folder", Tar::package().dir("package/..", 0o755).gz()),
            ("PAX path", Tar::package().pax(b'x', &[("path", "package/../../escape")]).file("package/x", b"x").gz()),
            ("GNU name", Tar::package().extension(b'L', b"package/../escape\0").file("package/x", b"x").gz()),
            ("ustar prefix", {
                let mut tar = Tar::package().file("escape", b"x").0;
                let at = tar.len() - 1024;
                tar[at + 345..at + 355].copy_from_slice(b"package/..");
                checksum(&mut tar[at..at + 512]);
                Tar(tar).gz()
            }),
            ("empty", header(FILE)),
        ],
    );
}

#[test]
fn names_that_forge_or_confuse_are_unsafe() {
    let named = |name: &[u8]| header(Header { name, ..FILE });
    all_are(
        "archive_unsafe_entry",
        vec![
            ("newline", named(b"package/a\nb")),
            ("escape", named(b"package/a\x1b[2Jb")),
            ("tab", named(b"package/a\tb")),
            ("delete", named(b"package/a\x7fb")),
            ("next line", named("package/a\u{85}b".as_bytes())),
            ("overlong dots", named(b"package/\xc0\xae\xc0\xae/x")),
            ("half a surrogate pair", named(b"package/\xed\xa0\x80")),
            ("cut inside a character", named(b"package/\xe2\x82")),
            ("C1", named("package/a\u{9b}b".as_bytes())),
            ("backslash", named(b"package/a\\b")),
            ("not UTF-8", named(b"package/a\xff")),
            ("NUL in a GNU name", Tar::package().extension(b'L', b"package/a\0b\0").file("package/x", b"").gz()),
            ("file with a trailing slash", named(b"package/a/")),
        ],
    );
}

#[test]
fn symlinks_that_leave_the_plugin_are_unsafe() {
    let linked = |links: &[(&str, &str)]| {
        links.iter().fold(Tar::package(), |tar, (name, target)| tar.symlink(name, target)).gz()
    };
    let mut chain = Tar::package();
    for n in 0..41 {
        chain = chain.symlink(&format!("package/{n}"), &format!("{}", n + 1));
    }
    all_are(
        "archive_unsafe_entry",
        vec![
            ("absolute", linked(&[("package/l", "/etc/passwd")])),
            ("absolute, inside", linked(&[("package/l", "/dynamic-plugins-root/acme-plug-dynamic/package.json")])),
            ("absolute, the plugin's own folder", linked(&[("package/l", "/package/package.json")])),
            ("two slashes", linked(&[("package/l", "//etc/passwd")])),
            ("past the longest path of the system", {
                let deep = vec!["d".repeat(200); 4].join("/");
                let far = vec!["back"; 30].join("/");
                let tar =
                    Tar::package().pax(b'x', &[("path", &format!("package/{deep}/back"))]).symlink("b", "../../../..");
                let tar = tar.pax(b'x', &[("linkpath", &format!("{deep}/back"))]).symlink("package/back", "b");
                tar.symlink("package/l", &far).symlink("package/m", "l/..").gz()
            }),
            ("parent", linked(&[("package/l", "../../x")])),
            ("the folder above", linked(&[("package/l", "..")])),
            ("down and up again", linked(&[("package/l", "a/../../x")])),
            ("missing and up again", linked(&[("package/l", "missing/../../x")])),
            ("through a file", linked(&[("package/l", "package.json/../../x")])),
            ("through another link", linked(&[("package/a/b/up", "../.."), ("package/l", "a/b/up/../x")])),
            ("through a later link", linked(&[("package/l", "a/up/../../x"), ("package/a/up", ".")])),
            ("loop", linked(&[("package/a", "b"), ("package/b", "a")])),
            ("itself", linked(&[("package/a", "a")])),
            ("too many in a row", chain.gz()),
            ("empty", linked(&[("package/l", "")])),
            ("newline", linked(&[("package/l", "a\nb")])),
            ("backslash", linked(&[("package/l", "..\\x")])),
        ],
    );
}

#[test]
fn writing_through_or_over_an_entry_is_unsafe() {
    all_are(
        "archive_unsafe_entry",
        vec![
            ("file below a link", Tar::package().symlink("package/l", ".").file("package/l/x", b"x").gz()),
            ("file below an escaping link", Tar::package().symlink("package/l", "..").file("package/l/x", b"x").gz()),
            ("folder over a link", Tar::package().symlink("package/l", "../..").dir("package/l", 0o777).gz()),
            (
                "link over a folder",
                Tar::package().dir("package/d", 0o755).symlink("package/d", "..").file("package/d/x", b"x").gz(),
            ),
            ("link below a link", Tar::package().symlink("package/l", "d").symlink("package/l/m", "x").gz()),
            ("the same file twice", Tar::package().file("package/x", b"1").file("package/x", b"2").gz()),
            ("the same link twice", Tar::package().symlink("package/l", "x").symlink("package/l", "x").gz()),
            ("file over a folder", Tar::package().dir("package/d", 0o755).file("package/d", b"x").gz()),
            ("folder over a file", Tar::package().file("package/x", b"x").dir("package/x", 0o755).gz()),
            ("below a file", Tar::package().file("package/x", b"x").file("package/x/y", b"y").gz()),
            ("folder below a file", Tar::package().file("package/x", b"x").dir("package/x/y", 0o755).gz()),
            ("./ and the same", Tar::package().file("package/x", b"1").file("./package/./x", b"2").gz()),
        ],
    );
}

#[test]
fn hard_links_to_anything_but_an_earlier_file_are_unsafe() {
    let linked = |tar: Tar, target: &str| tar.hard_link("package/h", target).gz();
    all_are(
        "archive_unsafe_entry",
        vec![
            ("parent", linked(Tar::package(), "../../etc/passwd")),
            ("absolute", linked(Tar::package(), "/etc/passwd")),
            ("out and in again", linked(Tar::package(), "package/../package/package.json")),
            ("empty", linked(Tar::package(), "")),
            ("later", Tar::package().hard_link("package/h", "package/z").file("package/z", b"z").gz()),
            ("outside the folder", linked(Tar::package(), "other/x")),
            ("the folder", linked(Tar::package(), "package")),
            ("a folder", linked(Tar::package().dir("package/d", 0o755), "package/d")),
            ("missing", linked(Tar::package(), "package/later")),
            ("itself", linked(Tar::package(), "package/h")),
            ("a symlink", linked(Tar::package().symlink("package/l", "package.json"), "package/l")),
            ("through a symlink", linked(Tar::package().symlink("package/l", "."), "package/l/package.json")),
            ("below a file", linked(Tar::package(), "package/package.json/x")),
            ("over a file", Tar::package().file("package/x", b"x").hard_link("package/x", "package/package.json").gz()),
        ],
    );
}

#[test]
fn special_entries_are_unsafe() {
    let label = || {
        let entry = Entry::special(b'V', "label").field(Field::Mode, "").field(Field::Uid, "").field(Field::Gid, "");
        Tarball::new().entry(entry.field(Field::Magic, "")).gzip()
    };
    let dump = || {
        let entry = Entry::special(b'D', "package/d").field(Field::Magic, "ustar  \0");
        Tarball::new().entry(entry.field(Field::Prefix, "14000000000\x0014000000000\0")).gzip()
    };
    let flagged = |flag| header(Header { name: b"package/x", flag, ..FILE });
    all_are(
        "archive_unsafe_entry",
        vec![
            ("character device", flagged(b'3')),
            ("block device", flagged(b'4')),
            ("pipe", flagged(b'6')),
            ("contiguous file", flagged(b'7')),
            ("GNU sparse", flagged(b'S')),
            ("GNU multi-volume", flagged(b'M')),
            ("Solaris header", flagged(b'X')),
            ("GNU volume label", header(Header { name: b"label", flag: b'V', size: &[0; 12], magic: b"", ..FILE })),
            ("GNU volume label without a mode", label()),
            ("GNU folder of a dump, with times", dump()),
            ("unknown, unprintable", flagged(0x1b)),
            ("PAX sparse", Tar::package().pax(b'x', &[("GNU.sparse.major", "1")]).file("package/x", b"x").gz()),
            ("star sparse", Tar::package().pax(b'x', &[("SCHILY.realsize", "9")]).file("package/x", b"x").gz()),
        ],
    );
}

#[test]
fn sizes_that_cannot_be_true_are_invalid() {
    let sized = |size: &[u8]| header(Header { name: b"package/x", size, ..FILE });
    all_are(
        "archive_invalid",
        vec![
            ("negative", sized(&[0xff; 12])),
            ("negative octal", sized(b"-0000000001\0")),
            ("larger than the stream", sized(&octal(4096))),
            ("larger than any stream", sized(b"77777777777\0")),
            ("base 256, overflowing", sized(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
            (
                "PAX, larger than any stream",
                Tar::package().pax(b'x', &[("size", "18446744073709551615")]).file("package/x", b"").gz(),
            ),
            ("PAX and another one", Tar::package().pax(b'x', &[("size", "4")]).file("package/x", b"12345").gz()),
            (
                "link with a payload",
                Tar::package()
                    .header(Header { name: b"package/l", flag: b'2', link: b"x", size: &octal(1), ..FILE })
                    .payload(b"x")
                    .gz(),
            ),
            (
                "hard link with a payload",
                Tar::package()
                    .header(Header {
                        name: b"package/l",
                        flag: b'1',
                        link: b"package/package.json",
                        size: &octal(1),
                        ..FILE
                    })
                    .payload(b"x")
                    .gz(),
            ),
            (
                "folder with a payload",
                Tar::package()
                    .header(Header { name: b"package/d", flag: b'5', size: &octal(1), ..FILE })
                    .payload(b"x")
                    .gz(),
            ),
            (
                "header in the payload of a PAX size",
                Tar::package().pax(b'x', &[("size", "1024")]).file("package/x", b"").file("package/y", b"").gz(),
            ),
        ],
    );
}

#[test]
fn extension_headers_that_readers_bind_differently_are_invalid() {
    let then = |tar: Tar| tar.file("package/x", b"x").gz();
    let x = |tar: Tar| tar.pax(b'x', &[("path", "package/a")]);
    all_are(
        "archive_invalid",
        vec![
            ("two PAX headers", then(x(x(Tar::package())))),
            ("PAX and GNU name", then(x(Tar::package()).extension(b'L', b"package/b\0"))),
            ("GNU name and PAX", then(x(Tar::package().extension(b'L', b"package/b\0")))),
            ("two GNU names", then(Tar::package().extension(b'L', b"package/a\0").extension(b'L', b"package/b\0"))),
            ("global after PAX", then(x(Tar::package()).pax(b'g', &[("comment", "x")]))),
            ("global with a path", then(Tar::package().pax(b'g', &[("path", "package/a")]))),
            ("global with a size", then(Tar::package().pax(b'g', &[("size", "1")]))),
            ("global with a sparse map", then(Tar::package().pax(b'g', &[("GNU.sparse.major", "1")]))),
            ("PAX before the end", x(Tar::package()).gz()),
            ("GNU name before the end", Tar::package().extension(b'L', b"package/a\0").gz()),
            ("wrong record length", then(Tar::package().extension(b'x', b"99 path=package/a\n"))),
            ("record length 0", then(Tar::package().extension(b'x', b"0 path=package/a\n"))),
            ("a key twice", then(Tar::package().pax(b'x', &[("path", "package/a"), ("path", "package/b")]))),
            ("an empty path", then(Tar::package().pax(b'x', &[("path", "")]))),
            ("NUL in a PAX path", then(Tar::package().pax(b'x', &[("path", "package/a\0b")]))),
        ],
    );
}

#[test]
fn broken_streams_are_invalid() {
    let good = Tar::package().file("package/x", &[7; 5000]).gz();
    let changed = |at: usize, with: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= with;
        bytes
    };
    let tar = Tar::package().file("package/x", b"x");
    all_are(
        "archive_invalid",
        vec![
            ("nothing", Vec::new()),
            ("zip", b"PK\x03\x04 and so on".to_vec()),
            ("xz", b"\xfd7zXZ\0 and so on".to_vec()),
            ("only a gzip header", good[..10].to_vec()),
            ("cut in the stream", good[..good.len() / 2].to_vec()),
            ("cut in the trailer", good[..good.len() - 1].to_vec()),
            ("wrong CRC", changed(good.len() - 8, 1)),
            ("wrong length", changed(good.len() - 4, 1)),
            ("two members", [good.clone(), gzip(b"")].concat()),
            ("a tar in two members", [gzip(&tar.0), gzip(&[0; 1024])].concat()),
            ("garbage after the trailer", [good.clone(), b"x".to_vec()].concat()),
            ("zeros after the trailer", [good.clone(), vec![0; 512]].concat()),
            ("gzip of text", gzip(b"this is no tar")),
            ("gzip of nothing", gzip(b"")),
            ("wrong checksum", {
                let mut tar = tar.clone();
                tar.0[1] ^= 1;
                tar.gz()
            }),
            ("unknown magic", header(Header { name: b"package/x", magic: b"tarfs\x0000", ..FILE })),
            ("no end blocks", tar.clone().gz_without_end()),
            ("one end block", tar.clone().payload(&[0; 512]).gz_without_end()),
            ("one end block, then an entry", tar.clone().payload(&[0; 512]).file("package/y", b"y").gz()),
            ("an entry after the end", tar.clone().payload(&[0; 1024]).file("package/y", b"y").gz()),
            ("a byte after the end", Tar([tar.clone().payload(&[0; 2048]).0, b"x".to_vec()].concat()).gz_without_end()),
            ("cut in a payload", Tar(tar.0[..tar.0.len() - 512].to_vec()).gz_without_end()),
            ("cut in a header", Tar(tar.0[..tar.0.len() - 700].to_vec()).gz_without_end()),
        ],
    );
}

#[test]
fn other_layouts_are_named() {
    let rows = [
        ("no package folder", Tar::default().file("plugin/package.json", MANIFEST).gz(), "found `plugin`"),
        ("a second folder", Tar::package().file("evil/x", b"x").gz(), "found `evil`"),
        ("a file on top", Tar::package().file("index.json", b"x").gz(), "found `index.json`"),
        ("empty", Tar::default().gz(), "found nothing"),
        ("only the root", Tar::default().dir("./", 0o755).gz(), "found nothing"),
        ("almost the name", Tar::default().file("packages/package.json", MANIFEST).gz(), "found `packages`"),
    ];
    for (name, artifact, said) in rows {
        let outcome = outcome(&artifact);
        assert_eq!(outcome.reason(), "archive_layout", "{name}");
        let error = outcome.result.unwrap_err();
        assert_is_told(name, &error);
        let error = error.to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
    all_are(
        "archive_unsafe_entry",
        vec![
            ("package is a file", Tar::default().file("package", b"x").gz()),
            ("package is a link", Tar::default().symlink("package", ".").gz()),
        ],
    );
}

#[test]
fn plugins_without_a_usable_manifest_are_rejected() {
    let with = |text: &str| Tar::default().file("package/package.json", text.as_bytes()).gz();
    let named = |name: &str| with(&format!(r#"{{"name":"{name}","version":"1","backstage":{{"role":"r"}}}}"#));
    all_are(
        "manifest_invalid",
        vec![
            ("none", Tar::default().file("package/x", b"x").gz()),
            ("only the folder", Tar::default().dir("package/", 0o755).gz()),
            ("not JSON", with("nope")),
            ("a folder", Tar::default().dir("package/package.json", 0o755).gz()),
            ("a link", Tar::default().file("package/p.json", MANIFEST).symlink("package/package.json", "p.json").gz()),
            ("too large", with(&format!("{}{}", " ".repeat(1024 * 1024), str::from_utf8(MANIFEST).unwrap()))),
            ("name with ..", named("../x")),
            ("scoped name with ..", named("@a/../x")),
            ("name .", named(".")),
            ("empty name", named("")),
            ("absolute name", named("/abs")),
            ("long name", named(&"a".repeat(215))),
            ("upper case", named("Plug")),
        ],
    );
}

#[test]
fn what_is_beside_a_selected_folder_is_checked_too() {
    let folder = |path: &str| Layout::Folder(EntryPath::parse(path.as_bytes(), &Limits::default()).unwrap());
    let plugin = Tar::default().file("plugins/a/package.json", MANIFEST);
    let rows = [
        ("traversal beside", plugin.clone().file("b/../../x", b"x").gz(), "archive_unsafe_entry"),
        (
            "device beside",
            plugin.clone().header(Header { name: b"b", flag: b'3', ..FILE }).gz(),
            "archive_unsafe_entry",
        ),
        ("escaping link beside", plugin.clone().symlink("b/l", "../../x").gz(), "archive_unsafe_entry"),
        ("absolute link beside", plugin.clone().symlink("b/l", "/x").gz(), "archive_unsafe_entry"),
        ("traversing hard link beside", plugin.clone().hard_link("b/h", "../x").gz(), "archive_unsafe_entry"),
        (
            "hard link to a sibling",
            plugin.clone().file("b/x", b"x").hard_link("plugins/a/x", "b/x").gz(),
            "archive_unsafe_entry",
        ),
        (
            "symlink to a sibling",
            plugin.clone().file("b/x", b"x").symlink("plugins/a/x", "../../b/x").gz(),
            "archive_unsafe_entry",
        ),
        ("the same file twice beside", plugin.clone().file("b/x", b"1").file("b/x", b"2").gz(), "archive_unsafe_entry"),
        ("a file and below it beside", plugin.clone().file("b", b"1").file("b/x", b"2").gz(), "archive_unsafe_entry"),
        ("below a link beside", plugin.clone().symlink("b", "c").file("b/x", b"2").gz(), "archive_unsafe_entry"),
        ("folder over a link beside", plugin.clone().symlink("b", "c").dir("b", 0o755).gz(), "archive_unsafe_entry"),
        ("link over a folder beside", plugin.clone().dir("b", 0o755).symlink("b", "c").gz(), "archive_unsafe_entry"),
        ("hard link to nothing beside", plugin.clone().hard_link("b/h", "b/x").gz(), "archive_unsafe_entry"),
        ("hard link to itself beside", plugin.clone().hard_link("b/h", "b/h").gz(), "archive_unsafe_entry"),
        (
            "hard link to a folder beside",
            plugin.clone().dir("b", 0o755).hard_link("c", "b").gz(),
            "archive_unsafe_entry",
        ),
        (
            "hard link to a link beside",
            plugin.clone().symlink("b", "c").hard_link("d", "b").gz(),
            "archive_unsafe_entry",
        ),
        ("the folder is a link", Tar::default().symlink("plugins/a", "b").gz(), "archive_unsafe_entry"),
        ("a folder above is a link", plugin.clone().symlink("plugins", "b").gz(), "archive_unsafe_entry"),
        (
            "size beside",
            plugin.clone().header(Header { name: b"b", size: &octal(4096), ..FILE }).gz(),
            "archive_invalid",
        ),
        ("nothing matches", Tar::default().file("x/1", b"").file("y/1", b"").file("x/2", b"").gz(), "archive_layout"),
    ];
    for (name, artifact, reason) in rows {
        let outcome = outcome_of(&artifact, &folder("plugins/a"), &Limits::default());
        assert_eq!(outcome.reason(), reason, "{name}: {:?}", outcome.result);
        if reason == "archive_layout" {
            let error = outcome.result.unwrap_err().to_string();
            assert_eq!(error, "expected the plugin in `plugins/a/`, found `x`, `y`");
        }
    }
}

#[test]
fn errors_name_the_entry_in_which_or_after_which_they_were_found() {
    let good = Tar::package().file("package/x", &[1; 1000]);
    let cut = |at: usize| Tar(good.0[..at].to_vec()).gz_without_end();
    let all = Limits::default();
    for (artifact, limits, said) in [
        (gzip(b"no tar"), all, "read the archive, expected the rest of an entry, found the end of the stream"),
        (
            cut(1024 + 100),
            all,
            "read the archive from entry `package/package.json` on, expected the rest of an entry, found the end of the \
             stream",
        ),
        (
            cut(1024 + 512 + 100),
            all,
            "read the archive from entry `package/x` on, expected the rest of an entry, found the end of the stream",
        ),
        (
            header(Header { name: b"package/\x1b/", flag: b'5', size: &octal(1), ..FILE }),
            all,
            "read the archive from entry `package/\\u{1b}/` on, expected a payload only on files, found one on a link or \
             directory",
        ),
        (
            good.clone().gz(),
            Limits { entries: 1, ..all },
            "expected at most 1 entries, found more from entry `package/package.json` on",
        ),
        (
            good.clone().gz(),
            Limits { file: 999, ..all },
            "expected at most 999 bytes in a file, found 1000 in `package/x`",
        ),
        (good.clone().gz()[..30].to_vec(), all, "read the artifact as one gzip member"),
    ] {
        let error = outcome_of(&artifact, &Layout::Package, &limits).result.unwrap_err();
        assert_eq!(error.to_string(), said);
        assert_is_told(said, &error);
    }
}

/// Makes the checksum of a header right again.
fn checksum(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
