//! Archives that two readers understand differently: each is rejected, whichever reading would be harmless.

use testkit::{Entry, Field, Gzip, Tarball, base_256, gzip};

use crate::{MANIFEST, outcome, shown_file};

const GNU: &[u8] = b"ustar  \0";

/// A number of eight bytes in base 256.
fn eight(value: i64) -> [u8; 8] {
    let mut field = value.to_be_bytes();
    field[0] |= 0x80;
    field
}

fn package() -> Tarball {
    Tarball::new().file("package/package.json", MANIFEST)
}

fn file() -> Entry {
    Entry::file("package/x", "x")
}

fn with(entry: Entry) -> Tarball {
    package().entry(entry)
}

/// A header that is about later ones, then a file.
fn then(typeflag: u8, content: &[u8]) -> Tarball {
    with(Entry::extension(typeflag, content)).entry(file())
}

fn all_are(reason: &str, rows: Vec<(&'static str, Tarball)>) {
    crate::all_are(reason, rows.into_iter().map(|(name, archive)| (name, archive.gzip())));
}

#[test]
fn numbers_without_one_meaning_are_invalid() {
    let size = |bytes: &[u8; 12]| with(file().size_field(*bytes));
    let mode = |bytes: &[u8]| with(file().field(Field::Mode, bytes));
    let pax = |key: &str, value: &str| with(file().pax(key, value));
    let global = |key: &str, value: &str| with(Entry::pax_global(&[(key, value)])).entry(file());
    all_are(
        "archive_invalid",
        vec![
            ("no size", size(b"\0\0\0\0\0\0\0\0\0\0\0\0")),
            ("blank size", size(b"           \0")),
            ("NUL before the digits", size(b"\x000000000001\0")),
            ("digits after a NUL", size(b"0000001\x00001\0")),
            ("decimal size", size(b"00000000009\0")),
            ("hexadecimal size", size(b"0x000000001\0")),
            ("signed size", size(b"+0000000001\0")),
            ("tab before the digits", size(b"\t0000000001\0")),
            ("garbage after the digits", size(b"00000000001x")),
            ("GNU's old base 64", size(b"-AAAAAAAAAB\0")),
            ("negative", size(&base_256(-1))),
            ("the most negative", size(&base_256(i64::MIN))),
            ("2^63", size(b"\x80\0\0\0\x80\0\0\0\0\0\0\0")),
            ("2^63 - 1", size(&base_256(i64::MAX))),
            ("2^64", size(b"\x80\0\0\x01\0\0\0\0\0\0\0\0")),
            ("2^88", size(b"\x81\0\0\0\0\0\0\0\0\0\0\0")),
            ("no mode", mode(b"")),
            ("owner that is no number", with(file().field(Field::Uid, "NaN"))),
            ("group that is no number", with(file().field(Field::Gid, "0L00000"))),
            ("time that is no number", with(file().field(Field::Mtime, "-1"))),
            ("mode of a folder that is no number", with(Entry::dir("package/d").field(Field::Mode, "0497691"))),
            ("device that is no number", with(file().field(Field::DeviceMajor, "g"))),
            ("device with a NUL in front", with(file().field(Field::DeviceMinor, "\x000000001"))),
            ("mode that is no number", mode(b"rw-r--r-")),
            ("owner of 2^32", with(file().field(Field::Uid, eight(1 << 32)))),
            ("negative owner", with(file().field(Field::Uid, eight(-1)))),
            ("negative group", with(file().field(Field::Gid, eight(-2)))),
            ("group beyond 2^63", with(file().field(Field::Gid, b"\x80\x7f\x7f\x7f\x7f\x7f\x7f\x7f"))),
            ("time of 10^12", with(file().field(Field::Mtime, base_256(1_000_000_000_000)))),
            ("time of -10^12", with(file().field(Field::Mtime, base_256(-1_000_000_000_000)))),
            ("time beyond 2^63", with(file().field(Field::Mtime, [&[0x80][..], &[0x7f; 11]].concat()))),
            ("time below -2^63", with(file().field(Field::Mtime, [&[0xff, 0x80][..], &[0; 10]].concat()))),
            ("negative mode", mode(&eight(-1))),
            ("huge mode", mode(b"\x80\x7f\x7f\x7f\x7f\x7f\x7f\x7f")),
            ("mode of 2^24", mode(&eight(1 << 24))),
            ("time of another prefix of base 256", with(file().field(Field::Mtime, [0x81; 12]))),
            ("PAX time that is no number", pax("mtime", "nan")),
            ("PAX time without end", pax("mtime", "inf")),
            ("PAX time with an exponent", pax("mtime", "1e300")),
            ("PAX time of thirteen digits", pax("mtime", "1000000000000")),
            ("PAX time of thirteen digits before 1970", pax("atime", "-1000000000000.5")),
            ("PAX time with two points", pax("ctime", "1.2.3")),
            ("PAX time without digits", pax("mtime", "-")),
            ("PAX time that ends in a point", pax("mtime", "1.")),
            ("PAX time that begins with a point", pax("mtime", ".5")),
            ("PAX time with an underscore", pax("mtime", "1_0")),
            ("PAX time with a blank", pax("mtime", "1 ")),
            ("PAX time with a plus", pax("mtime", "+1")),
            ("empty PAX time", pax("mtime", "")),
            ("PAX owner that is no number", pax("uid", "abc")),
            ("PAX owner of thirty digits", pax("uid", &"9".repeat(30))),
            ("PAX owner of 2^32", pax("uid", "4294967296")),
            ("PAX owner of eleven digits", pax("uid", "00000000001")),
            ("negative PAX group", pax("gid", "-1")),
            ("PAX group with an underscore", pax("gid", "1_0")),
            ("global PAX time that is no number", global("mtime", "nan")),
            ("global PAX owner of thirty digits", global("uid", &"9".repeat(30))),
            ("PAX size with a sign", with(file().pax("size", "+1"))),
            ("PAX size with a fraction", with(file().pax("size", "1.0"))),
            ("PAX size with a blank", with(file().pax("size", " 1"))),
            ("empty PAX size", with(file().pax("size", ""))),
            ("PAX size 2^63", with(file().pax("size", "9223372036854775808"))),
            ("PAX size 2^64", with(file().pax("size", "18446744073709551616"))),
            ("PAX size 0 and another one", with(file().pax("size", "0"))),
        ],
    );
}

#[test]
fn headers_of_no_one_dialect_are_invalid() {
    let magic = |bytes: &[u8]| with(file().field(Field::Magic, bytes));
    let v7 = || Entry::file("package/x", "").typeflag(0).field(Field::Magic, "");
    let gnu = || file().field(Field::Magic, GNU);
    let prefixed = |magic: &str| with(Entry::file("x", "").field(Field::Magic, magic).field(Field::Prefix, "package"));
    all_are(
        "archive_invalid",
        vec![
            ("another magic", magic(b"tarfs\x0000")),
            ("GNU's, cut", magic(b"ustar ")),
            ("GNU's, with ustar's version", magic(b"ustar 00")),
            ("no NUL", magic(b"ustar000")),
            ("upper case", magic(b"USTAR\x0000")),
            ("v7 with a prefix", with(v7().field(Field::Prefix, "package/.."))),
            ("v7 with an owner", with(v7().field(Field::UserName, "root"))),
            ("v7 with something in the padding", with(v7().field(Field::Padding, "x"))),
            ("v7 with a time in the prefix's place", with(v7().field(Field::Prefix, "14000000000"))),
            ("GNU's, with a prefix", with(gnu().field(Field::Prefix, "package/d"))),
            ("GNU's, with a prefix that leads out", with(gnu().field(Field::Prefix, "../.."))),
            ("GNU's, with times", with(gnu().field(Field::Prefix, "14000000000\x0014000000000\0"))),
            ("GNU's, with an offset", with(gnu().field(Field::Prefix, [&[0; 24][..], b"00000000777"].concat()))),
            ("GNU's, with long names", with(gnu().field(Field::Prefix, [&[0; 36][..], b"1234"].concat()))),
            ("GNU's, with something in the padding", with(gnu().field(Field::Padding, "\0\0\0x"))),
            ("GNU's, of a folder", with(Entry::dir("package/d").field(Field::Magic, GNU).field(Field::Prefix, "x"))),
            ("GNU's, of a link", {
                with(Entry::link(b'2', "package/l", "x").field(Field::Magic, GNU).field(Field::Prefix, "x"))
            }),
            ("GNU's, of a long name", {
                let name = Entry::extension(b'L', "package/y\0").field(Field::Magic, GNU).field(Field::Prefix, "x");
                with(name).entry(file())
            }),
            ("ustar of version 1, with a prefix", prefixed("ustar\x0001")),
            ("ustar of no version, with a prefix", prefixed("ustar\0\0\0")),
            ("ustar of a blank version, with a prefix", prefixed("ustar\0  ")),
            ("GNU's, with a sparse map", {
                let times = [&[0; 41][..], b"00000000000\x0000000001000"].concat();
                with(file().field(Field::Magic, "ustar  \0").field(Field::Prefix, times))
            }),
            ("star's end and ustar's prefix", {
                let prefix = format!("package/{}", "p".repeat(140));
                with(file().field(Field::Prefix, prefix).field(Field::Padding, b"\0\0\0\0\0\0\0\0tar\0"))
            }),
            ("checksum of something else", with(file().checksum(0))),
            ("checksum of a name that changed", {
                let mut tar = package().entry(file()).tar();
                let at = tar.windows(9).rposition(|bytes| bytes == b"package/x").unwrap();
                tar[at + 8] = b'y';
                Tarball::new().raw_header(tar).ending([])
            }),
        ],
    );
}

#[test]
fn extension_headers_without_one_meaning_are_invalid() {
    let x = |records: &[u8]| then(b'x', records);
    let pax = |key: &str, value: &str| with(file().pax(key, value));
    let global = |key: &str, value: &str| with(Entry::pax_global(&[(key, value)])).entry(file());
    all_are(
        "archive_invalid",
        vec![
            ("blank before a key", pax(" path", "package/y")),
            ("tab before a key", pax("\tpath", "package/y")),
            ("NUL in a key", pax("path\0", "package/y")),
            ("newline in a key", pax("\npath", "package/y")),
            ("blank before a length", x(b" 19 path=package/y\n")),
            ("length in hexadecimal", x(b"0x14 path=package/y\n")),
            ("length that ends inside the value", x(b"12 path=package/y\n")),
            ("no blank after a length", x(b"18\tpath=package/y\n")),
            ("zero before a length", x(b"019 path=package/y\n")),
            ("a record in a value", pax("comment", "a\n18 path=package/y")),
            ("a record in the middle of a value", pax("comment", "a\n18 path=package/y\nb")),
            ("a record in an attribute", pax("SCHILY.xattr.user.a", "a\n19 linkpath=/etc/x\n")),
            ("a record in an access list", pax("SCHILY.acl.access", "user::rw-\n9 size=1")),
            ("a record in a value, after a blank", pax("comment", "a\n\t 20 path=package/y")),
            ("a record in a value, after no blank of ASCII", pax("comment", "a\n\u{feff}\u{a0}21 path=package/y")),
            ("a record in a value, its length signed", pax("comment", "a\n+19 path=package/y")),
            ("a record in a value, with no blank in it", pax("comment", "a\n18xpath=package/y")),
            ("a record in a value of all", global("comment", "a\n18 path=package/y\n")),
            ("zeros after the records", x(b"18 path=package/y\n\0\0\0")),
            ("only zeros", x(&[0; 512])),
            ("NUL in a path", pax("path", "package/y\0z")),
            ("empty path", pax("path", "")),
            ("path twice", x(b"18 path=package/y\n18 path=package/z\n")),
            ("size twice", x(b"9 size=1\n9 size=1\n")),
            ("another charset", pax("hdrcharset", "ISO-IR 8859 1 1998")),
            ("another charset for all", global("hdrcharset", "ISO-IR 8859 1 1998")),
            ("target of a file", pax("linkpath", "package/package.json")),
            ("target of a folder", with(Entry::dir("package/d").pax("linkpath", "package/package.json"))),
            ("target in the header of a file", with(file().field(Field::Link, "/etc/passwd"))),
            ("target in the header of an old file", with(file().typeflag(0).field(Field::Link, "x"))),
            ("target in the header of a folder", with(Entry::dir("package/d").field(Field::Link, "x"))),
            ("empty GNU target of a file", then(b'K', b"\0")),
            ("GNU target of a file", then(b'K', b"package/package.json\0")),
            ("global path", global("path", "package/y")),
            ("global target", global("linkpath", "package/y")),
            ("global size", global("size", "1")),
            ("global sparse map", global("GNU.sparse.size", "1")),
            ("global after PAX", with(Entry::extension(b'x', "")).entry(Entry::pax_global(&[])).entry(file())),
            (
                "global after a GNU name",
                with(Entry::extension(b'L', "package/y\0")).entry(Entry::pax_global(&[])).entry(file()),
            ),
            ("two PAX headers", with(Entry::extension(b'x', "")).entry(Entry::extension(b'x', "")).entry(file())),
            (
                "PAX, then a GNU name",
                with(Entry::extension(b'x', "")).entry(Entry::extension(b'L', "package/y\0")).entry(file()),
            ),
            (
                "GNU name, then PAX",
                with(Entry::extension(b'L', "package/y\0")).entry(Entry::extension(b'x', "")).entry(file()),
            ),
            ("GNU target, then PAX", {
                with(Entry::extension(b'K', "x\0")).entry(Entry::extension(b'x', "")).symlink("package/l", "x")
            }),
            ("two GNU targets", {
                with(Entry::extension(b'K', "x\0")).entry(Entry::extension(b'K', "y\0")).symlink("package/l", "x")
            }),
            ("PAX and no entry", with(Entry::extension(b'x', ""))),
            ("GNU name and no entry", with(Entry::extension(b'L', "package/y\0"))),
            ("global and no entry", with(Entry::pax_global(&[("comment", "x")]))),
            ("PAX and no more", with(Entry::extension(b'x', "")).ending([])),
        ],
    );
}

#[test]
fn sparse_files_of_every_format_are_unsafe() {
    let one = |name: &str| Entry::file(name, [vec![b'0'; 512], vec![1; 512]].concat());
    all_are(
        "archive_unsafe_entry",
        vec![
            ("GNU", with(Entry::gnu_sparse("package/s", 1 << 40, 0, [1; 512]))),
            ("GNU, empty", with(Entry::gnu_sparse("package/s", 0, 0, ""))),
            ("PAX 0.0", with(file().pax("GNU.sparse.size", "9").pax("GNU.sparse.numblocks", "1"))),
            ("PAX 0.1", with(file().pax("GNU.sparse.map", "0,1").pax("GNU.sparse.name", "package/y"))),
            (
                "PAX 1.0",
                with(one("package/s").pax("GNU.sparse.major", "1").pax("GNU.sparse.realsize", "1099511627776")),
            ),
            ("only a name", with(file().pax("GNU.sparse.name", "package/../../y"))),
            ("star", with(file().pax("SCHILY.realsize", "9"))),
            ("Solaris", with(file().pax("SUN.holesdata", " 0 9"))),
            ("folder", with(Entry::dir("package/d").pax("GNU.sparse.size", "9"))),
        ],
    );
}

#[test]
fn payloads_where_none_belongs_are_invalid() {
    let evil = || Tarball::new().file("package/../escape", "out").ending([]).tar();
    let payload = |entry: Entry| with(entry.content(evil()));
    all_are(
        "archive_invalid",
        vec![
            ("folder", payload(Entry::dir("package/d"))),
            ("symlink", payload(Entry::link(b'2', "package/l", "x"))),
            ("hard link", payload(Entry::link(b'1', "package/h", "package/package.json"))),
            ("old folder", payload(Entry::file("package/d/", "").typeflag(0))),
            ("folder, by PAX", with(Entry::dir("package/d").pax("size", "1024"))),
            ("hard link, by PAX", { with(Entry::link(b'1', "package/h", "package/package.json").pax("size", "1024")) }),
        ],
    );
}

#[test]
fn names_of_files_that_look_like_a_folders_are_unsafe() {
    let pax =
        |typeflag: u8, header: &str, path: &str| with(Entry::file(header, "").typeflag(typeflag).pax("path", path));
    all_are(
        "archive_unsafe_entry",
        vec![
            ("file", with(Entry::file("package/x/", ""))),
            ("file in itself", with(Entry::file("package/x/.", ""))),
            ("symlink", package().symlink("package/l/", "x")),
            ("hard link", package().hardlink("package/h/", "package/package.json")),
            ("target of a hard link", package().hardlink("package/h", "package/package.json/")),
            ("target of a hard link in itself", package().hardlink("package/h", "package/package.json/.")),
            ("PAX path", pax(b'0', "package/x", "package/x/")),
            ("PAX path of an old entry", pax(0, "package/x", "package/x/")),
            ("header of an old entry", pax(0, "package/x/", "package/x")),
        ],
    );
}

#[test]
fn gzip_streams_of_more_than_one_plain_member_are_invalid() {
    let tar = package().tar();
    let good = gzip(&tar);
    let other = gzip(&Tarball::new().file("package/package.json", "{}").tar());
    let half = tar.len() / 2;
    let rows = vec![
        ("two members", [gzip(&tar[..half]), gzip(&tar[half..])].concat()),
        ("an archive in each", [good.clone(), other].concat()),
        ("an empty member first", [gzip(b""), good.clone()].concat()),
        ("an empty member last", [good.clone(), gzip(b"")].concat()),
        ("a zero last", [good.clone(), vec![0]].concat()),
        ("a block of zeros last", [good.clone(), vec![0; 512]].concat()),
        ("half a header last", [&good, &b"\x1f\x8b\x08"[..]].concat()),
        ("a byte first", [&b"\n"[..], &good].concat()),
        ("wrong CRC", Gzip::new(&tar).crc(0).member()),
        ("wrong length", Gzip::new(&tar).length(0).member()),
        ("another method", Gzip::new(&tar).method(7).member()),
        ("reserved flag 5", Gzip::new(&tar).flags(1 << 5).member()),
        ("reserved flag 6", Gzip::new(&tar).flags(1 << 6).member()),
        ("reserved flag 7", Gzip::new(&tar).flags(1 << 7).member()),
        ("a name that is not there", Gzip::new(&tar).flags(1 << 3).member()),
        ("an extra field that is not there", Gzip::new(&tar).flags(1 << 2).member()),
        ("wrong header checksum", Gzip::new(&tar).name("n").header_checksum(1).member()),
        ("a name of megabytes", Gzip::new(&tar).name(vec![b'n'; 4 << 20]).member()),
        ("a name without end", [&b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"[..], &[b'n'; 1000]].concat()),
        ("cut after the deflate stream", good[..good.len() - 8].to_vec()),
        ("cut in the CRC", good[..good.len() - 6].to_vec()),
        ("cut in the header", good[..5].to_vec()),
        ("gzip in gzip", gzip(&good)),
        ("no gzip", tar.clone()),
        ("zlib", [&b"\x78\x9c"[..], &good[10..]].concat()),
        ("zip", b"PK\x03\x04\x14\0\0\0\x08\0".repeat(9)),
        ("bzip2", b"BZh91AY&SY".repeat(9)),
        ("zstd", b"\x28\xb5\x2f\xfd\x04\0".repeat(9)),
        ("HTML", b"<!doctype html><title>Sign in</title>".to_vec()),
    ];
    crate::all_are("archive_invalid", rows);
}

#[test]
fn gzip_headers_with_every_field_are_accepted() {
    let full = Gzip::new(package().tar()).flags(1).extra(b"AB\x02\0hi").name("package.tar").comment("made by hand");
    for (name, artifact) in [
        ("all fields", full.member()),
        ("all fields and their checksum", full.header_checksum(0).member()),
        ("only a name", Gzip::new(package().tar()).name("package.tar").member()),
    ] {
        assert_eq!(outcome(&artifact).reason(), "accepted", "{name}: {:?}", outcome(&artifact).result);
    }
}

#[test]
fn streams_that_end_otherwise_are_invalid() {
    let evil = || Tarball::new().file("package/y", "hidden").tar();
    let zeros = |count: usize| vec![0; count];
    let ending = |bytes: &[u8]| package().entry(file()).ending(bytes);
    let cut = |less: usize| {
        let tar = ending(&[]).tar();
        Tarball::new().raw_header(tar[..tar.len() - less].to_vec()).ending([])
    };
    all_are(
        "archive_invalid",
        vec![
            ("no end", ending(&[])),
            ("one block of zeros", ending(&zeros(512))),
            ("one and a half", ending(&zeros(768))),
            ("one block of zeros, then an entry", ending(&[zeros(512), evil()].concat())),
            ("an entry after the end", ending(&[zeros(1024), evil()].concat())),
            ("an entry far after the end", ending(&[zeros(64 * 1024), evil()].concat())),
            ("a byte after the end", ending(&[zeros(1024), vec![1]].concat())),
            ("a byte at the end of a record", ending(&[zeros(10_239), vec![1]].concat())),
            ("cut in the padding", cut(1)),
            ("cut in the payload", cut(512)),
            ("cut in the header", cut(600)),
            ("size of one block too many", with(file().declared_size(513)).ending([])),
        ],
    );
}

fn is_accepted(name: &str, archive: &Tarball, path: &str) {
    let outcome = outcome(&archive.gzip());
    assert_eq!(outcome.reason(), "accepted", "{name}: {:?}", outcome.result);
    assert_eq!(outcome.tree.get(path), Some(&shown_file(b"x", 0o644)), "{name}: {:?}", outcome.tree);
}

#[test]
fn numbers_that_all_readers_take_are_accepted() {
    for (name, archive) in [
        ("numbers at their limits", {
            let ids = file().field(Field::Uid, eight(u32::MAX.into())).field(Field::Gid, eight(u32::MAX.into()));
            let mode = eight(0o7777_7644);
            with(ids.field(Field::Mtime, base_256(999_999_999_999)).field(Field::Mode, mode))
        }),
        ("no numbers", with(file().field(Field::Uid, "").field(Field::Gid, " ").field(Field::Mtime, ""))),
        ("PAX numbers at their limits", {
            let times = file().pax("mtime", "999999999999.999999999").pax("atime", "-999999999999").pax("ctime", "0");
            with(times.pax("uid", "4294967295").pax("gid", "0000000000"))
        }),
    ] {
        is_accepted(name, &archive, "x");
    }
}

#[test]
fn what_all_readers_agree_on_is_accepted() {
    let hundred = format!("package/{}", "n".repeat(92));
    let prefix = format!("package/{}", "p".repeat(147));
    let v7 = || Entry::file("package/x", "x").typeflag(0).field(Field::Magic, "");
    let gnu = || file().field(Field::Magic, GNU);
    let named = |name: &str| with(Entry::file(name, "x"));
    for (name, archive, path) in [
        ("a name of 100 bytes, without a NUL", named(&hundred), &hundred[8..]),
        (
            "a prefix of 155 bytes, without a NUL",
            { with(Entry::file("x", "x").field(Field::Prefix, &prefix)) },
            &format!("{}/x", &prefix[8..]),
        ),
        ("two slashes", named("package//x"), "x"),
        ("a dot between", named("package/./x"), "x"),
        ("dots in front", named("././package/x"), "x"),
        ("three dots", named("package/.../x"), ".../x"),
        ("composed", named("package/\u{e9}"), "\u{e9}"),
        ("decomposed", named("package/e\u{301}"), "e\u{301}"),
        ("both", with(Entry::file("package/\u{e9}", "")).file("package/e\u{301}", "x"), "e\u{301}"),
        ("a line separator", named("package/a\u{2028}b"), "a\u{2028}b"),
        ("right to left", named("package/a\u{202e}b"), "a\u{202e}b"),
        ("blanks around", named("package/ x "), " x "),
        (
            "two folders of one name",
            package().dir("package/d").entry(Entry::dir("package/d").mode(0)).file("package/d/x", "x"),
            "d/x",
        ),
        ("a folder after its file", package().file("package/d/x", "x").dir("package/d"), "d/x"),
        ("v7", with(v7()), "x"),
        ("GNU", with(gnu()), "x"),
        ("v7 with devices", with(v7().field(Field::DeviceMajor, "0000000").field(Field::DeviceMinor, "0000000")), "x"),
        ("ustar of no version, without a prefix", with(file().field(Field::Magic, "ustar\0\0\0")), "x"),
        (
            "access lists",
            with(file().pax("SCHILY.acl.access", "user::rw-\nuser:1000:r--\ngroup::r--\n\n1000 is no record\n")),
            "x",
        ),
        ("octal with blanks", with(file().size_field(*b"          1 ")), "x"),
        ("octal without an end", with(file().size_field(*b"000000000001")), "x"),
        ("base 256", with(file().size_field(base_256(1))), "x"),
        ("the same size twice", with(file().pax("size", "1")), "x"),
        ("size in PAX only", with(file().pax("size", "1").declared_size(0)), "x"),
        ("path in PAX", with(Entry::file("package/../../no one reads this", "x").pax("path", "package/x")), "x"),
        ("empty PAX header", then(b'x', b""), "x"),
        (
            "attributes",
            with(file().pax("SCHILY.xattr.user.a b", b"\0\xff=\n").pax("LIBARCHIVE.creationtime", "1")),
            "x",
        ),
        ("charset", with(file().pax("hdrcharset", "BINARY")), "x"),
        (
            "global comments",
            {
                package()
                    .entry(Entry::pax_global(&[("comment", "a")]))
                    .entry(Entry::pax_global(&[("mtime", "1")]))
                    .entry(file())
            },
            "x",
        ),
        ("GNU name without an end", then(b'L', b"package/y"), "y"),
        (
            "owners that lie",
            {
                let lies = file()
                    .field(Field::Uid, eight(3_000_000))
                    .field(Field::Mtime, base_256(-1))
                    .field(Field::UserName, [b'r'; 32]);
                with(
                    lies.field(Field::GroupName, "\x1b[2J")
                        .field(Field::DeviceMajor, "1")
                        .field(Field::DeviceMinor, "3"),
                )
            },
            "x",
        ),
        ("zeros after the end", with(file()).ending(vec![0; 20_000]), "x"),
    ] {
        is_accepted(name, &archive, path);
    }
}
