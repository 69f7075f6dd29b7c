//! From what an installer says of an archive to a finding.

use integrity::Blame;
use tarball::{EntryPathError, Exceeded, UnpackError, Unsafe};

use crate::package_json::{PATH, refused};
use crate::tree::about_name;
use crate::{Checked, Finding, Rule, rules};

/// What there is to say of a plugin whose archive was not unpacked, by the rule that its folder would break; `None`
/// when the fault is this machine's.
///
/// ```no_run
/// # use std::fs::File;
/// # use contract::{Checked, CheckError, check, rejected};
/// # use tarball::{Dir, Layout, Limits, Record, UnpackError, unpack};
/// # fn example(mut artifact: integrity::Verified<File>, dir: &Dir, record: &mut dyn Record) -> Result<(), Box<dyn std::error::Error>> {
/// # let limits = Limits::default();
/// let checked = match unpack(&mut artifact, &Layout::Package, dir, &limits, record) {
///     Ok(_) => check("package.tgz", dir, &limits)?,
///     Err(error) => rejected("package.tgz", &error).ok_or(error)?,
/// };
/// # drop(checked);
/// # Ok(())
/// # }
/// ```
#[must_use = "what was found is to be told"]
pub fn rejected(plugin: &str, error: &UnpackError) -> Option<Checked> {
    if error.blame() == Blame::Host {
        return None;
    }
    let (rule, path, line, message) = match error {
        UnpackError::Manifest(error) => {
            let (rule, line, message) = refused(error);
            (rule, Some(PATH), line, message)
        }
        UnpackError::Limit { exceeded, .. } => {
            let (rule, path) = limit(exceeded);
            (rule, path, None, exceeded.to_string())
        }
        UnpackError::Name { entry, source } => {
            let (rule, path) = name(*source, entry);
            (rule, path, None, format!("{source}, found `{entry}`"))
        }
        UnpackError::Unsafe { entry, why } => (kind(*why), Some(&**entry), None, why.to_string()),
        UnpackError::Gzip { source } => {
            (&rules::ARCHIVE_INVALID, None, None, format!("expected one whole gzip member, found: {source}"))
        }
        UnpackError::Malformed { why, .. } => (&rules::ARCHIVE_INVALID, None, None, why.to_string()),
        // Its layout, and what is not known yet.
        _ => (&rules::ARCHIVE_INVALID, None, None, error.to_string()),
    };
    // As for a folder, a path is one within the plugin.
    let path = path.map(|path| path.strip_prefix("package/").unwrap_or(path).trim_end_matches('/').to_owned());
    Some(Checked::rejected(Finding { rule, plugin: plugin.to_owned(), path, line, message }))
}

fn limit(exceeded: &Exceeded) -> (&'static Rule, Option<&str>) {
    match exceeded {
        Exceeded::Expanded { .. } | Exceeded::Ratio { .. } => (&rules::EXPANDED_LIMIT, None),
        Exceeded::File { entry, .. } => (&rules::FILE_LIMIT, Some(entry)),
        Exceeded::Entries { .. } | Exceeded::Symlinks { .. } | Exceeded::Opened { .. } => (&rules::ENTRIES_LIMIT, None),
        Exceeded::SymlinkSteps { .. } => (&rules::LINK_STRAY, None),
        // Only archives have extension headers.
        _ => (&rules::ARCHIVE_INVALID, None),
    }
}

fn name(error: EntryPathError, entry: &str) -> (&'static Rule, Option<&str>) {
    match error {
        // Nothing in a folder is called so.
        EntryPathError::Parent | EntryPathError::Absolute | EntryPathError::Empty => (&rules::ARCHIVE_INVALID, None),
        _ => (about_name(error), Some(entry)),
    }
}

fn kind(why: Unsafe) -> &'static Rule {
    match why {
        Unsafe::AbsoluteLink | Unsafe::EscapingLink | Unsafe::LinkLoop => &rules::LINK_STRAY,
        // Character devices, block devices and pipes (POSIX.1-2017, pax, "ustar Interchange Format").
        Unsafe::Type { flag: b'3' | b'4' | b'6' } => &rules::SPECIAL_FILE,
        _ => &rules::ARCHIVE_INVALID,
    }
}
