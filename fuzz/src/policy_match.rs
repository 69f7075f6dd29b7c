//! `allowedSources` against a source: whole segments, compared by a reader of its own.
//!
//! The last line of an input is the source, those before it are the list.

use source::{Prefix, Source, SourcePolicy};

use crate::{rows, source_uri};

/// Words of sources and of lists.
pub const WORDS: &[&str] = source_uri::WORDS;

/// Compares the policy's answer with one made of the texts that are shown.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (list, written) = text.rsplit_once('\n').unwrap_or(("", text));
    let prefixes: Vec<Prefix> = list.split('\n').filter_map(|line| Prefix::parse(line).ok()).collect();
    for prefix in &prefixes {
        let shown = prefix.to_string();
        let host = Place::of(&shown).authority;
        assert!(!host.is_empty() && !shown.contains(['*', '?', '!', '#', '\\']), "{shown}");
        assert_eq!(Prefix::parse(&shown).as_ref(), Ok(prefix));
        assert_eq!(Prefix::parse(&format!("{shown}/")).as_ref(), Ok(prefix), "a last slash changes nothing");
    }
    let Ok(source) = Source::parse(written) else { return };

    let (shown, any) = (source.to_string(), prefixes.is_empty());
    let expected = any || prefixes.iter().any(|prefix| covers(&prefix.to_string(), &shown));
    let policy = SourcePolicy::of(prefixes);
    assert_eq!(policy.is_permissive(), any);
    match policy.admit(source.clone()) {
        Ok(allowed) => assert_eq!((allowed.subject(), expected), (&source, true), "{shown} was let through"),
        Err(error) => assert!(!expected, "{shown} was refused: {error}"),
    }
    if let Source::Https(url) = source {
        assert_eq!(policy.admit_hop(url).is_ok(), expected, "{shown} as a hop");
    }
}

/// Every source of the table below the list that its rows mean, and lists with tags and digests.
pub fn seeds() -> Vec<Vec<u8>> {
    let list = "oci://reg.example.com/my-org\nhttps://artifacts.internal.example.com/plugins/\n";
    let pin = format!("@sha256:{}", "0a".repeat(32));
    let own = [
        format!("oci://r.example.com/a:1.0\noci://r.example.com/a:1.0{pin}!x"),
        format!("oci://r.example.com/a{pin}\noci://r.example.com/a:1{pin}"),
        "https://h.example.com:443\nhttps://H.example.com/p@1.tgz".to_owned(),
        "https://h.example.com/p/\nhttps://h.example.com/p:1/a.tgz?q".to_owned(),
        "oci://r.example.com/my-org/plug:1".to_owned(),
    ];
    let rows = ["source", "allow-list"].into_iter().flat_map(rows::inputs).map(|row| format!("{list}{row}"));
    rows.chain(own).map(String::into_bytes).collect()
}

/// A text that is shown of an entry or of a source, cut into pieces.
struct Place<'a> {
    scheme: &'a str,
    authority: &'a str,
    segments: Vec<&'a str>,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(shown: &'a str) -> Self {
        let (scheme, rest) = shown.split_once("://").expect("what is shown has a scheme");
        let rest = rest.split(if scheme == "oci" { '!' } else { '?' }).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, digest) = match path.split_once('@').filter(|_| scheme == "oci") {
            Some((path, digest)) => (path, Some(digest)),
            None => (path, None),
        };
        let (path, tag) = match path.split_once(':').filter(|_| scheme == "oci") {
            Some((path, tag)) => (path, Some(tag)),
            None => (path, None),
        };
        let segments = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        Self { scheme, authority, segments, tag, digest }
    }
}

fn covers(prefix: &str, source: &str) -> bool {
    let (prefix, source) = (Place::of(prefix), Place::of(source));
    if (prefix.scheme, prefix.authority) != (source.scheme, source.authority) {
        return false;
    }
    if prefix.tag.is_some() || prefix.digest.is_some() {
        return prefix.segments == source.segments
            && prefix.tag.is_none_or(|tag| source.tag == Some(tag))
            && prefix.digest.is_none_or(|digest| source.digest == Some(digest));
    }
    let Some((last, whole)) = prefix.segments.split_last() else { return true };
    let Some((found, _)) = source.segments.get(whole.len()..).and_then(<[&str]>::split_first) else { return false };
    source.segments.starts_with(whole)
        && found.strip_prefix(last).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}
