//! An included file.

use source::Source;

use super::file::{File, RawEntry, read_in_part};
use crate::Problems;

/// A file that the main file names, as it was found and read: once, however often it is looked at.
#[derive(Debug)]
pub struct Include {
    pub(super) shown_as: String,
    pub(super) size: usize,
    /// Nothing where there is no such file.
    pub(super) found: Option<(Option<File>, Option<Problems>)>,
}

impl Include {
    /// Reads what was found: the file's bytes, unless there is no such file. `shown_as` is what people know it by. What is
    /// wrong with it is told by [`Planning::finish`](super::Planning::finish).
    pub fn read(shown_as: &str, bytes: Option<&[u8]>) -> Self {
        Self {
            shown_as: shown_as.to_owned(),
            size: bytes.map_or(0, <[u8]>::len),
            found: bytes.map(|bytes| read_in_part(bytes, shown_as)),
        }
    }

    /// Whether an entry, switched on or not, is a git repository.
    pub fn names_git(&self) -> bool {
        matches!(&self.found, Some((Some(file), _)) if name_git(&file.plugins))
    }
}

pub(super) fn name_git(entries: &[RawEntry]) -> bool {
    entries.iter().any(|entry| matches!(Source::parse_rhdh(&entry.package.value), Ok(Source::Git(_))))
}
