//! The subcommands, and what each one starts.

use std::path::PathBuf;

use clap::Parser as _;

use crate::bench::{Only, Scale};
use crate::dist::Proof;
use crate::docs::Pages;
use crate::sweep::Wish;
use crate::{bench, ci, demo, dist, docs, e2e, fixtures, fuzz, package, registry, sweep, test, tidy};

/// The workspace's own commands.
#[derive(clap::Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Publishes two small plugins to a registry of this process and installs them, then a tampered one.
    Demo,
    /// An open registry on `localhost:5000`, in memory, for trying things out; until it is interrupted.
    Registry,
    /// Runs every test; installs what they need, and says so.
    Test,
    /// Checks the rules of the house that neither the compiler nor clippy knows.
    Tidy,
    /// Brings what tests need of others: real plugins, the exporter's output for ours, a client of registries.
    Fixtures {
        /// The packages of 200 publishers, and nothing else
        #[arg(long)]
        sample: bool,
    },
    /// Writes the reference pages, man pages and completions into `target/docs/`, and all documents as a site into
    /// `target/book/`.
    Docs {
        /// Write no page, but complain about those that are not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Packs the libraries as a registry of crates gets them, and builds each one from the packages.
    Package,
    /// Makes what is released into `dist/`: static binaries, what is linked into them, the image, and sums.
    Dist {
        /// Make all of it again in another place, and compare the bytes
        #[arg(long)]
        twice: bool,
        /// Push the image: `oci://registry/repository:tag`
        #[arg(long, value_name = "REFERENCE")]
        push: Option<String>,
    },
    /// Measures the static programs against their limits, and beside curl, sha512sum, tar and gzip.
    Bench {
        /// Two rounds, and times that are too long are shown but no failure
        #[arg(long)]
        quick: bool,
        /// Only installations whose description holds this, such as `50 plugins`
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Looks for bytes for which something does not hold, and keeps what it learns for the tests.
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// One target instead of all
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
    },
    /// Kills, stops and crowds the static installer on a volume that fails, and looks at what a portal would see.
    Sweep {
        /// Every point of every sweep; else a few, always the same ones
        #[arg(long)]
        full: bool,
        /// One sweep instead of all
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
        /// A static installer instead of the one that is built
        #[arg(long, value_name = "FILE")]
        installer: Option<PathBuf>,
    },
    /// Tries what others do with the plugins: needs npm, Chromium, and a registry to bring packages from.
    E2e {
        #[command(subcommand)]
        part: e2e::Part,
    },
    /// Everything a change must pass: format, tidy, clippy, pages, docs, packages, cargo-deny, tests, a real portal.
    Ci,
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<()> {
    match Xtask::parse() {
        Xtask::Demo => demo::run(),
        Xtask::Registry => registry::run(),
        Xtask::Test => test::run(),
        Xtask::Tidy => tidy::run(),
        Xtask::Fixtures { sample: false } => fixtures::run(),
        Xtask::Fixtures { sample: true } => fixtures::sample(),
        Xtask::Docs { check: false } => docs::run(Pages::Write),
        Xtask::Docs { check: true } => docs::run(Pages::Check),
        Xtask::Package => package::run(),
        Xtask::Dist { twice, push } => {
            dist::release(&dist::Wish { push, proof: if twice { Proof::Twice } else { Proof::None } })
        }
        Xtask::Bench { quick, only } => {
            bench::run(if quick { Scale::Quick } else { Scale::Full }, &Only::what_holds(only))
        }
        Xtask::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
        Xtask::Sweep { full, only, installer } => {
            sweep::run(&Wish { scale: if full { sweep::Scale::Full } else { sweep::Scale::Short }, only, installer })
        }
        Xtask::E2e { part } => e2e::run(part),
        Xtask::Ci => ci::run(),
    }
}
