//! The host in `fixtures/portal`, with what it needs from npm: installed once, compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{command, workspace};

/// The least major version of Node that the host's packages run on.
const NODE: u32 = 20;
/// Decide what is installed.
const RECIPE: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
/// What the host consists of besides.
const PROGRAM: [&str; 2] = ["index.js", "app-config.yaml"];
/// The one package that is compiled here.
const NATIVE: &str = "better-sqlite3";
/// Says from what the packages were installed.
const MADE_FROM: &str = "made-from.txt";

/// A host that can be booted.
pub(super) struct Host {
    folder: PathBuf,
}

impl Host {
    /// Makes sure that the host lies in a folder, with its packages.
    pub(super) fn build(folder: PathBuf) -> anyhow::Result<Self> {
        let sources = workspace::root().join("fixtures/portal");
        let recipe = RECIPE.map(|name| fs::read(sources.join(name)));
        let recipe = recipe.into_iter().collect::<Result<Vec<_>, _>>().context("could not read `fixtures/portal`")?;
        let node = Node::find()?;
        let made_from = format!("{} {}\n", node.version, testkit::sha256_digest(&recipe.concat()));
        fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        RECIPE.iter().chain(&PROGRAM).try_for_each(|name| copy(&sources.join(name), &folder.join(name)))?;
        if fs::read_to_string(folder.join(MADE_FROM)).is_ok_and(|text| text == made_from) {
            println!("kept       the host's packages");
            return Ok(Self { folder });
        }
        let headers = node.headers()?;
        command::run(Command::new("npm").args(["ci", "--omit=dev"]).current_dir(&folder))?;
        // With what it takes from the environment, it asks nobody for headers, nor for a binary that others have built.
        let mut rebuild = Command::new("npm");
        rebuild.args(["rebuild", NATIVE, "--ignore-scripts=false", "--foreground-scripts"]).current_dir(&folder);
        command::run(
            rebuild.env("npm_config_build_from_source", "true").env("npm_config_nodedir", headers).env("JOBS", "max"),
        )?;
        fs::write(folder.join(MADE_FROM), made_from).context("could not write down what the host was made from")?;
        Ok(Self { folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The Node on PATH.
struct Node {
    version: String,
    /// The folder with `bin/node` in it.
    prefix: PathBuf,
}

impl Node {
    fn find() -> anyhow::Result<Self> {
        let said = command::read(&mut command::program("node", &["-p", "process.version + ' ' + process.execPath"]))?;
        let (version, program) = said.trim().split_once(' ').context("node does not say where it is")?;
        let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        ensure!(major >= Some(NODE), "expected Node {NODE} or newer for the host, found {version}");
        let prefix = Path::new(program).parent().and_then(Path::parent).context("node lies in no folder `bin`")?;
        Ok(Self { version: version.to_owned(), prefix: prefix.to_owned() })
    }

    /// The prefix, if Node's headers lie below it.
    fn headers(&self) -> anyhow::Result<&Path> {
        let header = self.prefix.join("include/node/node_version.h");
        ensure!(
            header.exists(),
            "expected the headers of Node {}, with which `{NATIVE}` is compiled, found no `{}`: install `libnode-dev`, or \
             Node from its own archive",
            self.version,
            header.display()
        );
        Ok(&self.prefix)
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("could not copy `{}`", from.display())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_leaves_the_registry_to_the_client() {
        let text = fs::read_to_string(workspace::root().join("fixtures/portal/package-lock.json")).unwrap();
        assert_eq!(text.lines().find(|line| line.contains("\"resolved\"")), None);
    }

    #[test]
    fn missing_headers_are_told_with_what_to_install() {
        let node = Node { version: "v20.0.0".into(), prefix: "/nowhere".into() };
        let error = node.headers().unwrap_err().to_string();
        assert!(error.contains("found no `/nowhere/include/node/node_version.h`: install `libnode-dev`"), "{error}");
    }
}
