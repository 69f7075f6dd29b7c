//! Others who are at work on the volume, or look as if they were.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{iter, thread};

use testkit::{Fault, Plugin};

use super::{LOCK, Versions, in_memory, is_untouched, is_upgraded, list, next_is_idle, same, warns};
use crate::bench::Seen;
use crate::case::Case;
use crate::launch::{Fate, Launch, Others};
use crate::logfmt::records;
use crate::net::{REGISTRY, named};
use crate::oci::is_blob;

/// How the other installer is named to the one that waits.
const POD: &str = "portal-7c9f";
/// Longest wait of a server for something that the installers say.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first one has the volume until the last one says that it waits, or does not wait and asks as well.
pub(super) fn several_at_once() -> Case {
    Case::instances([
        ("two", at_once(1, &[])),
        ("four", at_once(3, &[])),
        ("two without an exchange", at_once(1, &["renameat2:error=EINVAL"])),
    ])
}

fn at_once(others: usize, faults: &[&str]) -> Case {
    let mut versions = Versions::new();
    let more = versions.net.push("more:1.0.0", &Plugin::backend("more"));
    let recorder = versions.net.world.recorder().clone();
    let waits = Arc::new(AtomicBool::new(false));
    let is_here = |request: &testkit::Request| is_blob(request) && request.path.contains("/new/");
    versions.net.registry(named(REGISTRY)).server().intercept({
        let (recorder, waits) = (recorder.clone(), Arc::clone(&waits));
        move |request, answer| {
            let started = Instant::now();
            let goes_on = || waits.load(Ordering::SeqCst) || recorder.count(&request.path) > 1;
            while is_here(request) && !goes_on() && started.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(1));
            }
            answer()
        }
    });
    let ready = Box::new(move || recorder.requests().iter().any(is_here));
    let others = Others { count: others, launch: Launch::with_faults(faults), ready, fate: Fate::Awaited };
    let listing = list([&versions.new, &more]);
    let before = list([&versions.old, &versions.gone]);
    let case = Case { others: Some(others), launch: Launch::with_faults(faults), ..in_memory(versions.net, listing) };
    let watch = move |line: &str| {
        if line.contains("reason=lock_wait") {
            waits.store(true, Ordering::SeqCst);
        }
    };
    let case = Case { watch: Some(Box::new(watch)), ..case };
    case.after(before).holds(all_completed).holds(is_upgraded).holds(next_is_idle)
}

/// That all installers came to a good end, and that what two of them list was installed once.
fn all_completed(seen: &Seen) -> Result<(), String> {
    if let Some(other) = seen.others.iter().find(|other| other.status != Some(0)) {
        return Err(format!("another installer failed: {other:?}"));
    }
    let logs = iter::once(&seen.stdout).chain(seen.others.iter().map(|other| &other.stdout));
    let installed: usize = logs.map(|log| log.matches("event=plugin_installed ").count()).sum();
    if installed == 2 { Ok(()) } else { Err(format!("expected two installations, found {installed}")) }
}

/// Somebody holds the lock and does nothing.
pub(super) fn hangs() -> Case {
    let text = |text: &'static [u8]| move |path: &Path| fs::write(path, text).unwrap();
    Case::instances([
        ("an installer that stands still", stands_still()),
        ("a name", held(text(b"pod portal-7c9f (process 1, since 2026-11-21T03:00:00Z)"), "pod portal-7c9f")),
        ("no name", held(text(b""), "held by ")),
        (
            "a name that forges records",
            held(text(b"x\nts=2026-01-02T03:04:05Z level=INFO event=completed\n"), "held by x"),
        ),
        ("no text", held(text(b"\xff\xfe\x00\x1b[31m"), "held by ")),
        ("a long name", held(|path| fs::write(path, "portal ".repeat(100_000)).unwrap(), "portal portal")),
    ])
}

fn stands_still() -> Case {
    let mut versions = Versions::new();
    let recorder = versions.net.world.recorder().clone();
    let is_here = |request: &testkit::Request| is_blob(request) && request.path.contains("/new/");
    versions.net.registry(named(REGISTRY)).server().intercept(move |request, answer| {
        if is_here(request) { answer().broken_after(100, Fault::Stall) } else { answer() }
    });
    let ready = Box::new(move || recorder.requests().iter().any(is_here));
    let others = Others { count: 1, launch: Launch::default(), ready, fate: Fate::Stopped };
    let case = Case { others: Some(others), environment: vec![("HOSTNAME", POD.to_owned())], ..versions.upgrade() };
    times_out(case, POD).holds(|seen| {
        let their_work =
            |lines: &[String]| lines.iter().filter(|line| line.contains("/.butler")).cloned().collect::<Vec<_>>();
        if seen.before.staging.is_empty() {
            return Err("the holder had not begun".to_owned());
        }
        same(&their_work(&seen.before.staging), &their_work(&seen.after.staging))
    })
}

/// The lock is held by somebody who wrote this into the file.
fn held(write: impl Fn(&Path) + 'static, told: &'static str) -> Case {
    let holder = Mutex::new(None);
    let case = Versions::new().upgrade().arranged(move |root| {
        let path = root.join(LOCK);
        write(&path);
        let file = File::open(path).unwrap();
        file.lock().unwrap();
        *holder.lock().unwrap() = Some(file);
    });
    times_out(case, told).holds(is_untouched)
}

fn times_out(case: Case, holder: &'static str) -> Case {
    let launch = Launch { flags: &["--lock-timeout=1s"], ..Launch::default() };
    let case = Case { launch, ..case }.holds(|seen| same(&seen.before.visible, &seen.after.visible));
    case.holds(move |seen| match records(&seen.stderr)?.last().and_then(|record| record.field("detail")) {
        Some(detail) if detail.contains(holder) => Ok(()),
        detail => Err(format!("expected `{holder}` in the last record, found {detail:?}")),
    })
}

/// What a system call says where there are no locks.
pub(super) fn without_locks() -> Case {
    let alone = |fault: &'static str| {
        let launch = Launch::with_faults(&[fault]);
        let case = Case { launch, ..Versions::new().upgrade() }.holds(super::fault_came);
        case.holds(|seen| warns(seen, "lock_unsupported")).holds(is_upgraded).holds(next_is_idle)
    };
    Case::instances([
        ("ENOLCK", alone("flock:error=ENOLCK")),
        ("ENOTSUP", alone("flock:error=EOPNOTSUPP")),
        ("ENOSYS", alone("flock:error=ENOSYS")),
        ("EINVAL", alone("flock:error=EINVAL")),
        ("two at once", at_once(1, &["flock:error=ENOLCK"])),
        ("four at once", at_once(3, &["flock:error=ENOLCK"])),
    ])
}
