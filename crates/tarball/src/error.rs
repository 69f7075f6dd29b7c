//! Why an archive was not unpacked.

use std::fmt;
use std::io;

use integrity::Blame;

use crate::shown::shown;
use crate::{EntryPathError, ManifestError};

/// Why an archive was not unpacked. What was written before stays in the directory, for the caller to remove.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The bytes are not one whole gzip member.
    #[error("read the artifact as one gzip member")]
    Gzip {
        /// What the decoder says.
        source: io::Error,
    },
    /// The tar stream is ill-formed, or two readers could understand it differently.
    #[error("read the archive{}, {why}", place(.from.as_deref()))]
    Malformed {
        /// The entry in which or after which it was found, escaped and cut; none before the first one.
        from: Option<String>,
        /// What is wrong with it.
        why: Malformed,
    },
    /// The archive asks for more than it may.
    #[error("{exceeded}{}", place(.from.as_deref()))]
    Limit {
        /// The entry in which or after which it was passed, escaped and cut; none before the first one, or where the
        /// limit itself names it.
        from: Option<String>,
        /// The limit that was passed.
        exceeded: Exceeded,
    },
    /// An entry's name, or the name it links to, cannot be used.
    #[error("unpack entry `{entry}`")]
    Name {
        /// The name, escaped and cut.
        entry: String,
        /// What is wrong with it.
        source: EntryPathError,
    },
    /// An entry that a plugin must not have.
    #[error("unpack entry `{entry}`, {why}")]
    Unsafe {
        /// The entry's name, escaped and cut.
        entry: String,
        /// What is wrong with it.
        why: Unsafe,
    },
    /// The plugin is not where it was expected in the archive.
    #[error("expected the plugin in `{expected}/`, found {}", listed(.found))]
    Layout {
        /// The folder that was expected.
        expected: String,
        /// What was found instead, escaped, the first few: folders with a `package.json` where one was to be selected
        /// and there are any, otherwise top-level names.
        found: Vec<String>,
    },
    /// The plugin's `package.json` is missing or unusable.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The verified artifact could not be read back.
    #[error("read the artifact")]
    Artifact {
        /// What the system answered.
        source: io::Error,
    },
    /// The file system refused.
    #[error("{doing} `{path}`")]
    Host {
        /// What was attempted.
        doing: &'static str,
        /// On what, relative to the plugin's folder.
        path: String,
        /// What the system answered.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("unpacking was interrupted")]
    Stopped,
}

impl UnpackError {
    /// The reason code of the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gzip { .. } | Self::Malformed { .. } => "archive_invalid",
            Self::Limit { .. } => "archive_limit_exceeded",
            Self::Name { source, .. } => source.reason(),
            Self::Unsafe { .. } => "archive_unsafe_entry",
            Self::Layout { .. } => "archive_layout",
            Self::Manifest(error) => error.reason(),
            Self::Artifact { .. } | Self::Host { .. } => "io_error",
            Self::Stopped => "interrupted",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Gzip { .. } | Self::Malformed { .. } | Self::Limit { .. } | Self::Unsafe { .. } => Blame::Publisher,
            Self::Layout { expected, found } => {
                if selects_absent(expected.as_str(), found.as_slice()) {
                    Blame::Operator
                } else {
                    Blame::Publisher
                }
            }
            Self::Name { source, .. } => source.blame(),
            Self::Manifest(error) => error.blame(),
            Self::Artifact { .. } | Self::Host { .. } | Self::Stopped => Blame::Host,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Gzip { .. } | Self::Malformed { .. } => "pack the plugin again with `tar -czf` or `npm pack`",
            Self::Limit { exceeded, .. } => exceeded.hint(),
            Self::Name { source, .. } => source.hint(),
            Self::Unsafe { why, .. } => return Some(why.hint().to_owned()),
            Self::Layout { found, .. } if found.is_empty() => {
                "the archive is empty: pack the plugin's folder as `package/`"
            }
            Self::Layout { expected, found } if selects_absent(expected, found) => {
                return Some(format!(
                    "remove `!{expected}` if the entry has it, or select one of the folders that are there"
                ));
            }
            Self::Layout { .. } => {
                "have it packed with `package/` on top, as `npm pack` does; of an image with other folders, select one with \
                 `!<folder>` behind the reference"
            }
            Self::Manifest(error) => return error.hint(),
            Self::Artifact { source } | Self::Host { source, .. } => return host_hint(source),
            Self::Stopped => return None,
        };
        Some(hint.to_owned())
    }

    pub(crate) fn unsafe_entry(entry: &[u8], why: Unsafe) -> Self {
        Self::Unsafe { entry: shown(entry), why }
    }

    pub(crate) fn name(entry: &[u8], source: EntryPathError) -> Self {
        Self::Name { entry: shown(entry), source }
    }

    /// As found while this entry was the last one known.
    pub(crate) fn with_entry(self, entry: &[u8]) -> Self {
        match self {
            Self::Malformed { from: None, why } if !entry.is_empty() => {
                Self::Malformed { from: Some(shown(entry)), why }
            }
            Self::Limit { from: None, exceeded } if !entry.is_empty() && !matches!(exceeded, Exceeded::File { .. }) => {
                Self::Limit { from: Some(shown(entry)), exceeded }
            }
            other => other,
        }
    }

    pub(crate) fn host(doing: &'static str, path: &str, source: io::Error) -> Self {
        Self::Host { doing, path: shown(path.as_bytes()), source }
    }
}

