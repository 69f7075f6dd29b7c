//! Who one is to servers, as the files say that clients of registries share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use integrity::Blame;
use oci::{Credentials, CredentialsError, Layers, Registries, TrustedRealms};

use crate::file::{Unreadable, Whose, if_there, read_file};
use crate::{HelperProcess, Netrc, NetrcError, Npmrc};

/// Most bytes of a file with logins.
pub const LOGINS_LIMIT: usize = 1024 * 1024;

/// Who one is to servers, and how registries are asked.
#[derive(Debug)]
pub struct Access {
    /// Logins of registries.
    pub credentials: Credentials,
    /// Token servers that may see them.
    pub realms: TrustedRealms,
    /// Logins of https servers.
    pub netrc: Netrc,
    /// Where else registries' images are asked for.
    pub registries: Registries,
    /// How many layers an artifact may have.
    pub layers: Layers,
    /// Registries of npm packages, and logins for them.
    pub npmrc: Npmrc,
}

/// Where logins are looked for. The program reads its flags and environment, this opens what they name; an empty path
/// names nothing.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    /// A file in Docker's format; it must be there.
    pub registry_auth_file: Option<PathBuf>,
    /// Files in Docker's format that are asked before Docker's own: the first that knows a registry decides. They need not
    /// be there.
    pub containers_auth: Vec<PathBuf>,
    /// The folder of Docker's `config.json`, as `DOCKER_CONFIG` names it.
    pub docker_config: Option<PathBuf>,
    /// Where `.docker/config.json` is looked for otherwise.
    pub home: Option<PathBuf>,
    /// A file in netrc's format; it must be there.
    pub netrc: Option<PathBuf>,
    /// `REGISTRY=HOST` each: a token server that may see a registry's login although it has another host.
    pub token_realms: Vec<String>,
    /// The folders in which credential helpers are looked for, as in `PATH`.
    pub helper_path: OsString,
}

/// Logins that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A token realm that is no pair.
    #[error("`--token-realm` must be `REGISTRY=HOST`, found `{}`", source::redact(found))]
    TokenRealm {
        /// What was given.
        found: String,
    },
    /// A file that cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// A `config.json` that is none.
    #[error("registry logins in `{}` cannot be used", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CredentialsError,
    },
    /// A netrc file that is none.
    #[error("logins in `{}` cannot be used", path.display())]
    Netrc {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NetrcError,
    },
}

impl AccessError {
    /// Whose move it is: the one who mounts the files and sets the flags.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::TokenRealm { .. } | Self::Unreadable { .. } | Self::Credentials { .. } | Self::Netrc { .. } => {
                Blame::Operator
            }
        }
    }

    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TokenRealm { .. } => "usage",
            Self::Unreadable { .. } => "config_unreadable",
            Self::Credentials { .. } | Self::Netrc { .. } => "config_invalid",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::Credentials { path, source: CredentialsError::Json { at } } => {
                return format!("look at {at} of `{}`", path.display());
            }
            Self::Credentials { source, .. } => return source.hint(),
            Self::TokenRealm { .. } => "as in `--token-realm registry.example.com=login.example.com`",
            Self::Netrc { .. } => "write one login a line: `machine HOST login USER password PASSWORD`",
            Self::Unreadable { .. } => "mount the file, and let this user read it",
        };
        text.to_owned()
    }
}

impl Access {
    /// Nobody in particular, who asks registries themselves for artifacts of one layer.
    pub fn anonymous() -> Self {
        Self {
            credentials: Credentials::none(),
            realms: TrustedRealms::built_in(),
            netrc: Netrc::none(),
            registries: Registries::none(),
            layers: Layers::One,
            npmrc: Npmrc::none(),
        }
    }
}

impl Logins {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that was named and is not there, or that is not of its form. The customary `config.json` may be absent,
    /// and in a home that nobody named beyond reach.
    pub fn open(&self) -> Result<Access, AccessError> {
        Ok(Access {
            credentials: self.credentials()?,
            realms: self.realms()?,
            netrc: netrc(named(self.netrc.as_ref()))?,
            ..Access::anonymous()
        })
    }

    /// The token servers that may see a login, without reading any file.
    ///
    /// # Errors
    /// [`AccessError::TokenRealm`].
    pub fn realms(&self) -> Result<TrustedRealms, AccessError> {
        let mut realms = TrustedRealms::built_in();
        for pair in &self.token_realms {
            let (registry, host) = pair
                .split_once('=')
                .filter(|(registry, host)| !registry.is_empty() && !host.is_empty())
                .ok_or_else(|| AccessError::TokenRealm { found: pair.clone() })?;
            realms = realms.with(registry, host);
        }
        Ok(realms)
    }

    /// The `config.json` that is read, and that a login is written to; `None` where nothing says where it would be.
    pub fn config_file(&self) -> Option<PathBuf> {
        named(self.registry_auth_file.as_ref()).cloned().or_else(|| {
            let customary = || self.home.as_ref().map(|home| home.join(".docker"));
            self.docker_config.clone().or_else(customary).map(|folder| folder.join("config.json"))
        })
    }

    fn credentials(&self) -> Result<Credentials, AccessError> {
        let mut credentials = self.docker_credentials()?;
        if named(self.registry_auth_file.as_ref()).is_some() {
            return Ok(credentials);
        }
        for path in self.containers_auth.iter().rev() {
            let json = if_there(read_file(path, LOGINS_LIMIT), Whose::Home)
                .map_err(|source| AccessError::Unreadable { path: path.clone(), source })?;
            if let Some(json) = json {
                credentials = self.parse(&json, path)?.before(credentials);
            }
        }
        Ok(credentials)
    }

    fn docker_credentials(&self) -> Result<Credentials, AccessError> {
        let must_exist = named(self.registry_auth_file.as_ref()).is_some();
        let asked_for = must_exist || self.docker_config.is_some();
        let Some(path) = self.config_file() else { return Ok(Credentials::none()) };
        let json = match read_file(&path, LOGINS_LIMIT) {
            Ok(json) => json,
            Err(Unreadable::Absent) if self.docker_config.is_some() && !must_exist => {
                return Ok(Credentials::missing(&path.display().to_string()));
            }
            Err(Unreadable::Absent) if !must_exist => return Ok(Credentials::none()),
            Err(Unreadable::Denied(_)) if !asked_for => return Ok(Credentials::none()),
            Err(source) => return Err(AccessError::Unreadable { path, source }),
        };
        self.parse(&json, &path)
    }

    fn parse(&self, json: &[u8], path: &Path) -> Result<Credentials, AccessError> {
        let helper = Box::new(HelperProcess::on(self.helper_path.clone()));
        Credentials::parse(json, helper).map_err(|source| AccessError::Credentials { path: path.to_owned(), source })
    }
}

/// A path that says something: an empty variable of the environment counts as none.
fn named(path: Option<&PathBuf>) -> Option<&PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn netrc(path: Option<&PathBuf>) -> Result<Netrc, AccessError> {
    let Some(path) = path else { return Ok(Netrc::none()) };
    let own = || path.clone();
    let bytes = read_file(path, LOGINS_LIMIT).map_err(|source| AccessError::Unreadable { path: own(), source })?;
    let text = String::from_utf8_lossy(&bytes);
    Netrc::parse(&text).map_err(|source| AccessError::Netrc { path: own(), source })
}
