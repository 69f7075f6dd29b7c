//! What can go wrong between permission and bytes.

use std::io;
use std::time::Duration;

use integrity::Blame;
use oci::{Failure, OciError};
use source::NotAllowed;
use transport::{Cause, Retryable, TransportError};

use crate::{NpmFailure, Refused, Unfollowed};

/// A source whose bytes could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A registry's side of the matter.
    #[error("failed to pull from the registry")]
    Oci(#[source] OciError),
    /// An https server's side of the matter.
    #[error("failed to download `{url}`")]
    Https {
        /// The source.
        url: String,
        /// Why.
        source: HttpsFailure,
    },
    /// The bytes broke off on their way, or were not what the registry's descriptor says.
    #[error("failed to receive the artifact of `{package}`")]
    Transfer {
        /// The source.
        package: String,
        /// Who sent it.
        server: Server,
        /// Why.
        source: TransferFailure,
    },
    /// More bytes than the limit, announced or sent.
    #[error("expected an artifact of at most {limit} bytes from `{package}`, found {found}")]
    TooLarge {
        /// The source.
        package: String,
        /// The limit, in bytes.
        limit: u64,
        /// What was announced, or what had come when it was cut off.
        found: u64,
    },
    /// The spool could not take the bytes.
    #[error("failed to store the artifact of `{package}`")]
    Spool {
        /// The source.
        package: String,
        /// Why.
        source: io::Error,
    },
    /// Any of the others, told in words that repeat a login or token.
    #[error("failed to fetch `{package}`: what the server says repeats a login or token, and is not shown")]
    Concealed {
        /// The source.
        package: String,
        /// The reason code of the audit log.
        reason: &'static str,
        /// The value of the log's `cause=` field.
        cause: Option<&'static str>,
        /// Whether another try may do better.
        is_transient: bool,
    },
    /// From an npm registry.
    #[error("failed to fetch `{package}`")]
    Npm {
        /// The source.
        package: String,
        /// Why.
        source: NpmFailure,
    },
    /// A kind of source that is on no server of artifacts.
    #[error("sources like `{package}` are not fetched from a server")]
    Unsupported {
        /// The source.
        package: String,
    },
    /// An integrity is of one archive.
    #[error("expected one layer for the integrity of `{package}`, found {count}")]
    SeveralLayers {
        /// The source.
        package: String,
        /// How many it has.
        count: usize,
    },
    /// The run was asked to stop.
    #[error("stopped while fetching `{package}`")]
    Stopped {
        /// The source.
        package: String,
    },
}

/// Why an https server gave no body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpsFailure {
    /// No usable answer.
    #[error(transparent)]
    Transport(TransportError),
    /// A status that is no success.
    #[error(transparent)]
    Status(Refused),
    /// A redirect that the policy does not let through.
    #[error("`{server}` redirects to a source that is not allowed")]
    NotAllowed {
        /// Who redirected.
        server: String,
        /// The policy's verdict.
        source: NotAllowed,
    },
    /// A redirect that is not followed.
    #[error(transparent)]
    RedirectDenied(Unfollowed),
}

/// Who sends artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// A registry of images, which names the bytes by their digest first.
    Registry,
    /// An https server.
    Https,
    /// A registry of npm packages.
    Npm,
}

/// Why an opened body did not arrive whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferFailure {
    /// It was cut, stalled, or malformed.
    #[error(transparent)]
    Transport(TransportError),
    /// Too slow for too long.
    #[error("fewer than {bytes} bytes came in {seconds} seconds")]
    Stalled {
        /// The least that must come.
        bytes: u64,
        /// In that time.
        seconds: u64,
    },
    /// The plugin's time was used up.
    #[error("it took longer than {} seconds", .allowance.as_secs())]
    Deadline {
        /// The time allowed.
        allowance: Duration,
    },
    /// A partial answer that nobody asked for, or of another part.
    #[error("the server sent a part of the artifact that was not asked for")]
    WrongRange,
    /// Not as many bytes as the descriptor says.
    #[error("expected {expected} bytes, found {found}")]
    Size {
        /// The descriptor's size.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Other bytes than the descriptor says.
    #[error("expected content with digest `{expected}`, found `{found}`")]
    Digest {
        /// The descriptor's digest.
        expected: String,
        /// What came.
        found: String,
    },
}

