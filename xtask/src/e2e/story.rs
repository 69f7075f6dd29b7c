//! The life of a portal: booted on our plugins and published ones, upgraded while it serves, and with a tampered plugin.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::installer::{Installer, OnReject, Trust, Wanted, list};
use super::market::{Entry, Market, Tag};
use super::plugins::{self, BACKEND, FRONTEND, MARKER, Offered, PADDING, PING, ROUTE};
use super::portal::{self, Portal};
use super::stage::{Stage, ok, timed};
use crate::{command, fixtures};

/// What our plugins say of themselves, and what their next release does.
const VERSION: &str = "1.0.0";
const NEXT_VERSION: &str = "1.1.0";
/// How often both change places under a portal that serves, there and back; one change takes a tenth of a second. An odd
/// number, so that the next release is there at last.
const CHANGES: usize = 9;
/// The least number of answers meanwhile that says anything.
const ENOUGH: usize = 50;

/// Plays all of it.
pub(super) fn run(screenshot: Option<PathBuf>) -> anyhow::Result<()> {
    let stage = Stage::set(screenshot)?;
    let exported = timed("our plugins, exported", fixtures::exported)?;
    stage.explain(play(&stage, &exported))
}

fn play(stage: &Stage, exported: &Path) -> anyhow::Result<()> {
    let market = Market::open(stage.publisher.clone(), stage.folder.join("market"))?;
    let trust = Trust::Only(market.ca_file());
    let installer = Installer::new(stage.installer.clone(), trust, stage.folder.clone());
    let goods = timed("all plugins, published", || Goods::offer(market, exported))?;
    ok(&format!("{} plugins are published, in a registry and on an https server", 2 + goods.others.len()));

    let root = stage.folder.join("root");
    let portal = booted(stage, &installer, &goods, &root)?;
    upgraded(stage, &installer, &goods, &root, portal)?;
    tampered(stage, &installer, &goods)
}

/// A portal on all plugins shows each of them.
fn booted(stage: &Stage, installer: &Installer, goods: &Goods, root: &Path) -> anyhow::Result<Portal> {
    let list = goods.list(OnReject::Stop, &goods.ours);
    let run = timed("all plugins, installed", || installer.run("install-all", &list, root))?;
    run.expect_status(0)?;
    for entry in goods.ours.iter().chain(goods.others.iter().map(|other| &other.entry)) {
        run.expect_line(&["event=plugin_installed", &entry.package, "digest_verified=ok"])?;
    }
    let found = portal::plugins_on(root)?.len();
    ensure!(found == 2 + goods.others.len(), "expected a folder for each plugin, found {found}");
    ok("each is installed, and its bytes are the promised ones");

    let portal = stage.boot("all", root)?;
    // cargo sets it for this program; a pipeline's token would go the same way.
    portal.expect_no_variable("CARGO")?;
    ok("the plugins see no variable of ours");
    portal.expect_probes()?;
    ok("it answers the probes of our manifests");
    expect_ping(&portal, &json!({ "pong": true }))?;
    for other in &goods.others {
        let what = other.expect(&portal)?;
        ok(&format!("`{}` {what}", other.package));
    }
    let remotes =
        [FRONTEND].into_iter().chain(goods.others.iter().filter(|other| other.is_remote()).map(|other| other.package));
    for remote in remotes.clone() {
        portal.expect_remote(remote)?;
        ok(&format!("`{remote}` is a remote, with its manifest and its entry"));
    }
    let listed = portal.remotes()?.len();
    ensure!(listed == remotes.clone().count(), "expected no other remote, found {listed} in all");

    let page = stage.visit(&portal, ROUTE)?;
    page.expect_mounted(FRONTEND, MARKER, PADDING)?;
    ok(&format!("a browser shows `{MARKER}` at `{ROUTE}`, in the theme of the page"));
    for remote in remotes.skip(1) {
        page.expect_loaded(remote)?;
        ok(&format!("a browser loads `{remote}`"));
    }
    Ok(portal)
}

