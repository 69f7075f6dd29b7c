//! What is installed already is not asked for again, whoever installed it.

use std::fs;

use serde_json::Value;
use testkit::{Ca, HttpServer, Recorder, Registry, Reply, sri};

use crate::hub::{Hub, Npm, asked, bare_image, image, manifest, pinned, plugin, push};
use crate::portal::{OnReject, Run, entry, publish};

/// A registry, a server of tarballs and one of npm packages, and an entry of every kind.
struct Everywhere {
    recorder: Recorder,
    ca: Ca,
    registry: Registry,
    server: HttpServer,
    integrity: String,
    npm: String,
}

impl Everywhere {
    fn new() -> Self {
        let (recorder, ca) = (Recorder::default(), Ca::new());
        let registry = Registry::builder().recorder(&recorder).start();
        let tarball = plugin("web", "1").tarball();
        let npm = Npm::new("@my/package", &["1.0.0", "1.1.0"]);
        let (integrity, npm_integrity) = (sri(&tarball), npm.integrity("1.1.0"));
        let server = HttpServer::builder().tls(&ca).recorder(&recorder).start(move |request| {
            let of_npm = || npm.answer(request).unwrap_or_else(|| Reply::status(404));
            if request.path == "/web.tgz" { Reply::ok().body(tarball.clone()) } else { of_npm() }
        });
        Self { recorder, ca, registry, server, integrity, npm: npm_integrity }
    }

    /// A portal that reaches them, with a local plugin beside its file.
    fn hub(&self) -> Hub {
        let mut hub = Hub::new();
        hub.set("SSL_CERT_FILE", hub.write("ca.pem", self.ca.pem()));
        let npmrc = hub.write("npmrc", format!("registry={}\n", self.server.url("/npm/")));
        hub.set("NPM_CONFIG_USERCONFIG", npmrc);
        fs::create_dir_all(hub.path("local/dist")).unwrap();
        hub.write("local/package.json", manifest("local"));
        hub.write("local/dist/index.js", "//");
        hub
    }

    fn entries(&self) -> [(&'static str, String, &'static str); 6] {
        let one = push(&self.registry, "one", "1", &["one"], "1");
        let pinned = pinned(&push(&self.registry, "pinned", "1", &["pinned"], "1"));
        let alone = push(&self.registry, "alone", "1", &["alone"], "1");
        [
            ("a tag", format!("{}!one", one.reference), "one"),
            ("a digest", format!("{pinned}!pinned"), "pinned"),
            ("an image without a path", alone.reference, "alone"),
            ("a range of npm", format!("\"@my/package@^1\"\nintegrity: {}", self.npm), "my-package-1.1.0"),
            ("a tarball", format!("{}\nintegrity: {}", self.server.url("/web.tgz"), self.integrity), "web-1.0.0"),
            ("a local folder", "./local".to_owned(), "local-1.0.0"),
        ]
    }
}

#[test]
fn start_with_nothing_to_do_asks_nobody_and_needs_nobody() {
    let everywhere = Everywhere::new();
    let entries = everywhere.entries();
    let texts: Vec<_> = entries.iter().map(|(_, text, _)| &**text).collect();
    let all = everywhere.hub();
    all.plugins_are(&texts);
    for (kind, text, folder) in &entries {
        let hub = everywhere.hub();
        hub.plugins_are(&[text]);
        everywhere.recorder.clear();
        hub.install().exits(0).says("\t==> Installed ");
        assert_eq!(everywhere.recorder.requests().is_empty(), *kind == "a local folder", "{kind}");
        assert_eq!(hub.plugins(), [*folder], "{kind}");
        let before = hub.tree();
        everywhere.recorder.clear();
        hub.install().exits(0).says(": already installed, skipping");
        assert_eq!(asked(&everywhere.recorder), [""; 0], "{kind}");
        assert_eq!(without_state(&hub), lines_without_state(before.lines()), "{kind}");
    }
    all.install().exits(0);
    let config = all.app_config();
    drop(everywhere);
    let run = all.install().exits(0);
    assert_eq!(run.stdout.matches(": already installed, skipping").count(), entries.len(), "{}", run.stdout);
    assert_eq!(all.app_config(), config);
}

