//! Sizes and times on the command line.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Parses `512MiB`, `2GiB`, `64KiB` or a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a number of bytes or one with KiB, MiB or GiB, found `{text}`");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// Parses `30s`, `10m`, `1h` or a number of seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a number of seconds or one with s, m or h, found `{text}`");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).map(Duration::from_secs).ok_or_else(wrong)
}

/// Parses a number from 1.
pub(crate) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("expected a number from 1, found `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        for (text, expected) in [
            ("512MiB", Some(512 << 20)),
            ("2Gi", Some(2 << 30)),
            ("100", Some(100)),
            ("0", None),
            ("", None),
            ("MiB", None),
            ("5MB", None),
            ("-1", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        for (text, expected) in
            [("30s", Some(30)), ("10m", Some(600)), ("1h", Some(3600)), ("0", Some(0)), ("1d", None), ("", None)]
        {
            assert_eq!(time(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }
}
