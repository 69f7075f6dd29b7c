//! OCI references as Butler writes them: `oci://registry/repository[:tag][@digest][!plugin-path]`.

use std::fmt;

use integrity::OciDigest;

use crate::{Authority, Fault};

/// Longest `registry/repository`, in bytes (OCI distribution-spec, section "Pulling manifests").
const NAME_LIMIT: usize = 255;
/// Longest tag, in bytes (OCI distribution-spec, ibid.).
const TAG_LIMIT: usize = 128;
/// Longest plugin path, in bytes.
const PLUGIN_PATH_LIMIT: usize = 512;

/// A reference to one artifact in a registry: a tag, a digest, or both (the digest then decides).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciReference {
    registry: Authority,
    repository: String,
    tag: Option<String>,
    digest: Option<OciDigest>,
    plugin_path: Option<PluginPath>,
}

/// The folder of an image that holds one plugin: relative, `/` between components, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginPath(String);

impl OciReference {
    /// Parses a reference without its `oci://`.
    ///
    /// # Errors
    /// A registry that is not written out, a repository or tag outside the OCI grammar, and a reference with neither
    /// tag nor digest: there is no implied `latest`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (name, plugin_path) = match text.split_once('!') {
            Some((name, path)) => (name, Some(PluginPath::parse(path)?)),
            None => (text, None),
        };
        let parsed = Self { plugin_path, ..Self::parse_name(name)? };
        if parsed.tag.is_none() && parsed.digest.is_none() {
            return Err(Fault::NoVersion);
        }
        Ok(parsed)
    }

    /// Parses `registry[/repository][:tag][@digest]`, where a policy's prefix may end early.
    pub(crate) fn parse_name(text: &str) -> Result<Self, Fault> {
        let (registry, rest) = text.split_once('/').unwrap_or((text, ""));
        let registry = Authority::parse(registry)?;
        if !registry.names_a_registry() {
            return Err(Fault::ShortName);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(OciDigest::parse(digest).map_err(|_| Fault::Digest)?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(parse_tag(tag)?)),
            None => (rest, None),
        };
        let names_nothing = repository.is_empty() && (tag.is_some() || digest.is_some());
        if names_nothing || (!repository.is_empty() && !repository.split('/').all(is_repository_component)) {
            return Err(Fault::Repository);
        }
        if repository.len() + registry.host().len() > NAME_LIMIT {
            return Err(Fault::TooLong { limit: NAME_LIMIT });
        }
        Ok(Self { registry, repository: repository.to_owned(), tag, digest, plugin_path: None })
    }

    /// The registry's host and port as written; Docker Hub's API lives elsewhere, which is the client's business.
    pub const fn registry(&self) -> &Authority {
        &self.registry
    }

    /// The repository: lower-case components with `/` between them.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// `oci://registry/repository`: the image, whatever its version.
    pub fn image(&self) -> String {
        format!("oci://{}/{}", self.registry, self.repository)
    }

    /// The last component of the repository.
    pub fn image_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// The tag, if one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written. It decides over the tag.
    pub const fn digest(&self) -> Option<&OciDigest> {
        self.digest.as_ref()
    }

    /// What decides of tag and digest, as text.
    pub fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_default(),
        }
    }

    /// The same image and version, with another folder selected, or none.
    #[must_use]
    pub fn with_plugin_path(&self, plugin_path: Option<PluginPath>) -> Self {
        Self { plugin_path, ..self.clone() }
    }

    /// The folder selected with `!`.
    pub const fn plugin_path(&self) -> Option<&PluginPath> {
        self.plugin_path.as_ref()
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}", self.registry)?;
        if !self.repository.is_empty() {
            write!(f, "/{}", self.repository)?;
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        self.plugin_path.as_ref().map_or(Ok(()), |path| write!(f, "!{path}"))
    }
}

