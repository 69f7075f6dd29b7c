//! Runs that are killed, and what the next run makes of what they leave.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{
    DEST, LARGE, LOCK, NO_WAIT, OLD, STAGING, STATE, Versions, content, is_upgraded, leaves_no_staging, list,
    next_is_idle, warns,
};
use crate::bench::{Mode, Seen};
use crate::case::{Case, Entry, Listing};
use crate::launch::Launch;
use crate::logfmt::records;

/// What makes a file system's rename know no flags, as NFS does.
const NO_EXCHANGE: &str = "renameat2:error=EINVAL";

/// How the old copy and the new one change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swap {
    AtOnce,
    /// Between the two a plugin is missing, until the next run.
    InTwoSteps,
}

/// Each call is the last of a run, and is not made.
pub(super) fn anywhere() -> Case {
    let moments = [
        ("the first folder", "mkdirat:signal=KILL:when=1"),
        ("a folder of the plugin", "mkdirat:signal=KILL:when=4"),
        ("the first request", "sendto:signal=KILL:when=1"),
        ("the artifact's bytes", "write:signal=KILL:when=1"),
        ("a file's bytes", "write:signal=KILL:when=7"),
        ("the first sync", "fsync:signal=KILL:when=1"),
        ("the third sync", "fsync:signal=KILL:when=3"),
        ("the first rename", "renameat:signal=KILL:when=1"),
        ("the swap", "renameat2:signal=KILL:when=1"),
        ("the second rename", "renameat:signal=KILL:when=2"),
        ("the last rename", "renameat:signal=KILL:when=3"),
        ("tidying up", "unlinkat:signal=KILL:when=5"),
    ];
    let on_disk = || Case { in_memory: false, ..Versions::new().upgrade() };
    let once = |(name, kill)| (name, killed(on_disk(), &[&[kill]], Swap::AtOnce));
    let again = [&["renameat2:signal=KILL:when=1"][..], &["renameat2:signal=KILL:when=1"]];
    let again = ("the swap, again and again", killed(on_disk(), &again, Swap::AtOnce));
    Case::instances(moments.into_iter().map(once).chain([again]))
}

/// An upgrade is begun and killed, once or several times, and then carried out.
fn killed(case: Case, kills: &[&[&str]], swap: Swap) -> Case {
    let earlier = kills.iter().map(|faults| Launch { flags: NO_WAIT, ..Launch::with_faults(faults) }).collect();
    let launch = Launch { flags: NO_WAIT, ..Launch::default() };
    let case = Case { earlier, launch, ..case };
    case.holds(move |seen| was_never_half(seen, swap)).holds(waits_for_nobody).holds(is_upgraded).holds(next_is_idle)
}

/// That after each kill every plugin was as before or as afterwards, and what was staged lay where nobody looks.
fn was_never_half(seen: &Seen, swap: Swap) -> Result<(), String> {
    let first = seen.earlier.first().ok_or("no earlier run")?;
    for (run, earlier) in seen.earlier.iter().enumerate() {
        if !earlier.told.was_killed() {
            return Err(format!("run {run} was to be killed: {:?}", earlier.told));
        }
        for folder in [DEST, "gone-dynamic"] {
            let found = content(&earlier.after, folder);
            let is_gap = found.is_empty() && swap == Swap::InTwoSteps;
            if ![content(&first.before, folder), content(&seen.after, folder)].contains(&found) && !is_gap {
                return Err(format!("`{folder}` was half after kill {run}: {found:#?}"));
            }
        }
        lies_deep(&earlier.after.staging)?;
    }
    Ok(())
}

/// A portal looks for manifests in the root's folders, and in those one level below.
fn lies_deep(staging: &[String]) -> Result<(), String> {
    let depth = |line: &&String| line.split(' ').nth(2).unwrap_or_default().matches('/').count();
    match staging.iter().filter(|line| line.contains("/package.json ")).min_by_key(depth) {
        // The shallowest that is deep enough: `volume/plugins/<staging>/<run>/<plugin>/package.json`.
        Some(line) if depth(&line) < 5 => Err(format!("a portal may see it: {line}")),
        _ => Ok(()),
    }
}

