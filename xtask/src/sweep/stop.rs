//! TERM and INT at random times: gone soon, and nothing half done.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::random::{duration, moment};
use super::scene::{Change, Ended, Scene};
use super::sight::{self, Gap, STAGING, Sight};
use super::{Scale, Swept};
use crate::bench::noise::Xorshift;

/// How long a run may go on after it was told to stop.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What a run says that had no time to clean up.
const LITTER: &str = "reason=staging_left";

/// How runs ended that were told to stop.
#[derive(Default)]
pub(super) struct Endings {
    /// With the status of the signal, and nothing changed.
    stopped: usize,
    /// By the signal itself, before the program could listen.
    deaf: usize,
    /// The commit was carried through.
    completed: usize,
    /// Runs that said that they had no time to clean up.
    littered: usize,
    slowest: Duration,
}

/// Tells installations and upgrades to stop, each at another time.
pub(super) fn sweep(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let (mut endings, mut random) = (Endings::default(), Xorshift::new(3));
    for (signal, change) in [
        (Signal::SIGTERM, Change::UPGRADE),
        (Signal::SIGTERM, Change::INSTALL),
        (Signal::SIGINT, Change::UPGRADE),
        (Signal::SIGINT, Change::INSTALL),
    ] {
        let span = duration(scene, change)?;
        for number in 0..scale.of(10, 100) {
            let at = moment(&mut random, span);
            let what = format!("{} told to stop by {signal} after {at:?} (number {number})", change.name());
            swept.take(what, stop_and_heal(scene, change, signal, at, &mut endings));
        }
        scene.forget_requests();
    }
    swept.tried = format!("TERM and INT at a random time of an install and of an upgrade: {endings}");
    Ok(swept)
}

fn stop_and_heal(
    scene: &Scene,
    change: Change,
    signal: Signal,
    at: Duration,
    endings: &mut Endings,
) -> anyhow::Result<()> {
    let root = scene.root(change.from)?;
    let start = Instant::now();
    let child = scene.installer(root.path(), change.to).spawn().context("could not start the installer")?;
    thread::sleep(at.saturating_sub(start.elapsed()));
    let told = Instant::now();
    // It is not waited for yet, so that the number is still its own even when it has ended.
    kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
    let ended = Ended::after(child)?;
    let took = told.elapsed();
    ensure!(!ended.says(LITTER), "it did not clean up:\n{}", ended.log);
    endings.judge(scene, root.path(), change, signal, &ended, took)?;
    scene.heal(root.path(), change.to)?;
    scene.rest(root.path(), change.to)
}

impl Endings {
    /// Holds what is left of a run against what its status says.
    ///
    /// # Errors
    /// It went on for too long, or the status is another, or the root is neither as before nor complete.
    pub(super) fn judge(
        &mut self,
        scene: &Scene,
        root: &Path,
        change: Change,
        signal: Signal,
        ended: &Ended,
        took: Duration,
    ) -> anyhow::Result<()> {
        ensure!(took < PATIENCE, "it went on for {took:?}:\n{}", ended.log);
        self.slowest = self.slowest.max(took);
        let status = 128 + signal as i32;
        let is_littered = ended.says(LITTER);
        self.littered += usize::from(is_littered);
        match (ended.status.code(), ended.status.signal()) {
            (Some(0), _) => {
                self.completed += 1;
                ended.expect_completed()?;
                if !is_littered {
                    return scene.expect(root, change.to).context("the run completed");
                }
                let wanted = scene.sight(Some(change.to));
                return Sight::of(root)?.judge(wanted, wanted, Gap::Never).map(drop);
            }
            (Some(code), _) if code == status => {
                self.stopped += 1;
                let last: Vec<_> = ended.log.lines().filter(|record| is_last(record)).collect();
                let is_one = matches!(last[..], [last] if last.contains(" reason=interrupted"));
                ensure!(is_one, "expected one last record, of an interruption, found {last:?}");
            }
            (_, Some(by)) if by == signal as i32 => self.deaf += 1,
            _ => bail!("expected status 0 or {status}, found {}:\n{}", ended.status, ended.log),
        }
        let left = sight::all_but_locks(root)?;
        let left = if is_littered { left.without(STAGING) } else { left };
        match scene.hidden(change.from)?.difference(&left) {
            None => Ok(()),
            Some(difference) => bail!("the run was stopped, and something on the root has changed: {difference}"),
        }
    }
}

fn is_last(record: &str) -> bool {
    record.contains(" event=fatal ") || record.contains(" event=completed ")
}

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stopped, deaf, completed, littered, slowest } = self;
        write!(f, "{stopped} stopped and changed nothing, {deaf} ended before they listened, {completed} completed; ")?;
        write!(
            f,
            "{littered} left their staging folder and said so; the slowest took {} ms to end",
            slowest.as_millis()
        )
    }
}
