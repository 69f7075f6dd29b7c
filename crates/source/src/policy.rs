//! Which sources the operator allows.

use std::fmt;

use integrity::Blame;

use crate::npm::is_part;
use crate::source::NO_PLAIN_HTTP;
use crate::{Fault, GitSpec, HttpsUrl, LocalPath, NpmName, NpmSpec, OciReference, Source, redact};

/// The list `allowedSources`, or its absence.
#[derive(Debug, Clone, Default)]
pub struct SourcePolicy {
    prefixes: Vec<Prefix>,
}

/// One entry of `allowedSources`: a source that may end early, at a host, a path segment, a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Pattern);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Oci(OciReference),
    Https(HttpsUrl),
    NpmScope(String),
    Npm(NpmName),
    /// Whatever is below the working folder.
    WorkingFolder,
    Local(LocalPath),
}

/// A subject that the policy let through. Only [`SourcePolicy`] makes one.
///
/// ```compile_fail,E0451
/// fn forge(subject: source::Source) -> source::Allowed<source::Source> {
///     source::Allowed { subject }
/// }
/// ```
///
/// ```
/// fn admit(subject: source::Source) -> Result<source::Allowed<source::Source>, source::NotAllowed> {
///     source::SourcePolicy::permissive().admit(subject)
/// }
/// ```
#[must_use = "an allowed source is meant to be fetched"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed<S> {
    subject: S,
}

/// An [`Allowed`] source, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedKind {
    /// A registry's artifact.
    Oci(Allowed<OciReference>),
    /// A server's tarball.
    Https(Allowed<HttpsUrl>),
    /// An npm registry's package.
    Npm(Allowed<NpmSpec>),
    /// A git repository.
    Git(Allowed<GitSpec>),
    /// A folder or file below the working folder.
    Local(Allowed<LocalPath>),
}

impl SourcePolicy {
    /// Lets everything through: the meaning of an absent or empty `allowedSources`.
    pub const fn permissive() -> Self {
        Self { prefixes: Vec::new() }
    }

    /// Lets through what one of the prefixes matches; none at all is [`permissive`](Self::permissive).
    pub const fn of(prefixes: Vec<Prefix>) -> Self {
        Self { prefixes }
    }

