//! `--metrics-file`: how each run went, told to Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use testkit::Registry;

use crate::hub::Hub;
use crate::portal::{OnReject, Portal, Run, entry, publish, wrong_entry};

/// Each sample without the metrics' common prefix and the label that all have, and its value.
fn metrics(portal: &Portal) -> BTreeMap<String, String> {
    let text = fs::read_to_string(portal.path("metrics/portal.prom")).unwrap();
    let root = format!("{{root=\"{}\"", portal.root().display());
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.strip_prefix("butler_plugins_").unwrap();
        (name.replace(&root, "").replace('}', "").replace(',', " "), value.to_owned())
    });
    samples.collect()
}

fn install(portal: &Portal) -> Run {
    fs::create_dir_all(portal.path("metrics")).unwrap();
    portal.install_with(|command| command.arg("--metrics-file=metrics/portal.prom"))
}

/// The values of one metric that are not zero.
fn told(portal: &Portal, metric: &str) -> Vec<String> {
    let of_metric = |(name, value): (String, String)| {
        let label = name.strip_prefix(metric)?.strip_prefix(' ')?.to_owned();
        (value != "0").then(|| format!("{label} {value}"))
    };
    metrics(portal).into_iter().filter_map(of_metric).collect()
}

#[test]
fn run_that_completes_and_one_that_fails_are_told_alike() {
    let registry = Registry::start();
    let (hello, other) = (publish(&registry, "hello", "1"), publish(&registry, "other", "1"));
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello), entry(&other) + "    disabled: true\n"]);
    install(&portal).exits(0);
    let first = metrics(&portal);
    assert_eq!(told(&portal, "run_plugins"), ["outcome=\"disabled\" 1", "outcome=\"installed\" 1"]);
    assert_eq!((&*first["run_exit_status"], &*first["run_lock_wait_seconds"]), ("0", "0.000"));
    let number = |name: &str| first[name].parse::<f64>().unwrap();
    assert!(number("run_received_bytes") > 100.0 && number("run_end_timestamp_seconds") > 1_700_000_000.0, "{first:?}");
    assert!(number("run_duration_seconds") >= number("run_fetch_seconds"), "{first:?}");

    install(&portal).exits(0);
    assert_eq!(told(&portal, "run_plugins"), ["outcome=\"disabled\" 1", "outcome=\"unchanged\" 1"]);
    assert_eq!(metrics(&portal)["run_received_bytes"], "0");

    portal.list(OnReject::Abort, &[wrong_entry(&other), entry(&hello)]);
    install(&portal).exits(1);
    assert_eq!(told(&portal, "run_plugins"), ["outcome=\"aborted\" 1", "outcome=\"rejected\" 1"]);
    assert_eq!(told(&portal, "run_rejected_plugins"), ["reason=\"integrity_mismatch\" 1"]);
    let failed = metrics(&portal);
    assert_eq!(failed["run_exit_status"], "1");
    assert_ne!(failed["run_received_bytes"], "0", "bytes that were wrong came all the same");

    portal.write("dynamic-plugins.yaml", "plugins: {}\n");
    install(&portal).exits(2);
    assert_eq!(told(&portal, "run_plugins"), [""; 0]);
    assert_eq!(metrics(&portal)["run_exit_status"], "2");

    portal.write("dynamic-plugins.yaml", "plugins: []\n");
    install(&portal).exits(0);
    assert_eq!(told(&portal, "run_plugins"), ["outcome=\"removed\" 1"]);
    let files: Vec<_> = fs::read_dir(portal.path("metrics")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, [portal.path("metrics/portal.prom")], "nothing is left beside");
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn status_is_the_one_that_the_dialect_ends_with() {
    let hub = Hub::new();
    hub.list("plugins: 7\n");
    fs::create_dir(hub.path("metrics")).unwrap();
    hub.install_with(&["--metrics-file=metrics/portal.prom"]).exits(1);
    assert_eq!(metrics(hub.portal())["run_exit_status"], "1");
}

#[test]
fn metrics_that_cannot_be_written_are_a_warning_and_nothing_else() {
    let registry = Registry::start();
    for (file, said) in [
        ("none/portal.prom", "failed to write the metrics `none/portal.prom`: "),
        ("dynamic-plugins.yaml/x", "failed to write the metrics `dynamic-plugins.yaml/x`: "),
        ("/", "failed to write the metrics `/`: "),
    ] {
        let portal = Portal::listing(OnReject::Abort, &[entry(&publish(&registry, "hello", "1"))]);
        let run = portal.install_with(|command| command.env("BUTLER_PLUGINS_METRICS_FILE", file)).exits(0).says(said);
        assert_eq!(run.events(), ["plugin_installed hello:1 hello", "completed", "warning metrics_failed"], "{file}");
        portal.list(OnReject::Abort, &[wrong_entry(&publish(&registry, "hello", "1"))]);
        let run = portal.install_with(|command| command.arg("--metrics-file").arg(file)).exits(1);
        assert!(run.events().contains(&"warning metrics_failed".to_owned()), "{file}");
    }
    let portal = Portal::listing(OnReject::Abort, &[]);
    let run = portal.install_with(|command| command.env("BUTLER_PLUGINS_METRICS_FILE", "")).exits(0);
    assert!(!run.events().iter().any(|event| event.contains("metrics")), "{run:?}");
}
