//! One run of the installer under the driver, and the undisturbed one that has to heal whatever became of it.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, ensure};

use super::scene::{Change, Ended, Scene};
use super::sight::{Gap, Sight};
use super::tracer::{self, Act, Call, Counted, End, Faults, Lacking, Traced};

/// What kind of volume a root is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volume {
    /// It can do all that the kernel offers.
    Local,
    /// It can neither exchange names nor make files without one, as NFS.
    Network,
    /// It has no locks.
    Lockless,
}

/// What the list says about rejected plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnReject {
    /// Nothing, so that the first one ends the run.
    Stop,
    /// The others are installed.
    GoOn,
}

/// Whether the next run may believe what this one says of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// It reads them.
    Files,
    /// It believes, and so this one waits until all is on the disk.
    State,
}

/// A run that is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) change: Change,
    pub(super) volume: Volume,
    pub(super) on_reject: OnReject,
    pub(super) belief: Belief,
    pub(super) counted: Counted,
    /// Plugins at once.
    pub(super) jobs: usize,
}

impl Volume {
    pub(super) const ALL: [Self; 3] = [Self::Local, Self::Network, Self::Lockless];

    /// Whether a plugin may be missing for a moment.
    pub(super) const fn gap(self) -> Gap {
        match self {
            Self::Local | Self::Lockless => Gap::Never,
            Self::Network => Gap::BetweenRenames,
        }
    }

    fn lacking(self) -> Vec<Lacking> {
        match self {
            Self::Local => Vec::new(),
            Self::Network => vec![Lacking::RenameFlags, Lacking::UnnamedFiles],
            Self::Lockless => vec![Lacking::Locks],
        }
    }
}

impl Attempt {
    /// An upgrade as a portal makes it.
    pub(super) const UPGRADE: Self = Self {
        change: Change::UPGRADE,
        volume: Volume::Local,
        on_reject: OnReject::Stop,
        belief: Belief::Files,
        counted: Counted::Changes,
        jobs: 4,
    };

    /// Runs it on a root, with something happening at these calls.
    pub(super) fn traced(
        &self,
        scene: &Scene,
        root: &Path,
        at: impl IntoIterator<Item = (usize, Act)>,
    ) -> anyhow::Result<Traced> {
        let at = at.into_iter().collect();
        let faults = Faults { lacking: self.volume.lacking(), counted: self.counted, at, ..Faults::default() };
        tracer::run(&self.command(scene, root), root, &faults)
    }

    fn command(&self, scene: &Scene, root: &Path) -> Command {
        let mut command = match self.on_reject {
            OnReject::Stop => scene.installer(root, self.change.to),
            OnReject::GoOn => scene.forgiving_installer(root, self.change.to),
        };
        if self.belief == Belief::State {
            command.arg("--trust-state");
        }
        command.arg(format!("--jobs={}", self.jobs)).arg(format!("--lock-timeout={}s", self.patience()));
        command
    }

    /// Seconds that the next run may wait. Where the kernel holds no locks, one that could not be given up lapses.
    const fn patience(&self) -> usize {
        match self.volume {
            Volume::Local | Volume::Network => 0,
            Volume::Lockless => 30,
        }
    }

    /// The calls that it makes when nothing happens. That it is driven changes neither what it does nor what it says.
    pub(super) fn undisturbed(&self, scene: &Scene) -> anyhow::Result<Vec<Call>> {
        let (root, beside) = (scene.root(self.change.from)?, scene.root(self.change.from)?);
        let traced = self.traced(scene, root.path(), None)?;
        let (driven, alone) = (Ended::from(&traced), Ended::of(&mut self.command(scene, beside.path()))?);
        driven.expect_completed()?;
        let seen = Sight::of(root.path()).and_then(|sight| sight.expect(scene.sight(Some(self.change.to))));
        seen.with_context(|| format!("{self}, driven and undisturbed"))?;
        ensure!(
            told(&driven) == told(&alone),
            "driven, it says something else:\n{}\ninstead of:\n{}",
            driven.log,
            alone.log
        );
        scene.forget_requests();
        Ok(traced.calls)
    }

