//! What the portal's own release tests ask of the installer (contract, section 8), with the registry in this process.

use base64ct::{Base64, Encoding};
use serde_json::json;
use testkit::{Image, OCI_LAYER, Plugin, Pushed, Registry, Tarball};

use crate::portal::{OnReject, Portal, entry, wrong_entry};

fn test_plugin(registry: &Registry) -> Pushed {
    registry.push("my-org/test", "1.0.0", &Plugin::backend("butler.test-dynamic").tarball())
}

/// The text of `CONTINUE_ON_ERROR`, as the chart derives it from the same value.
fn variable(on_reject: OnReject) -> &'static str {
    match on_reject {
        OnReject::Abort => "false",
        OnReject::Continue => "true",
    }
}

#[test]
fn plugin_with_the_promised_bytes_is_installed() {
    let registry = Registry::start();
    for on_reject in [OnReject::Abort, OnReject::Continue] {
        let portal = Portal::listing(on_reject, &[entry(&test_plugin(&registry))]);
        let run = portal.install_with(|command| command.env("CONTINUE_ON_ERROR", variable(on_reject))).exits(0);
        assert_eq!(portal.plugins(), ["butler.test-dynamic"]);
        assert_eq!(run.stderr, "");
        assert!(run.stdout.contains("event=plugin_installed") && run.stdout.contains("digest_verified=ok"));
    }
}

#[test]
fn plugin_with_other_bytes_stops_a_fail_closed_run() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Abort, &[wrong_entry(&test_plugin(&registry))]);
    let run = portal.install_with(|command| command.env("CONTINUE_ON_ERROR", "false")).exits(1);
    assert!(run.stderr.contains("integrity_mismatch") && run.stderr.contains("continueOnError_false"));
    assert_eq!(portal.plugins(), [""; 0]);
}

#[test]
fn plugin_with_other_bytes_is_left_out_of_a_fail_open_run() {
    let registry = Registry::start();
    let portal = Portal::listing(OnReject::Continue, &[wrong_entry(&test_plugin(&registry))]);
    let run = portal.install_with(|command| command.env("CONTINUE_ON_ERROR", "true")).exits(0);
    assert!(run.stderr.contains("integrity_mismatch"));
    assert_eq!(portal.plugins(), [""; 0]);
}

#[test]
fn stricter_one_of_file_and_variable_wins_and_is_told() {
    let registry = Registry::start();
    for (file, variable) in [(OnReject::Continue, "false"), (OnReject::Abort, "true")] {
        let portal = Portal::listing(file, &[wrong_entry(&test_plugin(&registry))]);
        let run = portal.install_with(|command| command.env("CONTINUE_ON_ERROR", variable));
        run.exits(1)
            .says("level=WARN event=warning reason=continue_on_error_mismatch")
            .says("continue_on_error=false")
            .says("event=fatal reason=continueOnError_false");
    }
}

#[test]
fn entry_that_does_not_pass_stops_a_fail_closed_run_before_anyone_is_asked() {
    let registry = Registry::start();
    let hello = entry(&test_plugin(&registry));
    for (bad, reason) in [
        ("  - package: oci://evil.example/x:1\n    integrity: sha512-x\n", "source_not_allowed"),
        ("  - integrity: sha512-x\n", "package_missing"),
        ("  - package: npm:left-pad\n    integrity: sha512-x\n", "scheme_not_supported"),
        (&hello.replace("sha512-", "sha256-"), "integrity_unsupported"),
    ] {
        let portal = Portal::listing(OnReject::Abort, &[hello.clone(), bad.to_owned()]);
        let run = portal.install().exits(1).says(&format!(" reason={reason} "));
        assert_eq!(run.events().first().unwrap(), "plugin_skipped test:1.0.0 aborted", "{reason}");
        assert_eq!(portal.tree().to_string(), "", "{reason}");
    }
    assert_eq!(registry.recorder().requests(), []);
}

