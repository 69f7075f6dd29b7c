//! One tar header block: POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"), GNU and v7.

use std::ops::Range;

use crate::error::Malformed;

/// Bytes of a tar block.
pub(crate) const BLOCK: usize = 512;

pub(crate) const NAME: Range<usize> = 0..100;
pub(crate) const MODE: Range<usize> = 100..108;
pub(crate) const OWNER: Range<usize> = 108..116;
pub(crate) const GROUP: Range<usize> = 116..124;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const TIME: Range<usize> = 136..148;
pub(crate) const CHECKSUM: Range<usize> = 148..156;
pub(crate) const FLAG: usize = 156;
pub(crate) const LINK: Range<usize> = 157..257;
pub(crate) const MAGIC: Range<usize> = 257..263;
pub(crate) const MAJOR: Range<usize> = 329..337;
pub(crate) const MINOR: Range<usize> = 337..345;
pub(crate) const PREFIX: Range<usize> = 345..500;

/// The magic of GNU, which takes the version's bytes as well.
const GNU: &[u8] = b"ustar  \0";
/// Where GNU has the map of a sparse file. Some readers go by it, whatever the type says.
const SPARSE: Range<usize> = 386..BLOCK;
/// What star writes at the very end, and how much of the prefix is a prefix then.
const STAR: (&[u8], usize) = (b"tar\0", 130);

/// A header whose checksum is right and whose dialect is known.
#[derive(Debug)]
pub(crate) struct Header<'b> {
    block: &'b [u8; BLOCK],
    dialect: Dialect,
}

#[derive(Debug, PartialEq, Eq)]
enum Dialect {
    Ustar,
    /// GNU keeps other things where ustar has the prefix.
    Gnu,
    V7,
}

impl<'b> Header<'b> {
    pub(crate) fn parse(block: &'b [u8; BLOCK]) -> Result<Self, Malformed> {
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let blanks = u64::from(b' ') * CHECKSUM.len() as u64;
        let computed = sum(&block[..CHECKSUM.start]) + blanks + sum(&block[CHECKSUM.end..]);
        if octal(&block[CHECKSUM])? != computed {
            return Err(Malformed::Checksum);
        }
        // Little of this is needed here, but some readers give up where one of them is rubbish.
        if ![MODE, OWNER, GROUP, TIME, MAJOR, MINOR].into_iter().all(|field| is_a_number(&block[field])) {
            return Err(Malformed::Number);
        }
        let dialect = match &block[MAGIC.start..] {
            rest if rest.starts_with(b"ustar\0") => Dialect::Ustar,
            rest if rest.starts_with(GNU) && (block[FLAG] == b'S' || blank(&block[SPARSE])) => Dialect::Gnu,
            // Some readers take a prefix from there all the same.
            rest if blank(rest) => Dialect::V7,
            _ => return Err(Malformed::Magic),
        };
        if block.ends_with(STAR.0) && text(&block[PREFIX]).len() > STAR.1 {
            return Err(Malformed::Magic);
        }
        Ok(Self { block, dialect })
    }

    pub(crate) const fn flag(&self) -> u8 {
        self.block[FLAG]
    }

    pub(crate) fn size(&self) -> Result<u64, Malformed> {
        number(&self.block[SIZE])
    }

    pub(crate) fn executable(&self) -> Result<bool, Malformed> {
        Ok(number(&self.block[MODE])? & 0o111 != 0)
    }

    pub(crate) fn name(&self) -> Vec<u8> {
        let name = text(&self.block[NAME]);
        match (&self.dialect, text(&self.block[PREFIX])) {
            (Dialect::Ustar, prefix) if !prefix.is_empty() => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(&self.block[LINK]).to_vec()
    }
}

/// Bytes from the end of a payload to the next block.
pub(crate) const fn padding(len: u64) -> u64 {
    len.next_multiple_of(BLOCK as u64) - len
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// An octal number, or a big-endian one with the top bit of the first byte set (GNU, star).
fn number(field: &[u8]) -> Result<u64, Malformed> {
    match field {
        [0x80, digits @ ..] => digits
            .iter()
            .try_fold(0_u64, |value, byte| value.checked_mul(256).map(|value| value | u64::from(*byte)))
            .ok_or(Malformed::Number),
        [first, ..] if first & 0x80 != 0 => Err(Malformed::Number),
        _ => octal(field),
    }
}

/// Whether a field holds a number of any sign, or none at all.
fn is_a_number(field: &[u8]) -> bool {
    matches!(field, [0x80 | 0xff, ..]) || octal(field).is_ok() || field.iter().all(|byte| matches!(byte, b' ' | 0))
}

/// An octal number between blanks. A field without a digit is zero to some readers and an error to others.
fn octal(field: &[u8]) -> Result<u64, Malformed> {
    let start = field.iter().take_while(|byte| **byte == b' ').count();
    let digits = field[start..].iter().take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
    if digits == 0 || field[start + digits..].iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return Err(Malformed::Number);
    }
    Ok(field[start..start + digits].iter().fold(0, |value, digit| value << 3 | u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        let rows: [(&[u8], Option<u64>); 17] = [
            (b"0000644\0", Some(0o644)),
            (b"000644 \0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777777\0", Some(0o777_7777_7777)),
            (b"777777777777", Some(0o7777_7777_7777)),
            (b"\0\0\0\0\0\0\0\0", None),
            (b"        ", None),
            (b"\x000000644", None),
            (b"0000644\x01", None),
            (b"0000648\0", None),
            (b"-000001\0", None),
            (b"64\x006\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", Some(u64::MAX)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
        ];
        for (field, expected) in rows {
            assert_eq!(number(field).ok(), expected, "{field:?}");
        }
    }
}
