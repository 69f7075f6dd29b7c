//! The files that a list includes.

use std::path::Path;

use config::MAX_CONFIG_BYTES;
use config::rhdh::Include;
use fetch::Unreadable;
use transport::Stop;

use crate::front::Failure;

/// The file whose place a catalog index's takes.
pub(super) const DEFAULTS: &str = "dynamic-plugins.default.yaml";

/// What a list includes.
#[derive(Debug)]
pub(super) struct Includes {
    /// In their order; where there are too many bytes, no further than to the file that has them.
    pub(super) files: Vec<Include>,
    /// Which of them a catalog index takes the place of.
    pub(super) of_index: Option<usize>,
}

/// Reads them, from `folder` unless they say where, as long as there are no more than `room` bytes. The first that a
/// catalog index takes the place of is not read.
pub(super) fn read<'a>(
    folder: &Path,
    written: impl IntoIterator<Item = &'a str>,
    index: Option<&str>,
    mut room: usize,
    stop: &Stop,
) -> Result<Includes, Failure> {
    let mut includes = Includes { files: Vec::new(), of_index: None };
    for written in written {
        if stop.is_asked() {
            let detail = "the run was stopped while it read what the list includes".to_owned();
            return Err(Failure::of_operator("interrupted", detail, None));
        }
        let path = folder.join(written);
        let yaml = if index.is_some() && includes.of_index.is_none() && is_defaults(written) {
            includes.of_index = Some(includes.files.len());
            None
        } else {
            match fetch::read_regular_file(&path, MAX_CONFIG_BYTES) {
                Ok(yaml) => Some(yaml),
                Err(Unreadable::Absent) => None,
                Err(why) => return Err(unreadable(&path, &why)),
            }
        };
        includes.files.push(Include::read(&path.display().to_string(), yaml.as_deref()));
        match room.checked_sub(yaml.map_or(0, |yaml| yaml.len())) {
            Some(left) => room = left,
            None => break,
        }
    }
    Ok(includes)
}

/// The flag that names the main file is no help here.
fn unreadable(path: &Path, why: &Unreadable) -> Failure {
    let failure = Failure::unreadable(path, why);
    let hint = match why {
        Unreadable::Directory | Unreadable::Special => Some("name a file in `includes`".to_owned()),
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
    use config::rhdh::{MissingIntegrity, Planning};
    use std::fs;
    use tempfile::TempDir;

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in [DEFAULTS, "more.yaml"] {
            fs::write(folder.path().join(name), "{}\n").unwrap();
        }
        folder
    }

    /// The names that the log of a plan has: of what was found, and of what was not.
    fn names(folder: &TempDir, includes: Includes) -> Vec<String> {
        let list = format!("includes: [{}]", vec!["x"; includes.files.len()].join(", "));
        let mut planning = Planning::begin("list", list.as_bytes(), MissingIntegrity::IsRefused);
        includes.files.into_iter().for_each(|file| planning.supply(file));
        let planned = planning.finish().unwrap();
        let found = planned.notes.into_iter().map(|note| note.text);
        let missing = planned.warnings.iter().map(|warning| warning.as_problem().message.clone());
        let above = format!("{}/", folder.path().display());
        found.chain(missing).map(|text| text.replace(&above, "").replace("Including plugins from ", "")).collect()
    }

    fn read_all(folder: &TempDir, written: &[&str], index: Option<&str>) -> Includes {
        read(folder.path(), written.iter().copied(), index, 1000, &Stop::new())
            .unwrap_or_else(|why| panic!("{}", why.detail))
    }

    #[test]
    fn includes_are_read_beside_the_list_unless_they_say_where() {
        let (folder, other) = (folder(), folder());
        let elsewhere = other.path().join("more.yaml").display().to_string();
        let includes = read_all(&folder, &[DEFAULTS, "./more.yaml", "none.yaml", &elsewhere], None);
        assert_eq!(includes.of_index, None);
        let missing = "include file none.yaml not found, skipping";
        assert_eq!(names(&folder, includes), [DEFAULTS, "./more.yaml", &elsewhere, missing]);
    }

    #[test]
    fn index_takes_the_place_of_the_first_file_of_that_name_alone() {
        let folder = folder();
        let second = folder.path().join(DEFAULTS).display().to_string();
        for (written, expected) in [
            (vec!["more.yaml", "gone/dynamic-plugins.default.yaml", &second], Some(1)),
            (vec!["more.yaml"], None),
            (vec!["other-dynamic-plugins.default.yaml"], None),
        ] {
            assert_eq!(read_all(&folder, &written, Some("quay.io/rhdh/index:1")).of_index, expected);
        }
        let includes = read_all(&folder, &[DEFAULTS, &second], Some("quay.io/rhdh/index:1"));
        let missing = "include file dynamic-plugins.default.yaml not found, skipping";
        assert_eq!(names(&folder, includes), [DEFAULTS, missing]);
    }

    #[test]
    fn no_more_is_read_than_there_is_room_for() {
        let folder = folder();
        let size = b"{}\n".len();
        for (room, expected) in [(3 * size, 3), (2 * size, 3), (2 * size - 1, 2), (0, 1)] {
            let includes = read(folder.path(), ["more.yaml"; 3], None, room, &Stop::new()).ok();
            assert_eq!(includes.map(|includes| includes.files.len()), Some(expected), "{room}");
        }
    }

    #[test]
    fn wish_to_stop_is_heard_before_the_next_file() {
        let stop = Stop::new();
        stop.ask();
        let failure = read(folder().path(), ["more.yaml"], None, 1000, &stop).err();
        assert_eq!(failure.map(|failure| failure.reason), Some("interrupted"));
    }

    #[test]
    fn include_that_cannot_be_read_ends_the_run() {
        let folder = folder();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let failure = read(folder.path(), ["folder"], None, 0, &Stop::new()).err().unwrap();
        let detail = format!("failed to read `{}`: ", folder.path().join("folder").display());
        assert!(failure.reason == "config_unreadable" && failure.detail.starts_with(&detail), "{}", failure.detail);
        assert_eq!(failure.hint.as_deref(), Some("name a file in `includes`"));
    }
}
