//! A tar writer that lies on request.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A tar stream in the making.
#[derive(Clone, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

/// The fields of a header that a test may choose.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) flag: u8,
    pub(crate) link: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) size: &'a [u8],
    pub(crate) magic: &'a [u8],
}

pub(crate) const FILE: Header<'_> =
    Header { name: b"", flag: b'0', link: b"", mode: 0o644, size: b"00000000000\0", magic: b"ustar\x0000" };

impl Tar {
    /// With a good `package.json` in `package/`.
    pub(crate) fn package() -> Self {
        Self::default().file("package/package.json", crate::MANIFEST)
    }

    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.file_with_mode(name, bytes, 0o644)
    }

    pub(crate) fn file_with_mode(self, name: &str, bytes: &[u8], mode: u32) -> Self {
        let size = octal(bytes.len());
        self.header(Header { name: name.as_bytes(), mode, size: &size, ..FILE }).payload(bytes)
    }

    pub(crate) fn dir(self, name: &str, mode: u32) -> Self {
        self.header(Header { name: name.as_bytes(), flag: b'5', mode, ..FILE })
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.header(Header { name: name.as_bytes(), flag: b'2', link: target.as_bytes(), ..FILE })
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.header(Header { name: name.as_bytes(), flag: b'1', link: target.as_bytes(), ..FILE })
    }

    /// A PAX header of these records, lengths filled in.
    pub(crate) fn pax(self, flag: u8, records: &[(&str, &str)]) -> Self {
        let text: String = records.iter().map(|(key, value)| pax_record(key, value)).collect();
        self.extension(flag, text.as_bytes())
    }

    /// An extension header with any payload.
    pub(crate) fn extension(self, flag: u8, bytes: &[u8]) -> Self {
        self.header(Header { name: b"extension", flag, size: &octal(bytes.len()), ..FILE }).payload(bytes)
    }

    pub(crate) fn header(mut self, header: Header<'_>) -> Self {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, header.name);
        put(100, format!("{:07o}\0", header.mode).as_bytes());
        put(108, b"0001750\0");
        put(116, b"0001750\0");
        put(124, header.size);
        put(136, b"14000000000\0");
        put(148, b"        ");
        put(156, &[header.flag]);
        put(157, header.link);
        put(257, header.magic);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
        self
    }

    pub(crate) fn payload(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// With end-of-archive blocks, gzipped.
    pub(crate) fn gz(self) -> Vec<u8> {
        self.payload(&[0; 1024]).gz_without_end()
    }

    pub(crate) fn gz_without_end(self) -> Vec<u8> {
        gzip(&self.0)
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn octal(len: usize) -> Vec<u8> {
    format!("{len:011o}\0").into_bytes()
}

fn pax_record(key: &str, value: &str) -> String {
    let body = format!(" {key}={value}\n");
    let mut len = body.len();
    while len != body.len() + len.to_string().len() {
        len = body.len() + len.to_string().len();
    }
    format!("{len}{body}")
}
