//! Texts from outside, made fit for a log or a terminal.

/// Cuts what may be a secret from a `package` value or URL that need not parse: everything before an `@` that could
/// end userinfo, and everything behind `?`.
///
/// It cuts too much rather than too little; a parsed [`Source`](crate::Source) shows itself exactly.
pub fn redact(text: &str) -> String {
    let (text, query) = match text.find('?') {
        Some(mark) => (&text[..mark], "?…"),
        None => (text, ""),
    };
    let scheme_end = text
        .find(':')
        .filter(|&colon| text[colon..].starts_with(":/"))
        .map_or(0, |colon| colon + 1 + text[colon + 1..].bytes().take_while(|&b| b == b'/' || b == b'\\').count());
    let (scheme, rest) = text.split_at(scheme_end);
    let may_end_userinfo = |(at, _): &(usize, &str)| {
        let before = &rest[..*at];
        let digest = ["@sha256:", "@sha512:"].iter().any(|mark| rest[*at..].starts_with(mark)) && before.contains('/');
        !digest && (scheme_end > 0 || before.contains(':'))
    };
    match rest.match_indices('@').rfind(may_end_userinfo) {
        Some((at, _)) => format!("{scheme}…{}{query}", &rest[at..]),
        None => format!("{scheme}{rest}{query}"),
    }
}

/// Whether a character moves, hides or reorders what stands around it: controls, line and paragraph separators,
/// bidirectional and zero-width formatting, byte order marks, tags.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Shows a text on one line, with nothing in it that a terminal would act on.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push_str("\\t"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            c if is_invisible(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_printable() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\u{202e}ü"), "a\\u{1b}[2J\\r\\nb\\u{202e}ü");
    }

    #[test]
    fn userinfo_and_queries_are_cut() {
        for (text, shown) in [
            ("https://bob:s3cret@a.example.com/x.tgz", "https://…@a.example.com/x.tgz"),
            ("https://s3cret@a.example.com/x.tgz", "https://…@a.example.com/x.tgz"),
            ("https:/bob:s3cret@a.example.com/x.tgz", "https:/…@a.example.com/x.tgz"),
            ("https:\\\\bob:s3cret@a/x", "…@a/x"),
            ("bob:s3cret@a.example.com/x.tgz", "…@a.example.com/x.tgz"),
            ("https://bob:s3/cret@a.example.com/x", "https://…@a.example.com/x"),
            ("https://bob:s3@cret@a.example.com/x", "https://…@a.example.com/x"),
            ("https://a.example.com/x.tgz?sig=s3cret", "https://a.example.com/x.tgz?…"),
            ("oci://ghcr.io/a/b:1.0@sha256:00", "oci://ghcr.io/a/b:1.0@sha256:00"),
            ("@acme/plug@1.0.0", "@acme/plug@1.0.0"),
            ("oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
            ("", ""),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }
}
