//! `cargo xtask demo`: two plugins published, installed, and a tampered one turned away, in this process and one folder.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use testkit::{Pushed, Registry, Tarball, Tree};

use crate::command::{self, cargo};
use crate::workspace;

const INSTALLER: &str = "butler-plugin-installer";
/// The installer's exit status when a plugin was rejected and the run was to be all or nothing.
const REJECTED: i32 = 1;

/// Shows the way of a plugin from a folder to the root, and of a tampered one to the log.
pub(crate) fn run() -> anyhow::Result<()> {
    command::run(&mut cargo(&["build", "--locked", "--package", INSTALLER]))?;
    let folder = tempfile::tempdir().context("could not create a folder for the demo")?;
    let portal = Portal::new(folder.path())?;
    let registry = Registry::start();

    heading("Two plugins are packed and published");
    let mut plugins = Vec::new();
    for name in ["hello-backend", "hello-frontend"] {
        let pushed = registry.push(&format!("my-org/{name}"), "1.0.0", &pack(name)?);
        println!("package:   {}\nintegrity: {}", pushed.reference, pushed.integrity);
        plugins.push(pushed);
    }

    heading("They are installed");
    let status = portal.install(&registry, &plugins)?;
    ensure!(status == Some(0), "expected the installer to exit with 0, found {status:?}");
    let installed = portal.tree()?;
    print!("\n{installed}");

    heading("Someone replaces one of them in the registry");
    let tampered = Tarball::from_folder(&source("hello-backend"))?.file("package/dist/extra.js", "steal()").gzip();
    registry.push("my-org/hello-backend", "1.0.0", &tampered);
    // As on another node: nothing is there that would make a download unnecessary.
    let portal = Portal::new(&folder.path().join("another"))?;
    let status = portal.install(&registry, &plugins)?;
    ensure!(status == Some(REJECTED), "expected the installer to exit with {REJECTED}, found {status:?}");
    print!("\n{}", portal.tree()?);
    println!("\nThe tampered plugin is not there, and neither is the other one: the run was all or nothing.");
    Ok(())
}

fn heading(text: &str) {
    println!("\n--- {text}\n");
}

fn source(name: &str) -> PathBuf {
    workspace::root().join("fixtures/plugins").join(name)
}

fn pack(name: &str) -> anyhow::Result<Vec<u8>> {
    let tarball = Tarball::from_folder(&source(name)).with_context(|| format!("could not pack `{name}`"))?;
    Ok(tarball.gzip())
}

/// What the chart gives to the installer: a file to read and a volume to fill.
struct Portal {
    config: PathBuf,
    root: PathBuf,
}

impl Portal {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let root = folder.join("dynamic-plugins-root");
        fs::create_dir_all(&root).with_context(|| format!("could not create `{}`", root.display()))?;
        Ok(Self { config: folder.join("dynamic-plugins.yaml"), root })
    }

    /// Runs the installer with an empty environment, and returns its exit status.
    fn install(&self, registry: &Registry, plugins: &[Pushed]) -> anyhow::Result<Option<i32>> {
        let mut text = format!("allowedSources:\n  - oci://{}/my-org\nplugins:\n", registry.host());
        for Pushed { reference, integrity, .. } in plugins {
            writeln!(text, "  - package: {reference}\n    integrity: {integrity}")?;
        }
        fs::write(&self.config, text).with_context(|| format!("could not write `{}`", self.config.display()))?;
        let installer = workspace::target()?.join("debug").join(INSTALLER);
        let status = Command::new(&installer)
            .arg("--config")
            .arg(&self.config)
            .arg("--root")
            .arg(&self.root)
            .env_clear()
            .status()
            .with_context(|| format!("could not start `{}`", installer.display()))?;
        Ok(status.code())
    }

    fn tree(&self) -> anyhow::Result<Tree> {
        Tree::of(&self.root).with_context(|| format!("could not list `{}`", self.root.display()))
    }
}
