//! From a verified artifact to a tree of files.

use std::cell::RefCell;
use std::io::{self, Read, Seek, Write};
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use integrity::{DigestWriter, Sha256, Verified};

use crate::dir::{Dir, FileMode};
use crate::entry_path::{EntryPath, split};
use crate::error::{Exceeded, Unsafe};
use crate::expand::Expanded;
use crate::inflate::Inflater;
use crate::layout::{Layout, Selection};
use crate::links::{self, LinkFault, Links};
use crate::manifest::{Manifest, read_manifest};
use crate::reader::{Entry, EntryKind, Tar, is_a_folders};
use crate::tree::Tree;
use crate::{Limits, UnpackError};

/// Bytes of a hard link's target that are hashed before the next look for a wish to stop.
const CHUNK: u64 = 128 * 1024;

/// Told what is written, while it is written.
pub trait Record {
    /// A file or symlink is in place.
    ///
    /// # Errors
    /// An error ends the unpacking.
    fn written(&mut self, entry: &Written<'_>) -> io::Result<()>;

    /// Asked before each entry and for each 256 KiB expanded, written or not: whether to stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// A file or symlink of an unpacked plugin. Folders are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'a> {
    /// The path within the plugin, components joined by `/`.
    pub path: &'a str,
    /// What is there.
    pub content: Content<'a>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A regular file, or one more name of one.
    Regular {
        /// Its length in bytes.
        len: u64,
        /// The digest of its bytes.
        sha256: Sha256,
        /// Its mode.
        mode: FileMode,
    },
    /// A relative symlink that stays in the plugin.
    Symlink {
        /// Its text.
        target: &'a str,
    },
}

/// A plugin on disk: every entry was accepted, and the artifact was read to its end.
#[must_use = "an unpacked plugin is meant to be installed"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    manifest: Manifest,
    files: u64,
    folders: u64,
    bytes: u64,
}

impl Unpacked {
    /// What its `package.json` says.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many files and symlinks were written.
    pub const fn files(&self) -> u64 {
        self.files
    }

    /// How many folders were made.
    pub const fn folders(&self) -> u64 {
        self.folders
    }

    /// How many bytes the files have, each hard link counted as a copy.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Unpacks `artifact`, a gzipped tar, into the empty directory `into`.
///
/// Files get mode `0644`, or `0755` if any execute bit is set; folders `0755`. Owners, times and attributes are
/// ignored. Any entry that is not acceptable rejects the whole archive; what was written is for the caller to remove.
///
/// Nothing but a [`Verified`] artifact is taken:
///
/// ```compile_fail,E0308
/// # use tarball::{Dir, Layout, Limits, Record, Unpacked, UnpackError, unpack};
/// fn install(artifact: &mut std::fs::File, into: &Dir, record: &mut dyn Record) -> Result<Unpacked, UnpackError> {
///     unpack(artifact, &Layout::Package, into, &Limits::default(), record)
/// }
/// ```
///
/// ```
/// # use tarball::{Dir, Layout, Limits, Record, Unpacked, UnpackError, unpack};
/// fn install(
///     artifact: &mut integrity::Verified<std::fs::File>,
///     into: &Dir,
///     record: &mut dyn Record,
/// ) -> Result<Unpacked, UnpackError> {
///     unpack(artifact, &Layout::Package, into, &Limits::default(), record)
/// }
/// ```
///
/// # Errors
/// [`UnpackError`] says what is wrong, with which entry.
pub fn unpack<R: Read + Seek + Send>(
    artifact: &mut Verified<R>,
    layout: &Layout,
    into: &Dir,
    limits: &Limits,
    record: &mut dyn Record,
) -> Result<Unpacked, UnpackError> {
    artifact.rewind().map_err(|source| UnpackError::Artifact { source })?;
    let compressed = artifact.len();
    let record = RefCell::new(record);
    let stopped = || record.borrow().stopped();
    let unpacking = Unpacking {
        layout,
        limits,
        tree: Tree::new(into),
        links: Links::default(),
        record: &record,
        path: String::new(),
        files: 0,
        bytes: 0,
    };
    let inflater = Inflater::new(artifact, compressed, limits);
    let Unpacking { files, bytes, tree, .. } = thread::scope(|scope| {
        let stream = Expanded::new(inflater, compressed, &stopped, scope);
        unpacking.all(Tar::new(stream, limits))
    })?;
    Ok(Unpacked { manifest: read_manifest(into, limits)?, files, folders: tree.made(), bytes })
}

struct Unpacking<'a, 'r> {
    layout: &'a Layout,
    limits: &'a Limits,
    tree: Tree<'a>,
    links: Links,
    /// Shared with what expands the archive, which asks it whether to stop.
    record: &'a RefCell<&'r mut dyn Record>,
    /// Room for the next path.
    path: String,
    files: u64,
    bytes: u64,
}

impl Unpacking<'_, '_> {
    fn all(mut self, mut tar: Tar<'_>) -> Result<Self, UnpackError> {
        let mut selection = Selection::new(self.layout);
        let mut name = Vec::new();
        while let Some(entry) = tar.next(name)? {
            self.entry(&mut tar, &mut selection, &entry)?;
            self.count_opened(&entry.name)?;
            name = entry.name;
        }
        selection.finish()?;
        self.symlinks()?;
        Ok(self)
    }

