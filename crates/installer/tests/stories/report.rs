//! `--report`: what is installed, told to machines.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;
use testkit::Registry;

use crate::portal::{OnReject, Portal, entry, publish, wrong_entry};

fn report(portal: &Portal) -> Value {
    serde_json::from_str(&fs::read_to_string(portal.path("report.json")).unwrap()).unwrap()
}

/// Name, version and outcome of each plugin.
fn outcomes(portal: &Portal) -> Vec<String> {
    let report = report(portal);
    let told = report["plugins"].as_array().unwrap().iter();
    let mut told: Vec<_> = told
        .map(|plugin| ["name", "version", "outcome"].map(|key| plugin[key].as_str().unwrap().to_owned()).join(" "))
        .collect();
    told.sort();
    told
}

#[test]
fn report_says_what_is_installed_and_what_was_before() {
    let registry = Registry::start();
    let (hello, other) = (publish(&registry, "hello", "1"), publish(&registry, "other", "1"));
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello)]);
    let install = || portal.install_with(|command| command.arg("--report").arg("report.json"));
    install().exits(0);
    assert_eq!(outcomes(&portal), ["hello 1 installed"]);
    let told = &report(&portal)["plugins"][0];
    assert_eq!(told["source"], hello.reference);
    assert_eq!(told["integrity"], hello.integrity);
    assert_eq!(told["dest"], "hello-dynamic");
    assert!(told["manifest"].as_str().unwrap().starts_with("sha256:"));

    portal.list(OnReject::Abort, &[entry(&hello), entry(&other)]);
    install().exits(0);
    assert_eq!(outcomes(&portal), ["hello 1 unchanged", "other 1 installed"]);

    portal.list(OnReject::Abort, &[entry(&publish(&registry, "hello", "2"))]);
    install().exits(0);
    assert_eq!(outcomes(&portal), ["hello 2 installed"]);
    assert!(fs::read_dir(portal.path(".")).unwrap().all(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name == "report.json" || !name.contains("report")
    }));
}

#[test]
fn run_that_fails_leaves_the_report_as_true_as_it_was() {
    let registry = Registry::start();
    let hello = publish(&registry, "hello", "1");
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello)]);
    let install = || portal.install_with(|command| command.env("BUTLER_PLUGINS_REPORT", "report.json"));
    install().exits(0);
    let before = fs::read(portal.path("report.json")).unwrap();
    portal.list(OnReject::Abort, &[wrong_entry(&publish(&registry, "hello", "2"))]);
    install().exits(1);
    assert_eq!(fs::read(portal.path("report.json")).unwrap(), before);
}

#[test]
fn list_that_is_missing_for_rhdh_leaves_what_was_installed_in_the_report() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(0);
    fs::remove_file(portal.path("dynamic-plugins.yaml")).unwrap();
    let mut command = Command::new(portal.command().get_program());
    command.env_clear().current_dir(portal.path(".")).args(["--dialect=rhdh", "--report=report.json"]);
    command.arg(portal.root());
    portal.run(command).exits(0);
    assert_eq!(outcomes(&portal), ["hello 1 unchanged"]);
}

#[test]
fn report_that_has_no_folder_ends_the_run_before_the_root_is_touched() {
    for (file, said) in [
        ("none/report.json", "failed to look into `none`, the folder of the report: "),
        ("dynamic-plugins.yaml/report.json", "failed to look into `dynamic-plugins.yaml`, the folder of the report: "),
        ("/report.json", "expected the report in a folder, found `/report.json`"),
        ("/", "expected the report in a folder, found `/`"),
    ] {
        let portal = Portal::listing(OnReject::Abort, &[]);
        let run = portal.install_with(|command| command.arg("--report").arg(file)).exits(2).says(said);
        assert_eq!(run.events(), ["fatal usage"], "{file}");
        assert_eq!(portal.tree().to_string(), "", "{file}");
    }
}

#[test]
fn report_or_metrics_in_the_place_of_something_else_end_the_run_before_anything_is_touched() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install().exits(0);
    let list = fs::read_to_string(portal.path("dynamic-plugins.yaml")).unwrap();
    let root = portal.root().file_name().unwrap().to_str().unwrap().to_owned();
    symlink(portal.root(), portal.path("by-another-name")).unwrap();
    fs::create_dir(portal.path("mounted")).unwrap();
    fs::write(portal.path("mounted/list.yaml"), &list).unwrap();
    symlink("mounted/list.yaml", portal.path("link.yaml")).unwrap();
    let before = portal.tree();
    for (report, metrics, config, whose) in [
        (&*format!("{root}/.butler-plugins.state"), "", "dynamic-plugins.yaml", "in the plugin root"),
        ("", &format!("{root}/.butler-plugins.lock"), "dynamic-plugins.yaml", "in the plugin root"),
        ("by-another-name/hello-dynamic/report.json", "", "dynamic-plugins.yaml", "in the plugin root"),
        ("./dynamic-plugins.yaml", "", "dynamic-plugins.yaml", "the list of plugins"),
        ("", "dynamic-plugins.yaml", "dynamic-plugins.yaml", "the list of plugins"),
        ("", "link.yaml", "link.yaml", "the list of plugins"),
        ("", "mounted/list.yaml", "link.yaml", "the list of plugins"),
        ("report.json", "mounted/../report.json", "dynamic-plugins.yaml", "the file of `--report`"),
    ] {
        for command in [None, Some("plan")] {
            let mut installer = Command::new(portal.command().get_program());
            installer.env_clear().current_dir(portal.path(".")).args(command).arg("--config").arg(config);
            installer.arg("--root").arg(portal.root());
            installer.env("BUTLER_PLUGINS_REPORT", report).env("BUTLER_PLUGINS_METRICS_FILE", metrics);
            let run = portal.run(installer).exits(2);
            let said = format!("`, which is {whose}");
            assert!(format!("{}{}", run.stdout, run.stderr).contains(&said), "{report}{metrics}: {run:?}");
        }
        assert_eq!(portal.tree(), before, "{report}{metrics}");
        assert_eq!(fs::read_to_string(portal.path(config)).unwrap(), list, "{report}{metrics}");
        assert!(!portal.path("report.json").exists());
    }
    assert!(portal.path("link.yaml").is_symlink());
}

#[test]
fn report_that_cannot_be_written_is_a_warning() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    fs::create_dir(portal.path("report.json")).unwrap();
    let run = portal.install_with(|command| command.arg("--report=report.json")).exits(0);
    assert_eq!(run.events(), ["plugin_installed hello:1 hello", "completed", "warning report_failed"]);
}

#[test]
fn every_key_of_the_report_is_documented() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
    portal.install_with(|command| command.arg("--report=report.json")).exits(0);
    let page = include_str!("../../../../docs/reference/report.md");
    let report = report(&portal);
    for (object, prefix) in [(&report, ""), (&report["plugins"][0], "plugins[].")] {
        for key in object.as_object().unwrap().keys() {
            assert!(page.contains(&format!("| `{prefix}{key}` |")), "{prefix}{key}");
        }
    }
}
