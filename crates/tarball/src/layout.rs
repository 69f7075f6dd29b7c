//! Where in an archive the plugin is.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

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
    named: Named,
}

impl<'l> Selection<'l> {
    pub(crate) fn new(layout: &'l Layout) -> Self {
        Self { layout, matched: false, tops: Vec::new(), named: Named::default() }
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
        if let Layout::Folder(_) = self.layout {
            let named = self.named.name(path.as_str(), kind);
            named.map_err(|why| UnpackError::unsafe_entry(path.as_str().as_bytes(), why))?;
        }
        Ok(place)
    }

    /// Whether a hard link that is to be checked only has an earlier file as its target.
    pub(crate) fn has_file(&self, target: &EntryPath) -> bool {
        self.named.at(target.as_str()) == Some(Node::File)
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

/// What an archive has named so far, for entries that the file system will not judge because they are not written.
///
/// A path is known by a hash under a random key, so that many long ones take little memory.
#[derive(Debug, Default)]
struct Named {
    nodes: HashMap<u64, Node>,
    key: RandomState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File,
    Symlink,
}

impl Named {
    fn at(&self, path: &str) -> Option<Node> {
        self.nodes.get(&self.key.hash_one(path)).copied()
    }

    fn name(&mut self, path: &str, kind: &EntryKind) -> Result<(), Unsafe> {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if above.any(|folder| matches!(self.at(folder), Some(Node::File | Node::Symlink))) {
            return Err(Unsafe::BelowFile);
        }
        let node = match kind {
            EntryKind::Directory => Node::Folder,
            EntryKind::File { .. } | EntryKind::HardLink { .. } => Node::File,
            EntryKind::Symlink { .. } => Node::Symlink,
        };
        match self.nodes.insert(self.key.hash_one(path), node) {
            None => Ok(()),
            Some(Node::Folder) if node == Node::Folder => Ok(()),
            Some(_) => Err(Unsafe::Duplicate),
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