    /// Whether everything is let through.
    pub const fn is_permissive(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// The entries, in the order of the file.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// Lets a source through, or says why not.
    ///
    /// # Errors
    /// [`NotAllowed`] when no entry matches.
    pub fn admit(&self, subject: Source) -> Result<Allowed<Source>, NotAllowed> {
        if self.is_permissive() || self.prefixes.iter().any(|prefix| prefix.covers(&subject)) {
            return Ok(Allowed { subject });
        }
        let judged = match &subject {
            Source::Npm(spec) => format!("npm:{}", spec.name()),
            Source::Git(spec) => spec.url(),
            Source::Oci(_) | Source::Https(_) | Source::Local(_) => subject.to_string(),
        };
        let near_miss = self.prefixes.iter().find(|prefix| judged.starts_with(&prefix.to_string())).cloned();
        Err(NotAllowed { subject: subject.to_string(), near_miss })
    }

    /// Lets a redirect target of an `https://` source through: each hop must match like the source itself.
    ///
    /// # Errors
    /// [`NotAllowed`] when no entry matches.
    pub fn admit_hop(&self, hop: HttpsUrl) -> Result<Allowed<HttpsUrl>, NotAllowed> {
        self.admit(Source::Https(hop.clone())).map(|_| Allowed { subject: hop })
    }
}

impl<S> Allowed<S> {
    /// What was let through.
    pub const fn subject(&self) -> &S {
        &self.subject
    }
}

impl Allowed<Source> {
    /// The same permission, by kind of source.
    pub fn kind(&self) -> AllowedKind {
        match &self.subject {
            Source::Oci(subject) => AllowedKind::Oci(Allowed { subject: subject.clone() }),
            Source::Https(subject) => AllowedKind::Https(Allowed { subject: subject.clone() }),
            Source::Npm(subject) => AllowedKind::Npm(Allowed { subject: subject.clone() }),
            Source::Git(subject) => AllowedKind::Git(Allowed { subject: subject.clone() }),
            Source::Local(subject) => AllowedKind::Local(Allowed { subject: subject.clone() }),
        }
    }
}

impl Prefix {
    /// Parses an entry of `allowedSources`. A trailing `/` changes nothing.
    ///
    /// # Errors
    /// An entry that is no source, that would match everything, or that holds a wildcard, a query or a plugin path.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let error = |why| PrefixError { prefix: redact(text), why };
        if text.is_empty() || matches!(text, "oci:" | "oci:/" | "oci://" | "https:" | "https:/" | "https://") {
            return Err(error(PrefixFault::MatchesEverything));
        }
        if text.contains('*') {
            return Err(error(PrefixFault::Wildcard));
        }
        if text.contains(['!', '?']) {
            return Err(error(PrefixFault::Selector));
        }
        let fault = |why| error(PrefixFault::Source(why));
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(fault(Fault::Characters));
        }
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if trimmed.ends_with('/') {
            return Err(fault(Fault::Path));
        }
        if let Some(name) = trimmed.strip_prefix("oci://") {
            OciReference::parse_name(name).map(Pattern::Oci).map(Self).map_err(fault)
        } else if trimmed.starts_with("https:") {
            HttpsUrl::parse(trimmed).map(Pattern::Https).map(Self).map_err(fault)
        } else {
            Err(error(PrefixFault::Scheme))
        }
    }

    /// Parses an entry of the rhdh dialect: also `npm:@scope`, `npm:@scope/name`, `npm:name` by whole names, and `./`,
    /// `./folder` by whole components.
    ///
    /// # Errors
    /// Like [`parse`](Self::parse).
    pub fn parse_rhdh(text: &str) -> Result<Self, PrefixError> {
        let error = |why| PrefixError { prefix: redact(text), why };
        if let Some(name) = text.strip_prefix("npm:") {
            // The `@` of a scope ends no userinfo.
            let prefix = if name.starts_with('@') { format!("npm:{}", redact(name)) } else { redact(text) };
            return parse_npm(name).map(Self).map_err(|why| PrefixError { prefix, why });
        }
        if text == "./" {
            return Ok(Self(Pattern::WorkingFolder));
        }
        if text.starts_with("./") {
            let path = if text.contains('*') {
                Err(PrefixFault::Wildcard)
            } else {
                LocalPath::parse(text).map_err(PrefixFault::Source)
            };
            return path.map(Pattern::Local).map(Self).map_err(error);
        }
        Self::parse(text).map_err(|found| match found.why {
            PrefixFault::Scheme => error(PrefixFault::Kind),
            _ => found,
        })
    }

    fn covers(&self, source: &Source) -> bool {
        match (&self.0, source) {
            (Pattern::Oci(prefix), Source::Oci(reference)) => covers_reference(prefix, reference),
            (Pattern::Https(prefix), Source::Https(url)) => covers_url(prefix, url),
            (Pattern::Https(prefix), Source::Git(spec)) => spec.https().is_some_and(|url| covers_url(prefix, url)),
            // The alias is the file's own word for it, and proves nothing.
            (Pattern::NpmScope(scope), Source::Npm(spec)) => spec.name().scope() == Some(scope),
            (Pattern::Npm(name), Source::Npm(spec)) => name == spec.name(),
            (Pattern::WorkingFolder, Source::Local(_)) => true,
            (Pattern::Local(prefix), Source::Local(path)) => covers_folder(prefix.as_str(), path.as_str()),
            _ => false,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Oci(reference) => reference.fmt(f),
            Pattern::Https(url) => {
                let shown = url.to_string();
                f.write_str(shown.strip_suffix('/').unwrap_or(&shown))
            }
            Pattern::NpmScope(scope) => write!(f, "npm:{scope}"),
            Pattern::Npm(name) => write!(f, "npm:{name}"),
            Pattern::WorkingFolder => f.write_str("./"),
            Pattern::Local(path) => path.fmt(f),
        }
    }
}

fn parse_npm(name: &str) -> Result<Pattern, PrefixFault> {
    if matches!(name, "" | "@" | "/") {
        return Err(PrefixFault::MatchesEverything);
    }
    if name.contains('*') {
        return Err(PrefixFault::Wildcard);
    }
    match name.strip_prefix('@').map(|scope| scope.strip_suffix('/').unwrap_or(scope)) {
        Some(scope) if is_part(scope) => Ok(Pattern::NpmScope(format!("@{scope}"))),
        _ => NpmName::parse(name).map(Pattern::Npm).map_err(PrefixFault::Source),
    }
}

fn covers_url(prefix: &HttpsUrl, url: &HttpsUrl) -> bool {
    prefix.authority() == url.authority() && covers_path(prefix.path(), url.path())
}

