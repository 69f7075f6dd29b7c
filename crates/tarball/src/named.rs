//! What the layers of an archive have named so far.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::error::Unsafe;
use crate::reader::EntryKind;

/// Every name of every layer, for what the file system cannot judge: entries that are not written, and whether what is
/// on disk came from this layer or from one below it.
///
/// A path is known by a hash under a random key, so that many long ones take little memory.
#[derive(Debug, Default)]
pub(crate) struct Named {
    nodes: HashMap<u64, (Node, u32)>,
    key: RandomState,
    layer: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File,
    Symlink,
}

impl Named {
    /// From now on names are those of the next layer.
    pub(crate) const fn next_layer(&mut self) {
        self.layer += 1;
    }

    /// The number of this layer, the lowest one being 1.
    pub(crate) const fn layer(&self) -> u32 {
        self.layer
    }

    /// Whether this layer has named `path`.
    pub(crate) fn is_own(&self, path: &str) -> bool {
        self.at(path).is_some_and(|(_, layer)| layer == self.layer)
    }

    /// Whether `path` was last named as a file.
    pub(crate) fn is_file(&self, path: &str) -> bool {
        matches!(self.at(path), Some((Node::File, _)))
    }

    /// Takes the name of an entry, which no other entry of the same layer may contradict.
    pub(crate) fn name(&mut self, path: &str, kind: &EntryKind) -> Result<(), Unsafe> {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if above
            .any(|folder| matches!(self.at(folder), Some((Node::File | Node::Symlink, layer)) if layer == self.layer))
        {
            return Err(Unsafe::BelowFile);
        }
        let node = match kind {
            EntryKind::Directory => Node::Folder,
            EntryKind::File { .. } | EntryKind::HardLink { .. } => Node::File,
            EntryKind::Symlink { .. } => Node::Symlink,
        };
        match self.nodes.insert(self.key.hash_one(path), (node, self.layer)) {
            Some((Node::Folder, _)) if node == Node::Folder => Ok(()),
            Some((_, layer)) if layer == self.layer => Err(Unsafe::Duplicate),
            Some(_) | None => Ok(()),
        }
    }

    fn at(&self, path: &str) -> Option<(Node, u32)> {
        self.nodes.get(&self.key.hash_one(path)).copied()
    }
}
