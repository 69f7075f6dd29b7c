//! The `package` value of an entry.

use std::fmt;

use integrity::Blame;

use crate::{GitSpec, HttpsUrl, LocalPath, NpmSpec, OciReference, Unsupported, redact};

/// Longest `package` value taken, in bytes.
pub(crate) const PACKAGE_LIMIT: usize = 8 * 1024;
/// What to do where somebody wrote `http://`.
pub(crate) const NO_PLAIN_HTTP: &str =
    "plain http is not spoken: serve the tarball over `https://`, or push it to a registry and use `oci://`";

/// Where a plugin comes from. `Display` is fit for logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `oci://…`
    Oci(OciReference),
    /// `https://…`
    Https(HttpsUrl),
    /// A package of an npm registry; rhdh dialect only, like what follows.
    Npm(NpmSpec),
    /// A git repository.
    Git(GitSpec),
    /// A folder or file below the working folder.
    Local(LocalPath),
}

impl Source {
    /// Parses a `package` value of the butler dialect.
    ///
    /// # Errors
    /// [`SourceError::Scheme`] for anything that is neither `oci://` nor `https://`, [`SourceError::Invalid`] for
    /// what is not written canonically.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let invalid = |why| SourceError::Invalid { package: redact(text), why };
        if text.len() > PACKAGE_LIMIT {
            return Err(invalid(Fault::TooLong { limit: PACKAGE_LIMIT }));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('\\') {
            return Err(invalid(Fault::Characters));
        }
        if let Some(reference) = text.strip_prefix("oci://") {
            return OciReference::parse(reference).map(Self::Oci).map_err(invalid);
        }
        if text.starts_with("https://") {
            let url = HttpsUrl::parse(text).map_err(invalid)?;
            if url.path().ends_with('/') {
                return Err(invalid(Fault::NoFile));
            }
            return Ok(Self::Https(url));
        }
        if text.starts_with("oci:") || text.starts_with("https:") {
            return Err(invalid(Fault::Slashes));
        }
        Err(SourceError::Scheme { package: redact(text) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci(reference) => reference.fmt(f),
            Self::Https(url) => url.fmt(f),
            Self::Npm(spec) => spec.fmt(f),
            Self::Git(spec) => spec.fmt(f),
            Self::Local(path) => path.fmt(f),
        }
    }
}

/// Why a `package` value is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Neither `oci://` nor `https://`.
    #[error("package must start with `oci://` or `https://`, found `{package}`")]
    Scheme {
        /// The value, redacted.
        package: String,
    },
    /// Of no kind that the rhdh dialect installs.
    #[error("package `{package}` cannot be installed: {kind}")]
    Unsupported {
        /// The value, redacted.
        package: String,
        /// Why.
        kind: Unsupported,
    },
    /// Not written canonically.
    #[error("package `{package}` is invalid: {why}")]
    Invalid {
        /// The value, redacted.
        package: String,
        /// What is wrong with it.
        why: Fault,
    },
}

impl SourceError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Scheme { .. } | Self::Unsupported { .. } => "scheme_not_supported",
            Self::Invalid { .. } => "package_invalid",
        }
    }

    /// Whose move it is: the operator wrote the value.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Scheme { .. } | Self::Unsupported { .. } | Self::Invalid { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Scheme { package } if package.starts_with("http://") => Some(NO_PLAIN_HTTP.to_owned()),
            Self::Scheme { package } => {
                let lower = package.to_ascii_lowercase();
                if lower.starts_with("oci://") || lower.starts_with("https://") {
                    return Some("write the scheme in lower case".to_owned());
                }
                // What was redacted parses no more, so nothing secret is suggested.
                let reference = OciReference::parse(package.strip_prefix("docker://").unwrap_or(package));
                Some(reference.map_or_else(
                    |_| "publish the plugin to a registry and use its `oci://` reference".to_owned(),
                    |reference| format!("did you mean `{reference}`?"),
                ))
            }
            Self::Unsupported { package, kind } => kind.hint(package),
            Self::Invalid { why, .. } => why.hint().map(str::to_owned),
        }
    }
}

