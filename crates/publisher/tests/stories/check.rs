//! `check`: what a portal would not take, told to people and to programs.

use serde_json::Value;
use testkit::Registry;

use crate::desk::Desk;

#[test]
fn a_good_plugin_is_good_as_a_folder_a_tarball_and_a_reference() {
    let desk = Desk::new();
    desk.run(&["pack"]).exits(0);
    let registry = Registry::start();
    let package = format!("oci://{}/acme/hello:1", registry.host());
    let image = format!("oci://{}/acme/image:1", registry.host());
    desk.run(&["push", "package.tgz", &package]).exits(0);
    desk.run(&["push", "--layout", "image", "dist-dynamic", &image]).exits(0);
    for plugin in ["dist-dynamic", "package.tgz", &package, &image] {
        let run = desk.run(&["check", plugin]).exits(0);
        assert_eq!(run.stdout, format!("{plugin}: 0 errors, 0 warnings, installs as `acme-hello-dynamic`\n"));
    }
    desk.run(&["check"]).exits(0);
}

#[test]
fn findings_say_what_why_and_what_to_do() {
    let desk = Desk::new();
    std::fs::remove_file(desk.path("dist-dynamic/dist/index.cjs.js")).unwrap();
    let run = desk.run(&["check"]).exits(1);
    insta::assert_snapshot!(run.stdout);
    let json: Value = serde_json::from_str(&desk.run(&["check", "--format", "json"]).exits(1).stdout).unwrap();
    assert_eq!(json["findings"][0]["rule"], "main-file-missing", "{json:#}");
    let sarif: Value = serde_json::from_str(&desk.run(&["check", "--format", "sarif"]).exits(1).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "main-file-missing", "{sarif:#}");
}

#[test]
fn two_plugins_with_one_destination_are_told() {
    let desk = Desk::new();
    desk.plugin("other", "acme-hello", "1.0.0");
    let run = desk.run(&["check", "dist-dynamic", "other"]).exits(1);
    assert!(run.stdout.contains("error[destination-collision]: other/package.json"), "{}", run.stdout);
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let desk = Desk::new();
    desk.write("front/package.json", FRONTEND);
    desk.write("front/dist/remoteEntry.js", "var hello;");
    desk.write(
        "front/dist/index.js",
        "({Page:()=>p,dynamicPluginsExports:()=>d});d={dynamicRoutes:[{importName:\"Page\"}]}",
    );
    desk.write("front/dist/mf-manifest.json", MANIFEST);
    let run = desk.run(&["check", "front"]).exits(0);
    assert!(run.stdout.contains("warning[mf-public-path-fixed]"), "{}", run.stdout);
    desk.run(&["check", "front", "--deny-warnings"]).exits(1);
}

const FRONTEND: &str = r#"{"name": "front", "version": "1.0.0", "main": "dist/index.js",
    "backstage": {"role": "frontend-plugin", "pluginId": "front"}}"#;
const MANIFEST: &str = r#"{"id": "front", "name": "front",
    "metaData": {"name": "front", "type": "app", "remoteEntry": {"name": "remoteEntry.js", "path": "", "type": "global"},
        "globalName": "front", "publicPath": "https://cdn.example.com/"},
    "shared": [{"id": "front:react", "name": "react", "version": "18.3.1", "singleton": true, "requiredVersion": "*"}],
    "exposes": [{"id": "front:.", "name": ".", "path": "."}]}"#;

#[test]
fn what_cannot_be_looked_into_is_an_error_of_its_own() {
    let desk = Desk::new();
    desk.run(&["check", "missing"]).exits(1).says("`missing`");
    desk.write("bad.tgz", "not gzip");
    let run = desk.run(&["check", "bad.tgz"]).exits(1);
    assert!(run.stdout.starts_with("error[archive-invalid]: bad.tgz: "), "{}", run.stdout);
}

#[test]
fn a_rejected_tarball_is_a_finding_and_the_others_are_looked_at() {
    let desk = Desk::new();
    desk.write("role/package/package.json", r#"{"name": "x", "version": "1.0.0"}"#);
    let tar = ["czf", "../role.tgz", "package"];
    crate::desk::done(std::process::Command::new("tar").current_dir(desk.path("role")).args(tar));
    let run = desk.run(&["check", "role.tgz", "missing", "dist-dynamic", "--format", "json"]).exits(1);
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["findings"][0]["rule"], "role-invalid", "{json:#}");
    let run = desk.run(&["check", "role.tgz", "missing", "dist-dynamic"]).exits(1).says("`missing`");
    assert!(run.stdout.contains("dist-dynamic: 0 errors"), "{}", run.stdout);
}

/// A signal while something is unpacked leaves nothing in the folder for temporary files.
#[test]
fn a_check_that_is_ended_leaves_nothing() {
    let desk = Desk::new();
    for n in 0..3000 {
        desk.write(&format!("dist-dynamic/node_modules/many/{n}/index.js"), "module.exports = {};\n");
    }
    desk.run(&["pack", "--output", "p.tgz"]).exits(0);
    let mut met = 0;
    for _ in 0..5 {
        let mut child = desk.command(&["check", "p.tgz"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        while desk.names("tmp").is_empty() && child.try_wait().unwrap().is_none() {}
        let pid = child.id().to_string();
        crate::desk::done(std::process::Command::new("sh").args(["-c", "kill -TERM $1 || true", "sh", &pid]));
        let status = child.wait().unwrap();
        assert!(matches!(status.code(), Some(143 | 0)), "{status}");
        met += usize::from(status.code() == Some(143));
        assert_eq!(desk.names("tmp"), Vec::<String>::new());
    }
    assert!(met > 0, "no run was met while it unpacked");
}
