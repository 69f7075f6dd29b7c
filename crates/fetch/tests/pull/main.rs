//! Pulls from registries that are unusual, that lie, that break, and that want to see credentials they must not see.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

#[path = "../support/bench.rs"]
mod bench;
mod layers;
mod npm;
mod redirect;
mod trouble;

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bench::{Bench, Setup, everything_said, fetch, fetch_unless, outcome, verified};
use fetch::{Access, Credentials, FetchLimits, HelperProcess, Platform, TrustedRealms};
use serde_json::json;
use testkit::{
    Auth, Bearer, Fault, GZIP, HttpServer, Image, Login, OCI_LAYER, Plugin, Pushed, Quirks, Ranges, Realm, Registry,
    RegistryBuilder, Reply, Request, TokenField, World, sha256_digest, sri,
};
use transport::{Stop, Timeouts};

const REPOSITORY: &str = "my-org/hello";
/// The content type of a record that a TLS connection begins with (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// Long enough for a loopback answer on a loaded machine, short enough to be waited for five times.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    answer: Duration::from_millis(300),
    read: Duration::from_millis(300),
};

fn is_manifest(request: &Request) -> bool {
    request.path.contains("/manifests/")
}

fn is_blob(request: &Request) -> bool {
    request.path.contains("/blobs/")
}

/// A registry without a login, and one plugin in it.
fn stocked(bench: &Bench, artifact: &[u8]) -> (Registry, Pushed) {
    let registry = bench.world.registry(Quirks::plain());
    let pushed = registry.push(REPOSITORY, "1", artifact);
    (registry, pushed)
}

/// Bytes that compress to nothing and that a wrong offset would show in.
fn artifact(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(u32::to_be_bytes).collect()
}

fn access(config: &str) -> Access {
    let helper = Box::new(HelperProcess::on("".into()));
    Access { credentials: Credentials::parse(config.as_bytes(), helper).unwrap(), ..Access::anonymous() }
}

