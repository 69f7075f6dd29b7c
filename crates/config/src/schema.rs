//! The files as a JSON schema, for editors that complete and check while somebody writes.
//!
//! Draft 07, which the language servers for YAML know best. It says what one file alone can say: what needs the files
//! beside it, or two entries at once, only [reading](crate::parse) finds. Where the two differ the schema is the milder
//! one, never the stricter:
//!
//! - doubled keys, aliases, tags, sizes, and the same source twice;
//! - lengths of names, ranges of ports, needless percent-encoding, and what of a host or path is odd but plain;
//! - in the rhdh dialect: what is missing, as an included file may have it; keys that were meant to be `enabled`,
//!   `disabled`, `integrity` or `allowedSources`; endings by which npm knows a file.

use crate::Dialect;

const BUTLER: &str = include_str!("schema/butler.json");
const RHDH: &str = include_str!("schema/rhdh.json");

// The blanks that a line begins with are for people, and stay out of the program.
const BUTLER_LINES: [u8; length_of_lines(BUTLER)] = lines(BUTLER);
const RHDH_LINES: [u8; length_of_lines(RHDH)] = lines(RHDH);

/// The schema of a dialect's files, by themselves or in a chart's values.
pub fn schema(dialect: Dialect) -> String {
    let lines = match dialect {
        Dialect::Butler => BUTLER_LINES.as_slice(),
        Dialect::Rhdh => RHDH_LINES.as_slice(),
    };
    indented(&String::from_utf8_lossy(lines))
}

/// Without the blanks that lines begin with.
const fn lines<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let text = text.as_bytes();
    let mut kept = [0; LENGTH];
    let (mut from, mut to) = (0, 0);
    while from < text.len() {
        if !is_indentation(text, from) {
            kept[to] = text[from];
            to += 1;
        }
        from += 1;
    }
    kept
}

const fn length_of_lines(text: &str) -> usize {
    let text = text.as_bytes();
    let (mut at, mut length) = (0, 0);
    while at < text.len() {
        if !is_indentation(text, at) {
            length += 1;
        }
        at += 1;
    }
    length
}

/// Inside of a line the schemas have no blanks in a row.
const fn is_indentation(text: &[u8], at: usize) -> bool {
    text[at] == b' ' && (text[at - 1] == b'\n' || text[at - 1] == b' ')
}

/// With two blanks for each bracket that is open.
fn indented(lines: &str) -> String {
    let mut text = String::new();
    let mut depth: usize = 0;
    for line in lines.lines() {
        if line.starts_with(['}', ']']) {
            depth = depth.saturating_sub(1);
        }
        text.extend(std::iter::repeat_n("  ", depth));
        text.push_str(line);
        text.push('\n');
        if line.ends_with(['{', '[']) {
            depth += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::{butler, rhdh};

    /// Bytes of both schemas in the program.
    const MAX_BYTES: usize = 10 * 1024;

    fn at<'a>(schema: &'a Value, pointer: &str) -> BTreeSet<&'a str> {
        let object = schema.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("{pointer}"));
        object.keys().map(String::as_str).collect()
    }

    #[test]
    fn keys_are_those_of_the_reader() {
        let schema: Value = serde_json::from_str(BUTLER).unwrap();
        let mut file = at(&schema, "/definitions/file/properties");
        file.extend(at(&schema, "/properties"));
        assert_eq!(file, BTreeSet::from(butler::FILE_KEYS));
        for (pointer, keys) in [
            ("/definitions/block/properties", butler::BLOCK_KEYS.as_slice()),
            ("/definitions/block/properties/installer/properties", &butler::INSTALLER_KEYS),
            ("/definitions/plugins/items/properties", &butler::ENTRY_KEYS),
        ] {
            assert_eq!(at(&schema, pointer), keys.iter().copied().collect(), "{pointer}");
        }

        let schema: Value = serde_json::from_str(RHDH).unwrap();
        assert_eq!(at(&schema, "/definitions/file/properties"), BTreeSet::from(rhdh::FILE_KEYS));
        assert_eq!(at(&schema, "/definitions/entry/properties"), BTreeSet::from(rhdh::ENTRY_KEYS));
    }

    #[test]
    fn schemas_are_printed_as_they_are_written() {
        assert_eq!(schema(Dialect::Butler), BUTLER);
        assert_eq!(schema(Dialect::Rhdh), RHDH);
        assert!(BUTLER_LINES.len() + RHDH_LINES.len() <= MAX_BYTES, "{} {}", BUTLER_LINES.len(), RHDH_LINES.len());
    }
}
