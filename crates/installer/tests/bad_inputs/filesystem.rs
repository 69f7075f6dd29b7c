//! Rows about the volume: runs that were killed before, others that are at work on it, trouble with it on the way, and
//! whom it belongs to.

mod adopted;
mod crash;
mod doctored;
mod holder;
mod known;
mod stop;
mod trouble;
mod user;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use testkit::{Plugin, Tree};

use crate::bench::{Seen, Trees};
use crate::case::{Case, Entry, Listing};
use crate::logfmt::records;
use crate::net::{Net, Served};
use crate::placeholder::PLUG;
use crate::row::Row;

const OLD: &str = "1.0.0";
const NEW: &str = "2.0.0";
/// The folder of the plugin that the rows are about.
const DEST: &str = "plug-dynamic";
const STAGING: &str = ".butler-plugins.staging";
const STATE: &str = ".butler-plugins.state";
const LOCK: &str = ".butler-plugins.lock";
/// Flags of a run that waits for nobody.
const NO_WAIT: &[&str] = &["--lock-timeout=0"];
/// How many files each version has that say which one they belong to.
const FILES: usize = 12;

/// Every row has a builder: its input is a description.
pub(crate) fn filesystem(row: &Row) -> Result<Case, String> {
    Ok(match row.id.as_str() {
        "PX01" => crash::anywhere(),
        "PX02" => crash::between_the_halves(),
        "PX03" => crash::power_cut(),
        "PX04" => crash::lock_left(),
        "PX05" => holder::several_at_once(),
        "PX06" => holder::hangs(),
        "PX07" => holder::without_locks(),
        "PX08" => stop::in_a_download(),
        "PX09" => stop::while_unpacking(),
        "PX10" => trouble::no_space(),
        "PX11" => trouble::over_quota(),
        "PX12" => trouble::no_inodes(),
        "PX13" => trouble::read_only(),
        "PX14" => trouble::no_root(),
        "PX15" => trouble::other_devices(),
        "PX16" => trouble::no_exchange(),
        "PX17" => user::umask(),
        "PX18" => user::nonroot(),
        "PX19" => user::read_only_folders(),
        "PX20" => known::unchanged(),
        "PX21" => known::tampered(),
        "PX22" => known::same_tag(),
        "PX23" => user::few_descriptors(),
        "PX24" => known::goes_on(),
        "PX25" => known::aborts(),
        "PX26" => crash::staging_left(),
        "PX27" => adopted::state_lost(),
        "PX28" => crash::before_the_state(),
        "PX29" => adopted::of_another_installer(),
        _ => return Err(row.without_builder()),
    })
}

/// A version of the plugin, each of whose files says which one it is.
fn plugin(version: &str) -> Plugin {
    let plugin = Plugin::backend(PLUG).version(version).file("dist/index.cjs.js", version);
    (1..FILES).fold(plugin, |plugin, n| plugin.file(&format!("dist/{n}.js"), version))
}

/// The new version among so many files that unpacking it takes a while.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let add = |plugin: Plugin, n| plugin.file(&format!("more/{n}.js"), NEW);
    (0..600).fold(plugin(NEW), add).tarball()
});

/// Both versions, in repositories of their own, and a plugin that goes.
struct Versions {
    net: Net,
    old: Served,
    new: Served,
    gone: Served,
}

impl Versions {
    fn new() -> Self {
        let mut net = Net::new();
        let old = net.push("old:1.0.0", &plugin(OLD));
        let new = net.push("new:2.0.0", &plugin(NEW));
        let gone = net.push("gone:1.0.0", &Plugin::backend("gone"));
        Self { net, old, new, gone }
    }

    /// The old one and another are there; the new one is listed.
    fn upgrade(self) -> Case {
        let before = list([&self.old, &self.gone]);
        in_memory(self.net, list([&self.new])).after(before)
    }

    /// The new one is there, and listed.
    fn repeated(self) -> Case {
        let listing = list([&self.new]);
        in_memory(self.net, listing.clone()).after(listing)
    }

    /// The new one is listed, and nothing is there.
    fn fresh(self) -> Case {
        let listing = list([&self.new]);
        in_memory(self.net, listing)
    }

    /// Another artifact than the new version, in its place.
    fn upgrade_to(mut self, artifact: &[u8]) -> Case {
        let new = self.net.serve("oci://reg.example.com/my-org/other:2.0.0", artifact);
        Self { new, ..self }.upgrade()
    }
}

