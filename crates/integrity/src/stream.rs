//! Bytes on their way from a server to an archive reader, and what is known about them at each step.

use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::Digest as _;

use crate::{Algorithm, Blame, Danger, HashAlgorithm, Hashes, Integrity, OciDigest, Promise, Sha256};

/// Writes through to `W` while computing sha512, and what a registry's digest or an operator's pin asks for besides.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    sha512: sha2::Sha512,
    sha384: Option<sha2::Sha384>,
    sha256: Option<sha2::Sha256>,
    len: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes with sha512 only.
    pub fn new(inner: W) -> Self {
        Self { inner, sha512: sha2::Sha512::new(), sha384: None, sha256: None, len: 0 }
    }

    /// Hashes with sha512 and with `algorithm`, in the same pass.
    pub fn with(algorithm: Algorithm, inner: W) -> Self {
        let sha256 = (algorithm == Algorithm::Sha256).then(sha2::Sha256::new);
        Self { sha256, ..Self::new(inner) }
    }

    /// Hashes with what the promise asks for as well. To be said before the first byte.
    #[must_use]
    pub fn for_promise(mut self, promise: &Promise) -> Self {
        match promise {
            Promise::Hashes(hashes) => match hashes.algorithm() {
                HashAlgorithm::Sha512 => {}
                HashAlgorithm::Sha384 => self.sha384 = Some(sha2::Sha384::new()),
                HashAlgorithm::Sha256 => self.sha256 = Some(sha2::Sha256::new()),
            },
            Promise::Registry | Promise::Unchecked(_) => {}
        }
        self
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
            sha384: self.sha384.map(|hasher| hasher.finalize().into()),
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
        if let Some(hasher) = &mut self.sha384 {
            hasher.update(taken);
        }
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
#[derive(Debug, Clone)]
pub struct Hashed<W> {
    inner: W,
    sha512: [u8; 64],
    sha384: Option<[u8; 48]>,
    sha256: Option<[u8; 32]>,
    len: u64,
}

impl<W> Hashed<W> {
    /// Compares with what the operator pinned.
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes are others; they are dropped with it.
    pub fn verify(self, pinned: &Integrity) -> Result<Verified<W>, Mismatch> {
        self.matches(&Hashes::from(*pinned))
    }

    /// Compares with whatever was promised; `named` is the digest by which a registry's manifest names the bytes.
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes are others, or when a registry was to vouch for them and named none; they are
    /// dropped with it.
    pub fn keeps(self, promise: &Promise, named: Option<&OciDigest>) -> Result<Verified<W>, Mismatch> {
        match (promise, named) {
            (Promise::Hashes(hashes), _) => self.matches(hashes),
            (Promise::Unchecked(danger), _) => Ok(self.proved(Evidence::Unchecked(*danger))),
            (Promise::Registry, Some(named)) if self.digest(named.algorithm()) == Some(*named) => {
                Ok(self.proved(Evidence::OciDigest(*named)))
            }
            (Promise::Registry, named) => {
                Err(Mismatch { expected: named.map(Hashes::from), computed: self.integrity().into(), len: self.len })
            }
        }
    }

    fn matches(self, hashes: &Hashes) -> Result<Verified<W>, Mismatch> {
        let digest = match hashes.algorithm() {
            HashAlgorithm::Sha512 => Some(&self.sha512[..]),
            HashAlgorithm::Sha384 => self.sha384.as_ref().map(|digest| &digest[..]),
            HashAlgorithm::Sha256 => self.sha256.as_ref().map(|digest| &digest[..]),
        };
        if digest.is_some_and(|digest| hashes.includes(digest)) {
            let evidence = Evidence::Integrity(self.integrity());
            return Ok(self.proved(evidence));
        }
        let computed = match digest {
            Some(digest) => Hashes::one(hashes.algorithm(), digest),
            None => self.integrity().into(),
        };
        Err(Mismatch { expected: Some(hashes.clone()), computed, len: self.len })
    }

    fn proved(self, evidence: Evidence) -> Verified<W> {
        Verified { evidence, len: self.len, inner: self.into_inner() }
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
    /// The operator pinned them; this is their sha512.
    Integrity(Integrity),
    /// A registry's manifest names them by this digest, and the reference leads to that manifest, link by link.
    OciDigest(OciDigest),
    /// Nobody did.
    Unchecked(Danger),
}

/// The bytes are not the promised ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an artifact with {}, found {len} bytes with `{computed}`", shown(expected.as_ref()))]
pub struct Mismatch {
    /// What was promised; `None` where a registry was to say and did not.
    pub expected: Option<Hashes>,
    /// What the bytes hash to.
    pub computed: Hashes,
    /// How many bytes were hashed.
    pub len: u64,
}

fn shown(expected: Option<&Hashes>) -> String {
    expected.map_or_else(|| "a digest that its registry names".to_owned(), |expected| format!("`{expected}`"))
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
        assert_eq!(
            hashed.verify(&pinned).unwrap_err(),
            Mismatch { expected: Some(pinned.into()), computed: computed.into(), len: 6 }
        );
    }

    #[test]
    fn a_promise_is_kept_by_its_own_bytes_only() {
        let sri = |algorithm, text: &[u8]| {
            let digest = match algorithm {
                HashAlgorithm::Sha256 => sha2::Sha256::digest(text).to_vec(),
                HashAlgorithm::Sha384 => sha2::Sha384::digest(text).to_vec(),
                HashAlgorithm::Sha512 => sha2::Sha512::digest(text).to_vec(),
            };
            Hashes::one(algorithm, &digest)
        };
        let named = OciDigest::of(Algorithm::Sha256, b"plugin");
        for (promise, named, evidence) in [
            (Promise::Hashes(sri(HashAlgorithm::Sha256, b"plugin")), None, "Integrity"),
            (Promise::Hashes(sri(HashAlgorithm::Sha384, b"plugin")), None, "Integrity"),
            (Promise::Hashes(sri(HashAlgorithm::Sha512, b"plugin")), None, "Integrity"),
            (Promise::Registry, Some(&named), "OciDigest"),
        ] {
            let hash = |bytes: &[u8]| {
                let inner = Cursor::new(Vec::new());
                let mut writer = HashingWriter::with(Algorithm::Sha256, inner).for_promise(&promise);
                writer.write_all(bytes).unwrap();
                writer.finish().keeps(&promise, named)
            };
            let shown = format!("{:?}", hash(b"plugin").unwrap().evidence());
            assert!(shown.starts_with(evidence), "{promise}: {shown}");
            assert!(hash(b"plugio").is_err(), "{promise}");
        }
        let unnamed = spool(Algorithm::Sha256, b"plugin").keeps(&Promise::Registry, None).unwrap_err();
        assert!(
            unnamed.to_string().contains("expected an artifact with a digest that its registry names"),
            "{unnamed}"
        );
        let unchecked = spool(Algorithm::Sha512, b"x").keeps(&Promise::Unchecked(Danger::LocalFiles), None).unwrap();
        assert_eq!(*unchecked.evidence(), Evidence::Unchecked(Danger::LocalFiles));
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
