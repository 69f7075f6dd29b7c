//! Which of a package's versions is meant: npm's choice (its `npm-pick-manifest`), engines left aside.

use super::packument::{Deprecated, Packument, Published};
use super::range::Range;
use super::version::Version;

/// The tag of the version that counts more than newer ones.
const DEFAULT_TAG: &str = "latest";
/// How many of the newest versions, or of the tags, a failure names.
const NAMED: usize = 5;
/// Longest tag that is repeated from a registry.
const TAG_LIMIT: usize = 64;

/// Nothing that a registry has is what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoVersion {
    /// None within a range.
    #[error("no version matches `{range}`; the newest are {}", listed(newest))]
    Range {
        /// The range.
        range: String,
        /// The newest ones, the newest first.
        newest: Vec<String>,
    },
    /// No such tag, or one of a version that is not there.
    #[error("no version has the tag `{tag}`; the tags are {}", listed(tags))]
    Tag {
        /// The tag.
        tag: String,
        /// Some of those that there are.
        tags: Vec<String>,
    },
}

impl Packument {
    /// The version that `wanted` means: an exact one, the highest of a range, or a tag's.
    pub(super) fn choose(&self, wanted: &str) -> Result<(&Version, &Published), NoVersion> {
        match Range::parse(wanted) {
            Some(range) => self.within(&range, wanted).ok_or_else(|| NoVersion::Range {
                range: if wanted.is_empty() { "*".to_owned() } else { wanted.to_owned() },
                newest: self.versions.0.keys().rev().take(NAMED).map(ToString::to_string).collect(),
            }),
            None => self.tagged(wanted).ok_or_else(|| {
                let is_plain = |tag: &&String| tag.len() <= TAG_LIMIT && tag.bytes().all(|b| b.is_ascii_graphic());
                let tags = self.tags.0.keys().filter(is_plain).take(NAMED).cloned().collect();
                NoVersion::Tag { tag: wanted.to_owned(), tags }
            }),
        }
    }

    /// The latest if it is within, and the highest otherwise; a deprecated one only where there is no other.
    fn within(&self, range: &Range, wanted: &str) -> Option<(&Version, &Published)> {
        let is_any = matches!(wanted, "" | "*");
        let latest = self
            .tagged(DEFAULT_TAG)
            .filter(|(version, published)| (is_any || range.covers(version)) && published.deprecated == Deprecated::No);
        let covered = || self.versions.0.iter().filter(|(version, _)| range.covers(version));
        latest
            .or_else(|| covered().rfind(|(_, published)| published.deprecated == Deprecated::No))
            .or_else(|| covered().next_back())
    }

    fn tagged(&self, tag: &str) -> Option<(&Version, &Published)> {
        self.versions.0.get_key_value(&Version::parse(self.tags.0.get(tag)?)?)
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The versions, a deprecated one with `!` behind it, and the tags.
    fn packument(versions: &str, tags: &[(&str, &str)]) -> Packument {
        let manifests = versions.split_whitespace().map(|version| {
            let deprecated = version.ends_with('!');
            let manifest = json!({"deprecated": deprecated, "dist": {"tarball": "t"}});
            (version.trim_end_matches('!').to_owned(), manifest)
        });
        let manifests: serde_json::Map<_, _> = manifests.collect();
        let tags: serde_json::Map<_, _> =
            tags.iter().map(|(tag, version)| ((*tag).to_owned(), json!(version))).collect();
        serde_json::from_value(json!({"versions": manifests, "dist-tags": tags})).unwrap()
    }

    #[test]
    fn the_choice_is_that_of_npm() {
        let versions = "1.0.0 1.1.0 1.2.0! 1.10.0 2.0.0-rc.1 2.0.0 3.0.0! 3.1.0-rc.1";
        let usual: &[_] =
            &[("latest", "1.10.0"), ("next", "3.1.0-rc.1"), ("old", "1.2.0"), ("gone", "9.0.0"), ("1.x", "2.0.0")];
        for (name, tags, wanted, expected) in [
            ("exact", usual, "1.1.0", Some("1.1.0")),
            ("exact with a `v`", usual, "v1.1.0", Some("1.1.0")),
            ("exact and deprecated", usual, "1.2.0", Some("1.2.0")),
            ("exact before a release", usual, "2.0.0-rc.1", Some("2.0.0-rc.1")),
            ("exact and not there", usual, "1.1.1", None),
            ("tag", usual, "next", Some("3.1.0-rc.1")),
            ("tag of a deprecated one", usual, "old", Some("1.2.0")),
            ("tag of one that is not there", usual, "gone", None),
            ("tag that is not there", usual, "nightly", None),
            ("tag that looks like a range", usual, "1.x", Some("1.10.0")),
            ("latest", usual, "latest", Some("1.10.0")),
            ("nothing", usual, "", Some("1.10.0")),
            ("anything", usual, "*", Some("1.10.0")),
            ("range that holds the latest", usual, ">=1.0.0", Some("1.10.0")),
            ("range above the latest", usual, ">1.10.0", Some("2.0.0")),
            ("range below the latest", usual, "~1.1", Some("1.1.0")),
            ("deprecated ones last", usual, ">=1.1.0 <1.3.0", Some("1.1.0")),
            ("deprecated one if there is no other", usual, "^3.0.0", Some("3.0.0")),
            ("before a release if asked for", usual, "^3.1.0-rc.0", Some("3.1.0-rc.1")),
            ("range without any", usual, "^4", None),
            ("numbers, not letters", &[], "^1", Some("1.10.0")),
            ("no latest", &[], "", Some("2.0.0")),
            ("latest is deprecated", &[("latest", "3.0.0")], "*", Some("2.0.0")),
            ("latest comes before a release", &[("latest", "3.1.0-rc.1")], "", Some("3.1.0-rc.1")),
            ("that is in no range", &[("latest", "3.1.0-rc.1")], ">=2", Some("2.0.0")),
        ] {
            let packument = packument(versions, tags);
            let chosen = packument.choose(wanted).ok().map(|(version, _)| version.to_string());
            assert_eq!(chosen.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_failure_says_what_there_is() {
        let tags = [("latest", "1.0.0"), ("a\u{1b}b", "1.0.0")];
        let some = packument("1.0.0 1.2.0 1.10.0 2.0.0-rc.1 2.0.0 3.0.0", &tags);
        let none = packument("", &[]);
        for (packument, wanted, expected) in [
            (&some, "^4", "no version matches `^4`; the newest are 3.0.0, 2.0.0, 2.0.0-rc.1, 1.10.0, 1.2.0"),
            (&some, "next", "no version has the tag `next`; the tags are latest"),
            (&none, "", "no version matches `*`; the newest are none"),
            (&none, "next", "no version has the tag `next`; the tags are none"),
        ] {
            assert_eq!(packument.choose(wanted).unwrap_err().to_string(), expected);
        }
    }
}
