//! Where in an archive the plugin is.

use crate::UnpackError;
use crate::entry_path::EntryPath;
use crate::error::Unsafe;
use crate::reader::EntryKind;
use crate::shown::shown;

/// Top-level names repeated in a message when nothing matches.
const NAMED: usize = 8;

/// Which folder of an archive is the plugin; it is stripped from every path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `package/`, and nothing beside it.
    Package,
    /// This folder. What is beside it passes the same checks and limits and is not written.
    Folder(EntryPath),
}

impl Layout {
    fn folder(&self) -> &str {
        match self {
            Self::Package => "package",
            Self::Folder(path) => path.as_str(),
        }
    }

    /// The path within the plugin, empty for its folder itself; `None` outside.
    pub(crate) fn within<'p>(&self, path: &'p EntryPath) -> Option<&'p str> {
        below(self.folder(), path.as_str())
    }
}

/// A layout and what an archive has shown of it so far.
#[derive(Debug)]
pub(crate) struct Selection<'l> {
    layout: &'l Layout,
    matched: bool,
    tops: Vec<String>,
}

impl<'l> Selection<'l> {
    pub(crate) const fn new(layout: &'l Layout) -> Self {
        Self { layout, matched: false, tops: Vec::new() }
    }

    /// Where an entry goes within the plugin; `None` when it is to be checked only.
    pub(crate) fn place<'p>(&mut self, path: &'p EntryPath, kind: &EntryKind) -> Result<Option<&'p str>, UnpackError> {
        let folder = self.layout.folder();
        if !matches!(kind, EntryKind::Directory) && below(path.as_str(), folder).is_some() {
            return Err(UnpackError::unsafe_entry(path.as_str().as_bytes(), Unsafe::NotAFolder));
        }
        let place = self.layout.within(path);
        self.matched |= place.is_some();
        if place.is_none() {
            match self.layout {
                Layout::Package => return Err(self.mismatch(path)),
                Layout::Folder(_) => self.remember(path),
            }
        }
        Ok(place)
    }

    /// Proves that the plugin was there at all.
    pub(crate) fn finish(self) -> Result<(), UnpackError> {
        if self.matched {
            Ok(())
        } else {
            Err(UnpackError::Layout { expected: shown(self.layout.folder().as_bytes()), found: self.tops })
        }
    }

    fn mismatch(&mut self, path: &EntryPath) -> UnpackError {
        UnpackError::Layout { expected: self.layout.folder().to_owned(), found: vec![top(path)] }
    }

    fn remember(&mut self, path: &EntryPath) {
        if self.matched || self.tops.len() == NAMED {
            return;
        }
        let top = top(path);
        if !self.tops.contains(&top) {
            self.tops.push(top);
        }
    }
}

/// `path` without the leading components `folder`; `None` if it has others.
pub(crate) fn below<'p>(folder: &str, path: &'p str) -> Option<&'p str> {
    match path.strip_prefix(folder)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

fn top(path: &EntryPath) -> String {
    shown(path.as_str().split('/').next().unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn a_folder_matches_by_whole_components() {
        let parse = |path: &str| EntryPath::parse(path.as_bytes(), &Limits::default()).unwrap();
        let layout = Layout::Folder(parse("plugins/a"));
        for (path, expected) in [
            ("plugins/a", Some("")),
            ("plugins/a/x/y", Some("x/y")),
            ("plugins/ab", None),
            ("plugins", None),
            ("a", None),
        ] {
            assert_eq!(layout.within(&parse(path)), expected, "{path}");
        }
    }
}
