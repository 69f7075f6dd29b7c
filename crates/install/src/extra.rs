//! What is in a plugin's folder besides what was installed, by name.
//!
//! This is asked only once a folder is known to differ, so that an intact one costs no memory for its names; and then
//! names are held as keyed hashes, whose number is that of the plugin's own files.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use tarball::{Dir, Kind, Tree};

use crate::inspect::{Difference, closed};
use crate::state::Known;

/// Folders within folders that are looked into; archives have no more.
const DEPTH: usize = 64;

/// Names that were installed.
struct Names {
    keys: RandomState,
    files: Vec<u64>,
    /// Folders that hold a file somewhere below them.
    folders: HashSet<u64>,
}

/// What a name was installed as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    File,
    Folder,
    None,
}

/// Tells everything below `dir` that was not installed, and folders that are not open to all.
///
/// # Errors
/// When the record cannot be read, and what `found` answers.
pub(crate) fn extras<E: From<io::Error>>(
    known: &Known,
    dir: &Dir,
    found: &mut dyn FnMut(&Path, Difference) -> Result<(), E>,
) -> Result<(), E> {
    let names = Names::of(known)?;
    // The record has no names for folders without a file, only the number of all.
    let expected = known.record.folders.saturating_sub(names.folders.len() as u64);
    let mut empty = 0_u64;
    let mut tree = Tree::new(dir);
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        let at = |name: &OsStr| Path::new(&path).join(name);
        let (dir, entries) = match tree.dir(&path).and_then(|dir| Ok((dir, dir.entries()?))) {
            Ok(opened) => opened,
            Err(error) => {
                found(Path::new(&path), Difference::Unreadable(error))?;
                continue;
            }
        };
        if let Some(difference) = closed(dir).unwrap_or_else(|error| Some(Difference::Unreadable(error))) {
            found(Path::new(&path), difference)?;
        }
        let mut below = Vec::new();
        for entry in entries {
            let (name, kind) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    found(Path::new(&path), Difference::Unreadable(error))?;
                    break;
                }
            };
            let inner: PathBuf = at(&name);
            // What was installed has a name in UTF-8.
            let text = inner.to_str();
            match (text.map_or(Role::None, |text| names.role(text)), kind) {
                // A file's record was compared with whatever has its name.
                (Role::File, _) | (Role::Folder, Kind::Directory) => {}
                (Role::Folder, kind) => {
                    found(&inner, Difference::Kind { expected: Kind::Directory, found: kind })?;
                }
                (Role::None, Kind::Directory) if expected > 0 => empty += 1,
                (Role::None, kind) => found(&inner, Difference::Extra { found: kind })?,
            }
            if let (Kind::Directory, Some(text)) = (kind, text)
                && text.split('/').count() < DEPTH
            {
                below.push(text.to_owned());
            }
        }
        pending.append(&mut below);
    }
    if empty != expected {
        found(Path::new(""), Difference::EmptyFolders { expected, found: empty })?;
    }
    Ok(())
}

impl Names {
    fn of(known: &Known) -> io::Result<Self> {
        let mut names = Self { keys: RandomState::new(), files: Vec::new(), folders: HashSet::new() };
        let mut files = known.files();
        while let Some(file) = files.next()? {
            names.files.push(names.keys.hash_one(&*file.path));
            let mut path = &*file.path;
            while let Some((parent, _)) = path.rsplit_once('/') {
                // Those above it were added with it.
                if !names.folders.insert(names.keys.hash_one(parent)) {
                    break;
                }
                path = parent;
            }
        }
        names.files.sort_unstable();
        Ok(names)
    }

    fn role(&self, path: &str) -> Role {
        let key = self.keys.hash_one(path);
        if self.folders.contains(&key) {
            Role::Folder
        } else if self.files.binary_search(&key).is_ok() {
            Role::File
        } else {
            Role::None
        }
    }
}
