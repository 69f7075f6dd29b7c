//! One line of the log, in either format of fields.

use std::fmt::Display;

use crate::escape::{CUT, MAX_VALUE_BYTES, is_bare, push_escaped};

/// How fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Logfmt,
    Json,
}

/// A line under construction. Keys are ours and need no escaping.
#[derive(Debug)]
pub(crate) struct Record {
    syntax: Syntax,
    line: String,
}

impl Record {
    pub(crate) fn new(syntax: Syntax) -> Self {
        let line = match syntax {
            Syntax::Logfmt => String::new(),
            Syntax::Json => "{".to_owned(),
        };
        Self { syntax, line }
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        if self.syntax == Syntax::Logfmt && is_bare(value) {
            self.key(key);
            push_escaped(&mut self.line, value);
        } else {
            self.quoted(key, value);
        }
    }

    pub(crate) fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub(crate) fn quoted(&mut self, key: &str, value: impl Display) {
        self.key(key);
        push_string(&mut self.line, &value.to_string());
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        self.plain(key, value);
    }

    pub(crate) fn boolean(&mut self, key: &str, value: bool) {
        self.plain(key, value);
    }

    /// A list as a JSON array, cut after a whole element.
    pub(crate) fn list(&mut self, key: &str, elements: &[impl Display]) {
        const CLOSING: usize = ",\"…\"]".len();
        self.key(key);
        let start = self.line.len();
        self.line.push('[');
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.line.push(',');
            }
            let separated = self.line.len();
            push_string(&mut self.line, &element.to_string());
            let last = index + 1 == elements.len();
            if self.line.len() - start + if last { 1 } else { CLOSING } > MAX_VALUE_BYTES {
                self.line.truncate(separated);
                match self.syntax {
                    Syntax::Logfmt => self.line.push(CUT),
                    Syntax::Json => push_string(&mut self.line, "…"),
                }
                break;
            }
        }
        self.line.push(']');
    }

    /// The line, its end included.
    pub(crate) fn finish(mut self) -> String {
        if self.syntax == Syntax::Json {
            self.line.push('}');
        }
        self.line.push('\n');
        self.line
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.key(key);
        self.line.push_str(&value.to_string());
    }

    fn key(&mut self, key: &str) {
        match self.syntax {
            Syntax::Logfmt => {
                if !self.line.is_empty() {
                    self.line.push(' ');
                }
                self.line.push_str(key);
                self.line.push('=');
            }
            Syntax::Json => {
                if self.line.len() > 1 {
                    self.line.push(',');
                }
                push_string(&mut self.line, key);
                self.line.push(':');
            }
        }
    }
}

fn push_string(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}
