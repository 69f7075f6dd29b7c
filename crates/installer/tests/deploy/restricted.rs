//! The rules of the Pod Security Standards' profile "restricted", which contains "baseline".

use serde_json::{Value, json};

use crate::pod::containers;
use crate::tree::{field, items};

/// Kinds of volumes that are allowed.
const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
/// Settings of a pod, or of a container, that share something of the node.
const SHARED: [&str; 4] = ["/hostNetwork", "/hostPID", "/hostIPC", "/securityContext/privileged"];

/// What a pod does that the profile forbids; and what ours promise beside: the container with the installer writes
/// nowhere else, and nobody has a token of the cluster.
pub(crate) fn complaints(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            found.push(what);
        }
    };
    expect(pod["automountServiceAccountToken"] == false, "a token is mounted".to_owned());
    for volume in items(&pod["volumes"]) {
        let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
        for kind in kinds {
            expect(VOLUMES.contains(&kind.as_str()), format!("a volume is a {kind}"));
        }
    }
    for place in SHARED {
        expect(pod.pointer(place).is_none_or(|value| *value == false), format!("pod has {place}"));
    }
    for container in containers(pod) {
        let name = field(container, "name");
        let own = |key: &str| {
            let own = &container["securityContext"][key];
            if own.is_null() { &pod["securityContext"][key] } else { own }
        };
        expect(own("runAsNonRoot") == true, format!("{name} may be root"));
        expect(own("runAsUser").as_f64().is_some_and(|user| user > 0.0), format!("{name} has no user by number"));
        expect(
            ["RuntimeDefault", "Localhost"].iter().any(|kind| own("seccompProfile")["type"] == *kind),
            format!("{name} has no seccomp profile"),
        );
        expect(own("seLinuxOptions").is_null() && own("procMount").is_null(), format!("{name} has options of its own"));
        let context = &container["securityContext"];
        expect(context["allowPrivilegeEscalation"] == false, format!("{name} may gain privileges"));
        expect(context["capabilities"] == json!({ "drop": ["ALL"] }), format!("{name} has capabilities"));
        for place in SHARED {
            expect(container.pointer(place).is_none_or(|value| *value == false), format!("{name} has {place}"));
        }
        expect(
            items(&container["ports"]).all(|port| port["hostPort"].is_null()),
            format!("{name} has a port of the node"),
        );
        if name == "install-dynamic-plugins" {
            expect(context["readOnlyRootFilesystem"] == true, format!("{name} writes to its image"));
        }
        for amount in ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/memory"] {
            expect(container.pointer(amount).is_some(), format!("{name} has no {amount}"));
        }
    }
    found
}

#[test]
fn each_rule_can_be_broken() {
    let good = json!({
        "automountServiceAccountToken": false,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "initContainers": [{
            "name": "install-dynamic-plugins",
            "securityContext": {
                "runAsUser": 65532,
                "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
            },
            "resources": { "requests": { "cpu": "1", "memory": "1Gi" }, "limits": { "memory": "1Gi" } },
            "ports": [{ "containerPort": 1 }],
        }],
        "volumes": [{ "name": "a", "emptyDir": {} }],
    });
    assert!(complaints(&good).is_empty());
    let context = |key: &str| format!("/initContainers/0/securityContext/{key}");
    let rows = [
        ("/automountServiceAccountToken".to_owned(), Value::Null),
        ("/securityContext/runAsNonRoot".to_owned(), Value::Null),
        ("/securityContext/seccompProfile".to_owned(), Value::Null),
        ("/securityContext/seccompProfile/type".to_owned(), json!("Unconfined")),
        ("/volumes/0".to_owned(), json!({ "name": "a", "hostPath": { "path": "/" } })),
        ("/initContainers/0/ports/0".to_owned(), json!({ "containerPort": 1, "hostPort": 1 })),
        ("/initContainers/0/resources/limits".to_owned(), Value::Null),
        (context("runAsUser"), json!(0)),
        (context("readOnlyRootFilesystem"), json!(false)),
        (context("allowPrivilegeEscalation"), Value::Null),
        (context("capabilities"), json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] })),
    ];
    for (place, value) in rows {
        let mut pod = good.clone();
        *pod.pointer_mut(&place).unwrap() = value;
        assert_eq!(complaints(&pod).len(), 1, "{place}");
    }
    for place in ["hostNetwork", "hostPID", "hostIPC"] {
        let mut pod = good.clone();
        pod[place] = json!(true);
        assert_eq!(complaints(&pod), [format!("pod has /{place}")]);
    }
    let mut privileged = good;
    privileged["initContainers"][0]["securityContext"]["privileged"] = json!(true);
    assert_eq!(complaints(&privileged).len(), 1);
}
