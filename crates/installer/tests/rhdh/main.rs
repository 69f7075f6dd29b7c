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

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::differences::{Difference, written_down};
use crate::outcome::Outcome;
use crate::stage::{Built, Stage};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rhdh");
const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/rhdh.md");

fn scenes() -> Vec<String> {
    let scenes = fs::read_dir(PathBuf::from(FIXTURES).join("scenes")).unwrap();
    let mut names: Vec<_> = scenes.map(|scene| scene.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn scenes_end_as_with_the_original_but_for_what_is_written_down() {
    let built = Built::new();
    let mut found = BTreeSet::new();
    for scene in scenes() {
        let facts = Outcome::recorded(&scene);
        let runs = Stage::new(&built).play(&scene);
        assert_eq!(facts.len(), runs.len(), "{scene}");
        for (number, (theirs, ours)) in facts.iter().zip(&runs).enumerate() {
            found.extend(Difference::between(&scene, number + 1, theirs, ours));
        }
    }
    let expected: BTreeSet<_> = written_down().into_iter().map(|(_, difference)| difference).collect();
    let lines = |these: &BTreeSet<Difference>, those: &BTreeSet<Difference>| {
        these.difference(those).map(|difference| format!("{difference}\n")).collect::<String>()
    };
    let (new, gone) = (lines(&found, &expected), lines(&expected, &found));
    assert!(new.is_empty() && gone.is_empty(), "\nnot written down:\n{new}\nwritten down, but no longer so:\n{gone}");
}

#[test]
fn each_scene_has_a_fact() {
    for scene in scenes() {
        assert!(!Outcome::recorded(&scene).is_empty(), "{scene}");
    }
}

#[test]
fn each_difference_has_a_row_in_the_guide() {
    let guide = fs::read_to_string(GUIDE).unwrap();
    let rows: BTreeSet<_> =
        guide.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" |")?.0.trim())).collect();
    for (row, difference) in written_down() {
        assert!(rows.contains(&*row), "the guide has no row `{row}`, which `{difference}` belongs to");
    }
}
