//! `cargo xtask bench`: the static binaries against their limits, and beside the tools that one would use by hand.

mod again;
mod artifact;
mod limits;
pub(crate) mod machine;
pub(crate) mod noise;
mod packing;
mod plugins;
mod published;
mod script;
mod speed;
mod table;
mod tree;
mod usage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, mem};

use anyhow::{Context as _, ensure};

use crate::dist::{self, Dist};
use table::{Limit, Verdict};

/// The installations that a test looks at: enough of them for memory to show that it grows.
const INSTALLED_IN_TEST: &str = "100 small plugins";

/// A folder in memory, as what a disk has just been through decides how fast it is.
const MEMORY_FOLDER: &str = "/dev/shm";

/// Files of 1 MiB that the publisher packs: the largest plugin known is a tenth of it.
const LARGE_FILES: usize = 300;
/// The same in a test, where they only show the size. The small files are larger than what memory may take.
const LARGE_FILES_OF_TEST: usize = 32;

/// How often things are measured, and what counts as broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Two rounds; too long a time is no failure, because a shared machine may be at fault.
    Quick,
    /// Enough rounds for a median to be worth writing down.
    Full,
}

impl Scale {
    const fn rounds(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Full => 5,
        }
    }
}

/// What is measured.
#[derive(Debug, Default, Clone)]
pub(crate) struct Only(Option<String>);

impl Only {
    /// Everything, or installations about which `text` is said.
    pub(crate) const fn what_holds(text: Option<String>) -> Self {
        Self(text)
    }

    fn takes(&self, about: &str) -> bool {
        self.0.as_ref().is_none_or(|text| about.contains(text.as_str()))
    }

    const fn is_all(&self) -> bool {
        self.0.is_none()
    }
}

/// Measures, prints tables of limits and of tools for each binary, and fails when a limit is broken.
pub(crate) fn run(scale: Scale, only: &Only) -> anyhow::Result<()> {
    let built = dist::run()?;
    let place = Place::new(&built)?;
    let rounds = scale.rounds();
    println!("\n{}", machine::line()?);

    println!("\nbutler-plugin-installer");
    let mut limits = if only.is_all() { limits::measure(&place, &built, rounds)? } else { Vec::new() };
    let mut comparisons = speed::measure(&place, rounds, only)?;
    comparisons.extend(again::measure(&place, rounds, only)?);
    limits.extend(comparisons.iter_mut().flat_map(|comparison| mem::take(&mut comparison.limits)));
    table::print_limits(&limits);
    table::print_comparisons(&comparisons, rounds);
    if !only.is_all() {
        return keep(&limits, scale);
    }

    println!("\nbutler-plugin-publisher");
    let comparisons = packing::measure(&place, LARGE_FILES, rounds)?;
    let publisher = packing::limits(&built.publisher, &comparisons);
    table::print_limits(&publisher);
    for comparison in &comparisons {
        println!("\n{}", comparison.about);
        table::print_packers(&comparison.packers, rounds);
    }
    limits.extend(publisher);
    keep(&limits, scale)
}

/// Measures what has a limit, as one of the tests.
pub(crate) fn check(built: &Dist) -> anyhow::Result<()> {
    let place = Place::new(built)?;
    let mut limits = limits::measure(&place, built, Scale::Quick.rounds())?;
    let only = Only::what_holds(Some(INSTALLED_IN_TEST.to_owned()));
    let installed = speed::measure(&place, Scale::Quick.rounds(), &only)?;
    limits.extend(installed.into_iter().flat_map(|comparison| comparison.limits));
    limits.extend(packing::limits(&built.publisher, &packing::measure(&place, LARGE_FILES_OF_TEST, 1)?));
    table::print_limits(&limits);
    keep(&limits, Scale::Quick)
}

fn keep(limits: &[Limit], scale: Scale) -> anyhow::Result<()> {
    let is_broken = |limit: &&Limit| match limit.verdict() {
        Verdict::Within => false,
        Verdict::TooMuch => true,
        Verdict::TooLong => scale == Scale::Full,
    };
    let broken: Vec<_> = limits.iter().filter(is_broken).map(|limit| limit.what.as_str()).collect();
    ensure!(broken.is_empty(), "over the limit: {}", broken.join("; "));
    Ok(())
}

/// Whose command line and files the installer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Butler,
    Rhdh,
}

impl Dialect {
    /// The installer in a table, with what it is called with.
    const fn installer(self) -> &'static str {
        match self {
            Self::Butler => "butler-plugin-installer",
            Self::Rhdh => "butler-plugin-installer --dialect rhdh",
        }
    }
}

/// Where the binaries are run: everything they read and write lies in one folder in memory.
struct Place {
    installer: PathBuf,
    publisher: PathBuf,
    folder: tempfile::TempDir,
}

impl Place {
    fn new(built: &Dist) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(MEMORY_FOLDER)
            .with_context(|| format!("could not create a folder in `{MEMORY_FOLDER}`"))?;
        Ok(Self { installer: built.installer.path.clone(), publisher: built.publisher.path.clone(), folder })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.at(name);
        fs::write(&path, text).with_context(|| format!("could not write `{}`", path.display()))?;
        Ok(path)
    }

    /// The installer's command line for the list `text`, as the dialect's initContainer has it.
    fn installer(&self, dialect: Dialect, text: &str, root: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.installer);
        command.arg("--config").arg(self.write("dynamic-plugins.yaml", text)?);
        match dialect {
            Dialect::Butler => command.arg("--root").arg(root),
            Dialect::Rhdh => command.arg("--dialect=rhdh").arg(root),
        };
        Ok(command)
    }

    /// Gives `use_it` an empty folder, which is gone afterwards.
    fn with_root<T>(&self, use_it: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let root = tempfile::tempdir_in(self.folder.path()).context("could not create a root")?;
        use_it(root.path())
    }
}

/// The value in the middle; of an even number of them the larger of the two.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.len() / 2;
    times.get_mut(middle).map(mem::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_look_forgives_time_and_nothing_else() {
        let over = |scale, limit| keep(&[Limit::count("crates", 1, 1), limit], scale).is_err();
        let slow = || Limit::time("start", Duration::from_millis(6), Duration::from_millis(5));
        assert!(over(Scale::Full, slow()));
        assert!(!over(Scale::Quick, slow()));
        assert!(over(Scale::Quick, Limit::bytes("binary", 2, 1)));
    }

    #[test]
    fn the_median_ignores_one_slow_round() {
        let times = [5, 1, 900, 4, 3].map(Duration::from_millis);
        assert_eq!(median(times.to_vec()), Duration::from_millis(4));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
