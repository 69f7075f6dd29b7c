//! Files that are read whole, up to a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("there is no such file")]
    Absent,
    #[error("expected a file, found a directory")]
    Directory,
    #[error("expected at most {limit} bytes, found more")]
    TooLong { limit: usize },
    #[error(transparent)]
    Denied(io::Error),
    #[error(transparent)]
    Io(io::Error),
}

impl Unreadable {
    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(crate) const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }

    pub(crate) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Absent => Some("mount the ConfigMap there, or name the file with `--config`"),
            Self::Directory => Some("name the file in it with `--config`"),
            Self::Denied(_) => Some("let the container's user read the file"),
            Self::TooLong { .. } | Self::Io(_) => None,
        }
    }
}

/// Reads a file of at most `limit` bytes. Symlinks are followed: a mounted `ConfigMap` consists of them.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Unreadable> {
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
