//! From verified bytes to an unpacked plugin that nobody sees yet.

use std::io::{self, BufWriter, Write};

use config::Dialect;
use fetch::{Origin, Spool};
use integrity::{OciDigest, Verified};
use tarball::{Destination, EntryPath, Layout, Limits, Manifest, Record, Written, unpack_layers};
use transport::Stop;

use crate::Rejection;
use crate::staging::{Names, Staging};
use crate::state::FileRecord;

/// A plugin unpacked beside its destination. Only `stage` makes one, from verified bytes.
///
/// ```compile_fail,E0451
/// fn forge(manifest: tarball::Manifest, destination: tarball::Destination) -> install::Staged {
///     install::Staged { manifest, destination, origin: None, files: 0, folders: 0, bytes: 0 }
/// }
/// ```
///
/// ```
/// fn name(staged: &install::Staged) -> &str {
///     staged.manifest().name().as_str()
/// }
/// ```
#[must_use = "a staged plugin is meant to be committed"]
#[derive(Debug)]
pub struct Staged {
    manifest: Manifest,
    destination: Destination,
    origin: Option<OciDigest>,
    files: u64,
    folders: u64,
    bytes: u64,
    /// Whether the artifact came out of the cache, so that nobody was asked for it.
    pub(crate) cached: bool,
    pub(crate) names: Names,
}

impl Staged {
    /// What its `package.json` says.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its folder in the root.
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The registry's manifest that led to the artifact, if it came from one.
    pub const fn origin(&self) -> Option<&OciDigest> {
        self.origin.as_ref()
    }

    /// How many files and links it has.
    pub const fn files(&self) -> u64 {
        self.files
    }

    /// How many folders it has, its own not counted.
    pub const fn folders(&self) -> u64 {
        self.folders
    }

    /// How many bytes the artifact had.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Staging {
    /// Unpacks a plugin into a folder of its own.
    pub(crate) fn stage(
        &self,
        number: usize,
        layers: &mut [Verified<Spool>],
        origin: &Origin,
        dialect: Dialect,
        limits: &Limits,
        stop: &Stop,
    ) -> Result<Staged, Rejection> {
        let layout = match &origin.plugin_path {
            Some(path) => {
                EntryPath::parse(path.as_str().as_bytes(), limits).map(Layout::Folder).map_err(Rejection::PluginPath)?
            }
            None => Layout::Package,
        };
        let host = |act| move |source| Rejection::Host { act, source };
        let names = Self::names(number);
        let into = self.dir().and_then(|dir| dir.create_dir(&names.folder)).map_err(host("make a staging folder"))?;
        let list = self.create(&names.files).map_err(host("make a list of files"))?;
        let mut journal = Journal { out: BufWriter::new(list), stop };
        let unpacked = unpack_layers(layers, &layout, &into, limits, &mut journal).map_err(Rejection::Unpack)?;
        journal.out.flush().map_err(host("write a list of files"))?;
        let (files, folders) = (unpacked.files(), unpacked.folders());
        let bytes = layers.iter().map(Verified::len).fold(0, u64::saturating_add);
        let manifest = unpacked.manifest().clone();
        let destination = destination(dialect, origin, &manifest)?;
        Ok(Staged { manifest, destination, origin: origin.manifest, files, folders, bytes, cached: false, names })
    }
}

/// Where a plugin goes: in RHDH's dialect to the folder that its users know it by.
fn destination(dialect: Dialect, origin: &Origin, manifest: &Manifest) -> Result<Destination, Rejection> {
    match (dialect, &origin.plugin_path) {
        (Dialect::Butler, _) => Ok(manifest.name().destination()),
        (Dialect::Rhdh, Some(path)) => Destination::of_folder(path.as_str()).map_err(Rejection::Folder),
        (Dialect::Rhdh, None) => Destination::packed(manifest.name(), manifest.version()).map_err(Rejection::Folder),
    }
}

/// Lists files while they are written.
struct Journal<'a, W: Write> {
    out: W,
    stop: &'a Stop,
}

impl<W: Write> Record for Journal<'_, W> {
    fn written(&mut self, entry: &Written<'_>) -> io::Result<()> {
        FileRecord::of(entry).write(&mut self.out)
    }

    fn stopped(&self) -> bool {
        self.stop.is_asked()
    }
}
