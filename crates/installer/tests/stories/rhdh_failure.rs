//! Runs that fail or are ended: nothing on the volume changes, and whatever went wrong is told.

use std::fs;
use std::time::{Duration, Instant};

use testkit::{Fault, Registry, Reply, Request, sri};

use crate::hub::{APP_CONFIG, Hub, Npm, asked, push};
use crate::portal::{Portal, wait_until};

/// Kubernetes waits longer, but nobody likes to.
const SOON: Duration = Duration::from_secs(5);
const STAGING: &str = ".butler-plugins.staging";

#[test]
fn all_failures_are_told_and_nothing_changes() {
    let registry = Registry::start();
    let npm = Npm::new("@my/package", &["1.0.0"]);
    let right = npm.integrity("1.0.0");
    let npm = npm.serve();
    let package = push(&registry, "all", "1", &["one", "two"], "1").reference;
    let mut hub = Hub::listing(&[&format!("{package}!one\npluginConfig: {{a: {{b: 1}}}}")]);
    let npmrc = hub.write("npmrc", format!("registry={}\n", npm.url("/npm/")));
    hub.set("NPM_CONFIG_USERCONFIG", npmrc);
    hub.install().exits(0);
    let before = hub.untouched();

    let entries = [
        format!("{package}!two"),
        format!("'@my/package@1.0.0'\nintegrity: {}", sri(b"other")),
        format!("oci://{}/rhdh/gone:1!gone", registry.host()),
        format!("'alias@npm:@my/package'\nintegrity: {right}"),
        format!("{package}!three"),
    ];
    let entries = entries.each_ref().map(String::as_str);
    hub.plugins_are(&entries);
    hub.write("termination-log", "");
    let run = hub.install().exits(1).says("\n======= 3 plugin(s) failed:\n");
    let failed: Vec<_> = run.stdout.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    assert_eq!(failed.len(), 3, "{}", run.stdout);
    for (line, start) in failed.iter().zip(["@my/package@1.0.0: integrity check failed", "oci://", "oci://"]) {
        assert!(line.starts_with(start), "{line}");
    }
    assert!(failed[1].contains("/rhdh/gone:1!gone: ") && failed[2].contains("/rhdh/all:1!three: "), "{failed:?}");
    assert_eq!(run.stdout.matches("\t==> ERROR: ").count(), 3, "{}", run.stdout);
    for text in ["==> Installed", "Removing obsolete", "All plugins installed"] {
        assert!(!run.stdout.contains(text), "{text}: {}", run.stdout);
    }
    assert!(
        run.stdout.contains(
            "\n======= Skipping app-config.dynamic-plugins.yaml write and cleanup because of install failures."
        )
    );
    let more = "; and 2 more plugins failed, see the log";
    let last = format!("\ninstall-dynamic-plugins failed: {} (integrity_mismatch){more}\n", &failed[0]);
    assert!(run.stderr.starts_with(&last), "{}", run.stderr);
    let left = fs::read_to_string(hub.path("termination-log")).unwrap();
    assert!(left.lines().next().unwrap().ends_with(more), "{left}");
    for line in [3, 5, 8] {
        let place = format!("dynamic-plugins.yaml:{line}");
        let helps = |told: &str| told.starts_with("\t    help: ") && told.contains(&place);
        assert_eq!(run.stdout.lines().filter(|told| helps(told)).count(), 1, "{place}: {}", run.stdout);
    }
    assert_eq!(hub.untouched(), before);

    // A first run leaves nothing at all.
    fs::remove_dir_all(hub.root()).unwrap();
    let record = hub.install_with(&["--log-format=logfmt"]).exits(1).says(" event=fatal ").log();
    assert!(
        record.lines().any(|line| line.contains(" line=3 file=") && line.ends_with("dynamic-plugins.yaml")),
        "{record}"
    );
    assert!(record.contains(more), "{record}");
    let left: Vec<_> =
        hub.tree().lines().iter().filter(|line| !line.contains(" .butler-plugins.lock ")).cloned().collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn our_own_dialect_speaks_of_the_first_failure_alone() {
    let portal = Portal::new();
    portal.write("termination-log", "");
    portal.write("dynamic-plugins.yaml", "plugins:\n  - package: ftp://one/\n  - package: ftp://two/\n");
    let run = portal.install().exits(1);
    let left = fs::read_to_string(portal.path("termination-log")).unwrap();
    assert_eq!(run.log().matches(" event=plugin_rejected ").count(), 2, "{}", run.log());
    for told in [run.log(), left] {
        assert!(!told.contains("more plugin") && !told.contains(" file="), "{told}");
    }
}

#[test]
fn list_that_is_wrong_is_named_once() {
    let hub = Hub::new();
    hub.list("plugins: 7\n");
    let run = hub.install().exits(1);
    let last =
        run.stderr.lines().find(|line| line.starts_with("install-dynamic-plugins failed: line 1, column 10 of `"));
    assert_eq!(last.expect(&run.stderr).matches("dynamic-plugins.yaml").count(), 1, "{}", run.stderr);
}

#[test]
fn plugins_at_odds_are_both_named() {
    let registry = Registry::start();
    let package = push(&registry, "all", "1", &["one", "two"], "1").reference;
    for (row, first, second) in [
        ("two scalars", "{a: {b: 1}}", "{a: {b: 2}}"),
        ("two lists", "{a: {b: [1]}}", "{a: {b: [1, 2]}}"),
        ("a mapping over a scalar", "{a: {b: 1}}", "{a: {b: {c: 1}}}"),
        ("a scalar over a mapping", "{a: {b: {c: 1}}}", "{a: {b: 1}}"),
    ] {
        let hub = Hub::listing(&[
            &format!("{package}!one\npluginConfig: {first}"),
            &format!("{package}!two\npluginConfig: {second}"),
        ]);
        let run = hub.install().exits(1).says("a.b");
        let told = run.stdout.lines().find(|line| line.starts_with("\t==> ERROR: ")).unwrap();
        assert!(told.contains("all:1!one") && told.contains("all:1!two"), "{row}: {told}");
        assert_eq!(hub.plugins(), [""; 0], "{row}");
        assert!(!hub.root().join(APP_CONFIG).exists(), "{row}");
    }
}

/// A portal with a plugin, whose list names another version that does not come to its end.
fn stalled(registry: &Registry) -> Hub {
    let first = push(registry, "one", "1", &["one"], "1").reference;
    let second = push(registry, "one", "2", &["one"], "2").reference;
    let hub = Hub::listing(&[&format!("{first}!one\npluginConfig: {{a: 1}}")]);
    hub.install().exits(0);
    hub.plugins_are(&[&format!("{second}!one\npluginConfig: {{a: 2}}")]);
    registry.recorder().clear();
    let is_blob = |request: &Request| request.path.contains("/blobs/");
    registry.server().first(1, is_blob, || Reply::ok().body(*b"half").broken_after(2, Fault::Stall));
    hub
}

fn is_asked_for_a_blob(registry: &Registry) -> bool {
    asked(registry.recorder()).iter().any(|line| line.contains("/blobs/"))
}

#[test]
fn terminated_run_says_so_and_leaves_no_trace() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let registry = Registry::start();
        let hub = stalled(&registry);
        let before = hub.untouched();
        let mut running = hub.start();
        wait_until("the download stalls", || is_asked_for_a_blob(&registry));
        let started = Instant::now();
        running.signal(signal);
        let run = running.end().exits(status).says("install-dynamic-plugins failed: the run was stopped");
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        assert!(!run.stdout.contains("All plugins installed"), "{}", run.stdout);
        assert_eq!(hub.untouched(), before, "{signal}");
        assert!(!hub.root().join(STAGING).exists(), "{signal}");
        hub.install_with(&["--lock-timeout=0"]).exits(0);
        assert_eq!(hub.installed("one/dist/mark"), "2", "{signal}");
    }
}

#[test]
fn killed_run_is_no_obstacle_to_the_next() {
    let registry = Registry::start();
    let hub = stalled(&registry);
    let mut running = hub.start();
    wait_until("the download stalls", || is_asked_for_a_blob(&registry));
    running.signal("KILL");
    assert_eq!(running.end().status, None);
    assert_eq!(hub.installed("one/dist/mark"), "1");
    hub.install_with(&["--lock-timeout=0"]).exits(0).says("\t==> Installed ");
    assert_eq!(hub.installed("one/dist/mark"), "2");
    assert_eq!(hub.plugins(), ["one"]);
    assert!(hub.app_config().contains("\"a\": 2"), "{}", hub.app_config());
}

#[test]
fn second_installer_waits_for_the_first_and_says_for_what() {
    let registry = Registry::start();
    let hub = stalled(&registry);
    let mut running = hub.start();
    wait_until("the download stalls", || is_asked_for_a_blob(&registry));
    let run = hub.install_with(&["--lock-timeout=0"]).exits(1);
    assert!(run.log().contains("lock"), "{}", run.log());
    running.signal("KILL");
    running.end();
    hub.install_with(&["--lock-timeout=0"]).exits(0);
}
