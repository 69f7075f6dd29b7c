//! Which token servers may see credentials.

use transport::{Scheme, Url};

use crate::docker_hub::{DOCKER_HUB, one_name};

/// Public registries whose token server has a host of its own.
const BUILT_IN: [(&str, &str); 2] = [(DOCKER_HUB, "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// Token servers that the operator vouches for, besides the registry's own host and a short built-in list.
#[derive(Debug, Clone, Default)]
pub struct TrustedRealms {
    listed: Vec<(String, String)>,
}

/// What may be told to a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Realm {
    /// It may see the credentials.
    Trusted,
    /// It may be asked, by nobody in particular.
    Foreign,
}

impl TrustedRealms {
    /// Only registries' own hosts and the built-in list.
    pub fn built_in() -> Self {
        Self::default()
    }

    /// Adds one: tokens for the registry `registry` (host, with its port where it has one) come from `host`.
    #[must_use]
    pub fn with(mut self, registry: &str, host: &str) -> Self {
        self.listed.push((one_name(&registry.to_ascii_lowercase()).to_owned(), host.to_ascii_lowercase()));
        self
    }

    /// Judges a realm. `asked` is the API URL that answered with the challenge, `registry` the host as references
    /// write it.
    ///
    /// # Errors
    /// Why the realm is never contacted.
    pub(crate) fn judge(&self, registry: &str, asked: &Url, realm: &Url) -> Result<Realm, &'static str> {
        if realm.scheme() == Scheme::Http && asked.scheme() != Scheme::Http {
            return Err("it is not https");
        }
        let lists = |pair: (&str, &str)| pair == (one_name(registry), realm.host());
        let trusted = realm.host() == asked.host()
            || BUILT_IN.into_iter().any(lists)
            || self.listed.iter().any(|(registry, host)| lists((registry, host)));
        Ok(if trusted { Realm::Trusted } else { Realm::Foreign })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_and_listed_hosts_are_trusted() {
        let realms = TrustedRealms::built_in()
            .with("reg.example.com", "login.example.com")
            .with("index.docker.io", "login.example.com");
        for (registry, asked, realm, expected) in [
            ("ghcr.io", "https://ghcr.io/v2/", "https://ghcr.io/token", Ok(Realm::Trusted)),
            ("docker.io", "https://registry-1.docker.io/v2/", "https://auth.docker.io/token", Ok(Realm::Trusted)),
            ("index.docker.io", "https://registry-1.docker.io/v2/", "https://auth.docker.io/token", Ok(Realm::Trusted)),
            ("docker.io", "https://registry-1.docker.io/v2/", "https://login.example.com/t", Ok(Realm::Trusted)),
            ("evil.example", "https://evil.example/v2/", "https://auth.docker.io/token", Ok(Realm::Foreign)),
            ("reg.example.com", "https://reg.example.com/v2/", "https://login.example.com/t", Ok(Realm::Trusted)),
            ("reg.example.com", "https://reg.example.com/v2/", "https://evil.example/t", Ok(Realm::Foreign)),
            ("reg.example.com", "https://reg.example.com/v2/", "https://REG.EXAMPLE.COM/t", Ok(Realm::Trusted)),
            ("reg.example.com", "https://reg.example.com/v2/", "https://reg.example.com:8443/t", Ok(Realm::Trusted)),
            ("reg.example.com", "https://reg.example.com/v2/", "https://reg.example.com./t", Ok(Realm::Foreign)),
            ("reg.example.com", "https://reg.example.com/v2/", "https://auth.reg.example.com/t", Ok(Realm::Foreign)),
            (
                "reg.example.com",
                "https://reg.example.com/v2/",
                "https://reg.example.com.evil.example/",
                Ok(Realm::Foreign),
            ),
            (
                "reg.example.com",
                "https://reg.example.com/v2/",
                "https://evil.example#@reg.example.com/",
                Ok(Realm::Foreign),
            ),
            (
                "reg.example.com",
                "https://reg.example.com/v2/",
                "https://evil.example?reg.example.com",
                Ok(Realm::Foreign),
            ),
            (
                "reg.example.com:8443",
                "https://reg.example.com:8443/v2/",
                "https://reg.example.com/t",
                Ok(Realm::Trusted),
            ),
            ("evil.example", "https://evil.example/v2/", "https://gitlab.com/jwt/auth", Ok(Realm::Foreign)),
            ("auth.docker.io", "https://auth.docker.io/v2/", "https://registry-1.docker.io/", Ok(Realm::Foreign)),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/t", Ok(Realm::Trusted)),
            ("127.0.0.1:5000", "https://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/t", Err("it is not https")),
        ] {
            let judged = realms.judge(registry, &Url::parse(asked).unwrap(), &Url::parse(realm).unwrap());
            assert_eq!(judged, expected, "{registry} {realm}");
        }
    }
}
