//! What is said about an artifact besides its bytes.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};

use crate::Plugin;

/// Where an artifact's sources are. All of it is told by the caller, so that the same input gives the same digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The address of the sources, without userinfo.
    pub source: Option<String>,
    /// The revision in version control.
    pub revision: Option<String>,
    /// When it was made (RFC 3339).
    pub created: Option<String>,
}

impl Provenance {
    /// A manifest's annotations (image-spec, "Pre-Defined Annotation Keys"). Title and version are those of the only
    /// plugin; several have none in common.
    pub(crate) fn annotations(&self, plugins: &[Plugin]) -> BTreeMap<String, String> {
        let (title, version) = match plugins {
            [plugin] => (Some(plugin.name.clone()), Some(plugin.version.clone())),
            _ => (None, None),
        };
        let said = [
            ("title", title),
            ("version", version),
            ("source", self.source.clone()),
            ("revision", self.revision.clone()),
            ("created", self.created.clone()),
        ];
        said.into_iter()
            .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)))
            .chain(dynamic_packages(plugins))
            .collect()
    }
}

/// The annotation by which Red Hat Developer Hub's installer finds the plugins of an image: base64 of a JSON array of
/// objects, whose keys are the plugins' folders.
fn dynamic_packages(plugins: &[Plugin]) -> Option<(String, String)> {
    let packages: Vec<Value> = plugins
        .iter()
        .filter_map(|plugin| {
            let path = plugin.path.as_ref()?;
            Some(Value::Object(Map::from_iter([(path.as_str().to_owned(), Value::Object(plugin.described.clone()))])))
        })
        .collect();
    let encoded = || Base64::encode_string(json!(packages).to_string().as_bytes());
    (!packages.is_empty()).then(|| ("io.backstage.dynamic-packages".to_owned(), encoded()))
}