fn covers_folder(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn covers_reference(prefix: &OciReference, reference: &OciReference) -> bool {
    if prefix.registry() != reference.registry() {
        return false;
    }
    if prefix.tag().is_none() && prefix.digest().is_none() {
        return prefix.repository().is_empty() || covers_path(prefix.repository(), reference.repository());
    }
    prefix.repository() == reference.repository()
        && (prefix.tag().is_none() || prefix.tag() == reference.tag())
        && (prefix.digest().is_none() || prefix.digest() == reference.digest())
}

/// Equal, or followed by a character that ends a name.
fn covers_path(prefix: &str, path: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
}

/// No entry of `allowedSources` matches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source `{subject}` matches no entry of `allowedSources`")]
pub struct NotAllowed {
    subject: String,
    near_miss: Option<Prefix>,
}

impl NotAllowed {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "source_not_allowed"
    }

    /// Whose move it is: the list is the operator's.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match &self.near_miss {
            Some(prefix) => {
                format!(
                    "`{prefix}` covers whole path segments, and this name only starts alike: correct the one that is \
                     misspelt; if the source is trusted, add it to `allowedSources`"
                )
            }
            None => "if the source is trusted, add it to `allowedSources`".to_owned(),
        }
    }
}

/// Why a text is no entry of `allowedSources`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{prefix}` cannot stand in `allowedSources`: {why}")]
pub struct PrefixError {
    prefix: String,
    why: PrefixFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrefixFault {
    MatchesEverything,
    Wildcard,
    Selector,
    Scheme,
    Kind,
    Source(Fault),
}

impl fmt::Display for PrefixFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MatchesEverything => f.write_str("it would match everything"),
            Self::Wildcard => f.write_str("wildcards are not supported"),
            Self::Selector => f.write_str("it holds a query or a plugin path"),
            Self::Scheme => f.write_str("it must start with `oci://` or `https://`"),
            Self::Kind => f.write_str("it must start with `oci://`, `https://`, `npm:` or `./`"),
            Self::Source(why) => why.fmt(f),
        }
    }
}

