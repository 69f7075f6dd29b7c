//! A line of the file as it may be shown: no control characters, no secrets, no endless width.

use std::ops::Range;

use source::printable;

/// Characters shown on either side of what is marked, and of the mark itself.
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
    /// Shows `line` around the `length` characters from `column` on. Also says how many of them are in this line.
    pub(crate) fn of(line: &str, column: u32, length: usize, private: bool) -> (usize, Option<Self>) {
        let column = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
        let after: Vec<char> = line.chars().skip(column).take(length.clamp(1, MAX_LINE)).collect();
        let length = after.iter().rev().skip_while(|c| c.is_whitespace()).count().max(1);
        let line: Vec<char> = line.chars().take(MAX_LINE + 1).collect();
        if line.is_empty() || line.len() > MAX_LINE {
            return (length, None);
        }
        let column = column.min(line.len());
        let end = column.saturating_add(length).min(line.len());
        let secrets = secrets(&line);
        let (before, rest) = (show(&line, 0..column, &secrets), show(&line, end..line.len(), &secrets));
        let marked = cut_end(&show(&line, column..end, &secrets));
        let (before, rest) = if private {
            let rest = if line[end..].iter().all(|c| c.is_whitespace()) { "" } else { "…" };
            (if holds_no_value(&before) { before } else { "…".to_owned() }, rest.to_owned())
        } else {
            (cut_start(&before), cut_end(&rest))
        };
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
    let key = before.trim_start_matches([' ', '-', '?', '{', '[']).trim_end();
    !key.strip_suffix(':').unwrap_or(key).contains([' ', ',', ':', '{', '[', '"', '\''])
        && (key.is_empty() || key.ends_with(':'))
}

/// What may be a secret in the words of a line: userinfo and queries of URLs, whole or broken.
fn secrets(line: &[char]) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    let mut start = 0;
    for word in line.split(|c| c.is_whitespace() || matches!(c, '"' | '\'')) {
        let authority =
            word.windows(2).position(|pair| matches!(pair, ['/' | '\\', '/' | '\\'])).map_or(0, |at| at + 2);
        let query = word.iter().position(|&c| c == '?').unwrap_or(word.len());
        let ends_userinfo = |&mark: &usize| {
            let before = &word[authority..mark];
            word[mark] == '@' && !is_digest(before, &word[mark..]) && (authority > 0 || before.contains(&':'))
        };
        if let Some(mark) = (authority..query).rfind(ends_userinfo) {
            secrets.push(start + authority..start + mark);
        }
        if word.contains(&'/') && query < word.len() {
            secrets.push(start + query + 1..start + word.len());
        }
        start += word.len() + 1;
    }
    secrets
}

fn is_digest(before: &[char], from_mark: &[char]) -> bool {
    let mark: String = from_mark.iter().take(8).collect();
    before.contains(&'/') && matches!(mark.as_str(), "@sha256:" | "@sha512:")
}

fn show(line: &[char], range: Range<usize>, secrets: &[Range<usize>]) -> String {
    let mut shown = String::new();
    let mut hiding = false;
    for index in range {
        let hidden = secrets.iter().any(|secret| secret.contains(&index));
        if hidden && !hiding {
            shown.push('…');
        } else if !hidden {
            shown.push_str(&printable(line[index].encode_utf8(&mut [0; 4])));
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
    fn userinfo_and_queries_are_hidden_and_the_mark_stays_in_place() {
        for (line, shown) in [
            ("- https://bob:s3cret@a.example.com/x.tgz # x", "- https://…@a.example.com/x.tgz # x"),
            ("- 'https://s3cret@a.example.com/x.tgz'", "- 'https://…@a.example.com/x.tgz'"),
            ("- https:/bob:s3cret@a.example.com/x.tgz", "- …@a.example.com/x.tgz"),
            ("- bob:s3cret@a.example.com/x.tgz", "- …@a.example.com/x.tgz"),
            ("- https://bob:s3/cr@et@a.example.com/x", "- https://…@a.example.com/x"),
            ("- https://s3cret@sha256:1/x", "- https://…@sha256:1/x"),
            ("[https://a/x?sig=s3cret, https://u:s3cret@b/y]", "[https://a/x?… https://…@b/y]"),
            ("- oci://ghcr.io/a/b:1@sha256:00", "- oci://ghcr.io/a/b:1@sha256:00"),
            ("- '@acme/plug@1.0.0'", "- '@acme/plug@1.0.0'"),
            ("? a", "? a"),
        ] {
            let end = u32::try_from(line.chars().count()).unwrap();
            let (length, excerpt) = Excerpt::of(line, end, 1, false);
            let Excerpt { text, before, marked } = excerpt.unwrap();
            assert_eq!((text.as_str(), before + marked, length), (shown, shown.chars().count(), 1), "{line}");
        }
    }

    #[test]
    fn a_private_line_shows_the_mark_and_at_most_one_key() {
        for (line, column, length, shown) in [
            ("    password: s3cret", 5, 8, "    password…"),
            ("  - password: s3cret", 5, 8, "  - password…"),
            ("    password: *a", 15, 2, "    password: *a"),
            ("    {password: s3cret, password: s3cret}", 24, 8, "…password…"),
            ("    'password': s3cret: x", 23, 1, "…:…"),
            ("    s3cret s3cret", 12, 1, "…s…"),
        ] {
            assert_eq!(Excerpt::of(line, column, length, true).1.unwrap().text, shown, "{line}");
        }
    }

    #[test]
    fn lines_end_as_in_yaml() {
        assert_eq!(lines("a\nb\r\nc\rd\n\r").collect::<Vec<_>>(), ["a", "b", "c", "d", "", ""]);
        assert_eq!(lines("").collect::<Vec<_>>(), [""]);
    }
}
