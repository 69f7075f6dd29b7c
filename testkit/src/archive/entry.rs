//! One entry of an archive, its header a field at a time.

use std::ops::Range;

use super::{BLOCK, LongNames, NAME_LEN, PREFIX_LEN, octal, pad, pax_record};

/// One entry; every field of its header can be made to lie.
#[derive(Debug, Clone)]
pub struct Entry {
    name: Vec<u8>,
    link: Vec<u8>,
    typeflag: u8,
    mode: u32,
    content: Vec<u8>,
    size: [u8; 12],
    checksum: Option<u32>,
    pax: Vec<u8>,
    lies: Vec<(Field, Vec<u8>)>,
}

/// A field of a header block (IEEE Std 1003.1, pax, "ustar Interchange Format"; the GNU ones in tar's manual, "Basic
/// Tar Format").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 100 bytes.
    Name,
    /// Eight bytes, octal.
    Mode,
    /// Eight bytes, octal.
    Uid,
    /// Eight bytes, octal.
    Gid,
    /// Twelve bytes, octal.
    Size,
    /// Twelve bytes, octal.
    Mtime,
    /// 100 bytes, also where an entry is no link.
    Link,
    /// Eight bytes, the version included: `ustar`, NUL, `00`; GNU's has three blanks and a NUL; before ustar, nothing.
    Magic,
    /// 32 bytes.
    UserName,
    /// 32 bytes.
    GroupName,
    /// Eight bytes, octal.
    DeviceMajor,
    /// Eight bytes, octal.
    DeviceMinor,
    /// 155 bytes; GNU keeps times and the map of a sparse file here.
    Prefix,
    /// Twelve bytes that mean nothing, or `tar` at their end in star's archives.
    Padding,
}

impl Field {
    const fn range(self) -> Range<usize> {
        match self {
            Self::Name => 0..100,
            Self::Mode => 100..108,
            Self::Uid => 108..116,
            Self::Gid => 116..124,
            Self::Size => 124..136,
            Self::Mtime => 136..148,
            Self::Link => 157..257,
            Self::Magic => 257..265,
            Self::UserName => 265..297,
            Self::GroupName => 297..329,
            Self::DeviceMajor => 329..337,
            Self::DeviceMinor => 337..345,
            Self::Prefix => 345..500,
            Self::Padding => 500..512,
        }
    }
}

