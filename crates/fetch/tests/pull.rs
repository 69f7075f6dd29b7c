//! Pulls from registries that are unusual, that lie, that break, and that want to see credentials they must not see.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

#[path = "support/bench.rs"]
mod bench;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bench::{Bench, Setup, everything_said, fetch, fetch_unless, outcome, verified};
use fetch::{Access, Credentials, FetchLimits, HelperProcess, Platform, TrustedRealms};
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
    let mismatch = fetched.verify(&integrity::Integrity::parse(&pinned.integrity).unwrap()).unwrap_err();
    assert_eq!(mismatch.reason(), "integrity_mismatch");
}

/// What is changed about which answer, and what comes of it.
type Lie = (&'static str, fn(&Request) -> bool, fn(Reply) -> Reply, &'static str);

#[test]
fn no_lie_is_believed_or_asked_for_twice() {
    let is_token = |request: &Request| request.path == "/service/token";
    let is_anonymous = |request: &Request| is_manifest(request) && request.header("authorization").is_none();
    let lies: [Lie; 26] = [
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
        ("other bytes", is_blob, |answer| answer.body(*b"tarbomb"), "digest_mismatch"),
        ("longer layer", is_blob, |answer| answer.body(*b"tarball and more"), "size_mismatch"),
        ("longer layer, unannounced", is_blob, |answer| answer.body(*b"tarball and more").chunked(), "size_mismatch"),
        ("shorter layer", is_blob, |answer| answer.body(*b"tar"), "size_mismatch"),
        ("shorter layer, unannounced", is_blob, |answer| answer.body(*b"tar").until_close(), "size_mismatch"),
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

#[test]
fn redirected_blob_comes_without_credentials_and_only_over_https() {
    let plain = HttpServer::start(|_| Reply::ok().body(*b"tarball"));
    let no_host = "https:///x".to_owned();
    for (name, location, expected) in [
        ("another host", "https://cdn.example.net/x?signature=made".to_owned(), "installed"),
        ("own host", format!("/v2/{REPOSITORY}/blobs/{}?hop=1", sha256_digest(b"tarball")), "installed"),
        ("own host, http", "http://harbor.example.com/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("loopback, http", plain.url("/x"), "oci_pull_failed redirect_denied"),
        ("file", "file:///etc/passwd".to_owned(), "oci_pull_failed redirect_denied"),
        ("userinfo", "https://u:s3cret@cdn.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("no host", no_host, "oci_pull_failed redirect_denied"),
        ("loop", format!("/v2/{REPOSITORY}/blobs/loop"), "oci_pull_failed redirect_denied"),
        ("loop of two hosts", "https://loop.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let cdn = bench.world.server("cdn.example.net", |_| Reply::ok().body(*b"tarball"));
        let back = registry.server().url(&format!("/v2/{REPOSITORY}/blobs/x"));
        let _loop = bench.world.server("loop.example.net", move |_| Reply::redirect(302, &back));
        registry.server().intercept(move |request, answer| {
            if is_blob(request) && request.query.is_empty() { Reply::redirect(307, &location) } else { answer() }
        });
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        if let Err(error) = result {
            assert!(!everything_said(&error).contains("s3cret"), "{name}");
        }
        assert!(cdn.recorder().to_origin(cdn.origin()).iter().all(|request| request.header("authorization").is_none()));
        assert!(bench.world.recorder().requests().iter().filter(|request| is_blob(request)).count() <= 6, "{name}");
    }
    assert_eq!(plain.recorder().requests(), []);
}

#[test]
fn manifest_comes_from_the_registry_itself() {
    for (name, location, expected) in [
        ("own path", format!("/v2/{REPOSITORY}/manifests/1?hop=1"), "installed"),
        ("another host", "https://cdn.example.net/x".to_owned(), "oci_pull_failed redirect_denied"),
        ("another port", "https://harbor.example.com:8443/x".to_owned(), "oci_pull_failed redirect_denied"),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let cdn = bench.world.server("cdn.example.net", |_| Reply::ok().body(*b"{}"));
        registry.server().intercept(move |request, answer| {
            if is_manifest(request) && request.query.is_empty() { Reply::redirect(307, &location) } else { answer() }
        });
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        assert_eq!(bench.world.recorder().to_origin(cdn.origin()), [], "{name}");
    }
}

#[test]
fn refusal_by_a_registrys_storage_is_not_taken_for_one_of_the_login() {
    for (status, expected) in [(401, "oci_pull_failed unauthorized"), (403, "oci_pull_failed forbidden")] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let _cdn = bench.world.server("cdn.example.net", move |_| Reply::status(status));
        registry.server().first(usize::MAX, is_blob, || Reply::redirect(307, "https://cdn.example.net/x"));
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected);
        let hint = result.unwrap_err().hint().unwrap();
        assert!(hint.contains("storage") && !hint.contains("config.json"), "{hint}");
    }
}

#[test]
fn redirect_from_https_to_http_is_denied_on_loopback_too() {
    let bench = Bench::new();
    let registry = Registry::builder().tls(bench.world.ca()).start();
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    let plain = HttpServer::start(|_| Reply::ok().body(*b"tarball"));
    let location = plain.url("/x");
    let redirect = move || Reply::redirect(307, &location);
    registry.server().first(usize::MAX, is_blob, redirect);
    assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), "oci_pull_failed redirect_denied");
    assert_eq!(plain.recorder().requests(), []);
}

/// A registry whose challenge names a realm of its choice.
fn with_realm(world: &World, realm: Realm) -> (Registry, Pushed) {
    let auth = Auth::Bearer(Bearer {
        login: Login::new("robot", "made-password"),
        identity_token: None,
        realm,
        service: "testkit".to_owned(),
        token_field: TokenField::Both,
    });
    let registry = world.registry(RegistryBuilder::from(Quirks { auth, ..Quirks::plain() }));
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    (registry, pushed)
}

#[test]
fn foreign_token_server_is_asked_by_nobody_in_particular() {
    let bench = Bench::new();
    let realm = Realm::Elsewhere { host: "login.example.com".to_owned(), path: "/token".to_owned() };
    let (registry, pushed) = with_realm(&bench.world, realm);
    let config = registry.docker_config();
    let error = bench.fetch(setup(access(&config)), &pushed.reference).unwrap_err();
    assert_eq!((error.reason(), error.cause()), ("oci_pull_failed", Some("unauthorized")));
    assert!(error.hint().unwrap().contains("--token-realm registry.example.com=login.example.com"));
    let asked = bench.world.recorder().to_origin("https://login.example.com");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].header("authorization").is_none() && asked[0].body.is_empty());

    let realms = TrustedRealms::built_in().with("registry.example.com", "login.example.com");
    let listed = Access { realms, ..access(&config) };
    verified(bench.fetch(setup(listed), &pushed.reference).unwrap(), &pushed.integrity);
}

