//! `WWW-Authenticate`: what a registry wants to see (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

/// Longest header value looked at, in bytes.
const CHALLENGE_LIMIT: usize = 8 * 1024;

/// A challenge this client can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from `realm` (distribution-spec's token authentication).
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The strongest challenge in the header values: bearer before basic.
    pub(crate) fn choose<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for value in values.filter(|value| value.len() <= CHALLENGE_LIMIT) {
            for (scheme, mut parameters) in challenges(value) {
                if scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameters.remove("realm")
                {
                    let (service, scope) = (parameters.remove("service"), parameters.remove("scope"));
                    return Some(Self::Bearer { realm, service, scope });
                }
                if scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

/// Splits a header value into schemes and their parameters; stops at the first thing it cannot read.
fn challenges(value: &str) -> Vec<(&str, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    let mut rest = value.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',']).unwrap_or(rest.len());
        let scheme = &rest[..end];
        rest = rest[end..].trim_start_matches([' ', '\t']);
        let mut parameters = BTreeMap::new();
        while let Some((name, text, after)) = parameter(rest) {
            parameters.entry(name.to_ascii_lowercase()).or_insert(text);
            rest = after.trim_start_matches([' ', '\t', ',']);
        }
        found.push((scheme, parameters));
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if end == 0 {
            break;
        }
    }
    found
}

/// `name=token` or `name="quoted"`.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_end();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return None;
    }
    let Some(quoted) = rest.trim_start().strip_prefix('"') else {
        let end = rest.find([' ', '\t', ',']).unwrap_or(rest.len());
        return Some((name, rest[..end].to_owned(), &rest[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let own = |text: &str| text.to_owned();
        Challenge::Bearer { realm: own(realm), service: service.map(own), scope: scope.map(own) }
    }

    #[test]
    fn challenges_of_real_registries_are_understood() {
        let scope = "repository:my-org/p:pull";
        for (value, expected) in [
            (
                r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:my-org/p:pull""#,
                Some(bearer("https://ghcr.io/token", Some("ghcr.io"), Some(scope))),
            ),
            (r#"bearer service=s, realm="https://a/\"x\"""#, Some(bearer("https://a/\"x\"", Some("s"), None))),
            (r#"Basic realm="r""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            (r#"Basic realm="r", Bearer realm="https://a/t""#, Some(bearer("https://a/t", None, None))),
            (r#"Negotiate, Basic realm="r""#, Some(Challenge::Basic)),
            (r#"Bearer realm="https://a/t", Bearer realm="https://b/t""#, Some(bearer("https://a/t", None, None))),
            (r#"Bearer realm="https://a/t",realm="https://b/t""#, Some(bearer("https://a/t", None, None))),
            ("Bearer realm=https://a/t,service=s", Some(bearer("https://a/t", Some("s"), None))),
            (r#"BEARER REALM="https://a/t", SCOPE="x y""#, Some(bearer("https://a/t", None, Some("x y")))),
            (r#"Bearer realm="a, Basic realm=\"b\"""#, Some(bearer(r#"a, Basic realm="b""#, None, None))),
            ("Negotiate", None),
            ("Bearer", None),
            (r#"Bearer realm="unterminated"#, None),
            ("", None),
        ] {
            assert_eq!(Challenge::choose([value].into_iter()), expected, "{value}");
        }
        assert_eq!(Challenge::choose([format!("Basic {}", "x".repeat(CHALLENGE_LIMIT)).as_str()].into_iter()), None);
    }

    proptest! {
        #[test]
        fn choosing_never_panics(value in "\\PC{0,120}") {
            let _ = Challenge::choose([value.as_str()].into_iter());
        }
    }
}
