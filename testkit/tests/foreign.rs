//! Clients and servers of other makers agree with ours. `apt-get install skopeo docker-registry` gets what this needs.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use testkit::{
    Auth, Ca, DockerRegistry, GZIP, Image, OCI_LAYER, Plugin, Proxy, Quirks, Registry, World, sha256_digest,
};

fn skopeo(arguments: &[&str]) -> String {
    skopeo_in(&[], arguments)
}

fn skopeo_in(environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .envs(environment.iter().copied())
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .expect("`skopeo` is on PATH; `apt-get install skopeo` puts it there");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("skopeo writes UTF-8")
}

fn at(folder: &Path, name: &str) -> String {
    format!("dir:{}", folder.join(name).display())
}

#[test]
fn skopeo_pulls_what_we_push() {
    let registry = Registry::start();
    let tarball = Plugin::backend("hello").tarball();
    let pushed = registry.push("my-org/hello", "1.2.3", &tarball);
    let image = format!("docker://{}/my-org/hello:1.2.3", registry.host());
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &image]);
    assert_eq!(sha256_digest(raw.as_bytes()), pushed.digest);
    let folder = tempfile::tempdir().unwrap();
    skopeo(&["copy", "--src-tls-verify=false", &image, &at(folder.path(), "copy")]);
    let layer = sha256_digest(&tarball).split_off("sha256:".len());
    assert_eq!(std::fs::read(folder.path().join("copy").join(layer)).unwrap(), tarball);
}

#[test]
fn skopeo_logs_in_to_every_quirk_and_pushes() {
    let source = Registry::start();
    let tarball = Plugin::backend("hello").archive_under("hello").gzip();
    source.push_image("my-org/hello", "1", &Image::new(OCI_LAYER, &tarball));
    let folder = tempfile::tempdir().unwrap();
    let local = at(folder.path(), "image");
    skopeo(&["copy", "--src-tls-verify=false", &format!("docker://{}/my-org/hello:1", source.host()), &local]);
    for quirks in Quirks::all() {
        let registry = Registry::builder().quirks(quirks).start();
        let image = format!("docker://{}/my-org/hello:1", registry.host());
        let login = registry.quirks().auth.login().map(|login| format!("{}:{}", login.user, login.password));
        let credentials = |flag: &str| login.as_ref().map_or("--quiet".to_owned(), |login| format!("{flag}={login}"));
        skopeo(&["copy", "--dest-tls-verify=false", &credentials("--dest-creds"), &local, &image]);
        let back = at(folder.path(), &registry.server().address().port().to_string());
        skopeo(&["copy", "--src-tls-verify=false", &credentials("--src-creds"), &image, &back]);
        assert!(registry.blob("my-org/hello", &sha256_digest(&tarball)).is_some(), "{:?}", registry.quirks().host);
    }
}

#[test]
fn skopeo_reaches_every_quirk_by_name_through_the_proxy() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let mut authority = tempfile::NamedTempFile::new().unwrap();
    authority.write_all(world.ca().pem().as_bytes()).unwrap();
    let file = authority.path().display().to_string();
    let environment = [("HTTPS_PROXY", proxy.url()), ("SSL_CERT_FILE", file), ("SSL_CERT_DIR", "/nonexistent".into())];
    let environment = environment.each_ref().map(|(key, value)| (*key, value.as_str()));
    // Clients written in Go take credentials along to a subdomain, which our object storage does not forgive.
    let strict = |quirks: &Quirks| !quirks.storage.iter().any(|host| host.ends_with(&format!(".{}", quirks.host)));
    for quirks in Quirks::all().into_iter().filter(strict) {
        let registry = world.registry(quirks);
        let tarball = Plugin::backend("hello").tarball();
        let pushed = registry.push("my-org/hello", "1", &tarball);
        let image = pushed.reference.replace("oci://", "docker://");
        let login = registry.quirks().auth.login().map(|login| format!("{}:{}", login.user, login.password));
        let credentials = login.map_or("--quiet".to_owned(), |login| format!("--src-creds={login}"));
        let folder = tempfile::tempdir().unwrap();
        skopeo_in(&environment, &["copy", &credentials, &image, &at(folder.path(), "copy")]);
        let layer = sha256_digest(&tarball).split_off("sha256:".len());
        assert_eq!(std::fs::read(folder.path().join("copy").join(layer)).unwrap(), tarball, "{image}");
    }
    for origin in ["https://auth.docker.io", "https://gitlab.com", "https://production.cloudflare.docker.com"] {
        assert!(!world.recorder().to_origin(origin).is_empty(), "{origin}");
    }
}

#[test]
fn docker_registry_takes_a_plugin_over_tls_from_its_user_only() {
    let ca = Ca::new();
    let theirs = DockerRegistry::locked(&ca);
    let ours = Registry::start();
    let pushed = ours.push("my-org/hello", "1", &Plugin::backend("hello").tarball());
    let certificates = tempfile::tempdir().unwrap();
    let mut file = tempfile::Builder::new().suffix(".crt").tempfile_in(certificates.path()).unwrap();
    file.write_all(ca.pem().as_bytes()).unwrap();
    let from = format!("docker://{}/my-org/hello:1", ours.host());
    let to = format!("docker://{}/my-org/hello:1", theirs.host());
    let folder = certificates.path().display();
    let login = format!("{}:{}", DockerRegistry::USER, DockerRegistry::PASSWORD);
    let trusted = format!("--dest-cert-dir={folder}");
    skopeo(&["copy", "--src-tls-verify=false", &trusted, &format!("--dest-creds={login}"), &from, &to]);
    let cert_dir = format!("--cert-dir={folder}");
    let raw = skopeo(&["inspect", "--raw", &cert_dir, &format!("--creds={login}"), &to]);
    assert_eq!(sha256_digest(raw.as_bytes()), pushed.digest);
    let refused = Command::new("skopeo").args(["inspect", "--raw", &cert_dir, "--creds=robot:wrong", &to]).output();
    let message = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(message.contains("authentication required") || message.contains("unauthorized"), "{message}");
}

#[test]
fn docker_registry_opens_over_plain_http() {
    assert!(DockerRegistry::available(), "`apt-get install docker-registry` gets it");
    let theirs = DockerRegistry::open();
    let ours = Registry::builder().auth(Auth::None).start();
    ours.push_image("a/b", "1", &Image::new(GZIP, &Plugin::backend("hello").tarball()));
    let (from, to) = (format!("docker://{}/a/b:1", ours.host()), format!("docker://{}/a/b:1", theirs.host()));
    skopeo(&["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to]);
    assert!(skopeo(&["inspect", "--raw", "--tls-verify=false", &to]).contains(GZIP));
}
