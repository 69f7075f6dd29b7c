//! OCI content digests: `algorithm:hex`.

use std::fmt;

use crate::Blame;

/// The digest algorithms accepted from registries (OCI image-spec, descriptor, "Registered Algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, 64 hex digits.
    Sha256,
    /// `sha512`, 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// A content digest: lower-case hex of the algorithm's exact length (OCI image-spec, descriptor, "Digests").
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OciDigest(Bytes);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Bytes {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

/// The 32 bytes of a SHA-256 digest, shown as hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256([u8; 32]);

/// Why a text is no OCI digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest must be `sha256:` and 64 or `sha512:` and 128 lower-case hex digits")]
pub struct OciDigestError;

impl OciDigestError {
    /// Whose move it is when an operator wrote the digest; a registry's digest is judged by the caller.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

impl OciDigest {
    /// Parses `sha256:<64 hex>` or `sha512:<128 hex>`.
    ///
    /// # Errors
    /// Any other algorithm, length, case or character.
    pub fn parse(text: &str) -> Result<Self, OciDigestError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => decode_hex(hex).map(Bytes::Sha256),
            Some(("sha512", hex)) => decode_hex(hex).map(Bytes::Sha512),
            _ => None,
        }
        .map(Self)
        .ok_or(OciDigestError)
    }

    /// The digest of these bytes.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        match algorithm {
            Algorithm::Sha256 => Self(Bytes::Sha256(sha2::Sha256::digest(bytes).into())),
            Algorithm::Sha512 => Self(Bytes::Sha512(sha2::Sha512::digest(bytes).into())),
        }
    }

    pub(crate) const fn from_sha256(digest: [u8; 32]) -> Self {
        Self(Bytes::Sha256(digest))
    }

    pub(crate) const fn from_sha512(digest: [u8; 64]) -> Self {
        Self(Bytes::Sha512(digest))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Sha256(bytes) => bytes,
            Bytes::Sha512(bytes) => bytes,
        }
    }

    /// The algorithm named before the colon.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Bytes::Sha256(_) => Algorithm::Sha256,
            Bytes::Sha512(_) => Algorithm::Sha512,
        }
    }
}

impl fmt::Display for OciDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm().name())?;
        match &self.0 {
            Bytes::Sha256(bytes) => write_hex(f, bytes),
            Bytes::Sha512(bytes) => write_hex(f, bytes),
        }
    }
}

impl fmt::Debug for OciDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Sha256 {
    /// Parses 64 lower-case hex digits.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse_hex(hex: &str) -> Result<Self, OciDigestError> {
        decode_hex(hex).map(Self).ok_or(OciDigestError)
    }

    /// Hashes everything a reader gives, through `buffer`.
    ///
    /// # Errors
    /// What the reader answers.
    pub fn of_reader(reader: &mut impl std::io::Read, buffer: &mut [u8]) -> std::io::Result<Self> {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        loop {
            match reader.read(buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Sha256> for OciDigest {
    fn from(Sha256(bytes): Sha256) -> Self {
        Self::from_sha256(bytes)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// In one piece: a state has many thousand digests, and a formatter takes its time for each call.
fn write_hex<const N: usize>(f: &mut fmt::Formatter<'_>, bytes: &[u8; N]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 2 * 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    f.write_str(std::str::from_utf8(&hex[..2 * N]).unwrap_or_default())
}

pub(crate) fn decode_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let hex = hex.as_bytes();
    if hex.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_lower_case_digests_parse() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(OciDigest::parse(&good).unwrap().to_string(), good);
        let long = format!("sha512:{}", "0a".repeat(64));
        assert_eq!(OciDigest::parse(&long).unwrap().to_string(), long);
        for bad in [
            "",
            "sha256:",
            "sha256:abcd",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            &good.to_uppercase(),
            &good.replace("0a", "0A"),
            &format!("{good}0"),
            &good.replace("0a", "é"),
            "../../x",
        ] {
            assert_eq!(OciDigest::parse(bad), Err(OciDigestError), "{bad}");
        }
    }
}