    /// The next run on the same volume: at once, complete, and nothing is left of what was before.
    pub(super) fn heal(&self, scene: &Scene, root: &Path) -> anyhow::Result<()> {
        let ended = match self.volume {
            Volume::Local => Ended::of(&mut self.command(scene, root))?,
            Volume::Network | Volume::Lockless => Ended::from(&self.traced(scene, root, None)?),
        };
        ended.expect_completed().context("the next run")?;
        let may_wait = self.patience() > 0;
        ensure!(may_wait || !ended.says("reason=lock_wait"), "the next run waited for a lock:\n{}", ended.log);
        self.expect(scene, root).context("after the next run")
    }

    /// One run more, which reads all files: it finds everything as it shall be.
    pub(super) fn rest(&self, scene: &Scene, root: &Path) -> anyhow::Result<()> {
        match self.belief {
            Belief::Files => scene.rest(root, self.change.to),
            Belief::State => {
                let ended = Ended::of(&mut scene.installer(root, self.change.to))?;
                ended.expect_completed().context("the run after that")?;
                ensure!(
                    ended.says("event=completed installed=0 "),
                    "the state was believed, and wrong:\n{}",
                    ended.log
                );
                self.expect(scene, root).context("after one run more")
            }
        }
    }

    /// What a run leaves; one that believes writes down what it waited for, which depends on what was there before.
    pub(super) fn expect(&self, scene: &Scene, root: &Path) -> anyhow::Result<()> {
        match self.belief {
            Belief::Files => scene.expect(root, self.change.to),
            Belief::State => Sight::of(root)?.expect(scene.sight(Some(self.change.to))),
        }
    }
}

/// The calls to try, counted from one: of each so many one, and all of the commit, where the view changes.
///
/// A run that reads from the network in other pieces makes a call more or less before its commit.
pub(super) fn points(calls: &[Call], stride: usize) -> impl Iterator<Item = usize> {
    let ends = calls.iter().position(Call::is_rename).zip(calls.iter().rposition(Call::is_rename));
    // Two more on either side, and the number of a call is its place and one.
    let commit = ends.map(|(first, last)| first.saturating_sub(1)..=last + 3);
    (1..=calls.len()).filter(move |n| n % stride == 0 || commit.as_ref().is_some_and(|commit| commit.contains(n)))
}

/// The records of a log, without what is about time, place and what the volume lacks.
fn told(ended: &Ended) -> Vec<String> {
    let is_of_the_moment =
        |field: &&str| ["ts=", "duration_ms=", "root=", "dest="].iter().any(|name| field.starts_with(name));
    let without =
        |record: &str| record.split(' ').filter(|field| !is_of_the_moment(field)).collect::<Vec<_>>().join(" ");
    ended.log.lines().filter(|record| !record.contains(" reason=lock_unsupported ")).map(without).collect()
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, `--jobs {}`", self.change.name(), self.volume, self.jobs)?;
        if self.belief == Belief::State { f.write_str(", `--trust-state`") } else { Ok(()) }
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "on a local volume",
            Self::Network => "without rename flags and unnamed files",
            Self::Lockless => "without locks",
        })
    }
}

impl From<&Traced> for Ended {
    fn from(traced: &Traced) -> Self {
        let status = match traced.end {
            End::Exited(status) => ExitStatus::from_raw(status << 8),
            End::Signalled(signal) => ExitStatus::from_raw(signal as i32),
            // As if somebody had lost patience.
            End::Hung => ExitStatus::from_raw(nix::libc::SIGKILL),
        };
        Self { status, log: format!("{}{}", traced.stdout, traced.stderr) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_commit_is_a_point_whatever_the_stride() {
        let names = "open write write write renameat2 fsync renameat openat openat unlinkat write".split(' ');
        let calls: Vec<_> = names.map(|name| Call { name, path: "root".into() }).collect();
        assert_eq!(points(&calls, 11).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9, 11]);
        assert_eq!(points(&calls[..4], 3).collect::<Vec<_>>(), [3]);
        assert_eq!(points(&calls, 1).count(), calls.len());
    }
}
