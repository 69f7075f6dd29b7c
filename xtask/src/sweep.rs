//! `cargo xtask sweep`: the static installer, killed, stopped, crowded and lied to by its volume, thousands of times.
//!
//! Each sweep is one module with one public function. It brings a root into trouble, looks at it as a portal would, and
//! lets the next run show that it heals. Whatever it finds is a failure; nothing is tried twice until it passes.

mod attempt;
mod caching;
mod content;
mod crash;
mod crowd;
mod disk;
mod errors;
mod random;
mod reader;
mod retreat;
mod scene;
mod sight;
mod stop;
mod torn;
mod tracer;
mod volumes;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::bench::machine;
use crate::dist::{self, Dist};
use scene::Scene;

/// Findings that are printed whole; the others are only counted.
const SHOWN: usize = 5;

/// One fault in so many may come too late.
const UNREACHED: usize = 10;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// A few of the points of each sweep, always the same ones: a minute or two.
    Short,
    /// Everything.
    Full,
}

impl Scale {
    /// The one or the other.
    const fn of(self, short: usize, full: usize) -> usize {
        match self {
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// What to sweep with.
pub(crate) struct Wish {
    pub(crate) scale: Scale,
    /// One sweep instead of all.
    pub(crate) only: Option<String>,
    /// An installer instead of the one that is built.
    pub(crate) installer: Option<PathBuf>,
}

/// What became of one sweep.
#[derive(Default)]
struct Swept {
    /// What was tried, and what was seen of it, in words.
    tried: String,
    /// Faults that were brought about.
    faults: usize,
    findings: Vec<String>,
}

impl Swept {
    /// Counts one fault, and what came of it.
    fn take<T>(&mut self, what: impl Display, judged: anyhow::Result<T>) -> Option<T> {
        self.faults += 1;
        judged.map_err(|why| self.findings.push(format!("{what}: {why:#}"))).ok()
    }

    /// A fault comes too late when threads took turns in another way; when many do, nothing was tried.
    fn expect_reached(&mut self, unreached: usize) {
        if self.faults == 0 || unreached * UNREACHED > self.faults {
            self.findings.push(format!("{unreached} faults came too late, and {} in time", self.faults));
        }
    }
}

/// One of the sweeps.
struct Sweep {
    name: &'static str,
    needs: Needs,
    carry_out: fn(&Scene, Scale) -> anyhow::Result<Swept>,
}

/// What a machine has to offer for a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// What every Linux has.
    Nothing,
    /// Programs can be driven from call to call.
    Driver,
}

/// All sweeps, in the order of the report.
const SWEEPS: [Sweep; 23] = [
    Sweep { name: "kill-install", needs: Needs::Driver, carry_out: crash::install },
    Sweep { name: "kill-upgrade", needs: Needs::Driver, carry_out: crash::upgrade },
    Sweep { name: "kill-twice", needs: Needs::Driver, carry_out: crash::twice },
    Sweep { name: "kill-with-cache", needs: Needs::Driver, carry_out: caching::kills },
    Sweep { name: "kill-at-random", needs: Needs::Nothing, carry_out: random::kills },
    Sweep {
        name: "kill-in-commit",
        needs: Needs::Nothing,
        carry_out: |scene, scale| Ok(random::commits(scene, scale)),
    },
    Sweep { name: "kill-in-a-row", needs: Needs::Nothing, carry_out: random::chains },
    Sweep { name: "stop", needs: Needs::Nothing, carry_out: stop::sweep },
    Sweep { name: "torn-files", needs: Needs::Nothing, carry_out: torn::sweep },
    Sweep { name: "power-cut", needs: Needs::Nothing, carry_out: torn::power_cuts },
    Sweep { name: "error", needs: Needs::Driver, carry_out: errors::single },
    Sweep { name: "error-at-sync", needs: Needs::Driver, carry_out: errors::syncing },
    Sweep { name: "error-at-look", needs: Needs::Driver, carry_out: errors::looking },
    Sweep { name: "error-twice", needs: Needs::Driver, carry_out: retreat::sweep },
    Sweep { name: "error-full", needs: Needs::Driver, carry_out: errors::full },
    Sweep { name: "error-broken", needs: Needs::Driver, carry_out: errors::broken },
    Sweep { name: "error-forgiven", needs: Needs::Driver, carry_out: errors::forgiven },
    Sweep { name: "error-in-cache", needs: Needs::Driver, carry_out: caching::errors },
    Sweep { name: "reader", needs: Needs::Nothing, carry_out: reader::sweep },
    Sweep { name: "crowd", needs: Needs::Nothing, carry_out: |scene, scale| Ok(crowd::sweep(scene, scale)) },
    Sweep { name: "volume-slow", needs: Needs::Driver, carry_out: volumes::slow },
    Sweep { name: "volume-lacking", needs: Needs::Driver, carry_out: volumes::lacking },
    Sweep { name: "volume-on-disk", needs: Needs::Nothing, carry_out: disk::sweep },
];

/// Sweeps, prints what was tried, and fails when anything was found.
pub(crate) fn run(wish: &Wish) -> anyhow::Result<()> {
    let chosen: Vec<_> =
        SWEEPS.iter().filter(|sweep| wish.only.as_ref().is_none_or(|only| only == sweep.name)).collect();
    if let (Some(only), []) = (&wish.only, &chosen[..]) {
        bail!("expected one of {}, found `{only}`", SWEEPS.map(|sweep| sweep.name).join(", "));
    }
    match &wish.installer {
        Some(installer) => {
            let installer = installer.canonicalize();
            carry_out(&chosen, wish.scale, &installer.context("could not find the installer")?)
        }
        None => carry_out(&chosen, wish.scale, &dist::run()?.installer.path),
    }
}

/// The short form of all sweeps, as one of the tests.
pub(crate) fn check(built: &Dist) -> anyhow::Result<()> {
    carry_out(&SWEEPS.iter().collect::<Vec<_>>(), Scale::Short, &built.installer.path)
}

fn carry_out(sweeps: &[&Sweep], scale: Scale, installer: &Path) -> anyhow::Result<()> {
    let scene = Scene::in_memory(installer)?;
    println!("\n{}", machine::line()?);
    println!("\n| sweep | what was tried | faults | findings | seconds |\n| --- | --- | ---: | ---: | ---: |");
    let (mut faults, mut found, begin) = (0, Vec::new(), Instant::now());
    for Sweep { name, needs, carry_out } in sweeps {
        if let (Needs::Driver, Some(why)) = (needs, tracer::OBSTACLE) {
            println!("| {name} | {why} | 0 | 0 | 0.0 |");
            continue;
        }
        let start = Instant::now();
        let swept = carry_out(&scene, scale).with_context(|| format!("the sweep `{name}` could not be carried out"))?;
        let seconds = start.elapsed().as_secs_f64();
        println!("| {name} | {} | {} | {} | {seconds:.1} |", swept.tried, swept.faults, swept.findings.len());
        faults += swept.faults;
        found.extend(swept.findings);
    }
    println!("| all | | {faults} | {} | {:.1} |", found.len(), begin.elapsed().as_secs_f64());
    tell(&found)
}

/// Prints the first findings, each with what was done to bring it about.
fn tell(found: &[String]) -> anyhow::Result<()> {
    for finding in found.iter().take(SHOWN) {
        println!("\nfound: {finding}");
    }
    match found.len() {
        0 => Ok(()),
        1 => bail!("1 finding"),
        count => bail!("{count} findings"),
    }
}

#[cfg(test)]
mod tests;
