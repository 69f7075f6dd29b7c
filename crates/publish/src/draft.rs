//! What an author wants published, before it is packed.

use std::io::{self, Write};

use source::PluginPath;
use tarball::{Dir, Folder, Limits, PackError, Packing};

use crate::file::{artifact_limit, fits};
use crate::plugin::{describe, folder_in_image};
use crate::{PackedError, Plugin};

/// What becomes of the folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One plugin as `package/…` in a tarball of its own.
    Package,
    /// Plugins side by side, `<plugin-path>/…` each, in the layer of an OCI image as Red Hat Developer Hub installs it.
    Image,
}

/// One plugin's folder, or several for an image. Each has a usable `package.json`.
#[derive(Debug)]
pub struct Draft {
    layout: Layout,
    folders: Vec<Folder>,
    plugins: Vec<Plugin>,
}

impl Draft {
    /// A plugin to be packed for itself.
    ///
    /// # Errors
    /// A `package.json` that is missing or cannot be used.
    pub fn package(dir: Dir, limits: &Limits) -> Result<Self, PackedError> {
        let folder = Folder::open(dir, "package", limits)?;
        let plugin = plugin(&folder, None, limits)?;
        Ok(Self { layout: Layout::Package, folders: vec![folder], plugins: vec![plugin] })
    }

    /// Plugins to be packed into one image, in that order.
    ///
    /// # Errors
    /// A `package.json` that is missing or cannot be used, and a name that no folder can have.
    pub fn image(dirs: Vec<Dir>, limits: &Limits) -> Result<Self, PackedError> {
        let mut draft = Self { layout: Layout::Image, folders: Vec::new(), plugins: Vec::new() };
        for dir in dirs {
            let manifest = tarball::read_manifest(&dir, limits).map_err(PackError::from)?;
            let name = manifest.name().as_str();
            let path = PluginPath::parse(&folder_in_image(name))
                .map_err(|why| PackedError::PluginPath { name: name.to_owned(), why })?;
            let folder = Folder::open(dir, path.as_str(), limits)?;
            draft.plugins.push(plugin(&folder, Some(path), limits)?);
            draft.folders.push(folder);
        }
        Ok(draft)
    }

    /// What becomes of the folders.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The plugins, in the order of their folders.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// Packs the folders: the same ones always give the same bytes.
    ///
    /// # Errors
    /// Entries that no portal would take, secrets, files that change meanwhile or cannot be read, and more bytes than an
    /// installer takes, which have all been written then.
    pub fn pack<W: Write>(&self, into: W, packing: &Packing) -> Result<tarball::Packed<W>, PackedError> {
        self.pack_within(artifact_limit(), into, packing)
    }

    fn pack_within<W: Write>(&self, limit: u64, into: W, packing: &Packing) -> Result<tarball::Packed<W>, PackedError> {
        let packed = tarball::pack(&self.folders, into, packing)?;
        fits(limit, packed.len())?;
        Ok(packed)
    }
}

fn plugin(folder: &Folder, path: Option<PluginPath>, limits: &Limits) -> Result<Plugin, PackError> {
    let described = describe(folder.dir(), limits).map_err(host)?;
    Ok(Plugin::new(folder.manifest(), path, described))
}

fn host(source: io::Error) -> PackError {
    PackError::Manifest(tarball::ManifestError::Io { source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    use tarball::{FileMode, SecretFiles};

    fn folder(temp: &tempfile::TempDir, name: &str) -> Dir {
        let dir = Dir::open(temp.path()).unwrap();
        let package = format!(r#"{{"name": "{name}", "version": "1.0.0", "backstage": {{"role": "backend-plugin"}}}}"#);
        dir.create_file("package.json", FileMode::Plain).unwrap().write_all(package.as_bytes()).unwrap();
        dir
    }

    #[test]
    fn a_name_that_leaves_no_folder_for_an_image_is_the_publishers_to_change() {
        let temp = tempfile::tempdir().unwrap();
        let error = Draft::image(vec![folder(&temp, "-dynamic")], &Limits::default()).unwrap_err();
        assert_eq!((error.reason(), error.blame()), ("manifest_invalid", integrity::Blame::Publisher));
        assert!(error.to_string().contains("found `-dynamic`: "), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn an_archive_may_be_as_large_as_installers_take_and_no_larger() {
        let temp = tempfile::tempdir().unwrap();
        let draft = Draft::package(folder(&temp, "hello"), &Limits::default()).unwrap();
        let packing =
            Packing { limits: Limits::default(), secret_files: SecretFiles::Refuse, threads: NonZeroUsize::MIN };
        let len = draft.pack(io::sink(), &packing).unwrap().len();
        assert_eq!(draft.pack_within(len, io::sink(), &packing).unwrap().len(), len);
        let error = draft.pack_within(len - 1, io::sink(), &packing).unwrap_err();
        assert_eq!((error.reason(), error.blame()), ("artifact_too_large", integrity::Blame::Publisher));
    }
}
