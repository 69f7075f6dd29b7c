//! Subresource Integrity values, the strict subset that Butler accepts.

use std::fmt;

use base64ct::{Base64, Encoding};

use crate::Blame;

/// Bytes of a SHA-512 digest.
const SHA512_LEN: usize = 64;
/// Characters of its canonical base64 form, padding included.
const SHA512_BASE64_LEN: usize = 88;

/// One sha512 integrity value: `sha512-` and 88 characters of canonical base64.
///
/// The format is that of W3C Subresource Integrity (section 3.5), restricted: one hash, no options, no white space,
/// the standard alphabet with padding. Everything else is refused, so that two readers never disagree about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Integrity([u8; SHA512_LEN]);

impl Integrity {
    /// Parses a pinned value.
    ///
    /// # Errors
    /// [`IntegrityError::Unsupported`] for a weaker algorithm, [`IntegrityError::Invalid`] for anything that is not
    /// exactly one canonical sha512 value.
    pub fn parse(text: &str) -> Result<Self, IntegrityError> {
        let invalid = |why| IntegrityError::Invalid { why };
        if let Some(digest) = text.strip_prefix("sha512:") {
            return Err(invalid(Malformed::OciForm { sri: hex_to_sri(digest) }));
        }
        if text.trim() != text {
            let whole = Self::parse(text.trim());
            return Err(invalid(match whole {
                Err(IntegrityError::Invalid { why: Malformed::Wrapped }) => Malformed::Wrapped,
                _ => Malformed::Whitespace,
            }));
        }
        if let Some((algorithm, _)) = text.split_once('-')
            && matches!(algorithm, "sha1" | "sha256" | "sha384" | "md5")
            && !text.contains(char::is_whitespace)
        {
            return Err(IntegrityError::Unsupported { algorithm: algorithm.to_owned() });
        }
        let Some(digest) = text.strip_prefix("sha512-") else {
            return Err(invalid(if text.contains(char::is_whitespace) {
                Malformed::Several
            } else {
                Malformed::Prefix
            }));
        };
        if digest.contains(char::is_whitespace) {
            let wrapped = !digest.contains("sha");
            return Err(invalid(if wrapped { Malformed::Wrapped } else { Malformed::Several }));
        }
        if digest.contains('?') {
            return Err(invalid(Malformed::Options));
        }
        if digest.len() == 2 * SHA512_LEN && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid(Malformed::Hex { sri: hex_to_sri(digest) }));
        }
        if digest.contains(['_', '-']) {
            return Err(invalid(Malformed::UrlSafe));
        }
        if digest.len() != SHA512_BASE64_LEN {
            return Err(invalid(Malformed::Length { found: digest.len() }));
        }
        let mut bytes = [0; SHA512_LEN];
        match Base64::decode(digest, &mut bytes) {
            Ok(decoded) if decoded.len() == SHA512_LEN => Ok(Self(bytes)),
            _ => Err(invalid(Malformed::Base64)),
        }
    }

    pub(crate) const fn from_sha512(digest: [u8; SHA512_LEN]) -> Self {
        Self(digest)
    }

    /// The 64 bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; SHA512_LEN] {
        &self.0
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha512-{}", Base64::encode_string(&self.0))
    }
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Integrity {
    type Err = IntegrityError;

    fn from_str(text: &str) -> Result<Self, IntegrityError> {
        Self::parse(text)
    }
}

/// Why a text is no integrity value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// A hash algorithm that is too weak to pin code with.
    #[error("integrity must use `sha512`, found `{algorithm}`")]
    Unsupported {
        /// The algorithm's name as written.
        algorithm: String,
    },
    /// Not exactly one canonical sha512 value.
    #[error("integrity must be `sha512-` and 88 characters of base64, {why}")]
    Invalid {
        /// What is wrong with it.
        why: Malformed,
    },
}

/// The ways in which an integrity value is written wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// It does not start with `sha512-`.
    Prefix,
    /// `sha512:<hex>`, the form OCI uses; `sri` is the same digest as SRI when the hex is whole.
    OciForm {
        /// The SRI form of the same digest.
        sri: Option<Integrity>,
    },
    /// Hex after `sha512-`; `sri` is the same digest in base64.
    Hex {
        /// The SRI form of the same digest.
        sri: Option<Integrity>,
    },
    /// White space around the value.
    Whitespace,
    /// White space inside it: base64 wrapped over several lines.
    Wrapped,
    /// More than one hash.
    Several,
    /// Options after `?`.
    Options,
    /// The URL-safe alphabet.
    UrlSafe,
    /// Not 88 characters.
    Length {
        /// Characters found.
        found: usize,
    },
    /// 88 characters, but not canonical base64 of 64 bytes.
    Base64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "found another prefix",
            Self::OciForm { .. } => "found the OCI form `sha512:<hex>`",
            Self::Hex { .. } => "found hex digits",
            Self::Whitespace => "found white space around it",
            Self::Wrapped => "found white space inside it",
            Self::Several => "found several values",
            Self::Options => "found options after `?`",
            Self::UrlSafe => "found the URL-safe alphabet",
            Self::Length { found } => return write!(f, "found {found} characters"),
            Self::Base64 => "found text that is not canonical base64",
        })
    }
}

