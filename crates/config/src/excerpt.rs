//! A line of the file as it may be shown: no control characters, no secrets, no endless width.

use std::ops::Range;

use source::{printable, secret_ranges};

/// Characters shown before the mark, and of the mark itself.
const WIDTH: usize = 60;
/// A longer line is not shown.
const MAX_LINE: usize = 2_000;
/// Characters of a message or hint.
const MAX_TEXT: usize = 600;

/// The lines of a text, as YAML breaks them (YAML 1.2.2, section 5.4).
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (line, behind) = match rest?.split_once(['\n', '\r']) {
            None => (rest?, None),
            Some((line, behind)) if rest?[line.len()..].starts_with("\r\n") => (line, behind.strip_prefix('\n')),
            Some((line, behind)) => (line, Some(behind)),
        };
        rest = behind;
        Some(line)
    })
}

/// One line, and which part of it to point at.
#[derive(Debug, Clone)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Characters before the mark.
    pub(crate) before: usize,
    /// Characters of the mark.
    pub(crate) marked: usize,
}

impl Excerpt {
    /// Shows the `length` characters from `column` on, with the key before them and nothing else that may be a value;
    /// `hidden`, not even them. Also says how many of them are in this line.
    pub(crate) fn of(line: &str, column: u32, length: usize, hidden: bool) -> (usize, Option<Self>) {
        let column = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
        let after: Vec<char> = line.chars().skip(column).take(length.clamp(1, MAX_LINE)).collect();
        let length = after.iter().rev().skip_while(|c| c.is_whitespace()).count().max(1);
        let characters: Vec<_> = line.char_indices().take(MAX_LINE + 1).collect();
        if characters.is_empty() || characters.len() > MAX_LINE {
            return (length, None);
        }
        let (before, rest) = characters.split_at(column.min(characters.len()));
        let (marked, rest) = rest.split_at(length.min(rest.len()));
        let secrets = secrets(line);
        let before = Some(show(before, &secrets)).filter(|before| holds_no_value(before));
        let before = before.map_or_else(|| "…".to_owned(), |before| cut_start(&before));
        let rest = behind(marked, rest);
        let marked = if hidden { "…".to_owned() } else { cut_end(&show(marked, &secrets)) };
        let rest = if hidden { "" } else { rest.as_str() };
        let excerpt = Self {
            text: format!("{before}{marked}{rest}").trim_end().to_owned(),
            before: before.chars().count(),
            marked: marked.chars().count().max(1),
        };
        (length, Some(excerpt))
    }
}

/// A message or hint on one line, fit for a terminal.
pub(crate) fn clean(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

/// Whether the start of a line is at most punctuation and one key.
fn holds_no_value(before: &str) -> bool {
    let key = before.trim_start_matches([' ', '-', '?', '{', '[']).trim_end_matches([' ', '{', '[']);
    !key.strip_suffix(':').unwrap_or(key).contains([' ', ',', ':', '{', '[', '"', '\''])
        && (key.is_empty() || key.ends_with(':'))
}

/// What follows the mark: the rest of a key whose start is marked, and punctuation.
fn behind(marked: &[(usize, char)], rest: &[(usize, char)]) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let word = match marked.last() {
        Some(&(_, last)) if is_word(last) => rest.iter().take_while(|(_, c)| is_word(*c)).count(),
        _ => 0,
    };
    let (word, values) = match rest.get(word) {
        Some((_, ':')) => rest.split_at(word),
        _ => rest.split_at(0),
    };
    let harmless = values.iter().all(|(_, c)| c.is_whitespace() || ":,[]{}\"'".contains(*c));
    let values = if harmless { cut_end(&show(values, &[])) } else { "…".to_owned() };
    cut_end(&show(word, &[])) + &values
}

/// What may be a secret in a line, in bytes. Userinfo may hold blanks, so what looks like its start reaches to the end.
fn secrets(line: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    let mut start = 0;
    for word in line.split_inclusive(char::is_whitespace) {
        let is_open = word.trim_end().trim_end_matches(':').contains([':', '/', '\\']);
        let text = if is_open { &line[start..] } else { word.trim_end() };
        secrets.extend(secret_ranges(text).into_iter().map(|secret| start + secret.start..start + secret.end));
        start += word.len();
    }
    secrets
}

