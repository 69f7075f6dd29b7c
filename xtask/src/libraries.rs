//! What is written about the libraries, for those who build on them: the list of each one's public items, which shows a
//! break before it is made, and the page that a registry of crates shows.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use public_api::Builder;
use serde_json::Value;

use crate::command::{self, cargo};
use crate::workspace;

/// Where the lists lie.
const LISTS: &str = "docs/reference/api";
/// The folder of the crates.
const CRATES: &str = "crates";
/// Where the sources are.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// What nearly every type is, and nobody writes down. A type that is not `Send` or `Sync` says so, and stays.
const SILENT: [&str; 7] = [
    " core::marker::Send for ",
    " core::marker::Sync for ",
    " core::marker::Unpin for ",
    "core::marker::UnsafeUnpin for ",
    "core::marker::Freeze for ",
    "core::marker::StructuralPartialEq for ",
    "core::panic::unwind_safe::",
];

/// A library that is published.
pub(crate) struct Library {
    /// `butler-plugin-source`.
    pub(crate) name: String,
    /// `source`: its folder, and what it is called in code.
    pub(crate) short: String,
}

/// The libraries that are published, in cargo's order.
pub(crate) fn published() -> anyhow::Result<Vec<Library>> {
    let metadata = workspace::metadata()?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let library = |package: &Value| {
        let name = package["name"].as_str()?;
        let is_published = package["publish"].is_null();
        is_published
            .then(|| Library { name: name.to_owned(), short: name.trim_start_matches("butler-plugin-").to_owned() })
    };
    Ok(packages.iter().filter_map(library).collect())
}

/// The flags that choose the published libraries.
pub(crate) fn chosen(libraries: &[Library]) -> impl Iterator<Item = &str> {
    libraries.iter().flat_map(|library| ["--package", library.name.as_str()])
}

/// The pages about the libraries: where each lies, seen from the other pages, and its text.
pub(crate) fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let libraries = published()?;
    let described = describe(&libraries)?;
    let mut pages = Vec::new();
    for library in &libraries {
        let Library { name, short } = library;
        let source = workspace::root().join("crates").join(short).join("src/lib.rs");
        let source =
            fs::read_to_string(source).with_context(|| format!("could not read the front page of `{name}`"))?;
        pages.push((format!("{CRATES}/{short}/README.md"), readme(library, &source)));
        let list = list(&described.join(short).with_extension("json"))
            .with_context(|| format!("could not list what `{name}` makes public"))?;
        pages.push((format!("{LISTS}/{short}.txt"), list));
    }
    Ok(pages)
}

/// Has rustdoc describe the libraries as JSON, and returns the folder of the descriptions.
fn describe(libraries: &[Library]) -> anyhow::Result<PathBuf> {
    let mut cargo = cargo(&["doc", "--quiet", "--no-deps", "--lib", "--locked"]);
    cargo.args(chosen(libraries));
    cargo.env("RUSTDOC", workspace::root().join("xtask/rustdoc-with-json"));
    command::run(cargo.env("RUSTDOCFLAGS", "-Z unstable-options --output-format json"))?;
    Ok(workspace::target()?.join("doc"))
}

/// The public items of a library, one a line, from what rustdoc says of it.
fn list(described: &Path) -> anyhow::Result<String> {
    let builder = Builder::from_rustdoc_json(described).omit_blanket_impls(true);
    let by_hand = builder.clone().omit_auto_trait_impls(true).omit_auto_derived_impls(true).build()?;
    let by_hand: HashSet<_> = by_hand.items().map(ToString::to_string).collect();
    let all = builder.build()?;
    // Of what is derived the first line is enough: the trait decides the others.
    let is_told = |line: &String| by_hand.contains(line) || line.starts_with("impl");
    let is_silent = |line: &String| line.starts_with("impl") && SILENT.iter().any(|silent| line.contains(silent));
    let lines = all.items().map(ToString::to_string).filter(|line| is_told(line) && !is_silent(line));
    Ok(lines.map(|line| line + "\n").collect())
}

/// The page that a registry of crates shows: the front page's first sentence and first example.
fn readme(library: &Library, source: &str) -> String {
    let Library { name, short } = library;
    let page = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut page = page.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let sentence: Vec<_> = page.by_ref().take_while(|line| !line.is_empty()).collect();
    let example = page.skip_while(|line| !line.starts_with("```")).skip(1).take_while(|line| *line != "```");
    // Lines that begin so are for the compiler.
    let example: Vec<_> = example.filter(|line| *line != "#" && !line.starts_with("# ")).collect();
    format!(
        "# {name}\n\n{}\n\n```rust\n{}\n```\n\nIn code the crate is called `{short}`. The front page of its documentation says \
         what leads to what, and what it refuses.\n\nIt is a part of [Butler Plugins]({REPOSITORY}). This page is written by \
         `cargo xtask docs`.\n",
        sentence.join("\n"),
        example.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_is_the_first_sentence_and_the_first_example() {
        let library = Library { name: "butler-plugin-x".into(), short: "x".into() };
        let source =
            "//! What it is.\n//!\n//! ```no_run\n//! # fn f() {\n//! let a = 1;\n//! # }\n//! ```\n//!\n//! More.\n";
        let page = readme(&library, source);
        assert!(page.starts_with("# butler-plugin-x\n\nWhat it is.\n\n```rust\nlet a = 1;\n```\n\nIn code"), "{page}");
        assert!(!page.contains("More."), "{page}");
    }

    #[test]
    fn what_is_published_are_the_libraries_and_nothing_else() {
        let published: Vec<_> = published().unwrap().into_iter().map(|library| library.short).collect();
        assert!(published.contains(&"source".to_owned()), "{published:?}");
        for kept in ["installer", "publisher", "testkit", "butler-plugins-fuzz", "xtask"] {
            assert!(!published.contains(&kept.to_owned()), "{kept}");
        }
    }

    #[test]
    fn types_of_other_projects_stand_in_no_signature_but_those_of_serde() {
        let libraries = published().unwrap();
        let known = ["alloc", "core", "std", "serde_core", "serde_json"];
        let is_known = |root: &str| known.contains(&root) || libraries.iter().any(|library| library.short == root);
        for Library { short, .. } in &libraries {
            let list = workspace::root().join(LISTS).join(short).with_extension("txt");
            let list = fs::read_to_string(list).unwrap();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            for path in list.split(|c| !is_name(c)).filter(|path| !path.starts_with(':')) {
                if let Some((root, _)) = path.split_once("::") {
                    assert!(root.starts_with(char::is_uppercase) || is_known(root), "{short}: {path}");
                }
            }
        }
    }
}
