//! Where bytes wait between the network and the archive reader.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// An unnamed file, open for reading and writing. Nobody else can reach it by a path, so what was hashed while it was
/// written is what is read back through the same handle. A clone is the same file with a position of its own.
#[derive(Debug, Clone)]
pub struct Spool {
    file: Arc<File>,
    at: u64,
}

impl Spool {
    /// Takes an empty file that has no name any more (`O_TMPFILE`, or unlinked after it was made).
    pub fn new(unnamed: File) -> Self {
        Self { file: Arc::new(unnamed), at: 0 }
    }

    /// Throws away what was written.
    ///
    /// # Errors
    /// What the file system answers.
    pub(crate) fn clear(self) -> io::Result<Self> {
        self.file.set_len(0)?;
        Ok(Self { at: 0, ..self })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.metadata()?.len(), by),
        };
        self.at = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_read_the_same_bytes_each_from_its_own_place() {
        let mut spool = Spool::new(tempfile::tempfile().unwrap());
        spool.write_all(b"plugin").unwrap();
        let mut other = spool.clone();
        spool.seek(SeekFrom::Start(1)).unwrap();
        let read = |spool: &mut Spool| {
            let mut text = String::new();
            spool.read_to_string(&mut text).map(|_| text).unwrap()
        };
        assert_eq!(read(&mut other), "");
        assert_eq!(read(&mut spool), "lugin");
        other.seek(SeekFrom::End(-2)).unwrap();
        assert_eq!(read(&mut other), "in");
        assert!(other.seek(SeekFrom::Current(-7)).is_err());
        let mut cleared = other.clear().unwrap();
        cleared.write_all(b"x").unwrap();
        cleared.rewind().unwrap();
        assert_eq!(read(&mut cleared), "x");
    }
}
