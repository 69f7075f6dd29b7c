//! The `package` values of the rhdh dialect: what npm takes, besides registries' artifacts and https tarballs.

use std::fmt;

use crate::git::GitSpec;
use crate::local::LocalPath;
use crate::npm::NpmSpec;
use crate::source::PACKAGE_LIMIT;
use crate::{Fault, OciReference, Source, SourceError, redact};

/// Endings by which npm knows a file.
const TARBALL_ENDINGS: [&str; 3] = [".tgz", ".tar.gz", ".tar"];

/// Why a `package` value is of no kind that the rhdh dialect installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// `http://` and `git+http://`.
    PlainHttp,
    /// A path that is not written from the working folder on.
    Path,
    /// `npm:` with nothing before it.
    NpmPrefix,
    /// Anything else.
    Scheme,
}

impl Source {
    /// Parses a `package` value of the rhdh dialect, in which placeholders (`ref://…`, `{{inherit}}`) are resolved.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] for what is of no kind that is installed, [`SourceError::Invalid`] for what is
    /// not written canonically.
    pub fn parse_rhdh(text: &str) -> Result<Self, SourceError> {
        let invalid = |why| SourceError::Invalid { package: redact(text), why };
        let unsupported = |kind| SourceError::Unsupported { package: redact(text), kind };
        if text.len() > PACKAGE_LIMIT {
            return Err(invalid(Fault::TooLong { limit: PACKAGE_LIMIT }));
        }
        // Ranges hold blanks; whatever else may not have them finds them itself.
        if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') || text.contains('\\') {
            return Err(invalid(Fault::Characters));
        }
        if text.starts_with("./") {
            return LocalPath::parse(text).map(Self::Local).map_err(invalid);
        }
        if text.starts_with(['/', '~']) || text.starts_with("../") || text.starts_with("file:") {
            return Err(unsupported(Unsupported::Path));
        }
        if text.starts_with("http://") || text.starts_with("git+http://") {
            return Err(unsupported(Unsupported::PlainHttp));
        }
        if let Some(git) = GitSpec::recognize(text).filter(|_| !is_bare_file(text)) {
            return git.map(Self::Git).map_err(invalid);
        }
        if text.starts_with("oci:") || text.starts_with("https:") {
            return Self::parse(text);
        }
        if is_bare_file(text) {
            return Err(unsupported(Unsupported::Path));
        }
        if text.starts_with("npm:") {
            return Err(unsupported(Unsupported::NpmPrefix));
        }
        let is_scoped = text.starts_with('@');
        if !text.contains("@npm:") && (text.contains(':') || (!is_scoped && text.contains('/'))) {
            return Err(unsupported(Unsupported::Scheme));
        }
        NpmSpec::parse(text).map(Self::Npm).map_err(invalid)
    }

    /// What to write if a path was meant, which without its `./` is the name of a package or of a repository.
    pub fn path_hint(&self) -> Option<String> {
        match self {
            Self::Npm(_) | Self::Git(_) => path_hint(&self.to_string()),
            Self::Oci(_) | Self::Https(_) | Self::Local(_) => None,
        }
    }
}

/// What to write if a text is a path that lacks its `./`. One with a scheme, scope, version or host is none.
fn path_hint(text: &str) -> Option<String> {
    let is_remote = text.contains([':', '@', '#']) || text.split_once('/').is_some_and(|(host, _)| host.contains('.'));
    let path = LocalPath::parse(&format!("./{text}")).ok().filter(|_| !is_remote)?;
    Some(format!("for a folder or tarball beside the list write `{path}`"))
}

/// Whether npm would look for a file of that name.
fn is_bare_file(text: &str) -> bool {
    !text.contains(':') && TARBALL_ENDINGS.iter().any(|ending| text.ends_with(ending))
}