impl From<Malformed> for UnpackError {
    fn from(why: Malformed) -> Self {
        Self::Malformed { from: None, why }
    }
}

impl From<Exceeded> for UnpackError {
    fn from(exceeded: Exceeded) -> Self {
        Self::Limit { from: None, exceeded }
    }
}

/// What is wrong with a tar stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Bytes after the gzip member: a second one, or garbage.
    AfterGzip,
    /// A header whose checksum is wrong.
    Checksum,
    /// A header that is neither ustar nor GNU nor v7, or none of them alone.
    Magic,
    /// A number that is not octal, is negative where none can be, or too large.
    Number,
    /// The stream ends inside a header or a file.
    Truncated,
    /// A file larger than the artifact can expand to.
    Size,
    /// The stream ends without end-of-archive blocks.
    NoEnd,
    /// Something follows the end-of-archive blocks.
    AfterEnd,
    /// A PAX record whose length or form is wrong.
    PaxRecord,
    /// A PAX header in another charset than UTF-8.
    PaxCharset,
    /// A PAX key twice in one header.
    PaxRepeated,
    /// A global PAX header that renames or resizes entries.
    PaxGlobal,
    /// Two extension headers for one entry that say the same kind of thing.
    Extensions,
    /// An extension header without an entry after it.
    Dangling,
    /// A PAX size other than the header's.
    SizeDisagrees,
    /// A link or directory with a payload.
    Payload,
    /// A file or directory for which a link's target is told.
    Target,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AfterGzip => "expected the end of the artifact after one gzip member, found more bytes",
            Self::Checksum => "found a header with a wrong checksum",
            Self::Magic => "expected a plain ustar, GNU or v7 header, found another one",
            Self::Number => "expected an octal or base-256 number within its range in a header, found something else",
            Self::Truncated => "expected the rest of an entry, found the end of the stream",
            Self::Size => "found a file larger than the artifact can expand to",
            Self::NoEnd => "expected two end-of-archive blocks, found the end of the stream",
            Self::AfterEnd => "expected only zeros from the first end-of-archive block on, found more",
            Self::PaxRecord => "found an ill-formed PAX record",
            Self::PaxCharset => "expected PAX records in UTF-8, found another charset",
            Self::PaxRepeated => "found a PAX key twice in one header",
            Self::PaxGlobal => "expected a global PAX header without path, link, size or sparse keys, found one",
            Self::Extensions => "expected one PAX header or GNU long name for each entry, found several",
            Self::Dangling => "expected an entry after an extension header, found the end of the archive",
            Self::SizeDisagrees => "found a PAX size and another one in the header",
            Self::Payload => "expected a payload only on files, found one on a link or directory",
            Self::Target => "expected a target only on links, found one on a file or directory",
        })
    }
}

/// The limit that an archive passed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exceeded {
    /// All bytes together.
    Expanded {
        /// The limit, in bytes.
        max: u64,
    },
    /// Bytes out for each byte in.
    Ratio {
        /// The limit.
        max: u64,
    },
    /// Bytes of one file.
    File {
        /// The file's name, escaped and cut.
        entry: String,
        /// What its header claims, in bytes.
        len: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// Entries.
    Entries {
        /// The limit.
        max: u64,
    },
    /// Bytes of one PAX header or GNU long name.
    Extension {
        /// The limit, in bytes.
        max: u64,
    },
    /// Extension headers in a row.
    Extensions {
        /// The limit.
        max: usize,
    },
    /// Folders opened, and names listed in them.
    Opened {
        /// The limit.
        max: u64,
    },
    /// Memory for symlinks.
    Symlinks {
        /// The limit, in bytes.
        max: usize,
    },
    /// Work to prove that symlinks stay inside.
    SymlinkSteps {
        /// The limit, in path components.
        max: u64,
    },
}

