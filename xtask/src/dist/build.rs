//! The build of what is shipped: its flags, and nothing of the machine that it runs on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{INSTALLER, PUBLISHER, Place, TARGET};
use crate::command;

/// What the linker is told, from the top of the workspace. Together it saves a seventh of the installer.
const LINKER_FLAGS: [&str; 2] = [
    // What the program's start has to adjust to where it was loaded: a bit each instead of 24 bytes.
    "-Clink-arg=-Wl,-z,pack-relative-relocs",
    "-Clink-arg=-Wl,-T,xtask/no-unwind-tables.ld",
];
/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Built at once, as nearly all crates are in both: cargo resolves the features of all that is named together.
const PACKAGES: [&str; 4] = ["--package", INSTALLER.package, "--package", PUBLISHER.package];

/// Builds the packages and returns the folder that their binaries are in.
pub(super) fn build(place: &Place) -> anyhow::Result<PathBuf> {
    add_target()?;
    let mut flags = LINKER_FLAGS.map(str::to_owned).to_vec();
    flags.extend(remaps(place)?);
    let mut build = place.cargo(&["build", "--release", "--locked", "--target", TARGET]);
    build.args(PACKAGES).arg("--target-dir").arg(&place.target);
    // These flags and no others, whatever environment and settings say.
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR)).env("CARGO_INCREMENTAL", "0");
    command::run(&mut build)?;
    Ok(place.target.join(TARGET).join("release"))
}

/// What `cargo tree` prints of a package where it is built as above, in the form that the arguments ask for.
pub(super) fn tree(place: &Place, package: &str, arguments: &[&str]) -> anyhow::Result<String> {
    // Else what was shown of the one package would be cut short in the other's tree.
    let mut tree = place.cargo(&["tree", "--no-dedupe", "--locked", "--target", TARGET]);
    let trees = command::read(tree.args(PACKAGES).args(arguments))?;
    tree_of(package, &trees).map(str::to_owned).with_context(|| format!("`cargo tree` printed none of `{package}`"))
}

/// Trees are apart by an empty line, and each begins with its package.
fn tree_of<'a>(package: &str, trees: &'a str) -> Option<&'a str> {
    let root = format!("{package} v");
    trees.split("\n\n").find(|tree| tree.trim_start_matches('0').starts_with(&root))
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
    let metadata = command::read(&mut place.cargo(&arguments))?;
    let metadata = serde_json::from_str(&metadata).context("`cargo metadata` printed something that is not JSON")?;
    let folders = downloads(&metadata)?.into_iter().map(|folder| (folder, "registry"));
    // The last one that fits counts, and the folder of builds may lie within the sources.
    let ours = [(place.source.clone(), "butler-plugins"), (place.target.clone(), "target")];
    Ok(folders.chain(ours).map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect())
}

/// Finds no folder of this machine in a binary, or says which.
pub(super) fn expect_no_folder(place: &Place, package: &str, binary: &[u8]) -> anyhow::Result<()> {
    for folder in [&place.source, &place.target, &place.cargo_home] {
        let folder = format!("{}/", folder.display());
        let is_told = binary.windows(folder.len()).any(|bytes| bytes == folder.as_bytes());
        ensure!(!is_told, "expected no folder of this machine in `{package}`, found `{folder}`");
    }
    Ok(())
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
    use std::collections::BTreeMap;

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

    #[test]
    fn a_tree_is_found_by_its_package_whatever_it_is_printed_like() {
        let plain = "a v1.0.0 (/a)\nb v1.0.0\n\na-b v1.0.0 (/a-b)\nc v1.0.0\n";
        assert_eq!(tree_of("a", plain), Some("a v1.0.0 (/a)\nb v1.0.0"));
        assert_eq!(tree_of("a-b", plain), Some("a-b v1.0.0 (/a-b)\nc v1.0.0\n"));
        assert_eq!(tree_of("b", plain), None);
        assert_eq!(
            tree_of("a", "0z v1.0.0\tMIT\n\n0a v1.0.0\tMIT\n1b v1.0.0\tMIT\n"),
            Some("0a v1.0.0\tMIT\n1b v1.0.0\tMIT\n")
        );
    }

    /// Each tree is that of what is built: the one of a package alone has fewer features.
    #[test]
    fn both_packages_have_the_same_features_of_what_both_use() {
        let place = Place::here().unwrap();
        let features = |package: &str| {
            let tree = tree(&place, package, &["--edges=normal", "--prefix=none", "--format={p}\t{f}"]).unwrap();
            let line =
                |line: &str| line.split_once('\t').map(|(package, features)| (package.to_owned(), features.to_owned()));
            tree.lines().map(|text| line(text).unwrap()).collect::<BTreeMap<_, _>>()
        };
        let (installer, publisher) = (features(INSTALLER.package), features(PUBLISHER.package));
        let of_both = |package: &&String| publisher.contains_key(*package);
        let different = |package: &&String| installer[*package] != publisher[*package];
        assert!(installer.keys().filter(of_both).count() > 10);
        assert_eq!(installer.keys().filter(of_both).find(different), None);
    }

    #[test]
    fn each_folder_of_the_machine_in_a_binary_is_an_error() {
        let [source, target, cargo_home] = ["/a/source", "/a/target", "/a/cargo"].map(PathBuf::from);
        let place = Place { source, target, cargo_home, dist: PathBuf::from("/a/dist") };
        for (text, told) in [
            ("\0butler-plugins/crates/oci/src/lib.rs\0", None),
            ("/a/sources", None),
            ("\0/a/source/crates/oci/src/lib.rs", Some("/a/source/")),
            ("/a/target/release/build/out.rs\0", Some("/a/target/")),
            ("\0/a/cargo/registry/x.rs\0", Some("/a/cargo/")),
        ] {
            let expected = told.map(|told| format!("expected no folder of this machine in `any`, found `{told}`"));
            let found = expect_no_folder(&place, "any", text.as_bytes()).err().map(|error| error.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }
}
