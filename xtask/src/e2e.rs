//! `cargo xtask e2e …`: what others do with the plugins we install.

mod author;
mod browser;
mod host;
mod http;
mod installer;
mod market;
mod page;
mod plugins;
mod portal;
mod process;
mod stage;
mod story;

use std::path::PathBuf;

/// What to try.
#[derive(clap::Subcommand)]
pub(crate) enum Part {
    /// The page that stands in for a portal's frontend, without a portal.
    Page,
    /// A real portal on what our installer brings: our plugins and published ones, a tampered one, an upgrade.
    Portal {
        /// Where the picture of the page goes [default: e2e/portal.png in the target directory]
        #[arg(long, value_name = "FILE")]
        screenshot: Option<PathBuf>,
        /// Instead of all that, one published plugin (oci://…, https://…); logins and CAs as the installer takes them
        /// from the environment
        #[arg(long, value_name = "URI", requires = "integrity")]
        plugin: Option<String>,
        /// The plugin's integrity, as an operator pins it
        #[arg(long, value_name = "INTEGRITY", requires = "plugin")]
        integrity: Option<String>,
    },
}

/// Programs that are started, and the Debian packages that hold them.
const NEEDED: [(&str, &str); 8] = [
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("make", "make"),
    ("g++", "g++"),
    ("docker-registry", "docker-registry"),
    (market::NGINX, "nginx"),
    ("chromium", "chromium"),
];

/// What every change must pass: all that a portal shows.
pub(crate) fn check() -> anyhow::Result<()> {
    run(Part::Portal { screenshot: None, plugin: None, integrity: None })
}

/// Tries it.
pub(crate) fn run(part: Part) -> anyhow::Result<()> {
    crate::test::install_missing(&NEEDED)?;
    match part {
        Part::Page => page::run(),
        Part::Portal { screenshot, plugin: Some(package), integrity: Some(integrity) } => {
            author::run(&market::Entry { package, integrity }, screenshot)
        }
        Part::Portal { screenshot, .. } => story::run(screenshot),
    }
}
