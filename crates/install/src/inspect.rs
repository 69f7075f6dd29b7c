//! Whether a folder on the root still is what was installed.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;

use integrity::Sha256;
use tarball::{Dir, FileMode, Kind, Tree};
use transport::Stop;

use crate::state::{ContentRecord, FileRecord, Known};

/// Bytes read at once.
pub(crate) const CHUNK: usize = 128 * 1024;
/// What everybody must be able to do with a file, and with a folder.
const READABLE: u32 = 0o444;
const SEARCHABLE: u32 = 0o555;
/// What a folder is made with.
const FOLDER: u32 = 0o755;

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

/// How something on the volume differs from what was installed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Difference {
    /// It is not there.
    Missing,
    /// Nothing was installed under that name.
    Extra {
        /// What is there.
        found: Kind,
    },
    /// Something else has its name.
    Kind {
        /// What was installed.
        expected: Kind,
        /// What is there.
        found: Kind,
    },
    /// The file is longer or shorter.
    Length {
        /// Bytes that were installed.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The file has as many bytes, but others.
    Content,
    /// Others may not read it, or it is executable and was not, or the other way round.
    Mode {
        /// Permission bits it was installed with.
        expected: u32,
        /// Permission bits it has.
        found: u32,
    },
    /// The symlink points elsewhere.
    Target {
        /// Its text as it was installed.
        expected: String,
        /// Its text; what is not UTF-8 in it is replaced.
        found: String,
    },
    /// The plugin came with another number of folders in which there is no file.
    EmptyFolders {
        /// How many it came with.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// It cannot be looked at, so that nothing is known of it.
    Unreadable(io::Error),
}

impl Difference {
    /// The word that reports have for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra { .. } => "extra",
            Self::Unreadable(_) => "unreadable",
            Self::Kind { .. }
            | Self::Length { .. }
            | Self::Content
            | Self::Mode { .. }
            | Self::Target { .. }
            | Self::EmptyFolders { .. } => "changed",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::Extra { found } => write!(f, "expected nothing, found {}", article(*found)),
            Self::Kind { expected, found } => write!(f, "expected {}, found {}", article(*expected), article(*found)),
            Self::Length { expected, found } => write!(f, "expected {expected} bytes, found {found}"),
            Self::Content => f.write_str("it has other content"),
            Self::Mode { expected, found } => write!(f, "expected mode {expected:04o}, found {found:04o}"),
            Self::Target { expected, found } => write!(f, "expected the target `{expected}`, found `{found}`"),
            Self::EmptyFolders { expected, found } => {
                write!(f, "expected {expected} folder(s) without a file, found {found}")
            }
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

const fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "a folder",
        Kind::File => "a file",
        Kind::Symlink => "a symlink",
        Kind::Special => "a device, socket or pipe",
    }
}

