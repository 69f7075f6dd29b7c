//! The build of what is shipped: its flags, and nothing of the machine that it runs on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::{Place, TARGET};
use crate::command::{self, cargo};

/// What the linker is told, from the top of the workspace. Together it is an eighth of the installer.
const LINKER_FLAGS: [&str; 2] = [
    // What the program's start has to adjust to where it was loaded: a bit each instead of 24 bytes.
    "-Clink-arg=-Wl,-z,pack-relative-relocs",
    "-Clink-arg=-Wl,-T,xtask/no-unwind-tables.ld",
];
/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Builds the packages and returns the folder that their binaries are in.
pub(super) fn build(place: &Place, packages: &[&str]) -> anyhow::Result<PathBuf> {
    add_target()?;
    let mut flags = LINKER_FLAGS.map(str::to_owned).to_vec();
    flags.extend(remaps(place)?);
    let mut build = cargo(&["build", "--release", "--locked", "--target", TARGET]);
    // At once, as nearly all crates are in both.
    build.args(packages.iter().flat_map(|package| ["--package", *package]));
    build.arg("--target-dir").arg(&place.target).current_dir(&place.source);
    // These flags and no others, whatever environment and settings say.
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR)).env("CARGO_INCREMENTAL", "0");
    command::run(&mut build)?;
    Ok(place.target.join(TARGET).join("release"))
}

fn add_target() -> anyhow::Result<()> {
    let installed = command::read(&mut command::program("rustup", &["target", "list", "--installed"]))?;
    if installed.lines().any(|target| target == TARGET) {
        return Ok(());
    }
    command::run(&mut command::program("rustup", &["target", "add", TARGET]))
}

/// The machine's folders by names that are the same everywhere: a panic's message names its source file.
fn remaps(place: &Place) -> anyhow::Result<Vec<String>> {
    let arguments = ["metadata", "--locked", "--format-version=1", "--filter-platform", TARGET];
    let metadata = command::read(cargo(&arguments).current_dir(&place.source))?;
    let metadata = serde_json::from_str(&metadata).context("`cargo metadata` printed something that is not JSON")?;
    let folders = downloads(&metadata)?.into_iter().map(|folder| (folder, "crates"));
    // The last one that fits counts, and the folder of builds may lie within the sources.
    let ours = [(place.source.clone(), "butler-plugins"), (place.target.clone(), "target")];
    Ok(folders.chain(ours).map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect())
}

/// The folders into which cargo unpacked what it downloaded.
fn downloads(metadata: &Value) -> anyhow::Result<BTreeSet<PathBuf>> {
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let manifests = packages.iter().filter(|package| !package["source"].is_null());
    let folder = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        manifest.parent()?.parent().map(Path::to_owned)
    };
    manifests.map(|package| folder(package).context("a package has no manifest path")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_folder_of_downloads_is_named_once_and_none_of_ours() {
        let package = |source: Value, manifest: &str| json!({ "source": source, "manifest_path": manifest });
        let metadata = json!({ "packages": [
            package(json!("registry"), "/cargo/src/one/a-1.0.0/Cargo.toml"),
            package(json!("registry"), "/cargo/src/one/b-1.0.0/Cargo.toml"),
            package(json!("registry"), "/cargo/src/two/c-1.0.0/Cargo.toml"),
            package(Value::Null, "/sources/crates/oci/Cargo.toml"),
        ] });
        let expected = ["/cargo/src/one", "/cargo/src/two"].map(PathBuf::from);
        assert_eq!(downloads(&metadata).unwrap(), BTreeSet::from(expected));
    }
}
