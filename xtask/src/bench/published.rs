//! Plugins in a registry of this process and as files, and what whoever installs them is told.
//!
//! The server is a thread of this process and shares the cores with whoever is measured. The tools by hand are told
//! where the blobs are, so that they need one request for each plugin and the installer two.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use integrity::{Algorithm, OciDigest};
use testkit::Registry;

use super::plugins::{Recipe, make};
use super::{Dialect, Place};

/// Plugins that can be installed, in the order of their recipes.
pub(super) struct Published {
    registry: Registry,
    plugins: Vec<Plugin>,
}

struct Plugin {
    name: String,
    /// `my-org/name`.
    repository: String,
    integrity: String,
    /// `sha256:…` of the tarball.
    digest: String,
    /// The sha512 in hex.
    sha512: String,
    tarball: PathBuf,
}

impl Published {
    pub(super) fn new(place: &Place, recipes: &[Recipe]) -> anyhow::Result<Self> {
        let registry = Registry::start();
        let publish = |made: super::plugins::Made| {
            let tarball = place.at(&format!("{}.tgz", made.name));
            fs::write(&tarball, &made.tarball).with_context(|| format!("could not write `{}`", tarball.display()))?;
            let repository = format!("my-org/{}", made.name);
            let integrity = registry.push(&repository, "1.0.0", &made.tarball).integrity;
            let digest = testkit::sha256_digest(&made.tarball);
            let sha512 = OciDigest::of(Algorithm::Sha512, &made.tarball).to_string();
            let sha512 = sha512.trim_start_matches("sha512:").to_owned();
            Ok(Plugin { name: made.name, repository, integrity, digest, sha512, tarball })
        };
        let plugins = make(recipes).into_iter().map(publish).collect::<anyhow::Result<_>>()?;
        Ok(Self { registry, plugins })
    }

    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// For the installer: the first `count` of them, from the registry at `host`.
    pub(super) fn list(&self, dialect: Dialect, count: usize, host: &str) -> String {
        self.plugins[..count].iter().fold(String::from("plugins:\n"), |mut list, plugin| {
            let Plugin { name, repository, integrity, .. } = plugin;
            let image = format!("oci://{host}/{repository}:1.0.0");
            match dialect {
                Dialect::Butler => writeln!(list, "  - package: {image}\n    integrity: {integrity}"),
                Dialect::Rhdh => writeln!(list, "  - package: {image}!{name}"),
            }
            .expect("a string");
            list
        })
    }

    /// For others, a line for each of them: the blob's URL, the image, the sha512, the tarball as a file, and the folder
    /// that it is to be unpacked to.
    pub(super) fn lines(&self, count: usize, host: &str, root: &Path) -> String {
        self.plugins[..count].iter().enumerate().fold(String::new(), |mut lines, (number, plugin)| {
            let Plugin { repository, digest, sha512, tarball, .. } = plugin;
            let folder = root.join(number.to_string());
            writeln!(
                lines,
                "http://{host}/v2/{repository}/blobs/{digest} {host}/{repository}:1.0.0 {sha512} {} {}",
                tarball.display(),
                folder.display()
            )
            .expect("a string");
            lines
        })
    }
}
