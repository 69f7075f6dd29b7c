//! Where `registries.conf` lies (containers-registries.conf(5), "FILES").

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use integrity::Blame;
use oci::{Registries, RegistriesError};

use crate::Surroundings;
use crate::file::{Unreadable, Whose, if_there, list, read_file};

/// Most bytes of one file.
const FILE_BYTES: usize = 1024 * 1024;
/// Most files of a drop-in folder.
const FILE_LIMIT: usize = 256;
const FILE: &str = "registries.conf";
const FOLDER: &str = "registries.conf.d";

/// A `registries.conf`, or a file that adds to it, that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistriesFileError {
    /// A file or folder that cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// A file that means nothing.
    #[error("the registries in `{}` cannot be used", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RegistriesError,
    },
}

impl RegistriesFileError {
    /// Whose move it is: the one who mounts the files.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Unreadable { .. } | Self::Invalid { .. } => Blame::Operator,
        }
    }

    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::Invalid { .. } => "config_invalid",
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
    /// Where images of registries are asked for, as podman and skopeo would, and Red Hat's plugins where they fall back
    /// to: `CONTAINERS_REGISTRIES_CONF`, else the user's file, else the system's; and then the drop-in folders, of which
    /// a user with a file of their own has but their own.
    ///
    /// # Errors
    /// A file that cannot be read or used. All but the one that the variable names may be absent.
    pub fn registries(&self) -> Result<Registries, RegistriesFileError> {
        self.registries_below(Path::new("/etc"))
    }

    fn registries_below(&self, etc: &Path) -> Result<Registries, RegistriesFileError> {
        let (home, system) = (self.containers_home(), etc.join("containers"));
        let named = self.registries_conf.as_ref().map(|path| Found::at(path.clone())).transpose()?;
        let own = match &home {
            Some(home) if named.is_none() => Found::if_there(home.join(FILE), Whose::Home)?,
            _ => None,
        };
        let mut folders = Vec::new();
        if own.is_none() {
            folders.push((system.join(FOLDER), Whose::System));
        }
        folders.extend(home.map(|home| (home.join(FOLDER), Whose::Home)));
        let main = match named.or(own) {
            None => Found::if_there(system.join(FILE), Whose::System)?,
            found => found,
        };
        let mut files = Vec::from_iter(main);
        for (folder, whose) in folders {
            let listed = if_there(list(&folder, FILE_LIMIT), whose);
            let listed = listed.map_err(|source| RegistriesFileError::Unreadable { path: folder, source })?;
            for path in listed.into_iter().flatten().filter(|path| path.extension() == Some(OsStr::new("conf"))) {
                files.extend(Found::if_there(path, whose)?);
            }
        }
        files.into_iter().try_fold(Registries::rhdh(), |registries, Found { path, text }| {
            registries.and(&text).map_err(|source| RegistriesFileError::Invalid { path, source })
        })
    }
}

/// A file that is there.
struct Found {
    path: PathBuf,
    text: String,
}

impl Found {
    fn at(path: PathBuf) -> Result<Self, RegistriesFileError> {
        match read_file(&path, FILE_BYTES) {
            Ok(bytes) => Ok(Self { path, text: String::from_utf8_lossy(&bytes).into_owned() }),
            Err(source) => Err(RegistriesFileError::Unreadable { path, source }),
        }
    }

