//! A portal: the host, booted on a root as the chart does it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::host::Host;
use super::http::{self, Answer};
use super::process::{self, Running};
use crate::workspace;

/// A boot takes a few seconds; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(3);
/// What the installer makes of each `pluginConfig`.
const MERGED_CONFIG: &str = "app-config.dynamic-plugins.yaml";
/// Where a Backstage backend lists its remotes, and below which it serves them.
pub(super) const REMOTES: &str = "/.backstage/dynamic-features/remotes";
/// Every plugin that is registered says here with which keys it signs, whoever asks.
const SIGNING_KEYS: &str = ".backstage/auth/v1/jwks.json";

/// A portal that serves until it is dropped.
pub(super) struct Portal {
    process: Running,
    port: u16,
    /// A guest's.
    token: String,
    /// Removed when nobody is left to write there.
    _home: TempDir,
}

/// What the host says of a plugin on its root.
pub(super) struct Seen {
    pub(super) version: String,
    /// Why it could not be loaded.
    pub(super) failure: Option<String>,
}

impl Portal {
    /// Boots, waits until it is ready, and signs in as a guest.
    pub(super) fn boot(host: &Host, page: &Path, root: &Path, log: &Path) -> anyhow::Result<Self> {
        let port = process::free_port()?;
        let home = tempfile::tempdir().context("could not create a home folder for the portal")?;
        let mut node = process::stranger("node", home.path());
        node.args(["index.js", "--config", "app-config.yaml"]).current_dir(host.folder());
        if root.join(MERGED_CONFIG).exists() {
            node.arg("--config").arg(root.join(MERGED_CONFIG));
        }
        node.env("NODE_ENV", "production")
            .env("NODE_PATH", host.folder().join("node_modules"))
            .env("DYNAMIC_PLUGINS_ROOT", root)
            .env("PORTAL_PORT", port.to_string())
            .env("PORTAL_PAGE", page);
        let mut process = Running::start("the portal", &mut node, log)?;
        process.wait_until(PATIENCE, || {
            http::get(port, "/.backstage/health/v1/readiness", None).is_ok_and(|answer| answer.status == 200)
        })?;
        let guest = http::get(port, "/api/auth/guest/refresh", None)?.json()?;
        let token = guest["backstageIdentity"]["token"].as_str().context("a guest gets no token")?.to_owned();
        Ok(Self { process, port, token, _home: home })
    }

    /// What a guest gets.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        http::get(self.port, path, Some(&self.token))
    }

    /// A path as a browser on this machine has it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What has become of the plugin with that name, if the portal has found it.
    pub(super) fn seen(&self, package: &str) -> anyhow::Result<Option<Seen>> {
        let plugins = self.get("/witness/plugins")?.json()?;
        let plugins = plugins.as_array().context("the witness tells no list")?;
        let text = |of: &Value| of.as_str().map(str::to_owned);
        let seen = |plugin: &Value| {
            let version = text(&plugin["version"]).context("the witness tells no version")?;
            Ok(Seen { version, failure: text(&plugin["failure"]) })
        };
        plugins.iter().find(|plugin| plugin["name"] == package).map(seen).transpose()
    }

    /// Fails unless it answers each of the probes that our manifests give to a cluster.
    pub(super) fn expect_probes(&self) -> anyhow::Result<()> {
        let file = workspace::root().join("docs/deploy/base/deployment.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))?;
        let deployment = testkit::yaml(&text);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let path =
                container[probe]["httpGet"]["path"].as_str().with_context(|| format!("there is no `{probe}`"))?;
            http::get(self.port, path, None)?.good()?;
        }
        Ok(())
    }

    /// Fails if the plugins' process has this variable.
    pub(super) fn expect_no_variable(&self, name: &str) -> anyhow::Result<()> {
        let variables = self.get("/witness/variables")?.json()?;
        let variables = variables.as_array().context("the witness tells no list")?;
        ensure!(variables.contains(&"PATH".into()), "expected `PATH` among the portal's variables");
        ensure!(!variables.contains(&name.into()), "expected no `{name}` among the portal's variables");
        Ok(())
    }

    /// The frontends that it offers, as it lists them.
    pub(super) fn remotes(&self) -> anyhow::Result<Vec<Remote>> {
        let remotes = self.get(REMOTES)?.json()?;
        let remotes = remotes.as_array().context("the remotes are no list")?;
        let remote = |remote: &Value| {
            let entry = remote["remoteInfo"]["entry"].as_str()?.strip_prefix(&self.url(""))?;
            Some(Remote { package: remote["packageName"].as_str()?.to_owned(), manifest: entry.to_owned() })
        };
        remotes.iter().map(remote).collect::<Option<_>>().with_context(|| format!("a remote is not whole: {remotes:?}"))
    }

    /// Fails unless this plugin is among the remotes, and its manifest and the entry that this one names can be fetched.
    pub(super) fn expect_remote(&self, package: &str) -> anyhow::Result<()> {
        let remotes = self.remotes()?;
        let remote = remotes.iter().find(|remote| remote.package == package);
        let Remote { manifest: at, .. } = remote.with_context(|| format!("expected `{package}` among the remotes"))?;
        let manifest = self.get(at)?.json()?;
        let entry = &manifest["metaData"]["remoteEntry"]["name"];
        let entry = entry.as_str().with_context(|| format!("expected the name of an entry at `{at}`"))?;
        let (folder, _) = at.rsplit_once('/').context("a manifest lies in a folder")?;
        let script = self.get(&format!("{folder}/{entry}"))?.good()?;
        ensure!(!script.is_empty(), "expected a script at `{folder}/{entry}`, found nothing");
        Ok(())
    }

    /// Fails unless a plugin with that id is registered, whatever its routes are.
    pub(super) fn expect_registered(&self, plugin_id: &str) -> anyhow::Result<()> {
        let keys = |id: &str| http::get(self.port, &format!("/api/{id}/{SIGNING_KEYS}"), None);
        // Else the next answer would mean nothing.
        let nobody = keys("nobody-has-this-id")?.status;
        ensure!(nobody == 404, "expected 404 for a plugin that is not there, found {nobody}");
        keys(plugin_id)?.good().map(drop)
    }

    /// The first line of its log that holds all of `words`.
    pub(super) fn logged(&self, words: &[&str]) -> anyhow::Result<String> {
        let log = self.process.log()?;
        let line = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
        line.map(str::to_owned).with_context(|| format!("expected a line with `{}` in the log", words.join("`, `")))
    }
}

/// A frontend plugin that a portal offers.
pub(super) struct Remote {
    /// Its `package.json`'s name.
    pub(super) package: String,
    /// The path of its manifest.
    pub(super) manifest: String,
}

/// Sorted names of the plugins' folders on a root.
pub(super) fn plugins_on(root: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(root).with_context(|| format!("could not list `{}`", root.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join("package.json").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
