//! The installer's image, made without an engine: one layer, one config, one manifest (OCI image-spec 1.1).
//!
//! The same binary and the same certificates give the same image: no time stands in it but one for all files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use integrity::{Algorithm, OciDigest};
use oci::{Artifact, Blob};
use serde_json::{Value, json};
use testkit::{Entry, Field, Tarball};

use super::{DIST_CA_BUNDLE, IMAGE_CA_BUNDLE, IMAGE_INSTALLER, INSTALLER, RHDH_NAME};

/// How people call it, and the end of its repository's name.
const NAME: &str = "butler-portal-plugin-installer";
/// Nobody's number. It is the user that the chart's `fsGroup` is made for.
const USER: &str = "65532:65532";
/// Where a wrapped image puts the credential helpers that it brings.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The only machine that the static binaries are built for, as Go calls it.
const ARCHITECTURE: &str = "amd64";

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The time of each file: npm's, as GNU tar takes offence at 1970 (docs/decisions/0009-reproducible-archives.md).
const MTIME: u64 = 499_162_500;

/// An image that is stored nowhere yet.
pub(crate) struct Image {
    pub(super) config: Blob,
    pub(super) layer: Blob,
    /// What is told about it: in the manifest, and as labels in the config.
    pub(super) annotations: BTreeMap<String, String>,
    version: String,
}

impl Image {
    /// Packs what lies in `dist/`; `package` is what `cargo metadata` says about the installer's.
    pub(super) fn pack(dist: &Path, package: &Value) -> anyhow::Result<Self> {
        let tar = tar(dist)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&tar)?;
        let layer = Blob::of_bytes(LAYER_TYPE, gzip.finish()?);

        let text = |key: &str| package[key].as_str().with_context(|| format!("the installer's package has no {key}"));
        let annotation = |name: &str, value: &str| (format!("org.opencontainers.image.{name}"), value.to_owned());
        let annotations = BTreeMap::from([
            annotation("title", NAME),
            annotation("description", text("description")?),
            annotation("version", text("version")?),
            annotation("licenses", text("license")?),
            annotation("source", text("repository")?),
        ]);
        let config = json!({
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {
                "User": USER,
                "Env": [PATH],
                "Entrypoint": [format!("/{IMAGE_INSTALLER}")],
                "Labels": annotations,
            },
            "rootfs": { "type": "layers", "diff_ids": [OciDigest::of(Algorithm::Sha256, &tar).to_string()] },
        });
        let config = Blob::of_bytes(CONFIG_TYPE, config.to_string().into_bytes());
        Ok(Self { config, layer, annotations, version: text("version")?.to_owned() })
    }

    /// Writes it as a folder that skopeo, podman and others know as `oci:` (image-spec, "Image Layout").
    pub(super) fn write(&self, layout: &Path) -> anyhow::Result<()> {
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("could not create `{}`", blobs.display()))?;
        let write = |file: &Path, bytes: &[u8]| {
            fs::write(file, bytes).with_context(|| format!("could not write `{}`", file.display()))
        };
        let manifest = Blob::of_bytes(MANIFEST_TYPE, self.manifest());
        for blob in [&self.config, &self.layer, &manifest] {
            let mut bytes = Vec::new();
            blob.content.open(0)?.read_to_end(&mut bytes)?;
            let digest = blob.descriptor.digest.to_string();
            write(&blobs.join(digest.trim_start_matches("sha256:")), &bytes)?;
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX_TYPE,
            "manifests": [{
                "mediaType": MANIFEST_TYPE,
                "digest": manifest.descriptor.digest.to_string(),
                "size": manifest.descriptor.size,
                "platform": { "architecture": ARCHITECTURE, "os": "linux" },
                "annotations": { "org.opencontainers.image.ref.name": self.version },
            }],
        });
        write(&layout.join("index.json"), index.to_string().as_bytes())?;
        write(&layout.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    fn manifest(&self) -> Vec<u8> {
        Artifact::bytes_of(&self.config.descriptor, &self.layer.descriptor, None, self.annotations.clone())
    }
}

/// What the image's root holds: the binary, its other name, the certificates, and the folders on the way to them.
fn tar(dist: &Path) -> anyhow::Result<Vec<u8>> {
    let read = |name: &str| {
        let file = dist.join(name);
        fs::read(&file).with_context(|| format!("could not read `{}`", file.display()))
    };
    let entries = [
        Entry::dir("etc"),
        Entry::dir("etc/ssl"),
        Entry::dir("etc/ssl/certs"),
        Entry::file(IMAGE_CA_BUNDLE, read(DIST_CA_BUNDLE)?),
        Entry::link(b'2', RHDH_NAME, IMAGE_INSTALLER),
        Entry::dir("usr"),
        Entry::dir("usr/local"),
        Entry::dir("usr/local/bin"),
        Entry::file(IMAGE_INSTALLER, read(INSTALLER.package)?).mode(0o755),
    ];
    let add = |tarball: Tarball, entry: Entry| tarball.entry(entry.field(Field::Mtime, format!("{MTIME:011o}")));
    Ok(entries.into_iter().fold(Tarball::new(), add).tar())
}

#[cfg(test)]
mod tests;
