//! One plugin of any size that never stands in memory: made while it is read, the same each time.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzEncoder;
use integrity::{Algorithm, Hashed, HashingWriter};
use testkit::{Entry, Tarball};

use super::noise::noise;

/// Bytes of noise that are repeated. Deflate looks back 32 KiB, so it finds nothing to shorten.
const NOISE: usize = 1024 * 1024;
/// Bytes of a tar block.
const BLOCK: usize = 512;

/// A tarball with one large file that cannot be compressed.
#[derive(Clone)]
pub(super) struct Artifact {
    noise: Arc<[u8]>,
    /// Bytes of the large file.
    content: u64,
    len: u64,
}

/// What a registry and an operator say about it.
pub(super) struct Digests {
    /// `sha512-…`.
    pub(super) integrity: String,
    /// `sha256:…`.
    pub(super) digest: String,
}

impl Artifact {
    /// A tarball of at least `len` bytes, and not many more.
    pub(super) fn new(len: u64) -> anyhow::Result<(Self, Digests)> {
        let mut artifact = Self { noise: noise(NOISE).into(), content: len.next_multiple_of(BLOCK as u64), len: 0 };
        let mut hash = HashingWriter::with(Algorithm::Sha256, io::sink());
        artifact.len = io::copy(&mut artifact.open(), &mut hash)?;
        let hashed: Hashed<_> = hash.finish();
        let digest = hashed.digest(Algorithm::Sha256).map(|digest| digest.to_string()).unwrap_or_default();
        Ok((artifact, Digests { integrity: hashed.integrity().to_string(), digest }))
    }

    /// Bytes of the tarball, compressed.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The tarball from its beginning.
    pub(super) fn open(&self) -> impl Read + Send + 'static {
        let manifest = r#"{"name":"large","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
        let head = Tarball::new()
            .file("package/package.json", manifest)
            .entry(Entry::file("package/dist/large.bin", "").declared_size(self.content))
            .ending([])
            .tar();
        let noise = Repeated { bytes: Arc::clone(&self.noise), at: 0 }.take(self.content);
        let end = Cursor::new([0; 2 * BLOCK]);
        GzEncoder::new(Cursor::new(head).chain(noise).chain(end), Compression::none())
    }
}

/// The same bytes again and again.
struct Repeated {
    bytes: Arc<[u8]>,
    at: usize,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.at..]).read(buffer)?;
        self.at = (self.at + read) % self.bytes.len();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_gives_the_announced_bytes() {
        let (artifact, digests) = Artifact::new(3 * 1024 * 1024).unwrap();
        let mut bytes = Vec::new();
        artifact.open().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, artifact.len());
        assert_eq!(testkit::sri(&bytes), digests.integrity);
        assert_eq!(testkit::sha256_digest(&bytes), digests.digest);
    }
}
