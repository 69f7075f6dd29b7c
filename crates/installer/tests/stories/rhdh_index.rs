//! Catalog index images: the plugins of a distribution, and the entities that describe them.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use testkit::{Fault, Image, OCI_LAYER, Pushed, Registry, Reply, Request, Tarball, Tree};

use crate::hub::{APP_CONFIG, Hub, asked, pinned, plugins, push};
use crate::portal::wait_until;

const DEFAULTS: &str = "dynamic-plugins.default.yaml";
const OF_INCLUDE: &str = "includes: [dynamic-plugins.default.yaml]\nplugins:";

/// An image of an index; of the two, each may be missing.
fn index(registry: &Registry, name: &str, tag: &str, defaults: Option<&str>, entity: Option<&str>) -> Pushed {
    let mut archive = Tarball::new().file("index.json", "{}");
    if let Some(text) = defaults {
        archive = archive.file(DEFAULTS, text);
    }
    if let Some(entity) = entity {
        let folder = "catalog-entities/extensions";
        archive = archive.dir("catalog-entities").dir(folder).dir(format!("{folder}/plugins"));
        archive = archive.file(format!("{folder}/plugins/{entity}.yaml"), format!("name: {entity}\n"));
    }
    registry.push_image(&format!("rhdh/{name}"), tag, &Image::new(OCI_LAYER, &archive.gzip()))
}

/// A reference as the variable has it.
fn written(reference: &str) -> String {
    reference.trim_start_matches("oci://").to_owned()
}

fn hub(index: &str) -> Hub {
    let mut hub = Hub::new();
    hub.set("CATALOG_INDEX_IMAGE", written(index));
    let entities = hub.path("extensions");
    hub.set("CATALOG_ENTITIES_EXTRACT_DIR", entities);
    hub
}

/// The files below the folder of entities, dot files aside.
fn entities(hub: &Hub) -> Vec<String> {
    files(&hub.path("extensions"))
}

fn files(folder: &Path) -> Vec<String> {
    let tree = Tree::of(folder).unwrap();
    let files =
        tree.lines().iter().filter_map(|line| line.split_once(" file ")?.1.split(' ').next().map(str::to_owned));
    files.filter(|name| !name.starts_with('.') && !name.contains("/.")).collect()
}

/// A registry with an index that knows the plugin `one` at tag 1, and has the entity `one`.
fn distribution() -> (Registry, Pushed) {
    let registry = Registry::start();
    let one = push(&registry, "one", "1", &["one"], "1").reference;
    let defaults = format!("plugins:\n  - package: {one}!one\n    disabled: true\n    pluginConfig: {{a: 1}}\n");
    let index = index(&registry, "index", "1", Some(&defaults), Some("one"));
    (registry, index)
}

#[test]
fn index_brings_what_the_list_builds_on() {
    let (registry, index) = distribution();
    let inherit = format!("oci://{}/rhdh/one:{{{{inherit}}}}!one", registry.host());
    let rows = [
        ("nothing of it", String::new(), false, false),
        ("inherit", format!("  - package: '{inherit}'\n    disabled: false\n"), true, true),
        (
            "inherit without a path",
            format!("  - package: '{}'\n    enabled: true\n", inherit.trim_end_matches("!one")),
            true,
            true,
        ),
        ("by its name", "  - package: ref://one\n    disabled: false\n".to_owned(), true, true),
        (
            "with another config",
            "  - package: ref://one\n    enabled: true\n    pluginConfig: {b: 2}\n".to_owned(),
            true,
            false,
        ),
    ];
    for (row, entries, is_installed, has_config) in rows {
        let hub = hub(&index.reference);
        // The file beside the list is not the one that counts.
        hub.write(DEFAULTS, "plugins: [7]\n");
        hub.list(&format!(
            "{OF_INCLUDE}{}\n",
            if entries.is_empty() { " []".to_owned() } else { format!("\n{entries}") }
        ));
        let run = hub.install().exits(0).says("\n======= Extracting catalog index from ");
        assert!(run.stdout.contains("\n======= Including plugins from "), "{row}: {}", run.stdout);
        assert_eq!(hub.plugins(), if is_installed { vec!["one"] } else { vec![] }, "{row}");
        assert_eq!(hub.app_config().contains("\"a\": 1"), has_config, "{row}: {}", hub.app_config());
        assert_eq!(entities(&hub), ["catalog-entities/plugins/one.yaml"], "{row}");
        assert_eq!(files(&hub.root()).iter().filter(|file| file.contains("catalog")).count(), 0, "{row}");
    }
}

