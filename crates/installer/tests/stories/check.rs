//! `check`: what a pull request's CI learns about a list before anybody deploys it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::Value;
use testkit::{Auth, Pushed, Registry, docker_config, sri};

use crate::portal::{OnReject, Portal, Run, entry, publish};

impl Portal {
    /// Runs `check` on a portal that has no root at all.
    fn check(&self, arguments: &[&str]) -> Run {
        drop(fs::remove_dir(self.root()));
        let run = self.install_with(|command| command.arg("check").args(arguments));
        assert!(!self.root().exists());
        assert_eq!(run.stderr, "");
        run
    }

    /// Runs the installer with these arguments and nothing else.
    fn ask(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(self.command().get_program());
        command.env_clear().current_dir(self.path(".")).args(arguments);
        self.run(command)
    }

    fn check_json(&self, arguments: &[&str], status: i32) -> Value {
        let run = self.check(&[&["--format=json"], arguments].concat()).exits(status);
        serde_json::from_str(&run.stdout).unwrap()
    }
}

fn pinned(reference: &str) -> Pushed {
    Pushed { reference: reference.to_owned(), digest: String::new(), integrity: sri(b"anything") }
}

/// A list with everything that can be said of an entry without asking anyone.
fn mixed() -> Portal {
    let text = "allowedSources: [oci://ghcr.io/my-org]\nplugins:\n".to_owned()
        + &entry(&pinned("oci://ghcr.io/my-org/good:1.0.0"))
        + &entry(&pinned("oci://ghcr.io/my-org-evil/bad:1.0.0"))
        + "  - package: oci://ghcr.io/my-org/unpinned:1.0.0\n"
        + &entry(&pinned("oci://ghcr.io/my-org/off:1.0.0"))
        + "    disabled: true\n";
    let portal = Portal::new();
    portal.write("dynamic-plugins.yaml", text);
    portal
}

/// A list that is wrong in three places.
fn broken() -> Portal {
    let portal = Portal::new();
    portal.write("dynamic-plugins.yaml", "continueOnError: maybe\nallowedSource: []\nplugins:\n  - package: 42\n");
    portal
}

#[test]
fn good_list_is_fine() {
    let portal = Portal::listing(OnReject::Abort, &[entry(&pinned("oci://ghcr.io/my-org/good:1.0.0"))]);
    assert_eq!(
        portal.check(&[]).exits(0).stdout,
        "ok: oci://ghcr.io/my-org/good:1.0.0\n/dynamic-plugins.yaml: 1 listed, 0 would be rejected\n"
    );
    let report = portal.check_json(&[], 0);
    assert_eq!(
        (&report["valid"], &report["permissive"], &report["rejected"]),
        (&true.into(), &false.into(), &0.into())
    );
    assert_eq!(report["plugins"][0]["status"], "ok");
}