    fn entry(&mut self, tar: &mut Tar<'_>, selection: &mut Selection<'_>, entry: &Entry) -> Result<(), UnpackError> {
        go_on(self.record)?;
        if matches!(entry.kind, EntryKind::Directory) && matches!(&*entry.name, b"." | b"./") {
            // The folder that was packed; it has no name to be unpacked to.
            return Ok(());
        }
        let path = EntryPath::parse_in(mem::take(&mut self.path), &entry.name, self.limits)
            .map_err(|source| UnpackError::name(&entry.name, source))?;
        self.at(&path, tar, selection, entry)?;
        self.path = path.into_buffer();
        Ok(())
    }

    fn at(
        &mut self,
        path: &EntryPath,
        tar: &mut Tar<'_>,
        selection: &mut Selection<'_>,
        entry: &Entry,
    ) -> Result<(), UnpackError> {
        let place = selection.place(path, &entry.kind)?;
        match (&entry.kind, place) {
            (EntryKind::Directory, Some(place)) => {
                self.tree.make_dir(place).map_err(|error| blocked(place, error))?;
                Ok(())
            }
            (EntryKind::File { executable, len }, Some(place)) => {
                let mode = if *executable { FileMode::Executable } else { FileMode::Plain };
                self.file(tar, place, mode, *len)
            }
            (EntryKind::Directory | EntryKind::File { .. }, None) => Ok(()),
            (EntryKind::Symlink { target }, place) => {
                let refused = |fault: LinkFault| fault.unpacking(path.as_str());
                let target = links::target(target, self.limits).map_err(refused)?;
                match place {
                    Some(place) => {
                        self.links.defer(place, target, self.limits).map_err(|exceeded| limit(place, exceeded))
                    }
                    None => links::stays_inside(path.as_str(), target).map_err(refused),
                }
            }
            (EntryKind::HardLink { target }, _) if is_a_folders(target) => {
                Err(UnpackError::unsafe_entry(&entry.name, Unsafe::HardLink))
            }
            (EntryKind::HardLink { target }, place) => {
                let target =
                    EntryPath::parse(target, self.limits).map_err(|source| UnpackError::name(&entry.name, source))?;
                match place {
                    Some(place) => self.hard_link(place, &target),
                    None if selection.has_file(&target) && target != *path => Ok(()),
                    None => Err(UnpackError::unsafe_entry(&entry.name, Unsafe::HardLink)),
                }
            }
        }
    }

    fn file(&mut self, tar: &mut Tar<'_>, place: &str, mode: FileMode, len: u64) -> Result<(), UnpackError> {
        self.count(place, len)?;
        let file = self.tree.make_file(place, mode).map_err(|error| blocked(place, error))?;
        let mut file = DigestWriter::new(file);
        loop {
            match tar.piece()? {
                [] => break,
                piece => file.write_all(piece).map_err(|error| UnpackError::host("write", place, error))?,
            }
        }
        let sha256 = file.finish();
        self.told(&Written { path: place, content: Content::Regular { len, sha256, mode } })
    }

