//! What can go wrong between a package's name and its tarball.

use std::time::Duration;

use integrity::Blame;
use transport::{Retryable, TransportError, UrlError};

use super::choice::NoVersion;
use crate::{Refused, Unfollowed};

/// Why an npm registry gave no tarball.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpmFailure {
    /// No usable answer.
    #[error(transparent)]
    Transport(TransportError),
    /// A status that is no success.
    #[error(transparent)]
    Status(Refused),
    /// A redirect that is not followed.
    #[error(transparent)]
    RedirectDenied(Unfollowed),
    /// Metadata of another shape.
    #[error("`{server}` describes the package in a form that is not npm's")]
    Metadata {
        /// Who said so.
        server: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A tarball, or a registry, at a place that is not asked.
    #[error("`{server}` has the package at a place that is not asked")]
    Url {
        /// The registry.
        server: String,
        /// Why not.
        source: UrlError,
    },
    /// The registry has the package, and not this version of it.
    #[error("`{name}` has no such version")]
    NoVersion {
        /// The package.
        name: String,
        /// What was wanted, and what there is.
        source: NoVersion,
    },
}

impl NpmFailure {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "npm_pull_failed"
    }

    /// The value of the log's `cause=` field.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.cause().code(),
            Self::Status(refused) => refused.cause(),
            Self::RedirectDenied(_) | Self::Url { .. } => "redirect_denied",
            Self::Metadata { .. } => "shape",
            Self::NoVersion { .. } => "not_found",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Transport(error) => oci::blame_of(error.cause()),
            Self::Status(refused) => refused.blame(),
            Self::Metadata { .. } | Self::NoVersion { .. } => Blame::Operator,
            Self::RedirectDenied(_) | Self::Url { .. } => Blame::Network,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Status(Refused { status: 401 | 403, with_credentials: true, server, .. }) => {
                return Some(format!(
                    "the login for `{server}` in the `.npmrc` file is wrong or may not read this package"
                ));
            }
            Self::Status(Refused { status: 401 | 403, with_credentials: false, server, .. }) => {
                return Some(format!(
                    "add `//{server}/:_authToken=TOKEN` to an `.npmrc` file and name it with NPM_CONFIG_USERCONFIG"
                ));
            }
            Self::Status(Refused { status: 404 | 410, with_credentials: true, .. }) => {
                "check the package's name; the registry has none of it, or none that this login may read"
            }
            Self::Status(Refused { status: 404 | 410, with_credentials: false, .. }) => {
                "check the package's name, and its scope's registry in the `.npmrc` file; a private one needs a login there"
            }
            Self::Status(Refused { status: 500..=599, .. }) => {
                "the registry has trouble: try again later, or ask its operator"
            }
            Self::Metadata { .. } => "check that the `registry` of the `.npmrc` file is the URL of an npm registry",
            Self::NoVersion { .. } => "write a version that there is",
            Self::Transport(error) => return error.cause().hint().map(str::to_owned),
            Self::Status(_) | Self::RedirectDenied(_) | Self::Url { .. } => return None,
        };
        Some(text.to_owned())
    }
}

impl Retryable for NpmFailure {
    fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => error.cause().is_transient(),
            Self::Status(refused) => refused.is_transient(),
            Self::RedirectDenied(_) | Self::Metadata { .. } | Self::Url { .. } | Self::NoVersion { .. } => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(refused) => refused.retry_after,
            _ => None,
        }
    }
}
