//! Why an entry, or a whole file, was not pinned.

use std::io;

use config::{EditError, EntryError};
use fetch::FetchError;
use integrity::{Blame, Mismatch};

/// Why an entry was left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unpinned {
    /// It may not be fetched, or holds an integrity that is none.
    #[error(transparent)]
    Entry(EntryError),
    /// Its bytes could not be had.
    #[error(transparent)]
    Fetch(FetchError),
    /// The bytes are not those that are pinned, so they give it no digest either.
    #[error(transparent)]
    Moved(Mismatch),
    /// The bytes are no tarball: the page of a login, perhaps.
    #[error("expected a gzipped tarball from `{package}`, found something else")]
    NotGzip {
        /// The source.
        package: String,
    },
    /// Its values cannot be changed in place.
    #[error(transparent)]
    Edit(EditError),
    /// There is no place for its bytes.
    #[error("failed to keep the artifact of `{package}` in a temporary file")]
    Spool {
        /// The source.
        package: String,
        /// Why.
        source: io::Error,
    },
}

impl Unpinned {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Entry(error) => error.reason(),
            Self::Fetch(error) => error.reason(),
            Self::Moved(error) => error.reason(),
            Self::NotGzip { .. } => "archive_invalid",
            Self::Edit(error) => error.reason(),
            Self::Spool { .. } => "io_error",
        }
    }

    /// What went wrong with a failed pull, more exactly.
    pub const fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Fetch(error) => error.cause(),
            Self::Entry(_) | Self::Moved(_) | Self::NotGzip { .. } | Self::Edit(_) | Self::Spool { .. } => None,
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Entry(error) => error.blame(),
            Self::Fetch(error) => error.blame(),
            Self::Moved(error) => error.blame(),
            Self::NotGzip { .. } => Blame::Operator,
            Self::Edit(error) => error.blame(),
            Self::Spool { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Entry(EntryError::Integrity(error)) => {
                Some(format!("{}; or take what is published now with `--update`", error.hint()))
            }
            Self::Entry(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Moved(_) => Some(
                "other bytes are published than were pinned: ask the publisher why, and take the new ones with \
                 `--update`"
                    .to_owned(),
            ),
            Self::NotGzip { .. } => Some(
                "see what is there: a server may answer with a page, of a login for example; a login for it goes into \
                 the file that `--netrc` names"
                    .to_owned(),
            ),
            Self::Edit(error) => error.hint(),
            Self::Spool { .. } => Some("make room in the folder for temporary files".to_owned()),
        }
    }
}

/// Why a file was not pinned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The operating system gives no thread.
    #[error("failed to start a thread for the downloads")]
    Threads(#[source] io::Error),
    /// Somebody asked to stop.
    #[error("stopped before the file was pinned")]
    Interrupted,
    /// The new values cannot be written into the text.
    #[error("failed to write the pins into the file")]
    Edit(#[source] EditError),
}

impl PinError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Threads(_) => "io_error",
            Self::Interrupted => "interrupted",
            Self::Edit(error) => error.reason(),
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Threads(_) => Blame::Host,
            Self::Interrupted => Blame::Operator,
            Self::Edit(error) => error.blame(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Threads(_) => Some("raise the limit of processes and threads (`ulimit -u`)".to_owned()),
            Self::Interrupted => None,
            Self::Edit(error) => error.hint(),
        }
    }
}
