//! What is linked into a binary, as a `CycloneDX` 1.6 document (ECMA-424).
//!
//! cargo says which packages those are and what they use, `Cargo.lock` what their archives hash to. The document names
//! no time and no number of its own, so that the same binary has the same one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{Place, build};
use crate::command;

/// A package, in the order in which it is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    /// Of its package URL: `cargo` for what cargo downloads. Ours are published nowhere, and whatever has such a name in
    /// a registry one day is none of them.
    ecosystem: Option<&'static str>,
}

/// Who uses whom directly. Each package is a key.
type Graph = BTreeMap<Package, BTreeSet<Package>>;

/// Describes the binary of a package; `sha256` is the binary's own.
pub(super) fn sbom(place: &Place, package: &str, sha256: &str) -> anyhow::Result<Value> {
    // Procedural macros run while others compile; nothing of them is linked.
    let form = ["--edges=normal,no-proc-macro", "--prefix=depth", "--format={p}\t{l}"];
    let tree = build::tree(place, package, &form)?;
    let (root, mut graph) = graph(&tree)?;
    let rustc = command::read(command::program("rustc", &["--version"]).current_dir(&place.source))?;
    add_library(&mut graph, &standard_library(&rustc)?);
    let lock = place.source.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("could not read `{}`", lock.display()))?;
    document(&root, &graph, &checksums(&lock), sha256)
}

/// Reads what `cargo tree --prefix depth` prints: a package a line, deeper under whoever uses it.
fn graph(tree: &str) -> anyhow::Result<(Package, Graph)> {
    let mut graph = Graph::new();
    let mut way: Vec<Package> = Vec::new();
    for line in tree.lines() {
        let (depth, package) = node(line).with_context(|| format!("`cargo tree` printed `{line}`"))?;
        ensure!(depth <= way.len(), "`cargo tree` printed `{line}` under nothing");
        way.truncate(depth);
        if let Some(user) = way.last().and_then(|user| graph.get_mut(user)) {
            user.insert(package.clone());
        }
        graph.entry(package.clone()).or_default();
        way.push(package);
    }
    let root = way.into_iter().next().context("`cargo tree` printed nothing")?;
    Ok((root, graph))
}

/// `2name v1.2.3\tlicence`, or `2name v1.2.3 (/folder)\tlicence` of one of ours.
fn node(line: &str) -> Option<(usize, Package)> {
    let (package, licence) = line.split_once('\t')?;
    let start = package.find(|c: char| !c.is_ascii_digit())?;
    let (depth, package) = package.split_at(start);
    let mut words = package.split(' ');
    let (name, version) = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
    // As it was written before there were expressions.
    let licence = licence.replace('/', " OR ");
    let ecosystem = words.next().is_none().then_some("cargo");
    Some((depth.parse().ok()?, Package { name, version, licence, ecosystem }))
}

/// The library that each of them is linked with. It stands for what comes in its archive: the C library, too.
fn standard_library(rustc: &str) -> anyhow::Result<Package> {
    let version = rustc.split(' ').nth(1).with_context(|| format!("`rustc --version` printed `{rustc}`"))?;
    let licence = "MIT OR Apache-2.0".to_owned();
    Ok(Package { name: "rust-std".to_owned(), version: version.to_owned(), licence, ecosystem: Some("generic") })
}

fn add_library(graph: &mut Graph, library: &Package) {
    for used in graph.values_mut() {
        used.insert(library.clone());
    }
    graph.insert(library.clone(), BTreeSet::new());
}

/// The SHA-256 of each package's archive, by name and version, as `Cargo.lock` lists them.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let packages = lock.split("[[package]]").skip(1);
    let text = |package| Some(((value(package, "name")?, value(package, "version")?), value(package, "checksum")?));
    packages.filter_map(text).collect()
}

fn value<'a>(package: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = package.split_once(&format!("\n{key} = \""))?;
    rest.split('"').next()
}

