//! What an author wants published, before it is packed.

use std::io::{self, Write};

use source::PluginPath;
use tarball::{Dir, Folder, Limits, PackError, Packing};

use crate::Plugin;
use crate::plugin::{describe, folder_in_image};

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
    pub fn package(dir: Dir, limits: &Limits) -> Result<Self, PackError> {
        let folder = Folder::open(dir, "package", limits)?;
        let plugin = plugin(&folder, None, limits)?;
        Ok(Self { layout: Layout::Package, folders: vec![folder], plugins: vec![plugin] })
    }

    /// Plugins to be packed into one image, in that order.
    ///
    /// # Errors
    /// A `package.json` that is missing or cannot be used.
    pub fn image(dirs: Vec<Dir>, limits: &Limits) -> Result<Self, PackError> {
        let mut draft = Self { layout: Layout::Image, folders: Vec::new(), plugins: Vec::new() };
        for dir in dirs {
            let name = tarball::read_manifest(&dir, limits)?;
            let top = folder_in_image(name.name().as_str());
            let folder = Folder::open(dir, &top, limits)?;
            let path = PluginPath::parse(&top).map_err(|_| io::ErrorKind::InvalidInput);
            let path = path.map_err(|kind| host(kind.into()))?;
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
    /// Entries that no portal would take, secrets, and files that change meanwhile or cannot be read.
    pub fn pack<W: Write>(&self, into: W, packing: &Packing) -> Result<tarball::Packed<W>, PackError> {
        tarball::pack(&self.folders, into, packing)
    }
}

fn plugin(folder: &Folder, path: Option<PluginPath>, limits: &Limits) -> Result<Plugin, PackError> {
    let described = describe(folder.dir(), limits).map_err(host)?;
    Ok(Plugin::new(folder.manifest(), path, described))
}

fn host(source: io::Error) -> PackError {
    PackError::Manifest(tarball::ManifestError::Io { source })
}
