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

pub(crate) const VERSION: Range<usize> = 263..265;

/// The magic of GNU, which takes the version's bytes as well.
const GNU: &[u8] = b"ustar  \0";
/// Types of entries that are unpacked, and of headers about them.
const TYPES: [u8; 9] = [0, b'0', b'1', b'2', b'5', b'x', b'g', b'L', b'K'];
/// As much as octal digits can tell of a mode.
const MODE_MAX: i64 = 0o7777_7777;
/// The year 33,658: all readers know times before it.
const TIME_MAX: i64 = 999_999_999_999;
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
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| i64::from(*byte)).sum::<i64>();
        let blanks = sum(&[b' '; CHECKSUM.end - CHECKSUM.start]);
        let computed = sum(&block[..CHECKSUM.start]) + blanks + sum(&block[CHECKSUM.end..]);
        if octal(&block[CHECKSUM])? != computed {
            return Err(Malformed::Checksum);
        }
        let dialect = match &block[MAGIC.start..] {
            rest if rest.starts_with(b"ustar\0") => Dialect::Ustar,
            rest if rest.starts_with(GNU) => Dialect::Gnu,
            // GNU tar tells devices even there.
            _ if blank(&block[MAGIC.start..MAJOR.start]) => Dialect::V7,
            _ => return Err(Malformed::Magic),
        };
        let header = Self { block, dialect };
        // A label or a dump leaves out or adds fields; it is no broken header, but a type that is refused.
        if header.is_known() {
            header.has_numbers()?;
            header.has_one_prefix()?;
        }
        Ok(header)
    }

    /// Whether this is a type that a plugin may have. Of any other only type and name are of use.
    pub(crate) fn is_known(&self) -> bool {
        TYPES.contains(&self.flag())
    }

    /// Little of this is needed here, but some readers give up where a number is rubbish or too large.
    fn has_numbers(&self) -> Result<(), Malformed> {
        let id = 0..=i64::from(u32::MAX);
        let any = i64::MIN..=i64::MAX;
        let fields = [
            (MODE, 0..=MODE_MAX),
            (OWNER, id.clone()),
            (GROUP, id),
            (TIME, -TIME_MAX..=TIME_MAX),
            (MAJOR, any.clone()),
            (MINOR, any),
        ];
        for (field, range) in fields {
            let field = &self.block[field];
            let left_out = field.iter().all(|byte| matches!(byte, b' ' | 0));
            if !left_out && !range.contains(&signed(field)?) {
                return Err(Malformed::Number);
            }
        }
        Ok(())
    }

    /// What stands where ustar has the prefix is one to some readers, whatever the dialect.
    fn has_one_prefix(&self) -> Result<(), Malformed> {
        let one = match self.dialect {
            Dialect::Ustar => {
                let prefix = text(&self.block[PREFIX]);
                let star = self.block.ends_with(STAR.0);
                prefix.is_empty() || self.block[VERSION] == *b"00" && !(star && prefix.len() > STAR.1)
            }
            Dialect::Gnu | Dialect::V7 => blank(&self.block[PREFIX.start..]),
        };
        if one { Ok(()) } else { Err(Malformed::Magic) }
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

    /// In a buffer that was used before: an allocation for each entry is what threads would wait for.
    pub(crate) fn name(&self, mut buffer: Vec<u8>) -> Vec<u8> {
        buffer.clear();
        match (&self.dialect, text(&self.block[PREFIX])) {
            (Dialect::Ustar, prefix) if !prefix.is_empty() => buffer.extend([prefix, b"/"].into_iter().flatten()),
            _ => {}
        }
        buffer.extend(text(&self.block[NAME]));
        buffer
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

fn number(field: &[u8]) -> Result<u64, Malformed> {
    u64::try_from(signed(field)?).map_err(|_| Malformed::Number)
}

/// An octal number, or a big-endian one with the top bit of the first byte set (GNU, star).
fn signed(field: &[u8]) -> Result<i64, Malformed> {
    let (sign, digits) = match field {
        [0x80, digits @ ..] => (0, digits),
        [0xff, digits @ ..] => (-1, digits),
        _ => return octal(field),
    };
    digits
        .iter()
        .try_fold(sign, |value: i64, byte| value.checked_mul(256)?.checked_add(i64::from(*byte)))
        .ok_or(Malformed::Number)
}

/// An octal number between blanks. A field without a digit is zero to some readers and an error to others.
fn octal(field: &[u8]) -> Result<i64, Malformed> {
    let start = field.iter().take_while(|byte| **byte == b' ').count();
    let digits = field[start..].iter().take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
    if digits == 0 || field[start + digits..].iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return Err(Malformed::Number);
    }
    Ok(field[start..start + digits].iter().fold(0, |value, digit| value << 3 | i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        let rows: [(&[u8], Option<u64>); 18] = [
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
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX as u64)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
        ];
        for (field, expected) in rows {
            assert_eq!(number(field).ok(), expected, "{field:?}");
        }
    }
}
