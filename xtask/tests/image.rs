//! The image that the `Dockerfile` makes of `dist/`, built by Debian's buildah: no engine, no base image, no network.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TAG: &str = "butler-portal-plugin-installer";

/// buildah with a storage of its own, and nothing it needs a kernel feature or a configuration for.
struct Buildah {
    storage: tempfile::TempDir,
}

impl Buildah {
    /// Builds the image of the repository's `Dockerfile` in this context; the error is what buildah says.
    fn build(context: &Path) -> Result<Self, String> {
        let buildah = Self { storage: tempfile::tempdir().unwrap() };
        let dockerfile = format!("{REPOSITORY}/Dockerfile");
        let context = context.to_str().unwrap();
        buildah.run(&["bud", "--isolation", "chroot", "--tag", TAG, "--file", &dockerfile, context])?;
        Ok(buildah)
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let at = |folder| self.storage.path().join(folder);
        let answer = Command::new("buildah")
            .args(["--storage-driver", "vfs", "--root"])
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .args(arguments)
            .output()
            .expect("buildah is missing: `cargo xtask test` installs it");
        if answer.status.success() { Ok(answer.stdout) } else { Err(String::from_utf8(answer.stderr).unwrap()) }
    }

    /// The image as a layout.
    fn layout(&self) -> PathBuf {
        let layout = self.storage.path().join("layout");
        self.run(&["push", TAG, &format!("oci:{}", layout.display())]).unwrap();
        layout
    }
}

/// What a layout's image is run with, and its layers, as archives.
fn read_layout(layout: &Path) -> (Value, Vec<PathBuf>) {
    let blobs = layout.join("blobs/sha256");
    let read_json = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| blobs.join(digest.as_str().unwrap().trim_start_matches("sha256:"));
    let index = read_json(&layout.join("index.json"));
    let manifest = read_json(&blob(&index["manifests"][0]["digest"]));
    let layers = manifest["layers"].as_array().unwrap();
    let config = read_json(&blob(&manifest["config"]["digest"]))["config"].clone();
    (config, layers.iter().map(|layer| blob(&layer["digest"])).collect())
}

/// Mode, name and size of a file in a layer.
type File = (String, String, u64);

/// What GNU tar lists, folders left out; behind the name of a link stands what it leads to.
fn list(layer: &Path) -> Vec<File> {
    let output = Command::new("tar").args(["--verbose", "--list", "--gzip", "--file"]).arg(layer).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).unwrap();
    let file = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        (columns[0].to_owned(), columns[5..].join(" "), columns[2].parse().unwrap())
    };
    listing.lines().filter(|line| line.starts_with(['-', 'l'])).map(file).collect()
}

/// A build context with what `cargo xtask dist` left, or, in a plain `cargo test`, with stand-ins for it.
fn context() -> tempfile::TempDir {
    let context = tempfile::tempdir().unwrap();
    let dist = context.path().join("dist");
    fs::create_dir(&dist).unwrap();
    for (name, mode) in [("butler-plugin-installer", 0o755), ("ca-certificates.crt", 0o644)] {
        let file = dist.join(name);
        match std::env::var_os("BUTLER_DIST") {
            Some(built) => drop(fs::copy(Path::new(&built).join(name), &file).unwrap()),
            None => fs::write(&file, "stand-in").unwrap(),
        }
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    }
    let names = dist.join("names");
    fs::create_dir(&names).unwrap();
    let link = names.join("install-dynamic-plugins");
    let target = match std::env::var_os("BUTLER_DIST") {
        Some(built) => fs::read_link(Path::new(&built).join("names/install-dynamic-plugins")).unwrap(),
        None => PathBuf::from("usr/local/bin/butler-plugin-installer"),
    };
    symlink(target, link).unwrap();
    context
}

#[test]
fn image_holds_binary_its_other_name_and_bundle_and_runs_as_nonroot() {
    let context = context();
    let size = |name: &str| fs::metadata(context.path().join("dist").join(name)).unwrap().len();
    let image = Buildah::build(context.path()).unwrap();

    let (config, layers) = read_layout(&image.layout());
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/butler-plugin-installer"]));
    assert_eq!(config["Cmd"], Value::Null);

    let file = |mode: &str, folder: &str, name| (mode.to_owned(), format!("{folder}/{name}"), size(name));
    let link = "install-dynamic-plugins -> usr/local/bin/butler-plugin-installer";
    let files = |layers: &[PathBuf]| layers.iter().flat_map(|layer| list(layer)).collect::<Vec<_>>();
    assert_eq!(
        files(&layers),
        [
            file("-rw-r--r--", "etc/ssl/certs", "ca-certificates.crt"),
            ("lrwxrwxrwx".to_owned(), link.to_owned(), 0),
            file("-rwxr-xr-x", "usr/local/bin", "butler-plugin-installer"),
        ]
    );
    let Some(built) = std::env::var_os("BUTLER_DIST") else {
        println!("skipped: a stand-in speaks no dialect");
        return;
    };
    let bundle = fs::read_to_string(context.path().join("dist/ca-certificates.crt")).unwrap();
    let mozillas = fs::read_dir("/usr/share/ca-certificates/mozilla").unwrap().count();
    assert_eq!(bundle.matches("-----BEGIN").count(), mozillas, "a CA of this machine's owner is nobody else's");
    let (released, released_layers) = read_layout(&Path::new(&built).join("image"));
    assert_eq!(files(&released_layers), files(&layers));
    for key in ["User", "Entrypoint", "Env", "Cmd"] {
        assert_eq!(released[key], config[key], "{key}");
    }
    let root = tempfile::tempdir().unwrap();
    for layer in layers {
        let unpacked = Command::new("tar").arg("-xzf").arg(layer).arg("-C").arg(root.path()).status().unwrap();
        assert!(unpacked.success());
    }
    let usage = |name: &str| {
        let output = Command::new(root.path().join(name)).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(usage("install-dynamic-plugins").contains("Usage: install-dynamic-plugins [OPTIONS] <ROOT>"));
    assert!(
        usage("usr/local/bin/butler-plugin-installer").contains("Usage: butler-plugin-installer [OPTIONS] [COMMAND]")
    );
}

#[test]
fn image_is_not_built_without_dist() {
    let empty = tempfile::tempdir().unwrap();
    let error = Buildah::build(empty.path()).err().unwrap();
    assert!(error.contains("ca-certificates.crt"), "{error}");
}
