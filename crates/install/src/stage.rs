//! From verified bytes to an unpacked plugin that nobody sees yet.

use std::io::{self, BufWriter, Write};

use fetch::{Origin, Spool};
use integrity::{OciDigest, Verified};
use tarball::{EntryPath, Layout, Limits, Manifest, Record, Written, unpack};
use transport::Stop;

use crate::Rejection;
use crate::staging::{Names, Staging};
use crate::state::FileRecord;

/// A plugin unpacked beside its destination. Only `stage` makes one, from verified bytes.
///
/// ```compile_fail,E0451
/// fn forge(manifest: tarball::Manifest) -> install::Staged {
///     install::Staged { manifest, origin: None, files: 0, folders: 0, bytes: 0 }
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
        artifact: &mut Verified<Spool>,
        origin: &Origin,
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
        let unpacked = unpack(artifact, &layout, &into, limits, &mut journal).map_err(Rejection::Unpack)?;
        journal.out.flush().map_err(host("write a list of files"))?;
        let (files, folders, bytes) = (unpacked.files(), unpacked.folders(), artifact.len());
        Ok(Staged {
            manifest: unpacked.manifest().clone(),
            origin: origin.manifest,
            files,
            folders,
            bytes,
            cached: false,
            names,
        })
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
