//! `plan`: what a run would do is what the run then does, and saying it changes nothing.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Ca, HttpServer, Image, OCI_LAYER, Plugin, Registry, Reply, Tarball, Tree};

use crate::hub::{Hub, Npm, manifest, pinned, plugin, push};
use crate::portal::{OnReject, Portal, Run, entry, field, publish, wrong_entry};

const STATE: &str = ".butler-plugins.state";
const CODE: &str = "dist/index.cjs.js";
/// Rejections that no artifact is needed for: a plan must have foreseen them.
const SEEN_IN_THE_LIST: [&str; 7] = [
    "integrity_invalid",
    "integrity_missing",
    "integrity_unsupported",
    "package_invalid",
    "package_missing",
    "scheme_not_supported",
    "source_not_allowed",
];

/// What a plan says, and how it ends.
pub(crate) struct Forecast {
    status: i32,
    report: Value,
}

impl Forecast {
    /// Has it said by an installer that is called like this, with the root as it was.
    pub(crate) fn of(portal: &Portal, command: Command) -> Self {
        let tree = || Tree::with_owners_and_times(&portal.root()).ok();
        let before = tree();
        let run = portal.run(command);
        assert_eq!(tree(), before, "{}{}", run.stdout, run.stderr);
        let report = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr));
        Self { status: run.status.unwrap(), report }
    }

    fn plugins(&self) -> &[Value] {
        self.report["plugins"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Action, destination and what is behind the last slash of the package; `?` where it is not certain.
    fn told(&self) -> Vec<String> {
        let told = self.plugins().iter().map(|plugin| {
            let text = |key: &str| plugin[key].as_str().unwrap_or("-").to_owned();
            let mark = if plugin["certain"] == true { "" } else { "?" };
            let reason = plugin["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
            let package = text("package");
            format!("{} {} {}{mark}{reason}", text("action"), package.rsplit('/').next().unwrap(), text("dest"))
        });
        told.collect()
    }

    fn remarks(&self) -> Vec<&str> {
        self.report["remarks"].as_array().unwrap().iter().map(|remark| remark["reason"].as_str().unwrap()).collect()
    }

    /// Insists that a run has done all that, or found out by an artifact that it could not.
    #[track_caller]
    pub(crate) fn came_true(&self, run: &Run) {
        let log = format!("{}{}", run.stdout, run.stderr);
        if run.status != Some(0) && run.status != Some(1) {
            return;
        }
        let records: Vec<_> = log.lines().filter_map(|line| Some((field(line, "event")?, line))).collect();
        let told = |events: &[&str]| -> Vec<&str> {
            records.iter().filter(|(event, _)| events.contains(event)).map(|(_, line)| *line).collect()
        };
        let outcomes = told(&["plugin_installed", "plugin_skipped", "plugin_rejected"]);
        // Each stream keeps the order.
        let mut left: Vec<&Value> = self.plugins().iter().filter(|plugin| plugin["action"] != "remove").collect();
        assert_eq!(outcomes.len(), left.len(), "{:#?}\n{log}", self.told());
        let is_foreseen = |line: &str, plugin: &Value| {
            let line_of = |key| plugin[key].as_u64().map(|line| line.to_string());
            field(line, "line").is_none_or(|found| Some(found.to_owned()) == line_of("line"))
                && plugin["package"].as_str() == field(line, "package").map(|package| package.trim_matches('"'))
        };
        // Two that turned out to be called alike.
        let conflict = Some("destination_conflict");
        let rejected = told(&["plugin_rejected"]);
        let is_of_names = !rejected.is_empty() && rejected.iter().all(|line| field(line, "reason") == conflict);
        for line in outcomes {
            let at = left.iter().position(|plugin| is_foreseen(line, plugin));
            let plugin = left.remove(at.unwrap_or_else(|| panic!("{line}\n{:#?}", self.told())));
            let (event, reason) = (field(line, "event").unwrap(), field(line, "reason").unwrap_or_default());
            let dest = field(line, "dest").map(|dest| dest.rsplit('/').next().unwrap());
            let is_certain = plugin["certain"] == true;
            let is_aborted = reason == "aborted" && !(is_certain && is_of_names);
            let of_an_artifact = is_aborted || (event == "plugin_rejected" && !SEEN_IN_THE_LIST.contains(&reason));
            let is_beaten = event == "plugin_rejected" && Some(reason) == conflict && !is_certain;
            let holds = match plugin["action"].as_str().unwrap() {
                "install" | "replace" | "refetch" => {
                    (event == "plugin_installed"
                        && (!is_certain || (plugin["dest"].as_str() == dest && !line.contains("adopted=true"))))
                        || of_an_artifact
                }
                "adopt" => (event == "plugin_installed" && line.contains("adopted=true")) || of_an_artifact,
                "unchanged" => ["unchanged", "digest_unchanged"].contains(&reason) || is_aborted || is_beaten,
                "skip" => event == "plugin_skipped" && (plugin["reason"] == reason || is_aborted),
                "reject" => event == "plugin_rejected" && plugin["reason"] == reason,
                _ => false,
            };
            assert!(holds, "{plugin:#}\n{line}");
        }
        if run.status != Some(0) {
            return;
        }
        let mut gone: Vec<_> = told(&["plugin_removed"]);
        for plugin in self.plugins().iter().filter(|plugin| plugin["action"] == "remove") {
            let dest = format!("/{}", plugin["dest"].as_str().unwrap());
            let at = gone.iter().position(|line| field(line, "dest").unwrap().ends_with(&dest));
            assert!(at.is_some() || plugin["certain"] == false, "{plugin:#}\n{log}");
            at.map(|at| gone.remove(at));
        }
        // Another name than was assumed, or a plugin whose artifact was rejected.
        let is_open = self.plugins().iter().any(|plugin| plugin["certain"] == false) || log.contains("plugin_rejected");
        assert!(gone.is_empty() || is_open, "{gone:#?}\n{:#?}", self.told());
    }
}

fn foretell(portal: &Portal, arguments: &[&str]) -> Forecast {
    let mut command = portal.command();
    command.args(["plan", "--format=json"]).args(arguments);
    Forecast::of(portal, command)
}

/// Says what a run would do, and then does it.
#[track_caller]
fn plan_and_run(portal: &Portal, status: i32, flags: &[&str]) -> Vec<String> {
    let forecast = foretell(portal, flags);
    assert_eq!(forecast.status, status, "{:#}", forecast.report);
    let run = portal.install_with(|command| command.args(flags));
    forecast.came_true(&run);
    forecast.told()
}

#[test]
fn scene_after_scene_a_run_does_what_the_plan_said() {
    let registry = Registry::start();
    let publish = |name, version| publish(&registry, name, version);
    let (one, two, three) = (publish("one", "1"), publish("two", "1"), publish("three", "1"));
    let portal = Portal::listing(OnReject::Abort, &[entry(&one), entry(&two)]);
    let root = portal.root();
    let listed = |on_reject, entries: &[String]| portal.list(on_reject, entries);
    assert_eq!(plan_and_run(&portal, 0, &[]), ["install one:1 -?", "install two:1 -?"], "an empty root");
    assert_eq!(plan_and_run(&portal, 0, &[]), ["unchanged one:1 one-dynamic", "unchanged two:1 two-dynamic"]);

    fs::write(root.join("one-dynamic").join(CODE), "tampered").unwrap();
    fs::remove_dir_all(root.join("two-dynamic")).unwrap();
    let expected = ["refetch one:1 one-dynamic files_changed", "refetch two:1 two-dynamic files_changed"];
    assert_eq!(plan_and_run(&portal, 0, &[]), expected, "changed and missing files");

    let disabled = entry(&two) + "    disabled: true\n";
    listed(OnReject::Abort, &[entry(&publish("one", "2")), disabled, entry(&three)]);
    assert_eq!(
        plan_and_run(&portal, 0, &[]),
        ["replace one:2 one-dynamic?", "skip two:1 -? disabled", "install three:1 -?", "remove two:1 two-dynamic?"],
    );

    let foreign = entry(&two).replace("/my-org/", "/theirs/");
    listed(OnReject::Abort, &[entry(&three), foreign.clone()]);
    let expected = ["skip three:1 - aborted", "reject two:1 - source_not_allowed"];
    assert_eq!(plan_and_run(&portal, 1, &[]), expected, "fail-closed");
    listed(OnReject::Continue, &[entry(&three), foreign, entry(&three)]);
    assert_eq!(
        plan_and_run(&portal, 1, &[]),
        [
            "unchanged three:1 three-dynamic",
            "reject two:1 - source_not_allowed",
            "reject three:1 - duplicate_plugin",
            "remove one:2 one-dynamic",
        ],
        "fail-open, with an older copy"
    );

    fs::remove_dir_all(root.join("three-dynamic")).unwrap();
    symlink("nowhere", root.join("three-dynamic")).unwrap();
    listed(OnReject::Continue, &[entry(&three)]);
    assert_eq!(plan_and_run(&portal, 1, &[]), ["reject three:1 three-dynamic destination_conflict"]);
    fs::remove_file(root.join("three-dynamic")).unwrap();

    let config = |value: u8| format!("    pluginConfig: {{a: {{b: {value}}}}}\n");
    listed(OnReject::Continue, &[entry(&one) + &config(1), entry(&two) + &config(2)]);
    assert_eq!(plan_and_run(&portal, 1, &[]), ["install one:1 -?", "reject two:1 -? plugin_config_conflict"]);

    listed(OnReject::Abort, &[entry(&one), entry(&two)]);
    plan_and_run(&portal, 0, &[]);
    fs::remove_file(root.join(STATE)).unwrap();
    let forecast = foretell(&portal, &[]);
    assert_eq!(forecast.told(), ["install one:1 -?", "install two:1 -?"], "a lost state");
    assert_eq!(forecast.remarks(), ["folder_left", "folder_left"]);
    plan_and_run(&portal, 0, &[]);

    portal.write("dynamic-plugins.yaml", "plugins: []\n");
    assert_eq!(plan_and_run(&portal, 0, &[]), ["remove one:1 one-dynamic", "remove two:1 two-dynamic"]);
}

#[test]
fn nothing_is_certain_that_a_name_nobody_has_read_decides() {
    let registry = Registry::start();
    let publish = |image: &str, name: &str, version: &str| {
        let code = format!("module.exports = '{version}';\n");
        let plugin = Plugin::backend(name).version(version).file("dist/index.cjs.js", code);
        registry.push(&format!("my-org/{image}"), version, &plugin.tarball())
    };
    let (kept, other) = (entry(&publish("kept", "kept", "1")), entry(&publish("other", "other", "1")));
    let (twin, new) = (entry(&publish("twin", "kept", "0")), entry(&publish("new", "new", "1")));
    let disabled = entry(&publish("off", "off", "1")) + "    disabled: true\n";
    for (row, on_reject, entries, is_changed, expected) in [
        (
            "one of that name before it",
            OnReject::Continue,
            [&twin, &kept, &disabled],
            false,
            ["install twin:0 -?", "unchanged kept:1 kept-dynamic?", "skip off:1 - disabled"],
        ),
        (
            "the same where files changed",
            OnReject::Continue,
            [&twin, &kept, &disabled],
            true,
            ["install twin:0 -?", "refetch kept:1 kept-dynamic? files_changed", "skip off:1 - disabled"],
        ),
        (
            "one behind it",
            OnReject::Continue,
            [&kept, &new, &other],
            false,
            ["unchanged kept:1 kept-dynamic", "install new:1 -?", "unchanged other:1 other-dynamic?"],
        ),
        (
            "fail-closed",
            OnReject::Abort,
            [&disabled, &kept, &twin],
            false,
            ["skip off:1 -? disabled", "unchanged kept:1 kept-dynamic?", "install twin:0 -?"],
        ),
        (
            "fail-closed, and nobody new",
            OnReject::Abort,
            [&disabled, &kept, &other],
            false,
            ["skip off:1 - disabled", "unchanged kept:1 kept-dynamic", "unchanged other:1 other-dynamic"],
        ),
    ] {
        let portal = Portal::listing(OnReject::Abort, &[kept.clone(), other.clone()]);
        portal.install().exits(0);
        if is_changed {
            fs::write(portal.root().join("kept-dynamic").join(CODE), "tampered").unwrap();
        }
        portal.list(on_reject, &entries.map(Clone::clone));
        let told = plan_and_run(&portal, 0, &[]);
        assert_eq!(told[..3], expected, "{row}");
    }
}

#[test]
fn state_that_a_run_would_trust_is_trusted() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    plan_and_run(&portal, 0, &["--trust-state"]);
    let file = portal.root().join("hello-dynamic").join(CODE);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.to_uppercase()).unwrap();
    assert_eq!(plan_and_run(&portal, 0, &["--trust-state"]), ["unchanged hello:1 hello-dynamic"]);
    assert_eq!(plan_and_run(&portal, 0, &[]), ["refetch hello:1 hello-dynamic files_changed"]);
}

