//! Hashing a file that someone else may be writing to.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;

use fetch::FetchLimits;
use integrity::{Algorithm, Blame, Hashed, HashingWriter};

/// Bytes read at once.
const CHUNK: usize = 128 * 1024;

/// Most bytes of an artifact, compressed: what an installer takes that nobody told otherwise.
pub(crate) fn artifact_limit() -> u64 {
    FetchLimits::default().artifact_bytes
}

/// A file whose bytes were not had as one whole, or are more than an installer takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A directory, a pipe, a device.
    #[error("expected a regular file, found something else")]
    NotAFile,
    /// Its length or times are others than before: the bytes read may never have been its content.
    #[error("the file was changed while it was read")]
    Changed,
    /// More bytes than an installer takes.
    #[error("expected an artifact of at most {limit} bytes, found {found}")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
        /// How many there are.
        found: u64,
    },
    /// The system refused.
    #[error("failed to read or copy the file")]
    Io {
        /// What it answered.
        #[from]
        source: io::Error,
    },
}

impl FileError {
    /// The reason code.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "artifact_too_large",
            Self::NotAFile | Self::Changed | Self::Io { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::NotAFile | Self::Changed | Self::TooLarge { .. } => Blame::Publisher,
            Self::Io { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotAFile => "name a tarball, or pack the folder first",
            Self::Changed => "wait until whatever writes it is done, and try again",
            Self::TooLarge { .. } => "leave tests, source maps and caches out of the plugin: installers refuse more",
            Self::Io { .. } => return None,
        };
        Some(text.to_owned())
    }
}

/// Copies a file from its first byte into `into`, hashing it with sha512 and sha256 on the way.
///
/// # Errors
/// [`FileError::Changed`] when the file is not the same before and after.
pub fn hash_file<W: Write>(file: &File, into: W) -> Result<Hashed<W>, FileError> {
    hash_within(u64::MAX, file, into)
}

/// The same for a file of at most `limit` bytes; of a longer one nothing is copied.
pub(crate) fn hash_within<W: Write>(limit: u64, mut file: &File, into: W) -> Result<Hashed<W>, FileError> {
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(FileError::NotAFile);
    }
    fits(limit, before.len())?;
    file.rewind()?;
    let mut hasher = HashingWriter::with(Algorithm::Sha256, into);
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(source.into()),
        };
        if n as u64 > before.len() - hasher.len() {
            return Err(FileError::Changed);
        }
        hasher.write_all(&buffer[..n])?;
    }
    if stamp(&before) != stamp(&file.metadata()?) || hasher.len() != before.len() {
        return Err(FileError::Changed);
    }
    Ok(hasher.finish())
}

/// Refuses an artifact that is too long.
pub(crate) const fn fits(limit: u64, found: u64) -> Result<(), FileError> {
    if found > limit { Err(FileError::TooLarge { limit, found }) } else { Ok(()) }
}

/// What changes when somebody writes.
fn stamp(metadata: &Metadata) -> (u64, i64, i64, i64, i64) {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    /// Changes the file that is being read into it.
    struct Meddling<'a> {
        file: &'a File,
        with: fn(&File),
    }

    impl Write for Meddling<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (self.with)(self.file);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_hashed_is_an_io_error() {
        type Act = fn(&File);
        let rows: [(&str, Act, bool); 4] = [
            ("nothing happens", |_| (), true),
            ("it grows", |mut file| file.write_all(b"x").unwrap(), false),
            ("it shrinks", |file| file.set_len(10).unwrap(), false),
            ("it is written in place", |file| assert_eq!(file.write_at(b"x", 0).unwrap(), 1), false),
        ];
        for (name, with, whole) in rows {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![7; 300_000]).unwrap();
            let hashed = hash_file(&file, Meddling { file: &file, with });
            assert_eq!(hashed.is_ok(), whole, "{name}");
            if let Err(error) = hashed {
                assert!(matches!(error, FileError::Changed), "{name}");
                assert_eq!(error.reason(), "io_error");
            }
        }
    }

    #[test]
    fn of_a_file_that_is_too_long_nothing_is_copied() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"12345").unwrap();
        for (limit, copied) in [(6, Some(5)), (5, Some(5)), (4, None)] {
            let mut copy = Vec::new();
            match (hash_within(limit, &file, &mut copy), copied) {
                (Ok(hashed), Some(len)) => assert_eq!(hashed.len(), len),
                (Err(error), None) => {
                    assert_eq!((error.reason(), error.blame()), ("artifact_too_large", Blame::Publisher));
                    assert!(matches!(error, FileError::TooLarge { limit: 4, found: 5 }));
                }
                (found, _) => panic!("{limit}: {found:?}"),
            }
            assert_eq!(copy.len() as u64, copied.unwrap_or_default(), "{limit}");
        }
    }

    #[test]
    fn a_file_that_grows_is_not_read_on_for_ever() {
        let grow = |file: &File| {
            let len = file.metadata().unwrap().len();
            if len < 4 * CHUNK as u64 {
                file.write_all_at(&vec![7; CHUNK], len).unwrap();
            }
        };
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; CHUNK]).unwrap();
        assert!(matches!(hash_file(&file, Meddling { file: &file, with: grow }), Err(FileError::Changed)));
        assert_eq!(file.metadata().unwrap().len(), 2 * CHUNK as u64, "no more than was there at first is copied");
    }

    #[test]
    fn a_folder_has_no_integrity() {
        let folder = tempfile::tempdir().unwrap();
        let open = File::open(folder.path()).unwrap();
        assert!(matches!(hash_file(&open, io::sink()), Err(FileError::NotAFile)));
    }
}
