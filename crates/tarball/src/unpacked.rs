//! What is told of an archive while it is unpacked, and what is known of it afterwards.

use std::io;

use integrity::Sha256;

use crate::dir::FileMode;
use crate::manifest::Manifest;

/// Told what is written: while it is written if there is one layer, at the end if there are several.
pub trait Record {
    /// A file or symlink is in place, and stays.
    ///
    /// # Errors
    /// An error ends the unpacking.
    fn written(&mut self, entry: &Written<'_>) -> io::Result<()>;

    /// Asked before each entry and for each 256 KiB expanded, written or not: whether to stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// A file or symlink of an unpacked plugin. Folders are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'a> {
    /// The path within the plugin, components joined by `/`.
    pub path: &'a str,
    /// What is there.
    pub content: Content<'a>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A regular file, or one more name of one.
    Regular {
        /// Its length in bytes.
        len: u64,
        /// The digest of its bytes.
        sha256: Sha256,
        /// Its mode.
        mode: FileMode,
    },
    /// A relative symlink that stays in the plugin.
    Symlink {
        /// Its text.
        target: &'a str,
    },
}

/// A plugin on disk: every entry was accepted, and the artifact was read to its end.
#[must_use = "an unpacked plugin is meant to be installed"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    pub(crate) manifest: Manifest,
    pub(crate) tree: Extracted,
}

impl Unpacked {
    /// What its `package.json` says.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many files and symlinks it has.
    pub const fn files(&self) -> u64 {
        self.tree.files()
    }

    /// How many folders it has, its own not counted.
    pub const fn folders(&self) -> u64 {
        self.tree.folders()
    }

    /// How many bytes the files have, each hard link counted as a copy.
    pub const fn bytes(&self) -> u64 {
        self.tree.bytes()
    }
}

/// Part of an artifact on disk: every entry was accepted, those outside the part too, and all layers were read to
/// their ends.
#[must_use = "whether anything was there is only known from it"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extracted {
    pub(crate) files: u64,
    pub(crate) folders: u64,
    pub(crate) bytes: u64,
}

impl Extracted {
    /// How many files and symlinks there are.
    pub const fn files(&self) -> u64 {
        self.files
    }

    /// How many folders there are, those above what was asked for included.
    pub const fn folders(&self) -> u64 {
        self.folders
    }

    /// How many bytes the files have, each hard link counted as a copy.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}