impl Exceeded {
    const fn hint(&self) -> &'static str {
        match self {
            Self::Expanded { .. } => {
                "leave tests, source maps and caches out of the package, or raise the installer's `--max-expanded-bytes`"
            }
            Self::Ratio { .. } => {
                "look for a file that is mostly zeros; if it is meant to be, raise the installer's `--max-ratio`"
            }
            Self::File { .. } => {
                "leave the file out of the package, or raise the installer's `--max-file-bytes` (RHDH: `MAX_ENTRY_SIZE`)"
            }
            Self::Entries { .. } => {
                "leave tests, source maps and caches out of the package, or raise the installer's `--max-entries`"
            }
            Self::Extension { .. } => {
                "pack with plain `tar`, without extended attributes, or raise the installer's `--max-extension-bytes`"
            }
            Self::Extensions { .. } => {
                "pack with plain `tar`, without extended attributes, or raise the installer's `--max-extensions`"
            }
            Self::Opened { .. } => "pack the entries of each folder one after the other, as `tar` does",
            Self::Symlinks { .. } | Self::SymlinkSteps { .. } => {
                "replace links by what they lead to: there are too many, or they lead from one to the next"
            }
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expanded { max } => write!(f, "expected at most {max} bytes expanded, found more"),
            Self::Ratio { max } => write!(f, "expected at most {max} bytes for each compressed byte, found more"),
            Self::File { entry, len, max } => {
                write!(f, "expected at most {max} bytes in a file, found {len} in `{entry}`")
            }
            Self::Entries { max } => write!(f, "expected at most {max} entries, found more"),
            Self::Extension { max } => write!(f, "expected at most {max} bytes in an extension header, found more"),
            Self::Extensions { max } => {
                write!(f, "expected at most {max} extension headers before an entry, found more")
            }
            Self::Opened { max } => {
                write!(f, "expected entries to be placed by opening at most {max} folders, found more")
            }
            Self::Symlinks { max } => write!(f, "expected at most {max} bytes of symlinks, found more"),
            Self::SymlinkSteps { max } => {
                write!(f, "expected all symlinks to resolve within {max} path components, found more")
            }
        }
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsafe {
    /// A device, a pipe, or a type no one knows.
    Type {
        /// The type flag of the header.
        flag: u8,
    },
    /// A file with holes.
    Sparse,
    /// A file whose name ends in a slash.
    FileNamedAsFolder,
    /// A file or link where the layout needs a folder.
    NotAFolder,
    /// A path that is taken already.
    Duplicate,
    /// A path below a file.
    BelowFile,
    /// A link to an absolute path.
    AbsoluteLink,
    /// A link that leaves the plugin.
    EscapingLink,
    /// A chain of links without end.
    LinkLoop,
    /// A hard link to something that is no earlier file of this plugin.
    HardLink,
    /// A whiteout among several layers that hides nothing which a layer could hold.
    Whiteout,
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type { flag } => {
                return write!(f, "expected a file, folder or link, found type `{}`", flag.escape_ascii());
            }
            Self::Sparse => "expected a plain file, found a sparse one",
            Self::FileNamedAsFolder => "expected a file name, found a trailing `/`",
            Self::NotAFolder => "expected a folder, found something else",
            Self::Duplicate => "expected each path once, found it again",
            Self::BelowFile => "expected a folder above it, found something else",
            Self::AbsoluteLink => "expected a relative link, found an absolute one",
            Self::EscapingLink => "expected a link that stays in the plugin, found one that leaves it",
            Self::LinkLoop => "expected a link that ends somewhere, found too many links in a row",
            Self::HardLink => "expected a hard link to an earlier file of the plugin, found another target",
            Self::Whiteout => "expected a whiteout to be an empty file that names what it hides, found another one",
        })
    }
}

impl Unsafe {
    const fn hint(self) -> &'static str {
        match self {
            Self::Type { .. } => "pack only files, folders and links",
            Self::Sparse => "pack plain files: a sparse one leaves out its zeros",
            Self::FileNamedAsFolder | Self::NotAFolder | Self::Duplicate | Self::BelowFile => {
                "pack each path once, from a clean folder"
            }
            Self::AbsoluteLink | Self::EscapingLink | Self::LinkLoop => {
                "replace the link by what it leads to, or link only within the plugin"
            }
            Self::HardLink => "replace the hard link by a copy of the file",
            Self::Whiteout => "build the image again, and name no file with `.wh.` in front",
        }
    }
}

fn place(from: Option<&str>) -> String {
    from.map(|entry| format!(" from entry `{entry}` on")).unwrap_or_default()
}

/// Whether a folder was selected that an archive with others does not hold.
const fn selects_absent(expected: &str, found: &[String]) -> bool {
    !matches!(expected.as_bytes(), b"package") && !found.is_empty()
}

fn listed(found: &[String]) -> String {
    if found.is_empty() {
        return "nothing".to_owned();
    }
    found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn host_hint(error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the volume",
        io::ErrorKind::ReadOnlyFilesystem => "mount the volume writable",
        io::ErrorKind::PermissionDenied => "let this user write to the volume, for example with `fsGroup`",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_layout_is_for_the_one_who_can_mend_it() {
        for (expected, found, blame, hint) in [
            ("foo", &["package"][..], Blame::Operator, "remove `!foo` if the entry has it, or select one"),
            ("plugins/a", &["x", "y"], Blame::Operator, "remove `!plugins/a` if the entry has it"),
            ("foo", &[], Blame::Publisher, "the archive is empty"),
            ("package", &[], Blame::Publisher, "the archive is empty"),
            ("package", &["plugin"], Blame::Publisher, "have it packed with `package/` on top"),
        ] {
            let found: Vec<_> = found.iter().map(|&name| name.to_owned()).collect();
            let error = UnpackError::Layout { expected: expected.to_owned(), found };
            assert_eq!(error.blame(), blame, "{error}");
            let said = error.hint().unwrap();
            assert!(said.starts_with(hint), "{error}: {said}");
        }
    }
}
