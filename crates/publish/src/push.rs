//! Pushing an artifact to a registry: upload once, tag many.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use integrity::{Blame, OciDigest};
use oci::{Artifact, Blob, BlobDescriptor, Client, How, OciError, Platform};
use serde_json::json;
use source::{OciReference, Source};
use transport::{Patience, Retry};

use crate::packed::Contents;
use crate::progress::Told;
use crate::{Packed, Plugin, Progress, Provenance, Published, Target, ValuesEntry};

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
    #[error("expected `{ours}` or nothing at {}, found {}{}", names(.taken), found(.taken), after(.written))]
    TagExists {
        /// The digest of what was to be pushed.
        ours: OciDigest,
        /// Each such reference.
        taken: Vec<Taken>,
        /// The references that had been written before.
        written: Vec<String>,
        /// How many other references are still to be written.
        open: usize,
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

/// A reference that leads to something else already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The reference.
    pub reference: String,
    /// What it points to.
    pub digest: OciDigest,
    /// What is there.
    pub holds: Holds,
}

/// What is behind a tag, as far as the registry tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The very plugin that was to be pushed; only what is told about it differs.
    SamePlugin,
    /// Another one, or nobody knows what.
    Other,
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
        let text = match self {
            Self::TagExists { taken, open: 0, .. } if taken.iter().all(|taken| taken.holds == Holds::SamePlugin) => {
                "nothing needs to be published: the same plugin is there, and only what is told about it differs \
                 (source, revision, time)"
            }
            Self::TagExists { .. } => {
                "publish under a new tag; move one that is meant to move, such as `latest`, with `--move-tag`, and with `--force` any"
            }
            Self::Registry { source, .. } => return source.hint(),
        };
        Some(text.to_owned())
    }
}

fn names(taken: &[Taken]) -> String {
    let names: Vec<_> = taken.iter().map(|taken| format!("`{}`", taken.reference)).collect();
    names.join(", ")
}

fn found(taken: &[Taken]) -> String {
    let digests: Vec<_> = taken.iter().map(|taken| format!("`{}`", taken.digest)).collect();
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
    /// tag is written only when the registry has named the size of what it tags. All tags are looked at before anything
    /// is sent, and each once more right before it is written; what another client writes between that look and the
    /// answer is still replaced, as registries know no condition on a tag.
    ///
    /// # Errors
    /// [`PushError::TagExists`], or what the registry answers.
    pub fn push(
        &self,
        packed: &Packed,
        target: &Target,
        provenance: &Provenance,
        options: &PushOptions,
        progress: &Arc<dyn Progress>,
        patience: Patience<'_>,
    ) -> Result<(Published, How), PushError> {
        let steps = Steps { registry: self, packed, target, options, progress: &**progress, patience };
        let (layer, config, title) = blobs(packed, progress);
        let annotations = provenance.annotations(packed.plugins());
        let ours = Artifact::digest_of(&config.descriptor, &layer.descriptor, title, annotations.clone());

        let open = steps.tags_to_write(ours)?;
        let mut how = How::Existed;
        let mut written = Vec::new();
        if !open.is_empty() {
            let to = target.first();
            let sending = oci::PushOptions { chunk: options.chunk, mount_from: options.mount_from.clone() };
            let plain = oci::PushOptions::default();
            let store = |blob, options| steps.run(&[], |patience| self.client.push_blob(to, blob, options, patience));
            let layer = store(&layer, &sending)?;
            let config = store(&config, &plain)?;
            how = layer.how();
            let artifact = Artifact::new(config, layer, title, annotations);
            for (reference, before) in open {
                steps.tag(reference, &artifact, &written)?;
                progress.tagged(reference, before.as_ref());
                written.push(reference.to_string());
            }
        }
        let published = published(packed, target, provenance, ours);
        Ok((Published { written, ..published }, how))
    }
}

