//! Registries that lie about what they took, send us elsewhere, break, and break off.

use std::io::{self, Read};
use std::sync::Arc;

use integrity::Blame;
use oci::{Blob, How, PushOptions};
use testkit::{Fault, HttpServer, Registry, RegistryBuilder, Reply, Request, Uploads, sha256_digest};
use transport::Content;

use crate::bench::{Publisher, REPOSITORY, artifact, chunk, digest, layer, methods, to};

const SIZE: u32 = 4_096;

fn is_post(request: &Request) -> bool {
    request.method == "POST"
}

fn is_patch(request: &Request) -> bool {
    request.method == "PATCH"
}

fn is_put(request: &Request) -> bool {
    request.method == "PUT"
}

fn is_tag(request: &Request) -> bool {
    request.method == "PUT" && request.path.contains("/manifests/")
}

fn taking(uploads: Uploads) -> RegistryBuilder {
    Registry::builder().uploads(uploads)
}

#[test]
fn upload_is_not_believed_before_the_blob_is_seen() {
    let sizes = |least, most| Uploads::ChunkSize { least, most };
    for (name, uploads, options, expected, hint) in [
        ("plain", Uploads::Plain, chunk(1_000), "done", ""),
        ("absolute, with a query", Uploads::Absolute, PushOptions::default(), "done", ""),
        ("absolute, with a query, in chunks", Uploads::Absolute, chunk(1_000), "done", ""),
        ("last chunk only, in one", Uploads::LastChunkOnly, PushOptions::default(), "done", ""),
        ("last chunk only", Uploads::LastChunkOnly, chunk(1_000), "stored_other", "without"),
        ("other bytes", Uploads::OtherBytes, PushOptions::default(), "stored_other", "nothing was tagged"),
        ("other bytes, in chunks", Uploads::OtherBytes, chunk(1_000), "stored_other", "nothing was tagged"),
        ("no large body", Uploads::BodyLimit(2_000), PushOptions::default(), "protocol", "--chunk-size"),
        ("no large body, in chunks", Uploads::BodyLimit(2_000), chunk(2_000), "done", ""),
        ("no chunks", Uploads::WholeOnly, PushOptions::default(), "done", ""),
        ("no chunks, in chunks", Uploads::WholeOnly, chunk(1_000), "protocol", "nothing can be pushed there"),
        ("chunks of a size", sizes(1_000, 2_000), chunk(2_048), "chunk_refused", "1000 or more"),
        ("chunks of a least size", sizes(1_000, 2_000), chunk(999), "chunk_refused", "1000 or more"),
        ("chunks of that size", sizes(96, 2_000), chunk(2_000), "done", ""),
    ] {
        let registry = taking(uploads).start();
        let result = Publisher::anonymous().push(&to(&registry), &artifact(SIZE), &options);
        match result {
            Ok(pushed) => {
                assert_eq!(expected, "done", "{name}");
                let layer = registry.blob(REPOSITORY, &sha256_digest(&artifact(SIZE))).unwrap();
                assert_eq!(*layer, artifact(SIZE), "{name}");
                assert!(registry.manifest(REPOSITORY, &pushed.to_string()).is_some(), "{name}");
            }
            Err(error) => {
                assert_eq!(error.cause(), expected, "{name}: {error:?}");
                assert!(error.hint().unwrap().contains(hint), "{name}: {:?}", error.hint());
                assert!(!registry.recorder().requests().iter().any(is_tag), "{name}: nothing is tagged");
            }
        }
    }
}

/// What is changed about which answer, and what comes of it.
type Lie = (&'static str, fn(&Request) -> bool, fn(Reply) -> Reply, &'static str);

#[test]
fn answer_that_contradicts_what_was_sent_ends_the_push() {
    let other = |answer: Reply| answer.header("docker-content-digest", &sha256_digest(b"other"));
    let proof = |request: &Request| request.method == "HEAD" && request.query.is_empty();
    let lies: [Lie; 17] = [
        ("upload without a place", is_post, |answer| answer.without("location"), "shape"),
        ("chunk without a place", is_patch, |answer| answer.without("location"), "done"),
        ("chunk without a range", is_patch, |answer| answer.without("range"), "done"),
        ("range in other words", is_patch, |answer| answer.without("range").header("range", "bytes=x"), "shape"),
        ("chunk that is kept in part", is_patch, |answer| answer.header("range", "0-9"), "stored_other"),
        ("chunk of a size that is not taken", is_patch, |_| Reply::status(416), "chunk_refused"),
        ("blob of another digest", is_put, other, "stored_other"),
        ("blob of no digest", is_put, |answer| answer.header("docker-content-digest", "../x"), "shape"),
        ("blob, and the digest not named", is_put, |answer| answer.without("docker-content-digest"), "done"),
        ("blob that is not there afterwards", proof, |_| Reply::status(404), "stored_other"),
        ("blob of no size", proof, |_| Reply::ok().until_close(), "done"),
        ("blob of another size", proof, |_| Reply::ok().body(*b"x"), "stored_other"),
        ("manifest of another digest", is_tag, other, "stored_other"),
        ("upload that is forgotten", is_put, |_| Reply::status(404), "not_found"),
        ("redirected upload", is_post, |_| Reply::redirect(307, "/v2/x/blobs/uploads/"), "redirect_denied"),
        ("redirected blob", is_put, |_| Reply::redirect(307, "/elsewhere"), "redirect_denied"),
        ("endless answer", is_post, |answer| answer.stream(io::repeat(b'x'), 0).chunked(), "done"),
    ];
    for (name, matches, lie, expected) in lies {
        let registry = Registry::start();
        registry.server().intercept(move |request, answer| {
            let answer = answer();
            if matches(request) { lie(answer) } else { answer }
        });
        let result = Publisher::anonymous().push(&to(&registry), &artifact(SIZE), &chunk(1_000));
        assert_eq!(result.as_ref().err().map_or("done", oci::OciError::cause), expected, "{name}: {result:?}");
    }
}

