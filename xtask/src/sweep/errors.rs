//! A volume that answers with an error, at every single call that the installer makes on it.
//!
//! A run ends in one of a few ways then, and in no other; the next one, undisturbed, always puts things right.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use nix::errno::Errno;

use super::attempt::{Attempt, Belief, OnReject, Volume, points};
use super::scene::{Change, Ended, Scene};
use super::sight::{Progress, Sight};
use super::tracer::{Act, Counted, End};
use super::{Scale, Swept, sight};

/// What a full, broken, limited or exhausted volume answers; the short form takes the first two.
const ERRORS: [Errno; 4] = [Errno::ENOSPC, Errno::EIO, Errno::EDQUOT, Errno::EMFILE];

/// How runs ended.
#[derive(Default)]
struct Endings {
    calls: usize,
    /// As an error of the volume, and the root is as it was.
    refused: usize,
    /// As a root that nobody can work on, and it is as it was.
    unwritable: usize,
    /// Without the plugin that the error befell.
    without_one: usize,
    /// Completed, and how it could be.
    survived: BTreeMap<String, usize>,
    /// Completed, but for a staging folder that could not be removed.
    littered: usize,
    /// Of a volume that is gone: some plugins are old and some new, and each is whole.
    between: usize,
    /// The run made fewer calls this time.
    unreached: usize,
}

/// How a run ended, as judged.
enum Ending {
    Refused,
    Unwritable,
    WithoutOne,
    Survived,
    Littered,
    Between,
}

/// Runs that something goes wrong in, and how they may end.
struct Trouble {
    /// In words.
    what: String,
    runs: Vec<(Attempt, Act)>,
    /// Of the calls outside of the commit one in so many is tried.
    stride: usize,
    judge: fn(&Scene, Change, &Path, &Ended) -> anyhow::Result<Ending>,
}

/// One error at one call of a run that changes all or nothing.
pub(super) fn single(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let install = Attempt { change: Change::INSTALL, ..Attempt::UPGRADE };
    let upgrades = Volume::ALL.map(|volume| Attempt { volume, ..Attempt::UPGRADE });
    let attempts = [install].into_iter().chain(upgrades);
    let errors = &ERRORS[..scale.of(2, 4)];
    let each = |attempt| errors.iter().map(move |errno| (attempt, Act::Fail(*errno)));
    let trouble = Trouble {
        what: format!("{} at the n-th call of an install, and of an upgrade on three kinds of volume", named(errors)),
        runs: attempts.flat_map(each).collect(),
        stride: scale.of(97, 1),
        judge: all_or_nothing,
    };
    trouble.sweep(scene)
}

/// One error at one wait for the disk, of an upgrade whose state will be believed.
pub(super) fn syncing(scene: &Scene, _: Scale) -> anyhow::Result<Swept> {
    let attempt = Attempt { belief: Belief::State, counted: Counted::Syncs, ..Attempt::UPGRADE };
    let trouble = Trouble {
        what: format!("{} at the n-th sync of an upgrade with `--trust-state`", named(&ERRORS)),
        runs: ERRORS.map(|errno| (attempt, Act::Fail(errno))).to_vec(),
        stride: 1,
        judge: nothing_unsaid,
    };
    trouble.sweep(scene)
}

/// One error at one call of an upgrade that only looks: at its own files, at what is installed, at what it fetched.
pub(super) fn looking(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let attempt = Attempt { counted: Counted::Looks, ..Attempt::UPGRADE };
    let errors = [Errno::EIO, Errno::ESTALE];
    let trouble = Trouble {
        what: format!("{} at the n-th read or look of an upgrade", named(&errors)),
        runs: errors.map(|errno| (attempt, Act::Fail(errno))).to_vec(),
        stride: scale.of(13, 1),
        judge: all_or_nothing,
    };
    trouble.sweep(scene)
}

/// A volume that is full from one call of an upgrade on.
pub(super) fn full(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let trouble = Trouble {
        what: "no space left from the n-th call of an upgrade on".to_owned(),
        runs: vec![(Attempt::UPGRADE, Act::FillUp)],
        stride: scale.of(29, 1),
        judge: all_or_nothing,
    };
    trouble.sweep(scene)
}