#[test]
fn each_way_of_naming_an_artifact_leads_to_it() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::plain());
    let (here, elsewhere) = (&b"for this machine"[..], &b"for another"[..]);
    let annotated = |json: &str| {
        let names = Base64::encode_string(json.as_bytes());
        Image::new(OCI_LAYER, here).annotation("io.backstage.dynamic-packages", &names)
    };
    let digest = registry.push(REPOSITORY, "plain", here).digest;
    let other = registry.push(REPOSITORY, "moved", elsewhere).digest;
    registry.push_image(REPOSITORY, "docker", &Image::docker(here));
    registry.push_image(REPOSITORY, "untitled", &Image::new(GZIP, here));
    registry.push_image(REPOSITORY, "image", &Image::new(OCI_LAYER, here));
    registry.push_image(
        REPOSITORY,
        "old-oras",
        &Image::new(GZIP, here).config_type("application/vnd.unknown.config.v1+json"),
    );
    registry.push_image(REPOSITORY, "one", &annotated(r#"[{"plugin-a":{"name":"a"}}]"#));
    registry.push_image(REPOSITORY, "several", &annotated(r#"[{"plugin-a":{}},{"plugin-b":{}}]"#));
    registry.push_image(REPOSITORY, "none", &annotated("[]"));
    let mine = Platform::this_machine().architecture;
    let entries = [("linux", "riscv64", other.as_str()), ("linux", &mine, &digest), ("windows", &mine, &other)];
    registry.push_index(REPOSITORY, "mine", &entries);
    registry.push_index(REPOSITORY, "amd64", &[("linux", "riscv64", &other), ("linux", "amd64", &digest)]);
    registry.push_index(REPOSITORY, "only", &[("linux", "riscv64", &digest)]);
    registry.push_index(REPOSITORY, "no-choice", &[("linux", "riscv64", &digest), ("windows", "arm64", &digest)]);
    let nested = registry.push_index(REPOSITORY, "inner", &[("linux", "amd64", &digest)]);
    registry.push_index(REPOSITORY, "nested", &[("linux", "amd64", &nested)]);
    for (name, rest, expected) in [
        ("tag", ":plain".to_owned(), Ok(None)),
        ("digest", format!("@{digest}"), Ok(None)),
        ("digest before tag", format!(":moved@{digest}"), Ok(None)),
        ("Docker's media types", ":docker".to_owned(), Ok(None)),
        ("layer without a title", ":untitled".to_owned(), Ok(None)),
        ("layer of an image", ":image".to_owned(), Ok(None)),
        ("config of old oras", ":old-oras".to_owned(), Ok(None)),
        ("index, this machine", ":mine".to_owned(), Ok(None)),
        ("index, amd64 at least", ":amd64".to_owned(), Ok(None)),
        ("index, only entry", ":only".to_owned(), Ok(None)),
        ("plugin path", ":image!plugin-x".to_owned(), Ok(Some("plugin-x"))),
        ("plugin path before annotation", ":several!plugin-b".to_owned(), Ok(Some("plugin-b"))),
        ("annotation, one", ":one".to_owned(), Ok(Some("plugin-a"))),
        ("annotation, several", ":several".to_owned(), Err("oci_pull_failed shape")),
        ("annotation, none", ":none".to_owned(), Err("oci_pull_failed shape")),
        ("index, no choice", ":no-choice".to_owned(), Err("oci_pull_failed shape")),
        ("index in an index", ":nested".to_owned(), Err("oci_pull_failed shape")),
        ("unknown tag", ":2".to_owned(), Err("oci_pull_failed not_found")),
        ("unknown digest", format!("@{}", sha256_digest(b"x")), Err("oci_pull_failed not_found")),
    ] {
        let package = format!("oci://{}/{REPOSITORY}{rest}", registry.host());
        match (bench.fetch(Setup::default(), &package), expected) {
            (Ok(fetched), Ok(path)) => {
                assert_eq!(fetched.origin().plugin_path.as_ref().map(ToString::to_string).as_deref(), path, "{name}");
                assert!(fetched.origin().manifest.is_some(), "{name}");
                assert_eq!(verified(fetched, &sri(here)), here, "{name}");
            }
            (result, expected) => assert_eq!(outcome(&result), expected.unwrap_err(), "{name}"),
        }
    }
    assert_eq!(bench.waits(), Vec::<Duration>::new(), "none of this is worth a second try");
}

#[test]
fn moved_tag_is_a_mismatch() {
    let bench = Bench::new();
    let (registry, pinned) = stocked(&bench, b"as pinned");
    registry.push(REPOSITORY, "1", b"other bytes");
    let fetched = bench.fetch(Setup::default(), &pinned.reference).unwrap();
    let promise = integrity::Promise::Hashes(integrity::Hashes::parse(&pinned.integrity).unwrap());
    let mismatch = fetched.verify(&promise).unwrap_err();
    assert_eq!(mismatch.reason(), "integrity_mismatch");
}

/// What is changed about which answer, and what comes of it.
type Lie = (&'static str, fn(&Request) -> bool, fn(Reply) -> Reply, &'static str);

#[test]
fn no_lie_is_believed_or_asked_for_twice() {
    let is_token = |request: &Request| request.path == "/service/token";
    let is_anonymous = |request: &Request| is_manifest(request) && request.header("authorization").is_none();
    let lies: [Lie; 38] = [
        ("another manifest", is_manifest, |answer| answer.body(*b"{}"), "digest_mismatch"),
        (
            "another digest in the header",
            is_manifest,
            |answer| answer.header("docker-content-digest", &sha256_digest(b"x")),
            "digest_mismatch",
        ),
        ("no digest in the header", is_manifest, |answer| answer.header("docker-content-digest", "../../x"), "shape"),
        ("announced as index", is_manifest, |answer| answer.header("content-type", testkit::OCI_INDEX), "shape"),
        ("login page", is_manifest, |_| Reply::ok().body(*b"<html>"), "digest_mismatch"),
        ("endless manifest", is_manifest, |_| endless(200), "too_large"),
        ("announced endless manifest", is_manifest, |_| Reply::ok().stream(io::repeat(b'x'), 1 << 40), "too_large"),
        ("compressed manifest", is_manifest, compressed, "digest_mismatch"),
        ("part of a manifest", is_manifest, |answer| partly(answer, "bytes 0-1/2"), "protocol"),
        ("204", is_manifest, |_| Reply::status(204), "protocol"),
        ("304", is_manifest, |_| Reply::status(304), "protocol"),
        ("other bytes", is_blob, |answer| answer.body(*b"tarbomb"), "digest_mismatch"),
        ("longer layer", is_blob, |answer| answer.body(*b"tarball and more"), "size_mismatch"),
        ("longer layer, unannounced", is_blob, |answer| answer.body(*b"tarball and more").chunked(), "size_mismatch"),
        ("shorter layer", is_blob, |answer| answer.body(*b"tar"), "size_mismatch"),
        ("shorter layer, unannounced", is_blob, |answer| answer.body(*b"tar").chunked(), "size_mismatch"),
        ("longer layer, until the end", is_blob, |answer| answer.body(*b"tarball!").until_close(), "size_mismatch"),
        ("other layer, until the end", is_blob, |answer| answer.body(*b"tarbomb").until_close(), "digest_mismatch"),
        ("empty layer", is_blob, |_| Reply::ok(), "size_mismatch"),
        ("endless layer", is_blob, |_| endless(200), "size_mismatch"),
        ("layer past the limit", is_blob, |_| Reply::ok().stream(io::empty(), 1 << 40), "-"),
        ("206 for no range", is_blob, |_| part("bytes 0-6/7", b"tarball"), "protocol"),
        ("not HTTP", is_blob, |_| Reply::raw(*b"220 smtp.example.com ESMTP\r\n"), "protocol"),
        ("404", is_blob, |_| Reply::status(404), "not_found"),
        ("410", is_blob, |_| Reply::status(410), "not_found"),
        ("403 without an end", is_manifest, |_| endless(403), "forbidden"),
        ("404 without an end", is_manifest, |_| endless(404), "not_found"),
        ("401 for ever", is_manifest, |_| Reply::status(401).header("www-authenticate", "Basic"), "unauthorized"),
        ("401 that does not say how", is_manifest, |_| Reply::status(401), "unauthorized"),
        ("endless token", is_token, |_| endless(200), "too_large"),
        ("announced endless token", is_token, |_| Reply::ok().stream(io::repeat(b'x'), 1 << 40), "too_large"),
        ("token that is no JSON", is_token, |_| Reply::ok().body(*b"t0ken"), "shape"),
        ("empty token", is_token, |_| Reply::ok().body(*br#"{"token":""}"#), "shape"),
        ("token twice", is_token, |_| Reply::ok().body(*br#"{"token":"a","token":"b"}"#), "shape"),
        (
            "token that is longer than a header",
            is_token,
            |_| Reply::ok().json(&json!({ "token": "x".repeat(60_000) })),
            "shape",
        ),
        ("part of a token", is_token, |answer| partly(answer, "bytes 0-1/2"), "protocol"),
        ("token with a line break", is_token, |_| Reply::ok().body(*br#"{"token":"a\r\nb"}"#), "shape"),
        ("401 without an end", is_anonymous, |answer| answer.stream(io::repeat(b'x'), 0).chunked(), "installed"),
    ];
    for (name, matches, lie, expected) in lies {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        registry.server().intercept(move |request, answer| {
            let answer = answer();
            if matches(request) { lie(answer) } else { answer }
        });
        let package = format!("oci://{}/{REPOSITORY}@{}", registry.host(), pushed.digest);
        let result = bench.fetch(setup(access(&registry.docker_config())), &package);
        assert_eq!(outcome(&result).split(' ').next_back().unwrap(), expected, "{name}");
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{name}");
    }
}

fn endless(status: u16) -> Reply {
    Reply::status(status).stream(io::repeat(b'x'), 0).chunked()
}

/// The right answer, said to be a part of it.
fn partly(answer: Reply, range: &str) -> Reply {
    answer.with_status(206).header("content-range", range)
}

fn compressed(answer: Reply) -> Reply {
    answer.with_body(|bytes| testkit::gzip(&bytes)).header("content-encoding", "gzip")
}

fn part(range: &str, bytes: &[u8]) -> Reply {
    Reply::status(206).header("content-range", range).body(bytes.to_vec())
}

fn setup(access: Access) -> Setup {
    Setup { access, ..Setup::default() }
}

#[test]
fn artifact_past_the_limit_is_cut_off() {
    let bench = Bench::new();
    let (registry, pushed) = stocked(&bench, &artifact(4_096));
    let limited =
        |artifact_bytes| Setup { limits: FetchLimits { artifact_bytes, ..FetchLimits::default() }, ..Setup::default() };
    assert_eq!(outcome(&bench.fetch(limited(4_096), &pushed.reference)), "installed");
    assert_eq!(outcome(&bench.fetch(limited(4_095), &pushed.reference)), "artifact_too_large -");
    registry.server().intercept(|request, answer| if is_blob(request) { answer().chunked() } else { answer() });
    assert_eq!(outcome(&bench.fetch(limited(4_096), &pushed.reference)), "installed");
    let error = bench.fetch(limited(4_095), &pushed.reference).unwrap_err();
    assert_eq!((error.reason(), error.hint().unwrap().contains("--max-artifact-bytes")), ("artifact_too_large", true));
}
