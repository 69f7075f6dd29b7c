//! The same once more, with nothing in its old place: other folders must give the same bytes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::sums::SUMS;
use super::{Place, fill};
use crate::command;

/// Makes all of it again from a copy of the sources, with a cargo home of another name, and compares the sums.
pub(super) fn compare(place: &Place) -> anyhow::Result<()> {
    let elsewhere = tempfile::tempdir().context("could not create a folder to build in again")?;
    let at = |name: &str| elsewhere.path().join(name);
    let again = Place { source: at("copy"), target: at("builds"), dist: at("result"), cargo_home: at("home") };
    copy_sources(&place.source, &again.source)?;
    symlink(&place.cargo_home, &again.cargo_home).context("could not give cargo's home another name")?;
    fill(&again)?;
    let read = |place: &Place| fs::read_to_string(place.dist.join(SUMS)).context("could not read the sums");
    let (here, there) = (read(place)?, read(&again)?);
    let differences = differences(&here, &there);
    if !differences.is_empty() {
        bail!("expected the same bytes from another place, found others in {differences:?}");
    }
    println!("built twice, in two places: the same bytes");
    Ok(())
}

/// What git knows and what it would take in; nothing that was built.
fn copy_sources(from: &Path, to: &Path) -> anyhow::Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let files = command::read(command::program("git", &list).current_dir(from))?;
    for file in files.split_terminator('\0').filter(|file| from.join(file).exists()) {
        let copy = to.join(file);
        let folder = copy.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        super::copy(&from.join(file), &copy)?;
    }
    Ok(())
}

/// The files whose lines are not in both lists.
fn differences<'a>(one: &'a str, other: &'a str) -> BTreeSet<&'a str> {
    let lines = |sums: &'a str| sums.lines().collect::<BTreeSet<_>>();
    let (one, other) = (lines(one), lines(other));
    let file = |line: &&'a str| line.split_once("  ").map_or(*line, |(_, file)| file);
    one.symmetric_difference(&other).map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_that_differs_or_is_missing_is_named_once() {
        let one = "00  a\n11  b\n22  c\n";
        assert!(differences(one, one).is_empty());
        assert_eq!(differences(one, "00  a\n99  b\n33  d\n"), BTreeSet::from(["b", "c", "d"]));
    }
}
