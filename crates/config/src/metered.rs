//! A file's characters, handed to the YAML parser no further ahead than memory allows.
//!
//! A list or mapping in brackets that stands where a key may stand could be that key (YAML 1.2.2, section 7.4), so the
//! parser keeps everything up to its closing bracket before it says anything: over a hundred bytes for each one here.

use std::cell::Cell;
use std::str::Chars;

/// Characters that the parser may read in brackets, from one event to the next.
pub const MAX_LOOKAHEAD: usize = 128 * 1024;

/// What the parser and its input know of each other.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// How many characters the parser's last event covers, with those before it.
    pub(crate) told: Cell<usize>,
    /// The byte at which brackets open that are too long.
    pub(crate) overrun: Cell<Option<usize>>,
}

/// The characters; they end early where brackets are too long.
pub(crate) struct Metered<'a> {
    text: &'a str,
    meter: &'a Meter,
    chars: Chars<'a>,
    given: usize,
    /// How many may be given without another look.
    bound: usize,
    /// Where the last look found a value, in characters and in bytes: what stands before it is not looked at again.
    seen: (usize, usize),
}

impl<'a> Metered<'a> {
    pub(crate) fn new(text: &'a str, meter: &'a Meter) -> Self {
        Self { text, meter, chars: text.chars(), given: 0, bound: MAX_LOOKAHEAD, seen: (0, 0) }
    }

    /// Looks at what the parser has been silent about: a long text is one value, whereas brackets hold many.
    fn may_go_on(&mut self) -> bool {
        let told = self.meter.told.get();
        self.bound = told.saturating_add(MAX_LOOKAHEAD);
        if self.given < self.bound {
            return true;
        }
        let (characters, bytes) = self.seen;
        let mut untold = self.text[bytes..].chars();
        if let Some(last) = told.saturating_sub(characters).checked_sub(1) {
            untold.nth(last);
        }
        let value = first_value(untold.as_str());
        let passed = &self.text[bytes..self.text.len() - value.len()];
        self.seen = (characters + passed.chars().count(), bytes + passed.len());
        if value.starts_with(['[', '{']) {
            self.meter.overrun.set(Some(self.text.len() - value.len()));
            return false;
        }
        self.bound = self.given.saturating_add(MAX_LOOKAHEAD);
        true
    }
}

impl Iterator for Metered<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.given == self.bound && !self.may_go_on() {
            return None;
        }
        let next = self.chars.next()?;
        self.given += 1;
        Some(next)
    }
}

/// What follows after indicators, comments, directives, anchors and tags.
fn first_value(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || "-?:,]}".contains(c));
        let skipped = match text.chars().next() {
            Some('#' | '%') => text.find(['\n', '\r']),
            Some('&' | '!' | '*') => text.find(char::is_whitespace),
            _ => return text,
        };
        text = &text[skipped.unwrap_or(text.len())..];
    }
}
