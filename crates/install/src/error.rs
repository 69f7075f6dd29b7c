//! What can go wrong with a root, with one plugin, and with a run.

use std::io;
use std::time::Duration;

use config::{Conflict, EntryError};
use fetch::{FetchError, GitFailure};
use integrity::{Blame, Mismatch};
use tarball::{DestinationError, EntryPathError, PackError, UnpackError};

/// A root that cannot be worked on. Nothing on it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// There is none.
    #[error("expected the plugin root `{root}` to exist, found nothing there")]
    Missing {
        /// The path.
        root: String,
    },
    /// A file or a symlink.
    #[error("expected the plugin root `{root}` to be a directory, found a file or a symlink")]
    NotADirectory {
        /// The path.
        root: String,
    },
    /// The whole system's.
    #[error("expected a folder for plugins as the plugin root, found the root of the file system")]
    WholeSystem,
    /// Something else has the name of one of our files.
    #[error("expected `{name}` in the plugin root to be a file, found something else")]
    Obstructed {
        /// The file's name.
        name: &'static str,
    },
    /// One of our files is not for this user, although the root is.
    #[error("failed to open `{name}` in the plugin root")]
    Foreign {
        /// The file's name.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be opened, or not be written to.
    #[error("failed to {act} in the plugin root")]
    Unwritable {
        /// What was attempted.
        act: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Another installer holds it for too long.
    #[error("waited {} seconds for the lock of the plugin root, which is held by {holder}", waited.as_secs())]
    LockTimeout {
        /// How the holder calls itself.
        holder: String,
        /// How long this one waited.
        waited: Duration,
    },
    /// The run was asked to stop while it waited.
    #[error("stopped while waiting for the lock of the plugin root")]
    Interrupted,
}

impl RootError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::WholeSystem
            | Self::Obstructed { .. }
            | Self::Foreign { .. }
            | Self::Unwritable { .. } => "root_unwritable",
            Self::LockTimeout { .. } => "lock_timeout",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::WholeSystem
            | Self::Obstructed { .. }
            | Self::Foreign { .. }
            | Self::LockTimeout { .. }
            | Self::Interrupted => Blame::Operator,
            Self::Unwritable { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Missing { .. } => "mount the volume there, or name another folder with `--root`",
            Self::NotADirectory { .. } => "the portal refuses a root that is a symlink: name the folder itself",
            Self::WholeSystem => "name the folder that the portal scans with `--root`",
            Self::Obstructed { .. } => "move it away: the installer keeps its own record under that name",
            Self::Foreign { name, .. } => {
                return Some(format!(
                    "another user made `{name}`: run all installers of this root as one user, or let this one write to \
                     the file"
                ));
            }
            Self::Unwritable { source, .. } => match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem => "mount the volume writable in the initContainer",
                io::ErrorKind::PermissionDenied => {
                    "let this user write to the volume: set `fsGroup` in the pod's security context"
                }
                io::ErrorKind::StorageFull => "the volume is full: give it more space",
                _ => return None,
            },
            Self::LockTimeout { .. } => {
                "if that pod hangs, delete it: its lock dies with it. Never delete the lock file"
            }
            Self::Interrupted => return None,
        };
        Some(text.to_owned())
    }
}

