//! What a registry knows about a package (npm's registry documentation, "package metadata"), read as a stream.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use transport::{Cause, Patience, Response, TransportError};

use super::version::Version;
use crate::NpmFailure;

/// Most bytes of a package's metadata.
pub(super) const METADATA_LIMIT: usize = 64 * 1024 * 1024;
/// Most versions of a package; the busiest ones have some ten thousand.
const VERSIONS_LIMIT: usize = 50_000;
/// Most bytes that are kept of all versions together.
const KEPT_LIMIT: usize = 32 * 1024 * 1024;
/// What a version takes at most in memory for each part of its number, besides its texts.
const PART_BYTES: usize = 128;
/// Most tags of a package, and the longest one, or version of one, that is kept.
const TAGS_LIMIT: usize = 10_000;
const TAG_LIMIT: usize = 256;

/// What is kept of it: all else is skipped as it comes.
#[derive(Debug, Deserialize)]
pub(super) struct Packument {
    #[serde(rename = "dist-tags", default)]
    pub(super) tags: Tags,
    pub(super) versions: Versions,
}

/// Version by tag, as written.
#[derive(Debug, Default)]
pub(super) struct Tags(pub(super) BTreeMap<String, String>);

/// The versions that a registry has, in their order.
#[derive(Debug)]
pub(super) struct Versions(pub(super) BTreeMap<Version, Published>);

/// A version that a registry has.
#[derive(Debug, Deserialize)]
pub(super) struct Published {
    #[serde(default)]
    pub(super) deprecated: Deprecated,
    pub(super) dist: Dist,
}

/// Whether the publisher would rather have it forgotten.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deprecated {
    Yes,
    #[default]
    No,
}

/// A version's tarball.
#[derive(Debug, Deserialize)]
pub(super) struct Dist {
    /// Its URL, as written.
    pub(super) tarball: String,
    pub(super) integrity: Option<String>,
}

/// Reads an answer's body to its end.
pub(super) fn read(server: &str, response: Response, patience: Patience<'_>) -> Result<Packument, NpmFailure> {
    let url = response.url().clone();
    let mut body = Body { response, patience, left: METADATA_LIMIT, failure: None };
    let parsed = parse(BufReader::with_capacity(64 * 1024, &mut body));
    match (body.failure, parsed) {
        (Some(failure), _) => Err(NpmFailure::Transport(failure)),
        (None, Ok(packument)) => Ok(packument),
        // Where only the connection's end says where a body ends, a cut looks like an end.
        (None, Err(error)) if error.is_eof() => {
            Err(NpmFailure::Transport(TransportError::because(&url, Cause::Truncated, error)))
        }
        (None, Err(source)) => Err(NpmFailure::Metadata { server: server.to_owned(), source }),
    }
}

fn parse(body: impl Read) -> Result<Packument, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(body);
    let packument = Packument::deserialize(&mut json)?;
    json.end()?;
    Ok(packument)
}