    fn if_there(path: PathBuf, whose: Whose) -> Result<Option<Self>, RegistriesFileError> {
        match if_there(read_file(&path, FILE_BYTES), whose) {
            Ok(bytes) => Ok(bytes.map(|bytes| Self { path, text: String::from_utf8_lossy(&bytes).into_owned() })),
            Err(source) => Err(RegistriesFileError::Unreadable { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::put;

    const SYSTEM: &str = "etc/containers/registries.conf";
    const OWN: &str = "user/.config/containers/registries.conf";
    const SYSTEM_A: &str = "etc/containers/registries.conf.d/a.conf";
    const SYSTEM_B: &str = "etc/containers/registries.conf.d/b.conf";
    const OWN_A: &str = "user/.config/containers/registries.conf.d/a.conf";
    const NAMED: &str = "mounted/registries.conf";

    fn registry(location: &str) -> String {
        format!("[[registry]]\nprefix='quay.io'\nlocation='{location}'\n")
    }

    fn surroundings(root: &Path, variable: Option<&str>) -> Surroundings {
        Surroundings::read(|name| match name {
            "HOME" => Some(root.join("user").into()),
            "CONTAINERS_REGISTRIES_CONF" => Some(root.join(variable?).into()),
            _ => None,
        })
    }

    #[test]
    fn files_are_read_where_other_tools_read_them_and_the_last_one_wins() {
        for (name, there, variable, read) in [
            ("none", vec![], None, vec![]),
            ("system", vec![SYSTEM], None, vec![SYSTEM]),
            ("own in place of the system's", vec![SYSTEM, SYSTEM_A, OWN], None, vec![OWN]),
            ("own folder", vec![OWN, OWN_A, SYSTEM_A], None, vec![OWN, OWN_A]),
            (
                "system and folders",
                vec![OWN_A, SYSTEM_B, SYSTEM_A, SYSTEM],
                None,
                vec![SYSTEM, SYSTEM_A, SYSTEM_B, OWN_A],
            ),
            ("folders alone", vec![SYSTEM_B, SYSTEM_A], None, vec![SYSTEM_A, SYSTEM_B]),
            ("named in place of both", vec![NAMED, OWN, SYSTEM, SYSTEM_A], Some(NAMED), vec![NAMED, SYSTEM_A]),
            ("another ending", vec![SYSTEM, "etc/containers/registries.conf.d/a.conf.bak"], None, vec![SYSTEM]),
        ] {
            let root = tempfile::tempdir().unwrap();
            // All of the same prefix, so that the last one that is read is the one that counts.
            let location = |file: &str| registry(&format!("m.example.com/{}", file.replace(['/', '.'], "")));
            for file in &there {
                put(&root.path().join(file), &location(file));
            }
            let found = surroundings(root.path(), variable).registries_below(&root.path().join("etc")).unwrap();
            let expected = read.iter().fold(Registries::rhdh(), |all, file| all.and(&location(file)).unwrap());
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn file_that_cannot_be_used_is_told_with_its_path() {
        for (name, file, text, variable, expected) in [
            ("named and absent", OWN, String::new(), Some(NAMED), "failed to read `ROOT/mounted/registries.conf`"),
            ("not TOML", SYSTEM, "[".to_owned(), None, "the registries in `ROOT/etc/containers/registries.conf`"),
            (
                "drop-in",
                OWN_A,
                "x".to_owned(),
                None,
                "the registries in `ROOT/user/.config/containers/registries.conf.d/a",
            ),
            (
                "too long",
                SYSTEM,
                "#".repeat(FILE_BYTES + 1),
                None,
                "failed to read `ROOT/etc/containers/registries.conf`",
            ),
            ("longest", SYSTEM, "#".repeat(FILE_BYTES), None, ""),
        ] {
            let root = tempfile::tempdir().unwrap();
            put(&root.path().join(file), &text);
            let found = surroundings(root.path(), variable).registries_below(&root.path().join("etc"));
            let said = found.err().map(|error| {
                assert_eq!((error.blame(), error.hint().is_empty()), (Blame::Operator, false));
                error.to_string().replace(root.path().to_str().unwrap(), "ROOT")
            });
            assert!(said.as_deref().unwrap_or_default().starts_with(expected), "{name}: {said:?}");
            assert_eq!(said.is_some(), !expected.is_empty(), "{name}: {said:?}");
        }
    }

    #[test]
    fn folder_is_read_up_to_its_limit() {
        let root = tempfile::tempdir().unwrap();
        let read = || surroundings(root.path(), None).registries_below(&root.path().join("etc"));
        for n in 0..FILE_LIMIT {
            put(&root.path().join(format!("etc/containers/registries.conf.d/{n}.conf")), "");
        }
        assert!(read().is_ok());
        put(&root.path().join("etc/containers/registries.conf.d/more.conf"), "");
        assert!(matches!(read(), Err(RegistriesFileError::Unreadable { source: Unreadable::TooMany { .. }, .. })));
    }
}