/// Why one plugin is not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Its entry does not pass.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Its bytes cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its bytes are others.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// Its server sent a page, or nothing, in its place.
    #[error(transparent)]
    Page(Mismatch),
    /// The selected folder cannot be one in an archive.
    #[error("the selected plugin path cannot be a folder of an archive")]
    PluginPath(#[source] EntryPathError),
    /// What leads to its folder cannot be a folder's name in the root.
    #[error("the plugin has no folder it could go to")]
    Folder(#[source] DestinationError),
    /// The local folder cannot be packed.
    #[error("failed to copy the local folder")]
    Pack(#[source] PackError),
    /// A repository cannot be checked out.
    #[error(transparent)]
    Git(#[from] GitFailure),
    /// Its archive or `package.json` does not pass.
    #[error("failed to unpack the artifact")]
    Unpack(#[source] UnpackError),
    /// Another plugin goes to the same folder, or something there is not to be replaced.
    #[error("the destination `{dest}` is taken: {by}")]
    Destination {
        /// The folder's name in the root.
        dest: String,
        /// What is there.
        by: Obstacle,
    },
    /// Another plugin's `pluginConfig` sets the same key differently.
    #[error(transparent)]
    PluginConfig(#[from] Conflict),
    /// The installed copy cannot be moved.
    #[error("failed to take the installed copy in `{dest}` out of the way")]
    Immovable {
        /// The folder's name in the root.
        dest: String,
        /// Why not.
        source: io::Error,
    },
    /// The local path leads elsewhere.
    #[error("`{path}` leads out of the working folder, and what is there is out of reach")]
    OutOfReach {
        /// The path, as it is written.
        path: String,
    },
    /// The local package would be installed into itself, or from what is being replaced.
    #[error("expected the local package `{path}` and the plugin root to lie apart, found one in the other")]
    InRoot {
        /// The path, as it is written.
        path: String,
    },
    /// The volume could not take it.
    #[error("failed to {act}")]
    Host {
        /// What was attempted.
        act: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The run was asked to stop before it was done.
    #[error("the run was stopped before the plugin was installed")]
    Interrupted,
}

/// What stands at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// An earlier entry's plugin.
    Plugin {
        /// Its package.
        package: String,
    },
    /// An earlier entry's plugin, in a folder of the same name but for its case.
    OtherCase {
        /// Its package.
        package: String,
        /// Its folder.
        dest: String,
    },
    /// A file.
    File,
    /// A symlink.
    Symlink,
    /// A folder that this program did not make and that is no copy of the plugin.
    ForeignFolder,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plugin { package } => write!(f, "`{package}` goes there"),
            Self::OtherCase { package, dest } => {
                write!(f, "`{package}` goes to `{dest}`, which is the same where case does not count")
            }
            Self::File => f.write_str("it is a file"),
            Self::Symlink => f.write_str("it is a symlink"),
            Self::ForeignFolder => f.write_str("it is a folder that is no copy of this plugin and was not made by us"),
        }
    }
}

impl Rejection {
    /// The reason code of the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Entry(error) => error.reason(),
            Self::Fetch(error) => error.reason(),
            Self::Mismatch(error) | Self::Page(error) => error.reason(),
            Self::PluginPath(error) => error.reason(),
            Self::Folder(error) => error.reason(),
            Self::Pack(error) => error.reason(),
            Self::Git(error) => error.reason(),
            Self::Unpack(error) => error.reason(),
            Self::Destination { .. } => "destination_conflict",
            Self::PluginConfig(error) => error.reason(),
            Self::OutOfReach { .. } | Self::InRoot { .. } => "package_invalid",
            Self::Host { .. } | Self::Immovable { .. } => "io_error",
            Self::Interrupted => "interrupted",
        }
    }

    /// The value of the log's `cause=` field, for failed pulls.
    pub const fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Fetch(error) => error.cause(),
            _ => None,
        }
    }

    /// Both digests, when the bytes are others.
    pub const fn mismatch(&self) -> Option<&Mismatch> {
        match self {
            Self::Mismatch(mismatch) | Self::Page(mismatch) => Some(mismatch),
            _ => None,
        }
    }

    /// The folder that could not be had.
    pub(crate) fn destination(&self) -> Option<&str> {
        match self {
            Self::Destination { dest, .. } => Some(dest),
            _ => None,
        }
    }

    /// Whose move it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Entry(error) => error.blame(),
            Self::Fetch(error) => error.blame(),
            Self::Mismatch(error) | Self::Page(error) => error.blame(),
            Self::Unpack(error) => error.blame(),
            Self::Folder(error) => error.blame(),
            Self::Pack(error) => error.blame(),
            Self::Git(error) => error.blame(),
            Self::PluginConfig(error) => error.blame(),
            Self::PluginPath(_)
            | Self::Destination { .. }
            | Self::OutOfReach { .. }
            | Self::InRoot { .. }
            | Self::Interrupted => Blame::Operator,
            Self::Host { .. } | Self::Immovable { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Entry(error) => return error.hint(),
            Self::Fetch(error) => return error.hint(),
            Self::Unpack(error) => return error.hint(),
            Self::PluginConfig(error) => return Some(error.hint()),
            Self::Pack(error) => return error.hint(),
            Self::Git(error) => return error.hint().map(str::to_owned),
            Self::Folder(error) => error.hint(),
            Self::PluginPath(error) => error.hint(),
            Self::Page(Mismatch { len: 0, .. }) => {
                "look at what answers at that address: it sent nothing, as a broken server or a proxy between may do"
            }
            Self::Page(_) => {
                "look at what answers at that address: it sent HTML, as a login or error page is, and not a tarball"
            }
            Self::Mismatch(_) => {
                "if the publisher confirms the computed value, pin it; otherwise someone changed the artifact"
            }
            Self::Destination { by: Obstacle::Plugin { .. } | Obstacle::OtherCase { .. }, .. } => {
                "keep one of the two entries"
            }
            Self::Destination { .. } => "move it away, if it is not needed; it is never replaced or followed",
            Self::Host { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "the volume is full: give it more space (`sizeLimit` of an `emptyDir`)"
            }
            Self::Immovable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run as the user who owns the folder (`runAsUser`), or make the folder writable"
            }
            Self::OutOfReach { .. } => "copy or mount what it points to into the working folder",
            Self::InRoot { .. } => {
                "keep local plugins in a folder of their own: what is in the root is replaced and removed"
            }
            Self::Host { .. } | Self::Immovable { .. } | Self::Interrupted => return None,
        };
        Some(text.to_owned())
    }
}
