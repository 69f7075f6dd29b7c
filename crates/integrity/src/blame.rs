//! Whose move it is after a failure.

/// The party that can make a failed run succeed. Exit status, retry and hints follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The one who writes the configuration or mounts secrets, CAs and volumes.
    Operator,
    /// The one who built or published the artifact.
    Publisher,
    /// The network or a remote server; trying again later may help.
    Network,
    /// This machine: file system, kernel, limits.
    Host,
    /// This program.
    Bug,
}

impl Blame {
    /// The value of the log's `blame=` field.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Publisher => "publisher",
            Self::Network => "network",
            Self::Host => "host",
            Self::Bug => "bug",
        }
    }
}