impl FetchError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Oci(_) | Self::Transfer { server: Server::Registry, .. } => "oci_pull_failed",
            Self::Https { source: HttpsFailure::NotAllowed { .. }, .. } => "source_not_allowed",
            Self::Https { .. } | Self::Transfer { server: Server::Https, .. } => "https_pull_failed",
            Self::TooLarge { .. } => "artifact_too_large",
            Self::Spool { .. } => "io_error",
            Self::Npm { source, .. } => source.reason(),
            Self::Transfer { server: Server::Npm, .. } => "npm_pull_failed",
            Self::Unsupported { .. } => "scheme_not_supported",
            Self::SeveralLayers { .. } => "integrity_unsupported",
            Self::Stopped { .. } => "interrupted",
            Self::Concealed { reason, .. } => reason,
        }
    }

    /// The value of the log's `cause=` field, for failed pulls.
    pub const fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Oci(error) => Some(error.cause()),
            Self::Https { source, .. } => Some(source.code()),
            Self::Transfer { source, .. } => Some(source.code()),
            Self::Npm { source, .. } => Some(source.code()),
            Self::Concealed { cause, .. } => *cause,
            Self::TooLarge { .. }
            | Self::Spool { .. }
            | Self::Unsupported { .. }
            | Self::SeveralLayers { .. }
            | Self::Stopped { .. } => None,
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Oci(error) => error.blame(),
            Self::Https { source, .. } => source.blame(),
            Self::Npm { source, .. } => source.blame(),
            Self::Transfer { .. } | Self::Concealed { .. } => Blame::Network,
            Self::TooLarge { .. } | Self::Unsupported { .. } | Self::SeveralLayers { .. } | Self::Stopped { .. } => {
                Blame::Operator
            }
            Self::Spool { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Oci(error) => return error.hint(),
            Self::Https { source, .. } => return source.hint(),
            Self::Npm { source, .. } => return source.hint(),
            Self::TooLarge { .. } => {
                "if the artifact is as large as it should be, raise the installer's `--max-artifact-bytes`"
            }
            Self::Spool { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "the volume is full: give it more space (`sizeLimit` of an `emptyDir`)"
            }
            Self::Transfer { source: TransferFailure::Deadline { .. }, .. } => {
                "if the network is that slow, raise `--plugin-timeout`"
            }
            Self::Transfer { source: TransferFailure::Transport(error), .. } => {
                return error.cause().hint().map(str::to_owned);
            }
            Self::Transfer { source: TransferFailure::Stalled { .. }, .. } => {
                return Cause::Stalled.hint().map(str::to_owned);
            }
            Self::Concealed { .. } => "ask the server's operator why its answers repeat what clients send",
            Self::SeveralLayers { .. } => "pin the image by its digest, `@sha256:…`, and leave `integrity` out",
            Self::Spool { .. } | Self::Transfer { .. } | Self::Unsupported { .. } | Self::Stopped { .. } => {
                return None;
            }
        };
        Some(text.to_owned())
    }
}

impl FetchError {
    /// The same, told as what it is where an exchange was given up by this side: there was no more time for
    /// `package` than `allowance`, or a stop was asked for.
    pub(crate) fn or_given_up(self, package: &str, allowance: Duration) -> Self {
        let (server, error) = match &self {
            Self::Oci(error) => match error.failure() {
                Failure::Transport(error) => (Server::Registry, error),
                _ => return self,
            },
            Self::Https { source: HttpsFailure::Transport(error), .. } => (Server::Https, error),
            Self::Npm { source: NpmFailure::Transport(error), .. } => (Server::Npm, error),
            Self::Transfer { server, source: TransferFailure::Transport(error), .. } => (*server, error),
            _ => return self,
        };
        let package = package.to_owned();
        match error.cause() {
            Cause::Deadline => Self::Transfer { package, server, source: TransferFailure::Deadline { allowance } },
            Cause::Stopped => Self::Stopped { package },
            _ => self,
        }
    }
}

impl HttpsFailure {
    const fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.cause().code(),
            Self::Status(refused) => refused.cause(),
            Self::NotAllowed { .. } | Self::RedirectDenied(_) => "redirect_denied",
        }
    }

    const fn blame(&self) -> Blame {
        match self {
            Self::Transport(error) => oci::blame_of(error.cause()),
            Self::Status(refused) => refused.blame(),
            Self::NotAllowed { .. } => Blame::Operator,
            Self::RedirectDenied(_) => Blame::Network,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Status(Refused { status: 401 | 403, with_credentials: true, server, .. }) => {
                return Some(format!("the login for `{server}` in the netrc file is wrong or may not read this file"));
            }
            Self::Status(Refused { status: 401 | 403, with_credentials: false, server, .. }) => {
                return Some(format!("add a login for `{server}` to a netrc file and name it with `--netrc`"));
            }
            Self::Status(Refused { status: 404 | 410, .. }) => "check the path; the file is not there",
            Self::Status(Refused { status: 500..=599, .. }) => {
                "the server has trouble: try again later, or ask its operator"
            }
            Self::NotAllowed { source, .. } => return Some(source.hint()),
            Self::Transport(error) => return error.cause().hint().map(str::to_owned),
            Self::Status(_) | Self::RedirectDenied(_) => return None,
        };
        Some(text.to_owned())
    }
}

impl TransferFailure {
    const fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.cause().code(),
            Self::Stalled { .. } => "stalled",
            Self::Deadline { .. } => "timeout",
            Self::WrongRange => "protocol",
            Self::Size { .. } => "size_mismatch",
            Self::Digest { .. } => "digest_mismatch",
        }
    }
}

impl Retryable for FetchError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Oci(error) => error.is_transient(),
            Self::Npm { source, .. } => source.is_transient(),
            Self::Https { source: HttpsFailure::Transport(error), .. }
            | Self::Transfer { source: TransferFailure::Transport(error), .. } => error.cause().is_transient(),
            Self::Https { source: HttpsFailure::Status(refused), .. } => refused.is_transient(),
            Self::Transfer { source: TransferFailure::Stalled { .. }, .. } => true,
            Self::Concealed { is_transient, .. } => *is_transient,
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Oci(error) => error.retry_after(),
            Self::Npm { source, .. } => source.retry_after(),
            Self::Https { source: HttpsFailure::Status(refused), .. } => refused.retry_after,
            _ => None,
        }
    }
}
