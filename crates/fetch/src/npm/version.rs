//! Versions as node's semver reads them (Semantic Versioning 2.0.0), and their order.

use std::fmt;

/// Longest version that node's semver reads, in bytes.
const VERSION_LIMIT: usize = 256;
/// Largest number in a version: what a double holds exactly.
const NUMBER_LIMIT: u64 = (1 << 53) - 1;

/// A version. Ordered by precedence; what follows `+` is dropped, as it has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) core: [u64; 3],
    pub(super) pre: PreRelease,
}

/// What stands behind `-`; a release, which has nothing there, comes after all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PreRelease {
    Of(Vec<Identifier>),
    No,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identifier {
    /// Digits without zeros in front: of two the longer one is larger, whatever its size.
    Number(usize, String),
    Word(String),
}

impl Version {
    /// Parses `1.2.3[-pre.1][+build]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (core, pre) = split(text)?;
        let mut numbers = core.split('.').map(number);
        let core = [numbers.next()??, numbers.next()??, numbers.next()??];
        if numbers.next().is_some() { None } else { Some(Self { core, pre }) }
    }

    /// `major.minor.patch`.
    pub(super) const fn release(major: u64, minor: u64, patch: u64) -> Self {
        Self { core: [major, minor, patch], pre: PreRelease::No }
    }

    /// `major.minor.patch-0`: whatever comes before it has smaller numbers.
    pub(super) fn before(major: u64, minor: u64, patch: u64) -> Self {
        let zero = Identifier::Number(1, "0".to_owned());
        Self { core: [major, minor, patch], pre: PreRelease::Of(vec![zero]) }
    }

    pub(super) const fn is_pre_release(&self) -> bool {
        matches!(self.pre, PreRelease::Of(_))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.core;
        write!(f, "{major}.{minor}.{patch}")?;
        let PreRelease::Of(identifiers) = &self.pre else { return Ok(()) };
        for (at, identifier) in identifiers.iter().enumerate() {
            let (Identifier::Number(_, text) | Identifier::Word(text)) = identifier;
            write!(f, "{}{text}", if at == 0 { '-' } else { '.' })?;
        }
        Ok(())
    }
}

/// The numbers, which may be partial here, and what follows them.
pub(super) fn split(text: &str) -> Option<(&str, PreRelease)> {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let pre = match pre {
        Some(pre) => PreRelease::Of(pre.split('.').map(identifier).collect::<Option<_>>()?),
        None => PreRelease::No,
    };
    let is_plain = build.is_none_or(|build| build.split('.').all(is_word));
    Some((core, pre)).filter(|_| is_plain && text.len() <= VERSION_LIMIT)
}

/// A number without a sign or zeros in front.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_plain = is_digits(text) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| is_plain && *number <= NUMBER_LIMIT)
}

fn identifier(text: &str) -> Option<Identifier> {
    match is_digits(text) {
        true if text != "0" && text.starts_with('0') => None,
        true => Some(Identifier::Number(text.len(), text.to_owned())),
        false => is_word(text).then(|| Identifier::Word(text.to_owned())),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_precedence() {
        // Section 11 of the specification, and what lies beyond any integer.
        let ascending = [
            "0.0.0-0",
            "0.0.0",
            "0.9.10",
            "1.0.0-0",
            "1.0.0-9",
            "1.0.0-10",
            "1.0.0-99999999999999999999998",
            "1.0.0-99999999999999999999999",
            "1.0.0--1",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1-a",
            "1.2.0",
            "1.10.0",
            "2.0.0",
            "9007199254740991.0.0",
        ];
        let versions: Vec<_> = ascending.iter().map(|text| Version::parse(text).unwrap()).collect();
        for (lower, higher) in versions.iter().zip(&versions[1..]) {
            assert!(lower < higher, "{lower} {higher}");
        }
        for (text, version) in ascending.iter().zip(versions) {
            assert_eq!(version.to_string(), *text);
        }
    }

    #[test]
    fn what_follows_a_plus_counts_for_nothing() {
        assert_eq!(Version::parse("1.2.3+a.b-c"), Version::parse("1.2.3"));
        assert_eq!(Version::parse("1.2.3-x+1").unwrap().to_string(), "1.2.3-x");
    }

    #[test]
    fn anything_else_is_no_version() {
        let long = format!("1.2.3-{}", "a".repeat(VERSION_LIMIT));
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "=1.2.3",
            "1.2.x",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+",
            "1.2.3-é",
            "+1.2.3",
            "-1.2.3",
            "1.2.-3",
            "9007199254740992.0.0",
            " 1.2.3",
            "1.2.3\n",
            &long,
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }
}
