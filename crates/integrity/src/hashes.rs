//! Subresource Integrity values as npm and its relatives write them: several hashes, the strongest of which count.

use std::fmt;

use base64ct::{Base64, Encoding};

use crate::{Blame, Integrity, OciDigest};

/// Most hashes in one value.
const MAX_HASHES: usize = 16;
/// Characters of an unknown algorithm's name that are repeated.
const SHOWN: usize = 16;

/// The hash algorithms of SRI, the weakest first (W3C Subresource Integrity, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The hashes of one SRI value that count: those of its strongest algorithm, of which one must match.
///
/// The format is that of W3C Subresource Integrity (section 3.5): hashes with white space between them. Options behind
/// `?` mean nothing, as there. Unlike there, a hash of an unknown algorithm is an error and not passed over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hashes {
    algorithm: HashAlgorithm,
    /// In the order they are written; at least one.
    alternatives: Vec<Box<[u8]>>,
}

impl HashAlgorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in SRI values.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes of a digest.
    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Hashes {
    /// Parses a value.
    ///
    /// # Errors
    /// [`HashesError`] says what is wrong with the first hash that is not one.
    pub fn parse(text: &str) -> Result<Self, HashesError> {
        let mut strongest: Option<Self> = None;
        for (count, written) in text.split_ascii_whitespace().enumerate() {
            if count == MAX_HASHES {
                return Err(HashesError::TooMany);
            }
            let (algorithm, bytes) = parse_one(written)?;
            match &mut strongest {
                Some(found) if found.algorithm > algorithm => {}
                Some(found) if found.algorithm == algorithm => found.alternatives.push(bytes),
                _ => strongest = Some(Self { algorithm, alternatives: vec![bytes] }),
            }
        }
        strongest.ok_or(HashesError::Form)
    }

    pub(crate) fn one(algorithm: HashAlgorithm, bytes: &[u8]) -> Self {
        Self { algorithm, alternatives: vec![bytes.into()] }
    }

    /// The algorithm that the bytes are to be hashed with.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    pub(crate) fn includes(&self, digest: &[u8]) -> bool {
        self.alternatives.iter().any(|alternative| **alternative == *digest)
    }

    /// The value as the butler dialect has it: one sha512 and nothing else.
    pub fn as_integrity(&self) -> Option<Integrity> {
        match (&*self.alternatives, self.algorithm) {
            ([one], HashAlgorithm::Sha512) => Some(Integrity::from_sha512((**one).try_into().ok()?)),
            _ => None,
        }
    }
}

fn parse_one(written: &str) -> Result<(HashAlgorithm, Box<[u8]>), HashesError> {
    let (name, rest) = written.split_once('-').ok_or(HashesError::Form)?;
    let algorithm = HashAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
    let algorithm = algorithm.ok_or_else(|| HashesError::Unsupported { algorithm: shown(name) })?;
    let base64 = rest.split('?').next().unwrap_or_default();
    let bytes = Base64::decode_vec(base64).map_err(|_| HashesError::Base64 { algorithm })?;
    if bytes.len() != algorithm.len() {
        return Err(HashesError::Length { algorithm, expected: algorithm.len(), found: bytes.len() });
    }
    Ok((algorithm, bytes.into()))
}

/// A name of an algorithm, fit for a log.
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(SHOWN).collect()
}

impl From<Integrity> for Hashes {
    fn from(integrity: Integrity) -> Self {
        Self::one(HashAlgorithm::Sha512, integrity.as_bytes())
    }
}

impl From<&OciDigest> for Hashes {
    fn from(digest: &OciDigest) -> Self {
        let algorithm = match digest.algorithm() {
            crate::Algorithm::Sha256 => HashAlgorithm::Sha256,
            crate::Algorithm::Sha512 => HashAlgorithm::Sha512,
        };
        Self::one(algorithm, digest.as_bytes())
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The hashes that count, one blank between them.
impl fmt::Display for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, alternative) in self.alternatives.iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            write!(f, "{blank}{}-{}", self.algorithm, Base64::encode_string(alternative))?;
        }
        Ok(())
    }
}