#[test]
fn nobody_is_asked_and_nothing_is_made_on_a_root_that_holds_nothing() {
    let registry = Registry::start();
    let hello = publish(&registry, "hello", "1");
    let portal = Portal::listing(OnReject::Abort, &[wrong_entry(&hello)]);
    registry.recorder().clear();
    fs::set_permissions(portal.root(), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(foretell(&portal, &[]).told(), ["install hello:1 -?"]);
    assert_eq!(portal.tree().to_string(), "");
    assert_eq!(registry.recorder().requests(), []);
}

#[test]
fn plan_answers_beside_an_installer_at_work_and_leaves_it_alone() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    let lock = portal.root().join(".butler-plugins.lock");
    fs::write(&lock, "pod portal-7c9f").unwrap();
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    let forecast = foretell(&portal, &[]);
    assert_eq!((forecast.status, forecast.remarks()), (0, vec!["lock_wait"]));
    assert!(forecast.report["remarks"][0]["detail"].as_str().unwrap().starts_with("pod portal-7c9f works on the root"));
    drop(held);
    assert_eq!(foretell(&portal, &[]).remarks(), [""; 0]);
}

#[test]
fn what_cannot_be_planned_is_told_with_the_status_of_a_run() {
    let portal = Portal::listing(OnReject::Abort, &[]);
    portal.write("broken.yaml", "plugins: {}\n");
    fs::create_dir(portal.path("obstructed")).unwrap();
    fs::create_dir(portal.path("obstructed").join(STATE)).unwrap();
    for (arguments, status, reason) in [
        (&["--config=broken.yaml"][..], 2, "config_invalid"),
        (&["--config=none.yaml"], 2, "config_unreadable"),
        (&["--root=none"], 3, "root_unreadable"),
        (&["--root=obstructed"], 3, "root_unreadable"),
    ] {
        let run = portal.install_with(|command| command.args(["plan", "--format=json"]).args(arguments)).exits(status);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["reason"], reason, "{arguments:?}");
        let run = portal.install_with(|command| command.arg("plan").args(arguments)).exits(status);
        assert!(run.stdout.contains(&format!(" [{reason}]\n")), "{}", run.stdout);
    }
}

