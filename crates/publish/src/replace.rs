//! Writing a file in one step: others see the old one or the new one, and never half.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tarball::{Dir, FileMode};

/// A file that takes its name when it is complete. Dropped before that, it leaves nothing behind.
#[must_use = "the file has its name only after `commit`"]
#[derive(Debug)]
pub struct Replacement {
    dir: Dir,
    name: OsString,
    temporary: OsString,
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
        let dir = Dir::open(folder)?;
        let mut temporary = OsString::from(".");
        temporary.push(&name);
        temporary.push(format!(".{}.part", std::process::id()));
        let file = dir.create_file(&temporary, mode)?;
        let replacement = Self { dir, name, temporary, file };
        match replacement.dir.open_file(&replacement.name) {
            Ok(old) => replacement.file.set_permissions(old.metadata()?.permissions())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(replacement)
    }

    /// Gives the file its name, in place of what had it.
    ///
    /// # Errors
    /// What the system answers.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all()?;
        self.dir.rename(&self.temporary, &self.dir, &self.name)
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

impl Drop for Replacement {
    fn drop(&mut self) {
        // After a commit there is nothing of that name any more; otherwise nobody could do more about it.
        let _ = self.dir.remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, read_dir, read_to_string};
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
