//! What a name stands for at one moment, so that it can be told later whether it was changed.

use std::fs::File;
use std::io;

use rustix::fs::{FileType, Stat};

use crate::dir::Kind;

/// The part of a file's status that no one changes by reading it. Two equal ones: the same file with the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    device: u64,
    inode: u64,
    mode: u32,
    len: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Status {
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(file)?))
    }

    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            len: stat.st_size.cast_unsigned(),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of(FileType::from_raw_mode(self.mode))
    }

    /// Bytes of a regular file.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether anyone may execute it.
    pub(crate) const fn executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}
