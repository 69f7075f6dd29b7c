//! The subcommands, and what each one starts.

use clap::Parser as _;

use crate::{ci, demo, dist, fixtures, test, tidy};

/// The workspace's own commands.
#[derive(clap::Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Publishes two small plugins to a registry of this process and installs them, then a tampered one.
    Demo,
    /// Runs every test; installs what they need, and says so.
    Test,
    /// Checks the rules of the house that neither the compiler nor clippy knows.
    Tidy,
    /// Downloads the real plugins of `fixtures/real.toml`.
    Fixtures,
    /// Builds the static installer and what an image needs into `dist/`.
    Dist,
    /// Everything a change must pass: format, tidy, clippy, docs, cargo-deny, tests.
    Ci,
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<()> {
    match Xtask::parse() {
        Xtask::Demo => demo::run(),
        Xtask::Test => test::run(),
        Xtask::Tidy => tidy::run(),
        Xtask::Fixtures => fixtures::run(),
        Xtask::Dist => dist::run().map(drop),
        Xtask::Ci => ci::run(),
    }
}
