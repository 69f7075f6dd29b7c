//! Bytes on their way from a server to an archive reader, and what is known about them at each step.

use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::Digest as _;

use crate::{Algorithm, Blame, Integrity, OciDigest, Sha256};

/// Writes through to `W` while computing sha512, and sha256 where a registry's digest asks for it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    sha512: sha2::Sha512,
    sha256: Option<sha2::Sha256>,
    len: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes with sha512 only.
    pub fn new(inner: W) -> Self {
        Self { inner, sha512: sha2::Sha512::new(), sha256: None, len: 0 }
    }

    /// Hashes with sha512 and with `algorithm`, in the same pass.
    pub fn with(algorithm: Algorithm, inner: W) -> Self {
        let sha256 = (algorithm == Algorithm::Sha256).then(sha2::Sha256::new);
        Self { sha256, ..Self::new(inner) }
    }

    /// Bytes written so far.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives the sink back, with nothing proved: what was written is to be thrown away.
    pub fn abandon(self) -> W {
        self.inner
    }

    /// Ends the stream. The bytes can no longer be changed, and not yet be read.
    pub fn finish(self) -> Hashed<W> {
        Hashed {
            inner: self.inner,
            sha512: self.sha512.finalize().into(),
            sha256: self.sha256.map(|hasher| hasher.finalize().into()),
            len: self.len,
        }
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let taken = &bytes[..written];
        self.sha512.update(taken);
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(taken);
        }
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes through to `W` while computing the SHA-256 of bytes that nobody pins.
#[derive(Debug)]
pub struct DigestWriter<W> {
    inner: W,
    sha256: sha2::Sha256,
    len: u64,
}

impl<W: Write> DigestWriter<W> {
    /// Hashes with sha256.
    pub fn new(inner: W) -> Self {
        Self { inner, sha256: sha2::Sha256::new(), len: 0 }
    }

    /// Bytes written so far.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends the stream.
    pub fn finish(self) -> Sha256 {
        self.into_parts().1
    }

    /// Ends the stream, and gives back what it went to.
    pub fn into_parts(self) -> (W, Sha256) {
        (self.inner, Sha256::from(<[u8; 32]>::from(self.sha256.finalize())))
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Bytes whose digests are known and which nobody may read yet.
///
/// There is no accessor to them: [`verify`](Self::verify) is the only way on.
///
/// ```compile_fail,E0624
/// fn peek(hashed: integrity::Hashed<std::io::Cursor<Vec<u8>>>) -> std::io::Cursor<Vec<u8>> {
///     hashed.into_inner()
/// }
/// ```
///
/// ```
/// fn prove(
///     hashed: integrity::Hashed<std::io::Cursor<Vec<u8>>>,
///     pinned: &integrity::Integrity,
/// ) -> Result<integrity::Verified<std::io::Cursor<Vec<u8>>>, integrity::Mismatch> {
///     hashed.verify(pinned)
/// }
/// ```
#[must_use = "hashed bytes prove nothing until they are verified"]
#[derive(Debug)]
pub struct Hashed<W> {
    inner: W,
    sha512: [u8; 64],
    sha256: Option<[u8; 32]>,
    len: u64,
}

impl<W> Hashed<W> {
    /// Compares with what the operator pinned.
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes are others; they are dropped with it.
    pub fn verify(self, pinned: &Integrity) -> Result<Verified<W>, Mismatch> {
        let computed = self.integrity();
        if computed == *pinned {
            Ok(Verified { evidence: Evidence::Integrity(computed), len: self.len, inner: self.into_inner() })
        } else {
            Err(Mismatch { expected: *pinned, computed, len: self.len })
        }
    }

    /// The sha512 of the bytes, as one would pin it.
    pub const fn integrity(&self) -> Integrity {
        Integrity::from_sha512(self.sha512)
    }

    /// The digest of the bytes as a registry names it; `None` when that algorithm was not computed.
    pub fn digest(&self, algorithm: Algorithm) -> Option<OciDigest> {
        match algorithm {
            Algorithm::Sha256 => self.sha256.map(OciDigest::from_sha256),
            Algorithm::Sha512 => Some(OciDigest::from_sha512(self.sha512)),
        }
    }

    /// How many bytes there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn into_inner(self) -> W {
        self.inner
    }
}

/// The promised bytes. They can be read, from the same handle that was hashed, and not be written.
///
/// Only [`Hashed::verify`] makes one.
///
/// ```compile_fail,E0451
/// fn forge(inner: std::io::Cursor<Vec<u8>>, evidence: integrity::Evidence) -> integrity::Verified<std::io::Cursor<Vec<u8>>> {
///     integrity::Verified { inner, evidence, len: 0 }
/// }
/// ```
///
/// ```
/// fn read(mut artifact: integrity::Verified<std::io::Cursor<Vec<u8>>>) -> std::io::Result<Vec<u8>> {
///     use std::io::{Read, Seek};
///     let mut bytes = Vec::new();
///     artifact.rewind()?;
///     artifact.read_to_end(&mut bytes)?;
///     Ok(bytes)
/// }
/// ```
#[must_use = "a verified artifact is meant to be unpacked"]
#[derive(Debug)]
pub struct Verified<W> {
    inner: W,
    evidence: Evidence,
    len: u64,
}

impl<W> Verified<W> {
    /// Who vouched for the bytes.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How many bytes there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<W: Read> Read for Verified<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<W: Seek> Seek for Verified<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Why bytes count as the promised ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// The operator pinned exactly this sha512.
    Integrity(Integrity),
}

/// The bytes are not the promised ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an artifact with `{expected}`, found {len} bytes with `{computed}`")]
pub struct Mismatch {
    /// What was pinned.
    pub expected: Integrity,
    /// What the bytes hash to.
    pub computed: Integrity,
    /// How many bytes were hashed.
    pub len: u64,
}

impl Mismatch {
    /// Whose move it is: the pin and the artifact disagree, and only the operator can say which one is right.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }

    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "integrity_mismatch"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn spool(algorithm: Algorithm, bytes: &[u8]) -> Hashed<Cursor<Vec<u8>>> {
        let mut writer = HashingWriter::with(algorithm, Cursor::new(Vec::new()));
        writer.write_all(bytes).unwrap();
        writer.finish()
    }

