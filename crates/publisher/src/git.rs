//! What git says about a folder's sources.

use std::path::Path;
use std::process::{Command, Stdio};

use source::HttpsUrl;

/// A checkout's origin and revision, as far as there are any.
#[derive(Debug, Default)]
pub(crate) struct Checkout {
    /// The address of the repository, fit for a browser.
    pub(crate) source: Option<String>,
    /// The commit that is checked out. Whether files differ from it is not asked: a repository's own configuration can
    /// name programs that git would run for the answer.
    pub(crate) revision: Option<String>,
}

impl Checkout {
    /// Asks the `git` on PATH; without one there is nothing to say.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            source: ask(folder, &["config", "--get", "remote.origin.url"]).and_then(|url| browsable(&url)),
            revision: ask(folder, &["rev-parse", "--verify", "HEAD"]),
        }
    }
}

fn ask(folder: &Path, what: &[&str]) -> Option<String> {
    let output = Command::new("git")
        // A plugin's folder that looks like a bare repository is none.
        .args(["-c", "safe.bareRepository=explicit", "-C"])
        .arg(folder)
        .args(what)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

/// A repository's address as npm's `repository`, git or a person writes it, as an https URL without userinfo and query,
/// which may hold a password. `None` for what leads nowhere, such as a path, and for what is not surely understood.
pub(crate) fn browsable(address: &str) -> Option<String> {
    let address = address.trim().trim_start_matches("git+");
    let address = address.split(['?', '#']).next()?;
    let (host, path) = if let Some(path) = address.strip_prefix("github:") {
        ("github.com", path)
    } else if let Some((scheme, rest)) = address.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        match scheme {
            "https" => (host, path),
            // The port is the one of another protocol.
            "ssh" | "git" => (host.split(':').next()?, path),
            _ => return None,
        }
    } else {
        // scp's way to write ssh: git@github.com:acme/hello.git
        let (host, path) = address.split_once(':')?;
        let host = host.strip_prefix("git@").unwrap_or(host);
        (Some(host).filter(|host| host.contains('.'))?, path)
    };
    let path = path.trim_end_matches('/');
    let url = format!("https://{host}/{}", path.strip_suffix(".git").unwrap_or(path));
    let is_plain = !url.contains(['@', ';']);
    HttpsUrl::parse(&url).ok().filter(|_| is_plain && !path.is_empty()).map(|url| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_repositories_lead_to_a_page_and_hold_no_secret() {
        for (address, expected) in [
            ("https://github.com/acme/hello.git", Some("https://github.com/acme/hello")),
            ("git+https://github.com/acme/hello.git", Some("https://github.com/acme/hello")),
            ("git+ssh://git@github.com/acme/hello.git", Some("https://github.com/acme/hello")),
            ("ssh://git@gitlab.example.com:2222/acme/hello.git", Some("https://gitlab.example.com/acme/hello")),
            ("git@github.com:acme/hello.git", Some("https://github.com/acme/hello")),
            ("https://user:s3cret@git.example.com:8443/acme/hello", Some("https://git.example.com:8443/acme/hello")),
            ("https://git.example.com/acme/hello.git?token=s3cret", Some("https://git.example.com/acme/hello")),
            ("github:acme/hello", Some("https://github.com/acme/hello")),
            ("/srv/git/hello.git", None),
            ("../hello", None),
            ("file:///srv/git/hello.git", None),
            ("C:/hello", None),
            ("", None),
            ("https://tok/en@git.example.com/acme", None),
            ("first.last:tok@git.example.com:acme/b", None),
            ("https://git.example.com/acme/b;access_token=s3cret", None),
            ("ssh://git@[::1]:22/acme/b", None),
            ("http://git.example.com:8080/acme", None),
            ("https://git.example.com/", None),
            ("https://git.example.com/\u{1b}[2J", None),
        ] {
            assert_eq!(browsable(address).as_deref(), expected, "{address}");
        }
    }
}
