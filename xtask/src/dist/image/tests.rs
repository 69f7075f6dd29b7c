//! The image in the hands of others: Debian's registry, skopeo, GNU tar.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::{DockerRegistry, Plugin, Registry};

use super::*;
use crate::dist::push::push;

const NOBODY: u32 = 65532;

/// What `cargo xtask dist` left, or, in a plain `cargo test`, stand-ins for it.
fn dist() -> TempDir {
    let dist = tempfile::tempdir().unwrap();
    for name in [INSTALLER.package, DIST_CA_BUNDLE] {
        let file = dist.path().join(name);
        match std::env::var_os("BUTLER_DIST") {
            Some(built) => drop(fs::copy(Path::new(&built).join(name), file).unwrap()),
            None => fs::write(file, "stand-in").unwrap(),
        }
    }
    dist
}

fn image(dist: &TempDir) -> Image {
    let package = json!({ "description": "d", "version": "1.2.3", "license": "l", "repository": "r" });
    Image::pack(dist.path(), &package).unwrap()
}

fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn skopeo(arguments: &[&str]) -> Value {
    let printed = output(Command::new("skopeo").arg("--insecure-policy").args(arguments)).stdout;
    serde_json::from_slice(&printed).unwrap_or_default()
}

/// All files of a layout: their names and their bytes.
fn files(layout: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    blobs.map(|blob| blob.unwrap()).map(|blob| (blob.file_name().into(), fs::read(blob.path()).unwrap())).collect()
}

#[test]
fn what_is_pushed_is_what_skopeo_pulls_and_what_the_layout_holds() {
    let (dist, registry) = (dist(), DockerRegistry::open());
    let (image, at) = (image(&dist), |name: &str| dist.path().join(name));
    image.write(&at("layout")).unwrap();
    let name = format!("{}/acme/{NAME}:1.2.3", registry.host());
    let pushed = push(&image, &format!("oci://{name}")).unwrap();

    let (from, to) = (format!("docker://{name}"), format!("oci:{}:1.2.3", at("pulled").display()));
    skopeo(&["copy", "--src-tls-verify=false", &from, &to]);
    assert_eq!(files(&at("pulled")), files(&at("layout")));
    let local = format!("oci:{}:1.2.3", at("layout").display());
    for inspected in [skopeo(&["inspect", "--tls-verify=false", &from]), skopeo(&["inspect", &local])] {
        assert_eq!(inspected["Digest"], pushed.to_string());
        assert_eq!(inspected["Labels"]["org.opencontainers.image.version"], "1.2.3");
        assert_eq!((&inspected["Os"], &inspected["Architecture"]), (&json!("linux"), &json!("amd64")));
        assert_eq!(inspected["Layers"], json!([image.layer.descriptor.digest.to_string()]));
    }
}

#[test]
fn a_tag_of_another_image_is_left_as_it_is() {
    let (dist, registry) = (dist(), DockerRegistry::open());
    let to = format!("oci://{}/acme/{NAME}:1.2.3", registry.host());
    let pushed = push(&image(&dist), &to).unwrap();
    assert_eq!(push(&image(&dist), &to).unwrap(), pushed);
    fs::write(dist.path().join(DIST_CA_BUNDLE), "other").unwrap();
    let error = push(&image(&dist), &to).unwrap_err().to_string();
    assert!(error.ends_with(&format!("or nothing at `{to}`, found `{pushed}`")), "{error}");
    let inspected = skopeo(&["inspect", "--tls-verify=false", &to.replace("oci://", "docker://")]);
    assert_eq!(inspected["Digest"], pushed.to_string());
}

#[test]
fn only_a_whole_reference_of_a_registry_is_pushed_to() {
    let dist = dist();
    for to in ["docker.io/acme/x:1", "https://example.com/x.tgz", "oci://127.0.0.1:5000/acme/x"] {
        assert!(push(&image(&dist), to).is_err(), "{to}");
    }
}

#[test]
fn entrypoint_installs_as_nobody_where_it_may_write_to_the_volume_alone() {
    let dist = dist();
    if std::env::var_os("BUTLER_DIST").is_none() || dist.path().metadata().unwrap().uid() != 0 {
        println!("skipped: it takes root, and the binary of `cargo xtask test`");
        return;
    }
    let image = image(&dist);
    image.write(&dist.path().join("layout")).unwrap();
    let root = dist.path().join("root");
    let volume = root.join("dynamic-plugins-root");
    fs::create_dir_all(&volume).unwrap();
    chown(&volume, Some(NOBODY), Some(NOBODY)).unwrap();
    let digest = image.layer.descriptor.digest.to_string();
    let layer = dist.path().join("layout/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    output(Command::new("tar").arg("-xzf").arg(layer).arg("-C").arg(&root));

    let registry = Registry::start();
    let hello = registry.push("acme/hello", "1", &Plugin::backend("hello").tarball());
    let list = format!(
        "allowedSources: [\"oci://{}/acme\"]\nplugins: [{{ package: \"{}\", integrity: {} }}]\n",
        registry.host(),
        hello.reference,
        hello.integrity
    );
    fs::write(root.join("dynamic-plugins.yaml"), list).unwrap();
    let entrypoint = |arguments: &[&str]| {
        let mut chroot = Command::new("chroot");
        chroot.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg(format!("--userspec={USER}")).arg(&root);
        String::from_utf8(output(chroot.arg(format!("/{IMAGE_INSTALLER}")).args(arguments)).stdout).unwrap()
    };
    assert!(entrypoint(&["--version"]).starts_with("butler-plugin-installer "));
    let log = entrypoint(&["--config", "/dynamic-plugins.yaml"]);
    assert!(log.contains("plugin_installed"), "{log}");
    let installed = volume.join("hello-dynamic/package.json").metadata().unwrap();
    assert_eq!((installed.uid(), installed.gid()), (NOBODY, NOBODY));
}
