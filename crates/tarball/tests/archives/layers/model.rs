//! Random layers, compared with a map that is changed step by step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use testkit::Tarball;

use super::{extracted, unpacked};
use crate::{MANIFEST, shown_file};

const PATHS: [&str; 10] = ["a", "b", "a/a", "a/b", "b/a", "a-b", "a/a/a", "a/a/b", "a/b/c", "b/a/c"];

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Folder,
    File(String),
    Symlink,
    HardLink(String),
}

/// One wish for a layer: what, where, with which other path, and where among the others a whiteout stands.
type Wish = (u8, usize, usize, usize);
type Tree = BTreeMap<String, Node>;

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Fulfils the wishes that a well-formed layer can have, and applies them to what the layers below have made: whiteouts
/// first, though they may stand anywhere.
fn layer(wishes: &[Wish], state: &mut Tree, content: &mut u32) -> Vec<(String, Node)> {
    let mut hidden: BTreeSet<(usize, String, String)> = BTreeSet::new();
    for &(what, at, _, place) in wishes {
        let path = PATHS[at % PATHS.len()];
        let (marker, whole) = match what {
            0 => {
                let (parent, name) = path.rsplit_once('/').map_or(("", path), |(parent, name)| (parent, name));
                (format!("{parent}/.wh.{name}"), true)
            }
            1 => (format!("{path}/.wh..wh..opq"), false),
            2 => ("/.wh..wh..opq".to_owned(), false),
            _ => continue,
        };
        let folder = if what == 2 { "" } else { path };
        if hidden.iter().all(|(_, other, _)| *other != marker) {
            state.retain(|path, _| !(is_below(path, folder) || whole && path == folder));
            hidden.insert((place, marker, folder.to_owned()));
        }
    }

    let mut own: Vec<(String, Node)> = Vec::new();
    for &(what, at, other, _) in wishes {
        let path = PATHS[at % PATHS.len()];
        let named = |path: &str| own.iter().find(|(name, _)| name == path).map(|(_, node)| node);
        let in_the_way = |path: &str| named(path).is_some_and(|node| *node != Node::Folder);
        let taken = named(path).is_some() || above(path).any(in_the_way);
        if taken || (what != 3 && own.iter().any(|(name, _)| is_below(name, path))) {
            continue;
        }
        let node = match what {
            3 => Node::Folder,
            4..=6 => {
                *content += 1;
                Node::File(format!("{content}"))
            }
            7 => Node::Symlink,
            8 => {
                let target = PATHS[other % PATHS.len()];
                let gone = target == path || is_below(target, path) || above(target).any(|folder| folder == path);
                let lost = above(path).any(|folder| folder == target);
                match state.get(target) {
                    Some(Node::File(_)) if !gone && !lost => Node::HardLink(target.to_owned()),
                    _ => continue,
                }
            }
            _ => continue,
        };
        let missing: Vec<_> = above(path).filter(|folder| named(folder).is_none()).map(str::to_owned).collect();
        for folder in missing {
            // A hard link whose target goes with this folder is not wished for.
            if state.get(&folder) != Some(&Node::Folder) {
                state.insert(folder.clone(), Node::Folder);
            }
            own.push((folder, Node::Folder));
        }
        if node != Node::Folder {
            state.retain(|other, _| !is_below(other, path));
        }
        let there = match &node {
            Node::HardLink(target) => state[target].clone(),
            other => other.clone(),
        };
        state.insert(path.to_owned(), there);
        own.push((path.to_owned(), node));
    }

    let mut entries = own;
    for (place, marker, _) in hidden {
        let marker = marker.trim_start_matches('/').to_owned();
        // Below a file of the same layer there is nothing left to hide.
        let below_file =
            above(&marker).any(|folder| entries.iter().any(|(name, node)| name == folder && *node != Node::Folder));
        if !below_file {
            entries.insert(place % (entries.len() + 1), (marker, Node::File(String::new())));
        }
    }
    entries
}

fn archive(entries: &[(String, Node)], prefix: &str) -> Tarball {
    entries.iter().fold(Tarball::new(), |tar, (name, node)| {
        let name = format!("{prefix}{name}");
        match node {
            Node::Folder => tar.dir(name),
            Node::File(content) => tar.file(name, content),
            Node::Symlink => tar.symlink(name, "nowhere"),
            Node::HardLink(target) => tar.hardlink(name, format!("{prefix}{target}")),
        }
    })
}

fn shown(state: &Tree) -> BTreeMap<String, String> {
    let node = |(path, node): (&String, &Node)| {
        let shown = match node {
            Node::Folder => "755/".to_owned(),
            Node::File(content) => shown_file(content.as_bytes(), 0o644),
            Node::Symlink => "-> nowhere".to_owned(),
            Node::HardLink(_) => unreachable!("a hard link is a file"),
        };
        (path.clone(), shown)
    };
    state.iter().map(node).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_make_what_a_map_makes_of_them(
        wishes in vec(vec((0..9_u8, 0..100_usize, 0..100_usize, 0..100_usize), 0..12), 2..5),
    ) {
        let (mut state, mut content) = (Tree::new(), 0);
        let layers: Vec<_> = wishes.iter().map(|wishes| layer(wishes, &mut state, &mut content)).collect();

        let plain: Vec<_> = layers.iter().map(|entries| archive(entries, "./")).collect();
        let (result, found) = extracted(&plain, &["a", "b", "a-b"]);
        prop_assert!(result.is_ok(), "{result:?} of {layers:?}");
        prop_assert_eq!(found, shown(&state), "of {:?}", layers);

        let mut plugin: Vec<_> = layers.iter().map(|entries| archive(entries, "p/")).collect();
        plugin.push(Tarball::new().file("p/package.json", MANIFEST));
        let outcome = unpacked(&plugin);
        prop_assert_eq!(outcome.reason(), "accepted", "{:?} of {:?}", outcome.result, layers);
        prop_assert_eq!(super::rest(&outcome), shown(&state), "of {:?}", layers);
    }
}
