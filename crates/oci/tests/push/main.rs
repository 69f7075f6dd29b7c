//! Pushes: what is sent, what is not sent again, and who is let in.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

mod bench;
mod foreign;
mod heads;
mod lies;
mod logins;
mod words;

use std::collections::BTreeMap;

use bench::{Publisher, REPOSITORY, artifact, chunk, digest, layer, methods, mount, reference, to};
use oci::{Artifact, Blob, How, PushOptions};
use serde_json::json;
use testkit::{GZIP, OCI_LAYER, OCI_MANIFEST, Registry, Reply, sha256_digest};

fn whole() -> PushOptions {
    PushOptions::default()
}

#[test]
fn pushed_plugin_can_be_pulled() {
    let registry = Registry::start();
    let (publisher, tarball) = (Publisher::anonymous(), artifact(4_096));
    let pushed = publisher.push(&to(&registry), &tarball, &whole()).unwrap();
    assert_eq!(Publisher::anonymous().pull(&to(&registry)).unwrap(), (pushed, tarball.clone()));
    let manifest = registry.manifest(REPOSITORY, "1").unwrap();
    assert_eq!(sha256_digest(&manifest), pushed.to_string());
    let expected = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.unknown.artifact.v1",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "size": 2,
        },
        "layers": [{
            "mediaType": GZIP,
            "digest": sha256_digest(&tarball),
            "size": 4_096,
            "annotations": { "org.opencontainers.image.title": "package.tgz" },
        }],
    });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&manifest).unwrap(), expected);
}

#[test]
fn manifest_is_the_same_bytes_for_the_same_input() {
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    let store = |blob: &Blob| publisher.push_blob(&to(&registry), blob, &whole()).unwrap();
    let annotations = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let image_config = Blob::of_bytes("application/vnd.oci.image.config.v1+json", b"{\"os\":\"linux\"}".to_vec());
    let image_layer = Blob::of_bytes(OCI_LAYER, b"layer".to_vec());
    let image =
        Artifact::new(store(&image_config), store(&image_layer), None, annotations(&[("b", "2"), ("a", "\"1\"\n")]));
    let expected = [
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
        r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#,
        r#""digest":"sha256:5809269daf2d55e988b09feecc13180c284754e4d2376d0f7297ab7c6a90b358","size":14},"#,
        r#""layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","#,
        r#""digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","size":5}],"#,
        r#""annotations":{"a":"\"1\"\n","b":"2"}}"#,
    ];
    assert_eq!(String::from_utf8_lossy(image.bytes()), expected.concat());
    let again =
        Artifact::new(store(&image_config), store(&image_layer), None, annotations(&[("a", "\"1\"\n"), ("b", "2")]));
    assert_eq!(again.digest(), image.digest());
    let beforehand = Artifact::digest_of(
        &image_config.descriptor,
        &image_layer.descriptor,
        None,
        annotations(&[("a", "\"1\"\n"), ("b", "2")]),
    );
    assert_eq!(beforehand, image.digest());
}

#[test]
fn blob_is_sent_once_and_tagged_many_times() {
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    let (config, layer) = (Blob::empty_config(), layer(b"tarball"));
    let to = to(&registry);
    let sent = publisher.push_blob(&to, &layer, &whole()).unwrap();
    assert_eq!((sent.how(), sent.descriptor()), (How::Sent, &layer.descriptor));
    assert_eq!(methods(&registry), "HEAD POST PUT HEAD");
    let existed = publisher.push_blob(&to, &layer, &chunk(3)).unwrap();
    assert_eq!((existed.how(), methods(&registry)), (How::Existed, "HEAD".to_owned()));

    let config = publisher.push_blob(&to, &config, &whole()).unwrap();
    methods(&registry);
    let artifact = Artifact::new(config, existed, None, BTreeMap::new());
    for tag in ["1.2.3", "1.x", "latest"] {
        let to = reference(&format!("{}/{REPOSITORY}:{tag}", registry.host()));
        let pushed = publisher.client.push_manifest(&to, &artifact, publisher.patience()).unwrap();
        assert_eq!(pushed, artifact.digest());
        assert_eq!(&*registry.manifest(REPOSITORY, tag).unwrap(), artifact.bytes());
    }
    assert_eq!(methods(&registry), "PUT PUT PUT");
    let untagged = reference(&format!("{}/{REPOSITORY}@{}", registry.host(), artifact.digest()));
    publisher.client.push_manifest(&untagged, &artifact, publisher.patience()).unwrap();
    assert_eq!(registry.recorder().count(&format!("/v2/{REPOSITORY}/manifests/{}", artifact.digest())), 1);
}

