//! What every run needs and none changes: the host, the page, our programs, a folder for what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::Context as _;

use super::browser::{self, Page};
use super::host::Host;
use super::page;
use super::portal::Portal;
use crate::command::{self, cargo};
use crate::workspace;

const INSTALLER: &str = "butler-plugin-installer";
const PUBLISHER: &str = "butler-plugin-publisher";
/// How much of a log is shown after a failure.
const TAIL_LINES: usize = 30;
/// How much of one of its lines.
const TAIL_COLUMNS: usize = 400;

/// Everything that is there before the first portal boots.
pub(super) struct Stage {
    host: Host,
    page: PathBuf,
    pub(super) installer: PathBuf,
    pub(super) publisher: PathBuf,
    /// Lists, logs and roots of this run; those of the last one are gone.
    pub(super) folder: PathBuf,
    screenshot: PathBuf,
}

impl Stage {
    /// Builds what is missing.
    pub(super) fn set(screenshot: Option<PathBuf>) -> anyhow::Result<Self> {
        let target = workspace::target()?;
        let e2e = target.join("e2e");
        timed("our programs, not optimised", || {
            command::run(&mut cargo(&["build", "--locked", "--package", INSTALLER, "--package", PUBLISHER]))
        })?;
        let host = timed("the host", || Host::build(e2e.join("portal")))?;
        let page = timed("the page", || page::build_page(&target))?;
        let folder = e2e.join("run");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        let program = |name: &str| target.join("debug").join(name);
        Ok(Self {
            host,
            page,
            installer: program(INSTALLER),
            publisher: program(PUBLISHER),
            folder,
            screenshot: screenshot.unwrap_or_else(|| e2e.join("portal.png")),
        })
    }

    /// Boots a portal on a root; `name` is for its log.
    pub(super) fn boot(&self, name: &str, root: &Path) -> anyhow::Result<Portal> {
        timed(&format!("a portal boots: {name}"), || {
            Portal::boot(&self.host, &self.page, root, &self.folder.join(format!("portal-{name}.log")))
        })
    }

    /// Opens the page at a route in a browser, and keeps the picture.
    pub(super) fn visit(&self, portal: &Portal, route: &str) -> anyhow::Result<Page> {
        let page = browser::visit(&portal.url(&format!("/page/?route={route}")), &self.screenshot)?;
        println!("the page at `{route}`: {}", self.screenshot.display());
        Ok(page)
    }

    /// Shows how the last logs end, and where all of them are, when something failed.
    pub(super) fn explain<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        if outcome.is_err() {
            for log in self.last_logs() {
                println!("\n--- the end of {}", log.display());
                let text = fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
                let lines: Vec<_> = text.lines().collect();
                for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                    println!("{}", line.chars().take(TAIL_COLUMNS).collect::<String>());
                }
            }
            println!("\nlists, logs and roots of this run: {}", self.folder.display());
        }
        outcome
    }

    /// The newest log of the installer, and the newest of a portal.
    fn last_logs(&self) -> Vec<PathBuf> {
        let written =
            |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let all = || fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_log_of = |path: &PathBuf, kind: &str| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_suffix(".log").is_some_and(|name| name.starts_with(kind))
        };
        let newest = |kind| all().filter(|path| is_log_of(path, kind)).max_by_key(written);
        ["install-", "portal-"].into_iter().filter_map(newest).collect()
    }
}

/// Does it, and says how long it took.
pub(super) fn timed<T>(what: &str, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let start = Instant::now();
    let outcome = act().with_context(|| what.to_owned())?;
    println!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(outcome)
}

/// Says what was seen to hold.
pub(super) fn ok(what: &str) {
    println!("ok   {what}");
}
