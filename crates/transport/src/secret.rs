//! Texts that are not to be shown.

use std::fmt::{self, Write as _};

use base64ct::{Base64Unpadded, Encoding as _};

/// Bytes below which a secret is not looked for.
const SHORTEST: usize = 4;

/// A text that must never be printed: passwords, tokens, `Authorization` values.
///
/// ```compile_fail,E0277
/// println!("{}", transport::Secret::new("hunter2".to_owned()));
/// ```
///
/// ```
/// println!("{}", transport::Secret::new("hunter2".to_owned()).expose());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a text repeats it: as it is, percent-encoded, in base64 or in hex. One of fewer than four bytes is not
    /// looked for, as it would stand in any text.
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let Self(secret) = self;
        let base64 = Base64Unpadded::encode_string(secret.as_bytes());
        let hex = secret.bytes().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let hex = hex.filter_map(|half| char::from_digit(half.into(), 16)).collect();
        let forms = [secret.clone(), percent_encoded(secret), base64, hex];
        let text = text.to_ascii_lowercase();
        secret.len() >= SHORTEST && forms.iter().any(|form| text.contains(&form.to_ascii_lowercase()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986, section 2.3).
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognized_in_the_forms_that_servers_repeat_it_in() {
        let secret = |text: &str| Secret::new(text.to_owned());
        for (name, text, expected) in [
            ("plain", "no pass:word here", true),
            ("in another case", "PASS:WORD", true),
            ("percent-encoded", "p=pass%3aword", true),
            ("base64", "cGFzczp3b3Jk", true),
            ("hex", "706173733A776F7264", true),
            ("half of it", "pass", false),
        ] {
            assert_eq!(secret("pass:word").is_repeated_in(text), expected, "{name}");
        }
        assert!(secret("abcd").is_repeated_in("abcde"));
        assert!(!secret("abc").is_repeated_in("abcde"));
    }
}