impl PrefixError {
    /// Whose move it is: the list is the operator's.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self.why {
            PrefixFault::Wildcard if let Some(scope) = self.scope() => {
                return Some(format!("write `{scope}`; it covers the scope"));
            }
            PrefixFault::MatchesEverything | PrefixFault::Wildcard if self.prefix.starts_with("npm:") => {
                "name a scope or a package"
            }
            PrefixFault::MatchesEverything => {
                "name a host at least; to allow every source on purpose, leave `allowedSources` out"
            }
            PrefixFault::Wildcard => "list each host, or a path that all of them share",
            PrefixFault::Selector => "end the entry at the host, a path segment, a tag or a digest",
            PrefixFault::Scheme | PrefixFault::Kind if self.prefix.starts_with("http://") => NO_PLAIN_HTTP,
            PrefixFault::Scheme | PrefixFault::Kind => {
                let name = self.prefix.strip_prefix("docker://").unwrap_or(&self.prefix);
                let package =
                    || Prefix::parse_rhdh(&format!("npm:{name}")).ok().filter(|_| self.why == PrefixFault::Kind);
                let meant = Prefix::parse(&format!("oci://{name}")).ok().or_else(package)?;
                return Some(format!("did you mean `{meant}`?"));
            }
            PrefixFault::Source(why) => why.hint()?,
        };
        Some(text.to_owned())
    }

    /// The npm scope whose packages were all meant.
    fn scope(&self) -> Option<Prefix> {
        let prefix = Prefix::parse_rhdh(self.prefix.strip_suffix("/*")?).ok()?;
        matches!(prefix.0, Pattern::NpmScope(_)).then_some(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(prefix: &str, source: &str) -> bool {
        SourcePolicy::of(vec![Prefix::parse(prefix).unwrap()]).admit(Source::parse(source).unwrap()).is_ok()
    }

    #[test]
    fn prefixes_match_whole_segments() {
        for (prefix, source, expected) in [
            ("oci://r.example.com", "oci://r.example.com/a/b:1", true),
            ("oci://r.example.com", "oci://r.example.com:5000/a/b:1", false),
            ("oci://r.example.com", "oci://r.example.com.evil.example/a:1", false),
            ("oci://r.example.com/a", "oci://r.example.com/a:1", true),
            ("oci://r.example.com/a/", "oci://r.example.com/a/b:1", true),
            ("oci://r.example.com/a", "oci://r.example.com/a-evil/b:1", false),
            ("oci://r.example.com/a", "https://r.example.com/a/b", false),
            ("oci://r.example.com/a:1.0", "oci://r.example.com/a:1.0", true),
            ("oci://r.example.com/a:1.0", "oci://r.example.com/a:1.0.1", false),
            ("oci://r.example.com/a:1.0", "oci://r.example.com/a/b:1.0", false),
            ("oci://r.example.com/a:1.0", "oci://r.example.com/a:1.0!x", true),
            ("https://h.example.com", "https://H.example.com:443/a.tgz", true),
            ("https://h.example.com/p", "https://h.example.com/p/a.tgz", true),
            ("https://h.example.com/p/", "https://h.example.com/p/a.tgz", true),
            ("https://h.example.com/p", "https://h.example.com/p.tgz", false),
            ("https://h.example.com/p", "https://h.example.com/p@1.tgz", true),
            ("https://h.example.com/p", "https://h.example.com/P/a.tgz", false),
            ("https://h.example.com:8443/p", "https://h.example.com/p/a.tgz", false),
        ] {
            assert_eq!(admits(prefix, source), expected, "{prefix} {source}");
        }
    }

    #[test]
    fn a_near_miss_is_named_in_the_hint() {
        let policy = SourcePolicy::of(vec![Prefix::parse("oci://ghcr.io/my-org/").unwrap()]);
        let error = policy.admit(Source::parse("oci://ghcr.io/my-org-evil/x:1").unwrap()).unwrap_err();
        assert!(error.hint().contains("`oci://ghcr.io/my-org`"), "{}", error.hint());
        let error = policy.admit(Source::parse("oci://ghcr.io/other/x:1").unwrap()).unwrap_err();
        assert!(error.hint().contains("add it"), "{}", error.hint());
    }

    #[test]
    fn entries_that_mean_everything_or_nothing_are_refused() {
        for text in [
            "",
            "oci://",
            "https:",
            "https://",
            "http://a.example.com",
            "a.example.com/x",
            "oci://*.example.com",
            "https://u:p@a.example.com",
            "oci://a.example.com/x\n",
            "oci://my-org/x",
            "https://a.example.com/x?y=1",
            "oci://a.example.com/x:1!p",
            "https://a.example.com/x/../y",
            "oci://a.example.com//",
            "oci://a.example.com/:8443",
            "oci://a.example.com/@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            let error = Prefix::parse(text).unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn an_entry_without_its_scheme_is_recognized() {
        for (text, hint) in [
            ("ghcr.io/my-org", Some("did you mean `oci://ghcr.io/my-org`?")),
            ("ghcr.io/my-org/", Some("did you mean `oci://ghcr.io/my-org`?")),
            ("ghcr.io", Some("did you mean `oci://ghcr.io`?")),
            ("docker://ghcr.io/my-org/x:1", Some("did you mean `oci://ghcr.io/my-org/x:1`?")),
            ("my-org/x", None),
            ("http://a.example.com", Some(NO_PLAIN_HTTP)),
            ("bob:s3cret@ghcr.io/my-org", None),
        ] {
            assert_eq!(Prefix::parse(text).unwrap_err().hint().as_deref(), hint, "{text}");
        }
    }

    fn admits_rhdh(prefix: &str, source: &str) -> bool {
        let policy = SourcePolicy::of(vec![Prefix::parse_rhdh(prefix).unwrap()]);
        policy.admit(Source::parse_rhdh(source).unwrap()).is_ok()
    }

    #[test]
    fn npm_git_and_local_sources_match_whole_names() {
        for (prefix, source, expected) in [
            ("npm:@s", "@s/n@1.0.0", true),
            ("npm:@s/", "@s/n", true),
            ("npm:@s", "@s-evil/n", false),
            ("npm:@s", "s", false),
            ("npm:@s/n", "@s/n@^1", true),
            ("npm:@s/n", "@s/n-evil@1", false),
            ("npm:n", "n@latest", true),
            ("npm:n", "n.evil", false),
            ("npm:n", "@s/n", false),
            ("npm:n", "@s/alias@npm:n@1", true),
            ("npm:alias", "alias@npm:n@1", false),
            ("npm:n", "oci://n.example.com/n:1", false),
            ("https://github.com/u", "github:u/r#v1", true),
            ("https://github.com/u", "u/r", true),
            ("https://github.com/u", "u-evil/r", false),
            ("https://github.com/u/r.git", "u/r", true),
            ("https://github.com/u/r", "u/r", false),
            ("https://github.com/u", "git@github.com:u/r.git", false),
            ("https://github.com/u", "git+ssh://git@github.com/u/r.git", false),
            ("https://github.com/u", "git://github.com/u/r.git", false),
            ("https://h.example.com/p", "https://h.example.com/p/a.tgz", true),
            ("oci://r.example.com/a", "oci://r.example.com/a:1", true),
            ("./", "./a/b.tgz", true),
            ("./a", "./a", true),
            ("./a/", "./a/b.tgz", true),
            ("./a", "./a-evil", false),
            ("./a", "./A", false),
            ("npm:a", "./a", false),
        ] {
            assert_eq!(admits_rhdh(prefix, source), expected, "{prefix} {source}");
        }
    }

    #[test]
    fn entries_of_the_rhdh_dialect_name_something() {
        for text in ["npm:@s", "npm:@s/n", "npm:n", "./", "./a/b", "oci://r.example.com/a", "https://h.example.com"] {
            let prefix = Prefix::parse_rhdh(text).unwrap();
            assert_eq!(prefix.to_string(), text);
            assert_eq!(Prefix::parse(text).is_ok(), text.contains("://"), "{text}");
        }
        for (text, why) in [
            ("npm:", PrefixFault::MatchesEverything),
            ("npm:@", PrefixFault::MatchesEverything),
            ("npm:*", PrefixFault::Wildcard),
            ("npm:@s/*", PrefixFault::Wildcard),
            ("npm:@s/n@1.0.0", PrefixFault::Source(Fault::NpmName)),
            ("npm:N", PrefixFault::Source(Fault::NpmName)),
            ("npm:@/n", PrefixFault::Source(Fault::NpmName)),
            ("./*", PrefixFault::Wildcard),
            ("./..", PrefixFault::Source(Fault::LocalPath)),
            ("../a", PrefixFault::Kind),
            ("/a", PrefixFault::Kind),
            ("", PrefixFault::MatchesEverything),
            ("oci://", PrefixFault::MatchesEverything),
            ("git+ssh://h.example.com/u", PrefixFault::Kind),
            ("@s/n", PrefixFault::Kind),
        ] {
            assert_eq!(Prefix::parse_rhdh(text).unwrap_err().why, why, "{text}");
        }
        let hint = |text| Prefix::parse_rhdh(text).unwrap_err().hint();
        assert_eq!(hint("@s/n").as_deref(), Some("did you mean `npm:@s/n`?"));
        assert_eq!(hint("ghcr.io/o").as_deref(), Some("did you mean `oci://ghcr.io/o`?"));
        for text in ["npm:", "npm:@", "npm:*", "npm:@*", "npm:@*/*", "npm:n-*", "npm:n/*", "npm:@s/n-*"] {
            assert_eq!(hint(text).as_deref(), Some("name a scope or a package"), "{text}");
        }
        assert_eq!(hint("npm:@s/*").as_deref(), Some("write `npm:@s`; it covers the scope"));
        let shown = |text| Prefix::parse_rhdh(text).unwrap_err().to_string();
        assert_eq!(shown("npm:@s/*"), "`npm:@s/*` cannot stand in `allowedSources`: wildcards are not supported");
        for text in ["npm:bob:s3cret@s/*", "npm:@bob:s3cret@s/*", "npm:s3cret@s/*", "npm://s3cret@s/*"] {
            let error = Prefix::parse_rhdh(text).unwrap_err();
            assert!(!format!("{error} {:?}", error.hint()).contains("s3cret"), "{error}");
        }
        assert!(hint("https://h.example.com/*").unwrap().contains("host"));
        assert!(hint("").unwrap().contains("host"));
    }

    #[test]
    fn a_near_miss_of_a_package_is_named_in_the_hint() {
        let policy = SourcePolicy::of(vec![Prefix::parse_rhdh("npm:@s/n").unwrap()]);
        let error = policy.admit(Source::parse_rhdh("@s/n-evil@1").unwrap()).unwrap_err();
        assert!(error.hint().contains("`npm:@s/n`"), "{}", error.hint());
        assert_eq!(error.to_string(), "source `@s/n-evil@1` matches no entry of `allowedSources`");
    }

    #[test]
    fn hops_are_judged_like_sources() {
        let policy = SourcePolicy::of(vec![Prefix::parse("https://a.example.com/p").unwrap()]);
        assert!(policy.admit_hop(HttpsUrl::parse("https://a.example.com/p/x?sig=1").unwrap()).is_ok());
        assert!(policy.admit_hop(HttpsUrl::parse("https://b.example.com/p/x").unwrap()).is_err());
        assert!(SourcePolicy::permissive().admit_hop(HttpsUrl::parse("https://b.example.com/x").unwrap()).is_ok());
    }
}
