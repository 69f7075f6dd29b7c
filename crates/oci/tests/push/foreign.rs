//! Registries and clients of other makers. `apt-get install skopeo docker-registry` gets what this needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use oci::{Artifact, Blob, How, PushOptions};
use testkit::{Ca, DockerRegistry, OCI_LAYER, Plugin, Registry, docker_config, sha256_digest};

use crate::bench::{Publisher, REPOSITORY, artifact, chunk, layer, mount, reference, to};

fn skopeo(arguments: &[&str]) {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output();
    let output = output.expect("`skopeo` is on PATH; `apt-get install skopeo` puts it there");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Copies an image and answers its manifest; its blobs are files besides.
fn copied(image: &str, to: &Path) -> Vec<u8> {
    skopeo(&["copy", "--src-tls-verify=false", &format!("docker://{image}"), &format!("dir:{}", to.display())]);
    std::fs::read(to.join("manifest.json")).unwrap()
}

#[test]
fn registry_of_another_maker_takes_a_push() {
    assert!(DockerRegistry::available(), "`apt-get install docker-registry` gets it");
    let ca = Ca::new();
    let (open, locked) = (DockerRegistry::open(), DockerRegistry::locked(&ca));
    let login = docker_config(locked.host(), DockerRegistry::USER, DockerRegistry::PASSWORD);
    for (host, publisher) in [(open.host(), Publisher::anonymous()), (locked.host(), Publisher::trusting(&ca, &login))]
    {
        let at = |rest: &str| format!("{host}/{rest}:1.0.0");
        let tagged = |rest: &str| publisher.client.tagged(&reference(&at(rest)), publisher.patience()).unwrap();
        assert_eq!(tagged("my-org/whole"), None);
        let tarball = artifact(1 << 20);
        let whole = publisher.push(&at("my-org/whole"), &tarball, &PushOptions::default()).unwrap();
        let chunked = publisher.push(&at("my-org/chunked"), &tarball, &chunk(300_000)).unwrap();
        assert_eq!(publisher.pull(&at("my-org/whole")).unwrap(), (whole, tarball.clone()));
        assert_eq!(publisher.pull(&at("my-org/chunked")).unwrap(), (chunked, tarball.clone()));
        assert_eq!((tagged("my-org/whole"), whole), (Some(whole), chunked));
        let blob = layer(&tarball);
        let mounted = publisher.push_blob(&at("my-org/mounted"), &blob, &mount("my-org/whole")).unwrap();
        assert_eq!(mounted.how(), How::Mounted);
        let existed = publisher.push_blob(&at("my-org/chunked"), &blob, &PushOptions::default()).unwrap();
        assert_eq!(existed.how(), How::Existed);
    }
    let nobody = Publisher::trusting(&ca, "{}");
    let refused = nobody.push(&format!("{}/a/b:1", locked.host()), b"tarball", &PushOptions::default());
    assert_eq!(refused.unwrap_err().cause(), "unauthorized");
}

#[test]
fn client_of_another_maker_pulls_what_was_pushed() {
    let theirs = DockerRegistry::open();
    let ours = Registry::start();
    let publisher = Publisher::anonymous();
    let tarball = Plugin::backend("hello").tarball();
    let folder = tempfile::tempdir().unwrap();
    for (at, image) in [("ours", to(&ours)), ("theirs", format!("{}/{REPOSITORY}:1", theirs.host()))] {
        let pushed = publisher.push(&image, &tarball, &PushOptions::default()).unwrap();
        let folder = folder.path().join(at);
        assert_eq!(sha256_digest(&copied(&image, &folder)), pushed.to_string(), "{at}");
        let layer = sha256_digest(&tarball).split_off("sha256:".len());
        assert_eq!(std::fs::read(folder.join(layer)).unwrap(), tarball, "{at}");
    }
}

#[test]
fn client_of_another_maker_pulls_an_image() {
    let theirs = DockerRegistry::open();
    let publisher = Publisher::anonymous();
    let archive = Plugin::backend("hello").archive_under("hello");
    let (tar, tarball) = (archive.tar(), archive.gzip());
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        sha256_digest(&tar)
    );
    let image = format!("{}/{REPOSITORY}:1", theirs.host());
    let store = |blob: &Blob| publisher.push_blob(&image, blob, &PushOptions::default()).unwrap();
    let config = store(&Blob::of_bytes("application/vnd.oci.image.config.v1+json", config.into_bytes()));
    let layer = store(&Blob::of_bytes(OCI_LAYER, tarball.clone()));
    let annotations = [("io.backstage.dynamic-packages".to_owned(), "W3siaGVsbG8iOnt9fV0=".to_owned())];
    let artifact = Artifact::new(config, layer, None, BTreeMap::from(annotations));
    let pushed = publisher.client.push_manifest(&reference(&image), &artifact, publisher.patience()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(sha256_digest(&copied(&image, &folder.path().join("copy"))), pushed.to_string());
    assert_eq!(publisher.pull(&image).unwrap(), (pushed, tarball));
}
