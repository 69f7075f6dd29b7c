//! The files that a list includes.

use std::path::Path;

use config::MAX_CONFIG_BYTES;
use fetch::Unreadable;

use super::catalog::IndexDefaults;
use crate::front::Failure;

/// The file whose place a catalog index's takes.
pub(super) const DEFAULTS: &str = "dynamic-plugins.default.yaml";

/// One of `includes`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Include {
    /// What the log calls it.
    pub(super) shown_as: String,
    /// Its text; `None` where there is no such file.
    pub(super) yaml: Option<Vec<u8>>,
}

/// Reads them, in their order, from `folder` unless they say where. The first that a catalog index takes the place of is
/// not read.
pub(super) fn read<'a>(
    folder: &Path,
    written: impl IntoIterator<Item = &'a str>,
    index: Option<&str>,
) -> Result<Vec<Include>, Failure> {
    let mut is_open = index.is_some();
    let read = |written: &str| {
        let yaml = if is_open && is_defaults(written) {
            is_open = false;
            None
        } else {
            let path = folder.join(written);
            match fetch::read_file(&path, MAX_CONFIG_BYTES) {
                Ok(yaml) => Some(yaml),
                Err(Unreadable::Absent) => None,
                Err(why) => return Err(unreadable(&path, &why)),
            }
        };
        Ok(Include { shown_as: folder.join(written).display().to_string(), yaml })
    };
    written.into_iter().map(read).collect()
}

/// Puts a catalog index's file in the place of the first that has its name, if there is one.
pub(super) fn put(includes: &mut [Include], defaults: IndexDefaults) {
    if let Some(include) = includes.iter_mut().find(|include| is_defaults(&include.shown_as)) {
        *include = Include { shown_as: defaults.shown_as, yaml: Some(defaults.yaml) };
    }
}

/// The flag that names the main file is no help here.
fn unreadable(path: &Path, why: &Unreadable) -> Failure {
    let failure = Failure::unreadable(path, why);
    let hint = match why {
        Unreadable::Directory => Some("name a file in `includes`".to_owned()),
        _ => failure.hint,
    };
    Failure { hint, ..failure }
}

fn is_defaults(written: &str) -> bool {
    Path::new(written).file_name().is_some_and(|name| name == DEFAULTS)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in [DEFAULTS, "more.yaml"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    /// What each is called, below `folder` where it lies there, and its text.
    fn texts<'a>(folder: &TempDir, includes: &'a [Include]) -> Vec<(&'a str, Option<&'a str>)> {
        let above = format!("{}/", folder.path().display());
        let text = |yaml: &'a Vec<u8>| str::from_utf8(yaml).unwrap();
        includes
            .iter()
            .map(|Include { shown_as, yaml }| {
                (shown_as.strip_prefix(&above).unwrap_or(shown_as), yaml.as_ref().map(text))
            })
            .collect()
    }

    #[test]
    fn includes_are_read_beside_the_list_unless_they_say_where() {
        let (folder, other) = (folder(), folder());
        let elsewhere = other.path().join("more.yaml").display().to_string();
        let written = [DEFAULTS, "./more.yaml", "none.yaml", &elsewhere];
        assert_eq!(
            texts(&folder, &read(folder.path(), written, None).unwrap_or_default()),
            [
                (DEFAULTS, Some(DEFAULTS)),
                ("./more.yaml", Some("more.yaml")),
                ("none.yaml", None),
                (&elsewhere, Some("more.yaml")),
            ]
        );
    }

    #[test]
    fn index_takes_the_place_of_the_first_file_of_that_name_alone() {
        let folder = folder();
        let second = folder.path().join(DEFAULTS).display().to_string();
        let index = || IndexDefaults { shown_as: "index".to_owned(), yaml: b"of the index".to_vec(), memory: None };
        for (written, expected) in [
            (
                vec!["more.yaml", "gone/dynamic-plugins.default.yaml", &second],
                vec![("more.yaml", Some("more.yaml")), ("index", Some("of the index")), (DEFAULTS, Some(DEFAULTS))],
            ),
            (vec!["more.yaml"], vec![("more.yaml", Some("more.yaml"))]),
            (vec!["other-dynamic-plugins.default.yaml"], vec![("other-dynamic-plugins.default.yaml", None)]),
        ] {
            let mut includes = read(folder.path(), written, Some("quay.io/rhdh/index:1")).unwrap_or_default();
            put(&mut includes, index());
            assert_eq!(texts(&folder, &includes), expected);
        }
    }

    #[test]
    fn include_that_cannot_be_read_ends_the_run() {
        let folder = folder();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let failure = read(folder.path(), ["folder"], None).err().unwrap();
        let detail = format!("failed to read `{}`: ", folder.path().join("folder").display());
        assert!(failure.reason == "config_unreadable" && failure.detail.starts_with(&detail), "{}", failure.detail);
        assert_eq!(failure.hint.as_deref(), Some("name a file in `includes`"));
    }
}
