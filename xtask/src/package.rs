//! `cargo xtask package`: the libraries as a registry of crates would get them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::command::{self, cargo};
use crate::{libraries, workspace};

/// What each package holds besides its sources.
const NEEDED: [&str; 4] = ["Cargo.toml", "LICENSE", "README.md", "src/lib.rs"];
/// More bytes than this in all packages together: something is in them that nobody needs who builds on them.
const MAX_BYTES: u64 = 1024 * 1024;

/// Packs all libraries, and builds each from its package and those of the others.
pub(crate) fn run() -> anyhow::Result<()> {
    pack(&[])
}

/// Packs all libraries and looks at what is in them.
pub(crate) fn check() -> anyhow::Result<()> {
    pack(&["--no-verify"])
}

fn pack(flags: &[&str]) -> anyhow::Result<()> {
    let libraries = libraries::published()?;
    let folder = workspace::target()?.join("package");
    if folder.exists() {
        // Packages of other versions would be counted as well.
        fs::remove_dir_all(&folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
    }
    // A check looks at what is there, committed or not; nothing is published here.
    let mut cargo = cargo(&["package", "--quiet", "--locked", "--allow-dirty"]);
    command::run(cargo.args(flags).args(libraries::chosen(&libraries)))?;
    let mut bytes = 0;
    for entry in fs::read_dir(&folder).with_context(|| format!("could not read `{}`", folder.display()))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "crate") {
            bytes += entry.metadata()?.len();
            look_at(&entry.path())?;
        }
    }
    println!("{} packages, {bytes} bytes", libraries.len());
    if bytes > MAX_BYTES {
        bail!("expected at most {MAX_BYTES} bytes in all packages, found {bytes}");
    }
    Ok(())
}

fn look_at(package: &Path) -> anyhow::Result<()> {
    let path = package.to_str().context("a package has a name of ASCII")?;
    let list = command::read(&mut command::program("tar", &["-tzf", path]))?;
    // Each path begins with name and version.
    let held: Vec<_> = list.lines().filter_map(|line| line.split_once('/')).map(|(_, path)| path).collect();
    match NEEDED.iter().find(|needed| !held.contains(needed)) {
        Some(missing) => bail!("expected `{missing}` in `{path}`, found {}", held.join(", ")),
        None => Ok(()),
    }
}
