//! Images of several layers, and parts of images.

mod changes;
mod choice;
mod model;

use std::collections::BTreeMap;

use tarball::{Dir, EntryPath, Extracted, Layout, Limits, UnpackError, extract, unpack_layers};
use testkit::Tarball;

use crate::{MANIFEST, Outcome, Told, confined, shown_file, verified};

fn path(text: &str) -> EntryPath {
    EntryPath::parse(text.as_bytes(), &Limits::default()).unwrap()
}

/// A layer with a plugin in `p/`.
fn plugin() -> Tarball {
    Tarball::new().dir("p").file("p/package.json", MANIFEST)
}

fn folder(text: &str) -> Layout {
    Layout::Folder(path(text))
}

/// Unpacks the plugin in `p/`, the lowest layer first.
fn unpacked(layers: &[Tarball]) -> Outcome {
    unpacked_of(layers, &folder("p"), &Limits::default())
}

fn unpacked_of(layers: &[Tarball], layout: &Layout, limits: &Limits) -> Outcome {
    let mut layers: Vec<_> = layers.iter().map(|layer| verified(&layer.gzip())).collect();
    let (result, told, tree) =
        confined(|into: &Dir, told: &mut Told| unpack_layers(&mut layers, layout, into, limits, told));
    if let Ok(unpacked) = &result {
        assert_told(&told, &tree, [unpacked.files(), unpacked.folders(), unpacked.bytes()]);
    }
    Outcome { result, told, tree }
}

fn extracted(layers: &[Tarball], wanted: &[&str]) -> (Result<Extracted, UnpackError>, BTreeMap<String, String>) {
    let mut layers: Vec<_> = layers.iter().map(|layer| verified(&layer.gzip())).collect();
    let wanted: Vec<_> = wanted.iter().copied().map(path).collect();
    let (result, told, tree) =
        confined(|into: &Dir, told: &mut Told| extract(&mut layers, &wanted, into, &Limits::default(), told));
    if let Ok(extracted) = &result {
        assert_told(&told, &tree, [extracted.files(), extracted.folders(), extracted.bytes()]);
    }
    (result, tree)
}

/// That exactly what is there was told and counted.
fn assert_told(told: &BTreeMap<String, String>, tree: &BTreeMap<String, String>, counted: [u64; 3]) {
    let (folders, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tree.clone().into_iter().partition(|(_, shown)| shown.ends_with('/'));
    assert_eq!(*told, files);
    let len = |shown: &String| shown.split(' ').next().unwrap().parse().unwrap_or(0);
    assert_eq!(counted, [files.len() as u64, folders.len() as u64, files.values().map(len).sum::<u64>()]);
}

/// A tree as a test writes it: `d/` a folder, `l -> t` a link, `f=x` a file of that content.
fn tree(written: &str) -> BTreeMap<String, String> {
    let node = |text: &str| match (text.split_once('='), text.split_once("->"), text.strip_suffix('/')) {
        (Some((path, content)), _, _) => (path.to_owned(), shown_file(content.as_bytes(), 0o644)),
        (_, Some((path, target)), _) => (path.to_owned(), format!("-> {target}")),
        (_, _, Some(path)) => (path.to_owned(), "755/".to_owned()),
        _ => panic!("{text}"),
    };
    written.split_whitespace().map(node).collect()
}

/// Without the manifest that every plugin has.
fn rest(outcome: &Outcome) -> BTreeMap<String, String> {
    let mut tree = outcome.tree.clone();
    tree.remove("package.json").unwrap();
    tree
}
