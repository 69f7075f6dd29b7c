//! How much a check-out may be.

use std::fs;
use std::path::Path;

use super::GitFailure;

/// Upper bounds on what git writes, its own records included. A value at a limit is accepted, one past it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOutLimits {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files and folders.
    pub entries: u64,
}

impl CheckOutLimits {
    /// Walks through a folder, no further than the limits go. What cannot be looked at does not count: git makes and
    /// removes files meanwhile.
    pub(super) fn hold(&self, folder: &Path, repository: &str) -> Result<(), GitFailure> {
        let more_than = |what, max| GitFailure::TooLarge { repository: repository.to_owned(), what, max };
        let (mut bytes, mut entries) = (0_u64, 0_u64);
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(found) = fs::read_dir(folder) else { continue };
            for entry in found.flatten() {
                entries += 1;
                if entries > self.entries {
                    return Err(more_than("files and folders", self.entries));
                }
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else {
                    bytes = bytes.saturating_add(metadata.len());
                    if bytes > self.bytes {
                        return Err(more_than("bytes", self.bytes));
                    }
                }
            }
        }
        Ok(())
    }
}