fn lines_without_state(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !line.contains(" .butler-plugins.")).cloned().collect()
}

fn without_state(hub: &Hub) -> Vec<String> {
    lines_without_state(hub.tree().lines())
}

#[test]
fn only_what_leads_to_other_bytes_is_fetched_anew() {
    let registry = Registry::start();
    let first = push(&registry, "one", "1", &["one"], "1").reference;
    let second = push(&registry, "one", "2", &["one"], "2").reference;
    let config = "pluginConfig: {a: {b: 2}}";
    let rows: [(&str, String, &str, bool); 6] = [
        ("another tag", format!("plugins:\n  - package: {second}!one\n"), "2", true),
        ("another pluginConfig", format!("plugins:\n  - package: {first}!one\n    {config}\n"), "1", false),
        (
            "a switch that says what holds",
            format!("plugins:\n  - {{package: {first}!one, enabled: true}}\n"),
            "1",
            false,
        ),
        ("the older switch", format!("plugins:\n  - {{package: {first}!one, disabled: false}}\n"), "1", false),
        ("a key that nobody knows", format!("plugins:\n  - {{package: {first}!one, note: x}}\n"), "1", false),
        ("an included file in place of this one", "includes: [more.yaml]\nplugins: []\n".to_owned(), "1", false),
    ];
    for (row, list, mark, asks) in rows {
        let hub = Hub::listing(&[&format!("{first}!one\npluginConfig: {{a: {{b: 1}}}}")]);
        hub.write("more.yaml", format!("plugins:\n  - package: {first}!one\n"));
        hub.install().exits(0);
        hub.list(&list);
        registry.recorder().clear();
        let said = if asks { "\t==> Installed " } else { ": already installed, skipping" };
        hub.install().exits(0).says(said);
        assert_eq!(!registry.recorder().requests().is_empty(), asks, "{row}");
        assert_eq!(hub.installed("one/dist/mark"), mark, "{row}");
        assert_eq!(hub.plugins(), ["one"], "{row}");
        assert_eq!(hub.app_config().contains("\"b\": 2"), list.contains(config), "{row}: {}", hub.app_config());
    }
}

#[test]
fn what_is_pinned_is_not_asked_for_even_with_always() {
    let registry = Registry::start();
    let pushed = push(&registry, "one", "1", &["one"], "1");
    let hub = Hub::listing(&[&format!("{}!one\npullPolicy: Always", pinned(&pushed))]);
    hub.install().exits(0).says("\t==> Installed ");
    registry.recorder().clear();
    hub.install().exits(0).says(": already installed, skipping");
    assert_eq!(asked(registry.recorder()), [""; 0]);
}

#[test]
fn always_asks_once_and_fetches_what_has_changed() {
    for (row, written, path) in [
        ("a tag that is asked for", ":1!one\npullPolicy: Always", true),
        ("a tag that always is", ":latest!one", true),
        ("the same without a path", ":latest", false),
    ] {
        let registry = Registry::start();
        let tag = if written.starts_with(":1") { "1" } else { "latest" };
        push(&registry, "one", tag, &["one"], "1");
        let hub = Hub::listing(&[&format!("oci://{}/rhdh/one{written}", registry.host())]);
        hub.install().exits(0).says("\t==> Installed ");

        registry.recorder().clear();
        hub.install().exits(0).says(": digest unchanged, skipping");
        assert_eq!(asked(registry.recorder()).len(), 1, "{row}: {:?}", asked(registry.recorder()));
        assert!(asked(registry.recorder())[0].contains(&format!("/manifests/{tag}")), "{row}");

        push(&registry, "one", tag, &["one"], "2");
        hub.install().exits(0).says("\t==> Installed ");
        assert_eq!(hub.installed("one/dist/mark"), "2", "{row}, {path}");
        assert_eq!(hub.plugins(), ["one"], "{row}");

        registry.fail_first(usize::MAX, 503);
        let before = without_state(&hub);
        let run = hub
            .install()
            .exits(0)
            .says("WARNING: ")
            .says("could not be looked up again, and what was installed from it stays");
        assert!(!run.stdout.contains("==> Installed"), "{row}: {}", run.stdout);
        assert_eq!(without_state(&hub), before, "{row}");
    }
}

