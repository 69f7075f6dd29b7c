//! The scenes of `fixtures/rhdh`, played by the real binary and compared with what the original gave.
//!
//! What differs is written down in `differences.txt`, each under the name of its row in the guide, and nothing else may.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

mod app_config;
mod differences;
mod log;
mod outcome;
mod stage;

use std::fs;
use std::path::Path;

use crate::differences::{between, without, written_down};
use crate::outcome::Outcome;
use crate::stage::{Built, Stage};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rhdh");
const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/rhdh.md");

/// The names in a folder of the fixtures, without what they end with, in order.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(FIXTURES).join(folder)).unwrap();
    let stem = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn scenes_end_as_with_the_original_but_for_what_is_written_down() {
    let built = Built::new();
    let mut found = Vec::new();
    for scene in names("scenes") {
        let (facts, runs) = (Outcome::recorded(&scene), Stage::new(&built).play(&scene));
        assert_eq!(facts.len(), runs.len(), "{scene}");
        for (number, (theirs, ours)) in facts.iter().zip(&runs).enumerate() {
            found.extend(between(&scene, number + 1, theirs, ours));
        }
    }
    let expected: Vec<_> = written_down().into_iter().map(|(_, difference)| difference).collect();
    let (new, _) = without(&found, &expected);
    let (gone, _) = without(&expected, &found);
    let shown = |differences: &[&str]| differences.join("\n");
    assert!(
        new.is_empty() && gone.is_empty(),
        "\nnot written down:\n{}\nwritten down, but no longer so:\n{}",
        shown(&new),
        shown(&gone)
    );
}

#[test]
fn each_scene_has_a_fact_of_either_original() {
    for facts in ["facts", "facts-python"] {
        assert_eq!(names("scenes"), names(facts));
    }
}

#[test]
fn each_difference_has_a_row_in_the_guide() {
    let guide = fs::read_to_string(GUIDE).unwrap();
    let rows: Vec<_> = guide.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")).collect();
    for (row, difference) in written_down() {
        assert!(rows.iter().any(|(name, _)| *name == row), "the guide has no row `{row}` for `{difference}`");
    }
}
