//! What is told of the planning: lines that clients of the original installer look for in its log.

use std::fmt;

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
    /// With `======= `, an empty line before it.
    Step,
    /// With its first word: `INFO:`, `WARNING:`.
    Plain,
}

impl Note {
    pub(super) fn step(text: &str) -> Self {
        Self { mark: Mark::Step, text: printable(text) }
    }

    pub(super) fn plain(text: &str) -> Self {
        Self { mark: Mark::Plain, text: printable(text) }
    }
}

/// The line with its mark.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mark {
            Mark::Step => write!(f, "======= {}", self.text),
            Mark::Plain => f.write_str(&self.text),
        }
    }
}
