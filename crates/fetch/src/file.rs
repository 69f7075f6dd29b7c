//! Files that are read whole, up to a limit.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

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
    /// It is a pipe, a device or a socket.
    #[error("expected a regular file, found something else")]
    Special,
    /// It is larger than it may be.
    #[error("expected at most {limit} bytes, found more")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There are more in a folder than there may be.
    #[error("expected at most {limit} files in the folder, found more")]
    TooMany {
        /// The limit.
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
    File::open(path).map_err(Unreadable::of).and_then(|file| read_opened(&file, limit))
}

/// The same where another file names it, whose author may not be trusted: a pipe would keep us waiting, and a terminal
/// or a device is nobody's list.
///
/// # Errors
/// When it cannot be read, is longer, or is no regular file.
pub fn read_regular_file(path: &Path, limit: usize) -> Result<Vec<u8>, Unreadable> {
    // Without O_NONBLOCK opening a pipe waits until someone writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|errno| Unreadable::of(errno.into()))?);
    let kind = file.metadata().map_err(Unreadable::of)?.file_type();
    if kind.is_file() {
        read_opened(&file, limit)
    } else if kind.is_dir() {
        Err(Unreadable::Directory)
    } else {
        Err(Unreadable::Special)
    }
}

fn read_opened(file: &File, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Unreadable::of)?;
    if bytes.len() > limit { Err(Unreadable::TooLong { limit }) } else { Ok(bytes) }
}

/// What lies in a folder, at most `limit` of it, in the order of its names.
pub(crate) fn list(folder: &Path, limit: usize) -> Result<Vec<PathBuf>, Unreadable> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Unreadable::of)? {
        if found.len() == limit {
            return Err(Unreadable::TooMany { limit });
        }
        found.push(entry.map_err(Unreadable::of)?.path());
    }
    found.sort();
    Ok(found)
}

/// What may be absent. A home that nobody named may be beyond reach as well.
pub(crate) fn if_there<T>(found: Result<T, Unreadable>, whose: Whose) -> Result<Option<T>, Unreadable> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Unreadable::Absent) => Ok(None),
        Err(Unreadable::Denied(_)) if whose == Whose::Home => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whose customary place something lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Whose {
    #[default]
    System,
    Home,
}

impl Unreadable {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::IsADirectory => Self::Directory,
            io::ErrorKind::PermissionDenied => Self::Denied(error),
            _ => Self::Io(error),
        }
    }
}

/// Puts a file where a test wants it, with the folders above it.
#[cfg(test)]
pub(crate) fn put(path: &Path, text: &str) {
    use std::io::Write as _;
    fs::DirBuilder::new().recursive(true).create(path.parent().unwrap()).unwrap();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
