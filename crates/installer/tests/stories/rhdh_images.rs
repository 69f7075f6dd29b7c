//! Plugins in images and tarballs: which folder is meant, what the layers make of it, and what is said when it is not there.

use std::process::Command;

use base64ct::{Base64, Encoding as _};
use testkit::{Ca, HttpServer, Image, OCI_LAYER, Plugin, Registry, Reply, Tarball};

use crate::hub::{ANNOTATION, Hub, annotation, asked, bare_image, image, plugin, push};

#[test]
fn upper_layer_adds_replaces_and_removes() {
    let registry = Registry::start();
    let below = plugin("one", "below").file("dist/gone", "x").file("old/a", "x").file("whole/b", "x");
    let below = plugin("two", "below").add_to(below.archive_under("one"), "two").gzip();
    let above = Tarball::new()
        .file("./one/dist/mark", "above")
        .file("./one/dist/added", "")
        .file("./one/dist/.wh.gone", "")
        .file("./one/.wh.old", "")
        .dir("./one/whole")
        .file("./one/whole/.wh..wh..opq", "")
        .file("./one/whole/c", "")
        .symlink("./one/link", "dist/added")
        .gzip();
    let image = Image::new(OCI_LAYER, &below).layer(OCI_LAYER, &above).annotation(ANNOTATION, &annotation(&["one"]));
    let pushed = registry.push_image("rhdh/one", "1", &image);
    for package in [pushed.reference.clone(), format!("{}!one", pushed.reference)] {
        let hub = Hub::listing(&[&package]);
        hub.install().exits(0);
        assert_eq!(hub.plugins(), ["one"]);
        let tree = hub.tree().to_string();
        let names: Vec<_> = tree
            .lines()
            .filter_map(|line| line.split(' ').nth(2)?.strip_prefix("one/"))
            .filter(|name| *name != "package.json" && !name.ends_with(".cjs.js"))
            .collect();
        assert_eq!(names, ["dist", "dist/added", "dist/mark", "link", "whole", "whole/c"], "{tree}");
        assert_eq!(hub.installed("one/dist/mark"), "above");
        assert_eq!(std::fs::read_link(hub.root().join("one/link")).unwrap().to_str(), Some("dist/added"));
    }
}

#[test]
fn image_of_several_plugins_is_fetched_once() {
    let registry = Registry::start();
    let package = push(&registry, "all", "1", &["one", "two", "three", "four"], "1").reference;
    let entries: Vec<_> = ["one", "two", "three"].iter().map(|name| format!("{package}!{name}")).collect();
    let hub = Hub::listing(&entries.iter().map(String::as_str).collect::<Vec<_>>());
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["one", "three", "two"]);
    let blobs = asked(registry.recorder()).iter().filter(|line| line.contains("/blobs/")).count();
    assert_eq!(blobs, 1, "{:?}", asked(registry.recorder()));
    // One more is fetched alone, and the others stay.
    registry.recorder().clear();
    let more = [&*entries[0], &entries[1], &entries[2], &format!("{package}!four")].map(str::to_owned);
    hub.plugins_are(&more.iter().map(String::as_str).collect::<Vec<_>>());
    let run = hub.install().exits(0);
    assert_eq!(run.stdout.matches(": already installed, skipping").count(), 3, "{}", run.stdout);
    assert_eq!(run.stdout.matches("\t==> Installed ").count(), 1, "{}", run.stdout);
}

