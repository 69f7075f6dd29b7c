//! Answers without the body that was asked for, whoever gives them, and what their status means (RFC 9110, section 15).

use std::time::Duration;

use integrity::Blame;
use transport::{Clock, Response, parse_retry_after};

/// A status that is no success.
#[derive(Debug, thiserror::Error)]
#[error("`{server}` answered {status}")]
pub struct Refused {
    /// Who said so.
    pub server: String,
    /// The status code.
    pub status: u16,
    /// What it asked for.
    pub retry_after: Option<Duration>,
    /// Whether credentials had been sent.
    pub with_credentials: bool,
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("`{server}` redirects to a place that is not followed: {why}")]
pub struct Unfollowed {
    /// Who redirected.
    pub server: String,
    /// Why not.
    pub why: String,
}

impl Refused {
    pub(crate) fn of(response: &Response, server: String, with_credentials: bool, clock: &dyn Clock) -> Self {
        let wait = response.headers().first("retry-after");
        let retry_after = wait.and_then(|value| parse_retry_after(value, clock.now()));
        Self { server, status: response.status(), retry_after, with_credentials }
    }

    /// The value of the log's `cause=` field.
    pub(crate) const fn cause(&self) -> &'static str {
        match self.status {
            401 => "unauthorized",
            403 => "forbidden",
            404 | 410 => "not_found",
            408 => "timeout",
            429 => "rate_limited",
            500..=599 => "server_error",
            _ => "protocol",
        }
    }

    /// Whose move it is: whoever asks for what is not there, or not for them, can ask otherwise.
    pub(crate) const fn blame(&self) -> Blame {
        match self.status {
            400..=407 | 410 => Blame::Operator,
            _ => Blame::Network,
        }
    }

    /// Whether another try may do better.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again_and_what_is_asked_wrong_is_the_operators() {
        for (statuses, expected) in [
            (401..=401, ("unauthorized", Blame::Operator, false)),
            (403..=403, ("forbidden", Blame::Operator, false)),
            (404..=404, ("not_found", Blame::Operator, false)),
            (408..=408, ("timeout", Blame::Network, true)),
            (410..=410, ("not_found", Blame::Operator, false)),
            (429..=429, ("rate_limited", Blame::Network, true)),
            (500..=599, ("server_error", Blame::Network, true)),
            (600..=999, ("protocol", Blame::Network, false)),
        ] {
            for status in statuses {
                let refused = Refused { server: String::new(), status, retry_after: None, with_credentials: false };
                assert_eq!((refused.cause(), refused.blame(), refused.is_transient()), expected, "{status}");
            }
        }
    }
}
