//! Archives far larger than their bytes, and than the memory of the test that makes them.

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::{Entry, LongNames, Tarball};

/// Zeros that are compressed once and repeated: what they come to is the same each time.
const ZEROS: usize = 16 * 1024 * 1024;
/// Entries that are compressed in one go.
const ENTRIES: usize = 1000;

/// A gzipped archive that is never held uncompressed.
///
/// ```
/// use testkit::{Bomb, Entry, Tarball};
///
/// let zeros = Tarball::new().entry(Entry::file("package/zeros", "").declared_size(1 << 30)).ending([]);
/// assert!(Bomb::new().archive(&zeros).zeros(1 << 30).gzip().len() < 2 << 20);
/// ```
#[derive(Debug)]
pub struct Bomb {
    deflated: Vec<u8>,
    crc: Crc,
}

impl Bomb {
    /// Nothing at all yet, not even the end of an archive.
    pub fn new() -> Self {
        Self { deflated: Vec::new(), crc: Crc::new() }
    }

    /// The whole stream of an archive, the ending it was given included.
    #[must_use]
    pub fn archive(self, archive: &Tarball) -> Self {
        self.piece(&archive.tar())
    }

    /// Entries, a thousand of them in memory at a time.
    #[must_use]
    pub fn entries(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut tar = Vec::new();
            entries.by_ref().take(ENTRIES).for_each(|entry| entry.write(LongNames::default(), &mut tar));
            self = self.piece(&tar);
        }
        self
    }

    /// As many zeros: the payload of a file, or what follows an archive.
    #[must_use]
    pub fn zeros(mut self, count: u64) -> Self {
        let block = Self::new().piece(&vec![0; ZEROS]);
        for _ in 0..count / ZEROS as u64 {
            self.deflated.extend_from_slice(&block.deflated);
            self.crc.combine(&block.crc);
        }
        let rest = usize::try_from(count % ZEROS as u64).expect("less than one block");
        self.piece(&vec![0; rest])
    }

    /// Blocks of deflate that are stored and hold nothing, five bytes each (RFC 1951, section 3.2.4).
    #[must_use]
    pub fn empty_blocks(mut self, count: usize) -> Self {
        self.deflated.extend(b"\0\0\0\xff\xff".repeat(count));
        self
    }

    /// The member.
    pub fn gzip(self) -> Vec<u8> {
        // The empty last block of deflate, with fixed codes (RFC 1951, section 3.2.6).
        let (crc, length) = (self.crc.sum().to_le_bytes(), self.crc.amount().to_le_bytes());
        [&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], &self.deflated, &[3, 0], &crc, &length].concat()
    }

    /// Compresses a piece that refers to no other and ends at a whole byte.
    fn piece(mut self, bytes: &[u8]) -> Self {
        let mut compress = Compress::new(Compression::new(6), false);
        self.deflated.reserve(bytes.len() / 4 + 1024);
        let mut rest = bytes;
        loop {
            self.deflated.reserve(64 * 1024);
            let before = compress.total_in();
            let room = self.deflated.capacity();
            compress.compress_vec(rest, &mut self.deflated, FlushCompress::Full).expect("deflate does not fail");
            rest = &rest[usize::try_from(compress.total_in() - before).expect("no more than was given")..];
            if rest.is_empty() && self.deflated.len() < room {
                break;
            }
        }
        self.crc.update(bytes);
        self
    }
}

impl Default for Bomb {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn a_bomb_is_one_member_of_what_was_asked_for() {
        let entry = |n: u32| Entry::file(format!("package/{n}"), "");
        let zeros = ZEROS as u64 + 7;
        let bomb = Bomb::new().archive(&Tarball::new().dir("package").ending([])).entries((0..2500).map(entry));
        let bytes = bomb.empty_blocks(1000).zeros(zeros).gzip();
        assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
        let mut expected = (0..2500).fold(Tarball::new().dir("package"), |tar, n| tar.entry(entry(n))).ending([]).tar();
        expected.resize(expected.len() + ZEROS + 7, 0);
        let mut found = Vec::new();
        let mut decoder = GzDecoder::new(&*bytes);
        decoder.read_to_end(&mut found).unwrap();
        assert!(decoder.into_inner().is_empty(), "something after the member");
        assert!(found == expected, "{} bytes, {} expected", found.len(), expected.len());
    }
}
