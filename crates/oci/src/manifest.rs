//! Manifests and indexes, as far as a plugin needs them (OCI image-spec, "Image Manifest" and "Image Index").

use std::fmt;

use crate::few::Few;
use crate::plugin_folders::PLUGINS_ANNOTATION;
use crate::{Failure, unambiguous, words};
use integrity::OciDigest;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Most layers of one image; image builders stop at 127.
const LAYER_LIMIT: usize = 128;
/// Most entries of an index.
const ENTRY_LIMIT: usize = 16_384;
/// What marks an index entry as a statement about another one.
const ATTESTATION_ANNOTATION: &str = "vnd.docker.reference.type";

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a blob is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The digest of its bytes.
    pub digest: OciDigest,
    /// How many bytes it has.
    pub size: u64,
    /// What its bytes are.
    pub kind: LayerKind,
}

/// How many layers an artifact may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layers {
    /// Exactly one: the pinned bytes are the artifact.
    #[default]
    One,
    /// One or more, which lie on top of each other as in any image. The annotation that names plugin folders may then
    /// stand on the index as well, and a path-less reference to an image has to find it.
    Several,
}

/// The layers a plugin may come in; all of them are gzipped tar archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// `application/gzip`: a tarball, pushed as it is.
    Tarball,
    /// A layer of an image.
    ImageLayer,
}

/// Operating system and architecture in OCI's terms.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
}

impl Platform {
    /// Linux on the processor that this program was built for.
    pub fn this_machine() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self::linux(architecture)
    }

    fn linux(architecture: &str) -> Self {
        Self { os: "linux".to_owned(), architecture: architecture.to_owned() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// A parsed document of a registry: either one artifact or a choice of several.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Index),
}

#[derive(Debug)]
pub(crate) struct Manifest {
    /// The lowest first; at least one.
    pub(crate) layers: Vec<Descriptor>,
    /// The annotation that names plugin folders.
    pub(crate) plugins: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<IndexEntry>,
    /// The annotation that names plugin folders.
    pub(crate) plugins: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument<const LAYERS: usize> {
    schema_version: u64,
    media_type: Option<String>,
    layers: Option<Few<RawDescriptor, LAYERS>>,
    manifests: Option<Few<IndexEntry, ENTRY_LIMIT>>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    urls: Option<Few<IgnoredAny, 0>>,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "RawDescriptor")]
struct IndexEntry {
    digest: OciDigest,
    platform: Option<Platform>,
    is_attestation: bool,
}

/// The annotations this product knows.
#[derive(Default)]
struct Annotations {
    plugins: Option<String>,
    is_attestation: bool,
}

impl Document {
    /// Parses a document and checks that it is unmistakably of the type that the registry announced.
    pub(crate) fn parse(bytes: &[u8], content_type: Option<&str>, layers: Layers) -> Result<Self, Failure> {
        match layers {
            Layers::One => Self::with_layers::<1>(bytes, content_type),
            Layers::Several => Self::with_layers::<LAYER_LIMIT>(bytes, content_type),
        }
    }

    fn with_layers<const MOST: usize>(bytes: &[u8], content_type: Option<&str>) -> Result<Self, Failure> {
        let shape = |what: &str| Failure::Shape { what: what.to_owned() };
        let json = |error: serde_json::Error| Failure::Json { source: bounded(&error) };
        if let Some(other) = Failure::no_document("a manifest", bytes, content_type) {
            return Err(other);
        }
        unambiguous::check(bytes).map_err(json)?;
        let raw: RawDocument<MOST> = serde_json::from_slice(bytes).map_err(json)?;
        if raw.schema_version != 2 {
            return Err(shape("expected `schemaVersion` 2"));
        }
        let announced = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
        for media_type in raw.media_type.as_deref().into_iter().chain(announced) {
            let fits = match media_type {
                OCI_MANIFEST | DOCKER_MANIFEST => raw.layers.is_some(),
                OCI_INDEX | DOCKER_INDEX => raw.manifests.is_some(),
                // Plain static servers announce nothing better.
                "application/json" | "application/octet-stream" | "text/plain" => true,
                other => return Err(Failure::MediaType { what: "document", found: words::shown(other) }),
            };
            if !fits {
                return Err(shape("the media type and the content of the document disagree"));
            }
        }
        match (raw.layers, raw.manifests) {
            (Some(_), Some(_)) => Err(shape("a document with both `layers` and `manifests`")),
            (None, None) => Err(shape("a document with neither `layers` nor `manifests`")),
            (Some(layers), None) => {
                Ok(Self::Manifest(Manifest { layers: all_of(layers)?, plugins: raw.annotations.plugins }))
            }
            (None, Some(entries)) if entries.count > ENTRY_LIMIT => {
                Err(shape(&format!("expected at most {ENTRY_LIMIT} entries of an index, found {}", entries.count)))
            }
            (None, Some(entries)) => {
                Ok(Self::Index(Index { entries: entries.first, plugins: raw.annotations.plugins }))
            }
        }
    }
}

impl Index {
    /// This machine's entry, else `linux/amd64`, else the only one.
    pub(crate) fn choose(&self, platform: &Platform) -> Result<OciDigest, Failure> {
        let usable = || self.entries.iter().filter(|entry| !entry.is_attestation);
        let of = |wanted: &Platform| usable().find(|entry| entry.platform.as_ref() == Some(wanted));
        let only = || {
            let mut entries = usable();
            entries.next().filter(|_| entries.next().is_none())
        };
        of(platform).or_else(|| of(&Platform::linux("amd64"))).or_else(only).map(|entry| entry.digest).ok_or_else(
            || Failure::NoPlatform {
                wanted: platform.to_string(),
                found: words::list(usable().filter_map(|entry| entry.platform.as_ref())),
            },
        )
    }
}

/// The parser quotes what it did not expect, however long it is.
fn bounded(error: &serde_json::Error) -> serde_json::Error {
    serde::de::Error::custom(words::shown(&error.to_string()))
}

fn all_of<const MOST: usize>(layers: Few<RawDescriptor, MOST>) -> Result<Vec<Descriptor>, Failure> {
    let shape = |what: String| Err(Failure::Shape { what });
    match layers.count {
        0 => return shape("the image has no layer".to_owned()),
        count if count <= MOST => {}
        count if MOST == 1 => return shape(format!("expected one layer, found {count}")),
        count => return shape(format!("expected at most {MOST} layers, found {count}")),
    }
    let layers = layers.first.into_iter().map(layer).collect::<Result<Vec<_>, _>>()?;
    match layers.iter().try_fold(0, |sum: u64, layer| sum.checked_add(layer.size)) {
        Some(_) => Ok(layers),
        None => shape("its layers are larger together than any storage".to_owned()),
    }
}

fn layer(layer: RawDescriptor) -> Result<Descriptor, Failure> {
    if layer.urls.is_some_and(|urls| urls.count > 0) {
        return Err(Failure::Shape { what: "a layer that lies on another server (`urls`)".to_owned() });
    }
    let kind = match layer.media_type.as_str() {
        "application/gzip" | "application/x-gzip" => LayerKind::Tarball,
        "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            LayerKind::ImageLayer
        }
        other => return Err(Failure::MediaType { what: "layer", found: words::shown(other) }),
    };
    let digest = parse_digest(&layer.digest).map_err(|why| Failure::Shape { what: why.to_owned() })?;
    Ok(Descriptor { digest, size: layer.size, kind })
}

