//! Which crate may use which.

use anyhow::Context as _;
use serde_json::Value;

use super::Complaint;

/// Each member and the members it may use. An edge that is not listed is a complaint; one that is listed and not used
/// is not. `docs/ARCHITECTURE.md` shows the same table, and the reasons.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("integrity", &[]),
    ("transport", &[]),
    ("source", &["integrity"]),
    ("tarball", &["integrity"]),
    ("audit", &["integrity", "source"]),
    ("config", &["integrity", "source"]),
    ("oci", &["integrity", "source", "transport"]),
    ("fetch", &["integrity", "oci", "source", "transport"]),
    ("contract", &["integrity", "tarball"]),
    ("install", &["audit", "config", "fetch", "integrity", "source", "tarball", "transport"]),
    ("installer", &["audit", "config", "fetch", "install", "source", "transport"]),
    ("publish", &["config", "contract", "fetch", "integrity", "oci", "source", "tarball", "transport"]),
    ("publisher", &["audit", "config", "fetch", "oci", "publish", "source", "transport"]),
    ("testkit", &["integrity"]),
    ("fuzz", &["audit", "config", "integrity", "oci", "source", "tarball", "testkit", "transport"]),
    ("xtask", &["audit", "config", "contract", "fetch", "fuzz", "integrity", "oci", "source", "testkit", "transport"]),
];

/// Tests of every member may use these as well.
const TESTS_MAY_USE: [&str; 1] = ["testkit"];

/// A member as `cargo metadata` describes it, with its edges to other members.
#[derive(Debug)]
pub(super) struct Member {
    name: String,
    manifest: String,
    uses: Vec<String>,
    tests_use: Vec<String>,
}

/// Reads the members from what `cargo metadata --no-deps` printed.
pub(super) fn members(metadata: &Value) -> anyhow::Result<Vec<Member>> {
    let root = metadata["workspace_root"].as_str().context("`cargo metadata` names no workspace root")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    packages.iter().map(|package| member(package, root)).collect()
}

fn member(package: &Value, root: &str) -> anyhow::Result<Member> {
    let manifest = package["manifest_path"].as_str().context("a package has no manifest path")?;
    let dependencies = package["dependencies"].as_array().context("a package has no list of dependencies")?;
    let members_used = |in_tests: bool| {
        let is_member = |dependency: &&Value| !dependency["path"].is_null();
        let is_wanted = move |dependency: &&Value| (dependency["kind"] == "dev") == in_tests;
        let name = |dependency: &Value| dependency["name"].as_str().map(short);
        dependencies.iter().filter(is_member).filter(is_wanted).filter_map(name).collect()
    };
    Ok(Member {
        name: short(package["name"].as_str().context("a package has no name")?),
        manifest: manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/').to_owned(),
        uses: members_used(false),
        tests_use: members_used(true),
    })
}

/// The name that the workspace uses inside, from the one it publishes.
fn short(published: &str) -> String {
    published.trim_start_matches("butler-plugins-").trim_start_matches("butler-plugin-").to_owned()
}

/// Complains about every edge that the table does not list.
pub(super) fn check(members: &[Member]) -> Vec<Complaint> {
    members.iter().flat_map(check_member).collect()
}

fn check_member(member: &Member) -> Vec<Complaint> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == member.name) else {
        return vec![Complaint::about(
            &member.manifest,
            format!("`{}` is missing from the table of edges", member.name),
        )];
    };
    let complaint = |used: &String, what: &str| {
        Complaint::about(&member.manifest, format!("{what} `{}` may not use `{used}`", member.name))
    };
    let is_listed = |used: &str| allowed.contains(&used);
    let products = member.uses.iter().filter(|used| !is_listed(used)).map(|used| complaint(used, "crate"));
    let tests = member
        .tests_use
        .iter()
        .filter(|used| !is_listed(used) && !TESTS_MAY_USE.contains(&used.as_str()))
        .map(|used| complaint(used, "tests of"));
    products.chain(tests).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    fn complaints(metadata: &Value) -> Vec<String> {
        shown(&check(&members(metadata).unwrap()))
    }

    fn metadata(name: &str, dependencies: &Value) -> Value {
        let manifest = format!("/w/crates/{name}/Cargo.toml");
        serde_json::json!({
            "workspace_root": "/w",
            "packages": [{ "name": name, "manifest_path": manifest, "dependencies": dependencies }],
        })
    }

    #[test]
    fn an_edge_that_is_not_listed_is_a_complaint() {
        let dependencies = serde_json::json!([
            { "name": "butler-plugin-integrity", "kind": null, "path": "/w/crates/integrity" },
            { "name": "butler-plugin-transport", "kind": null, "path": "/w/crates/transport" },
            { "name": "flate2", "kind": null },
        ]);
        assert_eq!(
            complaints(&metadata("butler-plugin-tarball", &dependencies)),
            ["crates/butler-plugin-tarball/Cargo.toml: crate `tarball` may not use `transport`"]
        );
    }

    #[test]
    fn tests_may_use_the_testkit_and_what_the_crate_may_use() {
        let dependencies = serde_json::json!([
            { "name": "testkit", "kind": "dev", "path": "/w/testkit" },
            { "name": "butler-plugin-integrity", "kind": "dev", "path": "/w/crates/integrity" },
            { "name": "butler-plugin-fetch", "kind": "dev", "path": "/w/crates/fetch" },
        ]);
        assert_eq!(
            complaints(&metadata("butler-plugin-source", &dependencies)),
            ["crates/butler-plugin-source/Cargo.toml: tests of `source` may not use `fetch`"]
        );
    }

    #[test]
    fn a_product_that_uses_the_testkit_is_a_complaint() {
        let dependencies = serde_json::json!([{ "name": "testkit", "kind": null, "path": "/w/testkit" }]);
        assert_eq!(complaints(&metadata("butler-plugin-oci", &dependencies)).len(), 1);
    }

    #[test]
    fn a_new_member_must_enter_the_table() {
        assert_eq!(
            complaints(&metadata("attic", &serde_json::json!([]))),
            ["crates/attic/Cargo.toml: `attic` is missing from the table of edges"]
        );
    }

    #[test]
    fn the_table_lists_only_members_it_knows_and_no_cycle() {
        let position = |name: &str| MAY_USE.iter().position(|(member, _)| *member == name);
        for (name, uses) in MAY_USE {
            assert!(uses.iter().all(|used| position(used) < position(name)), "{name} uses something below it");
        }
    }

    #[test]
    fn the_architecture_shows_the_same_table() {
        let text = include_str!("../../../docs/ARCHITECTURE.md");
        let (_, table) = text.split_once("| crate | may use |\n").unwrap();
        let mut shown = Vec::new();
        for row in table.lines().skip(1).take_while(|row| row.starts_with('|')) {
            let (crates, uses) = row.trim_matches(['|', ' ']).split_once(" | ").unwrap();
            let uses: Vec<_> = uses.split(", ").filter(|name| *name != "–").collect();
            shown.extend(crates.split(", ").map(|name| (name, uses.clone())));
        }
        assert_eq!(shown, MAY_USE.map(|(name, uses)| (name, uses.to_vec())));
    }
}
