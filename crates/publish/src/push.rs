//! Pushing an artifact to a registry: upload once, tag many.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use integrity::{Blame, OciDigest};
use oci::{Artifact, Blob, BlobDescriptor, Client, How, OciError};
use serde_json::json;
use source::OciReference;
use transport::{Patience, Retry};

use crate::progress::Told;
use crate::{Layout, Packed, Progress, Provenance, Published, Target, ValuesEntry};

/// The layer of a plugin's own tarball (contract, section 4).
const PACKAGE_LAYER: &str = "application/gzip";
/// Its file name.
const PACKAGE_TITLE: &str = "package.tgz";
/// The layer of an image (image-spec, "Image Layer Filesystem Changeset").
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The config of an image (image-spec, "Image Configuration").
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What to do about a tag or file that is there already with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and fail.
    Refuse,
    /// Replace it: whoever relies on it gets something else from then on.
    Replace,
}

/// How an artifact is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOptions {
    /// What to do about tags that point elsewhere.
    pub existing: Existing,
    /// Most bytes of one request; without it the artifact goes in one.
    pub chunk: Option<NonZeroU64>,
    /// A repository of the same registry that may hold the artifact already.
    pub mount_from: Option<String>,
}

/// An artifact that was not published, or not under all of its tags.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Tags are there with another digest.
    #[error("expected `{ours}` or nothing at {}, found {}", names(.taken), found(.taken))]
    TagExists {
        /// The digest of what was to be pushed.
        ours: OciDigest,
        /// Each such reference, and what it points to.
        taken: Vec<(String, OciDigest)>,
    },
    /// The registry did not take it.
    #[error("failed to publish the plugin{}", after(.written))]
    Registry {
        /// The references that had been written before.
        written: Vec<String>,
        /// What happened.
        source: OciError,
    },
}

impl PushError {
    /// The reason code.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TagExists { .. } => "tag_exists",
            Self::Registry { .. } => "push_failed",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::TagExists { .. } => Blame::Publisher,
            Self::Registry { source, .. } => source.blame(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TagExists { .. } => {
                Some("publish under a new tag, or move it with `--force` if no portal relies on it".to_owned())
            }
            Self::Registry { source, .. } => source.hint(),
        }
    }
}

fn names(taken: &[(String, OciDigest)]) -> String {
    let names: Vec<_> = taken.iter().map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

fn found(taken: &[(String, OciDigest)]) -> String {
    let digests: Vec<_> = taken.iter().map(|(_, digest)| format!("`{digest}`")).collect();
    digests.join(", ")
}

fn after(written: &[String]) -> String {
    if written.is_empty() { String::new() } else { format!(" after `{}` was written", written.join("`, `")) }
}

/// A registry to push to.
pub struct Registry {
    /// What speaks to it.
    pub client: Client,
    /// How often to try each step.
    pub retry: Retry,
}

impl Registry {
    /// Pushes an artifact once and tags it as often as the target says. What is there already is not sent again, and a
    /// tag is written only when the registry has named the size of what it tags.
    ///
    /// # Errors
    /// [`PushError::TagExists`] before anything is sent; otherwise what the registry answers.
    pub fn push(
        &self,
        packed: &Packed,
        target: &Target,
        provenance: &Provenance,
        options: &PushOptions,
        progress: &Arc<dyn Progress>,
        patience: Patience<'_>,
    ) -> Result<(Published, How), PushError> {
        let steps = Steps { registry: self, progress: &**progress, patience };
        let (layer, config, title) = blobs(packed, progress);
        let annotations = provenance.annotations(packed.plugins());
        let ours = Artifact::digest_of(&config.descriptor, &layer.descriptor, title, annotations.clone());

        let open = steps.tags_to_write(target, ours, options.existing)?;
        let mut how = How::Existed;
        if !open.is_empty() {
            let to = target.first();
            let sending = oci::PushOptions { chunk: options.chunk, mount_from: options.mount_from.clone() };
            let plain = oci::PushOptions::default();
            let store = |blob, options| steps.run(&[], |patience| self.client.push_blob(to, blob, options, patience));
            let layer = store(&layer, &sending)?;
            let config = store(&config, &plain)?;
            how = layer.how();
            let artifact = Artifact::new(config, layer, title, annotations);
            let mut written = Vec::new();
            for reference in open {
                steps.run(&written, |patience| self.client.push_manifest(reference, &artifact, patience))?;
                written.push(reference.to_string());
            }
        }
        Ok((published(packed, target, provenance, ours), how))
    }
}

/// Single acts against a registry, tried again where that may help.
struct Steps<'a> {
    registry: &'a Registry,
    progress: &'a dyn Progress,
    patience: Patience<'a>,
}

impl Steps<'_> {
    fn run<T>(&self, written: &[String], act: impl Fn(Patience<'_>) -> Result<T, OciError>) -> Result<T, PushError> {
        let waiting = |error: &OciError, wait: Duration| self.progress.waits(error, wait);
        let done = self.registry.retry.run(self.patience, &waiting, || act(self.patience));
        done.map_err(|source| PushError::Registry { written: written.to_vec(), source })
    }

    /// The references that do not point to our digest yet.
    fn tags_to_write<'t>(
        &self,
        target: &'t Target,
        ours: OciDigest,
        existing: Existing,
    ) -> Result<Vec<&'t OciReference>, PushError> {
        let mut open = Vec::new();
        let mut taken = Vec::new();
        for reference in target.references() {
            match self.run(&[], |patience| self.registry.client.tagged(reference, patience))? {
                Some(digest) if digest == ours => continue,
                Some(digest) if existing == Existing::Refuse => taken.push((reference.to_string(), digest)),
                Some(_) | None => {}
            }
            open.push(reference);
        }
        if taken.is_empty() { Ok(open) } else { Err(PushError::TagExists { ours, taken }) }
    }
}

/// The layer, the config, and the layer's title.
fn blobs(packed: &Packed, progress: &Arc<dyn Progress>) -> (Blob, Blob, Option<&'static str>) {
    let (media_type, config, title) = match (packed.layout, packed.diff_id) {
        (Layout::Image, Some(diff_id)) => (IMAGE_LAYER, image_config(&diff_id), None),
        _ => (PACKAGE_LAYER, Blob::empty_config(), Some(PACKAGE_TITLE)),
    };
    let descriptor = BlobDescriptor { media_type: media_type.to_owned(), digest: packed.digest, size: packed.len() };
    let content = Told { progress: Arc::clone(progress), content: Arc::clone(&packed.bytes) };
    (Blob { descriptor, content: Arc::new(content) }, config, title)
}

/// A config that says no more than it must: plugins run on every platform, and an image has to name one.
fn image_config(diff_id: &OciDigest) -> Blob {
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] },
    });
    Blob::of_bytes(IMAGE_CONFIG, config.to_string().into_bytes())
}

fn published(packed: &Packed, target: &Target, provenance: &Provenance, digest: OciDigest) -> Published {
    let entries = packed.plugins().iter().map(|plugin| {
        let path = plugin.path().map(|path| format!("!{path}")).unwrap_or_default();
        ValuesEntry { package: format!("{}{path}", target.first()), integrity: packed.integrity }
    });
    Published {
        entries: entries.collect(),
        digest: Some(digest),
        references: target.references().iter().map(ToString::to_string).collect(),
        source: provenance.source.clone(),
    }
}
