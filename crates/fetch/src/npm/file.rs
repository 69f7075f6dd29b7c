//! Where an `.npmrc` lies (npm's documentation, "npmrc").

use std::path::PathBuf;

use integrity::Blame;

use super::{Npmrc, NpmrcError};
use crate::file::{Unreadable, Whose, if_there, read_file};
use crate::{LOGINS_LIMIT, Surroundings};

/// An `.npmrc` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpmrcFileError {
    /// It cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// It, or a variable that counts more, cannot be followed.
    #[error("the npm configuration in `{}` cannot be used", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NpmrcError,
    },
}

impl NpmrcFileError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::Invalid { .. } => "config_invalid",
        }
    }

    /// Whose move it is: the one who mounts the file.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Unreadable { .. } | Self::Invalid { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "mount the file, and let this user read it",
            Self::Invalid { source, .. } => source.hint(),
        }
    }
}

impl Surroundings {
    /// The npm configuration: the file that `NPM_CONFIG_USERCONFIG` names, else `.npmrc` in the home, neither of which
    /// needs to be there: images name one that only some clusters mount, and a folder in its place is none. `variable`
    /// is the environment, which fills in `${NAME}` and names registries.
    ///
    /// # Errors
    /// A file that cannot be read or followed.
    pub fn npmrc(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Npmrc, NpmrcFileError> {
        let home = || self.home.as_ref().map(|home| (home.join(".npmrc"), Whose::Home));
        let named = self.npm_userconfig.as_ref().map(|path| (path.clone(), Whose::System));
        let (path, whose) = named.or_else(home).unwrap_or_default();
        let own = || path.clone();
        let bytes = match read_file(&path, LOGINS_LIMIT) {
            // What a kubelet mounts in place of a file whose optional secret does not exist.
            Err(Unreadable::Directory) => Ok(None),
            read => if_there(read, whose),
        };
        let bytes = bytes.map_err(|source| NpmrcFileError::Unreadable { path: own(), source })?;
        let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default());
        Npmrc::parse(&text, variable).map_err(|source| NpmrcFileError::Invalid { path: own(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::put;

    #[test]
    fn the_named_file_counts_and_none_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        put(&home.join(".npmrc"), "registry=https://home.example.com/");
        put(&folder.path().join("named"), "registry=https://named.example.com/${PART}");
        let none = |_: &str| None;
        let part = |name: &str| (name == "PART").then(|| "npm".to_owned());
        let registry = |surroundings: &Surroundings, variable: &dyn Fn(&str) -> Option<String>| {
            surroundings.npmrc(variable).unwrap().authorities().next().unwrap()
        };
        let set = |userconfig: &str| {
            let (home, userconfig) = (home.clone(), folder.path().join(userconfig));
            Surroundings::read(move |name| match name {
                "HOME" => Some(home.clone().into()),
                "NPM_CONFIG_USERCONFIG" => Some(userconfig.clone().into()),
                _ => None,
            })
        };
        let at_home = Surroundings::read(|name| (name == "HOME").then(|| home.clone().into()));
        assert_eq!(registry(&at_home, &none), "home.example.com");
        assert_eq!(registry(&set("named"), &part), "named.example.com");
        let absent = registry(&set("absent"), &none);
        assert_eq!(absent, registry(&Surroundings::default(), &none));
        assert!(!absent.ends_with("example.com"), "{absent}");
        assert_eq!(registry(&set("home"), &none), absent, "a folder");
    }
}
