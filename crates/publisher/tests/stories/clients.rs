//! Clients that are not ours read what we publish: skopeo, GNU tar, and the Python client of oras.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testkit::{DockerRegistry, Registry, sri};

use crate::desk::{Desk, done};

/// Pushes the desk's plugin, and answers with its reference without scheme, its integrity and digest.
fn push(desk: &Desk, host: &str, more: &[&str]) -> (String, String, String) {
    let name = format!("{host}/acme/hello:1");
    let reference = format!("oci://{name}");
    let run = desk.run(&[&["push", "dist-dynamic", &reference, "--output", "json"], more].concat()).exits(0);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (name, text(&value["plugins"][0]["integrity"]), text(&value["digest"]))
}

#[test]
fn skopeo_copies_both_layouts_with_the_same_digest() {
    for layout in ["package", "image"] {
        let desk = Desk::new();
        let registry = DockerRegistry::open();
        let (name, integrity, digest) = push(&desk, registry.host(), &["--layout", layout]);
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false"]);
        skopeo.arg(format!("docker://{name}")).arg(format!("dir:{}", desk.path("copied").display()));
        done(&mut skopeo);
        let manifest = std::fs::read(desk.path("copied/manifest.json")).unwrap();
        assert_eq!(testkit::sha256_digest(&manifest), digest, "{layout}");
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        assert_eq!(sri(&std::fs::read(desk.path(&format!("copied/{layer}"))).unwrap()), integrity, "{layout}");
    }
}

/// Where `cargo xtask test` put the client.
fn oras() -> PathBuf {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures/oras/bin/python3");
    assert!(python.is_file(), "`cargo xtask fixtures` puts the client of oras there: `{}`", python.display());
    python
}

#[test]
fn the_python_client_of_oras_pulls_the_same_bytes_under_their_title() {
    for host in ["ours", "debian's"] {
        let desk = Desk::new();
        let (ours, debians) = (Registry::start(), DockerRegistry::open());
        let (name, integrity, digest) = push(&desk, if host == "ours" { ours.host() } else { debians.host() }, &[]);
        let script = "import sys, hashlib, oras.client\n\
                      client = oras.client.OrasClient(insecure=True)\n\
                      print(client.pull(target=sys.argv[1], outdir=sys.argv[2])[0])\n\
                      container = client.remote.get_container(sys.argv[1]) if hasattr(client, 'remote') else client.get_container(sys.argv[1])\n\
                      answer = client.do_request('http://' + container.manifest_url(), 'GET', headers={'Accept': 'application/vnd.oci.image.manifest.v1+json'})\n\
                      print('sha256:' + hashlib.sha256(answer.content).hexdigest())\n";
        let mut python = Command::new(oras());
        let printed = done(python.args(["-c", script, &name]).arg(desk.path("pulled")));
        let lines: Vec<_> = printed.lines().collect();
        assert!(lines[0].ends_with("/package.tgz"), "{printed}");
        assert_eq!(lines[1], digest, "{host}");
        assert_eq!(sri(&std::fs::read(lines[0]).unwrap()), integrity, "{host}");
    }
}
