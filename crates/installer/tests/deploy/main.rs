//! The manifests of `docs/deploy`: they fit together, a cluster takes them, and the installer takes what they give it.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

mod pod;
mod restricted;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::pod::{complaints, containers};
use crate::tree::{Tree, field};

const INSTALLER: &str = env!("CARGO_BIN_EXE_butler-plugin-installer");
/// What each file may be.
const KINDS: [(&str, &str); 6] = [
    ("apps/v1", "Deployment"),
    ("kustomize.config.k8s.io/v1alpha1", "Component"),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Service"),
];
/// Files that no kustomization lists, as they are no manifests.
const APART: [&str; 1] = ["chart/values.yaml"];
/// Files that are no manifests but are read by the installer.
const LISTS: [&str; 3] = ["base/dynamic-plugins.yaml", "chart/values.yaml", "overlays/production/dynamic-plugins.yaml"];

fn installer(arguments: &[&str]) -> String {
    let mut command = Command::new(INSTALLER);
    let output = command.args(arguments).env_clear().output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stdout}");
    stdout
}

/// Every set of resources that a reader can make: the base, the base with each component, the overlays.
fn compositions(tree: &Tree) -> Vec<(String, Vec<Value>)> {
    let components = tree.folders("components").into_iter();
    let mut made = vec![("base".to_owned(), tree.compose("base", None))];
    made.extend(components.map(|component| (component.clone(), tree.compose("base", Some(&component)))));
    made.extend(tree.folders("overlays").into_iter().map(|overlay| (overlay.clone(), tree.compose(&overlay, None))));
    made
}

fn deployment(resources: &[Value]) -> &Value {
    let mut found = resources.iter().filter(|resource| resource["kind"] == "Deployment");
    let deployment = found.next().unwrap();
    assert!(found.next().is_none(), "two deployments");
    deployment
}

#[test]
fn every_manifest_is_of_a_known_kind() {
    let tree = Tree::read();
    for (path, value) in tree.files().filter(|(path, _)| !LISTS.contains(path)) {
        let kind = (field(value, "apiVersion"), field(value, "kind"));
        assert!(KINDS.contains(&kind), "{path}: {kind:?}");
    }
}

#[test]
fn every_file_is_listed_and_what_is_listed_is_there() {
    let tree = Tree::read();
    let mut listed = tree.listed();
    listed.extend(APART.map(str::to_owned));
    listed.sort();
    let is_kustomization = |path: &str| path.ends_with("kustomization.yaml");
    let files: Vec<_> = tree.files().map(|(path, _)| path.to_owned()).filter(|path| !is_kustomization(path)).collect();
    assert_eq!(listed, files);
}

#[test]
fn every_composition_is_whole_and_fulfils_the_restricted_profile() {
    let tree = Tree::read();
    let made = compositions(&tree);
    assert!(made.len() > 6, "{made:?}");
    let base = containers(&deployment(&made[0].1)["spec"]["template"]["spec"]).count();
    for (name, resources) in &made {
        let pod = &deployment(resources)["spec"]["template"]["spec"];
        let found = [restricted::complaints(pod), complaints(pod, resources)].concat();
        assert!(found.is_empty(), "{name}: {found:?}");
        assert_eq!(containers(pod).count(), base, "{name}: a patch names a container that is not there");
    }
}

#[test]
fn the_portal_reads_what_the_installer_writes() {
    let help = installer(&["--help"]);
    for (name, resources) in compositions(&Tree::read()) {
        let pod = &deployment(&resources)["spec"]["template"]["spec"];
        let mount = |list: &str, path: &str| {
            let mounts = pod[list][0]["volumeMounts"].as_array().unwrap();
            mounts.iter().find(|mount| mount["mountPath"] == path).unwrap().clone()
        };
        let root = "/dynamic-plugins-root";
        let (written, read) = (mount("initContainers", root), mount("containers", root));
        assert_eq!(written["name"], read["name"], "{name}");
        assert_eq!((&written["readOnly"], &read["readOnly"]), (&Value::Null, &Value::Bool(true)), "{name}");
        assert_eq!(mount("initContainers", "/etc/butler-portal")["readOnly"], true, "{name}");
        for default in [root, "/etc/butler-portal/dynamic-plugins.yaml", "/dev/termination-log"] {
            assert!(help.contains(&format!("[default: {default}]")), "{default}");
        }
    }
}

