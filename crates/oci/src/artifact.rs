//! A manifest of blobs that are there, and the tag that makes it known (image-spec, "Image Manifest").

use std::collections::BTreeMap;
use std::sync::Arc;

use integrity::{Algorithm, OciDigest};
use serde::Serialize;
use source::OciReference;
use transport::{Body, Method, Patience, Request, Upload};

use crate::client::{document_request, named_digest, read_bytes};
use crate::conversation::{Conversation, Redirects};
use crate::error::Act;
use crate::manifest::OCI_MANIFEST;
use crate::push::{expect_digest, repository_of};
use crate::{BlobDescriptor, Client, Failure, OciError, Stored};

/// The media type of a config that says nothing.
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// What an artifact with such a config is. It has to be something; other tools write this when nobody tells them.
const ARTIFACT_TYPE: &str = "application/vnd.unknown.artifact.v1";
/// The annotation with a layer's file name.
const TITLE: &str = "org.opencontainers.image.title";

/// A manifest that is ready to be written, of one config and one layer. The same input makes the same bytes.
///
/// It is made of [`Stored`] blobs only, so that nothing is tagged that cannot be pulled.
///
/// ```compile_fail,E0308
/// fn hasty(config: oci::Blob, layer: oci::Blob) -> oci::Artifact {
///     oci::Artifact::new(config, layer, Some("package.tgz"), Default::default())
/// }
/// ```
///
/// ```
/// fn patient(config: oci::Stored, layer: oci::Stored) -> oci::Artifact {
///     oci::Artifact::new(config, layer, Some("package.tgz"), Default::default())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Artifact {
    blobs: [Stored; 2],
    bytes: Vec<u8>,
    digest: OciDigest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson<'a> {
    schema_version: u64,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'static str>,
    config: DescriptorJson<'a>,
    layers: [DescriptorJson<'a>; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorJson<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'a str>,
}

impl Artifact {
    /// A manifest of these blobs. `layer_title` is the layer's file name.
    pub fn new(
        config: Stored,
        layer: Stored,
        layer_title: Option<&str>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let bytes = manifest(config.descriptor(), layer.descriptor(), layer_title, annotations);
        let digest = OciDigest::of(Algorithm::Sha256, &bytes);
        Self { blobs: [config, layer], bytes, digest }
    }

    /// The digest that [`new`](Self::new) comes to, before the blobs are stored.
    pub fn digest_of(
        config: &BlobDescriptor,
        layer: &BlobDescriptor,
        layer_title: Option<&str>,
        annotations: BTreeMap<String, String>,
    ) -> OciDigest {
        OciDigest::of(Algorithm::Sha256, &manifest(config, layer, layer_title, annotations))
    }

    /// The manifest that [`new`](Self::new) comes to, for whoever keeps it in a place that is no registry.
    pub fn bytes_of(
        config: &BlobDescriptor,
        layer: &BlobDescriptor,
        layer_title: Option<&str>,
        annotations: BTreeMap<String, String>,
    ) -> Vec<u8> {
        manifest(config, layer, layer_title, annotations)
    }

    /// The digest by which it can be pulled.
    pub const fn digest(&self) -> OciDigest {
        self.digest
    }

