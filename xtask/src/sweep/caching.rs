//! A cache beside the root, killed and broken: what has an artifact's name there is that artifact, and no trouble of its
//! own costs a plugin.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use integrity::{Algorithm, OciDigest};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::scene::{Change, Ended, Scene};
use super::sight::{Gap, Sight};
use super::tracer::{self, Act, Counted, Faults, Traced};
use super::{Scale, Swept};

const KILL: Act = Act::Signal(Signal::SIGKILL);
/// What a file that nobody may take yet ends with.
const PART: &str = ".part";
/// Plugins of a list, each an artifact.
const PLUGINS: usize = 3;
/// An install, as each of its plugins comes out of the cache or goes into it.
const CHANGE: Change = Change::INSTALL;

/// What a cache holds before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    Everything,
}

/// Kills installations that fill a cache after each of their calls, on the root and in the cache.
pub(super) fn kills(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let (mut swept, mut unreached) = (Swept::default(), 0);
    let faults = Faults::default();
    let calls = {
        let (root, cache) = (scene.root(CHANGE.from)?, scene.root(None)?);
        tracer::run(&command(scene, root.path(), cache.path()), scene.place(), &faults)?.calls.len()
    };
    for n in (1..=calls).step_by(scale.of(17, 1)) {
        let (root, cache) = (scene.root(CHANGE.from)?, scene.root(None)?);
        let faults = Faults { at: vec![(n, KILL)], ..faults.clone() };
        let killed = tracer::run(&command(scene, root.path(), cache.path()), scene.place(), &faults)?;
        unreached += usize::from(killed.after_act.is_none());
        let what = format!("an install with a cache, killed after call {n} of {calls}");
        swept.take(what, heal(scene, root.path(), cache.path()));
        scene.forget_requests();
    }
    swept.expect_reached(unreached);
    swept.tried = format!("`kill -9` after the n-th of {calls} calls of an install that fills a cache");
    Ok(swept)
}

/// Lets calls in a cache fail that is empty, or holds all.
pub(super) fn errors(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let (mut swept, mut unreached, mut warned) = (Swept::default(), 0, 0);
    for (held, counted, act) in [
        (Held::Nothing, Counted::Changes, Act::Fail(Errno::EIO)),
        (Held::Nothing, Counted::Changes, Act::FillUp),
        (Held::Nothing, Counted::Changes, Act::Break),
        (Held::Everything, Counted::Changes, Act::Break),
        (Held::Everything, Counted::Looks, Act::Fail(Errno::EIO)),
        (Held::Everything, Counted::Looks, Act::Break),
    ] {
        let calls = disturbed(scene, held, &Faults { counted, ..Faults::default() })?.0.calls.len();
        for n in (1..=calls).step_by(scale.of(9, 1)) {
            let faults = Faults { counted, at: vec![(n, act)], ..Faults::default() };
            let (traced, judged) = disturbed(scene, held, &faults)?;
            let Some(call) = traced.after_act.and_then(|_| traced.calls.get(n - 1)) else {
                unreached += 1;
                continue;
            };
            warned += usize::from(Ended::from(&traced).says("reason=cache_"));
            swept.take(format!("{act:?} at call {n}, {call}, in a cache that held {held:?}"), judged);
            scene.forget_requests();
        }
    }
    swept.expect_reached(unreached);
    swept.tried = format!(
        "EIO at the n-th call in a cache, or no space, or EIO for good, while it is filled and while it is used; \
         {warned} runs with a warning"
    );
    Ok(swept)
}

/// An installation with faults in the cache alone, and whether it did all the same what it was asked to.
fn disturbed(scene: &Scene, held: Held, faults: &Faults) -> anyhow::Result<(Traced, anyhow::Result<()>)> {
    let (root, cache) = (scene.root(CHANGE.from)?, scene.root(None)?);
    if held == Held::Everything {
        let other = scene.root(CHANGE.from)?;
        Ended::of(&mut command(scene, other.path(), cache.path()))?.expect_completed()?;
    }
    let traced = tracer::run(&command(scene, root.path(), cache.path()), cache.path(), faults)?;
    let ended = Ended::from(&traced).expect_completed();
    let judged = ended.and_then(|()| expect(scene, root.path())).and_then(|()| expect_whole(cache.path()));
    Ok((traced, judged))
}

fn command(scene: &Scene, root: &Path, cache: &Path) -> Command {
    let mut command = scene.installer(root, CHANGE.to);
    command.arg("--lock-timeout=0").arg("--cache").arg(cache);
    command
}

/// Whatever was killed: the next run with the cache completes, and one on another root has everything out of it.
fn heal(scene: &Scene, root: &Path, cache: &Path) -> anyhow::Result<()> {
    let [old, new] = [CHANGE.from, Some(CHANGE.to)].map(|version| scene.sight(version));
    Sight::of(root)?.judge(old, new, Gap::Never)?;
    expect_whole(cache).context("after the kill")?;
    Ended::of(&mut command(scene, root, cache))?.expect_completed().context("the next run")?;
    expect(scene, root).context("after the next run")?;
    expect_whole(cache).context("after the next run")?;
    let other = scene.root(None)?;
    let ended = Ended::of(&mut command(scene, other.path(), cache))?;
    ended.expect_completed().context("a run on another root")?;
    expect(scene, other.path()).context("after a run on another root")?;
    let cached = ended.log.matches(" cached=true").count();
    ensure!(cached == PLUGINS, "expected {PLUGINS} plugins out of the cache, found {cached}:\n{}", ended.log);
    Ok(())
}

/// What is visible; what the state says of a plugin out of the cache is shorter, as no registry was asked.
fn expect(scene: &Scene, root: &Path) -> anyhow::Result<()> {
    Sight::of(root)?.expect(scene.sight(Some(CHANGE.to)))
}

/// Each file that is not a part is what its name says, a sha512 before the first dot.
fn expect_whole(cache: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(PART) {
            continue;
        }
        let found = OciDigest::of(Algorithm::Sha512, &fs::read(entry.path())?).to_string();
        let named = name.split('.').next().unwrap_or_default();
        ensure!(found == format!("sha512:{named}"), "`{name}` is of something else, `{found}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_artifact_is_found_only_under_the_name_of_a_whole_one() {
        let digest = OciDigest::of(Algorithm::Sha512, b"whole").to_string().replace("sha512:", "");
        for (name, bytes, passes) in [
            (format!("{digest}.source"), "whole", true),
            (format!("{digest}.source"), "who", false),
            (format!("{digest}.source.0.part"), "who", true),
            ("notes".to_owned(), "whole", false),
        ] {
            let cache = tempfile::tempdir().unwrap();
            fs::write(cache.path().join(&name), bytes).unwrap();
            assert_eq!(expect_whole(cache.path()).is_ok(), passes, "{name}: {bytes}");
        }
    }
}
