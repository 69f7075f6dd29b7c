//! A place for what is needed only while the program runs.

use std::fs::File;
use std::io;
use std::path::Path;

use publish::Dir;

use crate::failure::Failure;

const HINT: &str = "let TMPDIR name a folder with space that this user may write to";

/// The folder for temporary files.
///
/// Artifacts wait in files without a name, so that a killed run leaves nothing; a folder with a name is made only to
/// unpack something, below this one.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: Dir,
}

impl Scratch {
    pub(crate) fn open(temporary: &Path) -> Result<Self, Failure> {
        let dir = temporary.canonicalize().and_then(|path| Dir::open(&path));
        let dir =
            dir.map_err(|error| Failure::io("open the folder for temporary files,", temporary, &error).hint(HINT))?;
        Ok(Self { dir })
    }

    pub(crate) const fn dir(&self) -> &Dir {
        &self.dir
    }

    /// A file without a name.
    pub(crate) fn file(&self) -> Result<File, Failure> {
        self.unnamed().map_err(|error| Failure::io("make a file in", Path::new("TMPDIR"), &error).hint(HINT))
    }

    /// The same for those who have words of their own.
    pub(crate) fn unnamed(&self) -> io::Result<File> {
        self.dir.unnamed_file()
    }

    /// Removes the folders that this process has made to unpack something.
    pub(crate) fn sweep(&self) -> Swept {
        let mut swept = Swept::Nothing;
        for name in publish::scratch_names() {
            if matches!(self.dir.kind(&name), Ok(Some(_))) {
                // What cannot be removed now is tried again, and in the end left to whoever cleans the folder.
                let _ = self.dir.remove_tree(&name);
                swept = Swept::Something;
            }
        }
        swept
    }
}

/// What there was to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swept {
    Something,
    Nothing,
}
