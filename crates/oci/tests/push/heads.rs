//! Registries and proxies that answer `HEAD` badly, or not at all.

use std::io;

use oci::{Artifact, Blob, How, OciError, PushOptions};
use testkit::{Ranges, Registry, Reply, Request, sha256_digest};

use crate::bench::{Publisher, REPOSITORY, digest, layer, methods, reference, to};

fn is_head(request: &Request) -> bool {
    request.method == "HEAD"
}

fn is_read(request: &Request) -> bool {
    request.method == "GET"
}

type Change = fn(Reply) -> Reply;

/// Changes the answers to some requests.
fn meddle(registry: &Registry, matches: fn(&Request) -> bool, change: Change) {
    registry.server().intercept(move |request, answer| {
        let answer = answer();
        if matches(request) { change(answer) } else { answer }
    });
}

fn outcome<T>(result: &Result<T, OciError>) -> &'static str {
    result.as_ref().err().map_or("done", OciError::cause)
}

#[test]
fn blob_is_found_where_head_does_not_tell_its_size() {
    let absent = "HEAD GET POST PUT HEAD GET";
    for (name, head, first, ranges) in [
        ("no such method", (|_| Reply::status(405)) as Change, absent, Ranges::Honoured),
        ("not implemented", |_| Reply::status(501), absent, Ranges::Honoured),
        ("no such method, and no ranges", |_| Reply::status(405), absent, Ranges::Ignored),
        ("no length", Reply::until_close, "HEAD POST PUT HEAD GET", Ranges::Honoured),
        ("no length, and no ranges", Reply::chunked, "HEAD POST PUT HEAD GET", Ranges::Ignored),
    ] {
        for bytes in [&b"tarball"[..], b""] {
            let name = format!("{name}, {} bytes", bytes.len());
            let registry = Registry::builder().ranges(ranges).start();
            meddle(&registry, is_head, head);
            let publisher = Publisher::anonymous();
            let push = || publisher.push_blob(&to(&registry), &layer(bytes), &PushOptions::default()).unwrap().how();
            assert_eq!((push(), &*methods(&registry)), (How::Sent, first), "{name}");
            assert_eq!(push(), How::Existed, "{name}");
            for request in registry.recorder().requests().iter().filter(|request| is_read(request)) {
                let range = (!bytes.is_empty()).then_some("bytes=0-0");
                assert_eq!(request.header("range"), range, "{name}");
            }
        }
    }
}

#[test]
fn blob_in_object_storage_is_found_without_head() {
    let registry = Registry::builder().blob_redirect("storage.example.com").start();
    meddle(&registry, is_head, |_| Reply::status(405));
    let publisher = Publisher::anonymous();
    for how in [How::Sent, How::Existed] {
        let stored = publisher.push_blob(&to(&registry), &layer(b"tarball"), &PushOptions::default()).unwrap();
        assert_eq!(stored.how(), how);
    }
}

#[test]
fn size_that_is_not_told_is_not_made_up() {
    let lies: [(&str, Change, &str, &str); 8] = [
        ("of all lengths", |_| Reply::status(206).header("content-range", "bytes 0-0/*"), "unknown_size", ""),
        ("no range", |_| Reply::status(206), "unknown_size", ""),
        ("broken range", |_| Reply::status(206).header("content-range", "7"), "unknown_size", ""),
        ("no length", |_| Reply::ok().until_close(), "unknown_size", ""),
        ("other length", |_| Reply::ok().body(*b"other"), "stored_other", "expected 7 bytes, found 5 bytes"),
        (
            "other length of a part",
            |_| Reply::status(206).header("content-range", "bytes 0-0/8").body(*b"t"),
            "stored_other",
            "found 8 bytes",
        ),
        ("no byte", |_| Reply::status(416), "stored_other", "found 0 bytes"),
        // Whoever reads this never comes back.
        ("endless", |_| Reply::ok().stream(io::repeat(b'x'), u64::MAX), "stored_other", "found 18446744073709551615"),
    ];
    for (name, lie, expected, words) in lies {
        let registry = Registry::start();
        meddle(&registry, is_head, |_| Reply::status(405));
        meddle(&registry, is_read, lie);
        let pushed = Publisher::anonymous().push_blob(&to(&registry), &layer(b"tarball"), &PushOptions::default());
        assert_eq!(outcome(&pushed), expected, "{name}: {pushed:?}");
        let failure = pushed.unwrap_err().failure().to_string();
        let unknown = format!("`{}` does not say how large the blob is", registry.host());
        assert!(if words.is_empty() { failure == unknown } else { failure.contains(words) }, "{name}: {failure}");
    }
}