#[test]
fn realm_that_is_not_https_is_never_contacted() {
    let plain = HttpServer::start(|_| Reply::ok().body(*br#"{"token":"t"}"#));
    for realm in
        ["http://169.254.169.254/latest", "http://registry.example.com/token", &plain.url("/token"), "token", ""]
    {
        let bench = Bench::new();
        let (registry, pushed) = with_realm(&bench.world, Realm::Claimed(realm.to_owned()));
        let error = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference).unwrap_err();
        assert_eq!((error.reason(), error.cause()), ("oci_pull_failed", Some("realm_denied")), "{realm}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("https token server") && !hint.contains("--token-realm"), "{realm}: {hint}");
        assert_eq!(bench.world.recorder().requests().len(), 1, "{realm}");
    }
    assert_eq!(plain.recorder().requests(), []);
}

#[test]
fn token_server_must_answer_itself() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::harbor());
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    let evil = bench.world.server("evil.example", |_| Reply::ok().body(*br#"{"token":"t"}"#));
    let to_evil = evil.url("/service/token");
    registry.server().first(1, |request| request.path == "/service/token", move || Reply::redirect(307, &to_evil));
    let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
    assert_eq!(outcome(&result), "oci_pull_failed redirect_denied");
    assert_eq!(evil.recorder().to_origin(evil.origin()), []);
}

/// How a server fails: what it answers, whom, how often, what comes of it, and after how many tries.
type Trouble = (&'static str, fn(&Request) -> bool, usize, fn() -> Reply, &'static str, usize);

#[test]
fn passing_trouble_is_waited_out_and_lasting_trouble_ends() {
    const EVER: usize = usize::MAX;
    let troubles: [Trouble; 22] = [
        ("503 once", is_manifest, 1, || Reply::status(503), "installed", 2),
        ("502 four times", is_manifest, 4, || Reply::status(502), "installed", 5),
        ("503 for ever", is_manifest, EVER, || Reply::status(503), "server_error", 5),
        ("408 once", is_manifest, 1, || Reply::status(408), "installed", 2),
        ("429 for ever", is_blob, EVER, || Reply::status(429), "rate_limited", 5),
        ("404", is_manifest, EVER, || Reply::status(404), "not_found", 1),
        ("400", is_manifest, EVER, || Reply::status(400), "protocol", 1),
        ("closed once", is_manifest, 1, || Reply::broken(Fault::Close), "installed", 2),
        ("reset twice", is_manifest, 2, || Reply::broken(Fault::Reset), "installed", 3),
        ("reset for ever", is_manifest, EVER, || Reply::broken(Fault::Reset), "reset", 5),
        ("silent once", is_manifest, 1, || Reply::broken(Fault::Stall), "installed", 2),
        ("silent for ever", is_manifest, EVER, || Reply::broken(Fault::Stall), "timeout", 5),
        ("short manifest", is_manifest, 1, || short(Fault::Close), "installed", 2),
        ("short manifest for ever", is_manifest, EVER, || short(Fault::Close), "truncated", 5),
        ("stalled manifest", is_manifest, 1, || short(Fault::Stall), "installed", 2),
        ("short layer", is_blob, 1, || short(Fault::Close), "installed", 2),
        ("reset layer", is_blob, 2, || short(Fault::Reset), "installed", 3),
        ("stalled layer", is_blob, 1, || short(Fault::Stall), "installed", 2),
        ("stalled layer for ever", is_blob, EVER, || short(Fault::Stall), "stalled", 5),
        ("cut behind the last byte", is_blob, 1, || whole().broken_after(7, Fault::Close), "installed", 1),
        ("broken chunk", is_blob, 1, broken_chunk, "installed", 2),
        ("broken chunk for ever", is_blob, EVER, broken_chunk, "truncated", 5),
    ];
    thread::scope(|scope| {
        for (name, matches, times, reply, expected, tries) in troubles {
            scope.spawn(move || {
                let bench = Bench::new();
                let (registry, pushed) = stocked(&bench, b"tarball");
                registry.server().first(times, matches, reply);
                let result = bench.fetch(Setup { timeouts: SHORT, ..Setup::default() }, &pushed.reference);
                assert_eq!(outcome(&result).split(' ').next_back().unwrap(), expected, "{name}");
                assert_eq!(registry.recorder().requests().iter().filter(|r| matches(r)).count(), tries, "{name}");
                assert_eq!(bench.waits().len(), tries - 1, "{name}");
            });
        }
    });
}

/// Less than it announces: the first bytes of an artifact `tarball`, whoever asked for what.
fn short(fault: Fault) -> Reply {
    Reply::ok().body(*b"tarball").broken_after(3, fault)
}

/// All of it, in chunks, so that one more has to say that it was all.
fn whole() -> Reply {
    Reply::ok().body(*b"tarball").chunked()
}

fn broken_chunk() -> Reply {
    Reply::raw(*b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntar\r\nzz\r\n")
}

#[test]
fn server_says_how_long_to_wait_but_not_for_a_day() {
    for (name, status, retry_after, expected, waits) in [
        ("seconds", 503, "2", "installed", vec![2]),
        ("a date ten seconds on", 429, "Sun, 06 Nov 1994 08:49:47 GMT", "installed", vec![10]),
        ("a minute", 429, "60", "installed", vec![60]),
        ("a minute and a second", 429, "61", "oci_pull_failed rate_limited", vec![]),
        ("a day", 429, "86400", "oci_pull_failed rate_limited", vec![]),
        ("a date in a year", 503, "Mon, 06 Nov 1995 08:49:37 GMT", "oci_pull_failed server_error", vec![]),
    ] {
        let bench = Bench::new();
        let (registry, pushed) = stocked(&bench, b"tarball");
        registry.server().first(1, is_manifest, move || Reply::status(status).retry_after(retry_after));
        assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), expected, "{name}");
        assert_eq!(bench.waits(), waits.into_iter().map(Duration::from_secs).collect::<Vec<_>>(), "{name}");
        assert!(registry.recorder().requests().len() <= 3, "{name}");
    }
}

#[test]
fn broken_transfer_goes_on_where_it_broke_off() {
    let bytes = artifact(1 << 20);
    for (name, ranges, fault) in [
        ("closed", Ranges::Honoured, Fault::Close),
        ("reset", Ranges::Honoured, Fault::Reset),
        ("closed, no ranges", Ranges::Ignored, Fault::Close),
        ("reset, no ranges", Ranges::Ignored, Fault::Reset),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(RegistryBuilder::from(Quirks::plain()).ranges(ranges));
        let pushed = registry.push(REPOSITORY, "1", &bytes);
        registry.server().intercept(move |request, answer| {
            let first = is_blob(request) && request.header("range").is_none();
            if first { answer().broken_after(700_000, fault) } else { answer() }
        });
        let fetched = bench.fetch(Setup::default(), &pushed.reference).unwrap();
        assert_eq!(verified(fetched, &pushed.integrity), bytes, "{name}");
        let asked = registry.recorder().with_header("range");
        let range = asked[0].header("range").unwrap();
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        assert!((1..=700_000).contains(&first.parse::<u64>().unwrap()), "{name}: {range}");
        assert_eq!(last, ((1 << 20) - 1).to_string(), "{name}");
        assert_eq!(asked.len(), 1, "{name}");
    }
}

#[test]
fn part_from_another_place_is_not_taken() {
    for range in ["bytes 0-6/7", "bytes 4-6/7", "bytes */7", "3-6", ""] {
        let bench = Bench::new();
        let (registry, pushed) = stocked(&bench, b"tarball");
        registry.server().intercept(move |request, answer| match request.header("range") {
            Some(_) => part(range, b"ball"),
            None if is_blob(request) => short(Fault::Close),
            None => answer(),
        });
        assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), "oci_pull_failed protocol", "{range}");
    }
}