#[test]
fn settings_with_which_a_run_does_not_begin_are_told() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    registry.recorder().clear();
    fs::create_dir(portal.path("docker")).unwrap();
    portal.write("docker/config.json", "{");
    for (variable, value) in [
        ("HTTPS_PROXY", "ftp://proxy"),
        ("SSL_CERT_FILE", "none.pem"),
        ("BUTLER_PLUGINS_CA_FILE", "none.pem"),
        ("BUTLER_PLUGINS_TOKEN_REALMS", "x"),
        ("BUTLER_PLUGINS_REPORT", "/"),
        ("DOCKER_CONFIG", "docker"),
    ] {
        let told = |plan: &[&str]| {
            let run = portal.install_with(|command| command.args(plan).env(variable, value)).exits(2);
            [run.stdout, run.stderr].concat()
        };
        let run = told(&[]);
        let reason = field(run.lines().last().unwrap(), "reason").unwrap();
        let report: Value = serde_json::from_str(&told(&["plan", "--format=json"])).unwrap();
        assert_eq!(report["reason"], reason, "{variable}");
    }
    assert_eq!(registry.recorder().requests(), []);
    assert_eq!(portal.tree().to_string(), "");
}

#[test]
fn table_is_as_documented() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Continue, &[entry(&publish(&registry, "kept", "1"))]);
    let added = entry(&publish(&registry, "gone", "1"));
    let list = fs::read_to_string(portal.path("dynamic-plugins.yaml")).unwrap();
    portal.write("dynamic-plugins.yaml", list.clone() + &added + &entry(&publish(&registry, "hello", "1")));
    portal.install().exits(0);
    let hello = entry(&publish(&registry, "hello", "2"));
    let foreign = entry(&publish(&registry, "new", "1")).replace("/my-org/", "/theirs/");
    portal.write("dynamic-plugins.yaml", list + &hello + &foreign);
    let run = portal.install_with(|command| command.arg("plan")).exits(1);
    insta::assert_snapshot!("plan_table", run.log());
    let run = portal.install_with(|command| command.args(["plan", "--format=json"])).exits(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let page = include_str!("../../../../docs/reference/plan.md");
    let of = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (keys, prefix) in [
        (of(&report), ""),
        (of(&report["plugins"][0]), "plugins[]."),
        (of(&report["counts"]), "counts."),
        (vec!["reason".to_owned(), "detail".to_owned()], "remarks[]."),
    ] {
        for key in keys {
            assert!(page.contains(&format!("| `{prefix}{key}` |")), "{prefix}{key}");
        }
    }
}