/// Single acts against a registry, tried again where that may help.
struct Steps<'a> {
    registry: &'a Registry,
    packed: &'a Packed,
    target: &'a Target,
    options: &'a PushOptions,
    progress: &'a dyn Progress,
    patience: Patience<'a>,
}

impl Steps<'_> {
    fn run<T>(&self, written: &[String], act: impl Fn(Patience<'_>) -> Result<T, OciError>) -> Result<T, PushError> {
        let waiting = |error: &OciError, wait: Duration| self.progress.waits(error, wait);
        let done = self.registry.retry.run(self.patience, &waiting, || act(self.patience));
        done.map_err(|source| PushError::Registry { written: written.to_vec(), source })
    }

    fn existing(&self, reference: &OciReference) -> Existing {
        if self.target.moving().contains(reference) { Existing::Replace } else { self.options.existing }
    }

    /// The references that do not point to our digest yet, and what they point to.
    fn tags_to_write(&self, ours: OciDigest) -> Result<Vec<(&OciReference, Option<OciDigest>)>, PushError> {
        let mut open = Vec::new();
        let mut taken = Vec::new();
        for reference in self.target.references() {
            match self.run(&[], |patience| self.registry.client.tagged(reference, patience))? {
                Some(digest) if digest == ours => {}
                Some(digest) if self.existing(reference) == Existing::Refuse => {
                    taken.push(self.taken(reference, digest));
                }
                before => open.push((reference, before)),
            }
        }
        if taken.is_empty() {
            Ok(open)
        } else {
            Err(PushError::TagExists { ours, taken, written: Vec::new(), open: open.len() })
        }
    }

    /// Writes a tag, unless somebody else did meanwhile. Each try begins with a look: an earlier one may have done it,
    /// though its answer was lost.
    fn tag(&self, reference: &OciReference, artifact: &Artifact, written: &[String]) -> Result<(), PushError> {
        let client = &self.registry.client;
        let ours = artifact.digest();
        let found = self.run(written, |patience| {
            if self.existing(reference) == Existing::Refuse
                && let Some(digest) = client.tagged(reference, patience)?
            {
                return Ok(digest);
            }
            client.push_manifest(reference, artifact, patience)
        })?;
        if found == ours {
            return Ok(());
        }
        let (taken, written) = (vec![self.taken(reference, found)], written.to_vec());
        let open = self.target.references().len().saturating_sub(written.len() + 1);
        Err(PushError::TagExists { ours, taken, written, open })
    }

    fn taken(&self, reference: &OciReference, digest: OciDigest) -> Taken {
        Taken { reference: reference.to_string(), digest, holds: self.holds(reference, digest) }
    }

    /// Whether our bytes are there, if that can be had for one question.
    fn holds(&self, reference: &OciReference, digest: OciDigest) -> Holds {
        // An image of several plugins is understood when one of them is selected.
        let path = self.packed.plugins().first().and_then(Plugin::path);
        let path = path.map(|path| format!("!{path}")).unwrap_or_default();
        let Ok(Source::Oci(found)) = Source::parse(&format!("{reference}@{digest}{path}")) else {
            return Holds::Other;
        };
        match self.registry.client.resolve(&found, &Platform::this_machine(), self.patience) {
            Ok(resolved) if matches!(&*resolved.layers, [layer] if layer.digest == self.packed.digest) => {
                Holds::SamePlugin
            }
            Ok(_) | Err(_) => Holds::Other,
        }
    }
}

/// The layer, the config, and the layer's title.
fn blobs(packed: &Packed, progress: &Arc<dyn Progress>) -> (Blob, Blob, Option<&'static str>) {
    let (media_type, config, title) = match packed.contents {
        Contents::Image { diff_id } => (IMAGE_LAYER, image_config(&diff_id), None),
        Contents::Package => (PACKAGE_LAYER, Blob::empty_config(), Some(PACKAGE_TITLE)),
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
        written: Vec::new(),
        source: provenance.source.clone(),
        remarks: Vec::new(),
    }
}
