//! Whether a folder on the root still is what was installed.

use std::io;
use std::os::unix::fs::PermissionsExt;

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
pub(crate) fn inspect(known: &Known, parent: &Dir, name: &str, depth: Depth, stop: &Stop) -> io::Result<Condition> {
    match parent.open_dir(name) {
        Ok(dir) => compare(known, &dir, depth, stop),
        Err(error) if is_about_the_tree(&error) => Ok(Condition::Changed("the folder is missing".to_owned())),
        Err(error) => Err(error),
    }
}

fn compare(known: &Known, dir: &Dir, depth: Depth, stop: &Stop) -> io::Result<Condition> {
    let mut tree = Tree::new(dir);
    let mut buffer = vec![0; CHUNK];
    let mut files = known.files();
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
    match survey(dir) {
        Ok(Survey { closed: Some(path), .. }) => Ok(Condition::Changed(format!("`{path}/` is not open to all"))),
        Ok(Survey { files, .. }) if files != known.record.files => {
            Ok(Condition::Changed(format!("expected {} files, found {files}", known.record.files)))
        }
        Ok(Survey { folders, .. }) if folders != known.record.folders => {
            Ok(Condition::Changed(format!("expected {} folders, found {folders}", known.record.folders)))
        }
        Ok(_) => Ok(Condition::Intact),
        Err(error) if is_about_the_tree(&error) => {
            Ok(Condition::Changed("it holds a folder that cannot be read".to_owned()))
        }
        Err(error) => Err(error),
    }
}

fn is_as_recorded(tree: &mut Tree<'_>, file: &FileRecord<'_>, depth: Depth, buffer: &mut [u8]) -> io::Result<bool> {
    match &file.content {
        ContentRecord::Symlink { target } => Ok(tree.read_link(&file.path)? == **target),
        ContentRecord::Regular { len, sha256, executable } => {
            let mut on_disk = tree.open_file(&file.path)?;
            let metadata = on_disk.metadata()?;
            let mode = metadata.permissions().mode();
            if metadata.len() != *len || mode & 0o444 != 0o444 || (mode & 0o111 != 0) != *executable {
                return Ok(false);
            }
            Ok(depth == Depth::Outline || Sha256::of_reader(&mut on_disk, buffer)? == *sha256)
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

/// What is in a folder, by number.
#[derive(Debug, Default)]
struct Survey {
    /// Everything that is no directory.
    files: u64,
    folders: u64,
    /// A directory that not everybody may read.
    closed: Option<String>,
}

/// Directories are visited depth first by path, with a bounded number of handles; their names are kept for one way down
/// only.
fn survey(dir: &Dir) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mut tree = Tree::new(dir);
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        let mut below = Vec::new();
        let dir = tree.dir(&path)?;
        for entry in dir.entries()? {
            let (name, kind) = entry?;
            if kind != Kind::Directory {
                survey.files += 1;
                continue;
            }
            survey.folders += 1;
            let Some(name) = name.to_str() else { return Err(io::ErrorKind::InvalidInput.into()) };
            below.push(if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") });
        }
        if dir.permissions()?.mode() & 0o555 != 0o555 {
            survey.closed = Some(path);
        }
        pending.append(&mut below);
    }
    Ok(survey)
}
