//! Writing a file in one step: others see the old one or the new one, and never half.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{self, Seek, Write};
use std::path::Path;

use tarball::{Dir, FileMode, Kind};

/// A file that has no name until it is complete. Dropped before that, or killed, it leaves nothing behind.
#[must_use = "the file has its name only after `commit`"]
#[derive(Debug)]
pub struct Replacement {
    dir: Dir,
    name: OsString,
    mode: FileMode,
    file: File,
}

impl Replacement {
    /// Begins a file that will be at `path`. One that is there keeps its permissions; a new one gets `mode`.
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
    /// What the system answers.
    pub fn commit(mut self) -> io::Result<()> {
        let mut beside = OsString::from(".");
        beside.push(&self.name);
        beside.push(format!(".{}.part", std::process::id()));
        let named = self.name_it(&beside).and_then(|()| self.dir.rename(&beside, &self.dir, &self.name));
        if named.is_err() {
            // The first failure is the one to tell.
            let _ = self.dir.remove_file(&beside);
        }
        named
    }

    fn name_it(&mut self, beside: &OsString) -> io::Result<()> {
        let permissions = self.permissions()?;
        if self.dir.name_file(&self.file, beside).is_err() {
            // A file system that cannot name it takes a copy.
            let mut copy = self.dir.create_file(beside, FileMode::Private)?;
            self.file.rewind()?;
            io::copy(&mut self.file, &mut copy)?;
            self.file = copy;
        }
        self.file.set_permissions(permissions)?;
        self.file.sync_all()
    }

    fn permissions(&self) -> io::Result<Permissions> {
        match self.dir.open_file(&self.name) {
            Ok(old) => Ok(old.metadata()?.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.mode.into()),
            Err(error) => Err(error),
        }
    }
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
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("values.yaml");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let begin = |text: &[u8]| {
            let mut replacement = Replacement::begin(&path, FileMode::Private).unwrap();
            replacement.write_all(text).unwrap();
            replacement
        };
        begin(b"one").commit().unwrap();
        assert_eq!((read_to_string(&path).unwrap().as_str(), mode(&path)), ("one", 0o600));
        File::open(&path).unwrap().set_permissions(Permissions::from_mode(0o640)).unwrap();
        drop(begin(b"half"));
        assert_eq!(read_to_string(&path).unwrap(), "one");
        begin(b"two").commit().unwrap();
        assert_eq!((read_to_string(&path).unwrap().as_str(), mode(&path)), ("two", 0o640));
        assert_eq!(read_dir(temp.path()).unwrap().count(), 1);
    }
}