fn waits_for_nobody(seen: &Seen) -> Result<(), String> {
    let waited = records(&seen.stdout)?.iter().any(|record| record.reason() == "lock_wait");
    if waited { Err("waited for a lock".to_owned()) } else { Ok(()) }
}

/// Where names cannot be exchanged the old copy is moved away, and there is none for a moment; the next run ends that
/// whatever else becomes of it.
pub(super) fn between_the_halves() -> Case {
    let halves = [NO_EXCHANGE, "renameat:signal=KILL:when=3"];
    let gap = |seen: &Seen| {
        let gaps = seen.earlier.iter().filter(|earlier| content(&earlier.after, DEST).is_empty()).count();
        if gaps == seen.earlier.len() { Ok(()) } else { Err(format!("only {gaps} kills came between the halves")) }
    };
    let asks_nobody = |seen: &Seen| match &seen.requests[..] {
        [] => Ok(()),
        requests => Err(format!("what was there already was asked for: {requests:?}")),
    };
    let upgrade = |kills: &[&[&str]]| killed(Versions::new().upgrade(), kills, Swap::InTwoSteps).holds(gap);
    let still_without = upgrade(&[&halves]).holds(asks_nobody);
    let launch = Launch { flags: NO_WAIT, ..Launch::with_faults(&[NO_EXCHANGE]) };
    let still_without = Case { launch, ..still_without };
    // The run that finishes is killed on its way, too.
    let twice = upgrade(&[&halves, &[NO_EXCHANGE, "renameat:signal=KILL:when=1"]]).holds(asks_nobody);
    Case::instances([
        ("finished", upgrade(&[&halves]).holds(asks_nobody)),
        ("finished without an exchange", still_without),
        ("killed twice", twice),
        ("followed by a run that fails", upgrade(&[&halves]).beside(fails_after(&halves), never_none)),
    ])
}

/// The run after the kill cannot have what it wants.
fn fails_after(halves: &[&str]) -> Case {
    let versions = Versions::new();
    let next = Listing::of([Entry::new("oci://reg.example.com/my-org/nothing:1", &versions.new.integrity)]);
    let case = versions.upgrade();
    let earlier = vec![Launch::with_faults(halves)];
    Case { earlier, later: Some(next), ..case }
}

fn never_none(seen: &Seen) -> Result<(), String> {
    if seen.mode == Mode::FailOpen {
        // There a plugin that is listed no more is removed.
        return leaves_no_staging(seen);
    }
    super::version(&seen.on_root(DEST)).map(drop).and_then(|()| leaves_no_staging(seen))
}

/// What was not synced comes back as anything, but the state does not.
pub(super) fn power_cut() -> Case {
    type Tear = fn(&Path);
    let tears: [(&str, Tear); 8] = [
        ("a file is empty", |plugin| fs::write(plugin.join("dist/3.js"), "").unwrap()),
        ("a file is zeroed", |plugin| fs::write(plugin.join("dist/3.js"), [0; OLD.len()]).unwrap()),
        ("a file is cut", |plugin| fs::write(plugin.join("dist/3.js"), "2").unwrap()),
        ("a file is missing", |plugin| fs::remove_file(plugin.join("dist/3.js")).unwrap()),
        ("a folder is empty", |plugin| {
            fs::remove_dir_all(plugin.join("dist")).unwrap();
            fs::create_dir(plugin.join("dist")).unwrap();
        }),
        ("the manifest is zeroed", |plugin| {
            let len = fs::metadata(plugin.join("package.json")).unwrap().len();
            fs::write(plugin.join("package.json"), vec![0; usize::try_from(len).unwrap()]).unwrap();
        }),
        ("nothing is in it", |plugin| {
            fs::remove_dir_all(plugin).unwrap();
            fs::create_dir(plugin).unwrap();
        }),
        ("it is missing", |plugin| fs::remove_dir_all(plugin).unwrap()),
    ];
    let torn = |(name, tear): (&'static str, Tear)| {
        let case = Versions::new().repeated().arranged(move |root| tear(&root.join(DEST)));
        (name, case.holds(|seen| warns(seen, "files_changed")).holds(is_upgraded).holds(next_is_idle))
    };
    let launch = Launch { noted: &["fsync", "fdatasync", "syncfs", "renameat", "renameat2"], ..Launch::default() };
    let synced = Case { launch, ..Versions::new().upgrade() }.holds(state_is_synced).holds(is_upgraded);
    Case::instances(tears.map(torn).into_iter().chain([("the state is synced", synced)]))
}

