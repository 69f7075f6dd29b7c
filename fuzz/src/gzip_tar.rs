//! An archive: what is unpacked stays in its folder, and is what was told.
//!
//! The first byte says what the others are: a gzip stream, a tar archive that the target compresses, or a tar archive
//! whose checksums it mends before that. So the fuzzer need not guess a checksum. Its highest bit asks for one plugin of
//! an image that holds several.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use integrity::{HashingWriter, Sha256, Verified};
use tarball::{Content, Dir, EntryPath, FileMode, Layout, Limits, Record, UnpackError, Unpacked, Written, unpack};
use testkit::{Entry, LongNames, Plugin, Tarball};

/// Words of tar headers and PAX records.
pub const WORDS: &[&str] = &[
    "package/",
    "package/package.json",
    "../",
    "ustar\0\x30\x30",
    "ustar  \0",
    "path=",
    "linkpath=",
    "size=",
    "GNU.sparse.",
    "././@LongLink",
    "node_modules/.bin/",
];

const BLOCK: usize = 512;

/// Unpacks twice, and compares what is there with what was told.
pub fn target(bytes: &[u8]) {
    let (gzip, layout) = (archive(bytes), layout(bytes));
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let base = base.expect("a temporary folder can be made");
    let folder = Dir::open(base.path()).expect("it can be opened");
    let unpacked = unpacked(&gzip, &layout, &folder, "first");
    assert_eq!(names(base.path()), ["first"], "something was made beside the folder");
    let Ok((unpacked, told)) = unpacked else { return };

    let root = base.path().join("first");
    assert_eq!(found(&root), told);
    assert_eq!(unpacked.files(), told.len() as u64);
    let bytes: u64 = told.values().map(Told::len).sum();
    assert_eq!(unpacked.bytes(), bytes);
    let limits = limits();
    assert!(bytes <= limits.expanded && told.len() as u64 <= limits.entries);
    for path in told.keys() {
        let parsed = EntryPath::parse(path.as_bytes(), &limits).expect("a written path is a harmless one");
        assert_eq!(parsed.as_str(), path);
    }
    assert!(matches!(told.get("package.json"), Some(Told::Regular { .. })));

    let (again, told_again) = self::unpacked(&gzip, &layout, &folder, "second").expect("it was unpacked before");
    assert_eq!((again, told_again), (unpacked, told));
}

/// What is taken from the archive that an input stands for.
pub fn layout(bytes: &[u8]) -> Layout {
    match bytes.first() {
        Some(0x80..) => Layout::Folder(EntryPath::parse(b"plugins/a", &limits()).expect("it is a path")),
        _ => Layout::Package,
    }
}

/// The archive that an input stands for.
pub fn archive(bytes: &[u8]) -> Vec<u8> {
    let Some((mode, rest)) = bytes.split_first() else { return Vec::new() };
    match mode % 0x80 % 3 {
        0 => rest.to_vec(),
        1 => gzip(rest),
        _ => gzip(&mended(rest)),
    }
}

/// A good plugin, and one archive for each way in which one goes wrong.
pub fn seeds() -> Vec<Vec<u8>> {
    let json = r#"{"name":"@a/b","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
    let plugin = || Tarball::new().dir("package").file("package/package.json", json);
    let long = format!("package/{}/x.js", "component/".repeat(11));
    let tars = [
        plugin().file("package/dist/index.cjs.js", "x").executable("package/bin/x", "#!"),
        plugin().file("package/a", "a").hardlink("package/b", "package/a").symlink("package/c/d", "../a"),
        plugin().long_names(LongNames::Gnu).file(&long, "x"),
        plugin().long_names(LongNames::Pax).file(&long, "x").symlink("package/l", &long["package/".len()..]),
        plugin().long_names(LongNames::Prefix).file(&long, "x"),
        plugin().entry(Entry::file("package/a", "ab").pax("size", "2").pax("mtime", "1.5").pax("path", "package/q")),
        plugin().entry(Entry::pax_global(&[("comment", "x"), ("path", "package/x")])).file("package/a", ""),
        plugin().entry(Entry::file("package/a", "ab").declared_size(u64::MAX)),
        plugin().entry(Entry::file("package/a", "ab").size_field(*b"\x80\0\0\0\0\0\0\0\0\0\0\x02")),
        plugin().entry(Entry::special(b'3', "package/dev")).entry(Entry::special(b'S', "package/sparse")),
        plugin().file("../x", "x").file("/etc/x", "x"),
        plugin().symlink("package/l", "../../x").file("package/l/x", "x"),
        plugin().symlink("package/l", "l2").symlink("package/l2", "l"),
        plugin().hardlink("package/h", "../x"),
        plugin().file("package/a", "1").file("package/a", "2").file("package/a/b", "3"),
        plugin().entry(Entry::link(b'2', "package/l", "a").content("payload")),
        plugin().ending(Vec::new()),
        plugin().ending(vec![b'x'; 3 * BLOCK]),
        Tarball::new().file("./package/package.json", json).dir("."),
        Tarball::new().file("other/package.json", json),
    ];
    let gzip = Plugin::backend("hello").version("1.2.3").tarball();
    let two_members = [gzip.clone(), gzip.clone()].concat();
    let raw = [gzip, two_members].map(|bytes| [&[0], bytes.as_slice()].concat());
    let lies = Tarball::new().entry(Entry::file("package/a", "a").checksum(1));
    let image = Tarball::new()
        .file("index.json", "[]")
        .file("plugins/a/package.json", json)
        .symlink("plugins/a/l", "package.json")
        .file("plugins/b/package.json", json)
        .hardlink("plugins/a/h", "plugins/a/package.json");
    let tars = tars.iter().map(|tar| [&[2], tar.tar().as_slice()].concat());
    let others = [[&[1], lies.tar().as_slice()].concat(), [&[0x82], image.tar().as_slice()].concat()];
    raw.into_iter().chain(others).chain(tars).collect()
}