impl IntegrityError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "integrity_unsupported",
            Self::Invalid { .. } => "integrity_invalid",
        }
    }

    /// Whose move it is: the operator wrote the value.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Unsupported { .. } | Self::Invalid { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        const COMPUTE: &str = "compute it with `openssl dgst -sha512 -binary FILE | base64 -w0`";
        match self {
            Self::Unsupported { .. } => COMPUTE.to_owned(),
            Self::Invalid { why } => match why {
                Malformed::OciForm { sri: Some(sri) } | Malformed::Hex { sri: Some(sri) } => {
                    format!("the same digest in SRI form is `{sri}`")
                }
                Malformed::OciForm { sri: None } | Malformed::Hex { sri: None } | Malformed::Prefix => {
                    COMPUTE.to_owned()
                }
                Malformed::Whitespace => "remove the white space; in YAML, write the value on one line".to_owned(),
                Malformed::Wrapped => "the base64 was wrapped: use `base64 -w0` and write it on one line".to_owned(),
                Malformed::Several => "keep the one sha512 value".to_owned(),
                Malformed::Options => "remove everything from the `?` on".to_owned(),
                Malformed::UrlSafe => "use the standard alphabet: `-` is `+`, `_` is `/`".to_owned(),
                Malformed::Length { .. } | Malformed::Base64 => {
                    format!("was it cut or edited? copy it again, padding `==` included, or {COMPUTE}")
                }
            },
        }
    }
}

fn hex_to_sri(hex: &str) -> Option<Integrity> {
    crate::digest::decode_hex(hex).map(Integrity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str =
        "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";

    #[test]
    fn each_malformed_value_says_what_is_wrong() {
        let hex = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";
        let good = Integrity::parse(GOOD).unwrap();
        let rows = [
            ("empty", String::new(), Malformed::Prefix),
            ("any", "any".into(), Malformed::Prefix),
            ("upper case", GOOD.replace("sha512", "SHA512"), Malformed::Prefix),
            ("OCI form", format!("sha512:{hex}"), Malformed::OciForm { sri: Some(good) }),
            ("OCI form cut", format!("sha512:{}", &hex[1..]), Malformed::OciForm { sri: None }),
            ("hex", format!("sha512-{hex}"), Malformed::Hex { sri: Some(good) }),
            ("leading space", format!(" {GOOD}"), Malformed::Whitespace),
            ("trailing newline", format!("{GOOD}\n"), Malformed::Whitespace),
            ("wrapped, in a YAML block", format!("{}\n{}\n", &GOOD[..83], &GOOD[83..]), Malformed::Wrapped),
            ("wrapped", format!("{}\n{}", &GOOD[..83], &GOOD[83..]), Malformed::Wrapped),
            ("two", format!("{GOOD} {GOOD}"), Malformed::Several),
            ("weak one first", format!("sha256-abc {GOOD}"), Malformed::Several),
            ("options", format!("{GOOD}?ct=application/gzip"), Malformed::Options),
            ("URL-safe", GOOD.replace('+', "-"), Malformed::UrlSafe),
            ("no padding", GOOD.trim_end_matches('=').into(), Malformed::Length { found: 86 }),
            ("more padding", format!("{GOOD}="), Malformed::Length { found: 89 }),
            ("unused bits set", GOOD.replace("AQw==", "AQx=="), Malformed::Base64),
            ("not the alphabet", GOOD.replace("m3HS", "m3H!"), Malformed::Base64),
        ];
        for (name, text, why) in rows {
            assert_eq!(Integrity::parse(&text), Err(IntegrityError::Invalid { why }), "{name}");
        }
    }

    #[test]
    fn weaker_algorithms_are_unsupported() {
        for algorithm in ["sha1", "sha256", "sha384", "md5"] {
            let error = Integrity::parse(&format!("{algorithm}-AAAA")).unwrap_err();
            assert_eq!(error.reason(), "integrity_unsupported", "{algorithm}");
        }
    }

    #[test]
    fn oci_form_is_answered_with_the_sri_form() {
        let good = Integrity::parse(GOOD).unwrap();
        let error = Integrity::parse(&crate::OciDigest::from_sha512(*good.as_bytes()).to_string()).unwrap_err();
        assert!(error.hint().contains(GOOD), "{}", error.hint());
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(bytes in any::<[u8; 32]>(), more in any::<[u8; 32]>()) {
            let mut digest = [0; SHA512_LEN];
            digest[..32].copy_from_slice(&bytes);
            digest[32..].copy_from_slice(&more);
            let value = Integrity(digest);
            prop_assert_eq!(Integrity::parse(&value.to_string()), Ok(value));
        }

        #[test]
        fn parse_never_panics_and_accepts_only_canonical_text(text in "\\PC{0,120}") {
            if let Ok(value) = Integrity::parse(&text) {
                prop_assert_eq!(value.to_string(), text);
            }
        }
    }
}
