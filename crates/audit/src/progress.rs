//! What is told of a run on its way, and what of it a reader of records is spared.

use crate::Level;
use crate::record::Record;

/// A run on its way.
///
/// In records most of this is for whoever debugs a run; [`Format::Rhdh`](crate::Format::Rhdh) always has it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// What a file led to, or a step on a plugin's way.
    Note {
        /// How it stands in RHDH's log.
        shape: NoteShape,
        /// What it says.
        detail: &'a str,
    },
    /// Somebody's turn on the plugin root.
    Lock {
        /// What happened to the lock.
        state: LockState,
        /// The file that carries it.
        path: &'a str,
    },
    /// Plugins of one kind are about to be fetched.
    Queued {
        /// Which kind.
        kind: PluginKind,
        /// How many.
        plugin_count: usize,
        /// How many are worked on at once.
        workers: usize,
    },
    /// A plugin is about to be asked for.
    Installing {
        /// The source, safe to show.
        package: &'a str,
        /// Its kind.
        kind: PluginKind,
    },
    /// An image is about to be fetched, for every plugin that is in it.
    Downloading {
        /// The image, safe to show.
        image: &'a str,
    },
    /// Bytes are about to be compared with the pinned ones.
    Verifying {
        /// The source, safe to show.
        package: &'a str,
    },
}

/// How a note stands in RHDH's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteShape {
    /// It opens a part of the log.
    Heading,
    /// A line as it is.
    Plain,
    /// A step of what the last heading is about.
    Item,
}

/// What happened to the lock of the plugin root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// Another run holds it.
    Waiting,
    /// It is ours.
    Taken,
    /// It is free again.
    Released,
}

/// The two kinds of plugin that RHDH's log tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind {
    /// An image, or another artifact of a registry for images.
    Oci,
    /// Everything that is packed as npm does it: from npm's registry, a server, a repository, a folder.
    Npm,
}

impl LockState {
    /// The value of the field `state`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Taken => "taken",
            Self::Released => "released",
        }
    }
}

impl PluginKind {
    /// The value of the field `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Npm => "npm",
        }
    }
}

impl Progress<'_> {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Note { .. } => "note",
            Self::Lock { .. } => "lock",
            Self::Queued { .. } => "queued",
            Self::Installing { .. } => "installing",
            Self::Downloading { .. } => "downloading",
            Self::Verifying { .. } => "verifying",
        }
    }

    pub(crate) const fn level(&self) -> Level {
        match self {
            Self::Note { .. } => Level::Info,
            Self::Lock { .. }
            | Self::Queued { .. }
            | Self::Installing { .. }
            | Self::Downloading { .. }
            | Self::Verifying { .. } => Level::Debug,
        }
    }

    pub(crate) fn write(&self, record: &mut Record) {
        match *self {
            Self::Note { shape: _, detail } => record.text("detail", detail),
            Self::Lock { state, path } => {
                record.text("state", state.name());
                record.text("path", path);
            }
            Self::Queued { kind, plugin_count, workers } => {
                record.text("kind", kind.name());
                record.number("plugin_count", plugin_count as u64);
                record.number("workers", workers as u64);
            }
            Self::Installing { package, kind } => {
                record.text("package", package);
                record.text("kind", kind.name());
            }
            Self::Downloading { image } => record.text("image", image),
            Self::Verifying { package } => record.text("package", package),
        }
    }
}