#[test]
fn trickle_is_a_stall() {
    for matches in [is_manifest as fn(&Request) -> bool, is_blob] {
        let bench = Bench::new();
        let (registry, pushed) = stocked(&bench, &artifact(1 << 20));
        let clock = Arc::clone(&bench.clock);
        // From then on each look at the clock finds half a minute gone, and no read brings what that would have to.
        registry.server().intercept(move |request, answer| {
            *clock.tick.lock().unwrap() = Duration::from_secs(if matches(request) { 31 } else { 0 });
            answer()
        });
        let plugin_time = Duration::from_hours(1);
        let limits = FetchLimits { stall_bytes_per_second: 1 << 20, plugin_time, ..FetchLimits::default() };
        let result = bench.fetch(Setup { limits, ..Setup::default() }, &pushed.reference);
        assert_eq!(outcome(&result), "oci_pull_failed stalled");
        assert_eq!(bench.waits().len(), 4);
    }
}

#[test]
fn refused_connection_is_tried_again() {
    let bench = Bench::new();
    let registry = Registry::start();
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    // All servers of these tests are at 127.0.0.1, so nobody takes this port meanwhile.
    let address = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let behind = registry.server().address();
    *bench.clock.at_wait.lock().unwrap() = Some(Box::new(move |wait| {
        if wait == 2 {
            let door = TcpListener::bind(address).unwrap();
            thread::spawn(move || forward(&door, behind));
        }
    }));
    let fetched = bench.fetch(Setup::default(), &format!("oci://{address}/{REPOSITORY}:1")).unwrap();
    verified(fetched, &pushed.integrity);
    assert_eq!(bench.waits().len(), 2);
}

