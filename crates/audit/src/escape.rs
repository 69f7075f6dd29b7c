//! One escape rule for all formats: that of a JSON string, stricter about what a terminal or a reader may act on.

use std::fmt::Write as _;

use source::is_invisible;

/// Bytes that one written value may have, without its quotes. What is longer ends in `…`.
pub const MAX_VALUE_BYTES: usize = 1024;

pub(crate) const CUT: char = '…';

/// Appends `text` escaped, at most [`MAX_VALUE_BYTES`] of it.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    push_cut(out, text, push_character);
}

/// Appends `text` on one line without quotes around it, at most [`MAX_VALUE_BYTES`] of it.
pub(crate) fn push_plain(out: &mut String, text: &str) {
    push_cut(out, text, |out, character| match character {
        '"' | '\\' => out.push(character),
        other => push_character(out, other),
    });
}

fn push_cut(out: &mut String, text: &str, push: fn(&mut String, char)) {
    let start = out.len();
    let mut cut_at = start;
    for character in text.chars() {
        if out.len() - start <= MAX_VALUE_BYTES - CUT.len_utf8() {
            cut_at = out.len();
        }
        push(out, character);
        if out.len() - start > MAX_VALUE_BYTES {
            out.truncate(cut_at);
            out.push(CUT);
            return;
        }
    }
}

/// Whether a value may stand without quotes in logfmt.
pub(crate) fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || is_invisible(c))
}

fn push_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_invisible(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a string takes all text");
            }
        }
        c => out.push(c),
    }
}
