//! What registries say when they refuse, and what they hide in it.

use base64ct::{Base64, Encoding};
use integrity::Blame;
use oci::{Artifact, Blob, OciError, PushOptions};
use serde_json::{Value, json};
use testkit::{Auth, GZIP, HttpServer, OCI_INDEX, OCI_MANIFEST, Registry, Reply, Request, docker_config};

use crate::bench::{Publisher, REPOSITORY, layer, methods, reference, to};

/// What a terminal acts on.
const EVIL: &str = "\u{1b}]0;x\u{7}\u{1b}[2J\n\u{202e}";

fn is_tag(request: &Request) -> bool {
    request.method == "PUT" && request.path.contains("/manifests/")
}

fn errors(code: &str, message: &str) -> Value {
    json!({ "errors": [{ "code": code, "message": message }] })
}

/// A push whose last request is answered so.
fn refused(
    registry: &Registry,
    publisher: &Publisher,
    refusal: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> OciError {
    registry.server().intercept(move |request, answer| if is_tag(request) { refusal(request) } else { answer() });
    publisher.push(&to(registry), b"tarball", &PushOptions::default()).unwrap_err()
}

#[test]
fn reason_of_a_refusal_is_shown_and_makes_it_the_operators() {
    let words = || errors("TAG_INVALID", "tag is immutable");
    let said = ": TAG_INVALID: tag is immutable";
    for (status, text, silent, spoken) in [
        (400, "", Blame::Network, Blame::Operator),
        (401, " and was given no credentials", Blame::Operator, Blame::Operator),
        (403, " and was given no credentials", Blame::Operator, Blame::Operator),
        (404, ": there is no such repository", Blame::Operator, Blame::Operator),
        (405, "", Blame::Operator, Blame::Operator),
        (408, "", Blame::Network, Blame::Network),
        (409, "", Blame::Network, Blame::Operator),
        (413, "", Blame::Operator, Blame::Operator),
        (416, "", Blame::Network, Blame::Network),
        (422, "", Blame::Network, Blame::Operator),
        (429, ": too many requests", Blame::Network, Blame::Network),
        (500, "", Blame::Network, Blame::Network),
    ] {
        for (reply, said, blame) in [
            (Reply::status(status).json(&words()), said, spoken),
            (Reply::status(status).body(*b"<html>"), "", silent),
            (Reply::status(status), "", silent),
        ] {
            let reply = std::sync::Mutex::new(Some(reply));
            let registry = Registry::start();
            let answer = move |_: &Request| reply.lock().unwrap().take().unwrap();
            let error = refused(&registry, &Publisher::anonymous(), answer);
            assert_eq!(error.failure().to_string(), format!("`{}` answered {status}{text}{said}", registry.host()));
            assert_eq!(error.blame(), blame, "{status}{said}");
        }
    }
}

#[test]
fn only_a_bounded_answer_is_read() {
    let padded = |len: usize| {
        let body = errors("TAG_INVALID", "tag is immutable").to_string();
        body.clone() + &" ".repeat(len - body.len())
    };
    for (name, len, said) in [("at the limit", 64 * 1024, true), ("past it", 64 * 1024 + 1, false)] {
        let registry = Registry::start();
        let answer = move |_: &Request| Reply::status(400).body(padded(len).into_bytes()).chunked();
        let error = refused(&registry, &Publisher::anonymous(), answer);
        assert_eq!(error.failure().to_string().ends_with("immutable"), said, "{name}");
    }
    let registry = Registry::start();
    let endless = |_: &Request| Reply::status(400).stream(std::io::repeat(b'['), 0).chunked();
    assert_eq!(refused(&registry, &Publisher::anonymous(), endless).cause(), "protocol");
}

#[test]
fn login_is_not_shown_even_where_the_registry_repeats_it() {
    for auth in [Auth::basic("octocat", "made-password"), Auth::bearer("octocat", "made-password")] {
        let registry = Registry::builder().auth(auth).start();
        let publisher = Publisher::with(&registry.docker_config());
        let error = refused(&registry, &publisher, |request| {
            let proof = request.header("authorization").unwrap_or_default();
            let pair = proof.split_once(' ').and_then(|(_, proof)| Base64::decode_vec(proof).ok()).unwrap_or_default();
            let heard = format!("{proof} {}", String::from_utf8_lossy(&pair));
            Reply::status(400).json(&errors("UNKNOWN", &format!("you said {heard}")))
        });
        assert_eq!(error.failure().to_string(), format!("`{}` answered 400", registry.host()));
    }
}

#[test]
fn token_server_is_not_quoted() {
    for status in [400, 401, 403, 404, 429, 500] {
        let registry = Registry::builder().auth(Auth::bearer("octocat", "made-password")).start();
        registry.server().intercept(move |request, answer| match &*request.path {
            "/token" => Reply::status(status).json(&errors("UNKNOWN", "made-token")),
            _ => answer(),
        });
        let publisher = Publisher::with(&docker_config(registry.host(), "octocat", "made-password"));
        let error = publisher.push(&to(&registry), b"tarball", &PushOptions::default()).unwrap_err();
        let failure = error.failure().to_string();
        assert!(!failure.contains("made-token") && !failure.contains("UNKNOWN"), "{failure}");
    }
}

#[test]
fn nothing_that_a_terminal_acts_on_gets_into_an_error() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let entry = |media_type: &str, os: &str| {
        json!({
            "mediaType": media_type, "digest": digest, "size": 1, "platform": { "os": os, "architecture": EVIL },
        })
    };
    let manifest = |layer: &str| json!({ "schemaVersion": 2, "layers": [entry(layer, "linux")] });
    let long = EVIL.repeat(100_000);
    let folders: Vec<Value> = (0..1_000).map(|n| json!({ format!("plugin-{n}"): {} })).collect();
    let annotation = Base64::encode_string(Value::from(folders).to_string().as_bytes());
    let many = json!({
        "schemaVersion": 2,
        "layers": [entry(GZIP, "linux")],
        "annotations": { "io.backstage.dynamic-packages": annotation },
    });
    for (name, document, content_type, expected) in [
        (
            "document",
            json!({ "schemaVersion": 2, "mediaType": EVIL, "layers": [] }),
            OCI_MANIFEST,
            "media type `\\u{1b}]0;x",
        ),
        ("long", json!({ "schemaVersion": 2, "mediaType": long, "layers": [] }), OCI_MANIFEST, "…`"),
        ("layer", manifest(EVIL), OCI_MANIFEST, "`\\u{1b}]0;x\\u{7}\\u{1b}[2J\\n\\u{202e}`, which no plugin has"),
        (
            "platform",
            json!({ "schemaVersion": 2, "manifests": vec![entry(OCI_MANIFEST, EVIL); 1_000] }),
            OCI_INDEX,
            "` and 980 more",
        ),
        (
            "digest",
            json!({ "schemaVersion": 2, "layers": [{ "mediaType": GZIP, "digest": EVIL, "size": 1 }] }),
            OCI_MANIFEST,
            "digest is none",
        ),
        ("another type", json!({ "schemaVersion": long }), OCI_MANIFEST, "not a manifest"),
        ("plugins", many, OCI_MANIFEST, "holds 1000 plugins, and the reference selects none: `plugin-0`, "),
    ] {
        let registry = Registry::start();
        registry.push_manifest(REPOSITORY, "1", document.to_string().as_bytes(), content_type);
        let error = Publisher::anonymous().pull(&to(&registry)).unwrap_err();
        assert_eq!(error.blame(), if name == "plugins" { Blame::Operator } else { Blame::Publisher }, "{name}");
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.extend([": ", &error.to_string()]);
            cause = error.source();
        }
        assert!(text.contains(expected), "{name}: {text}");
        assert!(!text.chars().any(source::is_invisible) && text.len() < 5_000, "{name}: {text:?}");
    }
}

