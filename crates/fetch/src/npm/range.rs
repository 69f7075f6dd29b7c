//! Ranges as node's semver reads them (its README, "Ranges").

use super::version::{PreRelease, Version, number, split};

/// Alternatives, of which one has to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range(Vec<Vec<Comparator>>);

/// One bound. A range's are all to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A version whose numbers may end early, or be `x`.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: PreRelease,
}

impl Range {
    /// Parses `^1.2`, `~1`, `>=1 <2 || 3.x`, `1 - 2`, `*`; nothing is `*`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split("||").map(|part| parse_alternative(part.trim())).collect::<Option<_>>().map(Self)
    }

    /// Whether a version is within. One before a release is only where somebody wrote such a version of the same
    /// numbers: nobody gets one unawares.
    pub(super) fn covers(&self, version: &Version) -> bool {
        self.0.iter().any(|bounds| {
            let is_asked_for =
                |bound: &Comparator| bound.version.is_pre_release() && bound.version.core == version.core;
            bounds.iter().all(|bound| bound.covers(version))
                && (!version.is_pre_release() || bounds.iter().any(is_asked_for))
        })
    }
}

impl Comparator {
    fn covers(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Less => *version < self.version,
            Operator::LessOrEqual => *version <= self.version,
            Operator::Equal => *version == self.version,
            Operator::GreaterOrEqual => *version >= self.version,
            Operator::Greater => *version > self.version,
        }
    }
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let (core, pre) = split(text.trim_start_matches(['v', '=']))?;
        let part = |text| if matches!(text, "x" | "X" | "*") { Some(None) } else { number(text).map(Some) };
        let parts: Vec<_> = core.split('.').map(part).collect::<Option<_>>()?;
        let [major, minor, patch] = match parts[..] {
            [major] => [major, None, None],
            [major, minor] => [major, minor, None],
            [major, minor, patch] => [major, minor, patch],
            _ => return None,
        };
        // Behind an `x` a number has no meaning.
        let is_ordered = parts.windows(2).all(|pair| pair[0].is_some() || pair[1].is_none());
        let is_whole = parts.len() == 3 || pre == PreRelease::No;
        if is_ordered && is_whole { Some(Self { major, minor, patch, pre }) } else { None }
    }

    /// The first version that it means.
    fn first(&self) -> Version {
        let [major, minor, patch] = [self.major, self.minor, self.patch].map(Option::unwrap_or_default);
        let pre = if self.patch.is_some() { self.pre.clone() } else { PreRelease::No };
        Version { core: [major, minor, patch], pre }
    }

    /// The numbers that come after all that it means; nothing comes after `*`.
    const fn next(&self) -> Option<[u64; 3]> {
        match (self.major, self.minor, self.patch) {
            (Some(major), Some(minor), Some(patch)) => Some([major, minor, patch + 1]),
            (Some(major), Some(minor), None) => Some([major, minor + 1, 0]),
            (Some(major), None, _) => Some([major + 1, 0, 0]),
            (None, _, _) => None,
        }
    }
}

fn parse_alternative(text: &str) -> Option<Vec<Comparator>> {
    if let Some((from, to)) = text.split_once(" - ") {
        return between(&Partial::parse(from.trim())?, &Partial::parse(to.trim())?);
    }
    let mut bounds = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let version = word.trim_start_matches(['<', '>', '=', '^', '~']);
        let operator = &word[..word.len() - version.len()];
        // An operator may stand apart.
        let version = if version.is_empty() { words.next()? } else { version };
        bounds.extend(expand(operator, &Partial::parse(version)?)?);
    }
    Some(bounds)
}

/// `from - to`: both are within.
fn between(from: &Partial, to: &Partial) -> Option<Vec<Comparator>> {
    let mut bounds = expand(">=", from)?;
    bounds.extend(expand("<=", to)?);
    Some(bounds)
}