/// Carries each connection's bytes both ways, for as long as the test runs.
fn forward(door: &TcpListener, behind: SocketAddr) {
    for client in door.incoming() {
        let (client, server) = (client.unwrap(), TcpStream::connect(behind).unwrap());
        let carry = |mut from: TcpStream, mut to: TcpStream| {
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        };
        carry(client.try_clone().unwrap(), server.try_clone().unwrap());
        carry(server, client);
    }
}

#[test]
fn cut_connection_to_a_registry_with_tls_is_no_sign_of_plain_http() {
    let bench = Bench::new();
    for (name, times, expected) in [("once", 1, "installed"), ("for ever", usize::MAX, "oci_pull_failed reset")] {
        let registry = Registry::builder().tls(bench.world.ca()).start();
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        registry.server().first(times, is_manifest, || Reply::broken(Fault::Reset));
        assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), expected, "{name}");
    }
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let package = format!("oci://{}/{REPOSITORY}:1", door.local_addr().unwrap());
    thread::spawn(move || {
        for client in door.incoming() {
            let (mut client, mut heard) = (client.unwrap(), [0; 4_096]);
            let hello = client.read(&mut heard).is_ok_and(|len| len > 0) && heard[0] == TLS_HANDSHAKE;
            // What servers written in Go say to plain http on a port for TLS.
            let answer: &[u8] = if hello { b"" } else { b"HTTP/1.0 400 Bad Request\r\n\r\n" };
            client.write_all(answer).unwrap();
        }
    });
    assert_eq!(outcome(&bench.fetch(Setup::default(), &package)), "oci_pull_failed reset");
}

