//! Where in an archive the plugin is.

use std::collections::BTreeSet;

use crate::entry_path::{EntryPath, split};
use crate::error::Unsafe;
use crate::named::Named;
use crate::reader::EntryKind;
use crate::shown::shown;
use crate::whiteout::{Part, Whiteout};
use crate::{ManifestError, UnpackError};

/// Top-level names repeated in a message when nothing matches.
const NAMED: usize = 8;
/// Folders with a manifest that are repeated instead, if there are any.
const PLUGINS: usize = 20;
/// What makes a folder a plugin's.
const MANIFEST: &str = "package.json";

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

/// What is written of an archive, and where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice<'l> {
    /// One plugin, whose folder is stripped.
    Plugin(&'l Layout),
    /// These paths and what is below them, under their own names; none of them need be there.
    Paths(&'l [EntryPath]),
}

impl Choice<'_> {
    /// The path in the tree that is written, empty for its top; `None` outside.
    fn within<'p>(&self, path: &'p EntryPath) -> Option<&'p str> {
        match self {
            Self::Plugin(layout) => layout.within(path),
            Self::Paths(wanted) => {
                let chosen = wanted.iter().any(|wanted| below(wanted.as_str(), path.as_str()).is_some());
                chosen.then_some(path.as_str())
            }
        }
    }
}

/// A choice, and what the layers of an archive have shown so far.
#[derive(Debug)]
pub(crate) struct Selection<'l> {
    choice: Choice<'l>,
    /// Whether there are several layers, so that what is on disk need not be this one's.
    layered: bool,
    /// The last layer that had something of the plugin.
    matched: Option<u32>,
    tops: Vec<String>,
    plugins: BTreeSet<String>,
    named: Named,
}

impl<'l> Selection<'l> {
    pub(crate) fn new(choice: Choice<'l>, layers: usize) -> Self {
        Self {
            choice,
            layered: layers > 1,
            matched: None,
            tops: Vec::new(),
            plugins: BTreeSet::new(),
            named: Named::default(),
        }
    }

    pub(crate) const fn is_layered(&self) -> bool {
        self.layered
    }

    pub(crate) const fn next_layer(&mut self) {
        self.named.next_layer();
    }