/// Small, so that one input costs little.
fn limits() -> Limits {
    Limits {
        expanded: 256 * 1024,
        file: 64 * 1024,
        ratio: 20,
        ratio_from: 64 * 1024,
        entries: 64,
        depth: 16,
        path: 512,
        extension: 4 * 1024,
        manifest: 8 * 1024,
        symlinks: 4 * 1024,
        opened: 500,
        symlink_steps: 10_000,
        ..Limits::default()
    }
}

/// What is at a path, as it is told and as it is found.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Regular { len: u64, sha256: Sha256, executable: bool },
    Symlink { target: String },
}

impl Told {
    fn len(&self) -> u64 {
        match self {
            Self::Regular { len, .. } => *len,
            Self::Symlink { .. } => 0,
        }
    }
}

#[derive(Default)]
struct Everything(BTreeMap<String, Told>);

impl Record for Everything {
    fn written(&mut self, entry: &Written<'_>) -> io::Result<()> {
        let told = match entry.content {
            Content::Regular { len, sha256, mode } => {
                Told::Regular { len, sha256, executable: mode == FileMode::Executable }
            }
            Content::Symlink { target } => Told::Symlink { target: target.to_owned() },
        };
        let before = self.0.insert(entry.path.to_owned(), told);
        assert_eq!(before, None, "`{}` was told twice", entry.path);
        Ok(())
    }
}

fn unpacked(
    gzip: &[u8],
    layout: &Layout,
    folder: &Dir,
    name: &str,
) -> Result<(Unpacked, BTreeMap<String, Told>), UnpackError> {
    let into = folder.create_dir(name).expect("a folder can be made");
    let mut told = Everything::default();
    let unpacked = unpack(&mut verified(gzip), layout, &into, &limits(), &mut told)?;
    Ok((unpacked, told.0))
}

fn verified(bytes: &[u8]) -> Verified<Cursor<Vec<u8>>> {
    let mut spool = HashingWriter::new(Cursor::new(Vec::new()));
    spool.write_all(bytes).expect("memory takes all bytes");
    let hashed = spool.finish();
    let pin = hashed.integrity();
    hashed.verify(&pin).expect("the pin is its own")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    entries.map(|entry| entry.expect("so can its entries").file_name().to_string_lossy().into_owned()).collect()
}

/// Everything but folders below `root`, read through paths, which follows every link that was planted.
fn found(root: &Path) -> BTreeMap<String, Told> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for name in names(&root.join(&folder)) {
            let path = folder.join(name);
            let full = root.join(&path);
            let metadata = fs::symlink_metadata(&full).expect("what is listed is there");
            let mode = metadata.permissions().mode() & 0o7777;
            let told = if metadata.is_dir() {
                assert_eq!(mode, 0o755, "{}", path.display());
                folders.push(path);
                continue;
            } else if metadata.is_symlink() {
                // A link may lead nowhere, and to nowhere else.
                let leads_to = fs::canonicalize(&full);
                assert!(leads_to.as_ref().map_or(true, |end| end.starts_with(root)), "{} leaves", path.display());
                let target = fs::read_link(&full).expect("a link can be read");
                Told::Symlink { target: target.into_os_string().into_string().expect("a link's text is UTF-8") }
            } else {
                assert!(metadata.is_file() && matches!(mode, 0o644 | 0o755), "{} {mode:o}", path.display());
                let mut bytes = Vec::new();
                fs::File::open(&full).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a file can be read");
                let sha256 = Sha256::of_reader(&mut bytes.as_slice(), &mut [0; BLOCK]).expect("memory can be read");
                Told::Regular { len: metadata.len(), sha256, executable: mode == 0o755 }
            };
            found.insert(path.into_os_string().into_string().expect("a name is UTF-8"), told);
        }
    }
    found
}

/// One gzip member around bytes that are not compressed: fast.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

/// The same archive with the right checksum in whatever stands where a header may be.
fn mended(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK) {
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = std::str::from_utf8(&header[124..135]).unwrap_or_default();
        let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        // Never beyond the end for long: the largest size has 33 bits.
        at += size.div_ceil(BLOCK) * BLOCK;
    }
    tar
}