#[test]
fn index_that_no_include_makes_room_for_brings_entities_alone() {
    let (_registry, index) = distribution();
    let hub = hub(&index.reference);
    hub.list("plugins:\n  - package: ref://one\n");
    hub.install().exits(1).says("cannot resolve `ref://one`: no included plugin has that name");
    hub.list("plugins: []\n");
    hub.install().exits(0);
    assert_eq!(entities(&hub), ["catalog-entities/plugins/one.yaml"]);
}

#[test]
fn repository_that_the_index_alone_names_is_not_checked_out() {
    let registry = Registry::start();
    let defaults = format!("plugins:\n  - package: git://127.0.0.1:1/repo\n    integrity: {}\n", testkit::sri(b""));
    let index = index(&registry, "index", "1", Some(&defaults), Some("one"));
    let mut hub = hub(&index.reference);
    hub.set("PATH", std::env::var_os("PATH").unwrap());
    hub.list(&format!("{OF_INCLUDE} []\n"));
    hub.install()
        .exits(1)
        .says("found `git://127.0.0.1:1/repo` in the catalog index alone")
        .says("help: list the plugin");
    // As soon as the list names it, git is asked, and says that nobody serves it there.
    hub.list(&format!("{OF_INCLUDE}\n  - package: git://127.0.0.1:1/repo\n"));
    hub.install().exits(1).says("git failed to fetch `git://127.0.0.1:1/repo`");
}

#[test]
fn index_is_remembered_when_it_cannot_be_asked() {
    let (registry, index) = distribution();
    let hub = hub(&index.reference);
    hub.list(&format!("{OF_INCLUDE}\n  - package: ref://one\n    enabled: true\n"));
    hub.install().exits(0);
    let (config, entities_before) = (hub.app_config(), entities(&hub));

    registry.recorder().clear();
    hub.install().exits(0).says(": already installed, skipping");
    assert_eq!(asked(registry.recorder()).len(), 1, "{:?}", asked(registry.recorder()));

    drop(registry);
    let run = hub.install().exits(0).says("/rhdh/index:1` could not be asked, and what it said the last time serves: ");
    assert!(run.stdout.contains(": already installed, skipping"), "{}", run.stdout);
    assert_eq!((hub.app_config(), entities(&hub)), (config, entities_before));

    // What was remembered is of that image alone.
    let mut hub = hub;
    hub.set("CATALOG_INDEX_IMAGE", written(&index.reference.replace("index:1", "index:2")));
    let before = hub.untouched();
    hub.install().exits(1).says("/rhdh/index:2`");
    assert_eq!(hub.untouched(), before);
}

#[test]
fn pinned_index_is_asked_for_once() {
    let (registry, index) = distribution();
    let hub = hub(&pinned(&index));
    hub.list(&format!("{OF_INCLUDE}\n  - package: ref://one\n    enabled: true\n"));
    hub.install().exits(0);
    registry.recorder().clear();
    let run = hub.install().exits(0).says(": already installed, skipping");
    assert!(!run.stdout.contains("serves"), "{}", run.stdout);
    assert_eq!(asked(registry.recorder()), [""; 0]);
    assert_eq!(entities(&hub), ["catalog-entities/plugins/one.yaml"]);

    // A new pod has the volume, and not the entities.
    fs::remove_dir_all(hub.path("extensions")).unwrap();
    hub.install().exits(0);
    assert_eq!(entities(&hub), ["catalog-entities/plugins/one.yaml"]);
    assert!(!registry.recorder().requests().is_empty());
}

#[test]
fn image_without_a_list_is_no_index() {
    let registry = Registry::start();
    let index = index(&registry, "index", "1", None, Some("one"));
    let hub = hub(&index.reference);
    hub.list("plugins: []\n");
    let run = hub
        .install()
        .exits(1)
        .says("failed: `CATALOG_INDEX_IMAGE`: `dynamic-plugins.default.yaml` not found in `oci://");
    assert!(run.stderr.contains("\nhelp: `CATALOG_INDEX_IMAGE` must name a catalog index"), "{}", run.stderr);
    assert_eq!(entities(&hub), [""; 0]);
    assert!(!hub.root().join(APP_CONFIG).exists());
}