/// Says what a run would do in the other dialect, and then does it.
#[track_caller]
fn plan_and_run_hub(hub: &Hub, status: i32) -> Forecast {
    let mut command = hub.command();
    // The command stands before what is said already.
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut plan = Command::new(command.get_program());
    plan.env_clear().current_dir(hub.path(".")).arg("plan").args(arguments).arg("--format=json");
    plan.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let forecast = Forecast::of(hub, plan);
    assert_eq!(forecast.status, status, "{:#}", forecast.report);
    command.arg("--log-format=logfmt");
    forecast.came_true(&hub.run(command));
    forecast
}

#[test]
fn in_the_other_dialect_sources_that_are_not_pinned_are_asked_as_the_run_asks_them() {
    let (registry, ca) = (Registry::start(), Ca::new());
    let npm = Npm::new("@my/package", &["1.0.0", "1.1.0"]);
    let (old, new) = (npm.integrity("1.0.0"), npm.integrity("1.1.0"));
    let server =
        HttpServer::builder().tls(&ca).start(move |request| npm.answer(request).unwrap_or_else(|| Reply::status(404)));
    let mut hub = Hub::new();
    hub.set("SSL_CERT_FILE", hub.write("ca.pem", ca.pem()));
    let npmrc = hub.write("npmrc", format!("registry={}\n", server.url("/npm/")));
    hub.set("NPM_CONFIG_USERCONFIG", npmrc);
    fs::create_dir_all(hub.path("local")).unwrap();
    hub.write("local/package.json", manifest("local"));
    hub.write("packed.tgz", plugin("packed", "1").tarball());
    let floating = push(&registry, "floating", "latest", &["floating"], "1").reference;
    let fixed = pinned(&push(&registry, "fixed", "1", &["fixed"], "1"));
    let range = |integrity: &str| format!("'@my/package@1.0.0'\nintegrity: {integrity}");
    let entries = [
        format!("{floating}!floating"),
        format!("{fixed}!fixed"),
        range(&old),
        "./local".to_owned(),
        "./packed.tgz".to_owned(),
        "./none".to_owned(),
    ];
    let list = |entries: &[String]| hub.plugins_are(&entries.iter().map(String::as_str).collect::<Vec<_>>());
    list(&entries);
    let dests = ["floating", "fixed", "my-package-1.0.0", "local-1.0.0", "packed-1.0.0"];
    let told = plan_and_run_hub(&hub, 0).told();
    let expected = ["latest!floating floating", "!fixed fixed", "package@1.0.0 my-package-1.0.0", "local local-1.0.0"];
    for (line, end) in told.iter().zip(expected) {
        // It is certain unless the packed one has the same name.
        assert!(line.starts_with("install ") && line.ends_with(&format!("{end}?")), "{line}");
    }
    assert_eq!(told[4..], ["install packed.tgz -?", "skip none -? absent"]);
    let told = plan_and_run_hub(&hub, 0).told();
    for (line, dest) in told.iter().zip(dests) {
        assert!(line.starts_with("unchanged ") && line.ends_with(dest), "{line}");
    }

    // What they lead to changes.
    let moved = push(&registry, "floating", "latest", &["floating"], "2");
    hub.write("local/more.js", "");
    hub.write("packed.tgz", plugin("packed", "2").tarball());
    let newer = format!("'@my/package@1.1.0'\nintegrity: {new}");
    list(&[&[newer], &entries[..2], &entries[3..5]].concat());
    let forecast = plan_and_run_hub(&hub, 0);
    assert_eq!(
        forecast.told().iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["install", "refetch", "unchanged", "refetch", "refetch", "remove"]
    );
    assert_eq!(forecast.plugins()[1]["reason"], "source_changed");
    assert!(forecast.plugins()[1]["manifest"].as_str().is_some_and(|digest| digest == moved.digest));

    // Nobody there, and what was installed stays; what was not is rejected.
    let floating = format!("{floating}!floating");
    drop(registry);
    list(std::slice::from_ref(&floating));
    let forecast = plan_and_run_hub(&hub, 0);
    assert_eq!(
        (forecast.plugins()[0]["action"].as_str(), forecast.remarks()),
        (Some("unchanged"), vec!["source_unreachable"])
    );
    list(&[floating.replace("floating:latest", "other:latest")]);
    assert_eq!(plan_and_run_hub(&hub, 1).plugins()[0]["reason"], "oci_pull_failed");
}

