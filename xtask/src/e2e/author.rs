//! One published plugin in a real portal: for whoever releases it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::installer::{Installer, OnReject, Trust, Wanted, list};
use super::market::Entry;
use super::portal::{self, Portal};
use super::stage::{Stage, ok};

/// Installs it, boots a portal on it, and fails unless the portal has it as its role says.
pub(super) fn run(entry: &Entry, screenshot: Option<PathBuf>) -> anyhow::Result<()> {
    let stage = Stage::set(screenshot)?;
    stage.explain(try_out(&stage, entry))
}

fn try_out(stage: &Stage, entry: &Entry) -> anyhow::Result<()> {
    let root = stage.folder.join("root");
    let installer = Installer::new(stage.installer.clone(), Trust::Environment, stage.folder.clone());
    let run = installer.run("install-plugin", &list(OnReject::Stop, &[], &[Wanted::plain(entry)]), &root)?;
    run.expect_status(0)?;
    run.expect_line(&["event=plugin_installed", "digest_verified=ok"])?;
    let plugin = Plugin::read(&root)?;
    ok(&format!("`{}` is installed: {}", plugin.name, entry.package));

    let portal = stage.boot("plugin", &root)?;
    let seen = portal.seen(&plugin.name)?.with_context(|| format!("the portal has not found `{}`", plugin.name))?;
    ensure!(seen.failure.is_none(), "expected the portal to load `{}`, found {:?}", plugin.name, seen.failure);
    ok(&format!("the portal has loaded version {}", seen.version));
    plugin.expect(stage, &portal)
}

/// What its `package.json` says.
struct Plugin {
    name: String,
    role: String,
    id: Option<String>,
}

impl Plugin {
    /// The only one on a root.
    fn read(root: &Path) -> anyhow::Result<Self> {
        let folders = portal::plugins_on(root)?;
        let [folder] = folders.as_slice() else { bail!("expected one plugin on the root, found {folders:?}") };
        let text = fs::read(root.join(folder).join("package.json")).context("could not read its `package.json`")?;
        let manifest: Value = serde_json::from_slice(&text).context("its `package.json` is not JSON")?;
        let text = |of: &Value| of.as_str().map(str::to_owned);
        let backstage = &manifest["backstage"];
        Ok(Self {
            name: text(&manifest["name"]).context("its `package.json` has no name")?,
            role: text(&backstage["role"]).context("its `package.json` has no role")?,
            id: text(&backstage["pluginId"]),
        })
    }

    fn expect(&self, stage: &Stage, portal: &Portal) -> anyhow::Result<()> {
        match self.role.as_str() {
            "frontend-plugin" | "frontend-plugin-module" => {
                portal.expect_remote(&self.name)?;
                ok("it is among the portal's remotes, with its manifest and its entry");
                stage.visit(portal, "/")?.expect_loaded(&self.name)?;
                ok("a browser loads it");
            }
            "backend-plugin" => {
                let id = self.id.as_deref().context("its `package.json` has no `backstage.pluginId`")?;
                portal.expect_registered(id)?;
                ok(&format!("it is registered at /api/{id}/"));
            }
            // The plugin that it is a part of is not on this host.
            "backend-plugin-module" => ok("more cannot be said of a module without its plugin"),
            role => bail!("expected the role of a plugin or a module, found `{role}`"),
        }
        Ok(())
    }
}
