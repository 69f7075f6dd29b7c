//! `cargo xtask fixtures`: what tests take from elsewhere, or have made by the tools of others, in `target/fixtures/`.
//!
//! The real plugins of `fixtures/real.toml` and `fixtures/rhdh/npm.toml` are downloaded once and checked every time; so
//! is the larger sample of `fixtures/npm-sample.toml` where it is asked for.

mod export;
mod python;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use integrity::{HashingWriter, Integrity};

use crate::{command, workspace};

/// Brings what is missing or has changed.
pub(crate) fn run() -> anyhow::Result<()> {
    download("fixtures/real.toml", &workspace::fixtures())?;
    download("fixtures/rhdh/npm.toml", &workspace::fixtures())?;
    python::run()?;
    export::run().map(drop)
}

/// Brings the packages of `fixtures/npm-sample.toml`, hundreds of megabytes which only one test asks for.
pub(crate) fn sample() -> anyhow::Result<()> {
    download("fixtures/npm-sample.toml", &workspace::fixtures().join("npm-sample")).map(drop)
}

/// Brings the packages of another list.
pub(crate) fn tarballs(list: &str) -> anyhow::Result<Vec<Tarball>> {
    let folder = workspace::fixtures();
    let plugins = download(list, &folder)?;
    let tarball = |plugin: Plugin| Tarball { path: folder.join(plugin.file_name()), plugin };
    Ok(plugins.into_iter().map(tarball).collect())
}

/// Makes sure that our two plugins are exported as their sources are, and returns the folder of both.
pub(crate) fn exported() -> anyhow::Result<PathBuf> {
    export::run()
}

/// Makes sure that every listed tarball lies in the folder and is the listed one.
fn download(list: &str, folder: &Path) -> anyhow::Result<Vec<Plugin>> {
    let text = fs::read_to_string(workspace::root().join(list)).with_context(|| format!("could not read `{list}`"))?;
    let plugins = parse(&text).with_context(|| format!("could not understand `{list}`"))?;
    fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    let tarball = |plugin: &Plugin| folder.join(plugin.file_name());
    let (kept, missing): (Vec<_>, Vec<_>) = plugins
        .iter()
        .partition(|plugin| tarball(plugin).exists() && check(&tarball(plugin), &plugin.integrity).is_ok());
    for plugin in kept {
        println!("kept       {}", plugin.file_name());
    }
    if !missing.is_empty() {
        // The npm client, so that a mirror or proxy it is set up for is used here, too. Once, as it takes a second to
        // start.
        let mut npm = command::program("npm", &["pack", "--silent", "--ignore-scripts", "--pack-destination"]);
        command::run(npm.arg(folder).args(missing.iter().map(|plugin| plugin.spec())))?;
    }
    for plugin in missing {
        check(&tarball(plugin), &plugin.integrity)?;
        println!("downloaded {}", plugin.file_name());
    }
    Ok(plugins)
}

/// A package that was brought, and is the listed one.
pub(crate) struct Tarball {
    pub(crate) plugin: Plugin,
    pub(crate) path: PathBuf,
}

/// One table of a list.
#[derive(Debug, PartialEq)]
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) integrity: Integrity,
}

impl Plugin {
    /// The name that `npm pack` gives to a tarball.
    fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name.trim_start_matches('@').replace('/', "-"), self.version)
    }

    /// What the npm client calls it.
    fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// Reads the part of TOML that the lists need: `[[plugin]]`, `key = "value"`, comments.
fn parse(text: &str) -> anyhow::Result<Vec<Plugin>> {
    text.split("[[plugin]]").skip(1).map(parse_plugin).collect()
}

fn parse_plugin(table: &str) -> anyhow::Result<Plugin> {
    let value = |key: &str| {
        table
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .find_map(|(name, value)| (name == key).then(|| value.trim_matches('"').to_owned()))
            .with_context(|| format!("a plugin has no `{key}`"))
    };
    let name = value("name")?;
    let integrity = value("integrity")?.parse().with_context(|| format!("could not read the integrity of `{name}`"))?;
    Ok(Plugin { version: value("version")?, name, integrity })
}

fn check(tarball: &Path, pinned: &Integrity) -> anyhow::Result<()> {
    let shown = tarball.display();
    let mut file = File::open(tarball).with_context(|| format!("could not open `{shown}`"))?;
    let mut hash = HashingWriter::new(io::sink());
    io::copy(&mut file, &mut hash).with_context(|| format!("could not read `{shown}`"))?;
    match hash.finish().verify(pinned) {
        Ok(_) => Ok(()),
        Err(mismatch) => bail!("`{shown}` is not the listed tarball: {mismatch}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PIN: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";

    #[test]
    fn a_table_is_read_and_named_as_npm_names_it() {
        let text =
            format!("# list\n\n[[plugin]] # small\nname = \"@a/b\"\nversion = \"1.0.0\"\nintegrity = \"{PIN}\"\n");
        let plugins = parse(&text).unwrap();
        assert_eq!(plugins, [Plugin { name: "@a/b".into(), version: "1.0.0".into(), integrity: PIN.parse().unwrap() }]);
        assert_eq!(plugins[0].file_name(), "a-b-1.0.0.tgz");
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = parse("[[plugin]]\nname = \"x\"\n").unwrap_err();
        assert_eq!(error.to_string(), "a plugin has no `integrity`");
    }

    #[test]
    fn the_list_in_the_repository_holds_three_plugins() {
        assert_eq!(parse(include_str!("../../fixtures/real.toml")).unwrap().len(), 3);
    }

    #[test]
    fn the_sample_holds_two_hundred_packages_with_a_file_name_each() {
        let plugins = parse(include_str!("../../fixtures/npm-sample.toml")).unwrap();
        assert_eq!(plugins.iter().map(Plugin::file_name).collect::<BTreeSet<_>>().len(), 200);
    }

    #[test]
    fn other_bytes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tarball = folder.path().join("x.tgz");
        fs::write(&tarball, "hello").unwrap();
        check(&tarball, &PIN.parse().unwrap()).unwrap();
        fs::write(&tarball, "hellO").unwrap();
        assert!(check(&tarball, &PIN.parse().unwrap()).is_err());
    }
}