/// A volume that is gone from one call of an upgrade on, and is back for the next run.
pub(super) fn broken(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let trouble = Trouble {
        what: "EIO from the n-th call of an upgrade on, whatever is asked".to_owned(),
        runs: vec![(Attempt::UPGRADE, Act::Break)],
        stride: scale.of(29, 1),
        judge: each_is_whole,
    };
    trouble.sweep(scene)
}

/// One error at one call of an upgrade that goes on without a rejected plugin.
pub(super) fn forgiven(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let attempt = Attempt { on_reject: OnReject::GoOn, ..Attempt::UPGRADE };
    let errors = [Errno::ENOSPC, Errno::EIO];
    let trouble = Trouble {
        what: format!("{} at the n-th call of a fail-open upgrade", named(&errors)),
        runs: errors.map(|errno| (attempt, Act::Fail(errno))).to_vec(),
        stride: scale.of(53, 1),
        judge: all_but_one,
    };
    trouble.sweep(scene)
}

impl Trouble {
    fn sweep(self, scene: &Scene) -> anyhow::Result<Swept> {
        let (mut swept, mut endings) = (Swept::default(), Endings::default());
        for (attempt, act) in &self.runs {
            let calls = attempt.undisturbed(scene)?;
            endings.calls += calls.len();
            for n in points(&calls, self.stride) {
                self.bring(scene, attempt, (n, *act), &mut endings, &mut swept)?;
                scene.forget_requests();
            }
        }
        swept.expect_reached(endings.unreached);
        swept.tried = format!("{}: {} of {endings}", self.what, swept.faults);
        Ok(swept)
    }

    /// Lets it happen once, and judges what came of it.
    fn bring(
        &self,
        scene: &Scene,
        attempt: &Attempt,
        at: (usize, Act),
        endings: &mut Endings,
        swept: &mut Swept,
    ) -> anyhow::Result<()> {
        let root = scene.root(attempt.change.from)?;
        let traced = attempt.traced(scene, root.path(), Some(at))?;
        let Some(call) = traced.after_act.and_then(|_| traced.calls.get(at.0 - 1)) else {
            // Threads took turns in another way, and it had fewer calls to make.
            endings.unreached += 1;
            return Ok(());
        };
        let what = format!("{attempt}, {:?} at call {}, {call}", at.1, at.0);
        let ended = Ended::from(&traced);
        let judged = expect_an_ending(traced.end, &ended)
            .and_then(|()| (self.judge)(scene, attempt.change, root.path(), &ended))
            .and_then(|ending| attempt.heal(scene, root.path()).map(|()| ending))
            .map_err(|why| anyhow!("{why:#}\n{}", ended.log));
        if let Some(ending) = swept.take(what, judged) {
            let how = if let Act::Fail(_) = at.1 { format!("without a `{}`", call.name) } else { "in time".to_owned() };
            endings.count(&ending, how);
        }
        Ok(())
    }
}

impl Endings {
    fn count(&mut self, ending: &Ending, how: String) {
        *match ending {
            Ending::Refused => &mut self.refused,
            Ending::Unwritable => &mut self.unwritable,
            Ending::WithoutOne => &mut self.without_one,
            Ending::Survived => self.survived.entry(how).or_default(),
            Ending::Littered => &mut self.littered,
            Ending::Between => &mut self.between,
        } += 1;
    }
}

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            (self.refused, "`io_error` and unchanged"),
            (self.unwritable, "`root_unwritable` and unchanged"),
            (self.without_one, "completed without the plugin concerned"),
            (self.littered, "completed with a warning that staging is left"),
            (self.between, "failed with each plugin old or new"),
            (self.unreached, "ended before"),
        ];
        write!(f, "{} calls", self.calls)?;
        rows.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))?;
        self.survived.iter().try_for_each(|(how, count)| write!(f, ", {count} completed {how}"))
    }
}

fn named(errors: &[Errno]) -> String {
    errors.iter().map(|errno| format!("{errno:?}")).collect::<Vec<_>>().join(" or ")
}