    /// The manifest as it is written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Client {
    /// What the reference's tag (else its digest) points to now; `None` where there is no such tag, or no such
    /// repository yet.
    ///
    /// It is asked as somebody who is about to push: registries hide what is not there from those who may only read.
    ///
    /// # Errors
    /// Whatever else the registry answers, and the end of patience.
    pub fn tagged(&self, reference: &OciReference, patience: Patience<'_>) -> Result<Option<OciDigest>, OciError> {
        let tag = reference.tag().map(str::to_owned);
        let tag = tag.or_else(|| reference.digest().map(ToString::to_string)).unwrap_or_default();
        match look_up(&Conversation::push(self, reference, None, patience), &tag) {
            Ok(digest) => Ok(Some(digest)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(why) => Err(self.error(Act::LookUpTag, reference, why)),
        }
    }

    /// Writes a manifest under the reference's tag, or without one where it has none. A tag that is there already is
    /// moved: see [`tagged`](Self::tagged).
    ///
    /// A registry that does not say which digest it stored is asked for the manifest, which must be this one.
    ///
    /// # Errors
    /// When the manifest's blobs were stored in another repository, or when it is larger than readers take: then nothing
    /// is sent. Whatever the registry answers, another digest or content included; and the end of patience.
    pub fn push_manifest(
        &self,
        to: &OciReference,
        artifact: &Artifact,
        patience: Patience<'_>,
    ) -> Result<OciDigest, OciError> {
        write(&Conversation::push(self, to, None, patience), to, artifact)
            .map_err(|why| self.error(Act::PushManifest, to, why))
    }
}

fn look_up(conversation: &Conversation<'_>, tag: &str) -> Result<OciDigest, Failure> {
    let request = Request { method: Method::Head, ..document_request(conversation, tag)? };
    let named = match conversation.ask(request, "tag", Redirects::SameOrigin) {
        Ok(answer) => named_digest(&answer)?,
        Err(failure) if failure.is_about_method() => None,
        Err(failure) => return Err(failure),
    };
    match named {
        Some(digest) => Ok(digest),
        None => read_bytes(conversation, tag, None).map(|(digest, ..)| digest),
    }
}

fn write(conversation: &Conversation<'_>, to: &OciReference, artifact: &Artifact) -> Result<OciDigest, Failure> {
    let expected = repository_of(to);
    if let Some(blob) = artifact.blobs.iter().find(|blob| blob.repository() != expected) {
        return Err(Failure::Elsewhere { expected, found: blob.repository().to_owned() });
    }
    let (size, limit) = (artifact.bytes.len(), conversation.client.limits.manifest_bytes);
    if size > limit {
        return Err(Failure::ManifestTooLarge { limit, size });
    }
    let name = to.tag().map_or_else(|| artifact.digest.to_string(), str::to_owned);
    let body = Body::Upload(Upload::whole(Arc::new(artifact.bytes.clone()), OCI_MANIFEST));
    let request = Request::get(conversation.url(&format!("manifests/{name}"))?);
    let request = Request { method: Method::Put, body, ..request };
    let answer = conversation.ask(request, "repository", Redirects::None)?;
    let named = expect_digest(&answer, &artifact.digest)?;
    conversation.drain(answer);
    if named.is_none() {
        prove(conversation, &name, &artifact.digest)?;
    }
    Ok(artifact.digest)
}

/// Reads what was written.
fn prove(conversation: &Conversation<'_>, name: &str, expected: &OciDigest) -> Result<(), Failure> {
    let server = conversation.registry.to_string();
    let found = match read_bytes(conversation, name, None) {
        Ok((found, ..)) if found == *expected => return Ok(()),
        Ok((found, ..)) => format!("`{found}`"),
        Err(Failure::DigestMismatch { found, .. }) => format!("`{found}`"),
        Err(Failure::NotFound { .. }) => "nothing".to_owned(),
        Err(other) => return Err(other),
    };
    Err(Failure::StoredOther { server, expected: format!("`{expected}`"), found })
}

fn manifest(
    config: &BlobDescriptor,
    layer: &BlobDescriptor,
    layer_title: Option<&str>,
    annotations: BTreeMap<String, String>,
) -> Vec<u8> {
    let manifest = ManifestJson {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        artifact_type: (config.media_type == EMPTY).then_some(ARTIFACT_TYPE),
        config: describe(config, None),
        layers: [describe(layer, layer_title)],
        annotations,
    };
    serde_json::to_vec(&manifest).expect("texts and numbers are JSON")
}

fn describe<'a>(descriptor: &'a BlobDescriptor, title: Option<&'a str>) -> DescriptorJson<'a> {
    DescriptorJson {
        media_type: &descriptor.media_type,
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: title.map(|title| (TITLE, title)).into_iter().collect(),
    }
}
