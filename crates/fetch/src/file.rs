//! Files that are read whole, up to a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is not there.
    #[error("there is no such file")]
    Absent,
    /// It is a directory.
    #[error("expected a file, found a directory")]
    Directory,
    /// It is larger than it may be.
    #[error("expected at most {limit} bytes, found more")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// This user may not read it.
    #[error(transparent)]
    Denied(io::Error),
    /// Anything else that the system answers.
    #[error(transparent)]
    Io(io::Error),
}

/// Reads a file of at most `limit` bytes. Symlinks are followed: a mounted `ConfigMap` consists of them.
///
/// # Errors
/// When it cannot be read, or is longer.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Absent,
        io::ErrorKind::IsADirectory => Unreadable::Directory,
        io::ErrorKind::PermissionDenied => Unreadable::Denied(error),
        _ => Unreadable::Io(error),
    };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > limit { Err(Unreadable::TooLong { limit }) } else { Ok(bytes) }
}
