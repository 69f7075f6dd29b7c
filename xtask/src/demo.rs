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
/// The installer's exit status when everything listed is on the root.
const COMPLETED: i32 = 0;
/// The installer's exit status when a plugin was rejected and the run was to be all or nothing.
const REJECTED: i32 = 1;
/// Characters of a SHA-256 in hex.
const DIGEST_LEN: usize = 64;

/// Shows the way of a plugin from a folder to the root, and of a tampered one to the log.
pub(crate) fn run() -> anyhow::Result<()> {
    command::run(&mut cargo(&["build", "--locked", "--package", INSTALLER]))?;
    let folder = tempfile::tempdir().context("could not create a folder for the demo")?;
    let registry = Registry::start();

    step(
        "1. A publisher packs two plugins and pushes them to a registry",
        "The registry runs in this process. The operator is given two values for each plugin:",
    );
    let mut plugins = Vec::new();
    for name in ["hello-backend", "hello-frontend"] {
        let pushed = registry.push(&format!("my-org/{name}"), "1.0.0", &pack(name)?);
        println!("package:   {}\nintegrity: {}", pushed.reference, pushed.integrity);
        plugins.push(pushed);
    }

    step(
        "2. The operator lists them",
        "This file is what the chart makes of `dynamicPlugins` in its values. Everything from elsewhere is refused:",
    );
    let list = list(&registry, &plugins)?;
    print!("{list}");

    step(
        "3. The installer runs, as the portal's initContainer does",
        "Each record says what became of a plugin; `digest_verified=ok` says that the bytes are the promised ones:",
    );
    let portal = Portal::new(&folder.path().join("node-1"), &list)?;
    portal.install(COMPLETED)?;
    portal.show(
        "A folder is named after its plugin's `package.json`, where `hello-frontend` calls itself `butler.test-dynamic`.\n\
         The two files with a dot are the installer's lock and its record. Mode, kind, path, SHA-256:",
    )?;

    step("4. The container starts again", "The files are as they were installed, so that nothing is fetched:");
    portal.install(COMPLETED)?;

    step(
        "5. Someone replaces `hello-backend:1.0.0` in the registry, and the pod starts on another node",
        "The tag is the same, the bytes are not. One rejected plugin ends the run, as `continueOnError` is not set:",
    );
    let tampered = Tarball::from_folder(&source("hello-backend"))?.file("package/dist/extra.js", "steal()").gzip();
    registry.push("my-org/hello-backend", "1.0.0", &tampered);
    let portal = Portal::new(&folder.path().join("node-2"), &list)?;
    portal.install(REJECTED)?;
    portal.show("No plugin is on the volume, the good one neither; what is left is the lock's file:")
}

/// Says what comes next, and what to look at.
fn step(title: &str, text: &str) {
    println!("\n=== {title}\n\n{text}\n");
}

/// The text of a `dynamic-plugins.yaml`.
fn list(registry: &Registry, plugins: &[Pushed]) -> anyhow::Result<String> {
    let mut text = format!("allowedSources:\n  - oci://{}/my-org\nplugins:\n", registry.host());
    for Pushed { reference, integrity, .. } in plugins {
        writeln!(text, "  - package: {reference}\n    integrity: {integrity}")?;
    }
    Ok(text)
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
    fn new(folder: &Path, list: &str) -> anyhow::Result<Self> {
        let root = folder.join("dynamic-plugins-root");
        fs::create_dir_all(&root).with_context(|| format!("could not create `{}`", root.display()))?;
        let config = folder.join("dynamic-plugins.yaml");
        fs::write(&config, list).with_context(|| format!("could not write `{}`", config.display()))?;
        Ok(Self { config, root })
    }

    /// Runs the installer with an empty environment, and shows both streams of its log in one place.
    fn install(&self, expected: i32) -> anyhow::Result<()> {
        let installer = workspace::target()?.join("debug").join(INSTALLER);
        let run = Command::new(&installer)
            .arg("--config")
            .arg(&self.config)
            .arg("--root")
            .arg(&self.root)
            .env_clear()
            .output()
            .with_context(|| format!("could not start `{}`", installer.display()))?;
        print!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        let status = run.status;
        ensure!(status.code() == Some(expected), "expected the installer to end with {expected}, found {status}");
        println!("\nIts exit status is {expected}.");
        Ok(())
    }

    /// Prints what is on the root, with the digests cut to what an eye can compare.
    fn show(&self, text: &str) -> anyhow::Result<()> {
        let tree = Tree::of(&self.root).with_context(|| format!("could not list `{}`", self.root.display()))?;
        println!("\n{text}\n");
        for line in tree.lines() {
            match line.rsplit_once(' ') {
                Some((entry, digest)) if digest.len() == DIGEST_LEN => println!("{entry}  {}…", &digest[..12]),
                _ => println!("{line}"),
            }
        }
        Ok(())
    }
}
