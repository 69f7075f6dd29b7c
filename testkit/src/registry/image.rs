//! Image manifests, as different clients write them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sha256_digest;

/// The media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of Docker's image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of a plugin's tarball.
pub const GZIP: &str = "application/gzip";
/// The media type of an OCI image's layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The media type of a Docker image's layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The media type of a config that says nothing (image-spec, manifest, "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// An image to push: layers, a config and what is written around them.
///
/// ```
/// use testkit::{Image, OCI_LAYER};
///
/// let layer = testkit::Plugin::backend("hello").archive_under("hello").gzip();
/// let image = Image::new(OCI_LAYER, &layer).annotation("io.backstage.dynamic-packages", "W10=");
/// assert_eq!(image.manifest()["layers"][0]["mediaType"], OCI_LAYER);
/// ```
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) manifest_type: &'static str,
    config_type: String,
    artifact_type: Option<String>,
    pub(super) layers: Vec<Layer>,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(super) struct Layer {
    media_type: String,
    title: Option<String>,
    pub(super) bytes: Vec<u8>,
}

impl Image {
    /// One layer of this type, an empty config.
    pub fn new(layer_type: &str, layer: &[u8]) -> Self {
        Self {
            manifest_type: OCI_MANIFEST,
            config_type: EMPTY.to_owned(),
            artifact_type: None,
            layers: Vec::new(),
            annotations: BTreeMap::new(),
        }
        .layer(layer_type, layer)
    }

    /// A plugin's tarball as a publisher pushes it: `application/gzip`, titled `package.tgz`.
    pub fn plugin(tarball: &[u8]) -> Self {
        let mut image = Self::new(GZIP, tarball);
        image.layers[0].title = Some("package.tgz".to_owned());
        image.artifact_type = Some("application/vnd.unknown.artifact.v1".to_owned());
        image
    }

    /// A Docker image with one layer.
    pub fn docker(layer: &[u8]) -> Self {
        let mut image = Self::new(DOCKER_LAYER, layer).config_type("application/vnd.docker.container.image.v1+json");
        image.manifest_type = DOCKER_MANIFEST;
        image
    }

    /// One more layer.
    #[must_use]
    pub fn layer(mut self, media_type: &str, bytes: &[u8]) -> Self {
        self.layers.push(Layer { media_type: media_type.to_owned(), title: None, bytes: bytes.to_vec() });
        self
    }

    /// An annotation of the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Another media type for the config.
    #[must_use]
    pub fn config_type(self, media_type: &str) -> Self {
        Self { config_type: media_type.to_owned(), ..self }
    }

    /// The manifest, for tests that change a field and push the result themselves.
    pub fn manifest(&self) -> Value {
        let layers: Vec<_> = self.layers.iter().map(Layer::descriptor).collect();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.manifest_type,
            "config": descriptor(&self.config_type, Self::CONFIG),
            "layers": layers,
        });
        if let Some(artifact_type) = &self.artifact_type {
            manifest["artifactType"] = json!(artifact_type);
        }
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        manifest
    }

    /// The content of every config.
    pub(super) const CONFIG: &[u8] = b"{}";
}

impl Layer {
    fn descriptor(&self) -> Value {
        let mut descriptor = descriptor(&self.media_type, &self.bytes);
        if let Some(title) = &self.title {
            descriptor["annotations"] = json!({ "org.opencontainers.image.title": title });
        }
        descriptor
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256_digest(bytes), "size": bytes.len() })
}
