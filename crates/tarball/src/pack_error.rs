//! Why a plugin was not packed.

use std::fmt;
use std::io;

use integrity::Blame;

use crate::error::{Exceeded, Unsafe, host_hint};
use crate::secret_file::Secret;
use crate::shown::shown;
use crate::{EntryPathError, ManifestError};

/// Offences that a message names; of the others it gives the number.
const NAMED: usize = 32;

/// Why a plugin was not packed. What was written before is no archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The plugin's `package.json` is missing or unusable.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A folder's path in the archive cannot be used.
    #[error("pack a folder as `{top}`")]
    Top {
        /// The path, escaped and cut.
        top: String,
        /// What is wrong with it.
        source: EntryPathError,
    },
    /// Nothing to pack.
    #[error("expected a folder to pack, found none")]
    NoFolder,
    /// Two folders would share a place in the archive.
    #[error("expected folders apart from each other in the archive, found `{first}` and `{second}`")]
    Overlap {
        /// The path of one.
        first: String,
        /// The path of the other, the same or within it.
        second: String,
    },
    /// Entries that a plugin must not have.
    #[error("failed to pack the plugin: {offences}")]
    Refused {
        /// All of them.
        offences: Offences,
    },
    /// The tree is more than an installer would take.
    #[error("failed to pack the plugin: {exceeded}")]
    Limit {
        /// The limit that was passed.
        exceeded: Exceeded,
    },
    /// A file was written to, replaced or cut meanwhile.
    #[error("expected `{path}` to stay as it is while it is packed, found it changed")]
    Changed {
        /// Its path in the archive, escaped and cut.
        path: String,
    },
    /// The tree could not be read.
    #[error("{doing} `{path}`")]
    Host {
        /// What was attempted.
        doing: &'static str,
        /// On what, by its path in the archive, escaped and cut.
        path: String,
        /// What the system answered.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("write the archive")]
    Write {
        /// What the system answered.
        source: io::Error,
    },
}

impl PackError {
    /// The reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.reason(),
            Self::Top { .. } | Self::NoFolder | Self::Overlap { .. } => "usage",
            Self::Refused { offences } if offences.any_unsafe => "pack_unsafe_entry",
            Self::Refused { .. } => "pack_secret_file",
            Self::Limit { .. } => "archive_limit_exceeded",
            Self::Changed { .. } | Self::Host { .. } | Self::Write { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Manifest(error) => error.blame(),
            Self::Top { .. } | Self::NoFolder | Self::Overlap { .. } | Self::Refused { .. } | Self::Limit { .. } => {
                Blame::Publisher
            }
            Self::Changed { .. } | Self::Host { .. } | Self::Write { .. } => Blame::Host,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        const UNSAFE: &str =
            "rename, remove or replace them: a plugin holds files, folders, and relative links to what is in it";
        const SECRET: &str =
            "keep secrets out of the folder; if they are meant for everyone, `--allow-secret-files` lets them in";
        let hint = match self {
            Self::Manifest(error) => return error.hint(),
            Self::Top { .. } => "use `package`, or a relative path without `..`",
            Self::NoFolder => "name the folder, `dist-dynamic` as a rule",
            Self::Overlap { .. } => "give each folder a path of its own, none within another",
            Self::Refused { offences: Offences { any_unsafe: true, any_secret: true, .. } } => {
                return Some(format!("{UNSAFE}; {SECRET}"));
            }
            Self::Refused { offences: Offences { any_unsafe: true, .. } } => UNSAFE,
            Self::Refused { .. } => SECRET,
            Self::Limit { .. } => "leave tests, source maps and caches out of the folder: installers refuse more",
            Self::Changed { .. } => "wait until nothing writes to the folder, a build or an editor, and pack again",
            Self::Host { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "let this user read the folder"
            }
            Self::Host { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "it was removed meanwhile: pack again when nothing changes the folder"
            }
            Self::Host { source, .. } | Self::Write { source } => return host_hint(source),
        };
        Some(hint.to_owned())
    }

