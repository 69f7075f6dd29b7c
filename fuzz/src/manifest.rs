//! A manifest or index: what is taken is what the bytes say to another reader, too.
//!
//! The first line of an input is the `Content-Type`; a document follows and, behind a NUL, the one that the registry
//! has for any digest. `@digest` in the first document stands for the digest of the second.

use std::sync::Arc;
use std::time::Duration;

use integrity::{Algorithm, Chain, OciDigest};
use oci::{AnswerLimits, Client, Credentials, Layers, Platform, TrustedRealms};
use serde_json::Value;
use source::{OciReference, is_invisible};
use transport::{Deadline, Patience, Request, Stop};

use crate::json;
use crate::scripted::{Answer, Scripted, Still};

/// Words of manifests and indexes.
pub const WORDS: &[&str] = &[
    "\"schemaVersion\":2",
    "\"mediaType\":",
    "\"layers\":[",
    "\"manifests\":[",
    "\"digest\":",
    "\"size\":",
    "\"urls\":[]",
    "\"platform\":",
    "\"os\":\"linux\"",
    "\"architecture\":\"amd64\"",
    "\"annotations\":",
    "io.backstage.dynamic-packages",
    "vnd.docker.reference.type",
    "application/gzip",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "@digest",
    "sha256:",
];

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
/// Bytes of the largest document taken here.
const LIMIT: usize = 4 * 1024;
const LAYERS: [&str; 4] = [
    "application/gzip",
    "application/x-gzip",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// Resolves a tag, and compares with the documents as a general JSON reader sees them.
pub fn target(bytes: &[u8]) {
    let (content_type, documents) = split(bytes, b'\n');
    let Ok(content_type) = std::str::from_utf8(content_type) else { return };
    if content_type.contains(char::is_control) {
        return;
    }
    let (first, second) = split(documents, 0);
    let second = second.to_vec();
    let digest = OciDigest::of(Algorithm::Sha256, &second);
    let first = with_digest(first, &digest);
    for layers in [Layers::One, Layers::Several] {
        resolve(content_type, &first, &second, layers);
    }
}

/// The manifest's digest is that of `second` where an index names it.
fn resolve(content_type: &str, first: &[u8], second: &[u8], layers: Layers) {
    let (named, digest) = (OciDigest::of(Algorithm::Sha256, first), OciDigest::of(Algorithm::Sha256, second));
    let network = Arc::new(Scripted::new({
        let (content_type, first, second) = (content_type.to_owned(), first.to_vec(), second.to_vec());
        move |request: &Request| -> Answer {
            let fields = vec![("content-type", content_type.clone())];
            if request.url.target() == "/v2/a/b/manifests/1" {
                (200, fields, first.clone())
            } else {
                (200, Vec::new(), second.clone())
            }
        }
    }));
    let limits = AnswerLimits { manifest_bytes: LIMIT, token_bytes: 64 };
    let client = Client::new(Arc::clone(&network) as _, Credentials::none(), TrustedRealms::built_in())
        .limits(limits)
        .layers(layers);
    let reference = OciReference::parse("reg.example.com/a/b:1").expect("it is a reference");
    let (stop, clock) = (Stop::new(), Still);
    let patience = Patience::new(&clock, Deadline::after(&clock, Duration::from_mins(1)), &stop);
    let platform = Platform { os: "linux".to_owned(), architecture: "arm64".to_owned() };
    let resolved = match client.resolve(&reference, &platform, patience) {
        Ok(resolved) => resolved,
        Err(error) => {
            let shown = Chain(&error).to_string();
            assert!(!shown.contains(is_invisible) && shown.len() < 8192, "{shown:?}");
            return;
        }
    };

    assert_eq!(resolved.named, named);
    assert!(first.len() <= LIMIT && network.asked().len() <= 2);
    let mut document = read(first);
    if document["manifests"].is_array() {
        assert_eq!(resolved.manifest, digest, "a manifest that the index does not name");
        let chosen = chosen(&document).expect("an index has an entry to choose");
        assert_eq!(chosen["digest"], digest.to_string());
        assert!(second.len() <= LIMIT);
        document = read(second);
    } else {
        assert_eq!(resolved.manifest, named);
    }
    assert!(document["manifests"].is_null());
    assert_eq!(document["schemaVersion"], 2);
    let descriptors = document["layers"].as_array().expect("a manifest has layers");
    assert!(!descriptors.is_empty() && descriptors.len() == resolved.layers.len(), "{} layers", descriptors.len());
    assert!(layers == Layers::Several || descriptors.len() == 1, "{} layers", descriptors.len());
    for (layer, resolved) in descriptors.iter().zip(&resolved.layers) {
        assert_eq!(layer["digest"], resolved.digest.to_string());
        assert_eq!(layer["size"], resolved.size);
        assert!(LAYERS.iter().any(|known| layer["mediaType"] == *known), "{}", layer["mediaType"]);
        assert!(layer["urls"].as_array().is_none_or(Vec::is_empty), "a layer on another server");
    }
    if let Some(path) = resolved.plugin_path {
        let path = path.to_string();
        assert!(
            path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains(is_invisible),
            "{path:?}"
        );
    }
}

/// Documents as registries have them, and the table's lies.
pub fn seeds() -> Vec<Vec<u8>> {
    let layer =
        |media_type: &str, rest: &str| format!(r#"{{"mediaType":"{media_type}","digest":"{DIGEST}","size":3{rest}}}"#);
    let document =
        |layers: &str, rest: &str| format!(r#"{{"schemaVersion":2,"config":{{}},"layers":[{layers}]{rest}}}"#);
    let entry = |arch: &str, rest: &str| {
        let platform = format!(r#""platform":{{"os":"linux","architecture":"{arch}"}}"#);
        format!(r#"{{"mediaType":"{MANIFEST}","digest":"@digest","size":1,{platform}{rest}}}"#)
    };
    let index = |entries: &[String]| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    let good = document(&layer(LAYERS[0], ""), "");
    // [{"plugins/a":{}}]
    let annotated = r#","annotations":{"io.backstage.dynamic-packages":"W3sicGx1Z2lucy9hIjp7fX1d","x":"y"}"#;
    let attestation = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let manifests = [
        good.clone(),
        document(&layer(LAYERS[2], ""), annotated),
        document(&layer(LAYERS[0], r#","urls":["https://evil.example/"]"#), ""),
        document(&[layer(LAYERS[0], ""), layer(LAYERS[0], "")].join(","), ""),
        document(&layer("application/zip", ""), r#","artifactType":"x","subject":null,"annotations":null"#),
        good.replace("\"config\":{}", "\"layers\":[]"),
        good.replace(":3", ":-3"),
        good.replace(DIGEST, "../../x"),
        "<html>".to_owned(),
    ];
    let indexes = [
        index(&[entry("amd64", ""), entry("arm64", "")]),
        index(&[entry("s390x", ""), entry("unknown", attestation)]),
        index(&[]),
    ];
    let manifests = manifests.iter().map(|text| format!("{MANIFEST}\n{text}"));
    manifests.chain(indexes.iter().map(|text| format!("{INDEX}\n{text}\0{good}"))).map(String::into_bytes).collect()
}

fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == at) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, b""),
    }
}

fn with_digest(document: &[u8], digest: &OciDigest) -> Vec<u8> {
    match std::str::from_utf8(document) {
        Ok(text) => text.replace("@digest", &digest.to_string()).into_bytes(),
        Err(_) => document.to_vec(),
    }
}

fn read(bytes: &[u8]) -> Value {
    let document = serde_json::from_slice(bytes).expect("what is taken is JSON");
    assert_eq!(json::members(&document), json::colons(bytes), "a key stands twice");
    document
}

/// The entry for this platform, else for the common one, else the only one; statements about others do not count.
fn chosen(index: &Value) -> Option<&Value> {
    let is_statement = |entry: &&Value| !entry["annotations"]["vnd.docker.reference.type"].is_null();
    let entries: Vec<_> = index["manifests"].as_array()?.iter().filter(|entry| !is_statement(entry)).collect();
    let of = |architecture: &str| {
        let fits =
            |entry: &&&Value| entry["platform"]["os"] == "linux" && entry["platform"]["architecture"] == architecture;
        entries.iter().find(fits).copied()
    };
    of("arm64").or_else(|| of("amd64")).or_else(|| Some(entries[0]).filter(|_| entries.len() == 1))
}
