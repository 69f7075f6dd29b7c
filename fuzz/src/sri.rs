//! An `integrity` value: exactly the canonical form is taken.

use integrity::{Integrity, IntegrityError, Malformed};

use crate::rows;

/// Words of integrity values, right and wrong ones.
pub const WORDS: &[&str] = &["sha512-", "sha512:", "sha256-", "sha1-", "sha384-", "md5-", "==", "?ct="];

/// Compares what is taken with a pattern, and writes it out again.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Integrity::parse(text) {
        Ok(integrity) => {
            assert!(is_canonical(text), "{text:?} was taken");
            assert_eq!(integrity.to_string(), text);
        }
        Err(error) => {
            assert!(!is_canonical(text), "{text:?} was refused: {error}");
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            if let IntegrityError::Invalid {
                why: Malformed::OciForm { sri: Some(sri) } | Malformed::Hex { sri: Some(sri) },
            } = error
            {
                assert_eq!(Integrity::parse(&sri.to_string()), Ok(sri));
            }
        }
    }
}

/// The rows of the table, a value in each form, and one edited in each way that operators know.
pub fn seeds() -> Vec<Vec<u8>> {
    let hex = "9b71d224bd62f378".repeat(8);
    let good = format!("sha512-{}A==", "m3+S/".repeat(17));
    let own = [
        format!("sha512:{hex}"),
        format!("sha512-{hex}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}?ct=application/gzip"),
        format!("sha256-AAAA {good}"),
        good.replace("A==", "B=="),
        good.replace("A==", "A="),
        good.replace('+', "-"),
        good.replace("sha512", "SHA512"),
        good.replace("m3+S", "m3+\nS"),
        good,
    ];
    rows::inputs("integrity").into_iter().chain(own).map(String::into_bytes).collect()
}

/// 64 bytes in base64 (RFC 4648, section 4): 85 whole digits, one of which only two bits count, and the padding.
fn is_canonical(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("sha512-").map(str::as_bytes) else { return false };
    digits.len() == 88
        && digits[..85].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        && b"AQgw".contains(&digits[85])
        && digits[86..] == *b"=="
}