/// The status and the last record belong together, and blame the volume when the run failed.
pub(super) fn expect_an_ending(end: End, ended: &Ended) -> anyhow::Result<()> {
    match end {
        End::Exited(0) => ended.expect_completed(),
        End::Exited(status) => {
            let reason = failure(ended)?;
            let expected = if reason == "continueOnError_false" { 1 } else { 3 };
            ensure!(status == expected, "expected status {expected} with `{reason}`, found {status}");
            Ok(())
        }
        other => bail!("expected a run that ends by itself, found {other:?}"),
    }
}

/// The whole change, or the root to the byte as it was.
fn all_or_nothing(scene: &Scene, change: Change, root: &Path, ended: &Ended) -> anyhow::Result<Ending> {
    if ended.status.success() {
        return completed(scene, change, root, ended);
    }
    if let Some(difference) = scene.hidden(change.from)?.difference(&sight::all_but_locks(root)?) {
        bail!("the run failed, and something on the root has changed: {difference}");
    }
    Ok(if failure(ended)? == "root_unwritable" { Ending::Unwritable } else { Ending::Refused })
}

/// The root to the byte as it was; or all of it is visible, and the run says that it does not know what is on the disk.
fn nothing_unsaid(scene: &Scene, change: Change, root: &Path, ended: &Ended) -> anyhow::Result<Ending> {
    if !ended.status.success() {
        return all_or_nothing(scene, change, root, ended);
    }
    let is_said = ended.says("level=WARN event=warning reason=sync_failed ");
    ensure!(is_said, "the run completed, and said nothing of what may not be on the disk");
    // What it writes down depends on what was there before.
    Sight::of(root)?.expect(scene.sight(Some(change.to)))?;
    Ok(Ending::Survived)
}

fn completed(scene: &Scene, change: Change, root: &Path, ended: &Ended) -> anyhow::Result<Ending> {
    if !ended.says("reason=staging_left") {
        scene.expect(root, change.to)?;
        return Ok(Ending::Survived);
    }
    let sight = Sight { has_staging: false, ..Sight::of(root)? };
    sight.expect(scene.sight(Some(change.to)))?;
    Ok(Ending::Littered)
}

/// The upgrade without plugins that the log rejects; an older copy of those is gone.
fn all_but_one(scene: &Scene, change: Change, root: &Path, ended: &Ended) -> anyhow::Result<Ending> {
    let rejected = rejected(ended)?;
    if rejected.is_empty() || !ended.status.success() {
        return all_or_nothing(scene, change, root, ended);
    }
    let [name] = rejected.as_slice() else { bail!("expected one plugin to be rejected, found {rejected:?}") };
    let mut sight = Sight::of(root)?;
    ensure!(!sight.has_staging, "the staging folder is left");
    let mut wanted = scene.sight(Some(change.to)).clone();
    ensure!(wanted.plugins.remove(name).is_some(), "`{name}` was rejected, and is no plugin of the list");
    // The one who is not there has no settings either.
    (sight.app_config, wanted.app_config) = (None, None);
    sight.expect(&wanted)?;
    Ok(Ending::WithoutOne)
}

/// Nothing but that no plugin is half or mixed: nothing could be undone or removed any more.
fn each_is_whole(scene: &Scene, change: Change, root: &Path, ended: &Ended) -> anyhow::Result<Ending> {
    let [old, new] = [change.from, Some(change.to)].map(|version| scene.sight(version));
    let progress = Sight::of(root)?.judge(old, new, Volume::Local.gap())?;
    Ok(match progress {
        Progress::After if ended.status.success() => Ending::Littered,
        _ if ended.status.success() => bail!("the run completed, and the root shows {progress:?}"),
        Progress::Before => Ending::Refused,
        Progress::During | Progress::After => Ending::Between,
    })
}