/// On a volume that is no busy disk.
fn in_memory(net: Net, listing: Listing) -> Case {
    Case { in_memory: true, ..Case::listing(net, listing) }
}

fn list<'a>(served: impl IntoIterator<Item = &'a Served>) -> Listing {
    Listing::of(served.into_iter().map(Entry::from))
}

/// The version that a plugin's folder holds, all of it.
fn version(folder: &Path) -> Result<String, String> {
    let manifest = fs::read_to_string(folder.join("package.json")).map_err(|error| format!("no manifest: {error}"))?;
    let version = [OLD, NEW].into_iter().find(|version| manifest.contains(version)).ok_or("a version of nobody's")?;
    let names = (1..FILES).map(|n| format!("{n}.js")).chain(["index.cjs.js".to_owned()]);
    for name in names {
        let found = fs::read_to_string(folder.join("dist").join(&name)).unwrap_or_default();
        if found != version {
            return Err(format!("expected `{version}` in `{name}`, found `{found}`"));
        }
    }
    Ok(version.to_owned())
}

/// That the new version is there, whole, and nothing else is left of what went before.
fn is_upgraded(seen: &Seen) -> Result<(), String> {
    has_version(seen, NEW)?;
    if seen.on_root("gone-dynamic").exists() {
        return Err("the plugin that is listed no more is there".to_owned());
    }
    leaves_no_staging(seen)
}

fn has_version(seen: &Seen, expected: &str) -> Result<(), String> {
    let found = version(&seen.on_root(DEST))?;
    if found == expected { Ok(()) } else { Err(format!("expected version {expected}, found {found}")) }
}

fn leaves_no_staging(seen: &Seen) -> Result<(), String> {
    if seen.after.staging.is_empty() { Ok(()) } else { Err(format!("staging is left: {:?}", seen.after.staging)) }
}

/// That the volume looks as it did before the run, whatever the mode.
fn is_untouched(seen: &Seen) -> Result<(), String> {
    same(&seen.before.visible, &seen.after.visible)?;
    leaves_no_staging(seen)
}

fn same(before: &[String], after: &[String]) -> Result<(), String> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    match before.symmetric_difference(&after).next() {
        Some(line) => Err(format!("changed on the volume: {line}")),
        None => Ok(()),
    }
}

/// That the next run, which waits for nobody, finds all in order and changes nothing.
fn next_is_idle(seen: &Seen) -> Result<(), String> {
    let before = Tree::with_owners_and_times(&seen.on_root("")).map_err(|error| error.to_string())?;
    let next = seen.again(NO_WAIT);
    let installed = records(&next.stdout)?.iter().any(|record| record.event() == "plugin_installed");
    if next.status != Some(0) || installed {
        return Err(format!("the next run was not idle: {next:?}"));
    }
    let after = Tree::with_owners_and_times(&seen.on_root("")).map_err(|error| error.to_string())?;
    let without_lock =
        |tree: &Tree| -> Vec<_> { tree.lines().iter().filter(|line| !line.contains(LOCK)).cloned().collect() };
    same(&without_lock(&before), &without_lock(&after)).map_err(|why| format!("the next run was not idle: {why}"))
}

/// That a fault came.
fn fault_came(seen: &Seen) -> Result<(), String> {
    if seen.calls.iter().any(|call| call.ends_with("(INJECTED)")) { Ok(()) } else { Err("no fault came".to_owned()) }
}

/// That a warning has this reason.
fn warns(seen: &Seen, reason: &str) -> Result<(), String> {
    let warned = records(&seen.stdout)?.iter().any(|record| record.event() == "warning" && record.reason() == reason);
    if warned { Ok(()) } else { Err(format!("no warning says `{reason}`")) }
}

/// What is in a folder of the root, without owners and times.
fn content(trees: &Trees, folder: &str) -> Vec<String> {
    let of_folder = |line: &&String| line.contains(&format!(" volume/plugins/{folder}"));
    let lines = trees.visible.iter().filter(of_folder);
    lines.map(|line| line.rsplitn(3, ' ').last().unwrap_or_default().to_owned()).collect()
}

/// Everything below a folder.
fn count_below(folder: PathBuf) -> usize {
    let Ok(found) = fs::read_dir(folder) else { return 0 };
    found.flatten().map(|item| 1 + if item.path().is_dir() { count_below(item.path()) } else { 0 }).sum()
}
