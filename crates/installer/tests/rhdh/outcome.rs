//! What came of a run, as it was recorded of the original and as it is found of ours.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use testkit::sha256_digest;

use crate::{FIXTURES, log};

/// The merged configuration.
pub(crate) const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";

/// What can be compared of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i64,
    pub(crate) log: Vec<String>,
    /// Whether standard error has a last word.
    pub(crate) failure: bool,
    pub(crate) config: Value,
    pub(crate) root: Listing,
    pub(crate) entities: Listing,
}

/// What lies at each path.
pub(crate) type Listing = BTreeMap<String, String>;

impl Outcome {
    /// What the original gave for a scene, run by run.
    pub(crate) fn recorded(scene: &str) -> Vec<Self> {
        let path = format!("{FIXTURES}/facts/{scene}.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("`{path}`: {error}"));
        let fact: Value = serde_json::from_str(&text).unwrap();
        fact["runs"].as_array().unwrap().iter().map(Self::of_fact).collect()
    }

    fn of_fact(run: &Value) -> Self {
        let lines = |stream: &str| {
            let lines = run[stream].as_array().unwrap();
            lines.iter().map(|line| line.as_str().unwrap().to_owned() + "\n").collect::<String>()
        };
        Self {
            status: run["status"].as_i64().unwrap(),
            log: log::client_lines(&lines("stdout")),
            failure: log::failure(&lines("stderr")),
            config: run["config"].clone(),
            root: listing(&run["root"]),
            entities: listing(&run["entities"]),
        }
    }
}

/// Neither program's own files are compared.
fn is_compared(path: &str) -> bool {
    let is_hash = Path::new(path).extension().is_some_and(|extension| extension == "hash");
    !(is_hash || path.starts_with(".butler-plugins.") || path.contains(".catalog-entities."))
}

fn listing(entries: &Value) -> Listing {
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let entries = entries.iter().map(|entry| {
        let (path, executable) = (text(entry, "path"), entry["executable"] == true);
        let what = match &*text(entry, "kind") {
            "link" => link(&text(entry, "target")),
            "folder" => "folder".to_owned(),
            _ if path == APP_CONFIG => config_file(entry["size"] == 0),
            // The text of a hash file stands in place of its hash.
            _ => file(entry["size"].as_u64().unwrap(), executable, entry["sha256"].as_str().unwrap_or_default()),
        };
        (path, what)
    });
    entries.filter(|(path, _)| is_compared(path)).collect()
}

/// What is below a folder; nothing if there is none.
pub(crate) fn tree(folder: &Path, shown: impl Fn(&str) -> String) -> Listing {
    let (mut listing, mut open) = (Listing::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = shown(path.strip_prefix(folder).unwrap().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            let what = if kind.is_symlink() {
                link(fs::read_link(&path).unwrap().to_str().unwrap())
            } else if kind.is_dir() {
                open.push(path);
                "folder".to_owned()
            } else if name == APP_CONFIG {
                config_file(entry.metadata().unwrap().len() == 0)
            } else {
                content(&path)
            };
            listing.insert(name, what);
        }
    }
    listing.retain(|path, _| is_compared(path));
    listing
}

fn content(path: &Path) -> String {
    let mut bytes = Vec::new();
    let mut opened = fs::File::open(path).unwrap();
    opened.read_to_end(&mut bytes).unwrap();
    let executable = opened.metadata().unwrap().permissions().mode() & 0o100 != 0;
    let digest = sha256_digest(&bytes);
    file(bytes.len() as u64, executable, digest.trim_start_matches("sha256:"))
}

fn link(target: &str) -> String {
    format!("link to {target}")
}

/// What is in it is compared as a value.
fn config_file(is_empty: bool) -> String {
    if is_empty { "empty".to_owned() } else { "file".to_owned() }
}

fn file(size: u64, executable: bool, sha256: &str) -> String {
    format!("{} of {size} bytes, {sha256}", if executable { "program" } else { "file" })
}
