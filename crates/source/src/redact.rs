//! Texts that may hold credentials, made fit for a log.

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

#[cfg(test)]
mod tests {
    use super::*;

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