#[test]
fn in_the_other_dialect_folders_that_are_there_give_way_or_do_not() {
    let registry = Registry::start();
    let one = push(&registry, "one", "1", &["one"], "1").reference;
    let hub = Hub::listing(&[&format!("{one}!one")]);
    fs::create_dir(hub.root().join("one")).unwrap();
    fs::write(hub.root().join("one/dynamic-plugin-config.hash"), "a".repeat(64)).unwrap();
    fs::create_dir(hub.root().join("obsolete")).unwrap();
    fs::write(hub.root().join("obsolete/dynamic-plugin-config.hash"), "a".repeat(64)).unwrap();
    let forecast = plan_and_run_hub(&hub, 0);
    assert_eq!(forecast.told(), ["adopt one:1!one one", "remove  obsolete"]);
    let newer = push(&registry, "one", "2", &["one"], "2").reference;
    let same = push(&registry, "same", "1", &["one"], "1").reference;
    hub.plugins_are(&[&format!("{newer}!one"), &format!("{same}!one")]);
    let expected = ["skip one:2!one one aborted", "reject same:1!one one destination_conflict"];
    assert_eq!(plan_and_run_hub(&hub, 1).told(), expected);
    hub.plugins_are(&[&format!("{newer}!one")]);
    assert_eq!(plan_and_run_hub(&hub, 0).told(), ["replace one:2!one one"]);
}

