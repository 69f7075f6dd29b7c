//! Where and how a value is written, found by reading on from its key: the parser tells no more than where scalars
//! are, and of block and quoted ones not even that exactly.

use std::ops::Range;

use super::Patch;
use crate::emit;
use crate::node::Node;
use crate::scalar::Scalar;

/// How the fields of an entry follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// By line and indentation.
    Block,
    /// In braces, by commas.
    Flow,
    /// A single field in a list in brackets, which has no place for a second one.
    Pair,
}

/// A value that can be replaced. All ranges are bytes of the text.
#[derive(Debug)]
pub(super) enum Written {
    /// Nothing stands behind the colon.
    Nothing { at: usize },
    /// A plain scalar, or a null of any look.
    Plain { range: Range<usize> },
    /// A scalar in quotes, these included.
    Quoted { range: Range<usize>, quote: char },
    /// A literal or folded scalar: `|-` or alike, and the lines below without the last line break.
    Lines { header: Range<usize>, content: Range<usize> },
}

impl Written {
    /// Finds the value of a key that ends at `key_end`.
    pub(super) fn find(text: &str, key_end: usize, value: &Node, value_end: usize, layout: Layout) -> Option<Self> {
        let colon = skip_blanks(text, key_end);
        if !text[colon..].starts_with(':') {
            return None;
        }
        let behind = colon + 1;
        if value.is_null() && value_end <= behind {
            return Some(Self::Nothing { at: behind });
        }
        let outer = skip_blanks(text, behind);
        let start = skip_properties(text, outer);
        if value.is_null() || start >= value_end {
            return (outer < value_end).then_some(Self::Plain { range: outer..value_end });
        }
        match text[start..].chars().next()? {
            quote @ ('\'' | '"') => Some(Self::Quoted { range: start..closing_quote(text, start, quote)? + 1, quote }),
            '|' | '>' if layout == Layout::Block => Some(Self::lines(text, start, value_end)),
            '*' => None,
            _ => Some(Self::Plain { range: start..start + text.get(start..value_end)?.trim_end_matches(WHITE).len() }),
        }
    }

    fn lines(text: &str, start: usize, value_end: usize) -> Self {
        let header = start..end_of(text, start, &[' ', '\t', '\n', '\r']);
        let line_end = end_of(text, start, &['\n', '\r']);
        let break_length = if text[line_end..].starts_with("\r\n") { 2 } else { 1 };
        let first = (line_end + break_length).min(text.len());
        let content = text.get(first..value_end).unwrap_or_default().trim_end_matches(WHITE);
        Self::Lines { header, content: first..first + content.len() }
    }

    /// Where the value ends.
    pub(super) const fn end(&self) -> usize {
        match self {
            Self::Nothing { at } => *at,
            Self::Plain { range } | Self::Quoted { range, .. } => range.end,
            Self::Lines { header, content } => {
                if content.start < content.end {
                    content.end
                } else {
                    header.end
                }
            }
        }
    }

    pub(super) const fn quote(&self) -> Option<char> {
        match self {
            Self::Quoted { quote, .. } => Some(*quote),
            Self::Nothing { .. } | Self::Plain { .. } | Self::Lines { .. } => None,
        }
    }

    /// What puts another value in its place, on one line, in `quote`s where it is on the line of its key.
    pub(super) fn replaced(self, text: &str, new: &str, quote: Option<char>) -> Vec<Patch> {
        match self {
            Self::Nothing { at } => vec![Patch { range: at..at, text: format!(" {}", scalar(new, quote)) }],
            Self::Plain { range } | Self::Quoted { range, .. } => {
                // The parser takes no letter behind a colon and a tab.
                let pad = if text[..range.start].ends_with('\t') { " " } else { "" };
                vec![Patch { range, text: format!("{pad}{}", scalar(new, quote)) }]
            }
            Self::Lines { header, content } if content.is_empty() => {
                vec![Patch { range: header, text: scalar(new, quote) }]
            }
            Self::Lines { header, content } => {
                // Without `-` the value would end in a line break; with a number the indentation might not fit.
                let style = &text[header.start..=header.start];
                let lines = &text[content.clone()];
                let first = lines.trim_start_matches(WHITE);
                let before = &lines[..lines.len() - first.len()];
                let indent = &before[before.rfind(['\n', '\r']).map_or(0, |at| at + 1)..];
                vec![
                    Patch { range: header, text: format!("{style}-") },
                    Patch { range: content, text: format!("{indent}{new}") },
                ]
            }
        }
    }
}

const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

/// A string on one line: in these quotes, or in none where it means itself.
pub(super) fn scalar(text: &str, quote: Option<char>) -> String {
    match quote {
        Some('\'') => format!("'{}'", text.replace('\'', "''")),
        None if is_plain(text) => text.to_owned(),
        _ => {
            let mut quoted = String::new();
            emit::string(&mut quoted, text);
            quoted
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@+=!%~?&".contains(c))
        && !text.ends_with(':')
        && matches!(Scalar::plain(text), Ok(Scalar::Text(_)))
}

/// Behind white space, line breaks and comments.
fn skip_blanks(text: &str, mut at: usize) -> usize {
    loop {
        at = text.len() - text[at..].trim_start_matches(WHITE).len();
        if !text[at..].starts_with('#') {
            return at;
        }
        at = end_of(text, at, &['\n', '\r']);
    }
}

/// Behind a scalar's or collection's anchor and tag.
pub(super) fn skip_properties(text: &str, mut at: usize) -> usize {
    while text[at..].starts_with(['&', '!']) {
        at = skip_blanks(text, end_of(text, at, &WHITE));
    }
    at
}

/// Where the next of these characters stands, or the text ends.
fn end_of(text: &str, at: usize, ends: &[char]) -> usize {
    text[at..].find(ends).map_or(text.len(), |length| at + length)
}

/// Where the quote closes that opens at `start`.
fn closing_quote(text: &str, start: usize, quote: char) -> Option<usize> {
    let mut characters = text[start + 1..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => {
                characters.next();
            }
            c if c != quote => {}
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_some() => {}
            _ => return Some(start + 1 + at),
        }
    }
    None
}