/// What is wrong with a source or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// White space, control, backslash or non-ASCII characters, or ones that a URL must encode.
    Characters,
    /// No `//` behind the scheme.
    Slashes,
    /// A user name or password before the host.
    Userinfo,
    /// A host that is no plain DNS name or IP address.
    Host,
    /// An empty, zero, padded or too large port.
    Port,
    /// An empty, `.` or `..` path segment.
    Path,
    /// A percent-encoding that is broken, needless, or hides a separator.
    Percent,
    /// A fragment.
    Fragment,
    /// A URL that names a folder.
    NoFile,
    /// A registry that is not written out.
    ShortName,
    /// A repository outside the OCI grammar.
    Repository,
    /// A tag outside the OCI grammar.
    Tag,
    /// A digest that is none.
    Digest,
    /// Neither tag nor digest.
    NoVersion,
    /// A plugin path that is not plain and relative.
    PluginPath,
    /// An npm package's name that no registry would publish.
    NpmName,
    /// What stands behind an npm package's name, and is no version, range or tag.
    NpmVersion,
    /// A repository's path that is not plain.
    GitPath,
    /// A branch, tag or commit that is not plain.
    GitReference,
    /// A path that is not plain and below the working folder.
    LocalPath,
    /// Longer than the limit.
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "it holds white space, control or other characters that a URL must encode",
            Self::Slashes => "`//` must follow the scheme",
            Self::Userinfo => "a user name or password stands before the host",
            Self::Host => "the host is not a plain DNS name or IP address",
            Self::Port => "the port is not a number from 1 to 65535",
            Self::Path => "a path segment is empty, `.` or `..`",
            Self::Percent => "a percent-encoding is broken, needless or hides a separator",
            Self::Fragment => "it has a fragment",
            Self::NoFile => "it names a folder, not a file",
            Self::ShortName => "the registry's host is not written out",
            Self::Repository => "the repository must be lower-case components with single `/` between them",
            Self::Tag => "the tag must be 1 to 128 letters, digits, `_`, `.` or `-`",
            Self::Digest => "the digest must be `sha256:` or `sha512:` and lower-case hex of full length",
            Self::NoVersion => "it has neither a tag nor a digest",
            Self::PluginPath => "the path behind `!` must be relative, without empty, `.` or `..` components",
            Self::NpmName => "the name must be `name` or `@scope/name` in lower case, as npm publishes it",
            Self::NpmVersion => "what follows the name must be a version, a range or a tag",
            Self::GitPath => "the repository's path must be plain components, none of which starts with `-`",
            Self::GitReference => "what follows `#` must be the plain name of a branch or tag, or a commit",
            Self::LocalPath => "the path behind `./` must have no empty, `.` or `..` components",
            Self::TooLong { limit } => return write!(f, "it is longer than {limit} bytes"),
        })
    }
}

impl Fault {
    /// What to do about it, where the message alone does not say.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Userinfo => Some(
                "registry credentials belong in the mounted `config.json`, those of https servers in a `netrc` file",
            ),
            Self::NoVersion => Some("add the version, as in `:1.2.3`; there is no implied `latest`"),
            Self::ShortName => Some("write the whole name, as in `oci://docker.io/my-org/my-plugin:1.2.3`"),
            Self::Characters => Some("look for a line break, a space or a character from another alphabet"),
            Self::Percent => Some("write the path as the server lists it, without encoding letters, dots or slashes"),
            Self::NpmVersion => Some("quote the whole value, and write it as in `@scope/name@^1.2.3`"),
            Self::Slashes
            | Self::Host
            | Self::Port
            | Self::Path
            | Self::Fragment
            | Self::NoFile
            | Self::Repository
            | Self::Tag
            | Self::Digest
            | Self::PluginPath
            | Self::NpmName
            | Self::GitPath
            | Self::GitReference
            | Self::LocalPath
            | Self::TooLong { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_schemes_are_told_apart_from_miswritten_ones() {
        for (text, reason) in [
            ("http://a.example.com/x.tgz", "scheme_not_supported"),
            ("file:///etc/passwd", "scheme_not_supported"),
            ("OCI://ghcr.io/a:1", "scheme_not_supported"),
            ("@acme/plug@1.0.0", "scheme_not_supported"),
            ("./local", "scheme_not_supported"),
            ("https:/a.example.com/x.tgz", "package_invalid"),
            ("oci:ghcr.io/a:1", "package_invalid"),
            (" oci://ghcr.io/a:1", "package_invalid"),
            ("https://a.example.com/", "package_invalid"),
        ] {
            assert_eq!(Source::parse(text).unwrap_err().reason(), reason, "{text}");
        }
    }

    #[test]
    fn a_reference_without_its_scheme_is_recognized() {
        let pinned = format!("ghcr.io/org/x@sha256:{}", "0a".repeat(32));
        for (text, hint) in [
            ("ghcr.io/org/x:1", "did you mean `oci://ghcr.io/org/x:1`?"),
            ("docker://ghcr.io/org/x:1!plugins/a", "did you mean `oci://ghcr.io/org/x:1!plugins/a`?"),
            (&pinned, &format!("did you mean `oci://{pinned}`?")),
            ("OCI://ghcr.io/org/x:1", "write the scheme in lower case"),
            ("org/x:1", "publish the plugin to a registry and use its `oci://` reference"),
            ("ghcr.io/org/x", "publish the plugin to a registry and use its `oci://` reference"),
            ("bob:s3cret@ghcr.io/org/x:1", "publish the plugin to a registry and use its `oci://` reference"),
            ("docker://bob:s3cret@ghcr.io/org/x:1", "publish the plugin to a registry and use its `oci://` reference"),
            ("@acme/plug@1.0.0", "publish the plugin to a registry and use its `oci://` reference"),
            ("npm:left-pad", "publish the plugin to a registry and use its `oci://` reference"),
        ] {
            assert_eq!(Source::parse(text).unwrap_err().hint().as_deref(), Some(hint), "{text}");
        }
    }

    #[test]
    fn an_error_never_shows_a_password() {
        let error = Source::parse("https://bob:s3cret@a.example.com/x.tgz").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert!(error.hint().unwrap().contains("netrc"));
    }

    proptest! {
        #[test]
        fn what_parses_shows_as_something_that_parses_to_the_same(text in "(oci://|https://)[a-zA-Z0-9.:/@!%_-]{0,60}") {
            if let Ok(source) = Source::parse(&text) {
                prop_assert_eq!(Source::parse(&source.to_string()), Ok(source));
            }
        }

        #[test]
        fn parse_never_panics(text in "\\PC{0,80}") {
            let _ = Source::parse(&text);
        }
    }
}
