//! Plugins that are there already: `./folder` and `./file.tgz` below the working folder.

use std::fmt;
use std::path::Path;

use crate::Fault;

/// A path below the working folder: plain components, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LocalPath(String);

impl LocalPath {
    /// Parses `./…`. One `/` at the end changes nothing.
    ///
    /// # Errors
    /// [`Fault::LocalPath`] for any other beginning, and for components that are not plain.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let path = text.strip_prefix("./").ok_or(Fault::LocalPath)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |component: &str| {
            !matches!(component, "" | "." | "..") && component.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        };
        if path.split('/').all(plain) { Ok(Self(path.to_owned())) } else { Err(Fault::LocalPath) }
    }

    /// The path below the working folder, without `./`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is that of a packed plugin; otherwise a folder is meant.
    pub fn is_tarball(&self) -> bool {
        Path::new(&self.0).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tgz"))
    }

    /// What identifies the plugin: the whole path.
    pub fn key(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "./{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_working_folder() {
        for (text, tarball) in [("./a", false), ("./a/b..c/.d", false), ("./a/", false), ("./a/b-1.0.0.tgz", true)] {
            let path = LocalPath::parse(text).unwrap();
            assert_eq!((path.to_string().as_str(), path.is_tarball()), (text.trim_end_matches('/'), tarball));
            assert_eq!(LocalPath::parse(&path.key()), Ok(path));
        }
        for text in ["./", "a", "/a", "../a", "./..", "./a/../b", "./a//b", "././a", "./a//", "./a b", "./a\\b", "./\n"]
        {
            assert_eq!(LocalPath::parse(text), Err(Fault::LocalPath), "{text:?}");
        }
    }
}
