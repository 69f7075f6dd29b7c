//! What an environment says about servers, under the names that other tools have made customary.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use integrity::Blame;
use transport::{HttpClient, ProxyRules, ProxyRulesError, Secret, Timeouts, Trust, TrustError};

use crate::hosts::host_certificates;
use crate::{HostClients, Logins, Npmrc, Unreadable};

/// Logins, proxies and certificates as the environment has them.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    docker_config: Option<PathBuf>,
    pub(crate) registries_conf: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    pub(crate) npm_userconfig: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    path: OsString,
    https_proxy: Option<Secret>,
    no_proxy: Option<String>,
    ssl_cert_file: Option<PathBuf>,
    ssl_cert_dir: Option<PathBuf>,
}

/// Surroundings in which no server can be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurroundingsError {
    /// `HTTPS_PROXY` or `NO_PROXY`.
    #[error(transparent)]
    Proxy(#[from] ProxyRulesError),
    /// `SSL_CERT_FILE`, `SSL_CERT_DIR` or a file that was named besides.
    #[error("the CA certificates of `--ca-file`, `SSL_CERT_FILE` and `SSL_CERT_DIR` cannot be used")]
    Trust(#[from] TrustError),
    /// A folder of certificates for hosts.
    #[error("failed to read `{}`", path.display())]
    CertificateFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// What lies in such a folder for one host.
    #[error("the CA certificates of `{host}` cannot be used")]
    HostTrust {
        /// The host, with its port where it has one.
        host: String,
        /// Why.
        source: TrustError,
    },
}

impl SurroundingsError {
    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Proxy(_) | Self::Trust(_) | Self::CertificateFolder { .. } | Self::HostTrust { .. } => {
                Blame::Operator
            }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Proxy(_) => "the value is not shown, as it may hold a password",
            Self::CertificateFolder { .. } => "let this user read the folder, or take out what does not belong there",
            Self::Trust(source) | Self::HostTrust { source, .. } => source.hint(),
        }
    }
}