    /// Where an entry goes in the tree that is written; `None` when it is to be checked only.
    pub(crate) fn place<'p>(&mut self, path: &'p EntryPath, kind: &EntryKind) -> Result<Option<&'p str>, UnpackError> {
        let place = self.choice.within(path);
        if let Choice::Plugin(layout) = self.choice {
            if !matches!(kind, EntryKind::Directory) && below(path.as_str(), layout.folder()).is_some() {
                return Err(UnpackError::unsafe_entry(path.as_str().as_bytes(), Unsafe::NotAFolder));
            }
            self.matched = place.map(|_| self.named.layer()).or(self.matched);
            if *layout == Layout::Package && place.is_none() {
                return Err(mismatch(layout, vec![top(path)]));
            }
        }
        Ok(place)
    }

    /// Takes an entry as part of this layer.
    pub(crate) fn take(&mut self, path: &EntryPath, kind: &EntryKind) -> Result<(), UnpackError> {
        if let Choice::Plugin(Layout::Folder(_)) = self.choice {
            self.remember(path, kind);
        }
        self.name(path, kind)
    }

    /// Takes a name as this layer's own, which none of its other entries may contradict. That is for what the file
    /// system does not judge.
    pub(crate) fn name(&mut self, path: &EntryPath, kind: &EntryKind) -> Result<(), UnpackError> {
        if !self.layered && matches!(self.choice, Choice::Plugin(Layout::Package)) {
            return Ok(());
        }
        let named = self.named.name(path.as_str(), kind);
        named.map_err(|why| UnpackError::unsafe_entry(path.as_str().as_bytes(), why))
    }

    /// Whether a hard link that is to be checked only has an earlier file as its target.
    pub(crate) fn has_file(&self, target: &EntryPath) -> bool {
        self.named.is_file(target.as_str())
    }

    /// Where the target of a hard link that is written is.
    pub(crate) fn source<'p>(&self, target: &'p EntryPath) -> Option<&'p str> {
        self.choice.within(target).filter(|source| !source.is_empty())
    }

    /// Whether this layer has an entry for a place in the tree that is written.
    pub(crate) fn is_own(&self, place: &str) -> bool {
        match self.choice {
            Choice::Plugin(layout) => self.named.is_own(&format!("{}/{place}", layout.folder())),
            Choice::Paths(_) => self.named.is_own(place),
        }
    }

    /// Which place in the tree that is written a whiteout is about, and how much of it.
    pub(crate) fn hidden<'w>(&mut self, whiteout: &'w Whiteout) -> Option<(&'w str, Part)> {
        let (path, part) = (whiteout.path.as_str(), whiteout.part);
        match self.choice {
            Choice::Plugin(layout) => {
                self.plugins.retain(|folder| below(path, &format!("{folder}/{MANIFEST}")).is_none());
                let folder = layout.folder();
                if below(path, folder).is_none() {
                    return below(folder, path).map(|place| (place, part));
                }
                if (path, part) != (folder, Part::Content) {
                    self.matched = self.matched.filter(|layer| *layer == self.named.layer());
                }
                Some(("", Part::Content))
            }
            Choice::Paths(wanted) => {
                let mut wanted = wanted.iter().map(EntryPath::as_str);
                wanted.any(|wanted| below(wanted, path).or(below(path, wanted)).is_some()).then_some((path, part))
            }
        }
    }

    /// Proves that the plugin was there at all.
    pub(crate) fn prove(&self) -> Result<(), UnpackError> {
        match self.choice {
            Choice::Plugin(layout) if self.matched.is_none() => Err(mismatch(layout, self.found())),
            Choice::Plugin(_) | Choice::Paths(_) => Ok(()),
        }
    }

    /// A missing manifest is that of a wrong folder if others have one.
    pub(crate) fn without_manifest(&self, error: ManifestError) -> UnpackError {
        match (self.choice, error) {
            (Choice::Plugin(layout), ManifestError::Missing) if !self.plugins.is_empty() => {
                mismatch(layout, self.found())
            }
            (_, error) => error.into(),
        }
    }

    fn found(&self) -> Vec<String> {
        if self.plugins.is_empty() {
            return self.tops.clone();
        }
        self.plugins.iter().map(|folder| shown(folder.as_bytes())).collect()
    }

    fn remember(&mut self, path: &EntryPath, kind: &EntryKind) {
        if let (folder, MANIFEST) = split(path.as_str())
            && matches!(kind, EntryKind::File { .. } | EntryKind::HardLink { .. })
        {
            self.remember_plugin(folder);
        }
        if self.matched.is_some() || self.tops.len() == NAMED {
            return;
        }
        let top = top(path);
        if !self.tops.contains(&top) {
            self.tops.push(top);
        }
    }

    /// Keeps the outermost of nested folders, and the first ones in order.
    fn remember_plugin(&mut self, folder: &str) {
        let nested = self.plugins.iter().any(|known| below(known, folder).is_some());
        if folder.is_empty() || nested || folder.split('/').any(|name| name == "node_modules") {
            return;
        }
        self.plugins.retain(|known| below(folder, known).is_none());
        self.plugins.insert(folder.to_owned());
        if self.plugins.len() > PLUGINS {
            self.plugins.pop_last();
        }
    }
}

fn mismatch(layout: &Layout, found: Vec<String>) -> UnpackError {
    UnpackError::Layout { expected: shown(layout.folder().as_bytes()), found }
}

/// `path` without the leading components `folder`; `None` if it has others. All is below the empty folder.
pub(crate) fn below<'p>(folder: &str, path: &'p str) -> Option<&'p str> {
    if folder.is_empty() {
        return Some(path);
    }
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
    fn the_outermost_folders_with_a_manifest_are_remembered_and_the_first_twenty_of_them() {
        let file = EntryKind::File { executable: false, len: 0 };
        let wanted = Layout::Folder(EntryPath::parse(b"x", &Limits::default()).unwrap());
        for (paths, expected) in [
            (&["index.json", "package.json", "b/package.json", "a/package.json", "a/x"][..], &["a", "b"][..]),
            (&["a/dist/package.json", "a/package.json", "a/lib/package.json"], &["a"]),
            (&["a/node_modules/y/package.json", "b/package.json5", "a/x"], &["a", "b"]),
            (&["t/a/package.json", "t/b/package.json"], &["t/a", "t/b"]),
        ] {
            let mut selection = Selection::new(Choice::Plugin(&wanted), 1);
            for path in paths {
                selection.take(&EntryPath::parse(path.as_bytes(), &Limits::default()).unwrap(), &file).unwrap();
            }
            let Err(UnpackError::Layout { found, .. }) = selection.prove() else { panic!("{paths:?}") };
            assert_eq!(found, expected, "{paths:?}");
        }
        let mut selection = Selection::new(Choice::Plugin(&wanted), 1);
        for n in (0..100).rev() {
            selection.remember_plugin(&format!("p{n:02}"));
        }
        assert_eq!(selection.found(), (0..PLUGINS).map(|n| format!("p{n:02}")).collect::<Vec<_>>());
    }

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
