//! `kill -9` after every single call that the installer makes on its volume, and again while the next run heals.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;

use super::attempt::{Attempt, Belief, Volume, points};
use super::scene::{Change, Scene};
use super::sight::{Progress, Sight};
use super::tracer::{Act, Call, End, Traced};
use super::{Scale, Swept};

const KILL: Act = Act::Signal(Signal::SIGKILL);

/// What a portal would have seen in the moment after a kill.
#[derive(Default)]
struct Shown {
    calls: usize,
    before: usize,
    during: usize,
    after: usize,
    /// A plugin was missing, on a volume that cannot exchange names.
    gaps: usize,
    /// Threads took turns in another way, and the run had ended before.
    unreached: usize,
}

/// Kills a first installation after each of its calls.
pub(super) fn install(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    once(scene, scale, Change::INSTALL)
}

/// Kills an upgrade after each of its calls.
pub(super) fn upgrade(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    once(scene, scale, Change::UPGRADE)
}

fn once(scene: &Scene, scale: Scale, change: Change) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let (mut rows, mut unreached) = (Vec::new(), 0);
    for volume in [Volume::Local, Volume::Network] {
        let mut shown = Shown::default();
        for (jobs, belief) in [(1, Belief::Files), (4, Belief::Files), (4, Belief::State)] {
            let attempt = Attempt { change, volume, belief, jobs, ..Attempt::UPGRADE };
            let calls = attempt.undisturbed(scene)?;
            shown.calls += calls.len();
            for n in points(&calls, scale.of(43, 1)) {
                let what = format!("{attempt}, killed after call {n} of {}", calls.len());
                swept.take(what, kill_and_heal(scene, &attempt, n, &mut shown));
                scene.forget_requests();
            }
        }
        rows.push(format!("{volume}: {shown}"));
        unreached += shown.unreached;
    }
    swept.expect_reached(unreached);
    swept.tried = format!(
        "`kill -9` after the n-th call of an {}, `--jobs` 1 and 4, the latter with `--trust-state` as well; {}",
        change.name(),
        rows.join("; ")
    );
    Ok(swept)
}

/// Kills an upgrade at each of its renames, and then the run that heals after each of its own calls.
pub(super) fn twice(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let (mut rows, mut unreached) = (Vec::new(), 0);
    for volume in [Volume::Local, Volume::Network] {
        let mut shown = Shown::default();
        let attempt = Attempt { volume, ..Attempt::UPGRADE };
        let calls = attempt.undisturbed(scene)?;
        for n in (1..=calls.len()).filter(|n| calls[n - 1].is_rename()) {
            // How many calls the second run makes depends on how far the first one came.
            for m in (1..).step_by(scale.of(89, 3)) {
                let root = scene.root(attempt.change.from)?;
                if attempt.traced(scene, root.path(), Some((n, KILL)))?.after_act.is_none() {
                    shown.unreached += 1;
                    break;
                }
                let killed = attempt.traced(scene, root.path(), Some((m, KILL)))?;
                if killed.after_act.is_none() {
                    shown.calls += killed.calls.len();
                    break;
                }
                let what = format!("{attempt}, killed after call {n}, the next run after call {m}");
                let healed = shown
                    .look(scene, &attempt, root.path(), &killed)
                    .and_then(|()| attempt.heal(scene, root.path()))
                    .and_then(|()| attempt.rest(scene, root.path()));
                swept.take(what, healed);
                scene.forget_requests();
            }
        }
        rows.push(format!("{volume}: {shown}"));
        unreached += shown.unreached;
    }
    swept.expect_reached(unreached);
    let rows = rows.join("; ");
    swept.tried =
        format!("the same at each rename of an upgrade, and again after the n-th call of the next run; {rows}");
    Ok(swept)
}

fn kill_and_heal(scene: &Scene, attempt: &Attempt, n: usize, shown: &mut Shown) -> anyhow::Result<()> {
    let root = scene.root(attempt.change.from)?;
    let killed = attempt.traced(scene, root.path(), Some((n, KILL)))?;
    if killed.after_act.is_none() {
        shown.unreached += 1;
        return attempt.expect(scene, root.path());
    }
    let gaps = shown.gaps;
    shown.look(scene, attempt, root.path(), &killed)?;
    // The one call between the two renames is the first of them.
    let is_between_renames = killed.calls.get(n - 1).is_some_and(Call::is_rename);
    ensure!(shown.gaps == gaps || is_between_renames, "a plugin is missing for longer than between two renames");
    attempt.heal(scene, root.path())?;
    attempt.rest(scene, root.path())
}

impl Shown {
    /// Looks at a root as a portal would.
    fn look(&mut self, scene: &Scene, attempt: &Attempt, root: &Path, killed: &Traced) -> anyhow::Result<()> {
        ensure!(killed.end == End::Signalled(Signal::SIGKILL), "expected a killed run, found {:?}", killed.end);
        let last = killed.calls.last().context("it made no call")?;
        let (old, new) = (scene.sight(attempt.change.from), scene.sight(Some(attempt.change.to)));
        let sight = Sight::of(root)?;
        match sight.judge(old, new, attempt.volume.gap()).with_context(|| format!("after {last}"))? {
            Progress::Before => self.before += 1,
            Progress::During => self.during += 1,
            Progress::After => self.after += 1,
        }
        let is_missing = |name: &&String| new.plugins.contains_key(*name) && !sight.plugins.contains_key(*name);
        self.gaps += usize::from(old.plugins.keys().any(|name| is_missing(&name)));
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, before, during, after, gaps, unreached } = self;
        let points = before + during + after;
        write!(f, "{points} of {calls} calls, {before} before the commit, {during} in it, {after} after it")?;
        let rows = [(gaps, "while a plugin had no name"), (unreached, "too late")];
        rows.iter().filter(|(count, _)| **count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}