#[test]
fn rejected_entries_are_shown_with_reason_place_and_hint() {
    let portal = mixed();
    insta::assert_snapshot!(portal.check(&[]).exits(1).stdout, @r#"
    ok: oci://ghcr.io/my-org/good:1.0.0
    error[source_not_allowed]: source `oci://ghcr.io/my-org-evil/bad:1.0.0` matches no entry of `allowedSources`
     --> /dynamic-plugins.yaml:5:14
      |
    5 |   - package: oci://ghcr.io/my-org-evil/bad:1.0.0
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    help: `oci://ghcr.io/my-org` covers whole path segments, and this name only starts alike: correct the one that is misspelt; if the source is trusted, add it to `allowedSources`

    error[integrity_missing]: expected `integrity` in the entry, found none
     --> /dynamic-plugins.yaml:7:5
      |
    7 |   - package…
      |     ^
    help: add `integrity: sha512-…` as its publisher gives it, or have `butler-plugin-publisher pin FILE` compute it

    disabled: oci://ghcr.io/my-org/off:1.0.0
    /dynamic-plugins.yaml: 4 listed, 2 would be rejected
    "#);
    let report = portal.check_json(&[], 1);
    let plugins = report["plugins"].as_array().unwrap();
    let told: Vec<_> =
        plugins.iter().map(|plugin| ["line", "status", "reason", "cause", "blame"].map(|key| &plugin[key])).collect();
    let (none, word) = (Value::Null, |text: &str| Value::from(text));
    assert_eq!(
        told,
        [
            [&none, &word("ok"), &none, &none, &none],
            [&5.into(), &word("rejected"), &word("source_not_allowed"), &none, &word("operator")],
            [&7.into(), &word("rejected"), &word("integrity_missing"), &none, &word("operator")],
            [&none, &word("disabled"), &none, &none, &none],
        ]
    );
    assert_eq!(report["rejected"], 2);
}

#[test]
fn broken_list_is_shown_with_its_source() {
    let portal = broken();
    insta::assert_snapshot!(portal.check(&[]).exits(2).stdout, @r#"
    error: expected a boolean for `continueOnError`, found a string
     --> /dynamic-plugins.yaml:1:18
      |
    1 | continueOnError: maybe
      |                  ^^^^^
    help: write true or false

    error: unknown key `allowedSource`
     --> /dynamic-plugins.yaml:2:1
      |
    2 | allowedSource: []
      | ^^^^^^^^^^^^^
    help: did you mean `allowedSources`?

    error: expected a string for `package`, found a number
     --> /dynamic-plugins.yaml:4:14
      |
    4 |   - package: 42
      |              ^^
    help: write it in quotes
    "#);
    let report = portal.check_json(&[], 2);
    assert_eq!((&report["valid"], &report["reason"]), (&false.into(), &"config_invalid".into()));
    assert_eq!(report["problem_count"], report["problems"].as_array().unwrap().len());
    for key in ["line", "column", "length", "message", "hint"] {
        assert!(!report["problems"][1][key].is_null(), "{key}: {report}");
    }
}

#[test]
fn list_that_is_not_there_is_told() {
    let portal = Portal::new();
    let run = portal.check(&["missing.yaml"]).exits(2);
    assert!(
        run.stdout.starts_with("error: missing.yaml: ") && run.stdout.contains("[config_unreadable]"),
        "{}",
        run.stdout
    );
    assert_eq!(portal.check_json(&["."], 2)["reason"], "config_unreadable");
}

#[test]
fn values_of_the_chart_are_read_as_the_chart_reads_them() {
    let portal = Portal::new();
    let block = "  allowedSources: [oci://ghcr.io/my-org]\n  installer: { image: installer, tag: v1, continueOnError: true }\n  plugins:\n    - package: oci://ghcr.io/my-org/good:1.0.0\n      integrity: ";
    let values = |enabled: &str| {
        format!("anchors: &a {{}}\nother: *a\ndynamicPlugins:\n  enabled: {enabled}\n{block}{}\n", sri(b"anything"))
    };
    let file = portal.write("values.yaml", values("true"));
    let file = file.to_str().unwrap();
    let run = portal.check(&[file]).exits(0);
    assert_eq!(run.stdout, "ok: oci://ghcr.io/my-org/good:1.0.0\n/values.yaml: 1 listed, 0 would be rejected\n");
    portal.write("values.yaml", values("false"));
    portal.check(&[file]).exits(0).says("note: `dynamicPlugins.enabled` is false");
    portal.write("values.yaml", values("true").replace("plugins:\n", "plugin:\n"));
    portal.check(&[file]).exits(2).says("did you mean `plugins`?");
}

#[test]
fn values_of_the_chart_are_not_installed_from() {
    let switched_off = "dynamicPlugins: {enabled: false}\nallowedSources: [oci://ghcr.io/my-org]\n";
    for block in ["dynamicPlugins: {}\n", switched_off] {
        let portal = Portal::new();
        portal.write("dynamic-plugins.yaml", block);
        let run = portal.install().exits(2).says("found a Helm values file").says("`butler-plugin-installer check`");
        assert_eq!((run.events(), portal.tree().to_string()), (vec!["fatal config_invalid".to_owned()], String::new()));
    }
}

#[test]
fn list_without_allowed_sources_is_warned_about() {
    let portal = Portal::new();
    portal.write("dynamic-plugins.yaml", "plugins: []\n");
    portal.check(&[]).exits(0).says("warning: `allowedSources` is not set");
    assert_eq!(portal.check_json(&[], 0)["permissive"], true);
}

#[test]
fn online_check_says_what_is_there_and_downloads_nothing() {
    let registry = Registry::builder().auth(Auth::basic("octocat", "s3cret")).start();
    let hello = publish(&registry, "hello", "1");
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello)]);
    let online = |password, status| {
        let login = portal.write("config.json", docker_config(registry.host(), "octocat", password));
        let run = portal.install_with(|command| command.env("REGISTRY_AUTH_FILE", login).args(["check", "--online"]));
        assert!(!run.stdout.contains(password), "{}", run.stdout);
        run.exits(status)
    };
    online("s3cret", 0).says(&format!("ok: {} ({}, ", hello.reference, hello.digest));
    online("guessed", 1).says("error[oci_pull_failed]: ").says("answered 401 to the credentials").says("\nhelp: ");
    let gone = Pushed { reference: format!("oci://{}/my-org/hello:2", registry.host()), ..hello.clone() };
    portal.list(OnReject::Abort, &[entry(&hello), entry(&gone)]);
    online("s3cret", 1).says("ok: ").says("error[oci_pull_failed]: ").says("\nhelp: ");
    assert!(registry.recorder().requests().iter().all(|request| !request.path.contains("/blobs/")));
    assert_eq!(portal.tree().to_string(), "");

    let login = portal.path("config.json");
    let login = login.to_str().unwrap();
    let report = portal.check_json(&["--online", "--registry-auth-file", login], 1);
    let told = ["status", "reason", "cause", "blame"].map(|key| report["plugins"][1][key].as_str().unwrap());
    assert_eq!(told, ["rejected", "oci_pull_failed", "not_found", "operator"]);
}

