//! Files that are there whole or not at all.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};

use tarball::{Dir, FileMode};

/// Writes a file beside its place, and puts it there whole.
pub(crate) fn replace(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let incoming = format!("{name}.{:016x}", RandomState::new().build_hasher().finish());
    let mut file = dir.create_file(&incoming, FileMode::Plain)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| dir.rename(&incoming, dir, name));
    if written.is_err() {
        // It has a name that no later run takes.
        drop(dir.remove_file(&incoming));
    }
    written
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn file_or_link_is_replaced_whole_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, at) = (Dir::open(folder.path()).unwrap(), |name: &str| folder.path().join(name));
        fs::write(at("other"), "untouched").unwrap();
        symlink("other", at("file")).unwrap();
        for text in ["a longer text", "2", ""] {
            replace(&dir, "file", text.as_bytes()).unwrap();
            assert!(at("file").symlink_metadata().unwrap().is_file());
            assert_eq!(fs::read_to_string(at("file")).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(at("other")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_replaced_is_left_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("taken")).unwrap();
        replace(&Dir::open(folder.path()).unwrap(), "taken", b"x").unwrap_err();
        assert!(folder.path().join("taken").is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