impl Unsupported {
    /// What to write instead of `package`, which is redacted.
    pub(crate) fn hint(self, package: &str) -> Option<String> {
        match self {
            Self::PlainHttp => Some("serve it over `https://`, or push it to a registry and use `oci://`".to_owned()),
            Self::Path => Some("write a path from the working folder on, as in `./plugins/my-plugin`".to_owned()),
            Self::NpmPrefix => Some("leave `npm:` out, or write an alias before it, as in `alias@npm:name`".to_owned()),
            // What was redacted parses no more, so nothing secret is suggested.
            Self::Scheme => OciReference::parse(package.strip_prefix("docker://").unwrap_or(package))
                .ok()
                .map(|reference| format!("did you mean `{reference}`?"))
                .or_else(|| path_hint(package)),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainHttp => "it is served over plain `http://`",
            Self::Path => "it is a path that does not start with `./`",
            Self::NpmPrefix => "`npm:` stands only behind an alias",
            Self::Scheme => "it is no `oci://` reference, no `https://` URL and no spec of npm",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA256: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

    /// Its kind, and what identifies the plugin.
    fn kind_and_key(text: &str) -> (&'static str, String) {
        match Source::parse_rhdh(text).unwrap() {
            Source::Oci(reference) => ("oci", reference.image()),
            Source::Https(url) => ("https", url.with_query()),
            Source::Npm(spec) => ("npm", spec.key()),
            Source::Git(spec) => ("git", spec.key()),
            Source::Local(path) => ("local", path.key()),
        }
    }

    #[test]
    fn what_npm_takes_has_the_key_of_the_original() {
        for (text, kind, key) in [
            // Packages.
            ("@npmcli/arborist@latest", "npm", "@npmcli/arborist"),
            ("@backstage/plugin-catalog@1.0.0", "npm", "@backstage/plugin-catalog"),
            ("@backstage/plugin-catalog@^1.2.0", "npm", "@backstage/plugin-catalog"),
            ("@backstage/plugin-catalog@~1.2.0", "npm", "@backstage/plugin-catalog"),
            ("@backstage/plugin-catalog@1.x", "npm", "@backstage/plugin-catalog"),
            ("@backstage/plugin-catalog", "npm", "@backstage/plugin-catalog"),
            ("semver@next", "npm", "semver"),
            ("semver@7.2.2", "npm", "semver"),
            ("semver@^7.2.2", "npm", "semver"),
            ("semver@~7.2", "npm", "semver"),
            ("semver@7.x", "npm", "semver"),
            ("semver", "npm", "semver"),
            ("semver@>=7.0.0 <8", "npm", "semver"),
            // Aliases.
            ("semver:@npm:semver@7.2.2", "npm", "semver:@npm:semver"),
            ("my-alias@npm:@s/n@1.0.0", "npm", "my-alias@npm:@s/n"),
            ("my-alias@npm:@s/n", "npm", "my-alias@npm:@s/n"),
            ("@my/alias@npm:n@^1", "npm", "@my/alias@npm:n"),
            ("my-alias@npm:n", "npm", "my-alias@npm:n"),
            // Repositories.
            ("git+https://git.example.com/u/r.git#v1.0", "git", "git+https://git.example.com/u/r.git"),
            ("git+ssh://git@git.example.com/u/r.git#main", "git", "git+ssh://git@git.example.com/u/r.git"),
            ("git://git.example.com/u/r#main", "git", "git://git.example.com/u/r"),
            ("https://github.com/u/r.git#v1", "git", "https://github.com/u/r.git"),
            ("https://github.com/u/r", "git", "https://github.com/u/r"),
            ("git@github.com:u/r.git#main", "git", "git@github.com:u/r.git"),
            ("github:u/r#0a1b2c3", "git", "github:u/r"),
            ("u/r#feature", "git", "u/r"),
            ("u/r", "git", "u/r"),
            // Local.
            ("./dynamic-plugins/dist/my-plugin", "local", "./dynamic-plugins/dist/my-plugin"),
            ("./my-plugin", "local", "./my-plugin"),
            // Tarballs.
            ("https://h.example.com/my-plugin-1.0.0.tgz", "https", "https://h.example.com/my-plugin-1.0.0.tgz"),
            (
                "https://github.com/u/r/releases/download/v1/x.tgz",
                "https",
                "https://github.com/u/r/releases/download/v1/x.tgz",
            ),
            ("./my-plugin-1.0.0.tgz", "local", "./my-plugin-1.0.0.tgz"),
        ] {
            assert_eq!(kind_and_key(text), (kind, key.to_owned()), "{text}");
            assert_eq!(Source::parse_rhdh(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn references_of_the_original_are_accepted() {
        let sha512 = format!("sha512:{}", "0a".repeat(64));
        for (text, image, name) in [
            ("oci://quay.io/user/plugin:v1.0!plugin", "oci://quay.io/user/plugin", "plugin"),
            (&format!("oci://quay.io/user/plugin@{SHA256}!plugin"), "oci://quay.io/user/plugin", "plugin"),
            (&format!("oci://quay.io/user/plugin@{sha512}!plugin"), "oci://quay.io/user/plugin", "plugin"),
            ("oci://quay.io/user/plugin:v1.0", "oci://quay.io/user/plugin", "plugin"),
            (&format!("oci://quay.io/user/plugin@{SHA256}"), "oci://quay.io/user/plugin", "plugin"),
            ("oci://quay.io/org/group/plugin:v1!a/b!c", "oci://quay.io/org/group/plugin", "plugin"),
            ("oci://registry.example.com:5000/plugin:v1!p", "oci://registry.example.com:5000/plugin", "plugin"),
            ("oci://localhost:5000/a/b:v1!p", "oci://localhost:5000/a/b", "b"),
            ("oci://10.0.0.1:5000/a/b:v1!p", "oci://10.0.0.1:5000/a/b", "b"),
            (&format!("oci://10.0.0.1:5000/a/b@{SHA256}!p"), "oci://10.0.0.1:5000/a/b", "b"),
            // The original refuses both together; the digest decides.
            (&format!("oci://quay.io/user/plugin:v1@{SHA256}!p"), "oci://quay.io/user/plugin", "plugin"),
        ] {
            let Ok(Source::Oci(reference)) = Source::parse_rhdh(text) else { panic!("{text}") };
            assert_eq!((reference.image().as_str(), reference.image_name()), (image, name), "{text}");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn references_outside_the_grammar_are_refused() {
        for (text, fault) in [
            ("oci://H", Fault::NoVersion),
            ("oci://H!p", Fault::NoVersion),
            ("oci://H:v1!p", Fault::Port),
            ("oci://H/plugin", Fault::NoVersion),
            ("oci://H/plugin!p", Fault::NoVersion),
            ("oci://H/plugin:!p", Fault::Tag),
            ("oci://H/plugin:", Fault::Tag),
            ("oci://H/plugin:v1!", Fault::PluginPath),
            ("oci://H/plugin:v1!..", Fault::PluginPath),
            ("oci://H/plugin:v1:v2!p", Fault::Tag),
            ("oci://H/plugin@@sha256:0a!p", Fault::Digest),
            ("oci://H/plugin@md5:d41d8cd98f00b204e9800998ecf8427e!p", Fault::Digest),
            ("oci://H/plugin@!p", Fault::Digest),
            ("oci://H/plugin@sha256:!p", Fault::Digest),
            ("oci://H/:v1!p", Fault::Repository),
            ("oci://H/plugin:v 1!p", Fault::Characters),
            // These the original takes: a short digest, one that nobody here computes, upper case.
            ("oci://H/plugin@sha256:abc123!p", Fault::Digest),
            (&format!("oci://H/plugin@blake3:{}!p", "0a".repeat(32)), Fault::Digest),
            ("oci://H/Plugin:v1!p", Fault::Repository),
            // Placeholders are resolved before.
            ("oci://H/plugin:{{inherit}}", Fault::Tag),
            ("oci://H/plugin:{{inherit}}!p", Fault::Tag),
        ] {
            for host in ["registry.example.com", "registry.example.com:5000", "10.0.0.1:5000"] {
                let text = text.replace('H', host);
                let error = Source::parse_rhdh(&text).unwrap_err();
                assert_eq!(error, SourceError::Invalid { package: redact(&text), why: fault }, "{text}");
                assert_eq!((error.reason(), error.blame()), ("package_invalid", integrity::Blame::Operator));
            }
        }
        let short = Source::parse_rhdh("oci://my-org/plugin:v1!p").unwrap_err();
        assert!(short.hint().unwrap().contains("docker.io"), "{short}");
    }

    #[test]
    fn what_is_of_no_kind_is_refused_with_what_to_write() {
        for (text, kind, hint) in [
            ("http://h.example.com/x.tgz", Unsupported::PlainHttp, Some("https://")),
            ("git+http://h.example.com/u/r.git", Unsupported::PlainHttp, Some("https://")),
            ("file:./x.tgz", Unsupported::Path, Some("`./")),
            ("/opt/plugins/x.tgz", Unsupported::Path, Some("`./")),
            ("/opt/plugins/x", Unsupported::Path, Some("`./")),
            ("../x", Unsupported::Path, Some("`./")),
            ("~/x", Unsupported::Path, Some("`./")),
            ("x.tgz", Unsupported::Path, Some("`./")),
            ("plugins/x-1.0.0.tgz", Unsupported::Path, Some("`./")),
            ("x@y.tgz", Unsupported::Path, Some("`./")),
            ("npm:n", Unsupported::NpmPrefix, Some("leave `npm:` out")),
            ("ref://my-plugin", Unsupported::Scheme, None),
            ("ftp://h.example.com/x", Unsupported::Scheme, None),
            ("gitlab:u/r", Unsupported::Scheme, None),
            (
                "dynamic-plugins/dist/foo",
                Unsupported::Scheme,
                Some("for a folder or tarball beside the list write `./dynamic-plugins/dist/foo`"),
            ),
            ("a/b/../c", Unsupported::Scheme, None),
            ("quay.io/o/x", Unsupported::Scheme, None),
            ("docker://quay.io/o/x:1", Unsupported::Scheme, Some("`oci://quay.io/o/x:1`")),
            ("quay.io/o/x:1!p", Unsupported::Scheme, Some("`oci://quay.io/o/x:1!p`")),
        ] {
            let error = Source::parse_rhdh(text).unwrap_err();
            assert_eq!(error, SourceError::Unsupported { package: text.to_owned(), kind }, "{text}");
            assert_eq!(error.reason(), "scheme_not_supported");
            let found = error.hint();
            assert_eq!(found.is_some(), hint.is_some(), "{text}: {found:?}");
            assert!(hint.is_none_or(|hint| found.unwrap().contains(hint)), "{text}");
        }
    }

    #[test]
    fn a_bare_name_may_be_a_path_that_lacks_its_beginning() {
        for (text, path) in [
            ("loc", Some("`./loc`")),
            ("plugins/foo", Some("`./plugins/foo`")),
            ("loc@1", None),
            ("@s/loc", None),
            ("a@npm:loc", None),
            ("plugins/foo#main", None),
            ("github:plugins/foo", None),
            ("https://github.com/plugins/foo", None),
            ("https://h.example.com/x.tgz", None),
            ("oci://quay.io/o/x:1", None),
            ("./loc", None),
        ] {
            let expected = path.map(|path| format!("for a folder or tarball beside the list write {path}"));
            assert_eq!(Source::parse_rhdh(text).unwrap().path_hint(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_of_a_kind_and_written_wrong_is_told_apart() {
        for (text, fault) in [
            ("", Fault::NpmName),
            (" semver", Fault::NpmName),
            ("@s", Fault::NpmName),
            ("My-Plugin@1", Fault::NpmName),
            ("@s/n@", Fault::NpmVersion),
            ("a@npm:", Fault::NpmName),
            ("A@npm:n", Fault::NpmName),
            ("n\\u", Fault::Characters),
            ("n\n", Fault::Characters),
            ("./../x", Fault::LocalPath),
            ("https:/h.example.com/x.tgz", Fault::Slashes),
            ("https://h.example.com/x.tgz#v1", Fault::Fragment),
            ("https://bob:s3cret@h.example.com/x.tgz", Fault::Userinfo),
            ("git+https://bob:s3cret@h.example.com/u/r.git", Fault::Userinfo),
            ("u/r#-x", Fault::GitReference),
        ] {
            let error = Source::parse_rhdh(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
            assert_eq!(error, SourceError::Invalid { package: redact(text), why: fault }, "{text:?}");
        }
        let long = "a".repeat(PACKAGE_LIMIT + 1);
        assert!(Source::parse_rhdh(&long).unwrap_err().to_string().ends_with("longer than 8192 bytes"));
    }

    proptest! {
        #[test]
        fn what_parses_shows_as_something_that_parses_to_the_same(
            text in "(|\\./|oci://h.io/|https://|git@|github:|git\\+ssh://)[a-z0-9./@#:~^ -]{0,30}"
        ) {
            if let Ok(source) = Source::parse_rhdh(&text) {
                prop_assert_eq!(Source::parse_rhdh(&source.to_string()), Ok(source));
            }
        }

        #[test]
        fn parse_never_panics(text in "\\PC{0,80}") {
            let _ = Source::parse_rhdh(&text);
            let _ = crate::Prefix::parse_rhdh(&text);
        }
    }
}
