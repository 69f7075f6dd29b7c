//! Where bytes wait between the network and the archive reader.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// An unnamed file, open for reading and writing. Nobody else can reach it by a path, so what was hashed while it was
/// written is what is read back through the same handle.
#[derive(Debug)]
pub struct Spool(File);

impl Spool {
    /// Takes an empty file that has no name any more (`O_TMPFILE`, or unlinked after it was made).
    pub const fn new(unnamed: File) -> Self {
        Self(unnamed)
    }

    /// Throws away what was written.
    ///
    /// # Errors
    /// What the file system answers.
    pub(crate) fn clear(mut self) -> io::Result<Self> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        Ok(self)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