/// What the portal's container runs, once with `file` on its root and once without.
#[test]
fn the_portal_is_told_of_the_merged_configuration_only_when_it_is_there() {
    let root = TempDir::new().unwrap();
    let resources = Tree::read().compose("base", Some("components/plugin-config"));
    let portal = &deployment(&resources)["spec"]["template"]["spec"]["containers"][0];
    let texts = |key: &str| portal[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    let here = root.path().to_str().unwrap();
    let command: Vec<_> = texts("command").map(|text| text.replace("/dynamic-plugins-root", here)).collect();
    assert_eq!(texts("args").next(), Some("node"));
    let told = || {
        let mut shell = Command::new(&command[0]);
        shell.args(&command[1..]).arg("echo").args(texts("args").skip(1));
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    };
    let own = "packages/backend --config=app-config.yaml --config=app-config.production.yaml";
    assert_eq!(told(), format!("{own}\n"));
    let file = root.path().join("app-config.dynamic-plugins.yaml");
    fs::write(&file, "").unwrap();
    assert_eq!(told(), format!("{own} --config={}\n", file.display()));
}

#[test]
fn every_list_is_fine() {
    let tree = Tree::read();
    for path in LISTS {
        let path = tree.path(path);
        let said = installer(&["check", path.to_str().unwrap()]);
        assert!(said.contains("1 listed, 0 would be rejected"), "{said}");
    }
    for (name, resources) in compositions(&tree) {
        let mut lists = resources.iter().filter_map(|resource| resource["data"]["dynamic-plugins.yaml"].as_str());
        let (folder, list) = (TempDir::new().unwrap(), lists.next().unwrap());
        assert!(lists.next().is_none(), "{name}: two lists");
        let path = folder.path().join("dynamic-plugins.yaml");
        fs::write(&path, list).unwrap();
        assert!(!installer(&["check", path.to_str().unwrap()]).contains("allowedSources"), "{name}");
    }
}

/// Variables and flags that a manifest names, those of comments included.
#[test]
fn what_the_installer_is_told_it_knows() {
    let (tree, help) = (Tree::read(), installer(&["--help"]));
    let variables: BTreeSet<_> = help.split(|c: char| !c.is_ascii_uppercase() && c != '_').collect();
    for (name, resources) in compositions(&tree) {
        let container = &deployment(&resources)["spec"]["template"]["spec"]["initContainers"][0];
        assert_eq!(container["name"], "install-dynamic-plugins", "{name}");
        for variable in container["env"].as_array().into_iter().flatten() {
            let variable = field(variable, "name");
            assert!(variables.contains(variable), "{name}: {variable}");
        }
    }
    let comments = tree.texts().flat_map(str::lines).filter(|line| line.trim_start().starts_with("# "));
    let is_end = |c: char| !c.is_ascii_lowercase() && c != '-';
    let flags = comments.flat_map(|line| line.split(is_end)).filter(|word| word.starts_with("--"));
    let flags: Vec<_> = flags.filter(|flag| !["--install", "--values"].contains(flag)).collect();
    assert_eq!(flags, ["--plugin-timeout"]);
    assert!(help.contains("--plugin-timeout <TIME>"));
}

#[test]
fn values_have_keys_that_the_chart_has() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/real-configs/butler/values.chart-defaults.yaml");
    let chart = testkit::yaml(&fs::read_to_string(path).unwrap());
    let tree = Tree::read();
    let (_, ours) = tree.files().find(|(path, _)| *path == "chart/values.yaml").unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(ours), ["dynamicPlugins", "replicaCount"]);
    for place in ["/dynamicPlugins", "/dynamicPlugins/installer"] {
        assert_eq!(keys(ours.pointer(place).unwrap()), keys(chart.pointer(place).unwrap()), "{place}");
    }
}