#[test]
fn tag_that_moved_is_left_alone_unless_it_is_to_be_asked_for() {
    let registry = Registry::start();
    let package = push(&registry, "one", "1", &["one"], "1").reference;
    for (policy, mark) in [("", "1"), ("\npullPolicy: IfNotPresent", "1"), ("\npullPolicy: Always", "2")] {
        push(&registry, "one", "1", &["one"], "1");
        let hub = Hub::listing(&[&format!("{package}!one{policy}")]);
        hub.install().exits(0);
        push(&registry, "one", "1", &["one"], "2");
        hub.install().exits(0);
        assert_eq!(hub.installed("one/dist/mark"), mark, "{policy}");
    }
    // The default of `latest` is a default.
    let latest = push(&registry, "one", "latest", &["one"], "1").reference;
    let hub = Hub::listing(&[&format!("{latest}!one\npullPolicy: IfNotPresent")]);
    hub.install().exits(0);
    registry.recorder().clear();
    hub.install().exits(0).says(": already installed, skipping");
    assert_eq!(asked(registry.recorder()), [""; 0]);
}

#[test]
fn forced_download_is_one_for_images_too() {
    let registry = Registry::start();
    let package = push(&registry, "one", "1", &["one"], "1");
    for package in [format!("{}!one", package.reference), format!("{}!one", pinned(&package))] {
        let hub = Hub::listing(&[&format!("{package}\nforceDownload: true")]);
        hub.install().exits(0);
        registry.recorder().clear();
        hub.install().exits(0).says("\t==> Installed ");
        let blobs = asked(registry.recorder()).iter().filter(|line| line.contains("/blobs/")).count();
        assert_eq!(blobs, 1, "{package}: {:?}", asked(registry.recorder()));
    }
}

#[test]
fn changed_file_is_found_unless_the_state_is_trusted() {
    let registry = Registry::start();
    let hub = Hub::listing(&[&format!("{}!one", push(&registry, "one", "1", &["one"], "1").reference)]);
    hub.install_with(&["--trust-state"]).exits(0);
    let file = hub.root().join("one/dist/mark");
    fs::write(&file, "X").unwrap();
    registry.recorder().clear();
    hub.install_with(&["--trust-state"]).exits(0).says(": already installed, skipping");
    assert_eq!(asked(registry.recorder()), [""; 0]);
    assert_eq!(hub.installed("one/dist/mark"), "X");
    hub.install().exits(0).says("\t==> Installed ");
    assert_eq!(hub.installed("one/dist/mark"), "1");
}

/// A folder as the original leaves it.
fn original(hub: &Hub, folder: &str) {
    let path = hub.root().join(folder);
    fs::create_dir_all(path.join("dist")).unwrap();
    fs::write(path.join("package.json"), manifest(folder)).unwrap();
    fs::write(path.join("dist/mark"), "original").unwrap();
    fs::write(path.join("dynamic-plugin-config.hash"), "0123456789abcdef".repeat(4)).unwrap();
    fs::write(path.join("dynamic-plugin-image.hash"), "fedcba9876543210".repeat(4)).unwrap();
}