#[test]
fn blob_goes_whole_or_in_chunks() {
    for (name, options, bytes, expected, ranges) in [
        ("whole", whole(), 10, "HEAD POST PUT HEAD", ""),
        ("empty", whole(), 0, "HEAD POST PUT HEAD", ""),
        ("one chunk", chunk(10), 10, "HEAD POST PUT HEAD", ""),
        ("chunks", chunk(4), 10, "HEAD POST PATCH PATCH PATCH PUT HEAD", "0-3 4-7 8-9"),
        ("bytes", chunk(1), 3, "HEAD POST PATCH PATCH PATCH PUT HEAD", "0-0 1-1 2-2"),
    ] {
        let registry = Registry::start();
        let blob = layer(&(0..bytes).collect::<Vec<u8>>());
        assert_eq!(
            Publisher::anonymous().push_blob(&to(&registry), &blob, &options).unwrap().how(),
            How::Sent,
            "{name}"
        );
        let requests = registry.recorder().requests();
        let told = requests.iter().filter_map(|request| request.header("content-range"));
        assert_eq!(told.collect::<Vec<_>>().join(" "), ranges, "{name}");
        for request in &requests {
            assert_eq!(request.header("transfer-encoding"), None, "{name}");
            let writes = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
            assert_eq!(request.header("content-length").is_some(), writes, "{name}: {}", request.method);
        }
        assert_eq!(methods(&registry), expected, "{name}");
        assert_eq!(*registry.blob(REPOSITORY, &digest(&blob)).unwrap(), (0..bytes).collect::<Vec<u8>>(), "{name}");
    }
}

#[test]
fn blob_of_another_repository_is_mounted_where_it_may_be() {
    let blob = layer(b"tarball");
    let refusal = |status| move || Reply::status(status);
    for (name, from, refused, how, expected) in [
        ("there", "other/hello", None, How::Mounted, "HEAD POST HEAD"),
        ("not there", "other/empty", None, How::Sent, "HEAD POST PUT HEAD"),
        ("the same", REPOSITORY, None, How::Sent, "HEAD POST PUT HEAD"),
        ("unauthorized", "other/hello", Some(401), How::Sent, "HEAD POST POST PUT HEAD"),
        ("forbidden", "other/hello", Some(403), How::Sent, "HEAD POST POST PUT HEAD"),
        ("unknown", "other/hello", Some(404), How::Sent, "HEAD POST POST PUT HEAD"),
    ] {
        let registry = Registry::start();
        registry.push_blob("other/hello", b"tarball");
        if let Some(status) = refused {
            registry.server().first(1, |request| request.method == "POST", refusal(status));
        }
        let stored = Publisher::anonymous().push_blob(&to(&registry), &blob, &mount(from)).unwrap();
        assert_eq!((stored.how(), &*methods(&registry)), (how, expected), "{name}");
        assert!(registry.blob(REPOSITORY, &digest(&blob)).is_some(), "{name}");
    }
}

#[test]
fn tag_is_told_with_what_it_points_to() {
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    let tagged = |rest: &str| {
        let reference = reference(&format!("{}/{rest}", registry.host()));
        let found = publisher.client.tagged(&reference, publisher.patience()).unwrap();
        found.map(|digest| digest.to_string())
    };
    assert_eq!(tagged(&format!("{REPOSITORY}:1")), None, "no such repository");
    let pushed = registry.push(REPOSITORY, "1", b"tarball").digest;
    assert_eq!(tagged(&format!("{REPOSITORY}:2")), None, "no such tag");
    assert_eq!(tagged(&format!("{REPOSITORY}:1")), Some(pushed.clone()));
    assert_eq!(tagged(&format!("{REPOSITORY}@{pushed}")), Some(pushed.clone()));
    let index = registry.push_index(REPOSITORY, "index", &[("linux", "amd64", &pushed)]);
    assert_eq!(tagged(&format!("{REPOSITORY}:index")), Some(index));
    methods(&registry);
    registry.server().intercept(|_, answer| answer().without("docker-content-digest"));
    assert_eq!(tagged(&format!("{REPOSITORY}:1")), Some(pushed));
    assert_eq!(methods(&registry), "HEAD GET", "a registry that names no digest is asked for the bytes");
}

#[test]
fn manifest_is_not_written_where_its_blobs_are_not() {
    let registry = Registry::start();
    let publisher = Publisher::anonymous();
    let elsewhere = format!("{}/other/hello:1", registry.host());
    let config = publisher.push_blob(&to(&registry), &Blob::empty_config(), &whole()).unwrap();
    let layer = publisher.push_blob(&elsewhere, &layer(b"tarball"), &whole()).unwrap();
    let artifact = Artifact::new(config, layer, None, BTreeMap::new());
    methods(&registry);
    for to in [to(&registry), elsewhere] {
        let error = publisher.client.push_manifest(&reference(&to), &artifact, publisher.patience()).unwrap_err();
        assert_eq!((error.cause(), error.blame()), ("elsewhere", integrity::Blame::Bug), "{to}");
    }
    assert_eq!(methods(&registry), "");
}