/// The body up to its limit. The parser has errors of its own only, so what broke it off is kept here.
struct Body<'a> {
    response: Response,
    patience: Patience<'a>,
    left: usize,
    failure: Option<TransportError>,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.patience.check(self.response.url()).and_then(|()| self.response.read(buffer));
        let counted = read.and_then(|n| {
            let cause = Cause::TooLarge { limit: METADATA_LIMIT };
            self.left = self.left.checked_sub(n).ok_or_else(|| TransportError::new(self.response.url(), cause))?;
            Ok(n)
        });
        counted.map_err(|failure| {
            self.failure = Some(failure);
            io::ErrorKind::Other.into()
        })
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Tags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("versions by tag")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tags, M::Error> {
                let mut tags = BTreeMap::new();
                while let Some((tag, version)) = map.next_entry::<String, String>()? {
                    // Nobody can ask for a longer one.
                    if tag.len() > TAG_LIMIT || version.len() > TAG_LIMIT {
                        continue;
                    }
                    tags.insert(tag, version);
                    if tags.len() > TAGS_LIMIT {
                        return Err(M::Error::custom(format_args!("more than {TAGS_LIMIT} tags")));
                    }
                }
                Ok(Tags(tags))
            }
        }

        json.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Versions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("manifests by version")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Versions, M::Error> {
                let mut versions = BTreeMap::new();
                let mut left = KEPT_LIMIT;
                while let Some((version, published)) = map.next_entry::<String, Published>()? {
                    let parts = version.split('.').count().saturating_mul(PART_BYTES);
                    let kept = [published.dist.tarball.len(), published.dist.integrity.as_ref().map_or(0, String::len)];
                    let kept = kept.into_iter().fold(parts, usize::saturating_add);
                    left = left.checked_sub(kept).ok_or_else(|| {
                        M::Error::custom(format_args!("more than {KEPT_LIMIT} bytes of versions and their tarballs"))
                    })?;
                    // Old packages have some that are none.
                    let Some(version) = Version::parse(&version) else { continue };
                    versions.insert(version, published);
                    if versions.len() > VERSIONS_LIMIT {
                        return Err(M::Error::custom(format_args!("more than {VERSIONS_LIMIT} versions")));
                    }
                }
                Ok(Versions(versions))
            }
        }

        json.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Deprecated {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Notice;

        impl Visitor<'_> for Notice {
            type Value = Deprecated;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a notice")
            }

            fn visit_str<E>(self, notice: &str) -> Result<Deprecated, E> {
                Ok(if notice.is_empty() { Deprecated::No } else { Deprecated::Yes })
            }

            fn visit_bool<E>(self, is_deprecated: bool) -> Result<Deprecated, E> {
                Ok(if is_deprecated { Deprecated::Yes } else { Deprecated::No })
            }

            fn visit_unit<E>(self) -> Result<Deprecated, E> {
                Ok(Deprecated::No)
            }
        }

        json.deserialize_any(Notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_kept_and_all_else_skipped() {
        let packument = parse(
            br#"{"name": "a", "dist-tags": {"latest": "1.0.0"}, "versions": {
                "1.0.0": {"dist": {"tarball": "https://h/a.tgz", "integrity": "sha512-x", "signatures": [{}]}, "bin": {"a": []}},
                "1.1.0": {"deprecated": "use 2", "dist": {"tarball": "t"}},
                "1.2.0": {"deprecated": "", "dist": {"tarball": "t", "integrity": null}},
                "1.3.0": {"deprecated": true, "dist": {"tarball": "t"}},
                "1.4.0": {"deprecated": null, "dist": {"tarball": "t"}},
                "one": {"dist": {"tarball": "t"}}
            }, "modified": "x"}"#
                .as_slice(),
        )
        .unwrap();
        assert_eq!(packument.tags.0["latest"], "1.0.0");
        let versions: Vec<_> = packument.versions.0.iter().map(|(v, p)| (v.to_string(), p.deprecated)).collect();
        let expected = [Deprecated::No, Deprecated::Yes, Deprecated::No, Deprecated::Yes, Deprecated::No];
        assert_eq!(versions.iter().map(|(_, deprecated)| *deprecated).collect::<Vec<_>>(), expected);
        assert_eq!(versions.iter().map(|(v, _)| v.as_str()).collect::<String>(), "1.0.01.1.01.2.01.3.01.4.0");
        let dist = &packument.versions.0.values().next().unwrap().dist;
        assert_eq!((dist.tarball.as_str(), dist.integrity.as_deref()), ("https://h/a.tgz", Some("sha512-x")));
        assert!(parse(br#"{"versions": {}}"#.as_slice()).unwrap().versions.0.is_empty());
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "[]",
            "{}",
            "{\"error\": \"none\"}",
            "1",
            "{\"versions\": []}",
            "{\"versions\": {\"1.0.0\": {}}}",
            "{\"versions\": {}} x",
            "{\"dist-tags\": {\"a\": 1}}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let many = |n: usize| {
            let versions: Vec<_> = (0..n).map(|n| format!("\"{n}.0.0\":{{\"dist\":{{\"tarball\":\"\"}}}}")).collect();
            parse(format!("{{\"versions\":{{{}}}}}", versions.join(",")).as_bytes()).map(|found| found.versions.0.len())
        };
        assert_eq!(many(VERSIONS_LIMIT).unwrap(), VERSIONS_LIMIT);
        assert!(many(VERSIONS_LIMIT + 1).unwrap_err().to_string().starts_with("more than 50000 versions"));
    }

    #[test]
    fn what_is_kept_is_bounded_however_it_is_spread() {
        let versions = |count: usize, pre: &str, tarball: usize| {
            let tarball = "x".repeat(tarball);
            let written = |n| format!("\"{n}.0.0{pre}\":{{\"dist\":{{\"tarball\":\"{tarball}\"}}}}");
            let versions: Vec<_> = (0..count).map(written).collect();
            parse(format!("{{\"versions\":{{{}}}}}", versions.join(",")).as_bytes()).map(drop)
        };
        let parts = format!("-a{}", ".a".repeat(100));
        let (each, all) = (103 * PART_BYTES, KEPT_LIMIT);
        for (name, found, is_kept) in [
            ("many parts of a version", versions(all / each, &parts, 0), true),
            ("too many", versions(all / each + 1, &parts, 0), false),
            ("a long URL", versions(1, "", all - 3 * PART_BYTES), true),
            ("too long", versions(1, "", all - 3 * PART_BYTES + 1), false),
        ] {
            let why = found.err().map(|error| error.to_string());
            assert_eq!(why.is_none(), is_kept, "{name}");
            assert!(why.is_none_or(|why| why.starts_with("more than 33554432 bytes")), "{name}");
        }
        let tags = |count: usize, more: &str| {
            let tags: Vec<_> = (0..count).map(|n| format!("\"{n}{more}\":\"1.0.0\"")).collect();
            let text = format!("{{\"dist-tags\":{{{}}},\"versions\":{{}}}}", tags.join(","));
            parse(text.as_bytes()).map(|packument| packument.tags.0.len())
        };
        assert_eq!(tags(TAGS_LIMIT, "").unwrap(), TAGS_LIMIT);
        assert!(tags(TAGS_LIMIT + 1, "").unwrap_err().to_string().starts_with("more than 10000 tags"));
        assert_eq!(tags(3, &"x".repeat(TAG_LIMIT)).unwrap(), 0);
    }
}