    pub(crate) fn top(top: &str, source: EntryPathError) -> Self {
        Self::Top { top: shown(top.as_bytes()), source }
    }

    pub(crate) fn changed(path: &str) -> Self {
        Self::Changed { path: shown(path.as_bytes()) }
    }

    pub(crate) fn host(doing: &'static str, path: &str, source: io::Error) -> Self {
        Self::Host { doing, path: shown(path.as_bytes()), source }
    }

    pub(crate) const fn write(source: io::Error) -> Self {
        Self::Write { source }
    }
}

impl From<Exceeded> for PackError {
    fn from(exceeded: Exceeded) -> Self {
        Self::Limit { exceeded }
    }
}

/// The entries of a tree that a plugin must not have, or has by permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offences {
    named: Vec<(String, Offence)>,
    count: u64,
    any_unsafe: bool,
    any_secret: bool,
}

impl Offences {
    /// The first of them: path in the archive, escaped and cut, and what is wrong with it.
    pub fn named(&self) -> impl Iterator<Item = (&str, Offence)> {
        self.named.iter().map(|(path, offence)| (path.as_str(), *offence))
    }

    /// How many there are, the ones that are not named included.
    pub const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn add(&mut self, path: &[u8], offence: Offence) {
        self.count += 1;
        match offence {
            Offence::Secret(_) => self.any_secret = true,
            Offence::Name(_) | Offence::Unsafe(_) | Offence::Special => self.any_unsafe = true,
        }
        if self.named.len() < NAMED {
            self.named.push((shown(path), offence));
        }
    }
}

impl fmt::Display for Offences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = if self.count == 1 { "entry" } else { "entries" };
        write!(f, "found {} {entries} that must not be in it: ", self.count)?;
        for (n, (path, offence)) in self.named.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}`{path}` ({offence})")?;
        }
        match self.count - self.named.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What is wrong with an entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offence {
    /// Its name, or the text of a link, could not be unpacked.
    Name(EntryPathError),
    /// A link that does not stay in the plugin.
    Unsafe(Unsafe),
    /// A socket, pipe or device.
    Special,
    /// A file with secrets.
    Secret(Secret),
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Unsafe(why) => why.fmt(f),
            Self::Special => f.write_str("expected a file, folder or link, found a socket, pipe or device"),
            Self::Secret(secret) => secret.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(offences: &[(&str, Offence)]) -> PackError {
        let mut all = Offences::default();
        for (path, offence) in offences {
            all.add(path.as_bytes(), *offence);
        }
        PackError::Refused { offences: all }
    }

    #[test]
    fn each_offence_is_named_and_the_worse_kind_gives_the_reason() {
        let secret = ("package/.env", Offence::Secret(Secret::Environment));
        let special = ("package/a\nb", Offence::Special);
        let error = refused(&[secret]);
        assert_eq!(error.reason(), "pack_secret_file");
        assert_eq!(
            error.to_string(),
            "failed to pack the plugin: found 1 entry that must not be in it: `package/.env` (expected no secrets, found an \
             environment file)"
        );
        let error = refused(&[secret, special]);
        assert_eq!(error.reason(), "pack_unsafe_entry");
        assert!(error.to_string().contains("found 2 entries"), "{error}");
        assert!(error.to_string().contains("`package/a\\nb` (expected a file, folder or link"), "{error}");
        assert!(error.hint().unwrap().contains("--allow-secret-files"));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let error = refused(&[("x", Offence::Special); NAMED]);
        assert!(!error.to_string().contains("more"), "{error}");
        let error = refused(&[("x", Offence::Special); NAMED + 5]);
        assert!(error.to_string().contains(&format!("found {} entries", NAMED + 5)), "{error}");
        assert!(error.to_string().ends_with(" and 5 more"), "{error}");
    }
}
