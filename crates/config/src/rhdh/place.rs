//! Where something stands, when several files are read.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::node::Span;
use crate::problem::Fault;
use crate::{Position, Problem, Warning};

/// A value, and where it was written: it keeps its place when it takes the place of another file's value.
#[derive(Debug, Clone)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// A place in one of several files. It knows the line that it shows.
#[derive(Clone)]
pub struct Place {
    text: Arc<Text>,
    span: Span,
}

/// A file that was decoded, under the name that people know it by.
pub(super) struct Text {
    pub(super) name: Arc<str>,
    pub(super) content: String,
}

impl Place {
    pub(super) fn of(text: &Arc<Text>, span: Span) -> Self {
        Self { text: Arc::clone(text), span }
    }

    /// The file's name, as it was given to [`read`](super::read).
    pub fn file(&self) -> &str {
        &self.text.name
    }

    /// File by file, each from its beginning.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.file().cmp(other.file()).then(self.position().cmp(&other.position()))
    }

    pub(crate) const fn span(&self) -> Span {
        self.span
    }

    /// Where in the file.
    pub const fn position(&self) -> Position {
        self.span.position
    }

    /// Something that is wrong here.
    pub fn problem(&self, message: impl Into<String>, hint: Option<String>) -> Problem {
        let fault = Fault::new(self.span, message);
        let fault = match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        };
        fault.shown(&self.text.content).in_file(&self.text.name)
    }

    /// Something to know of what stands here.
    pub fn warning(&self, message: impl Into<String>, hint: Option<String>) -> Warning {
        Warning::new(self.problem(message, hint))
    }
}

/// The text may hold secrets.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.text.name, self.span.position)
    }
}