impl Entry {
    /// A file of mode 644.
    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(b'0', name, b"").content(content)
    }

    /// A folder of mode 755.
    pub fn dir(name: impl AsRef<[u8]>) -> Self {
        let mut name = name.as_ref().to_vec();
        if !name.ends_with(b"/") {
            name.push(b'/');
        }
        Self::new(b'5', name, b"").mode(0o755)
    }

    /// A symlink (`2`) or hardlink (`1`).
    pub fn link(typeflag: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(typeflag, name, target.as_ref()).mode(0o777)
    }

    /// An entry without content of any type: `3` a character device, `6` a FIFO, `S` a GNU sparse file, …
    pub fn special(typeflag: u8, name: impl AsRef<[u8]>) -> Self {
        Self::new(typeflag, name, b"")
    }

    /// A sparse file in GNU's old format: `len` bytes, of which `content` stand at `offset` and all others are a hole.
    pub fn gnu_sparse(name: impl AsRef<[u8]>, len: u64, offset: u64, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        // The prefix field, past two times, an offset, and names: four pieces of the map, "more follows", the length.
        let mut prefix = [0; PREFIX_LEN];
        prefix[41..53].copy_from_slice(&octal(offset));
        prefix[53..65].copy_from_slice(&octal(content.len() as u64));
        prefix[138..150].copy_from_slice(&octal(len));
        Self::new(b'S', name, b"").content(content).field(Field::Magic, b"ustar  \0").field(Field::Prefix, prefix)
    }

    /// The records of a PAX global header (`g`), which apply to everything after it.
    pub fn pax_global(records: &[(&str, &str)]) -> Self {
        let body: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value.as_bytes())).collect();
        Self::extension(b'g', body)
    }

    /// A header that is about later ones, with any content: `x` and `g` of PAX, `L` and `K` of GNU.
    pub fn extension(typeflag: u8, content: impl AsRef<[u8]>) -> Self {
        let name: &[u8] = match typeflag {
            b'L' | b'K' => b"././@LongLink",
            b'g' => b"pax_global_header",
            _ => b"PaxHeaders/entry",
        };
        Self::new(typeflag, name, b"").content(content)
    }

    fn new(typeflag: u8, name: impl AsRef<[u8]>, link: &[u8]) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            link: link.to_vec(),
            typeflag,
            mode: 0o644,
            content: Vec::new(),
            size: octal(0),
            checksum: None,
            pax: Vec::new(),
            lies: Vec::new(),
        }
    }

    /// The payload, and the size that goes with it.
    #[must_use]
    pub fn content(mut self, content: impl AsRef<[u8]>) -> Self {
        self.content = content.as_ref().to_vec();
        self.size = octal(self.content.len() as u64);
        self
    }

    /// The permission bits, setuid and the like included.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Another type than the payload suggests.
    #[must_use]
    pub fn typeflag(mut self, typeflag: u8) -> Self {
        self.typeflag = typeflag;
        self
    }

    /// Declares another size than the payload has; call it after [`content`](Self::content).
    #[must_use]
    pub fn declared_size(self, size: u64) -> Self {
        self.size_field(octal(size))
    }

    /// The twelve bytes of the size field as they are: [`base_256`](super::base_256), a minus sign, rubbish.
    #[must_use]
    pub fn size_field(mut self, bytes: [u8; 12]) -> Self {
        self.size = bytes;
        self
    }

    /// A checksum that is not computed.
    #[must_use]
    pub fn checksum(mut self, sum: u32) -> Self {
        self.checksum = Some(sum);
        self
    }

    /// The bytes of a field as they are, filled up with zeros, under a checksum that is right all the same.
    #[must_use]
    pub fn field(mut self, field: Field, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        assert!(bytes.len() <= field.range().len(), "{field:?} has {} bytes", field.range().len());
        self.lies.push((field, bytes.to_vec()));
        self
    }

    /// A PAX record of this entry.
    #[must_use]
    pub fn pax(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let record = pax_record(key, value.as_ref());
        self.pax_bytes(record)
    }

    /// Bytes in this entry's PAX header as they are: a wrong length, no newline, megabytes.
    #[must_use]
    pub fn pax_bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.pax.extend_from_slice(bytes.as_ref());
        self
    }

    pub(super) fn write(&self, style: LongNames, out: &mut Vec<u8>) {
        let mut pax = self.pax.clone();
        let mut prefix: &[u8] = b"";
        let mut name = self.name.as_slice();
        if name.len() > NAME_LEN {
            match (style, split_prefix(name)) {
                (LongNames::Gnu, _) => long_record(b'L', name, out),
                (LongNames::Prefix, Some((head, tail))) => (prefix, name) = (head, tail),
                (LongNames::Pax | LongNames::Prefix, _) => pax.extend(pax_record("path", name)),
            }
        }
        if self.link.len() > NAME_LEN {
            match style {
                LongNames::Gnu => long_record(b'K', &self.link, out),
                LongNames::Pax | LongNames::Prefix => pax.extend(pax_record("linkpath", &self.link)),
            }
        }
        if !pax.is_empty() {
            Self::extension(b'x', pax).write_whole(out);
        }
        self.write_header(prefix, name, out);
        pad(&self.content, out);
    }

    fn write_whole(&self, out: &mut Vec<u8>) {
        self.write_header(b"", &self.name, out);
        pad(&self.content, out);
    }

    fn write_header(&self, prefix: &[u8], name: &[u8], out: &mut Vec<u8>) {
        let mut header = [0; BLOCK];
        let mut put = |field: Field, bytes: &[u8]| {
            let field = field.range();
            let len = bytes.len().min(field.len());
            header[field.clone()].fill(0);
            header[field][..len].copy_from_slice(&bytes[..len]);
        };
        put(Field::Name, name);
        put(Field::Mode, format!("{:07o}", self.mode).as_bytes());
        put(Field::Uid, b"0000000");
        put(Field::Gid, b"0000000");
        put(Field::Size, &self.size);
        put(Field::Mtime, &octal(0));
        put(Field::Link, &self.link);
        put(Field::Magic, b"ustar\x0000");
        put(Field::Prefix, prefix);
        for (field, bytes) in &self.lies {
            put(*field, bytes);
        }
        header[156] = self.typeflag;
        header[148..156].fill(b' ');
        let sum = self.checksum.unwrap_or_else(|| header.iter().copied().map(u32::from).sum());
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
    }
}

fn long_record(typeflag: u8, name: &[u8], out: &mut Vec<u8>) {
    Entry::extension(typeflag, [name, b"\0"].concat()).write_whole(out);
}

fn split_prefix(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let fits = |at: &usize| name[*at] == b'/' && *at <= PREFIX_LEN && name.len() - at - 1 <= NAME_LEN;
    let at = (1..name.len() - 1).find(fits)?;
    Some((&name[..at], &name[at + 1..]))
}
