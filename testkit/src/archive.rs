//! Tar archives written field by field, so that a test can say exactly what is wrong with one.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub use self::bomb::Bomb;
pub use self::entry::{Entry, Field};
pub use self::gzip::{Gzip, gzip};

mod bomb;
mod entry;
mod gzip;

const BLOCK: usize = 512;
const NAME_LEN: usize = 100;
const PREFIX_LEN: usize = 155;

/// A tar archive under construction; entries stand in it as they were added.
///
/// ```
/// let archive = testkit::Tarball::new()
///     .dir("package")
///     .file("package/package.json", r#"{"name":"hello","version":"1.0.0"}"#)
///     .symlink("package/passwd", "/etc/passwd");
/// assert_eq!(&archive.gzip()[..2], [0x1f, 0x8b]);
/// ```
#[derive(Debug, Clone)]
pub struct Tarball {
    pieces: Vec<Piece>,
    long_names: LongNames,
    end: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Piece {
    Entry(Entry),
    Raw(Vec<u8>),
}

/// How a name that does not fit the 100 bytes of the header is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LongNames {
    /// An `L` (or `K`, for a link's target) record in front of the entry, as GNU tar does.
    #[default]
    Gnu,
    /// A PAX `x` record with `path` and `linkpath` (POSIX.1-2001, pax, "pax Extended Header").
    Pax,
    /// The `prefix` field of ustar, split at a slash, as npm does; what does not fit there either goes into a PAX record.
    Prefix,
}

impl Tarball {
    /// An archive without an entry.
    pub fn new() -> Self {
        Self { pieces: Vec::new(), long_names: LongNames::default(), end: vec![0; 2 * BLOCK] }
    }

    /// Everything below a folder on disk, under `package/`, sorted by name: the same folder gives the same bytes.
    ///
    /// # Errors
    /// A folder that cannot be read, or something in it that is no file, folder or symlink.
    pub fn from_folder(folder: &Path) -> io::Result<Self> {
        Self::new().dir("package").folder(b"package", folder)
    }

    fn folder(mut self, name: &[u8], folder: &Path) -> io::Result<Self> {
        let mut found = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        found.sort_by_key(fs::DirEntry::file_name);
        for item in found {
            let file_name = item.file_name();
            let path = item.path();
            let full = [name, b"/", file_name.as_bytes()].concat();
            let kind = item.file_type()?;
            self = if kind.is_dir() {
                self.dir(&full).folder(&full, &path)?
            } else if kind.is_symlink() {
                let target = fs::read_link(&path)?;
                self.symlink(full, target.as_os_str().as_bytes())
            } else if kind.is_file() {
                let executable = item.metadata()?.permissions().mode() & 0o111 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                self.entry(Entry::file(full, fs::read(&path)?).mode(mode))
            } else {
                let message = format!("expected a file, folder or symlink at `{}`", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            };
        }
        Ok(self)
    }

    /// Says how names over 100 bytes are written, for all entries.
    #[must_use]
    pub fn long_names(mut self, style: LongNames) -> Self {
        self.long_names = style;
        self
    }

    /// A folder; its name gets the trailing slash that tar programs write.
    #[must_use]
    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(Entry::dir(name))
    }

