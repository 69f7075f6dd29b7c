//! What an environment says about servers, under the names that other tools have made customary.

use std::ffi::OsString;
use std::path::PathBuf;

use integrity::Blame;
use transport::{HttpClient, ProxyRules, ProxyRulesError, Secret, Timeouts, Trust, TrustError};

use crate::Logins;

/// Logins, proxies and certificates as the environment has them.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    docker_config: Option<PathBuf>,
    home: Option<PathBuf>,
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
}

impl SurroundingsError {
    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Proxy(_) | Self::Trust(_) => Blame::Operator,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Proxy(_) => "the value is not shown, as it may hold a password",
            Self::Trust(_) => "mount the CA's certificate as PEM text, beginning with `-----BEGIN CERTIFICATE-----`",
        }
    }
}

impl Surroundings {
    /// Takes what it needs: `DOCKER_CONFIG`, `HOME`, `PATH`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, and `HTTPS_PROXY` and
    /// `NO_PROXY` in either case. An empty variable counts as none.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let raw = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |upper: &str| {
            let value = raw(upper).or_else(|| raw(&upper.to_ascii_lowercase()));
            value.map(|value| value.to_string_lossy().into_owned())
        };
        Self {
            docker_config: raw("DOCKER_CONFIG").map(PathBuf::from),
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
        let trust =
            Trust { file: self.ssl_cert_file.clone(), dir: self.ssl_cert_dir.clone(), extra: ca_files.to_vec() };
        let proxies = ProxyRules::parse(self.https_proxy.as_ref().map(Secret::expose), self.no_proxy.as_deref())?;
        Ok(HttpClient::new(user_agent, &trust, proxies, timeouts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