#[test]
fn in_the_other_dialect_an_index_is_read_and_leaves_nothing() {
    let registry = Registry::start();
    let one = push(&registry, "one", "1", &["one"], "1").reference;
    let defaults = format!("plugins:\n  - package: {one}!one\n");
    let archive = Tarball::new().file("dynamic-plugins.default.yaml", &defaults);
    let index = registry.push_image("rhdh/index", "1", &Image::new(OCI_LAYER, &archive.gzip()));
    let mut hub = Hub::new();
    fs::create_dir(hub.path("tmp")).unwrap();
    hub.set("CATALOG_INDEX_IMAGE", index.reference.trim_start_matches("oci://"));
    hub.set("TMPDIR", hub.path("tmp"));
    hub.list("includes: [dynamic-plugins.default.yaml]\nplugins: []\n");
    fs::remove_dir(hub.root()).unwrap();
    let forecast = plan_and_run_hub(&hub, 0);
    assert_eq!((forecast.told(), forecast.remarks()), (vec!["install one:1!one one".to_owned()], vec!["root_missing"]));
    let left: Vec<_> = fs::read_dir(hub.path("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["extensions"], "of the run, and nothing of the plan");
    assert_eq!(plan_and_run_hub(&hub, 0).told(), ["unchanged one:1!one one"]);
}

#[test]
fn in_the_other_dialect_nothing_is_planned_where_there_is_no_list() {
    let hub = Hub::new();
    assert_eq!(plan_and_run_hub(&hub, 0).report["plugins"], json!([]));
    let mut command = hub.command();
    command.arg("plan");
    hub.run(command).exits(1);
    let mut command = Command::new(hub.command().get_program());
    command.env_clear().current_dir(hub.path(".")).args(["--dialect=rhdh", "--tries=1", "plan", "x"]);
    hub.run(command).exits(1).says("the command `plan` comes first");
    assert!(!hub.path("plan").exists());
}
