//! A folder's content, byte for byte, to be compared with another one's.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Everything below a folder, by its path there.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Content(BTreeMap<String, Item>);

/// One thing in a folder.
#[derive(Clone, PartialEq, Eq)]
enum Item {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { target: PathBuf },
    Special,
}

impl Content {
    /// Reads all that is below `folder`; symlinks are read, never followed.
    ///
    /// # Errors
    /// Something cannot be read, or went away meanwhile.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let (content, complete) = Self::through(folder);
        complete.map(|()| content)
    }

    /// The same with what was read before it failed.
    pub(super) fn through(folder: &Path) -> (Self, io::Result<()>) {
        let mut content = Self::default();
        let complete = content.read(folder);
        (content, complete)
    }

    fn read(&mut self, folder: &Path) -> io::Result<()> {
        let mut pending = vec![String::new()];
        while let Some(above) = pending.pop() {
            for entry in fs::read_dir(folder.join(&above))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if above.is_empty() { name } else { format!("{above}/{name}") };
                let item = Item::at(&entry.path())?;
                if matches!(item, Item::Folder { .. }) {
                    pending.push(path.clone());
                }
                self.0.insert(path, item);
            }
        }
        Ok(())
    }

    /// All but what has a name that begins so.
    pub(super) fn without(mut self, prefix: &str) -> Self {
        self.0.retain(|path, _| !path.starts_with(prefix));
        self
    }

    /// The paths of the files, in order.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, item)| matches!(item, Item::File { .. })).map(|(path, _)| path.as_str())
    }

    /// The first thing that `found` has differently, in words.
    pub(super) fn difference(&self, found: &Self) -> Option<String> {
        let differs = |path: &&String| self.0.get(*path) != found.0.get(*path);
        let path = self.0.keys().chain(found.0.keys()).find(differs)?;
        let shown = |item: Option<&Item>| item.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        Some(format!("`{path}`: expected {}, found {}", shown(self.0.get(path)), shown(found.0.get(path))))
    }

    /// Whether all that is here is in `whole` as well: a copy of which something may be missing.
    pub(super) fn is_part_of(&self, whole: &Self) -> bool {
        self.0.iter().all(|(path, item)| whole.0.get(path) == Some(item))
    }
}

impl Item {
    fn at(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        let mode = meta.permissions().mode() & 0o7777;
        let kind = meta.file_type();
        Ok(if kind.is_dir() {
            Self::Folder { mode }
        } else if kind.is_symlink() {
            Self::Link { target: fs::read_link(path)? }
        } else if kind.is_file() {
            Self::File { mode, bytes: fs::read(path)? }
        } else {
            Self::Special
        })
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { mode } => write!(f, "a folder of mode {mode:o}"),
            Self::File { mode, bytes } => {
                write!(f, "a file of mode {mode:o}, {} bytes, {}", bytes.len(), testkit::sha256_digest(bytes))
            }
            Self::Link { target } => write!(f, "a symlink to `{}`", target.display()),
            Self::Special => f.write_str("neither file nor folder"),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(path, item)| (path, item.to_string()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_change_is_a_difference() {
        type Act = fn(&Path) -> io::Result<()>;
        let rows: [(&str, Act); 7] = [
            ("other bytes of the same length", |at| fs::write(at.join("lib/a.js"), "2")),
            ("a longer file", |at| fs::write(at.join("lib/a.js"), "12")),
            ("another mode", |at| fs::set_permissions(at.join("lib/a.js"), fs::Permissions::from_mode(0o600))),
            ("a missing file", |at| fs::remove_file(at.join("lib/a.js"))),
            ("an extra folder", |at| fs::create_dir(at.join("lib/more"))),
            ("an extra dot file", |at| fs::write(at.join(".more"), "")),
            ("another target", |at| {
                fs::remove_file(at.join("link"))?;
                std::os::unix::fs::symlink("lib/b.js", at.join("link"))
            }),
        ];
        for (name, act) in rows {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("lib")).unwrap();
            fs::write(folder.path().join("lib/a.js"), "1").unwrap();
            std::os::unix::fs::symlink("lib/a.js", folder.path().join("link")).unwrap();
            let before = Content::of(folder.path()).unwrap();
            assert_eq!(before.difference(&Content::of(folder.path()).unwrap()), None, "{name}");
            act(folder.path()).unwrap();
            let after = Content::of(folder.path()).unwrap();
            assert!(before.difference(&after).is_some(), "{name}");
            assert_eq!(after.is_part_of(&before), name == "a missing file", "{name}");
        }
    }
}
