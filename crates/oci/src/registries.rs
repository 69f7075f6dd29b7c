//! `registries.conf`: where else a registry's images may be had (containers-registries.conf(5), version 2).

use serde::Deserialize;
use source::{Authority, OciReference};

use crate::Failure;
use crate::docker_hub::one_name;
use crate::toml_depth;

/// Most brackets or braces open at once, and most dots of one key. The parser descends into each, and what we look for
/// lies two deep.
const DEPTH_LIMIT: usize = 16;
/// What Red Hat's images are also published as, often earlier.
const RHDH: (&str, &str) = ("registry.access.redhat.com/rhdh", "quay.io/rhdh");

/// Where the images of registries are asked for: at mirrors first, elsewhere, or not at all.
///
/// ```
/// use oci::Registries;
///
/// let text = r#"
/// [[registry]]
/// location = "quay.io"
/// [[registry.mirror]]
/// location = "mirror.example.com:5000/quay"
/// "#;
/// let registries = Registries::none().and(text)?;
/// # let _ = registries;
/// # Ok::<(), oci::RegistriesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    entries: Vec<Entry>,
    /// Asked when nothing else has answered.
    fallbacks: Vec<(Prefix, String)>,
}

/// A `registries.conf` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistriesError {
    /// It is not TOML, or a value has another type.
    #[error("the text is not TOML with the values that `[[registry]]` has")]
    Toml {
        /// Where and why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something lies in too many others.
    #[error("expected at most {limit} brackets open at once and dots in a key, found more")]
    Deep {
        /// The limit.
        limit: usize,
    },
    /// The form that has tables of plain lists.
    #[error("the text is in version 1 of the format (`[registries.{table}]`), which is not read")]
    Version1 {
        /// `search`, `insecure` or `block`.
        table: &'static str,
    },
    /// An entry that means nothing, or nothing certain.
    #[error("the entry of `{entry}` cannot be used: {why}")]
    Entry {
        /// Its prefix or location.
        entry: String,
        /// Why not.
        why: &'static str,
    },
}

/// A place that is asked for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// What is asked for there.
    pub(crate) reference: OciReference,
    /// Whether the operator lets it be spoken to over plain http.
    pub(crate) is_insecure: bool,
    pub(crate) answered: Answered,
}

/// Where a reference was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// Where it says itself.
    Itself,
    /// At a mirror, or at the other location that `registries.conf` names.
    Elsewhere(OciReference),
    /// Where this product falls back to.
    Fallback(OciReference),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    prefix: Prefix,
    /// `None` where it is what the prefix matches.
    location: Option<String>,
    is_insecure: bool,
    is_blocked: bool,
    mirrors: Vec<Mirror>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mirror {
    location: String,
    is_insecure: bool,
    serves: Serves,
}

/// Which references a mirror is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    All,
    Digests,
    Tags,
}