    #[test]
    fn a_digest_alone_is_the_same_one() {
        let mut writer = DigestWriter::new(Vec::new());
        writer.write_all(b"hello").unwrap();
        assert_eq!((writer.len(), writer.is_empty()), (5, false));
        assert_eq!(OciDigest::from(writer.finish()), OciDigest::of(Algorithm::Sha256, b"hello"));
    }

    #[test]
    fn verified_bytes_are_the_ones_that_were_hashed() {
        let pinned = spool(Algorithm::Sha512, b"plugin").integrity();
        let mut artifact = spool(Algorithm::Sha256, b"plugin").verify(&pinned).unwrap();
        let mut read = Vec::new();
        artifact.rewind().unwrap();
        artifact.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"plugin");
        assert_eq!(*artifact.evidence(), Evidence::Integrity(pinned));
    }

    #[test]
    fn one_flipped_bit_is_a_mismatch_that_names_both_values() {
        let pinned = spool(Algorithm::Sha512, b"plugin").integrity();
        let hashed = spool(Algorithm::Sha512, b"plugio");
        let computed = hashed.integrity();
        assert_eq!(hashed.verify(&pinned).unwrap_err(), Mismatch { expected: pinned, computed, len: 6 });
    }

    #[test]
    fn both_digests_come_from_one_pass() {
        let hashed = spool(Algorithm::Sha256, b"plugin");
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(hashed.digest(algorithm), Some(OciDigest::of(algorithm, b"plugin")));
        }
        assert_eq!(spool(Algorithm::Sha512, b"plugin").digest(Algorithm::Sha256), None);
    }

    #[test]
    fn a_short_write_hashes_only_what_was_taken() {
        struct Half(Vec<u8>);
        impl Write for Half {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let n = bytes.len().div_ceil(2);
                self.0.extend_from_slice(&bytes[..n]);
                Ok(n)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = HashingWriter::new(Half(Vec::new()));
        writer.write_all(b"plugin").unwrap();
        assert_eq!(writer.finish().integrity(), spool(Algorithm::Sha512, b"plugin").integrity());
    }
}
