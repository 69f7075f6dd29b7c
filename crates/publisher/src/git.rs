//! What git says about a folder's sources.

use std::path::Path;
use std::process::{Command, Stdio};

/// A checkout's origin and revision, as far as there are any.
#[derive(Debug, Default)]
pub(crate) struct Checkout {
    /// The address of the repository, fit for a browser.
    pub(crate) source: Option<String>,
    /// The commit, with `-dirty` when tracked files differ from it.
    pub(crate) revision: Option<String>,
}

impl Checkout {
    /// Asks the `git` on PATH; without one there is nothing to say.
    pub(crate) fn of(folder: &Path) -> Self {
        let source = ask(folder, &["remote", "get-url", "origin"]).and_then(|url| browsable(&url));
        let dirty =
            ask(folder, &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let suffix = if dirty { "-dirty" } else { "" };
        let revision = ask(folder, &["rev-parse", "--verify", "HEAD"]).map(|commit| format!("{commit}{suffix}"));
        Self { source, revision }
    }
}

fn ask(folder: &Path, what: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(what)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

/// A repository's address as npm's `repository` or git writes it, as an https URL; without userinfo, which may be a
/// password. `None` for what leads nowhere, such as a path.
pub(crate) fn browsable(address: &str) -> Option<String> {
    let address = address.trim().trim_start_matches("git+");
    let shorthand = |host: &str, path: &str| format!("https://{host}/{path}");
    let url = if let Some(path) = address.strip_prefix("github:") {
        shorthand("github.com", path)
    } else if let Some((scheme, rest)) = address.split_once("://") {
        if !matches!(scheme, "https" | "http" | "ssh" | "git") {
            return None;
        }
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = if scheme == "https" { host } else { host.split(':').next()? };
        shorthand(host, path)
    } else if let Some((host, path)) = address.split_once(':') {
        // scp's way to write ssh: git@github.com:acme/hello.git
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if !host.contains('.') {
            return None;
        }
        shorthand(host, path)
    } else {
        return None;
    };
    let url = url.split(['?', '#']).next()?;
    let url = url.trim_end_matches('/');
    Some(url.strip_suffix(".git").unwrap_or(url).to_owned())
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
        ] {
            assert_eq!(browsable(address).as_deref(), expected, "{address}");
        }
    }
}
