//! A pod and what it refers to.

use serde_json::{Value, json};

use crate::tree::{field, items};

/// Secrets that an operator makes.
const SECRETS: [&str; 2] = ["portal-environment", "registry-login"];

/// Init containers, and then the others.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    items(&pod["initContainers"]).chain(items(&pod["containers"]))
}

/// What a pod mounts and has no volume for, has and mounts nowhere, or refers to and is not among the resources.
pub(crate) fn complaints(pod: &Value, resources: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let volumes: Vec<_> = items(&pod["volumes"]).map(|volume| field(volume, "name")).collect();
    let mounts: Vec<_> = containers(pod).flat_map(|container| items(&container["volumeMounts"])).collect();
    for mount in &mounts {
        if !volumes.contains(&field(mount, "name")) {
            found.push(format!("there is no volume `{}`", field(mount, "name")));
        }
    }
    for volume in items(&pod["volumes"]) {
        let name = field(volume, "name");
        if !mounts.iter().any(|mount| mount["name"] == name) {
            found.push(format!("`{name}` is mounted nowhere"));
        }
        if volume.as_object().unwrap().len() != 2 {
            found.push(format!("`{name}` is not one volume"));
        }
        let referred = [
            ("ConfigMap", &volume["configMap"]["name"]),
            ("PersistentVolumeClaim", &volume["persistentVolumeClaim"]["claimName"]),
            ("Secret", &volume["secret"]["secretName"]),
        ];
        found.extend(missing(&referred, resources));
    }
    for container in containers(pod) {
        let variables = items(&container["envFrom"]).map(|source| ("Secret", &source["secretRef"]["name"]));
        found.extend(missing(&variables.collect::<Vec<_>>(), resources));
    }
    found
}

fn missing(referred: &[(&str, &Value)], resources: &[Value]) -> Vec<String> {
    let is_there = |kind: &str, name: &str| {
        kind == "Secret" && SECRETS.contains(&name)
            || resources.iter().any(|resource| resource["kind"] == kind && resource["metadata"]["name"] == name)
    };
    let names = referred.iter().filter_map(|(kind, name)| Some((kind, name.as_str()?)));
    names
        .filter(|(kind, name)| !is_there(kind, name))
        .map(|(kind, name)| format!("there is no {kind} `{name}`"))
        .collect()
}

#[test]
fn what_does_not_fit_together_is_found() {
    let mounts = json!([{ "name": "a", "mountPath": "/a" }]);
    let claim = json!({ "claimName": "c" });
    let resources = [json!({ "kind": "ConfigMap", "metadata": { "name": "m" } })];
    let rows = [
        ("whole", json!([{ "name": "a", "configMap": { "name": "m" } }]), vec![]),
        ("no volume", json!([]), vec!["there is no volume `a`"]),
        (
            "no mount",
            json!([{ "name": "a", "emptyDir": {} }, { "name": "b", "emptyDir": {} }]),
            vec!["`b` is mounted nowhere"],
        ),
        ("no map", json!([{ "name": "a", "configMap": { "name": "n" } }]), vec!["there is no ConfigMap `n`"]),
        ("no secret", json!([{ "name": "a", "secret": { "secretName": "s" } }]), vec!["there is no Secret `s`"]),
        (
            "two kinds",
            json!([{ "name": "a", "emptyDir": {}, "persistentVolumeClaim": claim }]),
            vec!["`a` is not one volume", "there is no PersistentVolumeClaim `c`"],
        ),
    ];
    for (name, volumes, expected) in rows {
        let pod = json!({ "containers": [{ "volumeMounts": mounts }], "volumes": volumes });
        assert_eq!(complaints(&pod, &resources), expected, "{name}");
    }
}
