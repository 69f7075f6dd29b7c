//! A folder for what is needed only while the program runs.

use std::path::Path;

use publish::Dir;

use crate::failure::Failure;

/// Names tried before giving up.
const TRIES: u32 = 100;

/// A folder of its own below the one for temporary files, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    parent: Dir,
    name: String,
    dir: Dir,
}

impl Scratch {
    pub(crate) fn create(temporary: &Path) -> Result<Self, Failure> {
        let hint = "let TMPDIR name a folder with space that this user may write to";
        let refused = |error: std::io::Error| Failure::io("make a temporary folder in", temporary, &error).hint(hint);
        let parent = temporary.canonicalize().and_then(|path| Dir::open(&path)).map_err(refused)?;
        let mut n = 0;
        loop {
            let name = format!("butler-plugin-publisher-{}-{n}", std::process::id());
            match parent.create_dir(&name) {
                Ok(dir) => return Ok(Self { parent, name, dir }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && n < TRIES => n += 1,
                Err(error) => return Err(refused(error)),
            }
        }
    }

    pub(crate) const fn dir(&self) -> &Dir {
        &self.dir
    }

    /// A file without a name.
    pub(crate) fn file(&self) -> Result<std::fs::File, Failure> {
        self.dir.unnamed_file().map_err(|error| Failure::io("make a temporary file in", Path::new(&self.name), &error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in a folder that machines clean.
        drop(self.parent.remove_tree(&self.name));
    }
}
