//! Records of a PAX extended header (IEEE Std 1003.1, pax, "pax Extended Header").

use crate::error::Malformed;

/// Digits of the largest time, in whole seconds: all readers know those.
const TIME_DIGITS: usize = 12;
/// Digits of the largest owner or group.
const ID_DIGITS: usize = 10;

/// The records that change what an entry is. Times, owners, comments and attributes are checked for form and dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    /// Asks for a sparse file, which is refused.
    pub(crate) sparse: bool,
}

impl Pax {
    pub(crate) fn parse(mut records: &[u8]) -> Result<Self, Malformed> {
        let mut pax = Self::default();
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(Malformed::PaxRecord)?;
            records = rest;
            match key {
                b"path" => set(&mut pax.path, text(value)?)?,
                b"linkpath" => set(&mut pax.link, text(value)?)?,
                b"size" => set(&mut pax.size, decimal(value).ok_or(Malformed::PaxRecord)?)?,
                // Not needed here, but some readers give up on one that is rubbish or too large.
                b"mtime" | b"atime" | b"ctime" if !is_time(value) => return Err(Malformed::PaxRecord),
                b"uid" | b"gid" if !is_id(value) => return Err(Malformed::PaxRecord),
                b"hdrcharset" if !matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {
                    return Err(Malformed::PaxCharset);
                }
                _ => {
                    pax.sparse |=
                        key.starts_with(b"GNU.sparse.") || matches!(key, b"SCHILY.realsize" | b"SUN.holesdata");
                }
            }
        }
        Ok(pax)
    }

    /// Whether nothing in it changes an entry.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = records.iter().position(|byte| *byte == b' ')?;
    let digits = &records[..blank];
    if digits.starts_with(b"0") {
        return None;
    }
    let len = usize::try_from(decimal(digits)?).ok()?;
    let (record, rest) = records.split_at_checked(len)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    // Some readers skip blanks before a key, or end it at a NUL, and find `path` where others find nothing they know.
    let plain = !key.starts_with(b" ") && !key.iter().any(u8::is_ascii_control);
    (plain && !key.is_empty() && !hides_a_record(value)).then_some((key, value, rest))
}

/// Whether a reader that goes line by line would find another record in a value.
fn hides_a_record(value: &[u8]) -> bool {
    value.split(|byte| *byte == b'\n').skip(1).any(|line| {
        let line = String::from_utf8_lossy(line);
        // What JavaScript passes over before a number.
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '+'));
        line.starts_with(|c: char| c.is_ascii_digit()) && line.contains('=')
    })
}

/// Seconds since 1970, or before it.
fn is_time(value: &[u8]) -> bool {
    let seconds = value.strip_prefix(b"-").unwrap_or(value);
    let mut parts = seconds.splitn(2, |byte| *byte == b'.');
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    parts.next().is_some_and(|whole| digits(whole) && whole.len() <= TIME_DIGITS) && parts.all(digits)
}

fn is_id(value: &[u8]) -> bool {
    value.len() <= ID_DIGITS && decimal(value).is_some_and(|id| u32::try_from(id).is_ok())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// An empty value would delete the key, and a NUL ends the text for half of the readers.
fn text(value: &[u8]) -> Result<Vec<u8>, Malformed> {
    if value.is_empty() || value.contains(&0) { Err(Malformed::PaxRecord) } else { Ok(value.to_vec()) }
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::PaxRepeated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_that_matter_are_kept_and_others_dropped() {
        let pax = Pax::parse(b"12 path=a=b\n17 linkpath=../x\n10 size=7\n20 mtime=1700000000\n14 comment=\xff\0\n");
        let expected = Pax { path: Some(b"a=b".into()), link: Some(b"../x".into()), size: Some(7), sparse: false };
        assert_eq!(pax, Ok(expected));
        for sparse in [&b"22 GNU.sparse.major=1\n"[..], b"21 SCHILY.realsize=9\n", b"22 SUN.holesdata= 0 9\n"] {
            assert!(Pax::parse(sparse).unwrap().sparse, "{}", sparse.escape_ascii());
        }
        assert!(Pax::parse(b"21 hdrcharset=BINARY\n").unwrap().is_empty());
        assert!(Pax::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn each_ill_formed_record_is_refused() {
        let rows: [(&str, &[u8]); 18] = [
            ("length 0", b"0 path=x\n"),
            ("length of its own prefix", b"2 path=x\n"),
            ("too short", b"8 path=x\n"),
            ("too long", b"11 path=x\n"),
            ("beyond the end", b"99 path=x\n"),
            ("no length", b" path=x\n"),
            ("signed length", b"+10 path=x\n"),
            ("huge length", b"99999999999999999999999 path=x\n"),
            ("no newline", b"10 path=xy"),
            ("no equals", b"9 pathx\n\n"),
            ("no key", b"6 =xy\n"),
            ("blank before the key", b"11  path=x\n"),
            ("tab before the key", b"11 \tpath=x\n"),
            ("nul after the key", b"11 path\0=x\n"),
            ("newline in the key", b"11 \npath=x\n"),
            ("empty path", b"8 path=\n"),
            ("nul in path", b"12 path=a\0b\n"),
            ("negative size", b"11 size=-1\n"),
        ];
        for (name, records) in rows {
            assert_eq!(Pax::parse(records), Err(Malformed::PaxRecord), "{name}");
        }
        assert_eq!(Pax::parse(b"10 path=x\n10 path=y\n"), Err(Malformed::PaxRepeated));
        assert_eq!(Pax::parse(b"25 hdrcharset=ISO-8859-1\n"), Err(Malformed::PaxCharset));
    }

    proptest! {
        #[test]
        fn parse_never_panics(records in "[0-9]{0,2} ?(path|size|x)?=?[a-z0-9]{0,8}\n?([0-9]{1,2} k=v\n)?") {
            let _ = Pax::parse(records.as_bytes());
        }
    }
}