/// Why a text is no SRI value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashesError {
    /// Not `<algorithm>-<base64>`.
    #[error("integrity must be a string of the form `<algorithm>-<hash>`")]
    Form,
    /// An algorithm that SRI does not know, or that is too weak to pin code with.
    #[error("integrity must use sha512, sha384 or sha256, found `{algorithm}`")]
    Unsupported {
        /// Its name as written.
        algorithm: String,
    },
    /// Not canonical base64 with padding.
    #[error("the {algorithm} hash of the integrity is not valid base64")]
    Base64 {
        /// The algorithm.
        algorithm: HashAlgorithm,
    },
    /// Another number of bytes than the algorithm gives.
    #[error("the {algorithm} hash of the integrity must have {expected} bytes, found {found}")]
    Length {
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// Bytes of its digests.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// More hashes than anybody writes.
    #[error("integrity must have at most {MAX_HASHES} hashes")]
    TooMany,
}

impl HashesError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "integrity_unsupported",
            Self::Form | Self::Base64 { .. } | Self::Length { .. } | Self::TooMany => "integrity_invalid",
        }
    }

    /// Whose move it is: the operator wrote the value.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Form | Self::Unsupported { .. } | Self::Base64 { .. } | Self::Length { .. } | Self::TooMany => {
                Blame::Operator
            }
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Form | Self::Unsupported { .. } | Self::TooMany => {
                "use the value that `npm view PACKAGE dist.integrity` gives, or `openssl dgst -sha512 -binary FILE | base64 -w0` behind `sha512-`"
            }
            Self::Base64 { .. } | Self::Length { .. } => {
                "was it cut or edited? copy it again, on one line and with its padding"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sri(algorithm: HashAlgorithm, byte: u8) -> String {
        format!("{algorithm}-{}", Base64::encode_string(&vec![byte; algorithm.len()]))
    }

    #[test]
    fn the_strongest_algorithm_counts_and_each_of_its_hashes() {
        let [weak, middle, strong, other] = [
            (HashAlgorithm::Sha256, 1),
            (HashAlgorithm::Sha384, 2),
            (HashAlgorithm::Sha512, 3),
            (HashAlgorithm::Sha512, 4),
        ]
        .map(|(algorithm, byte)| sri(algorithm, byte));
        for (text, shown) in [
            (weak.clone(), weak.clone()),
            (middle.clone(), middle.clone()),
            (format!("{weak} {middle}"), middle.clone()),
            (format!("{middle} {weak}"), middle.clone()),
            (format!("  {strong}\n{weak}\t{other} "), format!("{strong} {other}")),
            (format!("{strong}?ct=application/gzip"), strong.clone()),
        ] {
            let hashes = Hashes::parse(&text).unwrap();
            assert_eq!(hashes.to_string(), shown, "{text}");
            assert_eq!(Hashes::parse(&hashes.to_string()), Ok(hashes), "{text}");
        }
        let both = Hashes::parse(&format!("{strong} {other}")).unwrap();
        assert!(both.includes(&[3; 64]) && both.includes(&[4; 64]) && !both.includes(&[5; 64]));
        assert_eq!(both.as_integrity(), None);
        assert_eq!(Hashes::parse(&strong).unwrap().as_integrity().map(|one| one.to_string()), Some(strong));
    }

    #[test]
    fn what_is_no_hash_is_refused_wherever_it_stands() {
        let good = sri(HashAlgorithm::Sha512, 1);
        let sha256 = HashAlgorithm::Sha256;
        for (text, error) in [
            (String::new(), HashesError::Form),
            ("sha512".to_owned(), HashesError::Form),
            (format!("{good} x"), HashesError::Form),
            ("md5-AAAA".to_owned(), HashesError::Unsupported { algorithm: "md5".to_owned() }),
            (format!("{good} sha1-AAAA"), HashesError::Unsupported { algorithm: "sha1".to_owned() }),
            ("sha256-!".to_owned(), HashesError::Base64 { algorithm: sha256 }),
            (sri(sha256, 1).trim_end_matches('=').to_owned(), HashesError::Base64 { algorithm: sha256 }),
            ("sha256-AAAA".to_owned(), HashesError::Length { algorithm: sha256, expected: 32, found: 3 }),
            (vec![good.as_str(); MAX_HASHES + 1].join(" "), HashesError::TooMany),
        ] {
            assert_eq!(Hashes::parse(&text), Err(error), "{text}");
        }
        assert!(Hashes::parse(&vec![good.as_str(); MAX_HASHES].join(" ")).is_ok());
    }
}