/// That the state's bytes are on the disk before it has its name, and the name after that.
fn state_is_synced(seen: &Seen) -> Result<(), String> {
    let named: Vec<_> = (0..seen.calls.len()).filter(|at| seen.calls[*at].contains(&format!("\"{STATE}\")"))).collect();
    if named.is_empty() {
        return Err("the state was never written".to_owned());
    }
    for at in named {
        let source = seen.calls[at].split('"').nth(1).unwrap_or_default();
        let is_sync = |call: &String, of: &str| call.contains("sync") && call.contains(of);
        if !seen.calls[..at].iter().any(|call| is_sync(call, &format!("/{source}>"))) {
            return Err(format!("not synced before it counts: {}", seen.calls[at]));
        }
        let root = format!("{}>", seen.on_root("").display()).replace("/>", ">");
        if !seen.calls[at + 1..].iter().any(|call| is_sync(call, &root)) {
            return Err(format!("the root was not synced after it: {}", seen.calls[at]));
        }
    }
    Ok(())
}

/// Files that mean a lock to others, or did so to a run that is no more.
pub(super) fn lock_left() -> Case {
    type Leave = fn(&Path);
    let leavings: [(&str, Leave); 4] = [
        ("a name in it", |root| fs::write(root.join(LOCK), "pod portal-7c9f (process 1, since 2026)").unwrap()),
        ("nothing in it", |root| fs::write(root.join(LOCK), "").unwrap()),
        ("it is read-only", |root| {
            fs::write(root.join(LOCK), "somebody").unwrap();
            fs::set_permissions(root.join(LOCK), Permissions::from_mode(0o444)).unwrap();
        }),
        ("another installer's", |root| fs::write(root.join("install-dynamic-plugins.lock"), "").unwrap()),
    ];
    let left = |(name, leave): (&'static str, Leave)| {
        let launch = Launch { flags: NO_WAIT, ..Launch::default() };
        let case = Case { launch, ..Versions::new().upgrade().arranged(leave) };
        (name, case.holds(waits_for_nobody).holds(is_upgraded).holds(next_is_idle))
    };
    let kills: [(&str, &[&[&str]]); 3] = [
        ("killed while it fetched", &[&["sendto:signal=KILL:when=2"]]),
        ("killed while it committed", &[&["renameat:signal=KILL:when=2"]]),
        (
            "three killed",
            &[&["mkdirat:signal=KILL:when=1"], &["fsync:signal=KILL:when=1"], &["write:signal=KILL:when=1"]],
        ),
    ];
    let killed = kills.map(|(name, kills)| (name, killed(Versions::new().upgrade(), kills, Swap::AtOnce)));
    Case::instances(leavings.map(left).into_iter().chain(killed))
}

