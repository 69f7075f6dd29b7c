//! The text of a file, and the patches to it.

mod written;

use std::ops::Range;

use super::{Edit, EditError};
use crate::Position;
use crate::node::{Node, Span, Value};
use crate::scalar::Scalar;
use written::{Layout, Written, skip_properties};

/// Every how many characters the page remembers where it is: the parser counts characters, a text is cut at bytes.
const STRIDE: usize = 1024;

pub(super) struct Page<'t> {
    text: &'t str,
    strides: Vec<usize>,
    /// What aliases repeat.
    aliased: Vec<Span>,
    patches: Vec<Patch>,
}

/// What replaces a piece of the text, in bytes.
struct Patch {
    range: Range<usize>,
    text: String,
}

/// The entry that is edited.
#[derive(Clone, Copy)]
struct Site {
    entry: usize,
    position: Position,
    layout: Layout,
}

impl<'t> Page<'t> {
    pub(super) fn new(text: &'t str, aliased: Vec<Span>) -> Self {
        let strides = text.char_indices().map(|(at, _)| at).step_by(STRIDE).collect();
        Self { text, strides, aliased, patches: Vec::new() }
    }

    /// Writes new values into an entry of `list`: into the text, and into the tree.
    pub(super) fn edit(&mut self, list: Span, entry: &mut Node, edit: &Edit) -> Result<(), EditError> {
        let span = entry.span;
        let site = Site { entry: edit.entry, position: span.position, layout: self.layout(list, span) };
        let Value::Mapping(fields) = &mut entry.value else { return Err(site.form("package")) };
        let find = |key| fields.iter().position(|(found, _)| found.as_text() == Some(key));
        let (package, pinned) = (find("package").ok_or(site.form("package"))?, find("integrity"));
        let integrity = edit.integrity.to_string();
        let appended = match pinned {
            Some(index) => {
                self.set(site, "integrity", &mut fields[index], &integrity)?;
                None
            }
            None => Some(self.append(site, span, &fields[package], &integrity)?),
        };
        if let Some(text) = &edit.package {
            self.set(site, "package", &mut fields[package], text)?;
        }
        if let Some(patch) = appended {
            self.patches.push(patch);
            let node = |text: &str| Node { span, value: Value::Scalar(Scalar::Text(text.to_owned())) };
            fields.insert(package + 1, (node("integrity"), node(&integrity)));
        }
        Ok(())
    }

    /// The text with all patches; `None` where they get into each other's way.
    pub(super) fn patched(mut self) -> Option<String> {
        self.patches.sort_by_key(|patch| patch.range.start);
        let mut text = String::with_capacity(self.text.len());
        let mut done = 0;
        for Patch { range, text: new } in self.patches {
            text.push_str(self.text.get(done..range.start)?);
            text.push_str(&new);
            done = range.end;
        }
        text.push_str(self.text.get(done..)?);
        Some(text)
    }

    fn set(
        &mut self,
        site: Site,
        name: &'static str,
        (key, value): &mut (Node, Node),
        new: &str,
    ) -> Result<(), EditError> {
        if value.as_text() == Some(new) {
            return Ok(());
        }
        if self.is_aliased(value.span) {
            return Err(site.shared(name));
        }
        let written = self.written(site, key, value).ok_or(site.form(name))?;
        let quote = if value.is_null() { self.quote(key) } else { written.quote() };
        self.patches.extend(written.replaced(self.text, new, quote));
        value.value = Value::Scalar(Scalar::Text(new.to_owned()));
        Ok(())
    }

    /// A field `integrity` behind the field `package`, quoted like it: on the next line, or in the same braces.
    fn append(&self, site: Site, entry: Span, package: &(Node, Node), new: &str) -> Result<Patch, EditError> {
        if self.is_aliased(entry) {
            return Err(site.shared("integrity"));
        }
        let (key, value) = package;
        let written = self.written(site, key, value).ok_or(site.form("package"))?;
        let name = written::scalar("integrity", self.quote(key));
        let field = format!("{name}: {}", written::scalar(new, written.quote()));
        let end = written.end();
        let (at, text) = match site.layout {
            Layout::Flow => (end, format!(", {field}")),
            Layout::Pair => return Err(site.form("integrity")),
            Layout::Block if self.is_explicit(key) => return Err(site.form("integrity")),
            Layout::Block => {
                let line_end = self.text[end..].find(['\n', '\r']).map_or(self.text.len(), |length| end + length);
                let indent = key.span.position.column.saturating_sub(1) as usize;
                (line_end, format!("{}{:indent$}{field}", self.line_break(line_end), ""))
            }
        };
        Ok(Patch { range: at..at, text })
    }

    /// Whether a key stands behind `?`.
    fn is_explicit(&self, key: &Node) -> bool {
        self.text[..self.byte(key.span.start)].trim_end_matches([' ', '\t']).ends_with('?')
    }

    /// What a key is quoted with; in JSON, values have to be as well.
    fn quote(&self, key: &Node) -> Option<char> {
        self.text[self.byte(key.span.start)..].chars().next().filter(|first| matches!(first, '\'' | '"'))
    }

    /// How the line ends; the last one, like the first.
    fn line_break(&self, line_end: usize) -> &'static str {
        let is_last = line_end == self.text.len();
        let at = if is_last { self.text.find(['\n', '\r']).unwrap_or(line_end) } else { line_end };
        match self.text.as_bytes().get(at..) {
            Some([b'\r', b'\n', ..]) => "\r\n",
            Some([b'\r', ..]) => "\r",
            _ => "\n",
        }
    }

    fn written(&self, site: Site, key: &Node, value: &Node) -> Option<Written> {
        let value_end = self.byte(value.span.end);
        Written::find(self.text, self.byte(key.span.end), value, value_end, site.layout)
    }

    fn layout(&self, list: Span, entry: Span) -> Layout {
        let first = |span: Span| self.text[skip_properties(self.text, self.byte(span.start))..].chars().next();
        match (first(list), first(entry)) {
            (_, Some('{')) => Layout::Flow,
            (Some('['), _) => Layout::Pair,
            _ => Layout::Block,
        }
    }

    fn is_aliased(&self, span: Span) -> bool {
        self.aliased.iter().any(|aliased| aliased.covers(&span))
    }

    fn byte(&self, character: usize) -> usize {
        let from = self.strides.get(character / STRIDE).copied().unwrap_or(self.text.len());
        let rest = &self.text[from..];
        rest.char_indices().nth(character % STRIDE).map_or(self.text.len(), |(length, _)| from + length)
    }
}

impl Site {
    const fn form(self, key: &'static str) -> EditError {
        EditError::Form { entry: self.entry, key, position: self.position }
    }

    const fn shared(self, key: &'static str) -> EditError {
        EditError::Shared { entry: self.entry, key, position: self.position }
    }
}