/// Compares the folder `name` of `parent` with the record of a plugin, up to the first difference.
///
/// # Errors
/// When the volume or the record cannot be read; [`io::ErrorKind::Interrupted`] after a wish to stop.
pub(crate) fn inspect(known: &Known, parent: &Dir, name: &str, depth: Depth, stop: &Stop) -> io::Result<Condition> {
    let dir = match open_folder(parent, name) {
        Ok(dir) => dir,
        Err(difference) => return changed("the folder", difference),
    };
    let mut tree = Tree::new(&dir);
    let mut buffer = vec![0; CHUNK];
    let mut files = known.files();
    loop {
        let file = match files.next() {
            Ok(Some(file)) => file,
            Ok(None) => break,
            // Whoever wrote that: the plugin is had anew, and its record with it.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Condition::Changed(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        if stop.is_asked() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if let Err(difference) = look(&mut tree, &file, depth, &mut buffer) {
            return changed(&format!("`{}`", file.path), difference);
        }
    }
    match survey(&dir) {
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

fn changed(what: &str, difference: Difference) -> io::Result<Condition> {
    match difference {
        Difference::Unreadable(error) if !is_about_the_tree(&error) => Err(error),
        difference => Ok(Condition::Changed(format!("{what}: {difference}"))),
    }
}

/// Opens a plugin's folder.
pub(crate) fn open_folder(parent: &Dir, name: &str) -> Result<Dir, Difference> {
    parent.open_dir(name).map_err(|error| diagnose(parent.kind(name), Kind::Directory, error))
}

/// Compares one file or symlink with its record, and tells how many bytes were read for it.
pub(crate) fn look(
    tree: &mut Tree<'_>,
    file: &FileRecord<'_>,
    depth: Depth,
    buffer: &mut [u8],
) -> Result<u64, Difference> {
    match &file.content {
        ContentRecord::Symlink { target } => match tree.read_link(&file.path) {
            Ok(found) if found == **target => Ok(0),
            Ok(found) => {
                let found = found.to_string_lossy().into_owned();
                Err(Difference::Target { expected: target.clone().into_owned(), found })
            }
            Err(error) => Err(diagnose(kind(tree, &file.path), Kind::Symlink, error)),
        },
        ContentRecord::Regular { len, sha256, executable } => {
            let mut on_disk =
                tree.open_file(&file.path).map_err(|error| diagnose(kind(tree, &file.path), Kind::File, error))?;
            let metadata = on_disk.metadata().map_err(Difference::Unreadable)?;
            if metadata.len() != *len {
                return Err(Difference::Length { expected: *len, found: metadata.len() });
            }
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & READABLE != READABLE || (mode & 0o111 != 0) != *executable {
                let expected = if *executable { FileMode::Executable } else { FileMode::Plain };
                let expected = std::fs::Permissions::from(expected).mode();
                return Err(Difference::Mode { expected, found: mode });
            }
            if depth == Depth::Outline {
                return Ok(0);
            }
            match Sha256::of_reader(&mut on_disk, buffer) {
                Ok(found) if found == *sha256 => Ok(*len),
                Ok(_) => Err(Difference::Content),
                Err(error) => Err(Difference::Unreadable(error)),
            }
        }
    }
}

/// What is the matter with something that could not be opened as what it was installed as.
fn diagnose(seen: io::Result<Option<Kind>>, expected: Kind, error: io::Error) -> Difference {
    match seen {
        Ok(None) => Difference::Missing,
        Ok(Some(found)) if found != expected => Difference::Kind { expected, found },
        Ok(Some(_)) => Difference::Unreadable(error),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Difference::Missing
        }
        Err(error) => Difference::Unreadable(error),
    }
}

fn kind(tree: &mut Tree<'_>, path: &str) -> io::Result<Option<Kind>> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    tree.dir(parent)?.kind(name)
}

/// Errors that say what the tree is like, rather than that it cannot be read.
fn is_about_the_tree(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotFound | Kind::NotADirectory | Kind::IsADirectory | Kind::InvalidInput | Kind::PermissionDenied
    )
}

/// What is wrong with a folder that not everybody may read.
pub(crate) fn closed(dir: &Dir) -> io::Result<Option<Difference>> {
    let found = dir.permissions()?.mode() & 0o7777;
    Ok((found & SEARCHABLE != SEARCHABLE).then_some(Difference::Mode { expected: FOLDER, found }))
}

/// What is in a folder, by number.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Everything that is no directory.
    pub(crate) files: u64,
    pub(crate) folders: u64,
    /// A directory that not everybody may read.
    pub(crate) closed: Option<String>,
}

/// Directories are visited depth first by path, with a bounded number of handles; their names are kept for one way down
/// only.
pub(crate) fn survey(dir: &Dir) -> io::Result<Survey> {
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
        if closed(dir)?.is_some() {
            survey.closed = Some(path);
        }
        pending.append(&mut below);
    }
    Ok(survey)
}
