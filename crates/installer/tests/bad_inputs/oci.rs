//! Rows about what registries say of an artifact, and about what they hand out for it.
//!
//! Wherever a registry lies, the bytes behind the lie are a good plugin and the pinned one: whoever believes the lie
//! installs it.

mod login;

use fetch::Platform;
use serde_json::{Value, json};
use testkit::{
    GZIP, Image, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Plugin, Registry, Reply, Request, Tarball, sha256_digest, sri,
};

use crate::bench::Seen;
use crate::case::{Case, Entry, Listing};
use crate::judge::rejection;
use crate::net::{Net, REGISTRY, Served, named};
use crate::placeholder::{PLUG, good, other};
use crate::row::Row;
use login::{logged_in, with_login};

const REPOSITORY: &str = "my-org/plug";
const PACKAGE: &str = "oci://reg.example.com/my-org/plug:1.0.0";
const TAG: &str = "1.0.0";
const MIB: usize = 1024 * 1024;
/// What the column `given` may say: what is pinned is what is served, said or not.
const GIVEN: [&str; 2] = ["", "integrity is right"];
/// The config that clients write who have none (ORAS until 1.0, and the Python client).
const UNKNOWN_CONFIG: &str = "application/vnd.unknown.config.v1+json";

/// Every row has a builder: its input is a description.
pub(crate) fn oci(row: &Row) -> Result<Case, String> {
    if !GIVEN.contains(&row.given.as_str()) {
        return Err(format!("expected one of {GIVEN:?} in `given`, found `{}`", row.given));
    }
    let case = manifest(&row.id).or_else(|| artifact(&row.id)).or_else(|| login::row(&row.id));
    case.ok_or_else(|| row.without_builder())
}

/// What a manifest says, and what it has.
fn manifest(id: &str) -> Option<Case> {
    Some(match id {
        "PO01" => another_manifest(),
        "PO02" => lying(is_manifest, |answer| answer.header("docker-content-digest", &sha256_digest(b"another"))),
        "PO03" => {
            let case = described(|layer| layer["digest"] = json!(sha256_digest(b"other bytes")));
            then_lying(case, is_blob, |_| Reply::ok().body(good()))
        }
        "PO04" => Case::instances([
            ("announced", described(|layer| layer["size"] = json!(good().len() - 1))),
            (
                "not announced",
                then_lying(described(|layer| layer["size"] = json!(good().len() - 1)), is_blob, Reply::chunked),
            ),
            ("of nothing", described(|layer| layer["size"] = json!(0))),
        ]),
        "PO05" => Case::instances([
            ("described as longer", described(|layer| layer["size"] = json!(good().len() + 1))),
            ("cut", lying(is_blob, |answer| answer.with_body(|bytes| bytes[..bytes.len() - 1].to_vec()))),
        ]),
        "PO06" => Case::instances([
            ("negative", described(|layer| layer["size"] = json!(-1))),
            ("2^63", described(|layer| layer["size"] = json!(1_u64 << 63))),
            ("2^64 - 1", described(|layer| layer["size"] = json!(u64::MAX))),
            ("2^64", replaced(&format!("\"size\":{}", good().len()), "\"size\":18446744073709551616")),
            ("a text", described(|layer| layer["size"] = json!(good().len().to_string()))),
            ("a fraction", replaced(&format!("\"size\":{}", good().len()), &format!("\"size\":{}.0", good().len()))),
        ]),
        "PO07" => Case::instances(["../../x", "sha256:../../x", "/etc/passwd", "sha256:%2e%2e%2fx"].map(|digest| {
            let case = described(|layer| layer["digest"] = json!(digest));
            (digest, case.holds(asks_for_no_blob))
        })),
        "PO08" => index(),
        "PO09" => document(&Image::new(GZIP, &good()).layer(GZIP, &good()).manifest()),
        "PO10" => Case::instances([
            ("empty", changed(|manifest| manifest["layers"] = json!([]))),
            ("null", changed(|manifest| manifest["layers"] = json!(null))),
            ("an object", changed(|manifest| manifest["layers"] = json!({}))),
        ]),
        "PO11" => foreign_layer(),
        "PO12" => Case::instances([
            ("beside", changed(|manifest| manifest["manifests"] = json!([]))),
            ("an index with a layer", both()),
        ]),
        "PO13" => Case::instances([
            ("manifest that calls itself index", changed(|manifest| manifest["mediaType"] = json!(OCI_INDEX))),
            ("manifest announced as index", lying(is_manifest, |answer| answer.header("content-type", OCI_INDEX))),
            ("index announced as manifest", mistaken_index()),
        ]),
        "PO14" => schema_1(),
        "PO15" => Case::instances([
            ("not JSON", replaced("{\"", "<html>{\"")),
            ("two documents", text(&format!("{0}{0}", plain()))),
            ("layers twice", replaced("\"layers\":", "\"layers\":[],\"layers\":")),
            ("digest twice", replaced("\"digest\":", "\"digest\":\"sha256:0\",\"digest\":")),
            ("schema version twice", replaced("\"schemaVersion\":2", "\"schemaVersion\":2,\"schemaVersion\":2")),
            ("media type twice", replaced("\"mediaType\":", "\"mediaType\":\"x\",\"mediaType\":")),
        ]),
        _ => return None,
    })
}