impl PluginPath {
    /// Parses the text behind `!`, or a key of the annotation `io.backstage.dynamic-packages`.
    ///
    /// # Errors
    /// An empty or absolute path, `.` and `..`, and characters outside printable ASCII.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let plain = |component: &str| {
            !matches!(component, "" | "." | "..")
                && component.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'\''))
        };
        if text.len() > PLUGIN_PATH_LIMIT {
            return Err(Fault::TooLong { limit: PLUGIN_PATH_LIMIT });
        }
        let path = text.strip_prefix("./").unwrap_or(text);
        if path.split('/').all(plain) { Ok(Self(path.to_owned())) } else { Err(Fault::PluginPath) }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI distribution-spec, section "Pulling manifests").
fn is_repository_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators_are_plain = component
        .split(|c: char| c.is_ascii() && alphanumeric(c as u8))
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'));
    let edge = |b: Option<u8>| b.is_some_and(alphanumeric);
    edge(component.bytes().next()) && edge(component.bytes().last()) && separators_are_plain
}

fn parse_tag(tag: &str) -> Result<String, Fault> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let plain = tag.bytes().all(|b| word(b) || b == b'.' || b == b'-') && tag.bytes().next().is_some_and(word);
    if plain && tag.len() <= TAG_LIMIT { Ok(tag.to_owned()) } else { Err(Fault::Tag) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

    #[test]
    fn whole_references_parse_and_show_as_written() {
        for text in [
            "ghcr.io/my-org/my-plugin:1.2.3".to_owned(),
            "127.0.0.1:5000/a:latest".into(),
            "localhost/a/b__c/d--e.f:1".into(),
            format!("ghcr.io/my-org/my-plugin@{DIGEST}"),
            format!("ghcr.io/my-org/my-plugin:1@{DIGEST}!plugins/a"),
        ] {
            assert_eq!(OciReference::parse(&text).map(|r| r.to_string()), Ok(format!("oci://{text}")));
        }
    }

    #[test]
    fn the_digest_is_the_version_where_both_are_written() {
        for (text, version) in [("h.io/a:1!p", "1"), (&format!("h.io/a:1@{DIGEST}"), DIGEST)] {
            let reference = OciReference::parse(text).unwrap();
            assert_eq!(reference.version(), version);
            let other = PluginPath::parse("q").unwrap();
            let without = text.trim_end_matches("!p");
            assert_eq!(reference.with_plugin_path(Some(other)).to_string(), format!("oci://{without}!q"));
            assert_eq!(reference.with_plugin_path(None).to_string(), format!("oci://{without}"));
        }
    }

    #[test]
    fn references_outside_the_grammar_are_refused() {
        for (text, fault) in [
            ("ghcr.io/my-org/plug", Fault::NoVersion),
            ("ghcr.io:1", Fault::NoVersion),
            ("my-org/plug:1", Fault::ShortName),
            ("ghcr.io/My-Org/plug:1", Fault::Repository),
            ("ghcr.io/a//b:1", Fault::Repository),
            ("ghcr.io/a/../b:1", Fault::Repository),
            ("ghcr.io/a___b:1", Fault::Repository),
            ("ghcr.io/-a:1", Fault::Repository),
            ("ghcr.io/:1", Fault::Repository),
            ("ghcr.io/a:", Fault::Tag),
            ("ghcr.io/a:.1", Fault::Tag),
            ("ghcr.io/a:1:2", Fault::Tag),
            ("ghcr.io/a@sha256:abcd", Fault::Digest),
            ("ghcr.io/a@md5:d41d8cd98f00b204e9800998ecf8427e", Fault::Digest),
            ("ghcr.io/a:1!", Fault::PluginPath),
            ("ghcr.io/a:1!/abs", Fault::PluginPath),
            ("ghcr.io/a:1!a/../b", Fault::PluginPath),
            ("ghcr.io@evil.example/a:1", Fault::Userinfo),
        ] {
            assert_eq!(OciReference::parse(text), Err(fault), "{text}");
        }
        assert_eq!(OciReference::parse(&format!("ghcr.io/a:{}", "t".repeat(129))), Err(Fault::Tag));
        assert!(OciReference::parse(&format!("ghcr.io/a:{}", "t".repeat(128))).is_ok());
    }
}
