//! `pin`: integrities are written into a values file, and nothing else in it changes.

use testkit::{Plugin, Registry};

use crate::desk::Desk;

/// A values file with one entry that is pinned, one that is not, and much that must stay.
fn values(host: &str) -> String {
    format!(
        "# Our portal.\r\nreplicas: 2   # two\r\ndynamicPlugins:\r\n  enabled: true\r\n  allowedSources:\r\n    \
         - oci://{host}/my-org\r\n  plugins:\r\n    - package: oci://{host}/my-org/one:1 # the first\r\n\r\n    \
         - disabled: false\r\n      package: \"oci://{host}/my-org/two:1\"\r\n      integrity: {}\r\n",
        testkit::sri(b"old")
    )
}

#[test]
fn only_what_is_missing_is_written() {
    let registry = Registry::start();
    let one = registry.push("my-org/one", "1", &Plugin::backend("one").tarball());
    let desk = Desk::new();
    let before = values(registry.host());
    desk.write("values.yaml", &before);
    let run = desk.run(&["pin", "values.yaml", "--dry-run"]).exits(0).says("nothing was written");
    assert!(run.stdout.contains(&format!("+      integrity: {}", one.integrity)), "{}", run.stdout);
    assert_eq!(desk.read("values.yaml"), before);

    desk.run(&["pin", "values.yaml"]).exits(0);
    let expected = before.replace("# the first\r\n", &format!("# the first\r\n      integrity: {}\r\n", one.integrity));
    assert_eq!(desk.read("values.yaml"), expected);
    assert_eq!(desk.run(&["pin", "values.yaml"]).exits(0).stdout, "", "a second run has nothing to do");
}

#[test]
fn an_update_follows_the_tags_and_digests_can_be_added() {
    let registry = Registry::start();
    let one = registry.push("my-org/one", "1", &Plugin::backend("one").tarball());
    let two = registry.push("my-org/two", "1", &Plugin::backend("two").tarball());
    let desk = Desk::new();
    desk.write("values.yaml", values(registry.host()));
    desk.run(&["pin", "values.yaml", "--update", "--to-digest"]).exits(0);
    let after = desk.read("values.yaml");
    for pushed in [&one, &two] {
        assert!(after.contains(&format!("{}@sha256:", pushed.reference)), "{after}");
        assert!(after.contains(&pushed.integrity), "{after}");
    }
    // The tag is what somebody follows: an update looks it up again, and nothing else does.
    let newer = registry.push("my-org/one", "1", &Plugin::backend("one").version("2.0.0").tarball());
    desk.run(&["pin", "values.yaml", "--to-digest"]).exits(0);
    assert_eq!(desk.read("values.yaml"), after);
    desk.run(&["pin", "values.yaml", "--update"]).exits(0);
    let moved = desk.read("values.yaml");
    assert!(
        moved.contains(&format!("{}@{}", one.reference, newer.digest)) && moved.contains(&newer.integrity),
        "{moved}"
    );
    assert_eq!(desk.run(&["pin", "values.yaml", "--update"]).exits(0).stdout, "");
    let check = std::process::Command::new(crate::desk::installer())
        .args(["check", "--online"])
        .arg(desk.path("values.yaml"))
        .env_clear()
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn an_entry_that_cannot_be_had_is_told_with_its_line_and_the_others_are_pinned() {
    let registry = Registry::start();
    let one = registry.push("my-org/one", "1", &Plugin::backend("one").tarball());
    let desk = Desk::new();
    let host = registry.host();
    let text = format!(
        "allowedSources: [\"oci://{host}/my-org\"]\nplugins:\n- package: oci://{host}/my-org/missing:1\n\
         - package: oci://{host}/evil/x:1\n- package: {}\n",
        one.reference
    );
    desk.write("dynamic-plugins.yaml", text);
    let run = desk.run(&["pin", "dynamic-plugins.yaml"]).exits(1);
    let run = run
        .says("error[oci_pull_failed]: dynamic-plugins.yaml:3:")
        .says("error[source_not_allowed]: dynamic-plugins.yaml:4:");
    assert!(run.stdout.contains(&format!("+  integrity: {}", one.integrity)), "{}", run.stdout);
    assert!(desk.read("dynamic-plugins.yaml").contains(&one.integrity));
    assert_eq!(registry.recorder().count("/v2/evil/x/manifests/1"), 0, "what is not allowed is not asked for");
}

#[test]
fn a_file_that_is_wrong_is_shown_with_its_lines() {
    let desk = Desk::new();
    desk.write("values.yaml", "plugins:\n  - package: [\n");
    desk.run(&["pin", "values.yaml"]).exits(2).says("values.yaml:").says("error[usage]");
    desk.run(&["pin", "missing.yaml"]).exits(1).says("`missing.yaml`");
}

#[test]
fn a_file_that_somebody_else_edits_meanwhile_is_left_to_them() {
    let registry = Registry::start();
    registry.push("my-org/one", "1", &Plugin::backend("one").tarball());
    let desk = Desk::new();
    let path = desk.write("values.yaml", values(registry.host()));
    let edited = values(registry.host()) + "# theirs\r\n";
    let theirs = edited.clone();
    registry.server().intercept(move |_, answer| {
        std::fs::write(&path, &theirs).unwrap();
        answer()
    });
    desk.run(&["pin", "values.yaml"]).exits(1).says("error[io_error]").says("values.yaml");
    assert_eq!(desk.read("values.yaml"), edited);
}

#[test]
fn nothing_but_the_pins_is_shown() {
    let registry = Registry::start();
    registry.push("my-org/one", "1", &Plugin::backend("one").tarball());
    let desk = Desk::new();
    let text =
        format!("plugins:\n- package: oci://{}/my-org/one:1\n  pluginConfig: {{apiToken: s3cret}}\n", registry.host());
    desk.write("values.yaml", text);
    desk.run(&["pin", "values.yaml"]).exits(0).keeps_quiet_about("s3cret");
}