    /// A hard link is one more name of an earlier file. There is no symlink on disk yet that could lead elsewhere.
    fn hard_link(&mut self, place: &str, target: &EntryPath) -> Result<(), UnpackError> {
        let refused = || UnpackError::unsafe_entry(place.as_bytes(), Unsafe::HardLink);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => refused(),
            _ => UnpackError::host("open the target of", place, error),
        };
        let source = self.layout.within(target).filter(|source| !source.is_empty()).ok_or_else(refused)?;
        let (parent, name) = split(source);
        let dir = self.tree.dir(parent).and_then(Dir::try_clone).map_err(failed)?;
        let mut file = dir.open_file(name).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let mode = if executable { FileMode::Executable } else { FileMode::Plain };
        let len = metadata.len();
        self.count(place, len)?;
        let mut digest = DigestWriter::new(io::sink());
        loop {
            go_on(self.record)?;
            let read = io::copy(&mut (&mut file).take(CHUNK), &mut digest);
            if read.map_err(|error| UnpackError::host("read", source, error))? == 0 {
                break;
            }
        }
        let sha256 = digest.finish();
        let (parent, new) = split(place);
        let linked = self.tree.make_dir(parent).and_then(|to| dir.hard_link(name, to, new));
        linked.map_err(|error| blocked(place, error))?;
        self.told(&Written { path: place, content: Content::Regular { len, sha256, mode } })
    }

    fn symlinks(&mut self) -> Result<(), UnpackError> {
        for link in self.links.iter() {
            go_on(self.record)?;
            let (parent, name) = split(&link.path);
            let made = self.tree.make_dir(parent).and_then(|dir| dir.symlink(&*link.target, name));
            made.map_err(|error| blocked(&link.path, error))?;
            self.count_opened(link.path.as_bytes())?;
        }
        let links = std::mem::take(&mut self.links);
        let mut steps = 0;
        for link in links.iter() {
            go_on(self.record)?;
            links::prove(&mut self.tree, link, self.limits, &mut steps).map_err(|fault| fault.unpacking(&link.path))?;
            self.told(&Written { path: &link.path, content: Content::Symlink { target: &link.target } })?;
        }
        Ok(())
    }

    /// Hard links cost no space and are read again by everyone who hashes the tree, so they count like files.
    fn count(&mut self, place: &str, len: u64) -> Result<(), UnpackError> {
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > self.limits.expanded {
            return Err(limit(place, Exceeded::Expanded { max: self.limits.expanded }));
        }
        Ok(())
    }

    /// Entries that go from one deep folder to another cost little in an archive, and much to place.
    fn count_opened(&self, entry: &[u8]) -> Result<(), UnpackError> {
        let max = self.limits.opened;
        if self.tree.opened() > max {
            return Err(UnpackError::from(Exceeded::Opened { max }).with_entry(entry));
        }
        Ok(())
    }

    fn told(&mut self, written: &Written<'_>) -> Result<(), UnpackError> {
        self.files += 1;
        self.record.borrow_mut().written(written).map_err(|error| UnpackError::host("record", written.path, error))
    }
}

fn go_on(record: &RefCell<&mut dyn Record>) -> Result<(), UnpackError> {
    if record.borrow().stopped() { Err(UnpackError::Stopped) } else { Ok(()) }
}

fn limit(place: &str, exceeded: Exceeded) -> UnpackError {
    UnpackError::from(exceeded).with_entry(place.as_bytes())
}

/// What stands in the way on disk was put there by an earlier entry.
fn blocked(place: &str, error: io::Error) -> UnpackError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => UnpackError::unsafe_entry(place.as_bytes(), Unsafe::Duplicate),
        io::ErrorKind::NotADirectory => UnpackError::unsafe_entry(place.as_bytes(), Unsafe::BelowFile),
        _ => UnpackError::host("create", place, error),
    }
}
