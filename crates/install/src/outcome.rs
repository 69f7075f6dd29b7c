//! How a run ends.

use audit::more_failed;
use integrity::Blame;

use crate::{Chain, Rejection, RootError};

/// A run that completed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Plugins installed or replaced.
    pub installed: usize,
    /// Plugins rejected, which the run could go on without.
    pub rejected: usize,
    /// Plugins disabled or unchanged.
    pub skipped: usize,
    /// Plugins of ours that were removed.
    pub removed: usize,
    /// The first rejected plugin.
    pub first_rejected: Option<Rejected>,
}

/// A plugin that was rejected, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its package, safe to show.
    pub package: String,
    /// The reason code.
    pub reason: &'static str,
    /// The rejection and its causes.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whose move it is.
    pub blame: Blame,
    /// How many more were rejected, in a dialect that tells of all of them.
    pub others: usize,
}

/// A run that did not complete. Nothing visible on the root has changed, unless a failed commit says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A plugin was rejected, and the run is fail-closed.
    #[error("plugin `{}` was rejected with `{}`{}", .0.package, .0.reason, more_failed(.0.others))]
    Rejected(Rejected),
    /// The root cannot be worked on.
    #[error("the plugin root cannot be used")]
    Root(#[from] RootError),
    /// The swap itself failed.
    #[error("failed to make the plugins visible{}", if *.undone { "" } else { ", and to undo what was done; the next run carries it through" })]
    Commit {
        /// Why.
        source: std::io::Error,
        /// Whether the root is as it was before.
        undone: bool,
    },
    /// The run was asked to stop.
    #[error("the run was stopped")]
    Interrupted,
}

impl Rejected {
    pub(crate) fn of(package: &str, why: &Rejection, others: usize) -> Self {
        Self {
            package: package.to_owned(),
            reason: why.reason(),
            detail: Chain(why).to_string(),
            hint: why.hint(),
            blame: why.blame(),
            others,
        }
    }
}

impl RunError {
    /// The reason code of the last record.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Rejected(_) => "continueOnError_false",
            Self::Root(error) => error.reason(),
            Self::Commit { .. } => "io_error",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Rejected(rejected) => rejected.blame,
            Self::Root(error) => error.blame(),
            Self::Commit { .. } => Blame::Host,
            Self::Interrupted => Blame::Operator,
        }
    }

    /// How many plugins were rejected besides the one that is named.
    pub const fn others(&self) -> usize {
        match self {
            Self::Rejected(rejected) => rejected.others,
            Self::Root(_) | Self::Commit { .. } | Self::Interrupted => 0,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Rejected(rejected) => rejected.hint.clone(),
            Self::Root(error) => error.hint(),
            Self::Commit { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the volume is full: give it more space (`sizeLimit` of an `emptyDir`)".to_owned())
            }
            Self::Commit { source, .. } if source.kind() == std::io::ErrorKind::CrossesDevices => Some(
                "a folder of the container's image cannot be moved: mount a volume at the plugin root, or leave plugins \
                 out of the image"
                    .to_owned(),
            ),
            Self::Commit { .. } | Self::Interrupted => None,
        }
    }
}
