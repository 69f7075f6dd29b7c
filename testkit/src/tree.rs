//! What a folder holds, as text that two runs can be compared by.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use integrity::Sha256;

const READ_BUFFER: usize = 64 * 1024;

/// A folder's content: one line an entry, sorted by path, `mode kind path` and then a file's SHA-256 or a symlink's
/// target.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let before = testkit::Tree::of(folder.path())?;
/// assert_eq!(before.to_string(), "");
/// assert_eq!(before, testkit::Tree::of(folder.path())?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Tree(Vec<String>);

impl Tree {
    /// Everything below a folder; symlinks are read, never followed.
    ///
    /// # Errors
    /// Something that cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        Self::walk(folder, |_| String::new())
    }

    /// The same with owner, group and time of change on each line: proof that nobody touched it.
    ///
    /// # Errors
    /// Something that cannot be read.
    pub fn with_owners_and_times(folder: &Path) -> io::Result<Self> {
        Self::walk(folder, |meta| format!(" {}:{} {}.{:09}", meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec()))
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// Whether the folder holds nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn walk(folder: &Path, more: fn(&Metadata) -> String) -> io::Result<Self> {
        let mut lines = Vec::new();
        visit(folder, folder, more, &mut lines)?;
        // By path, so that two trees that differ in one mode differ in one line.
        lines.sort();
        Ok(Self(lines.into_iter().map(|(_, line)| line).collect()))
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

fn visit(
    root: &Path,
    folder: &Path,
    more: fn(&Metadata) -> String,
    lines: &mut Vec<(String, String)>,
) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        let meta = fs::symlink_metadata(&path)?;
        let kind = meta.file_type();
        let (kind, content) = if kind.is_dir() {
            visit(root, &path, more, lines)?;
            ("dir", String::new())
        } else if kind.is_symlink() {
            ("link", format!(" -> {}", fs::read_link(&path)?.display()))
        } else if kind.is_file() {
            ("file", format!(" {}", sha256_of(&path)?))
        } else {
            ("special", String::new())
        };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string().escape_debug().to_string();
        let line = format!("{:04o} {kind} {name}{content}{}", meta.mode() & 0o7777, more(&meta));
        lines.push((name, line));
    }
    Ok(())
}

fn sha256_of(path: &Path) -> io::Result<Sha256> {
    Sha256::of_reader(&mut fs::File::open(path)?, &mut vec![0; READ_BUFFER])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_entry_has_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        file.write_all(b"hello").unwrap();
        file.persist(folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b\n")).unwrap();
        let tree = Tree::of(folder.path()).unwrap();
        assert_eq!(
            tree.lines(),
            ["0600 file a 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "0777 link b\\n -> a",]
        );
        assert_ne!(tree, Tree::with_owners_and_times(folder.path()).unwrap());
    }
}