#[test]
fn server_that_never_answers_the_hello_is_given_up() {
    let bench = Bench::new();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let package = format!("oci://{}/{REPOSITORY}:1", mute.local_addr().unwrap());
    let result = bench.fetch(Setup { timeouts: SHORT, ..Setup::default() }, &package);
    assert_eq!(outcome(&result), "oci_pull_failed timeout");
    assert_eq!(bench.waits().len(), 4);
}

#[test]
fn time_for_one_plugin_ends() {
    let bench = Bench::new();
    let (registry, pushed) = stocked(&bench, b"tarball");
    registry.server().first(usize::MAX, is_manifest, || Reply::status(503).retry_after("50"));
    let limits = FetchLimits { plugin_time: Duration::from_mins(2), ..FetchLimits::default() };
    let result = bench.fetch(Setup { limits, ..Setup::default() }, &pushed.reference);
    assert_eq!(outcome(&result), "oci_pull_failed server_error");
    assert_eq!(bench.waits(), [Duration::from_secs(50); 2]);
}

/// What takes how many minutes of the plugin's quarter of an hour, and how many requests are sent before it is over.
type Slowness = (&'static str, fn(&Request) -> bool, u64, usize);

#[test]
fn nothing_is_sent_after_the_time_for_one_plugin() {
    let slow: [Slowness; 5] = [
        ("redirects of the blob", is_blob, 4, 7),
        ("challenge", |request| is_manifest(request) && request.header("authorization").is_none(), 16, 1),
        ("token", |request| request.path == "/service/token", 16, 2),
        ("manifest", |request| is_manifest(request) && request.header("authorization").is_some(), 16, 3),
        ("each manifest", is_manifest, 8, 3),
    ];
    for (name, matches, minutes, requests) in slow {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let clock = Arc::clone(&bench.clock);
        registry.server().intercept(move |request, answer| {
            if matches(request) {
                *clock.uptime.lock().unwrap() += Duration::from_secs(60 * minutes);
            }
            if is_blob(request) { Reply::redirect(307, &request.path) } else { answer() }
        });
        let error = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference).unwrap_err();
        assert_eq!((error.reason(), error.cause()), ("oci_pull_failed", Some("timeout")), "{name}");
        assert!(error.hint().unwrap().contains("--plugin-timeout"), "{name}");
        assert_eq!(bench.world.recorder().requests().len(), requests, "{name}");
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{name}");
    }
}

#[test]
fn nothing_is_sent_after_a_stop() {
    for (name, matches, requests) in [
        ("at the challenge", is_manifest as fn(&Request) -> bool, 1),
        ("at the token", |request| request.path == "/service/token", 2),
        ("at the first redirect", is_blob, 4),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let stop = Stop::new();
        let asked = stop.clone();
        registry.server().intercept(move |request, answer| {
            if matches(request) {
                asked.ask();
            }
            if is_blob(request) { Reply::redirect(307, &request.path) } else { answer() }
        });
        let fetcher = bench.fetcher(setup(access(&registry.docker_config())));
        assert_eq!(outcome(&fetch_unless(&stop, &fetcher, &pushed.reference)), "interrupted -", "{name}");
        assert_eq!(bench.world.recorder().requests().len(), requests, "{name}");
    }
}

#[test]
fn one_connection_serves_a_whole_pull() {
    let bench = Bench::new();
    let (_registry, pushed) = stocked(&bench, &Plugin::backend("hello").tarball());
    let fetcher = bench.fetcher(Setup::default());
    for _ in 0..3 {
        verified(fetch(&fetcher, &pushed.reference).unwrap(), &pushed.integrity);
    }
    assert_eq!(bench.proxy.asked(), ["registry.example.com:443"]);
}
