//! Two faults in one commit: a step of it fails, and then something happens on the way back.
//!
//! The runs believe the state, as a wrong word in it would otherwise be put right by the next one's hashes, unseen.

use std::fmt;

use anyhow::{anyhow, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::attempt::{Attempt, Belief, Volume};
use super::errors;
use super::scene::{Change, Ended, Scene};
use super::sight::{Progress, Sight};
use super::tracer::{Act, Counted, End, Traced};
use super::{Scale, Swept};

/// What begins the way back.
const FIRST: Act = Act::Fail(Errno::EIO);
/// What happens on it.
const SECOND: [Act; 3] = [Act::Signal(Signal::SIGKILL), Act::Fail(Errno::EIO), Act::Break];
/// What a run says that could not go all the way back.
const TO_BE_CONTINUED: &str = "the next run carries it through";

/// What became of the runs.
#[derive(Default)]
struct Endings {
    killed: usize,
    back: usize,
    between: usize,
    /// All was visible, and what failed was to clean up.
    completed: usize,
}

/// Lets each step of a commit fail, and then each step of what the run does about it.
pub(super) fn sweep(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let (mut swept, mut endings, mut unreached) = (Swept::default(), Endings::default(), 0);
    for volume in [Volume::Local, Volume::Network] {
        for change in [Change::INSTALL, Change::UPGRADE] {
            let attempt =
                Attempt { change, volume, belief: Belief::State, counted: Counted::Steps, ..Attempt::UPGRADE };
            for n in 1..=attempt.undisturbed(scene)?.len() {
                let way_back = attempt.traced(scene, scene.root(change.from)?.path(), [(n, FIRST)])?;
                let pairs = (n + 1..=way_back.calls.len()).flat_map(|m| SECOND.map(|second| (m, second)));
                let stride = scale.of(5, 1);
                for (m, second) in pairs.skip(n % stride).step_by(stride) {
                    let root = scene.root(change.from)?;
                    let traced = attempt.traced(scene, root.path(), [(n, FIRST), (m, second)])?;
                    if traced.after_act.is_none() {
                        unreached += 1;
                        continue;
                    }
                    let judged = endings
                        .judge(scene, &attempt, &Sight::of(root.path())?, &traced)
                        .and_then(|()| attempt.heal(scene, root.path()))
                        .and_then(|()| attempt.rest(scene, root.path()))
                        .map_err(|why| anyhow!("{why:#}\n{}{}", traced.stdout, traced.stderr));
                    let [one, other] = [n, m].map(|number| &traced.calls[number - 1]);
                    let what = format!("{attempt}, {FIRST:?} at step {n}, {one}, then {second:?} at step {m}, {other}");
                    swept.take(what, judged);
                    scene.forget_requests();
                }
            }
        }
    }
    swept.expect_reached(unreached);
    swept.tried = format!(
        "EIO at the n-th step of a commit, then a kill, EIO, or EIO for good on the way back; with `--trust-state`: \
         {endings}"
    );
    Ok(swept)
}

impl Endings {
    fn judge(&mut self, scene: &Scene, attempt: &Attempt, sight: &Sight, traced: &Traced) -> anyhow::Result<()> {
        let Change { from, to } = attempt.change;
        let progress = sight.judge(scene.sight(from), scene.sight(Some(to)), attempt.volume.gap())?;
        if traced.end == End::Signalled(Signal::SIGKILL) {
            self.killed += 1;
            return Ok(());
        }
        let ended = Ended::from(traced);
        errors::expect_an_ending(traced.end, &ended)?;
        if ended.status.success() {
            ensure!(progress == Progress::After, "the run completed, and the root shows {progress:?}");
            self.completed += 1;
        } else if ended.says(TO_BE_CONTINUED) {
            self.between += 1;
        } else if progress == Progress::Before {
            self.back += 1;
        } else {
            bail!("the run failed as if it had changed nothing, and the root shows {progress:?}");
        }
        Ok(())
    }
}

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, back, between, completed } = self;
        write!(f, "{killed} killed, {back} back where they were, {between} left to the next run and said so, ")?;
        write!(f, "{completed} completed")
    }
}
