//! Walking a tree by directory handles, a bounded number of them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use crate::Dir;
use crate::dir::{FileMode, Kind, Umask};
use crate::entry_path::split;

/// Handles kept open at a time. Archives list a folder's files together, so a few are enough; several trees at once
/// stay within a limit of 64 open files.
const HANDLES: usize = 6;

/// A tree below a root. It remembers the way to the last directory, so that a neighbour costs no system call.
///
/// Paths have `/` between components, none of them `.` or `..`; the empty path is the root. No link is followed.
#[derive(Debug)]
pub struct Tree<'d> {
    root: &'d Dir,
    way: Vec<Step>,
    umask: Umask,
    opened: u64,
    made: u64,
}

/// A directory on the way, and its handle unless too many came after it.
#[derive(Debug)]
struct Step {
    name: String,
    handle: Option<Dir>,
}

impl<'d> Tree<'d> {
    /// The tree below `root`.
    pub const fn new(root: &'d Dir) -> Self {
        Self { root, way: Vec::new(), umask: Umask::unknown(), opened: 0, made: 0 }
    }

    /// Directories opened so far, which is what a walk costs, and names listed in them.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Counts names that were listed: the same ones again cost as much as directories do.
    pub(crate) const fn count_listed(&mut self, names: usize) {
        self.opened += names as u64;
    }

    /// Directories made so far, and not removed again.
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    /// Makes the directory at `path` and those above it, as far as they are missing.
    pub(crate) fn make_dir(&mut self, path: &str) -> io::Result<&Dir> {
        let mut made = self.made;
        self.enter(path, |parent, name, umask| match parent.make_dir(name.as_ref(), umask) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => parent.open_dir(name),
            new => {
                made += u64::from(new.is_ok());
                new
            }
        })?;
        self.made = made;
        Ok(last(&self.way, self.root))
    }

    /// The directory at `path`, which exists.
    ///
    /// # Errors
    /// What the system answers; a file or symlink on the way is [`io::ErrorKind::NotADirectory`].
    pub fn dir(&mut self, path: &str) -> io::Result<&Dir> {
        self.enter(path, |parent, name, _| parent.open_dir(name))
    }

    /// Opens the regular file at `path` for reading.
    ///
    /// # Errors
    /// Like [`dir`](Self::dir) and [`Dir::open_file`].
    pub fn open_file(&mut self, path: &str) -> io::Result<File> {
        let (parent, name) = split(path);
        self.dir(parent)?.open_file(name)
    }

    /// The text of the symlink at `path`.
    ///
    /// # Errors
    /// Like [`dir`](Self::dir) and [`Dir::read_link`].
    pub fn read_link(&mut self, path: &str) -> io::Result<OsString> {
        let (parent, name) = split(path);
        self.dir(parent)?.read_link(name)
    }

    /// Makes the file at `path`, and the directories above it.
    pub(crate) fn make_file(&mut self, path: &str, mode: FileMode) -> io::Result<File> {
        let (parent, name) = split(path);
        self.make_dir(parent)?;
        last(&self.way, self.root).make_file(OsStr::new(name), mode, &mut self.umask)
    }

    /// What is at `path`; `None` when there is nothing, or no folder that it could be in.
    ///
    /// # Errors
    /// Like [`dir`](Self::dir).
    pub(crate) fn kind(&mut self, path: &str) -> io::Result<Option<Kind>> {
        if path.is_empty() {
            return Ok(Some(Kind::Directory));
        }
        let (parent, name) = split(path);
        match self.dir(parent) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            dir => dir?.kind(name),
        }
    }

    /// Removes the file or symlink at `path`.
    pub(crate) fn remove_file(&mut self, path: &str) -> io::Result<()> {
        let (parent, name) = split(path);
        self.dir(parent)?.remove_file(name)
    }

    /// Removes the directory at `path` unless something is in it.
    pub(crate) fn remove_if_empty(&mut self, path: &str) -> io::Result<()> {
        let (parent, name) = split(path);
        match self.dir(parent)?.remove_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            removed => {
                removed?;
                self.made = self.made.saturating_sub(1);
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        path: &str,
        mut step: impl FnMut(&Dir, &str, &mut Umask) -> io::Result<Dir>,
    ) -> io::Result<&Dir> {
        let names = || path.split('/').filter(|name| !name.is_empty());
        let known = self.way.iter().zip(names()).take_while(|(step, name)| step.name == *name).count();
        self.way.truncate(known);
        if self.way.last().is_some_and(|step| step.handle.is_none()) {
            self.reopen()?;
        }
        for name in names().skip(known) {
            self.opened += 1;
            let handle = Some(step(last(&self.way, self.root), name, &mut self.umask)?);
            self.way.push(Step { name: name.to_owned(), handle });
            if let Some(old) = self.way.len().checked_sub(HANDLES + 1) {
                self.way[old].handle = None;
            }
        }
        Ok(last(&self.way, self.root))
    }

    /// Opens the last directory of the way again, one component at a time.
    fn reopen(&mut self) -> io::Result<()> {
        let mut handle: Option<Dir> = None;
        for step in &self.way {
            self.opened += 1;
            handle = Some(handle.as_ref().unwrap_or(self.root).open_dir(&step.name)?);
        }
        if let Some(last) = self.way.last_mut() {
            last.handle = handle;
        }
        Ok(())
    }
}

/// The last directory of a way, whose handle is always open between calls.
fn last<'a>(way: &'a [Step], root: &'a Dir) -> &'a Dir {
    way.last().and_then(|step| step.handle.as_ref()).unwrap_or(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_handles_are_open_however_deep_the_tree_is() {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        let mut tree = Tree::new(&root);
        let deep = vec!["d"; 64].join("/");
        for n in [64, 3, 40, 39, 1, 64, 0] {
            let path = if n == 0 { "f0".to_owned() } else { format!("{}/f{n}", vec!["d"; n].join("/")) };
            let made = tree.make_file(&path, FileMode::Plain);
            assert!(made.is_ok() || n == 64, "{path}");
            assert!(tree.way.iter().filter(|step| step.handle.is_some()).count() <= HANDLES);
            assert!(temp.path().join(&path).is_file(), "{path}");
        }
        assert!(tree.dir(&deep).is_ok());
        assert!(tree.dir("d/missing").is_err());
        assert!(tree.dir("d").is_ok(), "a failed step left a wrong way behind");
    }

    #[test]
    fn nothing_is_made_below_a_file_or_through_a_link() {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        root.create_file("file", FileMode::Plain).unwrap();
        root.symlink("/tmp", "link").unwrap();
        let mut tree = Tree::new(&root);
        for path in ["file/x", "link/x"] {
            let error = tree.make_file(path, FileMode::Plain).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{path}");
        }
    }
}
