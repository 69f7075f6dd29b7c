//! What is to be packed: a plugin's folder that holds a usable `package.json`.

use crate::{Dir, EntryPath, Limits, Manifest, PackError, read_manifest};

/// A plugin's folder, proved to hold a usable `package.json`, and the name it gets on top of the archive.
///
/// Only [`open`](Self::open) makes one:
///
/// ```compile_fail,E0451
/// fn forge(dir: tarball::Dir, top: tarball::EntryPath, manifest: tarball::Manifest) -> tarball::Folder {
///     tarball::Folder { dir, top, manifest }
/// }
/// ```
///
/// ```
/// fn prove(dir: tarball::Dir) -> Result<tarball::Folder, tarball::PackError> {
///     tarball::Folder::open(dir, "package", &tarball::Limits::default())
/// }
/// ```
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    top: EntryPath,
    manifest: Manifest,
}

impl Folder {
    /// Reads the `package.json` of `dir`, which goes into an archive as `top`: `package`, or a plugin path of an image.
    ///
    /// # Errors
    /// [`PackError::Top`] if `top` is no path that may be unpacked, [`PackError::Manifest`] if there is no usable
    /// `package.json`.
    pub fn open(dir: Dir, top: &str, limits: &Limits) -> Result<Self, PackError> {
        let top = EntryPath::parse(top.as_bytes(), limits).map_err(|source| PackError::top(top, source))?;
        let manifest = read_manifest(&dir, limits)?;
        Ok(Self { dir, top, manifest })
    }

    /// What its `package.json` says.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its path in the archive, components joined by `/`.
    pub fn top(&self) -> &str {
        self.top.as_str()
    }

    /// The folder itself.
    pub const fn dir(&self) -> &Dir {
        &self.dir
    }
}
