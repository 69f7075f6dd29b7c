//! What an HTTP status that is no success means (RFC 9110, section 15), whoever answers it.

use integrity::Blame;

/// The value of the log's `cause=` field.
pub(crate) const fn cause(status: u16) -> &'static str {
    match status {
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
pub(crate) const fn blame(status: u16) -> Blame {
    match status {
        400..=407 | 410 => Blame::Operator,
        _ => Blame::Network,
    }
}

/// Whether another try may do better.
pub(crate) const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
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
                assert_eq!((cause(status), blame(status), is_transient(status)), expected, "{status}");
            }
        }
    }
}