#[test]
fn what_the_reference_does_not_select_the_annotation_does_if_it_names_one() {
    let registry = Registry::start();
    let bare = || bare_image(&["one", "two"], "1");
    let empty = "W10=";
    let rows: [(&str, Image, &str, i32, &str); 8] = [
        ("one plugin", image(&["one"], "1"), "", 0, "\t==> Installed "),
        ("one of two", bare().annotation(ANNOTATION, &annotation(&["two"])), "", 0, "\t==> Installed "),
        (
            "several",
            image(&["one", "two"], "1"),
            "",
            1,
            "the image holds 2 plugins, and the reference selects none: `one`, `two`",
        ),
        (
            "none",
            bare().annotation(ANNOTATION, empty),
            "",
            1,
            "an empty list in its annotation `io.backstage.dynamic-packages`",
        ),
        ("no annotation", bare(), "", 1, "the image has no annotation `io.backstage.dynamic-packages`"),
        ("no base64", bare().annotation(ANNOTATION, "?"), "", 1, "that cannot be decoded"),
        (
            "a folder that is not there",
            image(&["one", "two"], "1"),
            "!three",
            1,
            "expected the plugin in `three/`, found `one`, `two`",
        ),
        (
            "the start of a name",
            image(&["one-more"], "1"),
            "!one",
            1,
            "expected the plugin in `one/`, found `one-more`",
        ),
    ];
    for (row, image, path, status, said) in rows {
        let package = registry.push_image("rhdh/image", "1", &image).reference;
        let hub = Hub::listing(&[&format!("{package}{path}")]);
        let run = hub.install().exits(status).says(said);
        assert_eq!(hub.plugins().len(), usize::from(status == 0), "{row}");
        assert_eq!(run.stdout.contains("All plugins installed"), status == 0, "{row}: {}", run.stdout);
    }
}

#[test]
fn wrong_folder_is_answered_with_those_that_are_there() {
    let registry = Registry::start();
    let layer =
        plugin("deep", "1").add_to(plugin("one", "1").archive_under("one"), "plugins/deep").file("index.json", "{}");
    let images = [
        ("one layer", Image::new(OCI_LAYER, &layer.gzip())),
        ("two", Image::new(OCI_LAYER, &layer.gzip()).layer(OCI_LAYER, &plugin("two", "1").archive_under("two").gzip())),
    ];
    for (row, image) in images {
        let package = registry.push_image("rhdh/image", "1", &image).reference;
        let hub = Hub::listing(&[&format!("{package}!nothing")]);
        let run = hub.install().exits(1);
        for name in ["`nothing/`", "`one`", "`plugins/deep`"] {
            assert!(run.stdout.contains(name), "{row}: {name} in {}", run.stdout);
        }
        assert_eq!(run.stdout.contains("`two`"), row == "two", "{}", run.stdout);
        assert_eq!(hub.plugins(), [""; 0], "{row}");
    }
    // A path with slashes is a folder that the portal's scanner sees.
    let package = registry.push_image("rhdh/image", "1", &Image::new(OCI_LAYER, &layer.gzip())).reference;
    let hub = Hub::listing(&[&format!("{package}!plugins/deep")]);
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["plugins-deep"]);
    hub.install().exits(0).says(": already installed, skipping");
    hub.plugins_are(&[]);
    hub.install().exits(0).says("Removing obsolete plugin ");
    assert_eq!(hub.plugins(), [""; 0]);
}

#[test]
fn folder_without_a_package_json_is_no_plugin() {
    let registry = Registry::start();
    for (row, archive) in [
        ("none", Tarball::new().dir("one").file("one/dist/index.js", "")),
        ("an empty folder", Tarball::new().dir("one")),
        ("no JSON", Tarball::new().dir("one").file("one/package.json", "{")),
        ("a link", Tarball::new().dir("one").file("one/x", "{}").symlink("one/package.json", "x")),
    ] {
        let package = registry.push_image("rhdh/one", "1", &Image::new(OCI_LAYER, &archive.gzip())).reference;
        let hub = Hub::listing(&[&format!("{package}!one")]);
        let run = hub.install().exits(1).says("package.json");
        assert!(run.stdout.contains("\t==> ERROR: "), "{row}: {}", run.stdout);
        assert_eq!(hub.plugins(), [""; 0], "{row}");
    }
}