#[test]
fn folders_of_the_original_are_replaced_or_removed_when_all_else_went_well() {
    let registry = Registry::start();
    let package = format!("{}!one", push(&registry, "one", "1", &["one"], "1").reference);
    let hub = Hub::listing(&[&package, "./wrong.tgz"]);
    for folder in ["one", "gone"] {
        original(&hub, folder);
    }
    // As an interrupted run of the original leaves them.
    fs::write(hub.root().join("install-dynamic-plugins.lock"), "17").unwrap();
    fs::write(hub.root().join("left-1.0.0.tgz"), "").unwrap();
    hub.write("wrong.tgz", "no archive");
    let before = hub.untouched();
    hub.install().exits(1);
    assert_eq!(hub.untouched(), before);

    hub.plugins_are(&[&package]);
    let run = hub.install_with(&["--lock-timeout=0"]).exits(0).says("\n======= Removing obsolete plugin gone\n");
    assert!(run.stdout.contains("\t==> Installed "), "{}", run.stdout);
    assert_eq!(hub.plugins(), ["one"]);
    assert_eq!(hub.installed("one/dist/mark"), "1");
    assert!(!hub.root().join("one/dynamic-plugin-config.hash").exists());
    assert!(hub.root().join("left-1.0.0.tgz").exists());
}

#[test]
fn what_a_killed_run_of_the_original_left_at_a_plugins_name_is_no_obstacle() {
    let registry = Registry::start();
    let package = format!("{}!one", push(&registry, "one", "1", &["one"], "1").reference);
    for manifest in [None, Some(""), Some("{\"name\":")] {
        let hub = Hub::listing(&[&package]);
        fs::create_dir_all(hub.root().join("one/dist")).unwrap();
        fs::write(hub.root().join("one/dist/mark"), "half").unwrap();
        if let Some(manifest) = manifest {
            fs::write(hub.root().join("one/package.json"), manifest).unwrap();
        }
        hub.install().exits(0).says("\t==> Installed ");
        assert_eq!(hub.installed("one/dist/mark"), "1", "{manifest:?}");
    }
}

#[test]
fn folder_that_nobody_vouches_for_is_left_and_named_when_it_is_in_the_way() {
    let registry = Registry::start();
    let package = format!("{}!one", push(&registry, "one", "1", &["one"], "1").reference);
    let mark = "dynamic-plugin-config.hash";
    for (row, content) in [("no mark", None), ("too short", Some("0123")), ("no hash", Some(&*"x".repeat(64)))] {
        let hub = Hub::listing(&[&package]);
        for folder in ["one", "other"] {
            original(&hub, folder);
            fs::write(hub.root().join(folder).join("package.json"), manifest("mine")).unwrap();
            fs::remove_file(hub.root().join(folder).join(mark)).unwrap();
            if let Some(content) = content {
                fs::write(hub.root().join(folder).join(mark), content).unwrap();
            }
        }
        let before = hub.untouched();
        let run = hub.install().exits(1).says("the destination `one` is taken: ");
        assert!(run.stderr.contains(" (destination_conflict)\n"), "{row}: {}", run.stderr);
        assert_eq!(hub.untouched(), before, "{row}");
        fs::remove_dir_all(hub.root().join("one")).unwrap();
        hub.install().exits(0);
        assert_eq!(hub.plugins(), ["one", "other"], "{row}");
    }
}