impl TryFrom<RawDescriptor> for IndexEntry {
    type Error = &'static str;

    fn try_from(raw: RawDescriptor) -> Result<Self, &'static str> {
        Ok(Self {
            digest: parse_digest(&raw.digest)?,
            platform: raw.platform,
            is_attestation: raw.annotations.is_attestation,
        })
    }
}

fn parse_digest(text: &str) -> Result<OciDigest, &'static str> {
    OciDigest::parse(text).map_err(|_| "a descriptor whose digest is none")
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique;
        impl<'de> Visitor<'de> for Unique {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_unit<E>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut annotations = Annotations::default();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    match key.as_str() {
                        PLUGINS_ANNOTATION => annotations.plugins = Some(value),
                        ATTESTATION_ANNOTATION => annotations.is_attestation = true,
                        _ => {}
                    }
                }
                Ok(annotations)
            }
        }
        deserializer.deserialize_any(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

    fn manifest(layers: &str, rest: &str) -> String {
        format!(r#"{{"schemaVersion":2,"config":{{}},"layers":[{layers}]{rest}}}"#)
    }

    fn layer(media_type: &str, rest: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{HEX}","size":3{rest}}}"#)
    }

    fn cause(text: &str, content_type: &str) -> Option<&'static str> {
        Document::parse(text.as_bytes(), Some(content_type), Layers::One).err().map(|failure| failure.code())
    }

    #[test]
    fn documents_are_one_thing_or_rejected() {
        let good = manifest(&layer("application/gzip", ""), "");
        for (name, text, content_type, expected) in [
            ("tarball", good.clone(), OCI_MANIFEST, None),
            (
                "docker layer",
                manifest(&layer("application/vnd.docker.image.rootfs.diff.tar.gzip", ""), ""),
                DOCKER_MANIFEST,
                None,
            ),
            (
                "oras 1.1 fields",
                manifest(
                    &layer("application/gzip", ""),
                    r#","artifactType":"application/x","subject":null,"annotations":null"#,
                ),
                OCI_MANIFEST,
                None,
            ),
            ("zip", manifest(&layer("application/zip", ""), ""), OCI_MANIFEST, Some("media_type")),
            ("no layer", manifest("", ""), OCI_MANIFEST, Some("shape")),
            (
                "two layers",
                manifest(&[layer("application/gzip", ""), layer("application/gzip", "")].join(","), ""),
                OCI_MANIFEST,
                Some("shape"),
            ),
            (
                "foreign layer",
                manifest(&layer("application/gzip", r#","urls":["https://evil.example/"]"#), ""),
                OCI_MANIFEST,
                Some("shape"),
            ),
            ("negative size", good.replace(r#""size":3"#, r#""size":-3"#), OCI_MANIFEST, Some("shape")),
            ("huge size", good.replace(r#""size":3"#, r#""size":99999999999999999999"#), OCI_MANIFEST, Some("shape")),
            ("path for a digest", good.replace(&format!("sha256:{HEX}"), "../../x"), OCI_MANIFEST, Some("shape")),
            ("both", good.replace(r#""config":{}"#, r#""manifests":[]"#), OCI_MANIFEST, Some("shape")),
            ("neither", r#"{"schemaVersion":2}"#.to_owned(), OCI_MANIFEST, Some("shape")),
            ("schema 1", r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), OCI_MANIFEST, Some("shape")),
            ("announced as index", good.clone(), OCI_INDEX, Some("shape")),
            (
                "calls itself index",
                manifest(&layer("application/gzip", ""), &format!(r#","mediaType":"{OCI_INDEX}""#)),
                OCI_MANIFEST,
                Some("shape"),
            ),
            ("HTML", "<html>".to_owned(), "text/html", Some("shape")),
            ("unknown type", good.clone(), "text/html", Some("media_type")),
            ("duplicate key", good.replace(r#""config":{}"#, r#""layers":[]"#), OCI_MANIFEST, Some("shape")),
            (
                "duplicate key that nobody reads",
                good.replace(r#""config":{}"#, r#""config":{"a":[{"b":1,"b":1}]}"#),
                OCI_MANIFEST,
                Some("shape"),
            ),
            (
                "duplicate annotation",
                manifest(&layer("application/gzip", ""), r#","annotations":{"a":"1","a":"2"}"#),
                OCI_MANIFEST,
                Some("shape"),
            ),
            ("deep", format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), OCI_MANIFEST, Some("shape")),
        ] {
            assert_eq!(cause(&text, content_type), expected, "{name}");
        }
    }

    #[test]
    fn descriptors_are_exact_or_rejected() {
        let good = manifest(&layer("application/gzip", ""), "");
        for (name, text, content_type, expected) in [
            ("upper-case digest", good.replace(HEX, &HEX.to_ascii_uppercase()), OCI_MANIFEST, Some("shape")),
            ("short digest", good.replace(HEX, &HEX[1..]), OCI_MANIFEST, Some("shape")),
            ("long digest", good.replace(HEX, &HEX.repeat(2)), OCI_MANIFEST, Some("shape")),
            ("digest of no algorithm", good.replace("sha256:", ":"), OCI_MANIFEST, Some("shape")),
            (
                "digest of a weak algorithm",
                good.replace(HEX, &HEX[..32]).replace("sha256", "md5"),
                OCI_MANIFEST,
                Some("shape"),
            ),
            ("digest of another algorithm", good.replace("sha256", "sha512"), OCI_MANIFEST, Some("shape")),
            ("sha512", good.replace("sha256", "sha512").replace(HEX, &HEX.repeat(2)), OCI_MANIFEST, None),
            (
                "size of 2^64",
                good.replace(r#""size":3"#, r#""size":18446744073709551616"#),
                OCI_MANIFEST,
                Some("shape"),
            ),
            ("fraction of a size", good.replace(r#""size":3"#, r#""size":3.0"#), OCI_MANIFEST, Some("shape")),
            ("size as text", good.replace(r#""size":3"#, r#""size":"3""#), OCI_MANIFEST, Some("shape")),
            ("no size", good.replace(r#","size":3"#, ""), OCI_MANIFEST, Some("shape")),
            ("an object of layers", good.replace('[', "{").replace(']', "}"), OCI_MANIFEST, Some("shape")),
            ("layers of null", manifest("null", ""), OCI_MANIFEST, Some("shape")),
            ("type with a parameter", good.clone(), "application/vnd.oci.image.manifest.v1+json; charset=utf-8", None),
            ("type in upper case", good.clone(), "APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON", Some("media_type")),
            (
                "layer type with a parameter",
                manifest(&layer("application/gzip; x=y", ""), ""),
                OCI_MANIFEST,
                Some("media_type"),
            ),
            (
                "layer type in upper case",
                manifest(&layer("Application/GZIP", ""), ""),
                OCI_MANIFEST,
                Some("media_type"),
            ),
            ("layer of no type", good.replace(r#""mediaType":"application/gzip","#, ""), OCI_MANIFEST, Some("shape")),
            (
                "schema 2 as text",
                good.replace(r#""schemaVersion":2"#, r#""schemaVersion":"2""#),
                OCI_MANIFEST,
                Some("shape"),
            ),
            ("bytes behind the end", format!("{good} {good}"), OCI_MANIFEST, Some("shape")),
            ("control character", good.replace("gzip", "gzip\u{0}"), OCI_MANIFEST, Some("shape")),
        ] {
            assert_eq!(cause(&text, content_type), expected, "{name}");
        }
    }

    #[test]
    fn an_index_gives_this_machine_or_amd64_or_its_only_entry() {
        let entry = |hex: char, os: &str, arch: &str, rest: &str| {
            let digest = hex.to_string().repeat(64);
            format!(
                r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{digest}","size":1,"platform":{{"os":"{os}","architecture":"{arch}"}}{rest}}}"#
            )
        };
        let attestation =
            entry('f', "unknown", "unknown", r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#);
        let (arm, amd, s390) =
            (entry('a', "linux", "arm64", ""), entry('b', "linux", "amd64", ""), entry('c', "linux", "s390x", ""));
        let windows = entry('d', "windows", "amd64", "");
        for (name, entries, wanted) in [
            ("own", vec![&amd, &arm], Some('a')),
            ("amd64", vec![&s390, &amd], Some('b')),
            ("only", vec![&s390], Some('c')),
            ("only beside its attestation", vec![&attestation, &s390], Some('c')),
            ("none fits", vec![&s390, &windows], None),
            ("empty", vec![], None),
            ("own among many", [vec![&s390; 10_000], vec![&arm]].concat(), Some('a')),
            ("none among many", vec![&s390; 10_000], None),
        ] {
            let entries = entries.into_iter().map(String::as_str).collect::<Vec<_>>().join(",");
            let text = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{entries}]}}"#);
            let Ok(Document::Index(index)) = Document::parse(text.as_bytes(), Some(OCI_INDEX), Layers::One) else {
                panic!("{name}")
            };
            let chosen = index.choose(&Platform::linux("arm64")).ok().map(|digest| digest.to_string());
            assert_eq!(chosen, wanted.map(|hex| format!("sha256:{}", hex.to_string().repeat(64))), "{name}");
        }
    }

    #[test]
    fn small_things_in_large_numbers_are_not_kept() {
        let entry = |rest: &str| format!(r#"{{"mediaType":"","digest":"sha256:{HEX}","size":1{rest}}}"#);
        let index =
            |count: usize| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry(""); count].join(","));
        let layers = |count: usize| manifest(&vec!["{}"; count].join(","), "");
        let urls = format!(r#","urls":[{}]"#, vec![r#""""#; 100_000].join(","));
        let said = |text: &str, content_type| {
            Document::parse(text.as_bytes(), Some(content_type), Layers::One).err().map(|failure| failure.to_string())
        };
        assert_eq!(said(&index(ENTRY_LIMIT), OCI_INDEX), None);
        for (text, content_type, expected) in [
            (index(ENTRY_LIMIT + 1), OCI_INDEX, "expected at most 16384 entries of an index, found 16385"),
            (manifest(&[layer("application/gzip", ""), layers(9)].join(","), ""), OCI_MANIFEST, "found 2"),
            (
                manifest(&vec![layer("application/gzip", ""); 20_000].join(","), ""),
                OCI_MANIFEST,
                "expected one layer, found 20000",
            ),
            (
                manifest(&layer("application/gzip", &urls), ""),
                OCI_MANIFEST,
                "a layer that lies on another server (`urls`)",
            ),
        ] {
            let found = said(&text, content_type).unwrap();
            assert!(found.ends_with(expected), "{found}");
        }
        for urls in ["null", "[]"] {
            let text = manifest(&layer("application/gzip", &format!(r#","urls":{urls}"#)), "");
            assert_eq!(said(&text, OCI_MANIFEST), None, "{urls}");
        }
    }
}