#[test]
fn two_images_for_one_folder_leave_everything_as_it_was() {
    let registry = Registry::start();
    let mine = push(&registry, "mine", "1", &["one"], "mine").reference;
    let other = push(&registry, "other", "1", &["one"], "other").reference;
    let hub = Hub::listing(&[&format!("{mine}!one")]);
    hub.install().exits(0);
    let before = hub.untouched();
    hub.plugins_are(&[&format!("{mine}!one"), &format!("{other}!one")]);
    let run = hub.install().exits(1).says("the destination `one` is taken: ").says("rhdh/mine:1!one");
    assert!(run.stderr.contains(" (destination_conflict)\n"), "{}", run.stderr);
    assert_eq!(hub.untouched(), before);
    // Names that differ and folders that do not.
    let slashed = Image::new(OCI_LAYER, &plugin("b", "1").archive_under("a/b").gzip());
    let slashed = registry.push_image("rhdh/slashed", "1", &slashed).reference;
    let arrow = Image::new(OCI_LAYER, &plugin("b", "1").archive_under("a-b").gzip());
    let arrow = registry.push_image("rhdh/arrow", "1", &arrow).reference;
    hub.plugins_are(&[&format!("{slashed}!a/b"), &format!("{arrow}!a-b")]);
    hub.install().exits(1).says("the destination `a-b` is taken: ");
    assert_eq!(hub.untouched(), before);
}

#[test]
fn what_an_image_says_of_itself_is_checked() {
    let registry = Registry::start();
    let package = push(&registry, "one", "1", &["one"], "1").reference;
    let other = bare_image(&["one"], "other bytes").manifest();
    let size = usize::try_from(other["layers"][0]["size"].as_u64().unwrap()).unwrap();
    registry.server().intercept(move |request, answer| {
        if request.path.contains("/blobs/") { Reply::ok().body(vec![0; size]) } else { answer() }
    });
    let hub = Hub::listing(&[&format!("{package}!one")]);
    hub.install().exits(1).says("expected");
    assert_eq!(hub.plugins(), [""; 0]);
}

#[test]
fn tarball_is_checked_by_the_strongest_hash_and_one_of_them_is_enough() {
    let ca = Ca::new();
    let tarball = Plugin::backend("@my/web").version("1.2.3").tarball();
    let body = tarball.clone();
    let server = HttpServer::builder().tls(&ca).start(move |_| Reply::ok().body(body.clone()));
    let url = server.url("/web.tgz");
    let [sha256, sha384, sha512] = hashes(&tarball);
    let [_, wrong384, wrong512] = hashes(b"other");
    let rows = [
        ("sha512", sha512.clone(), 0),
        ("sha384", sha384.clone(), 0),
        ("sha256", sha256.clone(), 0),
        ("wrong", wrong384.clone(), 1),
        ("two, the first is right", format!("{sha512} {wrong512}"), 0),
        ("two, the second is right", format!("{wrong512} {sha512}"), 0),
        ("two, neither is", format!("{wrong512} {wrong384}"), 1),
        ("a weaker one is wrong", format!("{wrong384} {sha512}"), 0),
        ("only a weaker one is right", format!("{sha384} {wrong512}"), 1),
        ("no algorithm of ours", "md5-XrY7u+Ae7tCTyyK7j1rNww==".to_owned(), 1),
        ("no hash", "sha512".to_owned(), 1),
    ];
    for (row, integrity, status) in rows {
        let mut hub = Hub::listing(&[&format!("{url}\nintegrity: {integrity}")]);
        hub.set("SSL_CERT_FILE", hub.write("ca.pem", ca.pem()));
        let run = hub.install();
        assert_eq!(run.status, Some(status), "{row}: {}{}", run.stdout, run.stderr);
        let expected: &[&str] = if status == 0 { &["my-web-1.2.3"] } else { &[] };
        assert_eq!(hub.plugins(), expected, "{row}");
        if row == "wrong" {
            run.says("integrity check failed — got sha384-").says(&format!("expected {integrity}"));
        }
    }
}

/// sha256, sha384 and sha512 as SRI has them, by the programs that everybody has.
fn hashes(bytes: &[u8]) -> [String; 3] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, bytes).unwrap();
    ["sha256", "sha384", "sha512"].map(|name| {
        let sum = Command::new(format!("{name}sum")).arg(&file).output().unwrap();
        let hex = String::from_utf8(sum.stdout).unwrap();
        let hex = hex.split(' ').next().unwrap().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let digest: Vec<u8> = hex.chunks(2).map(byte).collect();
        format!("{name}-{}", Base64::encode_string(&digest))
    })
}