fn show(characters: &[(usize, char)], secrets: &[Range<usize>]) -> String {
    let mut shown = String::new();
    let mut hiding = false;
    for (at, character) in characters {
        let hidden = secrets.iter().any(|secret| secret.contains(at));
        if hidden && !hiding {
            shown.push('…');
        } else if !hidden {
            shown.push_str(&printable(character.encode_utf8(&mut [0; 4])));
        }
        hiding = hidden;
    }
    shown
}

fn cut_start(text: &str) -> String {
    match text.chars().count().checked_sub(WIDTH) {
        None | Some(0) => text.to_owned(),
        Some(over) => text.chars().skip(over + 1).fold("…".to_owned(), |mut cut, c| {
            cut.push(c);
            cut
        }),
    }
}

fn cut_end(text: &str) -> String {
    match text.chars().count().checked_sub(WIDTH) {
        None | Some(0) => text.to_owned(),
        Some(_) => text.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_and_queries_are_hidden() {
        for (line, shown) in [
            ("- https://bob:s3cret@a.example.com/x.tgz", "- https://…@a.example.com/x.tgz"),
            ("- 'https://s3cret@a.example.com/x.tgz'", "- 'https://…@a.example.com/x.tgz'"),
            ("- https:/bob:s3cret@a.example.com/x.tgz", "- https:/…@a.example.com/x.tgz"),
            ("- bob:s3cret@a.example.com/x.tgz", "- …@a.example.com/x.tgz"),
            ("- https://bob:s3/cr@et@a.example.com/x", "- https://…@a.example.com/x"),
            ("- https://bob:s3'cr\"et@a.example.com/x", "- https://…@a.example.com/x"),
            ("- https://bob:s3 cret@a.example.com/x", "- https://…@a.example.com/x"),
            ("- bob:s3 cret@a.example.com/x", "- …@a.example.com/x"),
            ("- https://bob:s3c?ret@a.example.com/x", "- https://…"),
            ("- https://s3cret@sha256:1/x", "- https://…@sha256:1/x"),
            ("- [https://a/x?sig=s3cret, https://u:s3cret@b/y]", "- [https://…"),
            ("- oci://ghcr.io/a/b:1@sha256:00", "- oci://ghcr.io/a/b:1@sha256:00"),
            ("- '@acme/plug@1.0.0'", "- '@acme/plug@1.0.0'"),
        ] {
            let excerpt = Excerpt::of(line, 3, line.len(), false).1.unwrap();
            assert_eq!((excerpt.text.as_str(), excerpt.before), (shown, 2), "{line}");
            assert_eq!(excerpt.marked, shown.chars().count() - 2, "{line}");
        }
    }

    #[test]
    fn a_line_shows_the_mark_and_at_most_one_key() {
        for (line, column, length, shown, hidden) in [
            ("    password: s3cret", 5, 8, "    password…", "    …"),
            ("    password: s3cret", 5, 1, "    password…", "    …"),
            ("  - password: s3cret", 5, 8, "  - password…", "  - …"),
            ("    password: []", 5, 8, "    password: []", "    …"),
            ("    password: *a", 15, 2, "    password: *a", "    password: …"),
            ("    password: [*a]", 16, 2, "    password: [*a]", "    password: […"),
            ("    [s3cret: x]", 5, 1, "    […", "    …"),
            ("    {password: s3cret, password: s3cret}", 24, 8, "…password…", "……"),
            ("    'password': s3cret: x", 23, 1, "…:…", "……"),
            ("    s3cret s3cret", 12, 1, "…s…", "……"),
        ] {
            assert_eq!(Excerpt::of(line, column, length, false).1.unwrap().text, shown, "{line}");
            assert_eq!(Excerpt::of(line, column, length, true).1.unwrap().text, hidden, "{line}");
        }
    }

    #[test]
    fn lines_end_as_in_yaml() {
        assert_eq!(lines("a\nb\r\nc\rd\n\r").collect::<Vec<_>>(), ["a", "b", "c", "d", "", ""]);
        assert_eq!(lines("").collect::<Vec<_>>(), [""]);
    }
}