fn document(
    root: &Package,
    graph: &Graph,
    checksums: &BTreeMap<(&str, &str), &str>,
    sha256: &str,
) -> anyhow::Result<Value> {
    for package in graph.keys() {
        ensure!(!package.licence.is_empty(), "expected a licence of `{}`, found none", package.name);
    }
    let checksum = |package: &Package| checksums.get(&(package.name.as_str(), package.version.as_str())).copied();
    let components: Vec<_> = graph
        .keys()
        .filter(|package| *package != root)
        .map(|package| component(package, "library", checksum(package)))
        .collect();
    let dependencies: Vec<_> = graph
        .iter()
        .map(|(package, used)| json!({ "ref": id(package), "dependsOn": used.iter().map(id).collect::<Vec<_>>() }))
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(root, "application", Some(sha256)) },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package, kind: &str, sha256: Option<&str>) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": id(package),
        "name": package.name,
        "version": package.version,
        "licenses": [{ "expression": package.licence }],
    });
    if let Some(purl) = purl(package) {
        component["purl"] = purl.into();
    }
    if let Some(sha256) = sha256 {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    }
    component
}

/// What it is called within the document.
fn id(package: &Package) -> String {
    purl(package).unwrap_or_else(|| format!("{}@{}", package.name, package.version))
}

fn purl(Package { name, version, ecosystem, .. }: &Package) -> Option<String> {
    // A version's `+` stands for a space in an address.
    ecosystem.map(|ecosystem| format!("pkg:{ecosystem}/{name}@{}", version.replace('+', "%2B")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0app v0.1.0 (/x)\tApache-2.0\n1b v1.0.0\tMIT/Apache-2.0\n2c v2.0.0+k\tZlib\n1c v2.0.0+k\tZlib\n1ours v0.1.0 (/x/y)\tApache-2.0\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"b\",\n]\n\n\
        [[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"b1\"\n\n\
        [[package]]\nname = \"c\"\nversion = \"2.0.0+k\"\nsource = \"registry\"\nchecksum = \"c2\"\n\n\
        [[package]]\nname = \"c\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"c1\"\n";

    #[test]
    fn document_lists_each_package_once_with_its_archive_and_what_it_uses() {
        let (root, mut graph) = graph(TREE).unwrap();
        add_library(&mut graph, &standard_library("rustc 1.95.0 (hash date)\n").unwrap());
        let found = document(&root, &graph, &checksums(LOCK), "a0").unwrap();
        let package = |name: &str, version: &str, licence: &str, purl: &str, sha256: &str| {
            json!({
                "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
                "licenses": [{ "expression": licence }], "hashes": [{ "alg": "SHA-256", "content": sha256 }],
            })
        };
        let (app, ours, b, c) = ("app@0.1.0", "ours@0.1.0", "pkg:cargo/b@1.0.0", "pkg:cargo/c@2.0.0%2Bk");
        let library = "pkg:generic/rust-std@1.95.0";
        let expected = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "application", "bom-ref": app, "name": "app", "version": "0.1.0",
                    "licenses": [{ "expression": "Apache-2.0" }], "hashes": [{ "alg": "SHA-256", "content": "a0" }],
                },
            },
            "components": [
                package("b", "1.0.0", "MIT OR Apache-2.0", b, "b1"),
                package("c", "2.0.0+k", "Zlib", c, "c2"),
                {
                    "type": "library", "bom-ref": ours, "name": "ours", "version": "0.1.0",
                    "licenses": [{ "expression": "Apache-2.0" }],
                },
                {
                    "type": "library", "bom-ref": library, "name": "rust-std", "version": "1.95.0", "purl": library,
                    "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                },
            ],
            "dependencies": [
                { "ref": app, "dependsOn": [b, c, ours, library] },
                { "ref": b, "dependsOn": [c, library] },
                { "ref": c, "dependsOn": [library] },
                { "ref": ours, "dependsOn": [library] },
                { "ref": library, "dependsOn": [] },
            ],
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_tree_is_an_error() {
        let rows = [
            ("nothing", "", "printed nothing"),
            ("no version", "0app\tMIT\n", "printed `0app\tMIT`"),
            ("under nothing", "0app v1.0.0\tMIT\n2b v1.0.0\tMIT\n", "under nothing"),
        ];
        for (name, tree, wrong) in rows {
            let error = graph(tree).unwrap_err().to_string();
            assert!(error.contains(wrong), "{name}: {error}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_an_error() {
        let (root, graph) = graph("0app v0.1.0\t\n").unwrap();
        let error = document(&root, &graph, &BTreeMap::new(), "a0").unwrap_err().to_string();
        assert_eq!(error, "expected a licence of `app`, found none");
    }
}