#[test]
fn entities_are_those_of_the_index_that_is_named_now() {
    let registry = Registry::start();
    let images = [Some("one"), Some("two"), None].map(|entity| index(&registry, "index", "1", Some(""), entity));
    let hub = hub(&images[0].reference);
    hub.list("plugins: []\n");
    for (image, expected) in images.iter().zip([vec!["one"], vec!["two"], vec![]]) {
        let manifest = registry.manifest("rhdh/index", &image.digest).unwrap();
        registry.push_manifest("rhdh/index", "1", &manifest, testkit::OCI_MANIFEST);
        let run = hub.install().exits(0);
        let expected: Vec<_> = expected.iter().map(|name| format!("catalog-entities/plugins/{name}.yaml")).collect();
        assert_eq!(entities(&hub), expected);
        assert_eq!(run.stdout.contains("has no catalog entities"), expected.is_empty(), "{}", run.stdout);
        let left: Vec<_> =
            fs::read_dir(hub.path("extensions")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".incoming")), "{left:?}");
    }
}

#[test]
fn extra_indexes_bring_entities_and_no_plugins() {
    let (registry, _) = distribution();
    let named = index(&registry, "mine", "1", Some("plugins: [7]"), Some("mine"));
    let unnamed = index(&registry, "other", "1", None, Some("other"));
    let none = index(&registry, "none", "1", None, None);
    let [named, unnamed, none] = [named, unnamed, none].map(|pushed| written(&pushed.reference));
    let mut hub = Hub::new();
    let folder = hub.path("extensions");
    hub.set("CATALOG_ENTITIES_EXTRACT_DIR", folder);
    let gone = format!("{}/rhdh/gone:1", registry.host());
    hub.set("EXTRA_CATALOG_INDEX_IMAGES", format!("mine={named}, {unnamed},,gone={gone},none={none}"));
    hub.list("plugins: []\n");
    let run = hub.install().exits(0).says("WARNING: ").says("/rhdh/gone:1` are left out: ");
    assert!(run.stdout.contains("/rhdh/none:1` has no catalog entities"), "{}", run.stdout);
    let unnamed_folder = unnamed.replace(['/', ':'], "_");
    let mut expected = vec![
        format!("extra/{unnamed_folder}/catalog-entities/plugins/other.yaml"),
        "extra/mine/catalog-entities/plugins/mine.yaml".to_owned(),
    ];
    expected.sort();
    assert_eq!(entities(&hub), expected);

    drop(registry);
    hub.install().exits(0).says("/rhdh/mine:1` are left out: ");
    assert_eq!(entities(&hub), expected, "what is there stays");
}

#[test]
fn index_that_is_not_allowed_is_not_asked_for() {
    let (registry, index) = distribution();
    let extra = written(&index.reference);
    for (row, image, extra, status) in [("the primary one", true, "", 1), ("an extra one", false, &*extra, 0)] {
        let mut hub = hub(&index.reference);
        if !image {
            hub.set("CATALOG_INDEX_IMAGE", "");
        }
        hub.set("EXTRA_CATALOG_INDEX_IMAGES", extra);
        hub.list("allowedSources: [oci://quay.io/rhdh]\nplugins: []\n");
        registry.recorder().clear();
        hub.install().exits(status).says("matches no entry of `allowedSources`");
        assert_eq!(asked(registry.recorder()), [""; 0], "{row}");
    }
    // Nor for a list that is wrong.
    let hub = hub(&index.reference);
    hub.list("plugins: 7\n");
    hub.install().exits(1);
    assert_eq!(asked(registry.recorder()), [""; 0]);
    // An index may name no plugin that the list would not allow.
    let allowed = format!("allowedSources: ['oci://{}/rhdh/index']\n", registry.host());
    hub.list(&format!("{allowed}{OF_INCLUDE}{}", plugins(&["ref://one\nenabled: true"])));
    hub.install().exits(1).says("/rhdh/one:1!one` matches no entry of `allowedSources`");
    assert_eq!(hub.plugins(), [""; 0]);
}