/// How much there is, what it is, and whether it is there.
fn artifact(id: &str) -> Option<Case> {
    Some(match id {
        "PO16" => Case::instances([
            ("announced", padded(|answer| answer)),
            ("not announced", padded(Reply::chunked)),
            ("until the end", padded(Reply::until_close)),
        ]),
        "PO17" => {
            Case::instances([("announced", token_of(|answer| answer)), ("not announced", token_of(Reply::chunked))])
        }
        "PO18" => Case::instances(
            ["Basic realm=\"x\"", "Bearer realm=\"https://reg.example.com/token\",service=\"testkit\""].map(
                |challenge| {
                    let endless = |answer: Reply| answer.stream(std::io::repeat(b'x'), 0).chunked();
                    let lie = move |_| endless(Reply::status(401).header("www-authenticate", challenge));
                    (challenge, lying(|_| true, lie))
                },
            ),
        ),
        "PO19" => document(&Image::new(GZIP, &good()).config_type(UNKNOWN_CONFIG).manifest()),
        "PO20" => document(&Image::new(OCI_LAYER, &good()).manifest()),
        "PO21" => Case::instances(
            ["application/zip", "application/vnd.oci.image.layer.v1.tar", "application/gzip; x", ""]
                .map(|media_type| (media_type, document(&Image::new(media_type, &good()).manifest()))),
        ),
        "PO34" => moved_tag(),
        "PO35" => {
            let mut net = Net::new();
            net.registry(named(REGISTRY)).push(REPOSITORY, "another", &good());
            pinned(net, &good()).holds(|seen| asked_times(seen, is_manifest, 1))
        }
        "PO36" => document(&Image::plugin(&good()).manifest()),
        "PO37" => document(&written_in_python()),
        "PO38" => selected("plugin-a", &several()).holds(|seen| has_only(seen, "plugin-a-dynamic")).beside(
            selected("plugin-a", &several().file("plugin-b/../../escape", "out")),
            |seen| match rejection(seen)?.reason() {
                "archive_unsafe_entry" => Ok(()),
                other => Err(format!("an entry beside the plugin was not checked: `{other}`")),
            },
        ),
        "PO39" => selected("plugin-c", &several()).holds(|seen| {
            let told = rejection(seen)?;
            let detail = told.field("detail").unwrap_or_default();
            let names_both = detail.contains("`plugin-a`") && detail.contains("`plugin-b`");
            if names_both { Ok(()) } else { Err(format!("expected both plugins, found `{detail}`")) }
        }),
        _ => return None,
    })
}

pub(crate) fn is_manifest(request: &Request) -> bool {
    request.path.contains("/manifests/")
}

pub(crate) fn is_blob(request: &Request) -> bool {
    request.path.contains("/blobs/")
}

