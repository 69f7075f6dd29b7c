//! Whether a folder on the root still is what was installed.

use std::io;

use integrity::Sha256;
use tarball::{Dir, Kind, Tree};
use transport::Stop;

use crate::state::{ContentRecord, FileRecord, Known};

/// Bytes read at once.
const CHUNK: usize = 128 * 1024;

/// What an inspection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Every file is as recorded, and there is no other.
    Intact,
    /// Something differs: what, and where.
    Changed(String),
}

/// How closely an inspection looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// At every byte.
    Content,
    /// At kinds, lengths, modes and link targets.
    Outline,
}

/// Compares the folder `name` of `parent` with the record of a plugin.
pub(crate) fn inspect(
    root: &Dir,
    known: &Known,
    parent: &Dir,
    name: &str,
    depth: Depth,
    stop: &Stop,
) -> io::Result<Condition> {
    match parent.open_dir(name) {
        Ok(dir) => compare(root, known, &dir, depth, stop),
        Err(error) if is_about_the_tree(&error) => Ok(Condition::Changed("the folder is missing".to_owned())),
        Err(error) => Err(error),
    }
}

fn compare(root: &Dir, known: &Known, dir: &Dir, depth: Depth, stop: &Stop) -> io::Result<Condition> {
    let mut tree = Tree::new(dir);
    let mut buffer = vec![0; CHUNK];
    let mut files = known.files(root)?;
    while let Some(file) = files.next()? {
        if stop.is_asked() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match is_as_recorded(&mut tree, &file, depth, &mut buffer) {
            Ok(true) => {}
            Ok(false) => return Ok(Condition::Changed(format!("`{}` has other content", file.path))),
            Err(error) if is_about_the_tree(&error) => {
                return Ok(Condition::Changed(format!("`{}` is missing or of another kind", file.path)));
            }
            Err(error) => return Err(error),
        }
    }
    let found = match count_leaves(dir) {
        Err(error) if is_about_the_tree(&error) => {
            return Ok(Condition::Changed("it holds a folder that cannot be read".to_owned()));
        }
        found => found?,
    };
    if found != known.record.files {
        return Ok(Condition::Changed(format!("expected {} files, found {found}", known.record.files)));
    }
    Ok(Condition::Intact)
}

fn is_as_recorded(tree: &mut Tree<'_>, file: &FileRecord, depth: Depth, buffer: &mut [u8]) -> io::Result<bool> {
    match &file.content {
        ContentRecord::Target(target) => Ok(tree.read_link(&file.path)? == target.as_str()),
        ContentRecord::Sha256 { hex, len, executable } => {
            let mut on_disk = tree.open_file(&file.path)?;
            let metadata = on_disk.metadata()?;
            let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
            if metadata.len() != *len || mode & 0o444 != 0o444 || (mode & 0o111 != 0) != *executable {
                return Ok(false);
            }
            Ok(depth == Depth::Outline || Sha256::of_reader(&mut on_disk, buffer)? == ContentRecord::sha256(hex)?)
        }
    }
}

/// Errors that say what the tree is like, rather than that it cannot be read.
fn is_about_the_tree(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotFound | Kind::NotADirectory | Kind::IsADirectory | Kind::InvalidInput | Kind::PermissionDenied
    )
}

/// Counts everything that is no directory. Directories are visited depth first by path, with a bounded number of
/// handles; their names are kept for one way down only.
fn count_leaves(dir: &Dir) -> io::Result<u64> {
    let mut count = 0;
    let mut tree = Tree::new(dir);
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        let mut below = Vec::new();
        for entry in tree.dir(&path)?.entries()? {
            let (name, kind) = entry?;
            if kind != Kind::Directory {
                count += 1;
                continue;
            }
            let Some(name) = name.to_str() else { return Err(io::ErrorKind::InvalidInput.into()) };
            below.push(if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") });
        }
        pending.append(&mut below);
    }
    Ok(count)
}
