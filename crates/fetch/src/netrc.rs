//! Credentials of https servers, from a `netrc` file (the format of curl and ftp(1): `machine`, `login`, `password`).

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use integrity::Blame;
use transport::{Secret, Url};

/// Logins by exact host name.
#[derive(Debug, Clone, Default)]
pub struct Netrc {
    machines: BTreeMap<String, Login>,
}

#[derive(Debug, Clone, Default)]
struct Login {
    user: String,
    password: Option<Secret>,
}

/// A `netrc` file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the netrc file is malformed: expected {expected} at word {word}")]
pub struct NetrcError {
    expected: &'static str,
    word: usize,
}

impl NetrcError {
    /// Whose move it is: the operator mounts the file.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

impl Netrc {
    /// Whether a text repeats one of the passwords.
    pub(crate) fn is_quoted_in(&self, text: &str) -> bool {
        self.machines.values().filter_map(|login| login.password.as_ref()).any(|secret| secret.is_repeated_in(text))
    }

    /// No logins at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the file's text. `default` entries are left out: a password never goes to a host that is not named.
    ///
    /// # Errors
    /// A word where none of the format's can stand; the word itself is not shown.
    pub fn parse(text: &str) -> Result<Self, NetrcError> {
        let mut machines: BTreeMap<String, Login> = BTreeMap::new();
        let mut current: Option<String> = None;
        let words = text.lines().map(|line| line.split('#').next().filter(|l| l.trim().is_empty()).unwrap_or(line));
        let mut words = words.flat_map(str::split_whitespace).enumerate();
        while let Some((at, word)) = words.next() {
            let mut value =
                |expected| words.next().map(|(_, word)| word.to_owned()).ok_or(NetrcError { expected, word: at + 2 });
            match word {
                "machine" => {
                    let host = value("a host")?.to_ascii_lowercase();
                    machines.entry(host.clone()).or_default();
                    current = Some(host);
                }
                "default" => current = None,
                "login" => {
                    let user = value("a user name")?;
                    if let Some(login) = current.as_ref().and_then(|host| machines.get_mut(host)) {
                        login.user = user;
                    }
                }
                "password" => {
                    let password = Secret::new(value("a password")?);
                    if let Some(login) = current.as_ref().and_then(|host| machines.get_mut(host)) {
                        login.password = Some(password);
                    }
                }
                "account" => drop(value("an account")?),
                _ => return Err(NetrcError { expected: "`machine`, `login` or `password`", word: at + 1 }),
            }
        }
        Ok(Self { machines })
    }

    /// The `Authorization` for a URL: its exact host's, over https only.
    pub(crate) fn authorization(&self, url: &Url) -> Option<Secret> {
        let login = self.machines.get(url.host()).filter(|_| url.scheme() == transport::Scheme::Https)?;
        let pair = format!("{}:{}", login.user, login.password.as_ref()?.expose());
        Some(Secret::new(format!("Basic {}", Base64::encode_string(pair.as_bytes()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_its_exact_host_over_https() {
        let netrc = Netrc::parse(
            "# comment\nmachine a.example.com login bob password s3#cret\ndefault login x password y\nmachine b.example.com\n login c\n",
        )
        .unwrap();
        let authorization = |url: &str| netrc.authorization(&Url::parse(url).unwrap());
        assert_eq!(authorization("https://a.example.com/x").unwrap().expose(), "Basic Ym9iOnMzI2NyZXQ=");
        for other in [
            "https://a.example.com.evil.example/x",
            "https://b.example.com/",
            "https://c.example.com/",
            "http://127.0.0.1/",
        ] {
            assert_eq!(authorization(other), None, "{other}");
        }
        assert!(!format!("{netrc:?}").contains("s3"));
    }

    #[test]
    fn a_malformed_file_is_refused_without_showing_it() {
        for text in ["machine", "s3cret", "machine a login"] {
            let error = Netrc::parse(text).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