/// How often a run asked for something.
pub(crate) fn asked_times(seen: &Seen, what: fn(&Request) -> bool, times: usize) -> Result<(), String> {
    let asked = seen.requests.iter().filter(|request| what(request)).count();
    if asked == times { Ok(()) } else { Err(format!("expected {times} requests, found {asked}: {:?}", seen.asked)) }
}

/// The row's entry, with these bytes for the pinned ones.
fn pinned(net: Net, bytes: &[u8]) -> Case {
    Case::listing(net, Listing::of([Entry::new(PACKAGE, &sri(bytes))]))
}

/// A registry with the blobs of the good plugin, and this put there.
fn stocked(put: impl FnOnce(&Registry)) -> Case {
    let mut net = Net::new();
    let registry = net.registry(named(REGISTRY));
    registry.push(REPOSITORY, "stock", &good());
    put(registry);
    pinned(net, &good())
}

fn text_as(text: &str, content_type: &str) -> Case {
    stocked(|registry| drop(registry.push_manifest(REPOSITORY, TAG, text.as_bytes(), content_type)))
}

fn text(text: &str) -> Case {
    text_as(text, OCI_MANIFEST)
}

fn document(manifest: &Value) -> Case {
    text(&manifest.to_string())
}

/// The manifest of the good plugin.
fn plain() -> String {
    Image::plugin(&good()).manifest().to_string()
}

fn changed(change: impl FnOnce(&mut Value)) -> Case {
    let mut manifest = Image::plugin(&good()).manifest();
    change(&mut manifest);
    document(&manifest)
}

fn described(change: impl FnOnce(&mut Value)) -> Case {
    changed(|manifest| change(&mut manifest["layers"][0]))
}

/// What no JSON value can say.
fn replaced(from: &str, to: &str) -> Case {
    let manifest = plain();
    assert!(manifest.contains(from), "`{from}` is not in `{manifest}`");
    text(&manifest.replacen(from, to, 1))
}