/// Our plugins change places with their next release under a portal that serves, and the next boot shows it.
fn upgraded(stage: &Stage, installer: &Installer, goods: &Goods, root: &Path, portal: Portal) -> anyhow::Result<()> {
    let mut paths = vec![PING.to_owned(), "/witness/plugins".to_owned()];
    paths.extend(portal.remotes()?.into_iter().map(|remote| remote.manifest));
    let change = |number| {
        let ours = if number % 2 == 1 { &goods.next } else { &goods.ours };
        let run = installer.run(&format!("install-upgrade-{number}"), &goods.list(OnReject::Stop, ours), root)?;
        run.expect_status(0)?;
        for entry in ours {
            run.expect_line(&["event=plugin_installed", &entry.package])?;
        }
        for other in &goods.others {
            run.expect_line(&["event=plugin_skipped", &other.entry.package, "reason=unchanged"])?;
        }
        anyhow::Ok(())
    };
    let ((), answers) = meanwhile(&portal, &paths, || (1..=CHANGES).try_for_each(change))?;
    ensure!(answers >= ENOUGH, "expected at least {ENOUGH} answers meanwhile, found {answers}");
    ok(&format!("two plugins change {CHANGES} times, and each of {answers} requests meanwhile is answered"));

    expect_ping(&portal, &json!({ "pong": true }))?;
    ok("the portal that runs keeps the release that it has loaded");
    drop(portal);
    let portal = stage.boot("upgraded", root)?;
    expect_ping(&portal, &json!({ "pong": true, "version": NEXT_VERSION }))?;
    for package in [BACKEND, FRONTEND] {
        let version = portal.seen(package)?.map(|seen| seen.version);
        ensure!(version.as_deref() == Some(NEXT_VERSION), "expected {NEXT_VERSION} of `{package}`, found {version:?}");
    }
    portal.expect_remote(FRONTEND)?;
    ok("the portal that starts again has the new one");
    Ok(())
}

/// A frontend whose bytes are others than the pinned ones is absent from a portal, and keeps nobody else from it.
fn tampered(stage: &Stage, installer: &Installer, goods: &Goods) -> anyhow::Result<()> {
    let backends = || goods.others.iter().filter(|other| !other.is_remote());
    let mut plugins = vec![Wanted::plain(&goods.tampered), Wanted::plain(&goods.ours[0])];
    plugins.extend(backends().map(Wanted::from));
    let prefixes = goods.market.prefixes();

    let root = stage.folder.join("root-closed");
    let run = installer.run("install-tampered-closed", &list(OnReject::Stop, &prefixes, &plugins), &root)?;
    run.expect_status(1)?;
    run.expect_error(&["event=plugin_rejected", &goods.tampered.package, "reason=integrity_mismatch"])?;
    run.expect_error(&["event=fatal", "reason=continueOnError_false"])?;
    let found = portal::plugins_on(&root)?;
    ensure!(found.is_empty(), "expected no plugin, found {found:?}");
    ok("with a tampered plugin and `continueOnError: false` nothing is installed");

    let root = stage.folder.join("root-open");
    let run = installer.run("install-tampered-open", &list(OnReject::GoOn, &prefixes, &plugins), &root)?;
    run.expect_status(0)?;
    run.expect_error(&["event=plugin_rejected", &goods.tampered.package, "reason=integrity_mismatch"])?;
    let found = portal::plugins_on(&root)?;
    let expected = plugins.len() - 1;
    ensure!(
        found.len() == expected && !found.iter().any(|folder| folder == FRONTEND),
        "expected {expected} plugins without `{FRONTEND}`, found {found:?}"
    );
    ok("with `continueOnError: true` all others are");

    let portal = stage.boot("tampered", &root)?;
    ensure!(portal.seen(FRONTEND)?.is_none(), "expected the portal not to find `{FRONTEND}`");
    let remotes: Vec<_> = portal.remotes()?.into_iter().map(|remote| remote.package).collect();
    ensure!(remotes.is_empty(), "expected no remote, found {remotes:?}");
    ok("the portal has no remote: `[]`");
    expect_ping(&portal, &json!({ "pong": true }))?;
    for other in backends() {
        other.expect(&portal)?;
    }
    ok("the other plugins are as they were");
    Ok(())
}

