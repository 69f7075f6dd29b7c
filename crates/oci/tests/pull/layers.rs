//! What an image may look like where it may have several layers.

use base64ct::{Base64, Encoding};
use integrity::Blame;
use oci::{LayerKind, OciError};
use serde_json::json;
use testkit::{GZIP, Image, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry};

use crate::chain;
use crate::site::{Site, pull, resolve};

const ANNOTATION: &str = "io.backstage.dynamic-packages";

fn annotation(json: &str) -> String {
    Base64::encode_string(json.as_bytes())
}

/// An index of one manifest, with or without an annotation of its own.
fn push_index(registry: &Registry, image: &Image, of_index: Option<&str>) {
    let pushed = registry.push_image("a", "amd64", image);
    let size = image.manifest().to_string().len();
    let platform = json!({ "os": "linux", "architecture": "amd64" });
    let entry = json!({ "mediaType": OCI_MANIFEST, "digest": pushed.digest, "size": size, "platform": platform });
    let mut index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] });
    if let Some(text) = of_index {
        index["annotations"] = json!({ ANNOTATION: text });
    }
    registry.push_manifest("a", "1", index.to_string().as_bytes(), OCI_INDEX);
}

#[test]
fn layers_come_in_order_and_are_counted_together() {
    let site = Site::new();
    let registry = site.registry("quay.io");
    registry.push_image("a", "1", &Image::new(OCI_LAYER, b"low").layer(OCI_LAYER, b"middle").layer(GZIP, b"high"));
    let client = site.client("");
    assert_eq!(pull(&client, "quay.io/a:1!p").unwrap(), [&b"low"[..], b"middle", b"high"]);
    let resolved = resolve(&client, "quay.io/a:1!p").unwrap();
    assert_eq!(resolved.size(), 13);
    let kinds: Vec<_> = resolved.layers.iter().map(|layer| layer.kind).collect();
    assert_eq!(kinds, [LayerKind::ImageLayer, LayerKind::ImageLayer, LayerKind::Tarball]);
}

#[test]
fn images_that_cannot_be_put_together_are_refused() {
    let layer = |media_type: &str, size: u64| json!({ "mediaType": media_type, "digest": format!("sha256:{}", "0".repeat(64)), "size": size });
    for (name, layers, expected) in [
        ("none", vec![], Some("the image has no layer")),
        ("most", vec![layer(OCI_LAYER, 1); 128], None),
        ("one more", vec![layer(OCI_LAYER, 1); 129], Some("expected at most 128 layers, found 129")),
        ("most bytes", vec![layer(OCI_LAYER, u64::MAX - 1), layer(OCI_LAYER, 1)], None),
        ("one byte more", vec![layer(OCI_LAYER, u64::MAX), layer(OCI_LAYER, 1)], Some("larger together")),
        (
            "zstd",
            vec![layer(OCI_LAYER, 1), layer("application/vnd.oci.image.layer.v1.tar+zstd", 1)],
            Some("the layer has media type `application/vnd.oci.image.layer.v1.tar+zstd`, which no plugin has"),
        ),
        ("uncompressed", vec![layer("application/vnd.oci.image.layer.v1.tar", 1)], Some("layer.v1.tar`, which")),
    ] {
        let site = Site::new();
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers });
        let registry = site.registry("quay.io");
        registry.push_manifest("a", "1", manifest.to_string().as_bytes(), OCI_MANIFEST);
        let said = resolve(&site.client(""), "quay.io/a:1!p").err().map(|error| chain(&error));
        assert!(
            said.as_deref().zip(expected).is_none_or(|(said, expected)| said.contains(expected)),
            "{name}: {said:?}"
        );
        assert_eq!(said.is_some(), expected.is_some(), "{name}: {said:?}");
    }
}

#[test]
fn folder_is_named_by_the_reference_the_manifest_or_the_index() {
    let one = annotation(r#"[{"one":{}}]"#);
    let two = annotation(r#"[{"two":{}}]"#);
    let both = annotation(r#"[{"one":{}},{"two":{}}]"#);
    let (empty, broken) = ("W10=".to_owned(), "!".to_owned());
    let none = None;
    let missing = Err("the image has no annotation `io.backstage.dynamic-packages`");
    let is_empty = Err("the image has an empty list in its annotation");
    for (name, kind, of_manifest, of_index, path, expected) in [
        ("manifest", OCI_LAYER, Some(&one), Some(&two), "", Ok(Some("one"))),
        ("index", OCI_LAYER, none, Some(&two), "", Ok(Some("two"))),
        ("reference", OCI_LAYER, Some(&one), Some(&two), "!x/y", Ok(Some("x/y"))),
        ("reference, broken annotation", OCI_LAYER, Some(&broken), none, "!x", Ok(Some("x"))),
        ("broken annotation", OCI_LAYER, Some(&broken), none, "", Err("cannot be decoded")),
        ("broken annotation of an index", OCI_LAYER, none, Some(&broken), "", Err("cannot be decoded")),
        (
            "several",
            OCI_LAYER,
            Some(&both),
            none,
            "",
            Err("holds 2 plugins, and the reference selects none: `one`, `two`"),
        ),
        ("missing", OCI_LAYER, none, none, "", missing),
        ("empty", OCI_LAYER, Some(&empty), none, "", is_empty),
        ("empty on the index", OCI_LAYER, none, Some(&empty), "", is_empty),
        ("tarball", GZIP, none, none, "", Ok(None)),
    ] {
        let site = Site::new();
        let registry = site.registry("quay.io");
        let image = Image::new(kind, b"layer");
        let image = of_manifest.iter().fold(image, |image, text| image.annotation(ANNOTATION, text));
        push_index(&registry, &image, of_index.map(String::as_str));
        let resolved = resolve(&site.client(""), &format!("quay.io/a:1{path}"));
        match (resolved, expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.plugin_path.as_ref().map(source::PluginPath::as_str), expected, "{name}");
            }
            (Err(error), Err(expected)) => {
                assert!(chain(&error).contains(expected), "{name}: {}", chain(&error));
                assert!(expected.contains("decoded") || says_what_to_do(&error), "{name}: {:?}", error.hint());
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

fn says_what_to_do(error: &OciError) -> bool {
    error.hint().is_some_and(|hint| hint.contains("`oci://quay.io/a:1!<folder>`")) && error.blame() == Blame::Operator
}
