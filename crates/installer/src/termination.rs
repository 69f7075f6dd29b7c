//! Kubernetes' termination message: why the container ended, for `kubectl describe pod`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use source::printable;

/// Most bytes that Kubernetes keeps.
const LIMIT: usize = 4096;

/// Where the kubelet looks for a message, opened before the process is confined. Elsewhere the file does not exist, and
/// none is made.
pub(crate) struct TerminationLog(Option<File>);

impl TerminationLog {
    pub(crate) fn open(path: &Path) -> Self {
        Self(OpenOptions::new().write(true).open(path).ok())
    }

    /// Leaves a message in place of what was there.
    pub(crate) fn leave(&self, reason: &str, detail: &str, hint: Option<&str>) {
        let Some(mut file) = self.0.as_ref() else { return };
        // The log has said it already; this is a copy for those who have no log at hand. Streams cannot be cut.
        drop(file.set_len(0));
        drop(file.write_all(message(reason, detail, hint).as_bytes()));
    }
}

fn message(reason: &str, detail: &str, hint: Option<&str>) -> String {
    let hint = hint.map(|hint| format!("\nhelp: {}", cut(printable(hint), LIMIT / 2))).unwrap_or_default();
    let detail = format!("{reason}: {}", printable(detail));
    cut(detail, LIMIT.saturating_sub(hint.len() + 1)) + &hint + "\n"
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        assert_eq!(
            message("http_status", "answered `a\u{1b}[2J\nb`", Some("ask\r\nc")),
            "http_status: answered `a\\u{1b}[2J\\nb`\nhelp: ask\\r\\nc\n"
        );
    }

    #[test]
    fn detail_and_hint_share_the_room_however_long_they_are_when_escaped() {
        let long = "\u{1b}".repeat(LIMIT);
        for (detail, hint) in [(&*long, None), (&long, Some("ask")), ("x", Some(&*long)), (&long, Some(&long))] {
            let message = message("http_status", detail, hint);
            assert!(message.len() <= LIMIT && message.contains('…') && message.ends_with('\n'), "{message}");
            assert_eq!(message.contains("\nhelp: "), hint.is_some(), "{message}");
        }
    }
}
