//! `kill -9` at random times: where no call is under way, too, and where the kernel is in the middle of one.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::scene::{Change, Ended, Scene, Version};
use super::sight::{Gap, Progress, Sight, Weight};
use super::{Scale, Swept};
use crate::bench::median;
use crate::bench::noise::Xorshift;

/// Undisturbed runs that tell how long one takes.
const REHEARSALS: usize = 9;
/// Kills in a row, without a run between that ends by itself.
const CHAIN: usize = 20;
/// How many times the bytes of a root at rest a root may hold after a chain of kills: what is visible, and what one
/// run had staged.
const MOST_WEIGHT: u64 = 3;

/// How long a commit takes at most.
pub(super) const COMMIT: Duration = Duration::from_micros(60);
/// The plugin that is the first to become visible.
const LARGEST: &str = "many-dynamic";

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// So long after it was started.
    After(Duration),
    /// So long after the first plugin was visible.
    Visible(Duration),
}

/// What the volume showed when the runs were dead.
#[derive(Default)]
struct Shown {
    before: usize,
    during: usize,
    after: usize,
    staging: usize,
    ended: usize,
    /// Commits that the next run carried through.
    resumed: usize,
}

/// Kills installations and upgrades, each at another time, and heals every one.
pub(super) fn kills(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let (mut shown, mut random) = (Shown::default(), Xorshift::new(1));
    let mut spans = Vec::new();
    for change in [Change::INSTALL, Change::UPGRADE] {
        let span = duration(scene, change)?;
        for number in 0..scale.of(40, 250) {
            let at = moment(&mut random, span);
            let what = format!("{} killed after {at:?} (number {number} of these)", change.name());
            swept.take(what, kill_and_heal(scene, change, When::After(at), &mut shown));
        }
        spans.push(format!("an {} of {} ms", change.name(), span.as_millis()));
        scene.forget_requests();
    }
    swept.tried = format!("`kill -9` at a random time of {}: {shown}", spans.join(" and of "));
    Ok(swept)
}

/// Kills upgrades from the moment on in which something new is visible: the commit is too short for random times.
pub(super) fn commits(scene: &Scene, scale: Scale) -> Swept {
    let mut swept = Swept::default();
    let (mut shown, mut random) = (Shown::default(), Xorshift::new(6));
    for change in [Change::INSTALL, Change::UPGRADE] {
        for number in 0..scale.of(20, 250) {
            let delay = moment(&mut random, COMMIT);
            let what = format!("{} killed {delay:?} into its commit (number {number})", change.name());
            swept.take(what, kill_and_heal(scene, change, When::Visible(delay), &mut shown));
        }
        scene.forget_requests();
    }
    swept.tried = format!("`kill -9` up to {COMMIT:?} after the first new plugin was visible: {shown}");
    swept
}

/// Kills one run after the other on the same root, to either version, and lets one run heal it all.
pub(super) fn chains(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let (mut shown, mut random) = (Shown::default(), Xorshift::new(2));
    let span = duration(scene, Change::UPGRADE)?;
    let chains = scale.of(2, 25);
    for number in 0..chains {
        let killed = chain(scene, span, &mut random, &mut shown);
        swept.take(format!("chain {number}"), killed);
        scene.forget_requests();
    }
    swept.faults = chains * CHAIN;
    swept.tried =
        format!("{chains} times {CHAIN} kills in a row, upgrades and downgrades mixed, then one run: {shown}");
    Ok(swept)
}

fn kill_and_heal(scene: &Scene, change: Change, when: When, shown: &mut Shown) -> anyhow::Result<()> {
    let root = scene.root(change.from)?;
    let ended = killed(&mut scene.installer(root.path(), change.to), root.path(), when)?;
    let sight = Sight::of(root.path())?;
    let progress = sight.judge(scene.sight(change.from), scene.sight(Some(change.to)), Gap::Never)?;
    shown.count(&sight, progress, &ended);
    if ended.status.code().is_some() {
        ended.expect_completed()?;
        ensure!(progress == Progress::After, "the run completed, and the root shows {progress:?}");
    }
    let healed = scene.heal(root.path(), change.to)?;
    shown.resumed += usize::from(healed.says("reason=commit_resumed"));
    scene.rest(root.path(), change.to)
}

fn chain(scene: &Scene, span: Duration, random: &mut Xorshift, shown: &mut Shown) -> anyhow::Result<()> {
    let root = scene.root(Some(Version::Old))?;
    let [old, new] = [Version::Old, Version::New].map(|version| scene.sight(Some(version)));
    for number in 0..CHAIN {
        let to = if random.below(2) == 0 { Version::Old } else { Version::New };
        let at = moment(random, span);
        let killed = killed(&mut scene.installer(root.path(), to), root.path(), When::After(at))?;
        let sight = Sight::of(root.path()).and_then(|sight| Ok((sight.judge(old, new, Gap::Never)?, sight)));
        let (progress, sight) = sight.with_context(|| format!("after kill {number}, to {to:?}, at {at:?}"))?;
        shown.count(&sight, progress, &killed);
    }
    let most = MOST_WEIGHT * Weight::of(scene.reference(Version::New))?.bytes();
    let weight = Weight::of(root.path())?.bytes();
    ensure!(weight <= most, "expected at most {most} bytes on the root after {CHAIN} kills, found {weight}");
    scene.heal(root.path(), Version::New)?;
    scene.rest(root.path(), Version::New)
}

/// A run that is killed, unless it has ended by then.
pub(super) fn killed(command: &mut Command, root: &Path, when: When) -> anyhow::Result<Ended> {
    let plugin = root.join(LARGEST);
    let before = inode(&plugin);
    let start = Instant::now();
    let mut child = command.spawn().context("could not start the installer")?;
    match when {
        When::After(at) => thread::sleep(at.saturating_sub(start.elapsed())),
        When::Visible(delay) => {
            while inode(&plugin) == before && child.try_wait()?.is_none() {}
            let seen = Instant::now();
            // A sleep would take longer than that.
            while seen.elapsed() < delay {}
        }
    }
    child.kill()?;
    Ended::after(child)
}

fn inode(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|meta| meta.ino())
}

/// How long an undisturbed run takes, and a little longer: whatever disturbs the machine disturbs some runs only.
pub(super) fn duration(scene: &Scene, change: Change) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(REHEARSALS);
    for _ in 0..REHEARSALS {
        let root = scene.root(change.from)?;
        let start = Instant::now();
        Ended::of(&mut scene.installer(root.path(), change.to))?.expect_completed()?;
        times.push(start.elapsed());
    }
    Ok(median(times) * 11 / 10)
}

/// Any time of a run.
pub(super) fn moment(random: &mut Xorshift, span: Duration) -> Duration {
    let nanos = usize::try_from(span.as_nanos()).unwrap_or(usize::MAX).max(1);
    Duration::from_nanos(random.below(nanos) as u64)
}

impl Shown {
    fn count(&mut self, sight: &Sight, progress: Progress, ended: &Ended) {
        match progress {
            _ if ended.status.code().is_some() => self.ended += 1,
            Progress::Before => self.before += 1,
            Progress::During => self.during += 1,
            Progress::After => self.after += 1,
        }
        self.staging += usize::from(sight.has_staging);
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, during, after, staging, ended, resumed } = self;
        write!(f, "{before} showed the old version, {during} some of both, {after} the new one, {ended} had ended; ")?;
        write!(f, "{staging} left a staging folder, {resumed} a commit that the next run carried through")
    }
}
