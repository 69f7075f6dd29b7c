//! Plugins as the exporter leaves them, made in code.

use std::collections::BTreeMap;

use integrity::{Algorithm, OciDigest};
use serde_json::{Value, json};

use crate::Tarball;

/// What the portal mounts of a frontend.
const ROUTES: &str = "{ dynamicRoutes: [{ path: '/hello', importName: 'Page' }] }";

/// A plugin that a portal would accept: a valid `package.json` and the files its role needs.
///
/// ```
/// let plugin = testkit::Plugin::backend("hello").version("1.2.3").file("dist/extra.js", "module.exports = {};");
/// let bytes = plugin.tarball();
/// assert!(testkit::sri(&bytes).starts_with("sha512-"));
/// ```
#[derive(Debug, Clone)]
pub struct Plugin {
    manifest: Value,
    files: BTreeMap<String, Vec<u8>>,
}

impl Plugin {
    /// A backend plugin with a `dist/index.cjs.js` whose default export is an empty feature.
    pub fn backend(name: &str) -> Self {
        Self::new(name, "backend-plugin")
            .field("main", json!("dist/index.cjs.js"))
            .file("dist/index.cjs.js", "exports.default = { $$type: '@backstage/BackendFeature' };\n")
    }

    /// A frontend plugin with the Module Federation manifest that the portal reads, and one page.
    pub fn frontend(name: &str) -> Self {
        let global = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let manifest = json!({
            "id": global,
            "name": global,
            "metaData": {
                "name": global,
                "type": "app",
                "globalName": global,
                "publicPath": "auto",
                "remoteEntry": { "name": "remoteEntry.js", "path": "", "type": "jsonp" },
            },
            "shared": [],
            "remotes": [],
            "exposes": [{ "id": format!("{global}:."), "name": ".", "path": ".", "assets": {
                "js": { "sync": [], "async": [] }, "css": { "sync": [], "async": [] },
            } }],
        });
        Self::new(name, "frontend-plugin")
            .field("main", json!("dist/remoteEntry.js"))
            .file("dist/mf-manifest.json", manifest.to_string())
            .file("dist/remoteEntry.js", format!("var {global} = {{ Page, dynamicPluginsExports: {ROUTES} }};\n"))
    }

    fn new(name: &str, role: &str) -> Self {
        let manifest = json!({ "name": name, "version": "1.0.0", "backstage": { "role": role } });
        Self { manifest, files: BTreeMap::new() }
    }

    /// Another version than `1.0.0`.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.field("version", json!(version))
    }

    /// A top-level field of `package.json`, added or replaced.
    #[must_use]
    pub fn field(mut self, key: &str, value: Value) -> Self {
        self.manifest[key] = value;
        self
    }

    /// A file, added or replaced; `path` is relative to the plugin's own folder.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), content.as_ref().to_vec());
        self
    }

    /// The plugin under `package/`, open for more entries.
    pub fn archive(&self) -> Tarball {
        self.archive_under("package")
    }

    /// The plugin under another folder, as images that hold several plugins have it.
    pub fn archive_under(&self, top: &str) -> Tarball {
        self.add_to(Tarball::new(), top)
    }

    /// Adds the plugin to an archive under the folder `top`.
    pub fn add_to(&self, archive: Tarball, top: &str) -> Tarball {
        let manifest = serde_json::to_vec_pretty(&self.manifest).expect("a JSON value serialises");
        let archive = archive.dir(top).file(format!("{top}/package.json"), manifest);
        self.files.iter().fold(archive, |archive, (path, content)| archive.file(format!("{top}/{path}"), content))
    }

    /// The bytes of `package.tgz`.
    pub fn tarball(&self) -> Vec<u8> {
        self.archive().gzip()
    }
}

/// The `sha512-…` value an operator pins for these bytes.
pub fn sri(bytes: &[u8]) -> String {
    let mut writer = integrity::HashingWriter::new(std::io::sink());
    std::io::Write::write_all(&mut writer, bytes).expect("a sink takes everything");
    writer.finish().integrity().to_string()
}

/// The `sha256:…` digest a registry gives these bytes.
pub fn sha256_digest(bytes: &[u8]) -> String {
    OciDigest::of(Algorithm::Sha256, bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_plugin_has_the_same_integrity() {
        let plugin = Plugin::frontend("butler.test-dynamic").file("dist/static/a.js", "1");
        assert_eq!(sri(&plugin.tarball()), sri(&plugin.clone().tarball()));
        assert_ne!(sri(&plugin.tarball()), sri(&plugin.version("2.0.0").tarball()));
    }

    #[test]
    fn digests_have_their_usual_form() {
        assert_eq!(sha256_digest(b"hello"), "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(
            sri(b"hello"),
            "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="
        );
    }
}
