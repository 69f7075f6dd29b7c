//! Reading the scripts of a plugin, within a budget.

use crate::CheckError;
use crate::inspection::{Content, Inspection, text};

/// Bytes of the largest script that is read.
pub(crate) const SCRIPT: u64 = 16 * 1024 * 1024;
/// Bytes of all scripts that are read for a rule.
const SCRIPTS: u64 = 256 * 1024 * 1024;

/// Whether every script could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All of them.
    Whole,
    /// Some are too large, so that nothing can be said about what is in none.
    Part,
}

/// Hands each script whose path is `wanted` to `look`, with its path and text.
pub(crate) fn scripts(
    inspection: &mut Inspection<'_>,
    wanted: impl Fn(&str) -> bool,
    mut look: impl FnMut(&mut Inspection<'_>, &str, &str) -> Result<(), CheckError>,
) -> Result<Coverage, CheckError> {
    let paths: Vec<_> = inspection.scripts.iter().filter(|path| wanted(path)).cloned().collect();
    let mut coverage = Coverage::Whole;
    let mut left = SCRIPTS;
    for path in paths {
        match inspection.read(&path, SCRIPT.min(left))? {
            Content::Bytes(bytes) => {
                left -= bytes.len() as u64;
                look(inspection, &path, &text(&bytes))?;
            }
            Content::TooLarge => coverage = Coverage::Part,
            Content::Absent | Content::NotAFile => {}
        }
    }
    Ok(coverage)
}
