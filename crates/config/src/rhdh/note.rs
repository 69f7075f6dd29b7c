//! What is told of the planning: lines that clients of the original installer look for in its log.

use source::printable;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How it begins.
    pub mark: Mark,
    /// The line, without its mark.
    pub text: String,
}

/// How a line of the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It opens a part of the log.
    Heading,
    /// With its first word: `INFO:`, `WARNING:`.
    Plain,
}

impl Note {
    pub(super) fn heading(text: &str) -> Self {
        Self { mark: Mark::Heading, text: printable(text) }
    }

    pub(super) fn plain(text: &str) -> Self {
        Self { mark: Mark::Plain, text: printable(text) }
    }
}