impl Surroundings {
    /// Takes what it needs: `DOCKER_CONFIG`, `CONTAINERS_REGISTRIES_CONF`, `XDG_RUNTIME_DIR`,
    /// `NPM_CONFIG_USERCONFIG`, `HOME`, `PATH`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, and `HTTPS_PROXY` and `NO_PROXY` in either case. An empty variable counts as none.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let raw = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |upper: &str| {
            let value = raw(upper).or_else(|| raw(&upper.to_ascii_lowercase()));
            value.map(|value| value.to_string_lossy().into_owned())
        };
        Self {
            docker_config: raw("DOCKER_CONFIG").map(PathBuf::from),
            registries_conf: raw("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from),
            runtime_dir: raw("XDG_RUNTIME_DIR").map(PathBuf::from),
            npm_userconfig: raw("NPM_CONFIG_USERCONFIG").map(PathBuf::from),
            home: raw("HOME").map(PathBuf::from),
            path: raw("PATH").unwrap_or_default(),
            https_proxy: either("HTTPS_PROXY").map(Secret::new),
            no_proxy: either("NO_PROXY"),
            ssl_cert_file: raw("SSL_CERT_FILE").map(PathBuf::from),
            ssl_cert_dir: raw("SSL_CERT_DIR").map(PathBuf::from),
        }
    }

    /// Where logins are looked for when nothing else is said.
    pub fn logins(&self) -> Logins {
        Logins {
            docker_config: self.docker_config.clone(),
            home: self.home.clone(),
            helper_path: self.path.clone(),
            ..Logins::default()
        }
    }

    /// The same with the places where podman and skopeo keep logins, which are looked at before Docker's.
    pub fn containers_logins(&self) -> Logins {
        let runtime = self.runtime_dir.as_ref().map(|folder| folder.join("containers"));
        let folders = runtime.into_iter().chain(self.containers_home());
        Logins { containers_auth: folders.map(|folder| folder.join("auth.json")).collect(), ..self.logins() }
    }

    /// Where a user keeps what the tools for containers share.
    pub(crate) fn containers_home(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(".config").join("containers"))
    }

    /// A client that introduces itself as `user_agent`, and trusts the certificates of `ca_files` besides.
    ///
    /// # Errors
    /// A proxy that is no URL, or a file or folder without certificates.
    pub fn client(
        &self,
        user_agent: &'static str,
        ca_files: &[PathBuf],
        timeouts: Timeouts,
    ) -> Result<HttpClient, SurroundingsError> {
        Ok(HttpClient::new(user_agent, &self.trust(ca_files), self.proxies()?, timeouts)?)
    }

    /// The same, which trusts for each host the certificates besides that lie in a `certs.d` folder under its name
    /// (containers-certs.d(5)): the user's, the system's for containers, or Docker's, the first that has the host. What
    /// `npmrc` says of certificates and proxies holds for the hosts of its registries.
    ///
    /// # Errors
    /// Like [`client`](Self::client), and what of these folders cannot be used.
    pub fn client_of_hosts(
        &self,
        user_agent: &'static str,
        ca_files: &[PathBuf],
        npmrc: &Npmrc,
        timeouts: Timeouts,
    ) -> Result<HostClients, SurroundingsError> {
        let mut clients = self.client_of_hosts_below(Path::new("/etc"), user_agent, ca_files, timeouts)?;
        if npmrc.cafile().is_none() && npmrc.https_proxy().is_none() {
            return Ok(clients);
        }
        let files: Vec<PathBuf> = ca_files.iter().cloned().chain(npmrc.cafile().map(Path::to_owned)).collect();
        // What the environment says of proxies counts more, as for npm.
        let proxy = self.https_proxy.as_ref().or(npmrc.https_proxy()).map(Secret::expose);
        let proxies = ProxyRules::parse(proxy, self.no_proxy.as_deref().or(npmrc.no_proxy()))?;
        for host in npmrc.authorities() {
            let client = HttpClient::new(user_agent, &self.trust(&files), proxies.clone(), timeouts)
                .map_err(|source| SurroundingsError::HostTrust { host: host.clone(), source })?;
            clients.add(host, client);
        }
        Ok(clients)
    }

    fn client_of_hosts_below(
        &self,
        etc: &Path,
        user_agent: &'static str,
        ca_files: &[PathBuf],
        timeouts: Timeouts,
    ) -> Result<HostClients, SurroundingsError> {
        let common = self.client(user_agent, ca_files, timeouts)?;
        let proxies = self.proxies()?;
        let mut clients = HostClients::of(common);
        for (host, certificates) in host_certificates(self.containers_home(), etc)? {
            let trust = self.trust(&[ca_files, &certificates].concat());
            let client = HttpClient::new(user_agent, &trust, proxies.clone(), timeouts)
                .map_err(|source| SurroundingsError::HostTrust { host: host.clone(), source })?;
            clients.add(host, client);
        }
        Ok(clients)
    }

    fn trust(&self, ca_files: &[PathBuf]) -> Trust {
        Trust { file: self.ssl_cert_file.clone(), dir: self.ssl_cert_dir.clone(), extra: ca_files.to_vec() }
    }

    fn proxies(&self) -> Result<ProxyRules, ProxyRulesError> {
        ProxyRules::parse(self.https_proxy.as_ref().map(Secret::expose), self.no_proxy.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::put;
    use testkit::{Ca, HttpServer, Reply};
    use transport::{Request, Transport as _, Url};

    #[test]
    fn certificate_of_one_host_vouches_for_no_other() {
        let (ca, other) = (Ca::new(), Ca::new());
        let server = |ca: &Ca| HttpServer::builder().tls(ca).start(|_| Reply::ok());
        let (listed, same_ca, listed_wrongly) = (server(&ca), server(&ca), server(&ca));
        let root = tempfile::tempdir().unwrap();
        let system = root.path().join("etc/containers/certs.d");
        put(&system.join(listed.host()).join("ca.crt"), &ca.pem());
        put(&system.join(listed.host()).join("client.cert"), "not looked at");
        put(&system.join(listed_wrongly.host()).join("ca.crt"), &other.pem());
        put(&root.path().join("etc/docker/certs.d").join(listed_wrongly.host()).join("ca.crt"), &ca.pem());
        put(&system.join("a.example.com").join("ca.pem"), "not looked at");
        put(&system.join("README"), "not looked at");
        let etc = root.path().join("etc");
        let client =
            || Surroundings::default().client_of_hosts_below(&etc, "butler-plugins-tests", &[], Timeouts::default());
        let clients = client().unwrap();
        for (name, server, trusted) in [
            ("listed", &listed, true),
            ("of the same authority", &same_ca, false),
            ("listed under another authority first", &listed_wrongly, false),
        ] {
            let request = Request::get(Url::parse(&server.url("/")).unwrap());
            assert_eq!(clients.send(&request, std::time::Duration::from_mins(1)).is_ok(), trusted, "{name}");
        }
        put(&system.join("b.example.com:5000").join("ca.crt"), "nonsense");
        let error = client().unwrap_err();
        assert_eq!(error.to_string(), "the CA certificates of `b.example.com:5000` cannot be used");
    }

    #[test]
    fn logins_of_containers_come_before_dockers() {
        let login = |user: &str, hosts: &[&str]| {
            let auths: Vec<_> =
                hosts.iter().map(|host| format!(r#""{host}":{{"username":"{user}","password":"x"}}"#)).collect();
            format!(r#"{{"auths":{{{}}}}}"#, auths.join(","))
        };
        let root = tempfile::tempdir().unwrap();
        let surroundings = Surroundings::read(|name| match name {
            "HOME" => Some(root.path().join("user").into()),
            "XDG_RUNTIME_DIR" => Some(root.path().join("run").into()),
            _ => None,
        });
        let known = |logins: &Logins| format!("{:?}", logins.open().unwrap().credentials);
        assert_eq!(known(&surroundings.containers_logins()), known(&surroundings.logins()), "none of them is there");
        put(&root.path().join("user/.docker/config.json"), &login("docker", &["c.example"]));
        put(&root.path().join("user/.config/containers/auth.json"), &login("home", &["b.example"]));
        put(&root.path().join("run/containers/auth.json"), &login("run", &["a.example"]));
        assert!(known(&surroundings.containers_logins()).contains(r#"{"a.example", "b.example", "c.example"}"#));
        assert!(known(&surroundings.logins()).contains(r#"{"c.example"}"#));
        let file = Some(root.path().join("user/.config/containers/auth.json"));
        let named = Logins { registry_auth_file: file, ..surroundings.containers_logins() };
        assert!(known(&named).contains(r#"{"b.example"}"#), "a file that is named stands alone");
    }

    #[test]
    fn certificates_that_are_not_there_are_told_before_anything_is_asked() {
        let nowhere = || OsString::from("/nowhere");
        let client = |variable: &'static str, ca_files: &[PathBuf]| {
            let surroundings = Surroundings::read(|name| (name == variable).then(nowhere));
            surroundings.client("butler-plugins-tests", ca_files, Timeouts::default()).map(drop)
        };
        for (variable, ca_files) in [("SSL_CERT_FILE", vec![]), ("SSL_CERT_DIR", vec![]), ("", vec![nowhere().into()])]
        {
            let error = client(variable, &ca_files).unwrap_err();
            assert!(matches!(error, SurroundingsError::Trust(_)), "{variable}: {error}");
            assert_eq!(error.blame(), Blame::Operator);
        }
        client("", &[]).unwrap();
    }
}
