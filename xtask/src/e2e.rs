//! `cargo xtask e2e …`: what others do with the plugins we install.

mod browser;
mod page;

/// What to try.
#[derive(clap::Subcommand)]
pub(crate) enum Part {
    /// The page that stands in for a portal's frontend, without a portal.
    Page,
}

/// Programs that are started, and the Debian packages that hold them.
const NEEDED: [(&str, &str); 2] = [("npm", "npm"), ("chromium", "chromium")];

/// Tries it.
pub(crate) fn run(part: &Part) -> anyhow::Result<()> {
    crate::test::install_missing(&NEEDED)?;
    match part {
        Part::Page => page::run(),
    }
}
