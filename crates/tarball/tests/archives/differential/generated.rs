//! Archives made by chance, the same for the same seed: entries of all kinds, some of whose fields say odd things.

use testkit::{Entry, Field, Gzip, LongNames, Tarball, base_256};

use crate::MANIFEST;

/// Chance without surprise (Marsaglia's xorshift).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % sides as u64).expect("less than a usize")
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

pub(super) fn archive(dice: &mut Dice) -> Vec<u8> {
    let style = dice.one(&[LongNames::Gnu, LongNames::Pax, LongNames::Prefix]);
    let mut tarball = Tarball::new().long_names(style);
    if dice.roll(8) == 0 {
        tarball = tarball
            .entry(Entry::pax_global(&[(dice.one(&["comment", "mtime", "hdrcharset", "path", "SCHILY.x"]), "BINARY")]));
    }
    if dice.roll(3) == 0 {
        tarball = tarball.dir(dice.one(&["package", "./package", "."]));
    }
    tarball = tarball.file("package/package.json", MANIFEST);
    let mut files = vec!["package/package.json".to_owned()];
    for _ in 0..dice.roll(6) {
        for before in before(dice) {
            tarball = tarball.entry(before);
        }
        let name = name(dice);
        let entry = entry(dice, &name, &files);
        tarball = tarball.entry(odd(dice, entry));
        files.push(name);
    }
    if dice.roll(12) == 0 {
        tarball = tarball.ending(vec![0; dice.one(&[0, 512, 1024, 1536, 9216])]);
    }
    let mut tar = tarball.tar();
    if dice.roll(6) == 0 {
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(tar.len());
            tar[at] = dice.one(b"\0\x01 /.0157=xgLK\n\x80\xff");
        }
        mend(&mut tar);
    }
    let gzip = Gzip::new(&tar);
    match dice.roll(10) {
        0 => gzip.name("package.tar").comment("by chance").header_checksum(0).member(),
        1 => gzip.extra(b"AB\x02\0hi").member(),
        _ => gzip.member(),
    }
}

/// Makes the checksum of each header right.
pub(super) fn mend(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + 512) {
        at += 512;
        if header.iter().any(|byte| *byte != 0) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let digits = str::from_utf8(&header[124..135]).unwrap_or_default();
            let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or_default();
            at += size.next_multiple_of(512);
        }
    }
}

/// Headers in front of an entry, mostly none.
fn before(dice: &mut Dice) -> Vec<Entry> {
    let extension = |flag: u8, text: &str| Entry::extension(flag, text);
    match dice.roll(30) {
        0 => vec![extension(b'L', "package/renamed\0")],
        1 => vec![extension(b'L', "package/renamed")],
        2 => vec![extension(b'L', "package/renamed/\0")],
        3 => vec![extension(b'K', "package/package.json\0")],
        4 => vec![extension(b'L', "package/one\0"), extension(b'K', "two\0")],
        5 => vec![extension(b'x', "")],
        6 => vec![extension(b'x', "18 path=package/y\n"), extension(b'L', "package/z\0")],
        7 => vec![Entry::pax_global(&[("comment", "again")])],
        _ => Vec::new(),
    }
}

fn name(dice: &mut Dice) -> String {
    let folder =
        dice.one(&["package/", "package/d/", "package/d/e/", "./package/", "package//", "package/./", "package/l/"]);
    let name = match dice.roll(12) {
        0 => "n".repeat(90 + dice.roll(12)),
        1 => format!("{}/{}", "p".repeat(100 + dice.roll(60)), "n".repeat(80 + dice.roll(30))),
        2 => "e\u{301}".to_owned(),
        3 => "\u{e9}".to_owned(),
        4 => " \u{202e}x\u{2028} ".to_owned(),
        _ => (dice.one(&["a", "b", "c", "A", "l", "d", "e", "package.json"])).to_owned(),
    };
    format!("{folder}{name}{}", dice.one(&["", "", "", "", "", "", "/", "/."]))
}

fn entry(dice: &mut Dice, name: &str, files: &[String]) -> Entry {
    let target = dice.one(&[
        "a",
        "../a",
        "d/../a",
        ".",
        "..",
        "../..",
        "l/a",
        "a/",
        "./a",
        "//a",
        "missing/x",
        "../../package/a",
    ]);
    match dice.roll(10) {
        0 | 1 => Entry::dir(name.trim_end_matches('/')),
        2 => Entry::link(b'2', name, target),
        3 => Entry::link(b'1', name, &files[dice.roll(files.len())]),
        4 => Entry::link(b'1', name, format!("{}{}", &files[dice.roll(files.len())], dice.one(&["", "/", "/."]))),
        _ => Entry::file(name, vec![b'0'; dice.one(&[0, 1, 511, 512, 513, 1100])]),
    }
}

/// One thing about an entry that is unusual, or wrong.
fn odd(dice: &mut Dice, entry: Entry) -> Entry {
    match dice.roll(48) {
        0 => entry.typeflag(0),
        1 => entry.typeflag(dice.one(b"12357SxgLKMVX")),
        2 => entry.mode(dice.one(&[0, 0o100, 0o4755, 0o7777, 0o1644])),
        3 => entry.field(Field::Magic, "ustar  \0"),
        4 => entry.field(Field::Magic, ""),
        5 => entry.field(Field::Magic, dice.one(&["ustar\0\0\0", "ustar 00", "ustar  0", "ustar"])),
        6 => entry.field(Field::Padding, "\0\0\0\0\0\0\0\0tar\0"),
        7 => entry.field(Field::Link, dice.one(&["package/package.json", "/etc/passwd", "a"])),
        8 => entry
            .pax("path", dice.one(&["package/pax", "package/pax/", "package/./pax", "package//d/pax", "package/d"])),
        9 => entry.pax("linkpath", dice.one(&["package/package.json", "a", "d/a"])),
        10 => entry.pax("size", dice.one(&["0", "1", "512", "513", "0001"])),
        11 => entry.declared_size(dice.one(&[0, 1, 512, 513, 1024])),
        12 => entry.size_field(base_256(dice.one(&[0, 1, 512, -1, 1 << 62]))),
        13 => entry.size_field(*dice.one(&[
            b"          1 ",
            b"000000000001",
            b"1\0\0\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
        ])),
        14 => entry
            .pax(dice.one(&["comment", "mtime", "uid", "uname", "SCHILY.xattr.user.a", "hdrcharset", "atime"]), "1"),
        15 => entry.pax("hdrcharset", "BINARY"),
        16 => entry.pax(
            dice.one(&[" path", "path ", "\tpath", "Path", "path\0", "GNU.sparse.name", "SUN.holesdata"]),
            "package/odd",
        ),
        17 => entry.pax_bytes(dice.one(&[
            "18 path=package/y\n",
            "018 path=package/y\n",
            "18 path=package/y\n\0",
            "17 path=package/y\n",
            "0 a=\n",
            "",
        ])),
        18 => entry.pax("path", "package/one").pax("mtime", "1.5").pax("size", "1"),
        19 => entry.field(Field::Mode, dice.one(&["", "755", "0000755 ", "     755", "-1"])),
        20 => entry.field(Field::Prefix, dice.one(&["package", "package/d", "./package", "..", "/"])),
        21 => entry.typeflag(0).field(Field::Magic, ""),
        22 => entry.typeflag(0).pax("path", dice.one(&["package/old", "package/old/"])),
        _ => entry,
    }
}
