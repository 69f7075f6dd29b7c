//! A YAML document as a tree that knows where each piece stands.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::excerpt::{clean, lines};
use crate::scalar::Scalar;

/// A place in the file. Both count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A place, and its file where several are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: Option<Arc<str>>,
    /// Where in it.
    pub position: Position,
}

impl Location {
    /// The line, in words.
    pub(crate) fn line(&self) -> String {
        match &self.file {
            Some(file) => format!("line {} of `{}`", self.position.line, clean(file)),
            None => format!("line {}", self.position.line),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}", clean(file), self.position),
            None => self.position.fmt(f),
        }
    }
}

/// A line or column; the file's size keeps it far from the limit.
pub(crate) fn counted(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Where a piece of the document begins and ends; offsets count characters from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) position: Position,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// The place behind a text from the file's beginning.
    pub(crate) fn behind(text: &str) -> Self {
        let last = lines(text).last().map_or(0, |line| line.chars().count());
        let position = Position { line: counted(lines(text).count()), column: counted(last + 1) };
        Self { position, start: 0, end: 1 }
    }

    /// Its first character.
    pub(crate) const fn start(self) -> Self {
        Self { end: self.start + 1, ..self }
    }

    pub(crate) const fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.start < self.end
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
    /// Something the loader has complained about; readers pass over it in silence.
    Unusable,
}

impl Node {
    /// The text of a string.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What a mapping has for a key.
    pub(crate) fn value_of(&self, key: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(found, _)| found.as_text() == Some(key)).map(|(_, value)| value)
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar(Scalar::Null))
    }

    /// What kind of value this is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(Scalar::Null) => "nothing",
            Value::Scalar(Scalar::Bool(_)) => "a boolean",
            Value::Scalar(Scalar::Int(_) | Scalar::Float(_)) => "a number",
            Value::Scalar(Scalar::Text(_)) => "a string",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Unusable => "something unusable",
        }
    }

    /// Whether both hold the same, wherever they stand. The order of a mapping's keys does not matter.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar(a), Value::Scalar(b)) => a == b,
            (Value::Sequence(a), Value::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (Value::Mapping(a), Value::Mapping(b)) => {
                let by_key: BTreeMap<_, _> = b.iter().map(|(key, value)| (key.as_text(), value)).collect();
                a.len() == b.len()
                    && a.iter().all(|(key, value)| by_key.get(&key.as_text()).is_some_and(|other| value.equals(other)))
            }
            _ => false,
        }
    }
}

/// The keys that a mapping holds twice: the later one, and where the first one stands.
pub(crate) fn duplicate_keys(entries: &[(Node, Node)]) -> Vec<(Span, &str, Position)> {
    let mut first: HashMap<&str, Position> = HashMap::new();
    let mut duplicates = Vec::new();
    for (key, _) in entries {
        let Value::Scalar(scalar) = &key.value else { continue };
        let text = scalar.written();
        if let Some(&position) = first.get(text) {
            duplicates.push((key.span, text, position));
        } else {
            first.insert(text, key.span.position);
        }
    }
    duplicates
}