/// The reason of a failure, which is an error of the volume in one way or another.
fn failure(ended: &Ended) -> anyhow::Result<&str> {
    let fatal: Vec<_> = ended.log.lines().filter(|line| line.contains(" event=fatal ")).collect();
    let [fatal] = fatal.as_slice() else { bail!("expected one last record, found {}", fatal.len()) };
    let reason = field(fatal, "reason")?;
    match reason {
        "io_error" | "root_unwritable" => Ok(reason),
        "continueOnError_false" if !rejected(ended)?.is_empty() => Ok(reason),
        other => bail!("expected `io_error` or `root_unwritable`, found `{other}`"),
    }
}

/// The folders of the plugins that the log rejects, each with `io_error`.
fn rejected(ended: &Ended) -> anyhow::Result<Vec<String>> {
    let rejections = ended.log.lines().filter(|line| line.contains(" event=plugin_rejected "));
    let folders = rejections.map(|line| {
        let reason = field(line, "reason")?;
        ensure!(reason == "io_error", "expected `io_error`, found `{reason}`");
        let package = field(line, "package")?;
        let name = package.rsplit('/').next().and_then(|name| name.split(':').next()).unwrap_or_default();
        Ok(format!("{name}-dynamic"))
    });
    folders.collect()
}

/// A field of a record whose value needs no quotes.
fn field<'a>(record: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let value = record.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value.with_context(|| format!("a record has no `{name}`: {record}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    const COMPLETED: &str = "ts=1 level=INFO event=completed installed=2 rejected=0\n";
    const REJECTED: &str =
        "ts=1 level=ERROR event=plugin_rejected package=oci://r:1/my-org/many:2.0.0 reason=io_error\n";
    const MISMATCH: &str = "ts=1 level=ERROR event=plugin_rejected package=oci://r:1/x:1 reason=integrity_mismatch\n";
    const FAIL_CLOSED: &str = "ts=1 level=ERROR event=fatal reason=continueOnError_false detail=\"a\"\n";
    const COMMIT: &str = "ts=1 level=ERROR event=fatal reason=io_error detail=\"a\"\n";
    const ROOT: &str = "ts=1 level=ERROR event=fatal reason=root_unwritable detail=\"a\"\n";
    const BUG: &str = "ts=1 level=ERROR event=fatal reason=config_invalid detail=\"a\"\n";

    #[test]
    fn only_endings_that_blame_the_volume_pass() {
        let rows = [
            ("completed", End::Exited(0), COMPLETED.to_owned(), true),
            ("a rejection", End::Exited(1), format!("{REJECTED}{FAIL_CLOSED}"), true),
            ("a commit that failed", End::Exited(3), COMMIT.to_owned(), true),
            ("a root that cannot be used", End::Exited(3), ROOT.to_owned(), true),
            ("success without a last record", End::Exited(0), String::new(), false),
            ("success with a failure", End::Exited(0), COMMIT.to_owned(), false),
            ("no last record", End::Exited(3), REJECTED.to_owned(), false),
            ("two last records", End::Exited(3), format!("{COMMIT}{COMMIT}"), false),
            ("nobody was rejected", End::Exited(1), FAIL_CLOSED.to_owned(), false),
            ("another reason", End::Exited(3), BUG.to_owned(), false),
            ("rejected for another reason", End::Exited(1), format!("{MISMATCH}{FAIL_CLOSED}"), false),
            ("another status", End::Exited(2), COMMIT.to_owned(), false),
            ("a panic", End::Exited(101), String::new(), false),
            ("an abort", End::Signalled(nix::sys::signal::Signal::SIGABRT), String::new(), false),
            ("a run that hangs", End::Hung, COMPLETED.to_owned(), false),
        ];
        for (name, end, log, passes) in rows {
            let status = if let End::Exited(status) = end { status << 8 } else { 6 };
            let ended = Ended { status: ExitStatus::from_raw(status), log };
            assert_eq!(expect_an_ending(end, &ended).is_ok(), passes, "{name}");
        }
    }

    #[test]
    fn a_rejected_plugin_is_known_by_its_folder() {
        let ended = Ended { status: ExitStatus::from_raw(0), log: format!("{REJECTED}{COMPLETED}") };
        assert_eq!(rejected(&ended).unwrap(), ["many-dynamic"]);
    }
}