#[test]
fn one_plugin_of_an_image_with_several_is_installed() {
    let archive = Plugin::backend("one").add_to(Tarball::new().file("index.json", "[]"), "plugins/one");
    let archive = Plugin::backend("two").add_to(archive, "plugins/two").gzip();
    let registry = Registry::start();
    let image = Image::new(OCI_LAYER, &archive);
    let both = registry.push_image("my-org/both", "1", &image);
    let annotated = image.annotation("io.backstage.dynamic-packages", &annotation("plugins/one"));
    let one = registry.push_image("my-org/one", "1", &annotated);
    let two = Pushed { reference: format!("{}!plugins/two", both.reference), ..both.clone() };
    let portal = Portal::listing(OnReject::Abort, &[entry(&one), entry(&two)]);
    let run = portal.install().exits(0);
    assert_eq!(run.events(), ["plugin_installed one:1 one", "plugin_installed two two", "completed"]);
    assert_eq!(portal.plugins(), ["one-dynamic", "two-dynamic"]);
    assert!(!portal.tree().to_string().contains("index.json"));

    let portal = Portal::listing(OnReject::Abort, &[entry(&both)]);
    portal.install().exits(1).says("reason=archive_layout").says("select one with `!<folder>`");
}

/// The annotation of an image that holds one plugin in this folder: base64 of a list of `folder: package.json`.
fn annotation(folder: &str) -> String {
    Base64::encode_string(json!([{ folder: { "name": "one", "version": "1.0.0" } }]).to_string().as_bytes())
}

#[test]
fn log_of_a_good_run_is_what_operators_parse() {
    let registry = Registry::start();
    let disabled = entry(&test_plugin(&registry)) + "    disabled: true\n";
    let hello = registry.push("my-org/hello", "1.2.3", &Plugin::frontend("@my-org/hello").version("1.2.3").tarball());
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello), disabled]);
    insta::assert_snapshot!(portal.install().exits(0).log(), @r#"
    ts=… level=INFO event=startup config_file=/dynamic-plugins.yaml root=/dynamic-plugins-root continue_on_error=false plugin_count=2 allowed_sources=["oci://127.0.0.1:…/my-org"] version=0.1.0 sandbox=…
    ts=… level=INFO event=plugin_installed package=oci://127.0.0.1:…/my-org/hello:1.2.3 integrity="sha512-…" digest_verified=ok name=@my-org/hello dest=/dynamic-plugins-root/my-org-hello-dynamic version=1.2.3 bytes=… duration_ms=… manifest=sha256:…
    ts=… level=INFO event=plugin_skipped package=oci://127.0.0.1:…/my-org/test:1.0.0 reason=disabled
    ts=… level=INFO event=completed installed=1 rejected=0 skipped=1 removed=0 duration_ms=…
    "#);
}

#[test]
fn log_of_an_aborted_run_is_what_operators_parse() {
    let registry = Registry::start();
    let hello = registry.push("my-org/hello", "1.2.3", &Plugin::backend("hello").tarball());
    let portal = Portal::listing(OnReject::Abort, &[entry(&hello), wrong_entry(&test_plugin(&registry))]);
    insta::assert_snapshot!(portal.install_with(|command| command.arg("--jobs=1")).exits(1).log(), @r#"
    ts=… level=INFO event=startup config_file=/dynamic-plugins.yaml root=/dynamic-plugins-root continue_on_error=false plugin_count=2 allowed_sources=["oci://127.0.0.1:…/my-org"] version=0.1.0 sandbox=…
    ts=… level=INFO event=plugin_skipped package=oci://127.0.0.1:…/my-org/hello:1.2.3 reason=aborted
    ts=… level=ERROR event=plugin_rejected package=oci://127.0.0.1:…/my-org/test:1.0.0 reason=integrity_mismatch expected="sha512-…" computed="sha512-…" detail="the artifact's … bytes are not the pinned ones" hint="if the publisher confirms the computed value, pin it; otherwise someone changed the artifact" blame=operator line=6
    ts=… level=ERROR event=fatal reason=continueOnError_false detail="plugin `oci://127.0.0.1:…/my-org/test:1.0.0` was rejected with `integrity_mismatch`" hint="if the publisher confirms the computed value, pin it; otherwise someone changed the artifact" blame=operator
    "#);
}

#[test]
fn run_without_a_list_of_sources_says_so() {
    let portal = Portal::new();
    portal.write("dynamic-plugins.yaml", "plugins: []\n");
    insta::assert_snapshot!(portal.install().exits(0).log(), @r#"
    ts=… level=INFO event=startup config_file=/dynamic-plugins.yaml root=/dynamic-plugins-root continue_on_error=false plugin_count=0 allowed_sources=[] version=0.1.0 sandbox=…
    ts=… level=WARN event=startup_permissive_mode reason=allowedSources_unset_permissive
    ts=… level=INFO event=completed installed=0 rejected=0 skipped=0 removed=0 duration_ms=…
    "#);
}
