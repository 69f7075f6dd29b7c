//! The gzip layer (RFC 1952), a field at a time.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// One gzip member around `bytes`: no time, no name, level 6, the same on every machine.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    Gzip::new(bytes).member()
}

/// A gzip member under construction; every field around the payload can be made to lie. Several members stand in a row
/// when their bytes do.
///
/// ```
/// let named = testkit::Gzip::new(b"hello").name("hello.txt").header_checksum(0);
/// assert_eq!(named.clone().length(7).member().len(), named.member().len());
/// ```
#[derive(Debug, Clone)]
pub struct Gzip {
    payload: Vec<u8>,
    method: u8,
    flags: u8,
    fields: Vec<u8>,
    header_checksum: Option<u16>,
    crc: u32,
    length: u32,
}

impl Gzip {
    /// A member that tells the truth about `payload`.
    pub fn new(payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        let mut crc = Crc::new();
        crc.update(&payload);
        Self {
            payload,
            method: 8,
            flags: 0,
            fields: Vec::new(),
            header_checksum: None,
            crc: crc.sum(),
            length: crc.amount(),
        }
    }

    /// Another method than deflate.
    #[must_use]
    pub fn method(mut self, method: u8) -> Self {
        self.method = method;
        self
    }

    /// Flags besides those of the fields that are there.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// The extra field. It comes before a name, and a name before a comment.
    #[must_use]
    pub fn extra(mut self, bytes: &[u8]) -> Self {
        let len = u16::try_from(bytes.len()).expect("an extra field has less than 64 KiB");
        self.fields.extend_from_slice(&len.to_le_bytes());
        self.fields.extend_from_slice(bytes);
        self.flags(4)
    }

    /// The name of the file inside.
    #[must_use]
    pub fn name(self, name: impl AsRef<[u8]>) -> Self {
        self.text(name.as_ref()).flags(8)
    }

    /// A comment.
    #[must_use]
    pub fn comment(self, comment: impl AsRef<[u8]>) -> Self {
        self.text(comment.as_ref()).flags(16)
    }

    /// A checksum of the header; `wrong` tells the bits that lie.
    #[must_use]
    pub fn header_checksum(mut self, wrong: u16) -> Self {
        self.header_checksum = Some(wrong);
        self.flags(2)
    }

    /// Another CRC than the payload's.
    #[must_use]
    pub fn crc(mut self, crc: u32) -> Self {
        self.crc = crc;
        self
    }

    /// Another length than the payload's.
    #[must_use]
    pub fn length(mut self, length: u32) -> Self {
        self.length = length;
        self
    }

    /// The bytes.
    pub fn member(&self) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, self.method, self.flags, 0, 0, 0, 0, 0, 0xff];
        out.extend_from_slice(&self.fields);
        if let Some(wrong) = self.header_checksum {
            let mut crc = Crc::new();
            crc.update(&out);
            let [low, high, ..] = crc.sum().to_le_bytes();
            out.extend_from_slice(&(u16::from_le_bytes([low, high]) ^ wrong).to_le_bytes());
        }
        // Compressed in one call: the compressor's output depends on how its input was cut into pieces.
        let mut compress = Compress::new(Compression::new(6), false);
        out.reserve(self.payload.len() + self.payload.len() / 1000 + 1024);
        let status = compress.compress_vec(&self.payload, &mut out, FlushCompress::Finish);
        let status = status.expect("deflate does not fail");
        assert_eq!(status, Status::StreamEnd, "deflate grows nothing by more than a thousandth");
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out
    }

    fn text(mut self, text: &[u8]) -> Self {
        self.fields.extend_from_slice(text);
        self.fields.push(0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// Whether an independent reader gives `hello` back.
    fn reads_as_hello(member: &[u8]) -> bool {
        let mut gzip = Command::new("gzip")
            .args(["--decompress", "--stdout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("gzip is installed");
        gzip.stdin.take().unwrap().write_all(member).unwrap();
        let output = gzip.wait_with_output().unwrap();
        output.status.success() && output.stdout == b"hello"
    }

    #[test]
    fn every_field_is_where_gzip_looks_for_it() {
        let all = Gzip::new("hello").extra(b"ab").name("n").comment("c");
        for (name, member, expected) in [
            ("plain", gzip(b"hello"), true),
            ("every field", all.member(), true),
            ("two members", [gzip(b"hel"), gzip(b"lo")].concat(), true),
            ("another method", all.clone().method(7).member(), false),
            ("a reserved flag", all.clone().flags(0x80).member(), false),
            ("wrong CRC", all.clone().crc(1).member(), false),
            ("wrong length", all.clone().length(4).member(), false),
        ] {
            assert_eq!(reads_as_hello(&member), expected, "{name}");
        }
    }

    #[test]
    fn a_header_checksum_is_right_unless_told_otherwise() {
        let read = |member: Vec<u8>| {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut flate2::bufread::GzDecoder::new(&*member), &mut text).map(|_| text)
        };
        let named = Gzip::new("hello").name("n");
        assert_eq!(read(named.clone().header_checksum(0).member()).unwrap(), "hello");
        assert!(read(named.header_checksum(1).member()).is_err());
    }
}
