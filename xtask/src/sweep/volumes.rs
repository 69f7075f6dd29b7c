//! Volumes that are slow, or lack what a local disk has: locks, exchanging names, files without a name.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;

use super::scene::{Change, Ended, Scene, Version};
use super::sight::Sight;
use super::stop::{Endings, PATIENCE};
use super::tracer::{self, Act, Faults, Lacking, Traced};
use super::{Scale, Swept};
use crate::bench::noise::Xorshift;

/// What volumes lack: each alone, and what NFS without a lock daemon lacks.
const VOLUMES: [&[Lacking]; 4] = [
    &[Lacking::Locks],
    &[Lacking::RenameFlags],
    &[Lacking::UnnamedFiles],
    &[Lacking::Locks, Lacking::RenameFlags, Lacking::UnnamedFiles],
];
/// How many installers meet on such a volume.
const CROWDS: [usize; 2] = [2, 4];

/// What became of the installers on one volume.
struct Met {
    swept: Swept,
    survivors: usize,
    killed: usize,
    random: Xorshift,
}

/// Installs on a volume that is slow at each of hundreds of calls, one after the other, and is told to stop there.
pub(super) fn slow(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let mut endings = Endings::default();
    let delay = match scale {
        Scale::Short => Duration::from_millis(3),
        Scale::Full => Duration::from_millis(10),
    };
    let faults = Faults { delay, ..Faults::default() };
    let change = Change::UPGRADE;
    let calls = driven(scene, change, &faults, &mut swept, "a slow volume")?;
    let points = scale.of(5, 24);
    for number in 0..points {
        let n = 1 + number * calls / points;
        let faults = Faults { at: vec![(n, Act::Signal(Signal::SIGTERM))], ..faults.clone() };
        swept.take(format!("told to stop at call {n} of a slow volume"), stopped(scene, change, &faults, &mut endings));
        scene.forget_requests();
    }
    swept.tried = format!(
        "an upgrade of {calls} calls that take {} ms each: completes; TERM at {points} of them: {endings}",
        delay.as_millis()
    );
    Ok(swept)
}

/// Installs, upgrades and lets crowds meet on volumes that lack something; on all of them side by side, as those without
/// locks mostly wait until a dead holder's lease is over.
pub(super) fn lacking(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let rounds = scale.of(1, 8);
    let all: Vec<_> = thread::scope(|scope| {
        let start = |lacking| scope.spawn(move || Met::on(scene, lacking, rounds));
        let running: Vec<_> = VOLUMES.into_iter().map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    let (mut survivors, mut killed) = (0, 0);
    for met in all {
        let met = met?;
        swept.faults += met.swept.faults;
        swept.findings.extend(met.swept.findings);
        survivors += met.survivors;
        killed += met.killed;
    }
    swept.tried = format!(
        "volumes without {}: install, upgrade, and {} at once, {rounds} rounds each: {survivors} completed, {killed} were \
         killed on the way",
        VOLUMES.map(|lacking| format!("{lacking:?}").replace(['[', ']'], "").replace(", ", " and ")).join(", without "),
        CROWDS.map(|size| size.to_string()).join(" and ")
    );
    scene.forget_requests();
    Ok(swept)
}

impl Met {
    fn on(scene: &Scene, lacking: &[Lacking], rounds: usize) -> anyhow::Result<Self> {
        let mut met = Self { swept: Swept::default(), survivors: 0, killed: 0, random: Xorshift::new(7) };
        let faults = Faults { lacking: lacking.to_vec(), ..Faults::default() };
        let about = format!("a volume without {lacking:?}");
        driven(scene, Change::INSTALL, &faults, &mut met.swept, &about)?;
        let calls = driven(scene, Change::UPGRADE, &faults, &mut met.swept, &about)?;
        for size in CROWDS {
            for round in 0..rounds {
                let is_deadly = (round + size / 2) % 2 == 0;
                let kills: Vec<_> = (0..size)
                    // The first one lives.
                    .map(|number| {
                        (is_deadly && number > 0 && met.random.below(2) == 0).then(|| met.random.below(calls))
                    })
                    .collect();
                let what = format!("{size} at once on {about}, killed at calls {kills:?}, round {round}");
                let judged = met.crowd(scene, &faults, &kills);
                met.swept.take(what, judged);
            }
        }
        Ok(met)
    }

    /// Some at once, of which some are killed at a call.
    fn crowd(&mut self, scene: &Scene, faults: &Faults, kills: &[Option<usize>]) -> anyhow::Result<()> {
        let root = scene.root(Some(Version::Old))?;
        let to = Version::New;
        let crowd: Vec<_> = thread::scope(|scope| {
            let start = |call: &Option<usize>| {
                let at = call.map(|call| (1 + call, Act::Signal(Signal::SIGKILL))).into_iter().collect();
                let faults = Faults { at, ..faults.clone() };
                let root = root.path();
                scope.spawn(move || run(scene, root, to, &faults))
            };
            let running: Vec<_> = kills.iter().map(start).collect();
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
        });
        for (traced, kill) in crowd.into_iter().zip(kills) {
            let ended = Ended::from(&traced?);
            if kill.is_some() && ended.status.signal() == Some(Signal::SIGKILL as i32) {
                self.killed += 1;
                continue;
            }
            ended.expect_completed()?;
            warns(&ended, &faults.lacking)?;
            self.survivors += 1;
        }
        // As all want the same, whoever came after the first that completed had nothing left to do, and nothing to leave
        // when it was killed but its lease.
        Sight::of(root.path())?.expect(scene.sight(Some(to))).context("after all of them")?;
        let next = Ended::from(&run(scene, root.path(), to, faults)?);
        next.expect_completed().context("the next run")?;
        scene.expect(root.path(), to).context("after the next run")
    }
}

/// One run that completes whatever the volume is like; answers how many calls it made.
fn driven(scene: &Scene, change: Change, faults: &Faults, swept: &mut Swept, about: &str) -> anyhow::Result<usize> {
    let root = scene.root(change.from)?;
    let traced = run(scene, root.path(), change.to, faults)?;
    let ended = Ended::from(&traced);
    let judged = ended.expect_completed().and_then(|()| scene.expect(root.path(), change.to));
    swept.take(format!("{} on {about}", change.name()), judged.and_then(|()| warns(&ended, &faults.lacking)));
    Ok(traced.calls.len())
}

/// A volume without locks is told loudly, and any other is not.
fn warns(ended: &Ended, lacking: &[Lacking]) -> anyhow::Result<()> {
    let warned = ended.says("level=WARN event=warning reason=lock_unsupported");
    ensure!(warned == lacking.contains(&Lacking::Locks), "a wrong word about locks:\n{}", ended.log);
    Ok(())
}

fn stopped(scene: &Scene, change: Change, faults: &Faults, endings: &mut Endings) -> anyhow::Result<()> {
    let root = scene.root(change.from)?;
    let traced = run(scene, root.path(), change.to, faults)?;
    let took = traced.after_act.context("it made fewer calls than the run before")?;
    ensure!(took < PATIENCE, "it went on for {took:?}");
    endings.judge(scene, root.path(), change, Signal::SIGTERM, &Ended::from(&traced), took)?;
    scene.heal(root.path(), change.to)?;
    scene.rest(root.path(), change.to)
}

fn run(scene: &Scene, root: &Path, to: Version, faults: &Faults) -> anyhow::Result<Traced> {
    tracer::run(&scene.installer(root, to), root, faults)
}
