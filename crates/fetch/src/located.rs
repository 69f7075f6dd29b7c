//! Between the question where an artifact is and its bytes.

use std::time::Duration;

use integrity::OciDigest;
use oci::{Answered, Resolved};
use source::{Allowed, HttpsUrl, OciReference, PluginPath};

use crate::npm::NpmArtifact;

/// An allowed source whose artifact is known by its digest, where it comes from a registry.
#[derive(Debug, Clone)]
pub struct Located {
    pub(crate) place: Place,
    /// Of the plugin's time.
    pub(crate) spent: Duration,
}

/// Where it comes from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Oci(Allowed<OciReference>, Box<Resolved>),
    Https(Allowed<HttpsUrl>),
    Npm(String, Box<NpmArtifact>),
}

/// What a registry said about an artifact; an https server says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The digest of what the reference leads to: the manifest, or the index that names it for each platform.
    pub named: Option<OciDigest>,
    /// The digest of the manifest that led to it.
    pub manifest: Option<OciDigest>,
    /// The digests by which the manifest names the layers, the lowest first.
    pub layers: Vec<OciDigest>,
    /// The folder of the image that holds the plugin; `None` where the tarball is the plugin.
    pub plugin_path: Option<PluginPath>,
}

impl Located {
    /// The artifact's size in bytes, which only registries tell beforehand.
    pub fn size(&self) -> Option<u64> {
        match &self.place {
            Place::Oci(_, resolved) => Some(resolved.size()),
            Place::Https(_) | Place::Npm(..) => None,
        }
    }

    /// The digest of the manifest that leads to the artifact, if it is in a registry.
    pub fn manifest(&self) -> Option<&OciDigest> {
        match &self.place {
            Place::Oci(_, resolved) => Some(&resolved.manifest),
            Place::Https(_) | Place::Npm(..) => None,
        }
    }

    /// The folder of an image that holds the plugin, if it is not all of it.
    pub fn plugin_path(&self) -> Option<&PluginPath> {
        match &self.place {
            Place::Oci(_, resolved) => resolved.plugin_path.as_ref(),
            Place::Https(_) | Place::Npm(..) => None,
        }
    }

    /// The name and the version that a registry of npm has for it.
    pub fn package(&self) -> Option<(&str, &str)> {
        match &self.place {
            Place::Npm(_, artifact) => Some((artifact.name.as_str(), &artifact.version)),
            Place::Oci(..) | Place::Https(_) => None,
        }
    }

    /// Which of a registry's places answered.
    pub fn answered(&self) -> Option<&Answered> {
        match &self.place {
            Place::Oci(_, resolved) => Some(&resolved.answered),
            Place::Https(_) | Place::Npm(..) => None,
        }
    }

    /// What its registry said of it so far.
    pub(crate) fn origin(&self) -> Origin {
        match &self.place {
            Place::Oci(_, resolved) => Origin {
                named: Some(resolved.named),
                manifest: Some(resolved.manifest),
                layers: resolved.layers.iter().map(|layer| layer.digest).collect(),
                plugin_path: resolved.plugin_path.clone(),
            },
            Place::Https(_) | Place::Npm(..) => Origin::default(),
        }
    }
}