fn expect_ping(portal: &Portal, expected: &serde_json::Value) -> anyhow::Result<()> {
    let found = portal.get(PING)?.json()?;
    ensure!(found == *expected, "expected {expected} at `{PING}`, found {found}");
    ok(&format!("`{BACKEND}` answers at {PING}: {found}"));
    Ok(())
}

/// Asks for all paths again and again while it is done; fails when one of them is not answered well.
fn meanwhile<T>(
    portal: &Portal,
    paths: &[String],
    act: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(T, usize)> {
    let is_over = AtomicBool::new(false);
    let ask = || {
        let mut answers = 0;
        while !is_over.load(Ordering::Relaxed) {
            for path in paths {
                portal.get(path)?.good()?;
                answers += 1;
            }
        }
        Ok::<_, anyhow::Error>(answers)
    };
    thread::scope(|scope| {
        let asking = scope.spawn(ask);
        let outcome = act();
        is_over.store(true, Ordering::Relaxed);
        let answers = asking.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok((outcome?, answers.context("a request during the upgrade")?))
    })
}

/// What is published.
struct Goods {
    market: Market,
    /// Our backend and our frontend.
    ours: [Entry; 2],
    /// Their next release.
    next: [Entry; 2],
    /// Our frontend, as its author handed it over. The registry has other bytes now.
    tampered: Entry,
    others: Vec<Offered>,
}

impl Goods {
    fn offer(market: Market, exported: &Path) -> anyhow::Result<Self> {
        let [backend, frontend] = ["hello-backend", "hello-frontend"];
        let both = |folder: &Path, version: &str| {
            let push = |name| market.push(&folder.join(name), &format!("{name}:{version}"), Tag::Keep);
            anyhow::Ok([push(backend)?, push(frontend)?])
        };
        let ours = both(exported, VERSION)?;
        let desk = tempfile::tempdir().context("could not create a folder for the next release")?;
        release(exported, desk.path())?;
        let next = both(desk.path(), NEXT_VERSION)?;
        let tampered = market.push(&exported.join(frontend), "tampered:1.0.0", Tag::Keep)?;
        market.push(&desk.path().join(frontend), "tampered:1.0.0", Tag::Replace)?;
        let others = plugins::offer(&market)?;
        Ok(Self { market, ours, next, tampered, others })
    }

    /// A list of all plugins, ours in one release or the other.
    fn list(&self, on_reject: OnReject, ours: &[Entry; 2]) -> String {
        let ours = ours.iter().map(Wanted::plain);
        let plugins: Vec<_> = ours.chain(self.others.iter().map(Wanted::from)).collect();
        list(on_reject, &self.market.prefixes(), &plugins)
    }
}

/// Makes of our plugins what their authors' next release would be: another version, which the backend tells, too.
fn release(from: &Path, to: &Path) -> anyhow::Result<()> {
    command::copy_folder(from, to)?;
    let version = |version: &str| format!("\"version\": \"{version}\"");
    for name in ["hello-backend", "hello-frontend"] {
        edit(&to.join(name).join("package.json"), &version(VERSION), &version(NEXT_VERSION))?;
    }
    let answer = format!("pong: true, version: \"{NEXT_VERSION}\"");
    edit(&to.join("hello-backend/dist/plugin.cjs.js"), "pong: true", &answer)
}

/// Replaces what stands once in a file.
fn edit(file: &Path, this: &str, that: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))?;
    let times = text.matches(this).count();
    ensure!(times == 1, "expected `{this}` once in `{}`, found it {times} times", file.display());
    fs::write(file, text.replace(this, that)).with_context(|| format!("could not write `{}`", file.display()))
}
