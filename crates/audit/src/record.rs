//! One line of the log, in either format.

use std::fmt::Display;

use crate::Format;
use crate::escape::{CUT, MAX_VALUE_BYTES, is_bare, push_escaped};

/// A line under construction. Keys are ours and need no escaping.
#[derive(Debug)]
pub(crate) struct Record {
    format: Format,
    line: String,
}

impl Record {
    pub(crate) fn new(format: Format) -> Self {
        let line = match format {
            Format::Logfmt => String::new(),
            Format::Json => "{".to_owned(),
        };
        Self { format, line }
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        if self.format == Format::Logfmt && is_bare(value) {
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
                match self.format {
                    Format::Logfmt => self.line.push(CUT),
                    Format::Json => push_string(&mut self.line, "…"),
                }
                break;
            }
        }
        self.line.push(']');
    }

    /// The line, its end included.
    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::Json {
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
        match self.format {
            Format::Logfmt => {
                if !self.line.is_empty() {
                    self.line.push(' ');
                }
                self.line.push_str(key);
                self.line.push('=');
            }
            Format::Json => {
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
