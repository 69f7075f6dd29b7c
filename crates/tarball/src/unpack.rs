//! From a verified artifact to a tree of files.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::slice;
use std::thread;

use integrity::{DigestWriter, Verified};

use crate::dir::{Dir, FileMode};
use crate::entry_path::{EntryPath, split};
use crate::error::{Exceeded, Unsafe};
use crate::expand::Expanded;
use crate::inflate::{Allowance, Inflater};
use crate::layers;
use crate::layout::{Choice, Layout, Selection};
use crate::links::{self, Link, LinkFault, Links};
use crate::manifest::read_manifest;
use crate::reader::{Entry, EntryKind, Tar, is_a_folders};
use crate::tree::Tree;
use crate::unpacked::{Content, Extracted, Record, Unpacked, Written};
use crate::walk::{Step, Walk};
use crate::whiteout::{Part, Whiteout};
use crate::{Limits, UnpackError};

/// Bytes of a hard link's target that are hashed before the next look for a wish to stop.
const CHUNK: u64 = 128 * 1024;

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
    unpack_layers(slice::from_mut(artifact), layout, into, limits, record)
}

/// Unpacks the layers of one image, the lowest first, into the empty directory `into`: [`unpack`] for several gzipped
/// tars, which together make the plugin (OCI image specification, "Image Layer Filesystem Changeset").
///
/// What a layer brings takes the place of what is there. A whiteout hides what is in the layers below, never what its
/// own layer has, wherever in the layer it stands. A folder takes the place of a file or link only by an entry of its
/// own, as others would follow the link. A single layer has nothing to hide, and in it `.wh.` is a name like any other.
/// The limits hold for all layers together.
///
/// # Errors
/// Like [`unpack`].
pub fn unpack_layers<R: Read + Seek + Send>(
    layers: &mut [Verified<R>],
    layout: &Layout,
    into: &Dir,
    limits: &Limits,
    record: &mut dyn Record,
) -> Result<Unpacked, UnpackError> {
    let mut selection = Selection::new(Choice::Plugin(layout), layers.len());
    let tree = write_all(layers, &mut selection, into, limits, record)?;
    match read_manifest(into, limits) {
        Ok(manifest) => Ok(Unpacked { manifest, tree }),
        Err(error) => Err(selection.without_manifest(error)),
    }
}

/// Unpacks parts of an image that need be no plugin, by the rules of [`unpack_layers`]: the files and folders at
/// `wanted`, as far as they are there, which keep their paths in the empty directory `into`.
///
/// # Errors
/// Like [`unpack`], but for what is said of plugins and manifests.
pub fn extract<R: Read + Seek + Send>(
    layers: &mut [Verified<R>],
    wanted: &[EntryPath],
    into: &Dir,
    limits: &Limits,
    record: &mut dyn Record,
) -> Result<Extracted, UnpackError> {
    let mut selection = Selection::new(Choice::Paths(wanted), layers.len());
    write_all(layers, &mut selection, into, limits, record)
}

fn write_all<R: Read + Seek + Send>(
    layers: &mut [Verified<R>],
    selection: &mut Selection<'_>,
    into: &Dir,
    limits: &Limits,
    record: &mut dyn Record,
) -> Result<Extracted, UnpackError> {
    let record = RefCell::new(record);
    let stopped = || record.borrow().stopped();
    let compressed = layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.len()));
    let mut allowance = Allowance::of(compressed, limits);
    let mut unpacking = Unpacking {
        selection,
        limits,
        tree: Tree::new(into),
        links: Links::default(),
        record: &record,
        path: String::new(),
        entries: 0,
        files: 0,
        bytes: 0,
    };
    for layer in layers {
        layer.rewind().map_err(|source| UnpackError::Artifact { source })?;
        let compressed = layer.len();
        let inflater = Inflater::new(layer, allowance.clone());
        let out = thread::scope(|scope| {
            let stream = Expanded::new(inflater, compressed, &stopped, scope);
            unpacking.layer(Tar::new(stream, unpacking.entries, limits))
        })?;
        allowance.spend(out);
    }
    unpacking.finish()
}

