//! Exit status, a contract with whoever looks at the container.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The run completed.
    Completed = 0,
    /// A plugin was rejected and the run was fail-closed; for `check`: an entry would be rejected; for `verify`: a
    /// file is not as it was installed.
    Rejected = 1,
    /// The command line, the environment or the file is wrong.
    Usage = 2,
    /// The root is unusable, could not be changed, or was locked for too long; for `list` and `verify`: nothing can be said
    /// of it.
    Root = 3,
    /// Interrupted (SIGINT).
    Interrupted = 130,
    /// Terminated (SIGTERM).
    Terminated = 143,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}