/// What a reference begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prefix {
    host: Host,
    /// Empty, or from its first `/` on.
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// With its port.
    Exact(String),
    /// All below a domain: what follows the `*`, with the port.
    Below(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw {
    registry: Vec<RawRegistry>,
    registries: Version1,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct RawRegistry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    pull_from_mirror: String,
    mirror: Vec<RawMirror>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct RawMirror {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Version1 {
    search: Version1List,
    insecure: Version1List,
    block: Version1List,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Version1List {
    registries: Vec<String>,
}

impl Registries {
    /// Every reference is asked for where it says.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, but that Red Hat's plugins are looked for at `quay.io/rhdh` when their own registry does not have them.
    pub fn rhdh() -> Self {
        let (prefix, location) = RHDH;
        let fallbacks = Prefix::parse(prefix).map(|prefix| (prefix, location.to_owned())).into_iter().collect();
        Self { fallbacks, ..Self::default() }
    }

    /// Adds the text of a file: its entries stand in place of earlier files' with the same prefix. What other tools keep
    /// there besides is passed over.
    ///
    /// # Errors
    /// When the text is not TOML, is in version 1 of the format, or has an entry that cannot be used.
    pub fn and(mut self, text: &str) -> Result<Self, RegistriesError> {
        if !toml_depth::is_within(text, DEPTH_LIMIT) {
            return Err(RegistriesError::Deep { limit: DEPTH_LIMIT });
        }
        let raw: Raw = basic_toml::from_str(text)
            .map_err(|error| RegistriesError::Toml { source: crate::words::shown(&error.to_string()).into() })?;
        let Version1 { search, insecure, block } = &raw.registries;
        for (table, list) in [("search", search), ("insecure", insecure), ("block", block)] {
            if !list.registries.is_empty() {
                return Err(RegistriesError::Version1 { table });
            }
        }
        let entries = raw.registry.into_iter().map(Entry::parse).collect::<Result<Vec<_>, _>>()?;
        self.entries.retain(|old| !entries.iter().any(|new| new.prefix == old.prefix));
        self.entries.extend(entries);
        Ok(self)
    }

    /// The places to ask for a reference, in order; none where all of them are blocked.
    ///
    /// # Errors
    /// When an entry and the reference make no reference together.
    pub(crate) fn places(&self, reference: &OciReference) -> Result<Vec<Place>, Failure> {
        let mut places = self.configured(reference)?;
        for (prefix, location) in &self.fallbacks {
            let Some(rest) = prefix.rest_of(reference) else { continue };
            for place in self.configured(&rewritten(location, &rest)?)? {
                let answered = Answered::Fallback(place.reference.clone());
                places.push(Place { answered, ..place });
            }
        }
        Ok(places)
    }

    /// The same as the files say.
    fn configured(&self, reference: &OciReference) -> Result<Vec<Place>, Failure> {
        let Some((entry, rest)) = self.entry_of(reference) else {
            return Ok(vec![Place::itself(reference)]);
        };
        let mut places = Vec::new();
        for mirror in entry.mirrors.iter().filter(|mirror| mirror.serves.serves(reference)) {
            places.push(Place::at(rewritten(&mirror.location, &rest)?, reference, mirror.is_insecure));
        }
        if !entry.is_blocked {
            let own = match &entry.location {
                Some(location) => rewritten(location, &rest)?,
                None => reference.clone(),
            };
            places.push(Place::at(own, reference, entry.is_insecure));
        }
        // A mirror may be somebody else's registry, and blocked as such.
        places.retain(|place| !self.entry_of(&place.reference).is_some_and(|(entry, _)| entry.is_blocked));
        Ok(places)
    }

    /// The entry with the longest prefix, the first of those, and what of the reference comes behind the prefix.
    fn entry_of(&self, reference: &OciReference) -> Option<(&Entry, String)> {
        let fitting = self.entries.iter().filter_map(|entry| Some((entry, entry.prefix.rest_of(reference)?)));
        fitting.min_by_key(|(entry, _)| std::cmp::Reverse(entry.prefix.len()))
    }
}

impl Place {
    /// Where the reference itself says.
    pub(crate) fn itself(reference: &OciReference) -> Self {
        Self { reference: reference.clone(), is_insecure: false, answered: Answered::Itself }
    }

    fn at(place: OciReference, reference: &OciReference, is_insecure: bool) -> Self {
        let is_itself = place.registry() == reference.registry() && place.repository() == reference.repository();
        let answered = if is_itself { Answered::Itself } else { Answered::Elsewhere(place.clone()) };
        Self { reference: place, is_insecure, answered }
    }
}

impl Entry {
    fn parse(raw: RawRegistry) -> Result<Self, RegistriesError> {
        let named = if raw.prefix.is_empty() { &raw.location } else { &raw.prefix };
        let shown = crate::words::shown(named);
        let unusable = |why: &'static str| RegistriesError::Entry { entry: shown.clone(), why };
        if named.is_empty() {
            return Err(unusable("it has neither `prefix` nor `location`"));
        }
        let prefix = Prefix::parse(named)
            .ok_or_else(|| unusable("expected `HOST`, `HOST/NAMESPACE` or `*.DOMAIN` as its prefix"))?;
        let location = parse_location(&raw.location).map_err(unusable)?;
        if location.is_none() && matches!(prefix.host, Host::Exact(_)) {
            return Err(unusable("it has a `prefix` without a `location`"));
        }
        if !raw.pull_from_mirror.is_empty() {
            return Err(unusable("`pull-from-mirror` is for mirrors"));
        }
        let mirror = |mirror: RawMirror| {
            let serves = match (mirror.pull_from_mirror.as_str(), raw.mirror_by_digest_only) {
                ("" | "all", false) => Serves::All,
                ("", true) | ("digest-only", false) => Serves::Digests,
                ("tag-only", false) => Serves::Tags,
                (_, true) => return Err("`pull-from-mirror` and `mirror-by-digest-only` exclude each other"),
                (_, false) => return Err("expected `all`, `digest-only` or `tag-only` as `pull-from-mirror`"),
            };
            let location = parse_location(&mirror.location)?.ok_or("it has a mirror without a `location`")?;
            Ok(Mirror { location, is_insecure: mirror.insecure, serves })
        };
        let mirrors = raw.mirror.into_iter().map(mirror).collect::<Result<_, _>>().map_err(unusable)?;
        Ok(Self { prefix, location, is_insecure: raw.insecure, is_blocked: raw.blocked, mirrors })
    }
}

impl Serves {
    fn serves(self, reference: &OciReference) -> bool {
        match self {
            Self::All => true,
            Self::Digests => reference.digest().is_some(),
            Self::Tags => reference.digest().is_none(),
        }
    }
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let host = match host.strip_prefix('*') {
            Some(below) => Host::Below(format!(".{}", authority(below.strip_prefix('.')?)?)),
            None => Host::Exact(authority(host)?),
        };
        Some(Self { host, path: path.to_owned() })
    }

    /// What of a reference comes behind this, where the reference begins with it.
    fn rest_of(&self, reference: &OciReference) -> Option<String> {
        let registry = reference.registry().to_string();
        let is_host = match &self.host {
            Host::Exact(host) => one_name(&registry) == host,
            Host::Below(domain) => registry.ends_with(domain),
        };
        let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
        let written = format!("/{}{tag}{digest}", reference.repository());
        let rest = written.strip_prefix(&self.path).filter(|_| is_host)?;
        (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then(|| rest.to_owned())
    }

    fn len(&self) -> usize {
        let (Host::Exact(host) | Host::Below(host)) = &self.host;
        host.len() + self.path.len()
    }
}

impl RegistriesError {
    /// Whose move it is: the operator mounts the file.
    pub const fn blame(&self) -> integrity::Blame {
        match self {
            Self::Toml { .. } | Self::Deep { .. } | Self::Version1 { .. } | Self::Entry { .. } => {
                integrity::Blame::Operator
            }
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Toml { .. } | Self::Deep { .. } => "containers-registries.conf(5) describes the file",
            Self::Version1 { .. } => "write a `[[registry]]` for each: `location`, and `insecure` or `blocked`",
            Self::Entry { .. } => {
                "write hosts without `https://`, and give each `[[registry]]` and mirror a `location`"
            }
        }
    }
}

/// A registry's one name, where the text is a host that references can begin with.
fn authority(text: &str) -> Option<String> {
    Some(one_name(&Authority::parse(text).ok()?.to_string()).to_owned())
}

/// A location as references are made of it; `None` where there is none.
fn parse_location(text: &str) -> Result<Option<String>, &'static str> {
    let location = text.trim_end_matches('/');
    if location.is_empty() {
        return Ok(None);
    }
    match OciReference::parse(&format!("{location}/a:1")) {
        Ok(_) => Ok(Some(location.to_owned())),
        Err(_) => Err("expected `HOST` or `HOST/NAMESPACE` as each `location`"),
    }
}

fn rewritten(location: &str, rest: &str) -> Result<OciReference, Failure> {
    let place = format!("{location}{rest}");
    OciReference::parse(&place).map_err(|_| Failure::Place { place })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

    /// `!` marks a place that may be asked in the clear.
    fn places(registries: &Registries, reference: &str) -> String {
        let reference = OciReference::parse(&reference.replace("DIGEST", DIGEST)).unwrap();
        let shown = |place: Place| {
            let mark = if place.is_insecure { "!" } else { "" };
            format!("{mark}{}", place.reference.to_string().trim_start_matches("oci://").replace(DIGEST, "DIGEST"))
        };
        match registries.places(&reference) {
            Ok(places) => places.into_iter().map(shown).collect::<Vec<_>>().join(" "),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn longest_prefix_decides_where_a_reference_is_asked_for() {
        let registries = Registries::none()
            .and(
                r#"
unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"
[aliases]
"a" = "docker.io/library/a"
[[registry]]
location = "quay.io"
[[registry.mirror]]
location = "m1.example.com"
unknown = { a = [1, 2.5, "x"] }
[[registry.mirror]]
location = "m2.example.com:5000/quay/"
insecure = true
[[registry]]
prefix = "quay.io/team/"
location = "other.example.com/t"
insecure = true
[[registry]]
prefix = "quay.io/team/one"
location = "one.example.com/whole"
[[registry]]
prefix = "*.example.net"
[[registry.mirror]]
location = "net.example.com"
[[registry]]
prefix = "*.deep.example.net"
location = "deep.example.com"
[[registry]]
location = "bad.example.org"
blocked = true
[[registry]]
location = "never.example.org"
blocked = true
mirror = [{ location = "m1.example.com" }, { location = "bad.example.org" }]
[[registry]]
location = "index.docker.io/my"
[[registry.mirror]]
location = "hub.example.com"
[[registry]]
location = "reg.example.org:5000"
[[registry.mirror]]
location = "port.example.com"
[[registry]]
prefix = "whole.example.org/a"
location = "host.example.com"
"#,
            )
            .unwrap();
        for (reference, expected) in [
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("quay.io/a/b:1", "m1.example.com/a/b:1 !m2.example.com:5000/quay/a/b:1 quay.io/a/b:1"),
            ("quay.io/a/b@DIGEST", "m1.example.com/a/b@DIGEST !m2.example.com:5000/quay/a/b@DIGEST quay.io/a/b@DIGEST"),
            ("quay.io/a:1@DIGEST", "m1.example.com/a:1@DIGEST !m2.example.com:5000/quay/a:1@DIGEST quay.io/a:1@DIGEST"),
            ("quay.io:5000/a/b:1", "quay.io:5000/a/b:1"),
            ("quay.io.evil.example/a:1", "quay.io.evil.example/a:1"),
            ("quay.io/team/b:1", "!other.example.com/t/b:1"),
            ("quay.io/team/one:1", "one.example.com/whole:1"),
            ("quay.io/team/one/x:1", "one.example.com/whole/x:1"),
            ("quay.io/teams/b:1", "m1.example.com/teams/b:1 !m2.example.com:5000/quay/teams/b:1 quay.io/teams/b:1"),
            ("a.example.net/x:1", "net.example.com/x:1 a.example.net/x:1"),
            ("a.b.example.net/x:1", "net.example.com/x:1 a.b.example.net/x:1"),
            ("example.net/x:1", "example.net/x:1"),
            ("evilexample.net/x:1", "evilexample.net/x:1"),
            ("a.deep.example.net/x:1", "deep.example.com/x:1"),
            ("bad.example.org/x:1", ""),
            ("never.example.org/x:1", "m1.example.com/x:1"),
            ("docker.io/my/x:1", "hub.example.com/x:1 index.docker.io/my/x:1"),
            ("registry-1.docker.io/my/x:1", "hub.example.com/x:1 index.docker.io/my/x:1"),
            ("docker.io/your/x:1", "docker.io/your/x:1"),
            ("reg.example.org:5000/x:1", "port.example.com/x:1 reg.example.org:5000/x:1"),
            ("reg.example.org/x:1", "reg.example.org/x:1"),
            ("whole.example.org/a/b:1", "host.example.com/b:1"),
            ("whole.example.org/a:v1", "`host.example.com:v1` stands in for it, which is no reference"),
        ] {
            assert_eq!(places(&registries, reference), expected, "{reference}");
        }
    }

    #[test]
    fn mirrors_are_asked_for_what_they_serve() {
        let file = |registry: &str, mirror: &str| {
            let text = format!(
                "[[registry]]\nlocation = 'quay.io'\n{registry}\n[[registry.mirror]]\nlocation = 'm.example.com'\n{mirror}"
            );
            Registries::none().and(&text).unwrap()
        };
        for (registry, mirror, by_tag, by_digest) in [
            ("", "", true, true),
            ("", "pull-from-mirror = 'all'", true, true),
            ("", "pull-from-mirror = 'digest-only'", false, true),
            ("", "pull-from-mirror = 'tag-only'", true, false),
            ("mirror-by-digest-only = true", "", false, true),
        ] {
            let registries = file(registry, mirror);
            for (reference, expected) in [("quay.io/a:1", by_tag), ("quay.io/a@DIGEST", by_digest)] {
                let found = places(&registries, reference).starts_with("m.example.com/");
                assert_eq!(found, expected, "{registry} {mirror} {reference}");
            }
        }
    }

    #[test]
    fn later_file_replaces_entries_of_the_same_prefix() {
        let one = "[[registry]]\nlocation='a.example.com'\nblocked=true\n[[registry]]\nlocation='b.example.com'\nblocked=true";
        let two = "[[registry]]\nprefix='a.example.com/'\nlocation='c.example.com'\n\
                   [[registry]]\nprefix='a.example.com'\nlocation='d.example.com'";
        let registries = Registries::none().and(one).unwrap().and("").unwrap().and(two).unwrap();
        assert_eq!(places(&registries, "a.example.com/x:1"), "c.example.com/x:1", "the first of one file");
        assert_eq!(places(&registries, "b.example.com/x:1"), "");
    }

    #[test]
    fn red_hats_plugins_fall_back_to_quay_in_their_dialect_alone() {
        let asked = "registry.access.redhat.com/rhdh/a@DIGEST";
        assert_eq!(places(&Registries::none(), asked), asked);
        assert_eq!(places(&Registries::rhdh(), asked), format!("{asked} quay.io/rhdh/a@DIGEST"));
        for other in ["registry.access.redhat.com/rhdhx/a:1", "registry.redhat.io/rhdh/a:1", "quay.io/rhdh/a:1"] {
            assert_eq!(places(&Registries::rhdh(), other), other);
        }
        let file = "[[registry]]\nlocation='registry.access.redhat.com'\nblocked=true\n\
                    [[registry]]\nlocation='quay.io'\nmirror=[{location='m.example.com'}]";
        let registries = Registries::rhdh().and(file).unwrap();
        assert_eq!(places(&registries, asked), "m.example.com/rhdh/a@DIGEST quay.io/rhdh/a@DIGEST");
    }

    #[test]
    fn texts_that_mean_nothing_certain_are_refused() {
        let registry = |rest: &str| format!("[[registry]]\n{rest}");
        let mirror = |rest: &str| registry(&format!("location='a.example.com'\n[[registry.mirror]]\n{rest}"));
        for (text, expected) in [
            ("x".to_owned(), "is not TOML"),
            ("registry = 1".to_owned(), "is not TOML"),
            (registry("location='a.example.com'\nblocked='yes'"), "is not TOML"),
            (registry("location='a.example.com'\nlocation='b.example.com'"), "is not TOML"),
            ("[registries.search]\nregistries=['a']".to_owned(), "version 1 of the format (`[registries.search]`)"),
            ("[registries.insecure]\nregistries=['a']".to_owned(), "`[registries.insecure]`"),
            ("[registries.block]\nregistries=['a']".to_owned(), "`[registries.block]`"),
            (format!("x = {}1{}", "[".repeat(17), "]".repeat(17)), "at most 16 brackets"),
            (registry(""), "neither `prefix` nor `location`"),
            (registry("prefix='a.example.com'"), "`prefix` without a `location`"),
            (registry("location='https://a.example.com'"), "as its prefix"),
            (registry("prefix='*'\nlocation='a.example.com'"), "as its prefix"),
            (registry("prefix='a.example.com'\nlocation='https://b.example.com'"), "as each `location`"),
            (registry("prefix='a.example.com'\nlocation='b.example.com/x@y'"), "as each `location`"),
            (registry("location='a.example.com'\npull-from-mirror='all'"), "is for mirrors"),
            (mirror("insecure=true"), "mirror without a `location`"),
            (mirror("location='b.example.com'\npull-from-mirror='never'"), "expected `all`"),
            (
                registry(
                    "location='a.example.com'\nmirror-by-digest-only=true\n[[registry.mirror]]\n\
                     location='b.example.com'\npull-from-mirror='all'",
                ),
                "exclude each other",
            ),
        ] {
            let error = Registries::none().and(&text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.blame(), integrity::Blame::Operator);
        }
        let empty = "[registries.search]\nregistries=[]\n[[registry]]\nlocation='a.example.com'";
        assert!(Registries::none().and(empty).is_ok(), "the customary file has empty lists of version 1");
    }
}