/// What killed runs may have left, and what others may have put in its place.
pub(super) fn staging_left() -> Case {
    type Leave = fn(&Path);
    let leavings: [(&str, Leave); 7] = [
        ("half a plugin", |staging| {
            fs::create_dir_all(staging.join("run-1/0000/dist")).unwrap();
            fs::write(staging.join("run-1/0000/dist/half.js"), "").unwrap();
        }),
        ("folders that nobody may read", |staging| {
            let locked = staging.join("run-1/0000/dist");
            fs::create_dir_all(&locked).unwrap();
            fs::write(locked.join("half.js"), "").unwrap();
            for folder in [&*locked, &staging.join("run-1/0000"), &staging.join("run-1"), staging] {
                fs::set_permissions(folder, Permissions::from_mode(0o000)).unwrap();
            }
        }),
        ("a deep one", |staging| fs::create_dir_all(staging.join("a/".repeat(300))).unwrap()),
        ("links out of it", |staging| {
            fs::create_dir_all(staging.join("run-1/0000")).unwrap();
            for link in ["run-1/0000/canary", "run-1/elsewhere", "elsewhere"] {
                symlink(staging.with_file_name("../../elsewhere"), staging.join(link)).unwrap();
            }
        }),
        ("a link in its place", |staging| symlink("../elsewhere", staging).unwrap()),
        ("a file in its place", |staging| fs::write(staging, "").unwrap()),
        ("runs of the future", |staging| {
            for run in ["run-9999999999999", "run-0", "run-", "0000"] {
                fs::create_dir_all(staging.join(run).join("0000")).unwrap();
                fs::write(staging.join(run).join("state.settled"), "{}").unwrap();
            }
        }),
    ];
    let left = |(name, leave): (&'static str, Leave)| {
        let case = Versions::new().upgrade().arranged(move |root| leave(&root.join(STAGING)));
        let case = case.holds(|seen| match (&seen.before.outside, &seen.after.outside) {
            (before, after) if before == after => Ok(()),
            (_, after) => Err(format!("touched outside the root: {after:?}")),
        });
        (name, case.holds(is_upgraded).holds(next_is_idle))
    };
    let by_a_kill = killed(Versions::new().upgrade_to(&LARGE), &[&["write:signal=KILL:when=300"]], Swap::AtOnce);
    Case::instances(leavings.map(left).into_iter().chain([("of a real one", by_a_kill)]))
}

/// All is in its place but the state; the next run may be told anything.
pub(super) fn before_the_state() -> Case {
    let kill: &[&str] = &["renameat:signal=KILL:when=3"];
    let without: &[&str] = &[NO_EXCHANGE, "renameat:signal=KILL:when=5"];
    let then = |kill: &[&str], next: fn(&Versions) -> Listing, left: &'static [&'static str]| {
        let versions = Versions::new();
        let next = next(&versions);
        let case = Case { earlier: vec![Launch::with_faults(kill)], later: Some(next), ..versions.upgrade() };
        let case = case.holds(was_all_but_noted).holds(|seen| warns(seen, "commit_resumed"));
        case.holds(move |seen| holds_only(seen, left)).holds(next_is_idle)
    };
    Case::instances([
        ("the same again", then(kill, |versions| list([&versions.new]), &[DEST])),
        ("the way back", then(kill, |versions| list([&versions.old, &versions.gone]), &["gone-dynamic", DEST])),
        ("nothing any more", then(kill, |_| list([]), &[])),
        ("another one", then(kill, |versions| list([&versions.gone]), &["gone-dynamic"])),
        ("the same again, in two steps", then(without, |versions| list([&versions.new]), &[DEST])),
        ("nothing any more, in two steps", then(without, |_| list([]), &[])),
    ])
}

/// That the kill came when all names were in their places.
fn was_all_but_noted(seen: &Seen) -> Result<(), String> {
    let [killed] = &seen.earlier[..] else { return Err("expected one earlier run".to_owned()) };
    let plugin = content(&killed.after, DEST);
    let is_new = !plugin.is_empty() && plugin != content(&killed.before, DEST);
    let is_done = is_new && content(&killed.after, "gone-dynamic").is_empty();
    let is_noted = killed.after.staging.is_empty();
    match (killed.told.was_killed(), is_done, is_noted) {
        (true, true, false) => Ok(()),
        found => Err(format!("expected the kill before the state is noted, found {found:?}")),
    }
}

/// That these plugins are on the root and no other folder is.
fn holds_only(seen: &Seen, expected: &[&str]) -> Result<(), String> {
    let folders = fs::read_dir(seen.on_root("")).map_err(|error| error.to_string())?.flatten();
    let folders = folders.filter(|item| item.path().is_dir()).map(|item| item.file_name().into_string().unwrap());
    let mut found: Vec<_> = folders.collect();
    found.sort();
    if found == expected { Ok(()) } else { Err(format!("expected {expected:?} on the root, found {found:?}")) }
}