#[test]
fn run_ended_while_it_has_an_index_brought_leaves_what_there_was() {
    let (registry, first) = distribution();
    let hub = hub(&first.reference);
    hub.list(&format!("{OF_INCLUDE}\n  - package: ref://one\n    enabled: true\n"));
    hub.install().exits(0);
    let before = (hub.untouched(), Tree::with_owners_and_times(&hub.path("extensions")).unwrap());
    index(&registry, "index", "1", Some("plugins: []\n"), Some("two"));
    registry.recorder().clear();
    let is_blob = |request: &Request| request.path.contains("/blobs/");
    registry.server().first(1, is_blob, || Reply::ok().body(*b"half").broken_after(2, Fault::Stall));
    let mut running = hub.start();
    wait_until("the download stalls", || registry.recorder().requests().iter().any(is_blob));
    running.signal("TERM");
    running.end().exits(143);
    assert_eq!((hub.untouched(), Tree::with_owners_and_times(&hub.path("extensions")).unwrap()), before);
}

#[test]
fn list_of_an_index_is_told_by_the_name_of_its_image_when_it_is_wrong() {
    let registry = Registry::start();
    for (text, said) in [
        ("plugins: 7\n", "/rhdh/index:1/dynamic-plugins.default.yaml:1:10: "),
        ("plugins:\n  - package: oci://quay.io\n", "/rhdh/index:1/dynamic-plugins.default.yaml:2:14: "),
        ("allowedSources: [oci://quay.io/rhdh]\n", "/rhdh/index:1/dynamic-plugins.default.yaml:1:"),
    ] {
        let image = index(&registry, "index", "1", Some(text), None);
        let hub = hub(&image.reference);
        hub.list(&format!("{OF_INCLUDE} []\n"));
        hub.install().exits(1).says(said);
        assert!(!hub.root().join(APP_CONFIG).exists());
    }
}

#[test]
fn index_whose_plugins_cannot_be_installed_is_not_the_one_that_serves() {
    let (registry, first) = distribution();
    let hub = hub(&first.reference);
    hub.list(&format!("{OF_INCLUDE}\n  - package: ref://one\n    enabled: true\n"));
    hub.install().exits(0);
    let before = hub.untouched();
    let gone = format!("plugins:\n  - package: oci://{}/rhdh/one:gone!one\n", registry.host());
    index(&registry, "index", "1", Some(&gone), Some("two"));
    hub.install().exits(1).says("/rhdh/one:gone!one");
    assert_eq!(hub.untouched(), before);
    drop(registry);
    hub.install().exits(0).says("what it said the last time serves: ").says(": already installed, skipping");
}

#[test]
fn installers_that_start_together_all_succeed() {
    for _ in 0..3 {
        let (_registry, image) = distribution();
        let mut hub = hub(&image.reference);
        hub.set("EXTRA_CATALOG_INDEX_IMAGES", format!("more={}", written(&image.reference)));
        hub.list(&format!("{OF_INCLUDE}\n  - package: ref://one\n    enabled: true\n"));
        let started: Vec<_> = (0..6)
            .map(|_| {
                let mut command = hub.command();
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for running in started {
            let output = running.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}");
        }
        let own = "catalog-entities/plugins/one.yaml";
        assert_eq!(entities(&hub), [own, &format!("extra/more/{own}")]);
        assert_eq!(hub.plugins(), ["one"]);
    }
}

#[test]
fn pinned_extra_index_is_asked_for_once() {
    let (registry, image) = distribution();
    let mut hub = Hub::new();
    let folder = hub.path("extensions");
    hub.set("CATALOG_ENTITIES_EXTRACT_DIR", folder);
    hub.set("EXTRA_CATALOG_INDEX_IMAGES", format!("more={}", written(&pinned(&image))));
    hub.list("plugins: []\n");
    hub.install().exits(0);
    registry.recorder().clear();
    hub.install().exits(0);
    assert_eq!(asked(registry.recorder()), [""; 0]);
    // Another one of that name is another one.
    let other = index(&registry, "other", "1", None, Some("other"));
    hub.set("EXTRA_CATALOG_INDEX_IMAGES", format!("more={}", written(&pinned(&other))));
    hub.install().exits(0);
    assert_eq!(entities(&hub), ["extra/more/catalog-entities/plugins/other.yaml"]);
}
