//! Names of archive entries, once they are known to be harmless text.

use std::fmt;

use integrity::Blame;

use crate::Limits;

/// A relative path without `..`, of UTF-8 without control characters or backslashes, within the limits.
///
/// `.` and empty components are dropped, so that `./package//x/` is `package/x`. Being harmless text says nothing
/// about what lies on disk under that name; files are created through directory handles that follow no link.
///
/// ```compile_fail,E0423
/// fn forge() -> tarball::EntryPath {
///     tarball::EntryPath("../escape".to_owned())
/// }
/// ```
///
/// ```
/// fn prove(raw: &[u8]) -> Result<tarball::EntryPath, tarball::EntryPathError> {
///     tarball::EntryPath::parse(raw, &tarball::Limits::default())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(String);

impl EntryPath {
    /// Parses the bytes as they stand in an archive header, or a plugin path as an operator wrote it.
    ///
    /// # Errors
    /// Anything that is not harmless, or past `limits.depth`, `limits.path` or `limits.component`.
    pub fn parse(raw: &[u8], limits: &Limits) -> Result<Self, EntryPathError> {
        Self::parse_in(String::new(), raw, limits)
    }

    /// The same in a buffer that was used before.
    pub(crate) fn parse_in(mut path: String, raw: &[u8], limits: &Limits) -> Result<Self, EntryPathError> {
        path.clear();
        let text = harmless(raw)?;
        if text.starts_with('/') {
            return Err(EntryPathError::Absolute);
        }
        path.reserve(text.len().min(limits.path));
        let mut depth = 0;
        for component in text.split('/') {
            match component {
                "" | "." => continue,
                ".." => return Err(EntryPathError::Parent),
                _ if component.len() > limits.component => {
                    return Err(EntryPathError::Component { max: limits.component });
                }
                _ => {}
            }
            depth += 1;
            if depth > limits.depth {
                return Err(EntryPathError::Depth { max: limits.depth });
            }
            if depth > 1 {
                path.push('/');
            }
            path.push_str(component);
        }
        if path.is_empty() {
            return Err(EntryPathError::Empty);
        }
        if path.len() > limits.path {
            return Err(EntryPathError::Length { max: limits.path });
        }
        Ok(Self(path))
    }

    pub(crate) fn into_buffer(self) -> String {
        self.0
    }

    /// The path, components joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that means the same to every reader and does nothing to a terminal.
pub(crate) fn harmless(raw: &[u8]) -> Result<&str, EntryPathError> {
    let text = str::from_utf8(raw).map_err(|_| EntryPathError::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(EntryPathError::Control);
    }
    if text.contains('\\') {
        return Err(EntryPathError::Backslash);
    }
    Ok(text)
}

/// Splits `a/b/c` into `a/b` and `c`; the parent of a single component is empty.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Why bytes are no path that may be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryPathError {
    /// Bytes that are not UTF-8.
    #[error("a path must be UTF-8")]
    NotUtf8,
    /// A C0 or C1 control character, or DEL.
    #[error("a path must have no control characters")]
    Control,
    /// A backslash, which is a separator elsewhere.
    #[error("a path must have no backslash")]
    Backslash,
    /// A `..` component.
    #[error("a path must have no `..`")]
    Parent,
    /// A leading `/`.
    #[error("a path must be relative")]
    Absolute,
    /// No component at all.
    #[error("a path must not be empty")]
    Empty,
    /// More components than allowed.
    #[error("a path may have at most {max} components")]
    Depth {
        /// The limit, in components.
        max: usize,
    },
    /// A longer path than allowed.
    #[error("a path may have at most {max} bytes")]
    Length {
        /// The limit, in bytes.
        max: usize,
    },
    /// A longer component than allowed.
    #[error("a component of a path may have at most {max} bytes")]
    Component {
        /// The limit, in bytes.
        max: usize,
    },
}

impl EntryPathError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Depth { .. } | Self::Length { .. } | Self::Component { .. } => "archive_limit_exceeded",
            Self::NotUtf8 | Self::Control | Self::Backslash | Self::Parent | Self::Absolute | Self::Empty => {
                "archive_unsafe_entry"
            }
        }
    }

    /// Whose move it is when the path stood in an archive; a configured path is judged by the caller.
    pub const fn blame(&self) -> Blame {
        Blame::Publisher
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotUtf8 | Self::Control | Self::Backslash => "rename the file and pack again",
            Self::Parent | Self::Absolute | Self::Empty => "pack from the folder above, with relative names",
            Self::Depth { .. } => {
                "leave deeply nested files out of the package, or raise the installer's `--max-depth`"
            }
            Self::Length { .. } => {
                "leave deeply nested files out of the package, or raise the installer's `--max-path-bytes`"
            }
            Self::Component { .. } => "give the file a shorter name, or raise the installer's `--max-name-bytes`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dots_and_empty_components_are_dropped() {
        for (raw, expected) in [
            ("package/x", "package/x"),
            ("./package/x", "package/x"),
            ("package/x/", "package/x"),
            ("package/./x", "package/x"),
            ("package//x", "package/x"),
            ("...", "..."),
            ("package/ ünï ", "package/ ünï "),
        ] {
            assert_eq!(EntryPath::parse(raw.as_bytes(), &Limits::default()).unwrap().as_str(), expected, "{raw}");
        }
    }

    #[test]
    fn each_harmful_name_is_refused_for_its_reason() {
        let rows: [(&str, &[u8], EntryPathError); 14] = [
            ("empty", b"", EntryPathError::Empty),
            ("dot", b"./.", EntryPathError::Empty),
            ("parent", b"package/../x", EntryPathError::Parent),
            ("only parent", b"..", EntryPathError::Parent),
            ("absolute", b"/tmp/x", EntryPathError::Absolute),
            ("newline", b"a\nb", EntryPathError::Control),
            ("escape", b"a\x1bb", EntryPathError::Control),
            ("nul", b"a\0b", EntryPathError::Control),
            ("delete", b"a\x7fb", EntryPathError::Control),
            ("C1", "a\u{85}b".as_bytes(), EntryPathError::Control),
            ("backslash", b"a\\b", EntryPathError::Backslash),
            ("latin 1", b"a\xe9b", EntryPathError::NotUtf8),
            ("overlong dot", b"\xc0\xae\xc0\xae/x", EntryPathError::NotUtf8),
            ("surrogate", b"\xed\xa0\x80", EntryPathError::NotUtf8),
        ];
        for (name, raw, error) in rows {
            assert_eq!(EntryPath::parse(raw, &Limits::default()), Err(error), "{name}");
        }
    }

    #[test]
    fn limits_hold_at_the_limit_and_not_one_past_it() {
        let limits = Limits { depth: 3, path: 11, component: 5, ..Limits::default() };
        for (raw, expected) in [
            ("a/b/c", Ok(())),
            ("a/b/c/d", Err(EntryPathError::Depth { max: 3 })),
            ("aaaaa/bbbbb", Ok(())),
            ("aaaaa/bbb/cc", Err(EntryPathError::Length { max: 11 })),
            ("aaaaaa", Err(EntryPathError::Component { max: 5 })),
        ] {
            assert_eq!(EntryPath::parse(raw.as_bytes(), &limits).map(drop), expected, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_path_parses_to_itself(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = EntryPath::parse(&raw, &Limits::default()) {
                let again = EntryPath::parse(path.as_str().as_bytes(), &Limits::default()).unwrap();
                prop_assert_eq!(&again, &path);
                prop_assert!(path.as_str().split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