const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/real-configs");

#[test]
fn real_lists_of_both_dialects_would_be_installed() {
    let portal = Portal::new();
    for dialect in ["butler", "rhdh"] {
        for file in fs::read_dir(format!("{REAL}/{dialect}")).unwrap() {
            let file = file.unwrap().path().display().to_string();
            // Made for a later default list than the one beside it.
            let status = if file.ends_with("rhdh-local.yaml") { 2 } else { 0 };
            let run = portal.ask(&["check", "--dialect", dialect, &file]).exits(status);
            assert_eq!(run.stdout.contains(" listed, 0 would be rejected\n"), status == 0, "{}", run.stdout);
        }
    }
}

#[test]
fn list_of_the_other_dialect_is_checked_with_what_it_includes() {
    let portal = Portal::new();
    let list = "includes: [default.yaml, gone.yaml]\n\
                plugins:\n\
                - package: oci://mirror.example.com/a:{{inherit}}\n  disabled: no\n\
                - package: ./a\n\
                - package: oci://quay.io/o/b:1\n  enabled: false\n";
    let default = "plugins:\n- package: oci://quay.io/o/a:1!a\n  disabled: true\n";
    portal.write("list.yaml", list);
    portal.write("default.yaml", default);
    let page = portal.ask(&["check", "--dialect=rhdh", "list.yaml"]).exits(0).stdout;
    for line in [
        "warning: the text `no` is taken for `false` as value of `disabled`",
        "warning: include file gone.yaml not found, skipping",
        "ok: oci://quay.io/o/a:1!a",
        "ok: ./a",
        "disabled: oci://quay.io/o/b:1",
        "list.yaml: 3 listed, 0 would be rejected",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}: {page}");
    }

    let json = |status| -> Value {
        let run = portal.ask(&["--dialect=rhdh", "check", "--format=json", "list.yaml"]).exits(status);
        serde_json::from_str(&run.stdout).unwrap()
    };
    let report = json(0);
    assert_eq!(report["warnings"].as_array().unwrap().len(), 2, "{report}");

    portal.write("default.yaml", "plugins:\n- package: oci://quay.io/o/c:1\n  pullPolicy: Never\n");
    let report = json(2);
    let place = (&report["problems"][0]["file"], &report["problems"][0]["line"], &report["problem_count"]);
    assert_eq!(place, (&"default.yaml".into(), &3.into(), &1.into()), "{report}");
}

#[test]
fn include_that_is_no_regular_file_is_not_waited_for() {
    let portal = Portal::new();
    let made = Command::new("mkfifo").arg(portal.path("pipe")).status().unwrap();
    assert!(made.success());
    symlink("/dev/zero", portal.path("endless")).unwrap();
    let _listener = UnixListener::bind(portal.path("socket")).unwrap();
    for (name, said) in [
        ("pipe", "expected a regular file, found something else"),
        ("endless", "expected a regular file, found something else"),
        ("socket", ""),
        (".", "expected a file, found a directory"),
    ] {
        portal.write("list.yaml", format!("includes: [{name}]\nplugins: []\n"));
        let page = portal.ask(&["check", "--dialect=rhdh", "list.yaml"]).exits(2).stdout;
        assert!(page.contains(said) && page.contains("[config_unreadable]"), "{name}: {page}");
        // The run reads the same.
        let root = portal.root().display().to_string();
        portal.ask(&["--dialect=rhdh", "--config=list.yaml", &root]).exits(1).says("failed to read `");
    }
}

#[test]
fn schema_is_the_one_of_the_reference() {
    let portal = Portal::new();
    for (arguments, page) in [
        (&["schema"][..], include_str!("../../../../docs/reference/dynamic-plugins.schema.json")),
        (&["schema", "--dialect=rhdh"], include_str!("../../../../docs/reference/dynamic-plugins.rhdh.schema.json")),
        (&["--dialect", "rhdh", "schema"], include_str!("../../../../docs/reference/dynamic-plugins.rhdh.schema.json")),
    ] {
        assert_eq!(portal.ask(arguments).exits(0).stdout, page, "{arguments:?}");
    }
}
