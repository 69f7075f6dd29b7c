//! Texts from outside, made fit for a log or a terminal.

use std::ops::Range;

/// Cuts the [secret ranges](secret_ranges) from a `package` value or URL that need not parse.
///
/// It cuts too much rather than too little; a parsed [`Source`](crate::Source) shows itself exactly.
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for secret in secret_ranges(text) {
        shown.push_str(&text[from..secret.start]);
        shown.push('…');
        from = secret.end;
    }
    shown + &text[from..]
}

/// Where a `package` value or URL, whole or broken, may hold a secret: everything before an `@` that could end
/// userinfo, and everything behind `?`. Bytes, in the text's order, apart from each other.
pub fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let start = scheme_end(text);
    let may_end_userinfo = |&at: &usize| {
        let before = &text[start..at];
        let digest = ["@sha256:", "@sha512:"].iter().find_map(|mark| text[at..].strip_prefix(mark));
        let is_digest = before.contains('/')
            && !before.contains("://")
            && digest.is_some_and(|digest| {
                let hex = digest.split('!').next().unwrap_or_default();
                // A host may be called so; what stands before a wrong digest may hold a password if it holds a colon.
                (!hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())) || (start > 0 && !before.contains(':'))
            });
        !is_digest && (start > 0 || before.contains(':'))
    };
    let userinfo_end = text[start..].rmatch_indices('@').map(|(at, _)| start + at).find(may_end_userinfo);
    let query = text.find('?').map(|mark| mark + 1);
    let (userinfo, query) = match (userinfo_end, query) {
        // The `?` may belong to a password, or the `@` to the query.
        (Some(at), Some(query)) if query <= at => (Some(start.min(query)..text.len()), None),
        (at, query) => (at.map(|at| start..at), query.map(|query| query..text.len())),
    };
    userinfo.into_iter().chain(query).collect()
}

/// Where the authority begins; nowhere but at the start when there is no scheme.
fn scheme_end(text: &str) -> usize {
    let Some(colon) = text.find(':').filter(|&colon| text[colon..].starts_with(":/")) else { return 0 };
    colon + 1 + text[colon + 1..].bytes().take(2).take_while(|&b| b == b'/' || b == b'\\').count()
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
    use proptest::prelude::*;

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
            ("https://bob:s3cret@a.example.com/x.tgz?sig=s3cret", "https://…@a.example.com/x.tgz?…"),
            ("https://bob:s3c?ret@a.example.com/x.tgz", "https://…"),
            ("https://a.example.com/x.tgz?mail=s3cret@s3cret", "https://…"),
            ("https:///s3c:ret@a/x", "https://…@a/x"),
            ("a.example.com/x?sig=s3cret&from=https://b@c", "a.example.com/x?…"),
            ("bob:s3c?ret@a/x", "…"),
            ("oci://bob:s3cret@ghcr.io/a/b@sha256:00", "oci://…@ghcr.io/a/b@sha256:00"),
            ("oci://ghcr.io/a/b?s3cret@sha256:00", "oci://ghcr.io/a/b?…"),
            ("oci://ghcr.io/a/b:1.0@sha256:00", "oci://ghcr.io/a/b:1.0@sha256:00"),
            ("oci://ghcr.io/a/b:1.0@sha256:00!p", "oci://ghcr.io/a/b:1.0@sha256:00!p"),
            ("oci://ghcr.io/a/b@sha256:xyz", "oci://ghcr.io/a/b@sha256:xyz"),
            ("oci:://bob:s3cret@sha256://x", "…@sha256://x"),
            ("oci:/a@x://bob:s3cret@sha512:a0!p", "oci:/…@sha512:a0!p"),
            ("https://bob:s3/cret@sha256:443/x", "https://…@sha256:443/x"),
            ("@acme/plug@1.0.0", "@acme/plug@1.0.0"),
            ("oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
            ("", ""),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_userinfo_is_shown(user in "[!-~]{0,12}", password in "[!-~]{0,12}") {
            let shown = redact(&format!("https://{user}:{password}@host/x"));
            let query = user.contains('?') || password.contains('?');
            prop_assert_eq!(shown, if query { "https://…" } else { "https://…@host/x" });
        }
    }
}
