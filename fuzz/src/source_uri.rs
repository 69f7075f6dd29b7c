//! A `package` value: what is taken means one thing to every reader, and shows no secret.

use source::{Source, is_invisible, redact};

use crate::rows;

/// Words of sources, right and wrong ones.
pub const WORDS: &[&str] = &[
    "oci://",
    "https://",
    "http://",
    "docker://",
    "@sha256:",
    "@sha512:",
    "..",
    "%2e",
    "%2f",
    "%5c",
    "%20",
    "//",
    "/./",
    ";",
    "@",
    ":443",
    ":80",
    "[::1]",
    "localhost",
    "127.0.0.1",
    "xn--",
    "!",
    "?",
    "#",
    "\\",
];

/// Reads what was taken with a stricter eye, and what is shown of it once more.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = match Source::parse(text) {
        Ok(source) => source,
        Err(error) => {
            let secret = password(text).filter(|secret| secret.contains("s3c") && text.matches(secret).count() == 1);
            // What is shown for a programmer has escapes, which begin like such a secret ends.
            let secret = secret.filter(|secret| !secret.contains('\\'));
            let shown = format!("{error} {error:?} {}", error.hint().unwrap_or_default());
            assert!(secret.is_none_or(|secret| !shown.contains(secret)), "{shown}");
            let shown = redact(text);
            assert!(shown.split_once('?').is_none_or(|(_, query)| matches!(query, "" | "…")), "{shown:?}");
            assert!(error.reason() == "scheme_not_supported" || error.reason() == "package_invalid");
            return;
        }
    };
    assert_canonical(text);
    let shown = source.to_string();
    assert!(!shown.contains(is_invisible) && !shown.contains(char::is_whitespace), "{shown:?}");
    match &source {
        Source::Oci(reference) => {
            assert!(shown.is_ascii() && reference.tag().is_some() | reference.digest().is_some());
            assert_eq!(Source::parse(&shown).as_ref(), Ok(&source));
            assert!(reference.plugin_path().is_some() || redact(&shown) == shown, "{shown} holds no secret");
            let repository = reference.repository();
            assert!(!repository.is_empty() && !repository.contains(char::is_uppercase));
        }
        Source::Https(url) => {
            let (written, query) = text.split_once('?').map_or((text, None), |(url, query)| (url, Some(query)));
            let whole = url.with_query();
            assert_eq!(Source::parse(&whole).as_ref(), Ok(&source));
            assert_eq!(whole.split_once('?').map(|(_, query)| query), query);
            assert!(written.ends_with(url.path()) && url.path().starts_with('/'));
            let without = Source::parse(shown.strip_suffix("?…").unwrap_or(&shown)).expect("it is whole without query");
            assert_eq!(without.to_string(), shown.strip_suffix("?…").unwrap_or(&shown));
            assert_eq!(shown.ends_with("?…"), query.is_some());
        }
        Source::Npm(_) | Source::Git(_) | Source::Local(_) => panic!("{shown} is not of the butler dialect"),
    }
}

/// The rows of the table, and sources that are right.
pub fn seeds() -> Vec<Vec<u8>> {
    let digest = "0a".repeat(32);
    let own = [
        "oci://ghcr.io/my-org/my-plugin:1.2.3!plugins/a".to_owned(),
        format!("oci://127.0.0.1:5000/a/b__c:1@sha256:{digest}"),
        format!("oci://[::1]:5000/a@sha512:{digest}{digest}"),
        "https://a.example.com:8443/@scope/x/-/x-1.0.0.tgz?X-Amz-Signature=abc".to_owned(),
        "https://bob:s3cret@a.example.com/x.tgz?s3cret".to_owned(),
    ];
    rows::inputs("source").into_iter().chain(own).map(String::into_bytes).collect()
}

/// What stands between the first colon and the last `@` of an authority.
fn password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (userinfo, _) = authority.rsplit_once('@')?;
    userinfo.split_once(':').map(|(_, password)| password)
}

/// Nothing in the text can be read in two ways.
fn assert_canonical(text: &str) {
    assert!(text.bytes().all(|b| (0x21..=0x7e).contains(&b)) && !text.contains('\\'), "{text:?}");
    let (scheme, rest) = text.split_once("://").expect("a source has a scheme");
    // A reference has no query; the name of a folder may have any such character.
    let rest = if scheme == "https" { rest.split('?').next().unwrap_or_default() } else { rest };
    assert!(!rest.contains("//"), "{text:?}");
    let lower = rest.to_ascii_lowercase();
    for encoded in ["%2e", "%2f", "%5c", "%25", "%00", "%0a", "%0d"] {
        assert!(!lower.contains(encoded) || text.starts_with("oci://"), "{text:?}");
    }
    let (name, plugin_path) = rest.split_once('!').filter(|_| text.starts_with("oci://")).unwrap_or((rest, ""));
    // One `./` may stand before the folder of an image: community images write it so.
    let plugin_path = plugin_path.strip_prefix("./").unwrap_or(plugin_path);
    // Some servers cut parameters off a segment; folders have none.
    let segments = name.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    for segment in segments.chain(plugin_path.split('/')) {
        assert!(segment != "." && segment != "..", "{text:?}");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    assert!(!authority.contains(['@', '#', '%', '!', '*', '_']), "{text:?}");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    assert!(!host.is_empty() && !host.starts_with('.') && !host.ends_with('.') && !host.contains(".."), "{text:?}");
    assert!(port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)), "{text:?}");
}
