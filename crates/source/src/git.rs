//! Plugins of git repositories, in the forms that npm reads.

use std::fmt;

use crate::{Authority, Fault, HttpsUrl};

/// Longest branch, tag or commit.
const REFERENCE_LIMIT: usize = 255;
/// The one host whose repositories have a short form, and need not end in `.git`.
const GITHUB: &str = "github.com";

/// A git repository, and which of its commits is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitSpec {
    written: String,
    remote: Remote,
    reference: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Remote {
    Https(HttpsUrl),
    /// `ssh://` or `git://`.
    Other(String),
}

impl GitSpec {
    /// Takes a text that means a repository, and finds it right or wrong; `None` is anything else.
    pub(crate) fn recognize(text: &str) -> Option<Result<Self, Fault>> {
        let (written, reference) = match text.split_once('#') {
            Some((written, reference)) => (written, Some(reference)),
            None => (text, None),
        };
        let remote = Remote::recognize(written)?;
        Some(remote.and_then(|remote| {
            let reference = reference.map(parse_reference).transpose()?;
            Ok(Self { written: written.to_owned(), remote, reference })
        }))
    }

    /// The repository's URL as `git` takes it; it holds no password.
    pub fn url(&self) -> String {
        match &self.remote {
            Remote::Https(url) => url.to_string(),
            Remote::Other(url) => url.clone(),
        }
    }

    /// The repository's URL where it is asked for over https.
    pub const fn https(&self) -> Option<&HttpsUrl> {
        match &self.remote {
            Remote::Https(url) => Some(url),
            Remote::Other(_) => None,
        }
    }

    /// The branch, tag or commit; the repository's own choice where none was written.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// What identifies the plugin whatever its commit: the text before `#`.
    pub fn key(&self) -> String {
        self.written.clone()
    }
}

impl Remote {
    fn recognize(text: &str) -> Option<Result<Self, Fault>> {
        if let Some(rest) = text.strip_prefix("git+https://") {
            return Some(https(&format!("https://{rest}")));
        }
        if text.starts_with("https://") {
            return HttpsUrl::parse(text).ok().filter(names_a_repository).map(|_| https(text));
        }
        if let Some(rest) = text.strip_prefix("git+ssh://").or_else(|| text.strip_prefix("ssh://")) {
            return Some(other("ssh://", rest));
        }
        if let Some(rest) = text.strip_prefix("git://") {
            return Some(other("git://", rest));
        }
        // The form of scp(1). A package, or an alias of one, may be called `git`, too.
        let scp = text.strip_prefix("git@").and_then(|rest| rest.split_once(':'));
        if let Some((host, path)) = scp.filter(|(host, _)| *host != "npm") {
            return Some(other("ssh://", &format!("git@{host}/{path}")));
        }
        let short = text.strip_prefix("github:");
        let (user, repository) = short.unwrap_or(text).split_once('/')?;
        let is_user = !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if short.is_none() && (!is_user || repository.contains(['/', ':', '@'])) {
            return None;
        }
        let repository = repository.strip_suffix(".git").unwrap_or(repository);
        let is_plain = is_user && is_component(user) && is_component(repository);
        Some(if is_plain { https(&format!("https://{GITHUB}/{user}/{repository}.git")) } else { Err(Fault::GitPath) })
    }
}

impl fmt::Display for GitSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)?;
        self.reference.as_ref().map_or(Ok(()), |reference| write!(f, "#{reference}"))
    }
}

/// Whether an https URL is that of a repository, and not of a tarball.
fn names_a_repository(url: &HttpsUrl) -> bool {
    let file = url.path().rsplit('/').next().unwrap_or_default();
    let is_repository_of_github = url.authority().host() == GITHUB && url.path().split('/').count() == 3;
    match file.rsplit_once('.') {
        Some((_, "git")) => true,
        Some((_, "tgz")) => false,
        _ => is_repository_of_github && !file.is_empty(),
    }
}

fn https(url: &str) -> Result<Remote, Fault> {
    let url = HttpsUrl::parse(url)?;
    check_path(url.path())?;
    // A query has no place in a repository's URL, and would be left out where the URL is shown.
    if url.with_query().contains('?') { Err(Fault::GitPath) } else { Ok(Remote::Https(url)) }
}

/// Checks `[user@]host[:port]/path`.
fn other(scheme: &str, rest: &str) -> Result<Remote, Fault> {
    let (authority, _) = rest.split_once('/').ok_or(Fault::GitPath)?;
    let host = match authority.split_once('@') {
        // A colon here would begin a password.
        Some((user, host)) if is_component(user) && scheme == "ssh://" => host,
        Some(_) => return Err(Fault::Userinfo),
        None => authority,
    };
    Authority::parse(host)?;
    check_path(&rest[authority.len()..])?;
    Ok(Remote::Other(format!("{scheme}{rest}")))
}