    /// A file of mode 644.
    #[must_use]
    pub fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(Entry::file(name, content))
    }

    /// A file of mode 755.
    #[must_use]
    pub fn executable(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(Entry::file(name, content).mode(0o755))
    }

    /// A symlink at `name` that points to `target`.
    #[must_use]
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Entry::link(b'2', name, target))
    }

    /// A hardlink at `name` to the earlier entry `target`.
    #[must_use]
    pub fn hardlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(Entry::link(b'1', name, target))
    }

    /// An entry that lies, or is of a kind the other methods do not know.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.pieces.push(Piece::Entry(entry));
        self
    }

    /// Bytes as they are, at this place: a header of one's own, or no header at all.
    #[must_use]
    pub fn raw_header(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.push(Piece::Raw(bytes.into()));
        self
    }

    /// What follows the last entry, in place of the two blocks of zeros.
    #[must_use]
    pub fn ending(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.end = bytes.into();
        self
    }

    /// The archive, uncompressed.
    pub fn tar(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Entry(entry) => entry.write(self.long_names, &mut out),
                Piece::Raw(bytes) => out.extend_from_slice(bytes),
            }
        }
        out.extend_from_slice(&self.end);
        out
    }

    /// The archive as one gzip member. The same archive gives the same bytes on every machine.
    pub fn gzip(&self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

impl Default for Tarball {
    fn default() -> Self {
        Self::new()
    }
}

/// A number of a header as GNU and star write it where octal digits do not do: big-endian with the top bit set, a
/// negative one as its complement.
pub fn base_256(value: i64) -> [u8; 12] {
    let mut field = [if value < 0 { 0xff } else { 0 }; 12];
    field[4..].copy_from_slice(&value.to_be_bytes());
    field[0] |= 0x80;
    field
}

fn octal(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if value < 1 << 33 {
        field[..11].copy_from_slice(format!("{value:011o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    }
    field
}

fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    // The record's length counts its own digits.
    let len = (1..20).map(|digits| rest + digits).find(|len| rest + len.to_string().len() == *len);
    let mut record = format!("{} {key}=", len.expect("a length exists")).into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

fn pad(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What GNU tar makes of an archive: an independent reader.
    fn listed(archive: &Tarball) -> String {
        let mut tar = Command::new("tar")
            .args(["--list", "--verbose", "--gzip", "--file=-", "--utc", "--numeric-owner"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("GNU tar is installed");
        tar.stdin.take().unwrap().write_all(&archive.gzip()).unwrap();
        String::from_utf8(tar.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn gnu_tar_reads_every_kind_of_entry() {
        let archive = Tarball::new()
            .dir("package")
            .file("package/a", "abc")
            .executable("package/b", "")
            .symlink("package/c", "a")
            .hardlink("package/d", "package/a");
        let expected = "\
drwxr-xr-x 0/0               0 1970-01-01 00:00 package/
-rw-r--r-- 0/0               3 1970-01-01 00:00 package/a
-rwxr-xr-x 0/0               0 1970-01-01 00:00 package/b
lrwxrwxrwx 0/0               0 1970-01-01 00:00 package/c -> a
hrwxrwxrwx 0/0               0 1970-01-01 00:00 package/d link to package/a
";
        assert_eq!(listed(&archive), expected);
    }

    #[test]
    fn long_names_survive_in_each_style() {
        let name = format!("package/{}/{}", "d".repeat(90), "f".repeat(95));
        let longer = format!("package/{}", "f".repeat(240));
        for style in [LongNames::Gnu, LongNames::Pax, LongNames::Prefix] {
            let archive = Tarball::new().long_names(style).file(&name, "x").file(&longer, "y").symlink("l", &longer);
            let listed = listed(&archive);
            assert!(listed.contains(&format!("{name}\n")), "{style:?}: {listed}");
            assert!(listed.contains(&format!(" {longer}\n")), "{style:?}: {listed}");
            assert!(listed.contains(&format!("-> {longer}\n")), "{style:?}: {listed}");
        }
    }

    #[test]
    fn names_may_be_any_bytes() {
        let tar = Tarball::new().file(b"package/\xff\n\x1b", "x").tar();
        assert_eq!(&tar[..11], b"package/\xff\n\x1b");
    }

    #[test]
    fn fields_lie_when_told() {
        let tar = Tarball::new().entry(Entry::file("a", "abc").declared_size(7).checksum(1)).tar();
        assert_eq!(&tar[124..135], b"00000000007");
        assert_eq!(&tar[148..156], b"000001\0 ");
        let fields = [
            (Field::Name, 0, 100),
            (Field::Mode, 100, 8),
            (Field::Uid, 108, 8),
            (Field::Gid, 116, 8),
            (Field::Size, 124, 12),
            (Field::Mtime, 136, 12),
            (Field::Link, 157, 100),
            (Field::Magic, 257, 8),
            (Field::UserName, 265, 32),
            (Field::GroupName, 297, 32),
            (Field::DeviceMajor, 329, 8),
            (Field::DeviceMinor, 337, 8),
            (Field::Prefix, 345, 155),
            (Field::Padding, 500, 12),
        ];
        for (field, at, len) in fields {
            let tar = Tarball::new().entry(Entry::file("a", "").field(field, vec![b'*'; len])).tar();
            assert!(tar[at..at + len].iter().all(|byte| *byte == b'*'), "{field:?}");
            assert!(![&tar[..at], &tar[at + len..]].concat().contains(&b'*'), "{field:?}");
        }
    }

    #[test]
    fn numbers_have_a_sign_in_base_256() {
        assert_eq!(base_256(-1), [0xff; 12]);
        assert_eq!(base_256(258), *b"\x80\0\0\0\0\0\0\0\0\0\x01\x02");
    }

    #[test]
    fn gnu_tar_reads_the_hole_of_a_sparse_file() {
        let listed = listed(&Tarball::new().entry(Entry::gnu_sparse("s", 1 << 40, 1 << 20, [1; 512])));
        assert!(listed.contains(" 1099511627776 "), "{listed}");
    }

    #[test]
    fn pax_length_counts_its_own_digits() {
        assert_eq!(pax_record("path", b"x"), b"9 path=x\n");
        let long = pax_record("path", &[b'x'; 90]);
        assert_eq!((long.len(), &long[..4]), (99, b"99 p".as_slice()));
        let longer = pax_record("path", &[b'x'; 91]);
        assert_eq!((longer.len(), &longer[..4]), (101, b"101 ".as_slice()));
    }

    #[test]
    fn folder_on_disk_packs_sorted_and_the_same_twice() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".hidden"] {
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true).open(folder.path().join(name)).unwrap().write_all(b"x").unwrap();
        }
        let packed = Tarball::from_folder(folder.path()).unwrap();
        assert_eq!(packed.gzip(), Tarball::from_folder(folder.path()).unwrap().gzip());
        let names: Vec<_> = listed(&packed).lines().map(|l| l.rsplit(' ').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["package/", "package/.hidden", "package/a", "package/b"]);
    }
}
