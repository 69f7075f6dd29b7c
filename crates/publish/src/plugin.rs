//! What a plugin's `package.json` says that is told to registries and to people.

use std::io::Read;

use serde_json::{Map, Value};
use source::PluginPath;
use tarball::{Dir, Limits, Manifest};

/// The values of `package.json` that are copied into an image's annotation, as Red Hat Developer Hub's client does.
const DESCRIBING: [&str; 11] = [
    "name",
    "version",
    "description",
    "backstage",
    "homepage",
    "repository",
    "license",
    "maintainers",
    "author",
    "bugs",
    "keywords",
];

/// A plugin that is being published.
#[derive(Debug, Clone)]
pub struct Plugin {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) path: Option<PluginPath>,
    pub(crate) described: Map<String, Value>,
}

impl Plugin {
    pub(crate) fn new(manifest: &Manifest, path: Option<PluginPath>, described: Map<String, Value>) -> Self {
        Self { name: manifest.name().as_str().to_owned(), version: manifest.version().to_owned(), path, described }
    }

    /// `name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The folder of the image that holds it; `None` for a package of its own.
    pub const fn path(&self) -> Option<&PluginPath> {
        self.path.as_ref()
    }

    /// The address of its sources, as far as `repository` names one.
    pub fn repository(&self) -> Option<&str> {
        match self.described.get("repository")? {
            Value::String(url) => Some(url),
            Value::Object(repository) => repository.get("url")?.as_str(),
            _ => None,
        }
    }
}

/// Reads the describing values of a `package.json` that has been read as a manifest already.
pub(crate) fn describe(dir: &Dir, limits: &Limits) -> std::io::Result<Map<String, Value>> {
    let mut text = Vec::new();
    dir.open_file("package.json")?.take(limits.manifest).read_to_end(&mut text)?;
    let all: Map<String, Value> = serde_json::from_slice(&text)?;
    Ok(all.into_iter().filter(|(key, _)| DESCRIBING.contains(&key.as_str())).collect())
}

/// The folder that Red Hat Developer Hub's client gives a plugin in an image: its name without `@` and a `-dynamic` at
/// the end, in one component.
pub(crate) fn folder_in_image(name: &str) -> String {
    let name = name.strip_suffix("-dynamic").unwrap_or(name);
    name.trim_start_matches('@').replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_images_are_named_as_their_clients_expect() {
        for (name, folder) in [
            ("@acme/plugin-x-dynamic", "acme-plugin-x"),
            ("hello-dynamic", "hello"),
            ("hello", "hello"),
            ("@acme/x", "acme-x"),
        ] {
            assert_eq!(folder_in_image(name), folder, "{name}");
        }
    }
}