/// What an operator means with a version that may be partial.
fn expand(operator: &str, partial: &Partial) -> Option<Vec<Comparator>> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let bound = |operator, version| Comparator { operator, version };
    let below = |[major, minor, patch]: [u64; 3]| bound(Less, Version::before(major, minor, patch));
    let first = || partial.first();
    let is_whole = partial.patch.is_some();
    Some(match (operator, partial.next()) {
        ("" | "=", Some(_)) if is_whole => vec![bound(Equal, first())],
        (">", Some(_)) if is_whole => vec![bound(Greater, first())],
        ("<=", Some(_)) if is_whole => vec![bound(LessOrEqual, first())],
        ("<", Some(_)) if is_whole => vec![bound(Less, first())],
        ("" | "=", Some(next)) => vec![bound(GreaterOrEqual, first()), below(next)],
        (">=", Some(_)) => vec![bound(GreaterOrEqual, first())],
        (">", Some([major, minor, patch])) => vec![bound(GreaterOrEqual, Version::release(major, minor, patch))],
        ("<=", Some(next)) => vec![below(next)],
        ("<", Some(_)) => vec![below(partial.first().core)],
        ("~" | "~>", Some(_)) => {
            let up_to = Partial { patch: None, pre: PreRelease::No, ..*partial }.next()?;
            vec![bound(GreaterOrEqual, first()), below(up_to)]
        }
        ("^", Some(next)) => {
            let up_to = match (partial.major, partial.minor, partial.patch) {
                (Some(0), Some(0) | None, _) => next,
                (Some(0), Some(minor), _) => [0, minor + 1, 0],
                (major, _, _) => [major? + 1, 0, 0],
            };
            vec![bound(GreaterOrEqual, first()), below(up_to)]
        }
        // Nothing is more, or less, than anything.
        ("<" | ">", None) => vec![below([0, 0, 0])],
        ("" | "=" | "^" | "~" | "~>" | ">=" | "<=", None) => Vec::new(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(range: &str, version: &str) -> bool {
        Range::parse(range).expect(range).covers(&Version::parse(version).unwrap())
    }

    #[test]
    fn ranges_cover_what_node_says() {
        for (range, inside, outside) in [
            // Exact.
            ("1.2.3", "1.2.3", "1.2.4 1.2.2 1.2.3-rc.1 2.2.3"),
            ("=1.2.3", "1.2.3", "1.2.4"),
            ("v1.2.3", "1.2.3", "1.2.4"),
            ("1.2.3+build", "1.2.3", "1.2.4"),
            ("1.2.3-rc.1", "1.2.3-rc.1", "1.2.3-rc.2 1.2.3"),
            // Comparisons.
            (">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.4-rc.1"),
            (">=1.2.3", "1.2.3 9.0.0", "1.2.2 1.2.3-rc.1"),
            ("<1.2.3", "1.2.2 0.0.0", "1.2.3 1.2.3-rc.1 1.2.2-rc.1"),
            ("<=1.2.3", "1.2.3", "1.2.4"),
            (">= 1.2.3", "1.2.3 1.3.0", "1.2.2"),
            (">=1.2.7 <1.3.0", "1.2.7 1.2.99", "1.2.6 1.3.0 1.1.0"),
            (">=1.2.7 <1.3.0 || >= 2", "1.2.7 2.0.0", "1.3.0"),
            ("1.2.7||>=1.2.9", "1.2.7 1.2.9 2.0.0", "1.2.8"),
            (">1", "2.0.0", "1.0.0 1.9.9"),
            (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9"),
            (">=1.2", "1.2.0", "1.1.9"),
            ("<1.2", "1.1.9", "1.2.0 1.2.0-rc.1"),
            ("<=1.2", "1.2.9", "1.3.0 1.3.0-0"),
            ("<=1", "1.9.9", "2.0.0 2.0.0-0"),
            ("<1", "0.9.9", "1.0.0 1.0.0-0"),
            (">*", "", "0.0.0 1.0.0"),
            ("<*", "", "0.0.0 1.0.0"),
            (">=*", "0.0.0 1.0.0", "1.0.0-rc.1"),
            // x.
            ("*", "0.0.0 9.9.9", "1.0.0-rc.1"),
            ("", "0.0.0 9.9.9", "1.0.0-rc.1"),
            ("x", "1.0.0", "1.0.0-rc.1"),
            ("1", "1.0.0 1.9.9", "2.0.0 0.9.9 2.0.0-rc.1 1.0.0-rc.1"),
            ("1.x", "1.0.0 1.9.9", "2.0.0"),
            ("1.X.x", "1.0.0 1.9.9", "2.0.0"),
            ("1.2", "1.2.0 1.2.9", "1.3.0"),
            ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
            // Tilde.
            ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0 1.3.0-0"),
            ("~>1.2.3", "1.2.3 1.2.9", "1.3.0"),
            ("~ 1.2.3", "1.2.9", "1.3.0"),
            ("~1.2", "1.2.0 1.2.9", "1.3.0"),
            ("~1", "1.0.0 1.9.9", "2.0.0"),
            ("~0", "0.9.9", "1.0.0"),
            ("~1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.2.4", "1.2.3-beta.1 1.2.4-beta.2 1.3.0"),
            ("~*", "3.0.0", "3.0.0-a"),
            // Caret.
            ("^1.2.3", "1.2.3 1.9.9", "1.2.2 2.0.0 2.0.0-0"),
            ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"),
            ("^0.0.3", "0.0.3", "0.0.2 0.0.4"),
            ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.5.0", "1.2.3-beta.1 1.2.4-beta.2 2.0.0-beta.1"),
            ("^0.0.3-beta", "0.0.3-beta 0.0.3-pr.2 0.0.3", "0.0.4 0.0.2"),
            ("^1.2.x", "1.2.0 1.9.9", "2.0.0 1.1.9"),
            ("^0.0.x", "0.0.0 0.0.9", "0.1.0"),
            ("^0.0", "0.0.9", "0.1.0"),
            ("^1.x", "1.0.0 1.9.9", "2.0.0"),
            ("^0.x", "0.0.0 0.9.9", "1.0.0"),
            ("^0", "0.9.9", "1.0.0"),
            ("^1", "1.9.9", "2.0.0"),
            ("^*", "7.0.0", "7.0.0-a"),
            ("^0.1.0 || ^1.0.0-rc.1", "0.1.9 1.0.0-rc.2 1.4.0", "1.1.0-rc.1 0.2.0"),
            // Hyphen.
            ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "1.2.2 2.3.5"),
            ("1.2 - 2.3.4", "1.2.0 2.3.4", "1.1.9"),
            ("1.2.3 - 2.3", "2.3.9", "2.4.0 2.4.0-0"),
            ("1.2.3 - 2", "2.9.9", "3.0.0"),
            ("1.2.3 - *", "9.0.0", "1.2.2"),
            ("1.2.3 - 2.0.0-rc.1", "2.0.0-rc.1 2.0.0-rc.0", "2.0.0-rc.2 2.0.0"),
            // A pre-release of other numbers is not let in by one.
            (">=1.2.3-alpha.3", "1.2.3-alpha.7 3.4.5", "3.4.5-alpha.9 1.2.3-alpha.2"),
            (">1.2.3-alpha <2.0.0-rc.1", "1.2.3-beta 1.2.3 2.0.0-beta", "2.0.0-rc.1 1.5.0-beta"),
        ] {
            for version in inside.split_whitespace() {
                assert!(covers(range, version), "{range} covers {version}");
            }
            for version in outside.split_whitespace() {
                assert!(!covers(range, version), "{range} does not cover {version}");
            }
        }
    }

    #[test]
    fn anything_else_is_no_range() {
        for text in [
            "latest",
            "next-1",
            "v1-latest",
            "1.2.3.4",
            "1.2-rc",
            "><1",
            "=>1",
            ">",
            "1 -",
            "- 1",
            "1 - 2 3",
            "^^1",
            "~^1",
            "01",
            "1.2.3-",
            "a.b.c",
            "1,2",
            "<>1",
            "1 ^",
            "9007199254740992",
            "1.x.3",
            "*.2",
            "^1.x.3",
        ] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