struct Unpacking<'a, 's, 'r> {
    selection: &'a mut Selection<'s>,
    limits: &'a Limits,
    tree: Tree<'a>,
    links: Links,
    /// Shared with what expands the archive, which asks it whether to stop.
    record: &'a RefCell<&'r mut dyn Record>,
    /// Room for the next path.
    path: String,
    /// Of the layers before.
    entries: u64,
    files: u64,
    bytes: u64,
}

impl Unpacking<'_, '_, '_> {
    /// Returns how many bytes the layer had, expanded.
    fn layer(&mut self, mut tar: Tar<'_>) -> Result<u64, UnpackError> {
        self.selection.next_layer();
        let mut name = Vec::new();
        while let Some(entry) = tar.next(name)? {
            self.entry(&mut tar, &entry)?;
            self.count_opened(&entry.name)?;
            name = entry.name;
        }
        self.entries = tar.entries();
        Ok(tar.out())
    }

    fn finish(mut self) -> Result<Extracted, UnpackError> {
        self.selection.prove()?;
        if self.selection.is_layered() {
            self.tell_files()?;
        }
        self.symlinks()?;
        Ok(Extracted { files: self.files, folders: self.tree.made(), bytes: self.bytes })
    }

    fn entry(&mut self, tar: &mut Tar<'_>, entry: &Entry) -> Result<(), UnpackError> {
        go_on(self.record)?;
        if matches!(entry.kind, EntryKind::Directory) && matches!(&*entry.name, b"." | b"./") {
            // The folder that was packed; it has no name to be unpacked to.
            return Ok(());
        }
        let path = EntryPath::parse_in(mem::take(&mut self.path), &entry.name, self.limits)
            .map_err(|source| UnpackError::name(&entry.name, source))?;
        self.at(&path, tar, entry)?;
        self.path = path.into_buffer();
        Ok(())
    }

    fn at(&mut self, path: &EntryPath, tar: &mut Tar<'_>, entry: &Entry) -> Result<(), UnpackError> {
        if self.selection.is_layered() {
            let whiteout = Whiteout::of(path, &entry.kind);
            if let Some(whiteout) = whiteout.map_err(|why| UnpackError::unsafe_entry(&entry.name, why))? {
                self.selection.name(path, &entry.kind)?;
                return self.hide(&whiteout);
            }
        }
        let place = self.selection.place(path, &entry.kind)?;
        if self.selection.is_layered() {
            self.make_room(path, place, &entry.kind)?;
        }
        self.selection.take(path, &entry.kind)?;
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
                    Some(place) => self.links.defer(place, target, self.limits).map_err(|fault| fault.unpacking(place)),
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
                    None if self.selection.has_file(&target) && target != *path => Ok(()),
                    None => Err(UnpackError::unsafe_entry(&entry.name, Unsafe::HardLink)),
                }
            }
        }
    }

    fn file(&mut self, tar: &mut Tar<'_>, place: &str, mode: FileMode, len: u64) -> Result<(), UnpackError> {
        self.count(place, len)?;
        let file = self.tree.make_file(place, mode).map_err(|error| blocked(place, error))?;
        if self.selection.is_layered() {
            return copy(tar, file, place);
        }
        let mut file = DigestWriter::new(file);
        copy(tar, &mut file, place)?;
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
        let source = self.selection.source(target).ok_or_else(refused)?;
        let (parent, name) = split(source);
        let dir = self.tree.dir(parent).and_then(Dir::try_clone).map_err(failed)?;
        let mut file = dir.open_file(name).map_err(failed)?;
        let content = if self.selection.is_layered() {
            self.count(place, file.metadata().map_err(failed)?.len())?;
            None
        } else {
            Some(self.content(place, &mut file)?)
        };
        let (parent, new) = split(place);
        let linked = self.tree.make_dir(parent).and_then(|to| dir.hard_link(name, to, new));
        linked.map_err(|error| blocked(place, error))?;
        content.map_or(Ok(()), |content| self.told(&Written { path: place, content }))
    }

    /// Counts and hashes a file that is on disk.
    fn content(&mut self, place: &str, file: &mut File) -> Result<Content<'static>, UnpackError> {
        let failed = |error| UnpackError::host("read", place, error);
        let metadata = file.metadata().map_err(failed)?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let mode = if executable { FileMode::Executable } else { FileMode::Plain };
        let len = metadata.len();
        self.count(place, len)?;
        let mut digest = DigestWriter::new(io::sink());
        loop {
            go_on(self.record)?;
            if io::copy(&mut file.take(CHUNK), &mut digest).map_err(failed)? == 0 {
                break;
            }
        }
        Ok(Content::Regular { len, sha256: digest.finish(), mode })
    }

    /// Hides what the layers below have, not what this one brings.
    fn hide(&mut self, whiteout: &Whiteout) -> Result<(), UnpackError> {
        let Some((place, part)) = self.selection.hidden(whiteout) else { return Ok(()) };
        self.clear(place, part)
    }

    /// Removes what an entry takes the place of, or hides though it is not written itself.
    fn make_room(&mut self, path: &EntryPath, place: Option<&str>, kind: &EntryKind) -> Result<(), UnpackError> {
        let Some(place) = place else {
            return match kind {
                EntryKind::Directory => Ok(()),
                _ => self.hide(&Whiteout { path: path.as_str().to_owned(), part: Part::Whole }),
            };
        };
        let refused = |why| UnpackError::unsafe_entry(place.as_bytes(), why);
        if self.links.stand_above(place) {
            return Err(refused(Unsafe::BelowFile));
        }
        let in_the_way = match kind {
            EntryKind::Directory => Part::Other,
            _ => Part::Whole,
        };
        self.clear(place, in_the_way)?;
        // A link is made so late that a layer above may have hidden what stands in its way.
        if matches!(kind, EntryKind::Symlink { .. })
            && self.tree.kind(place).map_err(|error| blocked(place, error))?.is_some()
        {
            return Err(refused(Unsafe::Duplicate));
        }
        Ok(())
    }

    fn clear(&mut self, place: &str, part: Part) -> Result<(), UnpackError> {
        let kept = |place: &str| self.selection.is_own(place);
        layers::clear(&mut self.tree, &mut self.links, place, part, kept)
            .map_err(|error| UnpackError::host("remove", place, error))
    }

    /// What is there is known when the last layer has hidden what it hides.
    fn tell_files(&mut self) -> Result<(), UnpackError> {
        let failed = |error| UnpackError::host("list", ".", error);
        self.bytes = 0;
        let mut walk = Walk::below("", &mut self.tree).map_err(failed)?;
        while let Some(step) = walk.next(&mut self.tree).map_err(failed)? {
            let Step::Found(path) = step else { continue };
            let file = self.tree.open_file(path);
            let content = self.content(path, &mut file.map_err(|error| UnpackError::host("read", path, error))?)?;
            self.told(&Written { path, content })?;
        }
        Ok(())
    }

    fn symlinks(&mut self) -> Result<(), UnpackError> {
        let links = mem::take(&mut self.links);
        for Link { path, target } in links.iter() {
            go_on(self.record)?;
            let (parent, name) = split(path);
            let made = self.tree.make_dir(parent).and_then(|dir| dir.symlink(target, name));
            made.map_err(|error| blocked(path, error))?;
            self.count_opened(path.as_bytes())?;
        }
        let mut steps = 0;
        for link in links.iter() {
            go_on(self.record)?;
            let Link { path, target } = link;
            links::prove(&mut self.tree, link, self.limits, &mut steps).map_err(|fault| fault.unpacking(path))?;
            self.told(&Written { path, content: Content::Symlink { target } })?;
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

fn copy(tar: &mut Tar<'_>, mut file: impl Write, place: &str) -> Result<(), UnpackError> {
    loop {
        match tar.piece()? {
            [] => return Ok(()),
            piece => file.write_all(piece).map_err(|error| UnpackError::host("write", place, error))?,
        }
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
