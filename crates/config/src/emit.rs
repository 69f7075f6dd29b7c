//! YAML that every reader takes for the same: block style, strings and keys always in double quotes.

use std::fmt::Write as _;

use crate::app_config::{Branch, Merged};
use crate::node::{Node, Value};
use crate::scalar::Scalar;

const HEADER: &str =
    "# Written by butler-plugin-installer from the plugins' `pluginConfig`. Changes made here are lost.\n";

pub(crate) fn document(root: &Branch) -> String {
    let mut out = HEADER.to_owned();
    if root.iter().len() == 0 {
        out.push_str("{}\n");
    } else {
        branch(&mut out, root, 0);
    }
    out
}

fn branch(out: &mut String, branch_: &Branch, indent: usize) {
    for (key, value) in branch_.iter() {
        start_key(out, key, indent);
        match value {
            Merged::Leaf(node) => self::node(out, node, indent),
            Merged::Branch(inner) if inner.iter().len() == 0 => out.push_str(" {}\n"),
            Merged::Branch(inner) => {
                out.push('\n');
                branch(out, inner, indent + 2);
            }
        }
    }
}

/// Writes a value behind a key or a dash that stands at `indent`.
fn node(out: &mut String, node_: &Node, indent: usize) {
    match &node_.value {
        Value::Scalar(scalar) => {
            out.push(' ');
            match scalar {
                Scalar::Text(text) => string(out, text),
                Scalar::Null | Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) => out.push_str(scalar.written()),
            }
            out.push('\n');
        }
        Value::Sequence(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Sequence(items) => {
            out.push('\n');
            for item in items {
                pad(out, indent + 2);
                out.push('-');
                node(out, item, indent + 2);
            }
        }
        Value::Mapping(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::Mapping(entries) => {
            out.push('\n');
            for (key, value) in entries {
                start_key(out, key.as_text().unwrap_or_default(), indent + 2);
                node(out, value, indent + 2);
            }
        }
        // Only a file without problems has fragments.
        Value::Unusable => out.push_str(" null\n"),
    }
}

fn start_key(out: &mut String, key: &str, indent: usize) {
    pad(out, indent);
    string(out, key);
    out.push(':');
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A double-quoted scalar on one line (YAML 1.2.2, section 7.3.1); all escapes are known to 1.1 readers as well.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if must_escape(c) => write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes all text"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Characters that YAML does not let stand in a stream, or takes for a line's or file's edge.
fn must_escape(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
