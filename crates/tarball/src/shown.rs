//! Names from an archive, made fit for a message or a log line.

/// Characters of a hostile name that a message repeats.
const SHOWN: usize = 200;

/// The name with everything unprintable escaped, cut after at most 200 characters.
pub(crate) fn shown(raw: &[u8]) -> String {
    // More bytes than this cannot matter, and a long name of 64 KiB need not be decoded.
    let head = &raw[..raw.len().min(4 * SHOWN)];
    let text = String::from_utf8_lossy(head);
    let mut escaped = text.chars().flat_map(|char| {
        let quote = matches!(char, '\'' | '"');
        quote.then_some(char).into_iter().chain((!quote).then(|| char.escape_debug()).into_iter().flatten())
    });
    let mut shown: String = escaped.by_ref().take(SHOWN - 1).collect();
    match (escaped.next(), escaped.next()) {
        (None, _) => {}
        (Some(last), None) if head.len() == raw.len() => shown.push(last),
        _ => shown.push('…'),
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unprintable_gets_through() {
        let rows: [(&str, &[u8], &str); 5] = [
            ("plain", b"package/it's", "package/it's"),
            ("escape sequence", b"a\x1b[2Jb\n", "a\\u{1b}[2Jb\\n"),
            ("C1", "a\u{9b}b".as_bytes(), "a\\u{9b}b"),
            ("right to left", "a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            ("not UTF-8", b"a\xffb", "a\u{fffd}b"),
        ];
        for (name, raw, expected) in rows {
            assert_eq!(shown(raw), expected, "{name}");
        }
    }

    #[test]
    fn long_names_are_cut_at_the_limit() {
        assert_eq!(shown(&[b'a'; SHOWN]), "a".repeat(SHOWN));
        assert_eq!(shown(&[b'a'; SHOWN + 1]), "a".repeat(SHOWN - 1) + "…");
        assert_eq!(shown(&vec![0x1b; 60_000]).chars().count(), SHOWN);
    }
}
