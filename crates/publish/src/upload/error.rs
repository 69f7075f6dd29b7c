//! Why a tarball was not taken.

use std::time::Duration;

use integrity::{Blame, Integrity};
use source::HttpsUrl;
use transport::{Retryable, TransportError, UrlError};

/// A tarball that was not taken.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} `{url}`")]
pub struct UploadError {
    act: &'static str,
    url: String,
    #[source]
    pub(super) failure: UploadFailure,
}

/// Why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadFailure {
    /// Nobody can be asked for it.
    #[error("the URL cannot be asked for")]
    Url(#[from] UrlError),
    /// No usable answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server says no.
    #[error("the server answered {}", said(*.status, *.with_token))]
    Status {
        /// Its status.
        status: u16,
        /// When to try again.
        retry_after: Option<Duration>,
        /// Whether it was asked with a token.
        with_token: bool,
    },
    /// The server neither shows a file nor says that there is none.
    #[error("whether a file is there cannot be seen: the server answered {}", said(*.status, *.with_token))]
    Unseen {
        /// Its status.
        status: u16,
        /// Whether it was asked with a token.
        with_token: bool,
    },
    /// The server points elsewhere. A token and a plugin are not handed to whoever a server names.
    #[error("the server answered {status}, a redirect, which is not followed when something is sent")]
    Redirect {
        /// Its status.
        status: u16,
    },
    /// Another file is there already.
    #[error("expected nothing there, found a file with `{found}`")]
    Exists {
        /// What it hashes to.
        found: Integrity,
    },
    /// A larger file is there already.
    #[error("expected nothing there, found a larger file")]
    ExistsLarger,
    /// The server refuses to write over a file that came there meanwhile.
    #[error("expected nothing there, found a file that was not there before")]
    Appeared,
}

/// A status, and what may be behind it.
fn said(status: u16, with_token: bool) -> String {
    let why = match status {
        401 | 403 if !with_token => ", and no token was given",
        300..=399 => ", a redirect",
        _ => "",
    };
    format!("{status}{why}")
}

impl UploadError {
    pub(super) fn new(act: &'static str, to: &HttpsUrl, failure: UploadFailure) -> Self {
        Self { act, url: to.to_string(), failure }
    }

    /// The reason code.
    pub const fn reason(&self) -> &'static str {
        match &self.failure {
            UploadFailure::Exists { .. } | UploadFailure::ExistsLarger | UploadFailure::Appeared => "tag_exists",
            UploadFailure::Url(_) => "usage",
            UploadFailure::Transport(_)
            | UploadFailure::Status { .. }
            | UploadFailure::Unseen { .. }
            | UploadFailure::Redirect { .. } => "push_failed",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match &self.failure {
            UploadFailure::Exists { .. } | UploadFailure::ExistsLarger | UploadFailure::Appeared => Blame::Publisher,
            UploadFailure::Transport(error) => oci::blame_of(error.cause()),
            // A server that answers so has understood what was asked for, and has something against it.
            UploadFailure::Url(_)
            | UploadFailure::Unseen { .. }
            | UploadFailure::Status { status: 400..=407 | 409..=428 | 430..=499, .. } => Blame::Operator,
            UploadFailure::Status { .. } | UploadFailure::Redirect { .. } => Blame::Network,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        const BLIND: &str = "send it without looking with `--force`, which replaces what may be there";
        let text = match &self.failure {
            UploadFailure::Transport(error) => return error.cause().hint().map(str::to_owned),
            UploadFailure::Unseen { status, with_token } => {
                return Some(match (status, with_token) {
                    (401 | 403, false) => {
                        format!(
                            "give a token that may read there, too, with `--token-file` or `--token-stdin`; or {BLIND}"
                        )
                    }
                    (401 | 403, true) => format!("use a token that may write there, and read, too; or {BLIND}"),
                    (300..=399, _) => format!("give the URL that it redirects to, if you trust it; or {BLIND}"),
                    _ => BLIND.to_owned(),
                });
            }
            UploadFailure::Exists { .. } | UploadFailure::ExistsLarger | UploadFailure::Appeared => {
                "publish under a new name, or replace it with `--force` if no portal pins it"
            }
            UploadFailure::Status { status: 401 | 403, with_token: false, .. } => {
                "give a token with `--token-file` or `--token-stdin`"
            }
            UploadFailure::Status { status: 401 | 403, .. } => "use a token that may write there",
            UploadFailure::Status { status: 405, .. } => {
                "try `--form put` or `--form multipart`, as the server's manual says"
            }
            UploadFailure::Url(_) | UploadFailure::Status { status: 404, .. } => "check the URL",
            UploadFailure::Status { status: 501, .. } => {
                "a server that does not know `If-None-Match`, which keeps it from replacing a file, needs `--force`"
            }
            UploadFailure::Status { status: 400 | 422, .. } => {
                "the server's manual says what it takes: another `--form`, or another name of the form's `--field`"
            }
            UploadFailure::Status { status: 413, .. } => "the server, or a proxy before it, takes no file of this size",
            UploadFailure::Redirect { .. } => "give the URL that it redirects to, if you trust it",
            UploadFailure::Status { .. } => return None,
        };
        Some(text.to_owned())
    }
}

impl Retryable for UploadError {
    fn is_transient(&self) -> bool {
        match &self.failure {
            UploadFailure::Transport(error) => error.cause().is_transient(),
            UploadFailure::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            UploadFailure::Url(_)
            | UploadFailure::Unseen { .. }
            | UploadFailure::Redirect { .. }
            | UploadFailure::Exists { .. }
            | UploadFailure::ExistsLarger
            | UploadFailure::Appeared => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            UploadFailure::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