#[test]
fn root_goes_from_one_dialect_to_the_other_and_back() {
    let registry = Registry::start();
    let ours = publish(&registry, "hello", "1");
    let theirs = registry.push_image("rhdh/one", "1", &image(&["one"], "1")).reference;
    let hub = Hub::new();
    let butler = |hub: &Hub| {
        hub.portal().list(OnReject::Abort, &[entry(&ours)]);
        hub.portal().install().exits(0)
    };
    let rhdh = |hub: &Hub| -> Run {
        hub.plugins_are(&[&format!("{theirs}!one")]);
        hub.install().exits(0)
    };
    butler(&hub);
    assert_eq!(hub.plugins(), ["hello-dynamic"]);
    rhdh(&hub).says("Removing obsolete plugin hello-dynamic");
    assert_eq!(hub.plugins(), ["one"]);
    butler(&hub).says("event=plugin_removed");
    assert_eq!(hub.plugins(), ["hello-dynamic"]);

    // The same bytes by the same name go to another folder, and are there once.
    hub.plugins_are(&[&ours.reference]);
    let bare = bare_image(&["hello"], "1");
    registry.push_image("my-org/hello", "1", &bare);
    hub.plugins_are(&[&format!("{}!hello", ours.reference)]);
    hub.install().exits(0);
    assert_eq!(hub.plugins(), ["hello"]);
}

#[test]
fn image_whose_only_plugin_has_another_folder_now_leaves_the_earlier_one() {
    let registry = Registry::start();
    let package = push(&registry, "image", "1", &["one"], "1").reference;
    let hub = Hub::listing(&[&format!("{package}\npullPolicy: Always")]);
    hub.install().exits(0);
    push(&registry, "image", "1", &["two"], "1");
    hub.install().exits(0).says("Removing obsolete plugin one");
    assert_eq!(hub.plugins(), ["two"]);
    let before = without_state(&hub);
    push(&registry, "image", "1", &["one", "two"], "1");
    hub.install().exits(0).says("what was installed from it stays: ").says("the image holds 2 plugins");
    assert_eq!(without_state(&hub), before);
}

#[test]
fn report_tells_of_every_kind_what_came_from_where() {
    let everywhere = Everywhere::new();
    let entries = everywhere.entries();
    let hub = everywhere.hub();
    hub.plugins_are(&entries.iter().map(|(_, text, _)| &**text).collect::<Vec<_>>());
    fs::create_dir(hub.path("reports")).unwrap();
    let file = hub.path("reports/report.json");
    for outcome in ["installed", "unchanged"] {
        hub.install_with(&["--report", file.to_str().unwrap()]).exits(0);
        let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let told = report["plugins"].as_array().unwrap();
        assert_eq!(told.len(), entries.len());
        for ((kind, text, folder), told) in entries.iter().zip(told) {
            let source = text.lines().next().unwrap().trim_matches('"');
            let [dest, from, came] = ["dest", "source", "outcome"].map(|key| told[key].as_str().unwrap());
            assert_eq!((dest, from, came), (*folder, source, outcome), "{kind}");
            let digests = ["integrity", "manifest"].map(|key| told[key].as_str().unwrap_or_default());
            assert!(digests.iter().any(|text| text.starts_with("sha")), "{kind}: {told}");
        }
    }
}

#[test]
fn pinned_tarball_stays_where_the_other_dialect_put_it() {
    let everywhere = Everywhere::new();
    let url = everywhere.server.url("/web.tgz");
    let hub = everywhere.hub();
    let list = format!("plugins:\n  - package: {url}\n    integrity: {}\n", everywhere.integrity);
    hub.list(&format!("allowedSources: [{url}]\n{list}"));
    hub.portal().install_with(|command| command.env("SSL_CERT_FILE", hub.path("ca.pem"))).exits(0);
    assert_eq!(hub.plugins(), ["web-dynamic"]);
    everywhere.recorder.clear();
    hub.list(&list);
    hub.install().exits(0).says(": already installed, skipping");
    assert_eq!(asked(&everywhere.recorder), [""; 0]);
    assert_eq!(hub.plugins(), ["web-dynamic"]);
}

#[test]
fn one_plugin_of_an_image_is_not_installed_twice() {
    let registry = Registry::start();
    let package = push(&registry, "image", "1", &["one"], "1").reference;
    let hub = Hub::listing(&[&package, &format!("{package}!one")]);
    hub.install().exits(1);
    assert_eq!(hub.plugins(), [""; 0]);
}
