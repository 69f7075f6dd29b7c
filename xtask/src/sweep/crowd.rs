//! Several installers at once on one volume, some of them killed: the others end well, and the root is one version's.

use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::random::moment;
use super::scene::{Ended, Scene, Version};
use super::sight::{Gap, Sight};
use super::{Scale, Swept};
use crate::bench::noise::Xorshift;

/// How many there are at once.
const CROWDS: [usize; 3] = [2, 4, 8];
/// One of so many is killed.
const KILLED: usize = 3;

/// What became of the installers of all rounds.
#[derive(Default)]
struct Fates {
    survivors: usize,
    killed: usize,
    waited: usize,
    commits_resumed: usize,
}

/// An installer of a crowd.
struct Member {
    to: Version,
    /// When it is killed.
    dies_at: Option<Duration>,
}

/// Lets crowds loose on roots: replicas that all want the same, and rolling updates where old and new ones meet.
pub(super) fn sweep(scene: &Scene, scale: Scale) -> Swept {
    let mut swept = Swept::default();
    let (mut fates, mut random) = (Fates::default(), Xorshift::new(5));
    let rounds = scale.of(4, 100);
    for size in CROWDS {
        let start = Instant::now();
        let peaceful: Vec<_> = (0..size).map(|_| Member { to: Version::New, dies_at: None }).collect();
        swept.take(format!("{size} at once, none killed"), let_loose(scene, &peaceful, &mut fates));
        let span = start.elapsed();
        for round in 0..rounds {
            let members = members(size, round % 2 == 1, span, &mut random);
            swept.take(format!("{size} at once, round {round}"), let_loose(scene, &members, &mut fates));
            scene.forget_requests();
        }
    }
    let Fates { survivors, killed, waited, commits_resumed } = fates;
    swept.tried = format!(
        "{} installers at once, {rounds} rounds each, every other one with both versions wanted: {survivors} completed, \
         {waited} of them after a wait; {killed} were killed on the way, {commits_resumed} commits were finished by another",
        CROWDS.map(|size| size.to_string()).join(", ")
    );
    swept
}

/// The first one lives, and wants the new version; the others may die in the time that a crowd takes.
fn members(size: usize, is_rolling: bool, span: Duration, random: &mut Xorshift) -> Vec<Member> {
    let member = |number: usize| {
        let to = if is_rolling && number % 2 == 1 { Version::Old } else { Version::New };
        let dies_at = (number > 0 && random.below(KILLED) == 0).then(|| moment(random, span));
        Member { to, dies_at }
    };
    (0..size).map(member).collect()
}

fn let_loose(scene: &Scene, members: &[Member], fates: &mut Fates) -> anyhow::Result<()> {
    // Where both versions are wanted, nobody shall find his own there.
    let root = scene.root(if is_rolling(members) { None } else { Some(Version::Old) })?;
    let start = Instant::now();
    let spawn = |member: &Member| scene.installer(root.path(), member.to).spawn().context("could not start");
    let crowd: Vec<Child> = members.iter().map(spawn).collect::<Result<_, _>>()?;
    let ended = thread::scope(|scope| {
        let at_once = if is_rolling(members) { None } else { Some((scene.sight(Some(Version::New)), root.path())) };
        let wait = |(member, child)| scope.spawn(move || live(member, child, start, at_once));
        let waiting: Vec<_> = members.iter().zip(crowd).map(wait).collect();
        waiting
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
            .collect::<Vec<_>>()
    });
    for (member, ended) in members.iter().zip(ended) {
        let ended = ended?;
        let was_killed = member.dies_at.is_some() && ended.status.code().is_none();
        fates.killed += usize::from(was_killed);
        fates.commits_resumed += usize::from(ended.says("reason=commit_resumed"));
        if !was_killed {
            ended.expect_completed()?;
            fates.survivors += 1;
            fates.waited += usize::from(ended.says("reason=lock_wait"));
        }
    }
    let version = settled(scene, root.path(), members)?;
    scene.heal(root.path(), version)?;
    scene.rest(root.path(), version)
}

/// The version that the root holds now, or that the next run may bring it to.
fn settled(scene: &Scene, root: &Path, members: &[Member]) -> anyhow::Result<Version> {
    if !is_rolling(members) {
        // Whoever came after the first that completed had nothing left to do, and nothing to leave when it was killed.
        return scene.expect(root, Version::New).map(|()| Version::New);
    }
    if members.iter().any(|member| member.dies_at.is_some()) {
        // The last one may have been killed in its commit.
        let [old, new] = [Version::Old, Version::New].map(|version| scene.sight(Some(version)));
        return Sight::of(root)?.judge(old, new, Gap::Never).map(|_| Version::New);
    }
    scene.expect(root, Version::New).map(|()| Version::New).or_else(|why| {
        scene
            .expect(root, Version::Old)
            .with_context(|| format!("not the new version ({why:#}), and not the old one"))?;
        Ok(Version::Old)
    })
}

fn is_rolling(members: &[Member]) -> bool {
    members.iter().any(|member| member.to == Version::Old)
}

/// Waits for an installer, or kills it when its time has come. When it completes, its portal starts at once, whatever
/// the other installers still do: the root has to be whole.
fn live(member: &Member, mut child: Child, start: Instant, at_once: Option<(&Sight, &Path)>) -> anyhow::Result<Ended> {
    if let Some(at) = member.dies_at {
        thread::sleep(at.saturating_sub(start.elapsed()));
        child.kill()?;
    }
    let ended = Ended::after(child)?;
    if let (Some((wanted, root)), Some(0)) = (at_once, ended.status.code()) {
        let seen = Sight::of(root).and_then(|sight| sight.judge(wanted, wanted, Gap::Never));
        seen.context("one of them had completed, the others had not")?;
    }
    Ok(ended)
}