#[test]
fn tag_is_looked_up_where_head_is_not_known() {
    for status in [405, 501] {
        let registry = Registry::start();
        registry
            .server()
            .intercept(move |request, answer| if is_head(request) { Reply::status(status) } else { answer() });
        let publisher = Publisher::anonymous();
        let tagged = || publisher.client.tagged(&reference(&to(&registry)), publisher.patience()).unwrap();
        assert_eq!(tagged(), None);
        let pushed = registry.push(REPOSITORY, "1", b"tarball").digest;
        methods(&registry);
        assert_eq!(tagged().map(|digest| digest.to_string()), Some(pushed));
        assert_eq!(methods(&registry), "HEAD GET");
    }
}

#[test]
fn manifest_whose_digest_is_not_named_is_read_back() {
    let unnamed = |answer: Reply| answer.without("docker-content-digest");
    let cases: [(&str, Change, Option<&str>); 6] = [
        ("named when read", |answer| answer, None),
        ("not named when read", |answer| answer.without("docker-content-digest"), None),
        ("other bytes", |answer| answer.without("docker-content-digest").body(*b"{}"), Some("`sha256:44136fa")),
        ("other bytes under its digest", |answer| answer.body(*b"{}"), Some("`sha256:44136fa")),
        (
            "other bytes under their digest",
            |answer| answer.header("docker-content-digest", &sha256_digest(b"{}")).body(*b"{}"),
            Some("`sha256:44136fa"),
        ),
        ("nothing", |_| Reply::status(404), Some("nothing")),
    ];
    for (name, lie, found) in cases {
        let registry = Registry::start();
        let publisher = Publisher::anonymous();
        let store = |blob: &Blob| publisher.push_blob(&to(&registry), blob, &PushOptions::default()).unwrap();
        let artifact = Artifact::new(store(&Blob::empty_config()), store(&layer(b"tarball")), None, [].into());
        meddle(&registry, |request| request.method == "PUT", unnamed);
        meddle(&registry, is_read, lie);
        methods(&registry);
        let pushed = publisher.client.push_manifest(&reference(&to(&registry)), &artifact, publisher.patience());
        assert_eq!(methods(&registry), "PUT GET", "{name}");
        let Some(found) = found else {
            assert_eq!(pushed.unwrap(), artifact.digest(), "{name}");
            continue;
        };
        let error = pushed.unwrap_err();
        assert_eq!(error.cause(), "stored_other", "{name}");
        let failure = error.failure().to_string();
        assert!(failure.contains(&format!("expected `{}`, found {found}", artifact.digest())), "{name}: {failure}");
        assert!(error.hint().unwrap().contains("the tag may point to something else"), "{name}: {:?}", error.hint());
    }
}

#[test]
fn digest_that_head_contradicts_is_seen_without_a_size() {
    let registry = Registry::start();
    let blob = layer(b"tarball");
    registry.push_blob(REPOSITORY, b"tarball");
    meddle(&registry, is_head, |answer| answer.until_close().header("docker-content-digest", &sha256_digest(b"other")));
    let pushed = Publisher::anonymous().push_blob(&to(&registry), &blob, &PushOptions::default());
    assert_eq!(outcome(&pushed), "stored_other", "{}", digest(&blob));
}