#[test]
fn realm_is_shown_in_part() {
    let realm = format!("http://evil.example/{}", "x".repeat(4_000));
    let server =
        HttpServer::start(move |_| Reply::status(401).header("www-authenticate", &format!("Bearer realm=\"{realm}\"")));
    let reference = format!("{}/{REPOSITORY}:1", server.host());
    let error = Publisher::anonymous().pull(&reference).unwrap_err();
    assert_eq!(error.cause(), "realm_denied");
    assert!(error.failure().to_string().len() < 400, "{}", error.failure());
}

#[test]
fn manifest_that_no_reader_takes_is_not_sent() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    let store = |blob: &Blob| publisher.push_blob(&to(&registry), blob, &PushOptions::default()).unwrap();
    let (config, layer) = (store(&Blob::empty_config()), store(&layer(b"tarball")));
    let artifact = |len: usize| {
        let annotations = [("a".to_owned(), "x".repeat(len))].into();
        Artifact::new(config.clone(), layer.clone(), None, annotations)
    };
    let room = LIMIT - artifact(0).bytes().len();
    let push = |len| publisher.client.push_manifest(&reference(&to(&registry)), &artifact(len), publisher.patience());
    methods(&registry);
    let error = push(room + 1).unwrap_err();
    assert_eq!((error.cause(), error.blame(), &*methods(&registry)), ("too_large", Blame::Publisher, ""));
    assert_eq!(error.failure().to_string(), "expected a manifest of at most 4194304 bytes, found 4194305");
    assert!(error.hint().unwrap().contains("fewer plugins"), "{:?}", error.hint());
    push(room).unwrap();
    publisher.pull(&to(&registry)).unwrap();
}