/// Accepts `/` and plain components. `git` would take one that begins with `-` for an option.
fn check_path(path: &str) -> Result<(), Fault> {
    let mut components = path.strip_prefix('/').unwrap_or_default().split('/');
    if components.all(is_component) { Ok(()) } else { Err(Fault::GitPath) }
}

fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    !matches!(text, "" | "." | "..") && !text.starts_with('-') && text.bytes().all(plain)
}

/// Accepts what `git check-ref-format` would, and less.
fn parse_reference(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/@+".contains(&b);
    let component = |text: &str| !text.is_empty() && !text.starts_with(['.', '-']) && !text.ends_with('.');
    let is_plain = text.bytes().all(plain) && text.split('/').all(component) && !text.contains("..");
    if is_plain && text.len() <= REFERENCE_LIMIT { Ok(text.to_owned()) } else { Err(Fault::GitReference) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_leads_to_one_url() {
        for (text, url) in [
            ("git+https://h.example.com/u/r.git#v1", "https://h.example.com/u/r.git"),
            ("https://github.com/u/r", "https://github.com/u/r"),
            ("https://h.example.com/a/b/c.git", "https://h.example.com/a/b/c.git"),
            ("git+ssh://git@h.example.com:2222/u/r.git#v1", "ssh://git@h.example.com:2222/u/r.git"),
            ("ssh://ssh.github.com:443/u/r.git", "ssh://ssh.github.com:443/u/r.git"),
            ("git://h.example.com/u/r.git", "git://h.example.com/u/r.git"),
            ("git@github.com:u/r.git", "ssh://git@github.com/u/r.git"),
            ("github:u/r#feature/x", "https://github.com/u/r.git"),
            ("u/r.git", "https://github.com/u/r.git"),
            ("u/r.js#0a1b2c3", "https://github.com/u/r.js.git"),
        ] {
            let spec = GitSpec::recognize(text).unwrap().unwrap();
            assert_eq!(spec.url(), url, "{text}");
            assert_eq!(spec.https().is_some(), url.starts_with("https://"), "{text}");
            assert_eq!(spec.reference(), text.split_once('#').map(|(_, reference)| reference), "{text}");
            assert_eq!((spec.key().as_str(), spec.to_string().as_str()), (text.split('#').next().unwrap(), text));
        }
    }

    #[test]
    fn what_git_could_take_for_an_option_or_a_password_is_refused() {
        for (text, fault) in [
            ("git+ssh://-oProxyCommand=x/u/r", Fault::Host),
            ("git+ssh://-x@h.example.com/u/r", Fault::Userinfo),
            ("git+ssh://bob:s3cret@h.example.com/u/r", Fault::Userinfo),
            ("git+https://bob@h.example.com/u/r", Fault::Userinfo),
            ("git://bob@h.example.com/u/r", Fault::Userinfo),
            ("git+https://h.example.com/-x/r.git", Fault::GitPath),
            ("git+https://h.example.com/u/r.git?token=s3cret", Fault::GitPath),
            ("git+https://h.example.com", Fault::GitPath),
            ("git+ssh://h.example.com/u/%2e%2e/r", Fault::GitPath),
            ("git+ssh://h.example.com", Fault::GitPath),
            ("git@h.example.com:u/$(x)", Fault::GitPath),
            ("github:-u/r", Fault::GitPath),
            ("-u/r", Fault::GitPath),
            ("u/..", Fault::GitPath),
            ("u/r#", Fault::GitReference),
            ("u/r#--upload-pack=x", Fault::GitReference),
            ("u/r#a/-b", Fault::GitReference),
            ("u/r#a..b", Fault::GitReference),
            ("u/r#semver:^1", Fault::GitReference),
            ("u/r#a~1", Fault::GitReference),
        ] {
            assert_eq!(GitSpec::recognize(text), Some(Err(fault)), "{text}");
        }
    }

    #[test]
    fn other_kinds_are_left_alone() {
        for text in [
            "a",
            "a@1",
            "@s/n@1",
            "a@npm:@s/n",
            "git@1.0.0",
            "git@npm:n@1",
            "https://h.example.com/x.tgz",
            "a/b/c",
            "a.b/c",
            "",
        ] {
            assert_eq!(GitSpec::recognize(text), None, "{text}");
        }
        assert_eq!(GitSpec::recognize("https://github.com/u/r/releases/download/v1/x.tgz"), None);
        assert_eq!(GitSpec::recognize("https://h.example.com/x.tgz?a=b.git"), None);
    }
}
