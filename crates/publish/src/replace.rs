//! Writing a file in one step: others see the old one or the new one, and never half.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use tarball::{Dir, FileMode, Kind};

/// A file that has no name until it is complete. Dropped or killed before that, it leaves nothing behind.
#[must_use = "the file has its name only after `commit`"]
#[derive(Debug)]
pub struct Replacement {
    dir: Dir,
    name: OsString,
    mode: FileMode,
    file: File,
}

impl Replacement {
    /// Begins a file that will be at `path`. One that is there keeps its permissions, and its owner and group where this
    /// user may give it to them; [`FileMode::Private`] insists on them, and leaves only the owner's permissions. A new
    /// one gets `mode`.
    ///
    /// # Errors
    /// What the system answers; a `path` without a file name, or with a folder at it, is
    /// [`io::ErrorKind::InvalidInput`].
    pub fn begin(path: &Path, mode: FileMode) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = Dir::open(&folder.canonicalize()?)?;
        if dir.kind(&name)?.is_some_and(|kind| kind != Kind::File) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = dir.unnamed_file()?;
        Ok(Self { dir, name, mode, file })
    }

    /// Gives the file its name, in place of what had it.
    ///
    /// # Errors
    /// What the system answers. Where owner and group cannot be kept, the old file stays.
    pub fn commit(self) -> io::Result<()> {
        self.commit_if(|_, _| Ok(()))
    }

    /// The same, if the file there still has the content that it was made from; of a file that is not there, that is
    /// nothing. It is looked at right before it is replaced.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when somebody else wrote to it; what the system answers.
    pub fn commit_over(self, expected: &[u8]) -> io::Result<()> {
        self.commit_if(|dir, name| unchanged(dir, name, expected))
    }

    /// Between the name beside the old one and the rename there is nothing to wait for: killed before, it leaves nothing.
    fn commit_if(mut self, may_replace: impl FnOnce(&Dir, &OsStr) -> io::Result<()>) -> io::Result<()> {
        let beside = OsString::from(format!(".butler-plugin-{}.part", std::process::id()));
        self.take_after_old()?;
        self.file.sync_all()?;
        may_replace(&self.dir, &self.name)?;
        let named = self.name_it(&beside).and_then(|()| self.dir.rename(&beside, &self.dir, &self.name));
        if named.is_err() {
            // The first failure is the one to tell.
            let _ = self.dir.remove_file(&beside);
        }
        named
    }

    fn name_it(&mut self, beside: &OsStr) -> io::Result<()> {
        // One that is there is of a killed process with the same number.
        self.dir.remove_tree(beside)?;
        if self.dir.name_file(&self.file, beside).is_err() {
            // A file system that cannot name it takes a copy.
            let mut copy = self.dir.create_file(beside, FileMode::Private)?;
            self.file.rewind()?;
            io::copy(&mut self.file, &mut copy)?;
            self.file = copy;
            self.take_after_old()?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    /// Owner first: with another one the system takes bits of the mode away.
    fn take_after_old(&self) -> io::Result<()> {
        let old = match self.dir.open_file(&self.name) {
            Ok(old) => old.metadata()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.file.set_permissions(self.mode.into());
            }
            Err(error) => return Err(error),
        };
        let new = self.file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            let kept = fchown(&self.file, Some(old.uid()), Some(old.gid()));
            if self.mode == FileMode::Private {
                kept.map_err(|error| io::Error::new(error.kind(), "the file's owner and group cannot be kept"))?;
            }
        }
        let most = match self.mode {
            FileMode::Private => 0o600,
            FileMode::Plain | FileMode::Executable => 0o7777,
        };
        self.file.set_permissions(Permissions::from_mode(old.mode() & most))
    }
}

/// Fails unless the file has this content and no more.
fn unchanged(dir: &Dir, name: &OsStr, expected: &[u8]) -> io::Result<()> {
    let mut found = Vec::new();
    match dir.open_file(name) {
        Ok(file) => file.take(expected.len() as u64 + 1).read_to_end(&mut found).map(drop)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if found == expected {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody else wrote to the file after it was read; try again"))
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{read_dir, read_to_string};
    use std::os::unix::fs::chown;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn begin(path: &Path, mode: FileMode, text: &[u8]) -> Replacement {
        let mut replacement = Replacement::begin(path, mode).unwrap();
        replacement.write_all(text).unwrap();
        replacement
    }

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("values.yaml");
        begin(&path, FileMode::Plain, b"one").commit().unwrap();
        assert_eq!((read_to_string(&path).unwrap().as_str(), mode(&path)), ("one", 0o644));
        File::open(&path).unwrap().set_permissions(Permissions::from_mode(0o664)).unwrap();
        drop(begin(&path, FileMode::Plain, b"half"));
        assert_eq!(read_to_string(&path).unwrap(), "one");
        begin(&path, FileMode::Plain, b"two").commit().unwrap();
        assert_eq!((read_to_string(&path).unwrap().as_str(), mode(&path)), ("two", 0o664));
        assert_eq!(read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_private_file_is_for_nobody_but_its_owner_whatever_it_was_before() {
        for (before, after) in [(None, 0o600), (Some(0o644), 0o600), (Some(0o440), 0o400), (Some(0o700), 0o600)] {
            let temp = tempfile::tempdir().unwrap();
            let path = temp.path().join("config.json");
            if let Some(before) = before {
                begin(&path, FileMode::Plain, b"{}").commit().unwrap();
                File::open(&path).unwrap().set_permissions(Permissions::from_mode(before)).unwrap();
            }
            begin(&path, FileMode::Private, b"{}").commit().unwrap();
            assert_eq!(mode(&path), after, "{before:?}");
        }
    }

    #[test]
    fn a_replaced_file_keeps_its_owner_and_group() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("values.yaml");
        begin(&path, FileMode::Plain, b"one").commit().unwrap();
        if chown(&path, Some(4711), Some(4712)).is_err() {
            // Only the superuser gives files away.
            return;
        }
        File::open(&path).unwrap().set_permissions(Permissions::from_mode(0o2755)).unwrap();
        begin(&path, FileMode::Plain, b"two").commit().unwrap();
        let after = path.metadata().unwrap();
        assert_eq!((after.uid(), after.gid(), mode(&path)), (4711, 4712, 0o2755));
        assert_eq!(read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_lost() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("values.yaml");
        for (name, there, expected, replaced) in [
            ("as it was read", Some("one"), "one", true),
            ("written to", Some("two"), "one", false),
            ("appended to", Some("one more"), "one", false),
            ("cut", Some("on"), "one", false),
            ("still not there", None, "", true),
            ("made meanwhile", Some("one"), "", false),
            ("removed meanwhile", None, "one", false),
        ] {
            drop(Dir::open(temp.path()).unwrap().remove_file("values.yaml"));
            if let Some(there) = there {
                begin(&path, FileMode::Plain, there.as_bytes()).commit().unwrap();
            }
            let committed = begin(&path, FileMode::Plain, b"new").commit_over(expected.as_bytes());
            let now = read_to_string(&path).ok();
            if replaced {
                assert_eq!((committed.is_ok(), now.as_deref()), (true, Some("new")), "{name}");
            } else {
                assert_eq!(committed.unwrap_err().kind(), io::ErrorKind::ResourceBusy, "{name}");
                assert_eq!(now.as_deref(), there, "{name}");
            }
            assert_eq!(read_dir(temp.path()).unwrap().count(), usize::from(now.is_some()), "{name}");
        }
    }
}