#[test]
fn upload_that_leads_elsewhere_gets_neither_bytes_nor_login() {
    let stranger = HttpServer::start(|_| Reply::status(201));
    let port = stranger.address().port();
    for (name, location) in [
        ("another port", stranger.url("/v2/x")),
        ("another name", format!("http://localhost:{port}/v2/x")),
        ("another host", "https://evil.example/v2/x".to_owned()),
        ("without a scheme", format!("//127.0.0.1:{port}/v2/x")),
        ("in the clear", "http://evil.example/v2/x".to_owned()),
        ("with a user", format!("http://u:p@127.0.0.1:{port}/v2/x")),
        ("no URL", "x".to_owned()),
    ] {
        for matches in [is_post, is_patch] {
            let registry = Registry::builder().auth(testkit::Auth::basic("octocat", "made-password")).start();
            let location = location.clone();
            registry.server().intercept(move |request, answer| {
                let is_upload = matches(request) && request.header("authorization").is_some();
                if is_upload { answer().header("location", &location) } else { answer() }
            });
            let publisher = Publisher::with(&registry.docker_config());
            let error = publisher.push(&to(&registry), &artifact(SIZE), &chunk(1_000)).unwrap_err();
            assert_eq!((error.cause(), error.blame()), ("location_denied", Blame::Network), "{name}");
            assert!(error.hint().unwrap().contains("its own address"), "{name}");
            assert_eq!(stranger.recorder().requests(), [], "{name}");
        }
    }
    // The registry's other scheme is another origin, too.
    let ca = testkit::Ca::new();
    let registry = Registry::builder().tls(&ca).start();
    let plain = registry.server().url("/v2/x").replace("https:", "http:");
    registry.server().intercept(move |request, answer| match request.method.as_str() {
        "POST" => answer().header("location", &plain),
        _ => answer(),
    });
    let error = Publisher::trusting(&ca, "{}").push(&to(&registry), b"tarball", &PushOptions::default()).unwrap_err();
    assert_eq!(error.cause(), "location_denied");
}

#[test]
fn second_try_begins_with_a_look() {
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    registry.server().first(1, is_put, || Reply::status(503));
    let stored = publisher.push_blob_twice(&to(&registry), &layer(b"tarball"), &PushOptions::default()).unwrap();
    assert_eq!(stored.how(), How::Sent);
    assert_eq!(methods(&registry), "HEAD POST PUT HEAD POST PUT HEAD");

    // The bytes arrived, and the answer did not.
    let lost = layer(b"tarball, kept");
    registry.server().intercept(|request, answer| {
        let answer = answer();
        if is_put(request) && request.body.ends_with(b"kept") { Reply::broken(Fault::Reset) } else { answer }
    });
    let stored = publisher.push_blob_twice(&to(&registry), &lost, &PushOptions::default()).unwrap();
    assert_eq!((stored.how(), &*methods(&registry)), (How::Existed, "HEAD POST PUT HEAD"));
}

#[test]
fn connection_that_is_cut_hints_at_smaller_requests() {
    let registry = Registry::start();
    registry.server().intercept(|request, answer| if is_put(request) { Reply::broken(Fault::Reset) } else { answer() });
    let pushed = Publisher::anonymous().push_blob_twice(&to(&registry), &layer(b"tarball"), &PushOptions::default());
    let error = pushed.unwrap_err();
    assert_eq!((error.cause(), error.blame()), ("reset", Blame::Network));
    assert!(error.hint().unwrap().contains("--chunk-size"), "{:?}", error.hint());
}

/// A content of another length than the blob says.
struct Grown;

impl Content for Grown {
    fn len(&self) -> u64 {
        8
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(io::repeat(b'x').take(9 - from)))
    }
}

#[test]
fn file_that_changes_is_no_fault_of_the_registry() {
    for size in [7, 8] {
        let registry = Registry::start();
        let mut blob = Blob { content: Arc::new(Grown), ..layer(b"tarball") };
        blob.descriptor.size = size;
        let pushed = Publisher::anonymous().push_blob_twice(&to(&registry), &blob, &PushOptions::default());
        let error = pushed.unwrap_err();
        assert_eq!((error.cause(), error.blame()), ("content", Blame::Host), "{size}");
        assert_eq!(methods(&registry), "HEAD POST", "{size}: it is not tried again");
        assert!(registry.blob(REPOSITORY, &digest(&blob)).is_none());
    }
}

#[test]
fn nothing_is_sent_once_a_stop_was_asked_for() {
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    let stop = publisher.stop.clone();
    registry.server().intercept(move |request, answer| {
        if is_post(request) {
            stop.ask();
        }
        answer()
    });
    let error = publisher.push(&to(&registry), b"tarball", &PushOptions::default()).unwrap_err();
    assert_eq!((error.cause(), &*methods(&registry)), ("interrupted", "HEAD POST"));
}
