//! The files, and what kustomize makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const KUSTOMIZATION: &str = "kustomization.yaml";
/// What tells the items of a list apart when lists are merged.
const LIST_KEYS: [(&str, &str); 5] = [
    ("containers", "name"),
    ("env", "name"),
    ("initContainers", "name"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// Every YAML file of `docs/deploy`, by its path there.
pub(crate) struct Tree {
    folder: PathBuf,
    files: BTreeMap<String, (String, Value)>,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy");
        let mut tree = Self { folder, files: BTreeMap::new() };
        tree.read_below("");
        tree
    }

    fn read_below(&mut self, folder: &str) {
        for entry in fs::read_dir(self.folder.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.read_below(&format!("{path}/"));
            } else if is_manifest(&path) {
                let text = fs::read_to_string(entry.path()).unwrap();
                let value = testkit::yaml(&text);
                self.files.insert(path, (text, value));
            }
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.files.iter().map(|(path, (_, value))| (path.as_str(), value))
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.values().map(|(text, _)| text.as_str())
    }

    /// The folders right below one that have a kustomization.
    pub(crate) fn folders(&self, parent: &str) -> Vec<String> {
        let below = |path: &str| Some(path.strip_suffix(&format!("/{KUSTOMIZATION}"))?.to_owned());
        self.files.keys().filter_map(|path| below(path)).filter(|path| path.starts_with(parent)).collect()
    }

    /// The files that kustomizations list, in order.
    pub(crate) fn listed(&self) -> Vec<String> {
        let kustomizations = self.files().filter(|(path, _)| path.ends_with(KUSTOMIZATION));
        let mut listed: Vec<_> = kustomizations
            .flat_map(|(path, value)| {
                let folder = path.strip_suffix(KUSTOMIZATION).unwrap();
                let resources = texts(&value["resources"]).filter(|name| is_manifest(name));
                let patches = items(&value["patches"]).map(|patch| field(patch, "path"));
                let generated = items(&value["configMapGenerator"]).flat_map(|map| texts(&map["files"]));
                resources.chain(patches).chain(generated).map(move |name| format!("{folder}{name}"))
            })
            .collect();
        listed.sort();
        listed
    }

    /// What kustomize makes of a folder, with a component more.
    pub(crate) fn compose(&self, folder: &str, component: Option<&str>) -> Vec<Value> {
        let mut resources = Vec::new();
        self.add(folder, &mut resources);
        if let Some(component) = component {
            self.add(component, &mut resources);
        }
        resources
    }

    fn add(&self, folder: &str, resources: &mut Vec<Value>) {
        let kustomization = self.value(&format!("{folder}/{KUSTOMIZATION}"));
        for key in kustomization.as_object().unwrap().keys() {
            let known = ["apiVersion", "kind", "namespace", "resources", "components", "configMapGenerator", "patches"];
            assert!(known.contains(&key.as_str()), "{folder}: `{key}` is not read by this test");
        }
        for key in ["resources", "components"] {
            for name in texts(&kustomization[key]) {
                match name.strip_prefix("../../") {
                    Some(other) => self.add(other, resources),
                    None => resources.push(self.value(&format!("{folder}/{name}")).clone()),
                }
            }
        }
        for map in items(&kustomization["configMapGenerator"]) {
            let name = &map["name"];
            if map["behavior"] == "replace" {
                let before = resources.len();
                resources.retain(|resource| resource["metadata"]["name"] != *name || resource["kind"] != "ConfigMap");
                assert_eq!(resources.len() + 1, before, "{folder}: nothing to replace");
            }
            let file = |name: &str| (name.to_owned(), json!(self.files[&format!("{folder}/{name}")].0));
            let data: Value = texts(&map["files"]).map(file).collect::<serde_json::Map<_, _>>().into();
            resources.push(json!({ "kind": "ConfigMap", "metadata": { "name": name }, "data": data }));
        }
        for patch in items(&kustomization["patches"]) {
            assert_eq!(patch["target"], json!({ "kind": "Deployment" }), "{folder}");
            let text = self.value(&format!("{folder}/{}", field(patch, "path")));
            let deployment = resources.iter_mut().find(|resource| resource["kind"] == "Deployment").unwrap();
            merge(&mut deployment["spec"], &text["spec"]);
        }
    }

    fn value(&self, path: &str) -> &Value {
        &self.files.get(path).unwrap_or_else(|| panic!("there is no `{path}`")).1
    }
}

fn is_manifest(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "yaml")
}

/// A text that has to be there.
pub(crate) fn field<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    items(list).map(|item| item.as_str().unwrap())
}

/// Merges a patch as Kubernetes' strategic merge does, as far as the patches here need it.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        let list_key = LIST_KEYS.iter().find(|(list, _)| list == key);
        match (value, list_key) {
            (Value::Null, _) => drop(target.as_object_mut().unwrap().remove(key)),
            (Value::Array(patches), Some((_, name))) => {
                let list = &mut target[key];
                if list.is_null() {
                    *list = json!([]);
                }
                let list = list.as_array_mut().unwrap();
                for patch in patches {
                    match list.iter_mut().find(|item| item[name] == patch[name]) {
                        Some(item) => merge(item, patch),
                        None => list.push(patch.clone()),
                    }
                }
            }
            _ => merge(&mut target[key], value),
        }
    }
}