/// A good registry that changes some answers on their way.
fn lying(matches: fn(&Request) -> bool, lie: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Case {
    then_lying(stocked(|registry| drop(registry.push(REPOSITORY, TAG, &good()))), matches, lie)
}

fn then_lying(
    mut case: Case,
    matches: fn(&Request) -> bool,
    lie: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> Case {
    let registry = case.net.registry(named(REGISTRY));
    registry.server().intercept(move |request, answer| if matches(request) { lie(answer()) } else { answer() });
    case
}

/// A digest in the reference, and a good manifest of another plugin for it.
fn another_manifest() -> Case {
    let with = |headers: fn(Reply, &str, &str) -> Reply| {
        let mut net = Net::new();
        let registry = net.registry(named(REGISTRY));
        let wanted = registry.push(REPOSITORY, TAG, &good()).digest;
        let found = registry.push(REPOSITORY, "other", &other()).digest;
        let package = format!("oci://{REGISTRY}/{REPOSITORY}@{wanted}");
        let manifest = registry.manifest(REPOSITORY, "other").expect("it was pushed");
        registry.server().intercept(move |request, answer| {
            let reply = Reply::ok().header("content-type", OCI_MANIFEST).body(manifest.clone());
            if is_manifest(request) { headers(reply, &wanted, &found) } else { answer() }
        });
        Case::listing(net, Listing::of([Entry::new(&package, &sri(&other()))]))
    };
    Case::instances([
        ("that says so", with(|reply, _, found| reply.header("docker-content-digest", found))),
        ("that says otherwise", with(|reply, wanted, _| reply.header("docker-content-digest", wanted))),
        ("that says nothing", with(|reply, _, _| reply)),
    ])
}

fn index() -> Case {
    let of = |choose: fn(&str) -> Vec<(&'static str, String, bool)>| {
        stocked(|registry| {
            let wanted = registry.push(REPOSITORY, "wanted", &good()).digest;
            let unwanted = registry.push(REPOSITORY, "unwanted", &other()).digest;
            let entries = choose(&Platform::this_machine().architecture);
            let entries: Vec<_> = entries
                .iter()
                .map(|(os, arch, is_wanted)| (*os, arch.as_str(), if *is_wanted { &*wanted } else { &*unwanted }))
                .collect();
            registry.push_index(REPOSITORY, TAG, &entries);
        })
    };
    let useless = of(|_| vec![("linux", "riscv64".to_owned(), true), ("windows", "arm64".to_owned(), true)]);
    Case::instances([
        (
            "for this machine",
            of(|mine| {
                let strange = || "riscv64".to_owned();
                vec![("linux", strange(), false), ("windows", mine.to_owned(), false), ("linux", mine.to_owned(), true)]
            }),
        ),
        ("for amd64", of(|_| vec![("linux", "s390x".to_owned(), false), ("linux", "amd64".to_owned(), true)])),
        ("for one other", of(|_| vec![("linux", "riscv64".to_owned(), true)])),
    ])
    .beside(useless, |seen| match rejection(seen)?.reason() {
        "oci_pull_failed" if seen.before.visible == seen.after.visible => Ok(()),
        other => Err(format!("expected that an index without a usable entry is rejected, found `{other}`")),
    })
}

/// A layer that is to be fetched somewhere else, where it is to be had for a login.
fn foreign_layer() -> Case {
    const ELSEWHERE: &str = "evil.example";
    let with = |change: fn(&mut Value)| {
        let mut net = Net::new();
        net.https(ELSEWHERE, |_| Reply::ok().body(good()));
        let registry = net.start(with_login());
        registry.push(REPOSITORY, "stock", &good());
        let mut manifest = Image::plugin(&good()).manifest();
        change(&mut manifest["layers"][0]);
        registry.push_manifest(REPOSITORY, TAG, manifest.to_string().as_bytes(), OCI_MANIFEST);
        logged_in(pinned(net, &good()))
            .holds(|seen| asked_times(seen, |request| request.origin.contains(ELSEWHERE), 0))
            .holds(asks_for_no_blob)
    };
    let urls = |layer: &mut Value| layer["urls"] = json!(["https://evil.example/layer.tgz"]);
    Case::instances([
        ("urls", with(urls)),
        (
            "not distributable",
            with(|layer| layer["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")),
        ),
        (
            "Docker's",
            with(|layer| layer["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
        ),
    ])
}

fn asks_for_no_blob(seen: &Seen) -> Result<(), String> {
    asked_times(seen, |request| !is_manifest(request) && request.path != "/token" && request.method == "GET", 0)
}

/// An index, which names a good manifest, and which has a good layer as well.
fn both() -> Case {
    stocked(|registry| {
        let digest = registry.push(REPOSITORY, "wanted", &good()).digest;
        let len = registry.manifest(REPOSITORY, "wanted").expect("it was pushed").len();
        let mut index = Image::plugin(&good()).manifest();
        index["mediaType"] = json!(OCI_INDEX);
        index["manifests"] = json!([{ "mediaType": OCI_MANIFEST, "digest": digest, "size": len }]);
        registry.push_manifest(REPOSITORY, TAG, index.to_string().as_bytes(), OCI_INDEX);
    })
}

/// An index that its registry takes for a manifest.
fn mistaken_index() -> Case {
    stocked(|registry| {
        let digest = registry.push(REPOSITORY, "wanted", &good()).digest;
        registry.push_index(REPOSITORY, TAG, &[("linux", "amd64", &digest)]);
        registry.server().intercept(|request, answer| {
            let is_index = is_manifest(request) && request.path.ends_with(TAG);
            if is_index { answer().header("content-type", OCI_MANIFEST) } else { answer() }
        });
    })
}

/// A manifest of the first schema, as registries still convert to for clients that do not say what they take.
fn schema_1() -> Case {
    let blob = sha256_digest(&good());
    let manifest = json!({
        "schemaVersion": 1, "name": REPOSITORY, "tag": TAG, "architecture": "amd64",
        "fsLayers": [{ "blobSum": blob }],
        "history": [{ "v1Compatibility": "{}" }],
        "signatures": [],
    });
    let hybrid = json!({
        "schemaVersion": 1, "fsLayers": [{ "blobSum": blob }],
        "layers": Image::plugin(&good()).manifest()["layers"],
    });
    let served = |manifest: &Value, content_type: &'static str| {
        let bytes = manifest.to_string().into_bytes();
        lying(is_manifest, move |_| Reply::ok().header("content-type", content_type).body(bytes.clone()))
    };
    Case::instances([
        ("signed", served(&manifest, "application/vnd.docker.distribution.manifest.v1+prettyjws")),
        ("in the type of another", served(&manifest, OCI_MANIFEST)),
        ("with layers of the second", served(&hybrid, "application/json")),
    ])
}

/// A good manifest with 64 MiB of nothing in it.
fn padded(framing: fn(Reply) -> Reply) -> Case {
    lying(is_manifest, move |answer| framing(answer.without("docker-content-digest").with_body(|bytes| spaced(&bytes))))
        .holds(|seen| asked_times(seen, is_manifest, 1))
}

/// A good token behind 64 MiB of nothing.
fn token_of(framing: fn(Reply) -> Reply) -> Case {
    let mut net = Net::new();
    let registry = net.start(with_login());
    registry.push(REPOSITORY, TAG, &good());
    registry.server().intercept(move |request, answer| {
        let is_token = request.path == "/token";
        if is_token { framing(answer().with_body(|bytes| spaced(&bytes))) } else { answer() }
    });
    logged_in(pinned(net, &good()))
}

/// JSON may have as much white space as it likes.
fn spaced(json: &[u8]) -> Vec<u8> {
    let mut spaced = vec![b' '; 64 * MIB];
    spaced.extend_from_slice(json);
    spaced
}

/// A good copy first, of a tag; then another tag that was pinned when it had other bytes.
fn moved_tag() -> Case {
    let mut net = Net::new();
    let before = net.push("plug:0.9.0", &Plugin::backend(PLUG).version("0.9.0"));
    let registry = net.registry(named(REGISTRY));
    let pinned = registry.push(REPOSITORY, TAG, &good());
    registry.push(REPOSITORY, TAG, &other());
    let listing = Listing::of([Entry::new(PACKAGE, &pinned.integrity)]);
    Case::listing(net, listing).after(Listing::of([Entry::from(&before)]))
}

/// As `oras` of the Python package index writes it: a config of no bytes, and annotations that may be empty.
fn written_in_python() -> Value {
    let artifact = good();
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": UNKNOWN_CONFIG, "size": 0, "digest": sha256_digest(b"") },
        "layers": [{
            "mediaType": GZIP,
            "size": artifact.len(),
            "digest": sha256_digest(&artifact),
            "annotations": { "org.opencontainers.image.title": "package.tgz" },
        }],
        "annotations": {},
    })
}

/// Two plugins in one layer, and a file beside them.
fn several() -> Tarball {
    let both = ["plugin-a", "plugin-b"];
    let archive = both.iter().fold(Tarball::new(), |archive, name| Plugin::backend(name).add_to(archive, name));
    archive.file("index.json", "[]")
}

/// One plugin of an image.
fn selected(path: &str, image: &Tarball) -> Case {
    let mut net = Net::new();
    let layer = image.gzip();
    let pushed = net.registry(named(REGISTRY)).push_image(REPOSITORY, TAG, &Image::new(OCI_LAYER, &layer));
    let served = Served { package: format!("{}!{path}", pushed.reference), integrity: pushed.integrity };
    Case::listing(net, Listing::of([Entry::from(&served)]))
}

/// That a plugin's own files, and nothing else, are on the root.
fn has_only(seen: &Seen, folder: &str) -> Result<(), String> {
    let inside = format!("volume/plugins/{folder}");
    let (own, others): (Vec<_>, Vec<_>) = seen.after.visible.iter().partition(|line| line.contains(&inside));
    let files = ["package.json", "dist/index.cjs.js"].map(|name| seen.on_root(folder).join(name).is_file());
    // The folder, `dist` in it, and a file in each.
    if others.is_empty() && own.len() == 4 && files == [true; 2] {
        return Ok(());
    }
    Err(format!("expected `{folder}` and nothing else, found {:#?}", seen.after.visible))
}
