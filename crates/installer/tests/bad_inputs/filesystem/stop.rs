//! Runs that are told to stop.

use std::time::Duration;

use testkit::{Fault, Reply, Request, sri};

use super::{LARGE, NEW, NO_WAIT, STAGING, Versions, count_below, has_version, is_untouched, plugin};
use crate::bench::Seen;
use crate::case::Case;
use crate::launch::Launch;
use crate::net::{ARTIFACTS, REGISTRY, Served, named};
use crate::oci::{is_blob, is_manifest};

/// Kubernetes waits longer, but nobody likes to.
const SOON: Duration = Duration::from_secs(5);

/// Told to stop while a server takes its time.
pub(super) fn in_a_download() -> Case {
    let stalls = |reply: Reply| reply.broken_after(100, Fault::Stall);
    let drips = |reply: Reply| reply.drip(Duration::from_millis(50));
    let busy = |_| Reply::status(503).retry_after("30");
    let silent = |_| Reply::broken(Fault::Stall);
    Case::instances([
        ("TERM in a stalled blob", stopped_at("TERM", is_blob, stalls)),
        ("INT in a stalled blob", stopped_at("INT", is_blob, stalls)),
        ("TERM in a slow blob", stopped_at("TERM", is_blob, drips)),
        ("TERM before a blob's first byte", stopped_at("TERM", is_blob, silent)),
        ("TERM in a stalled manifest", stopped_at("TERM", is_manifest, stalls)),
        ("TERM before the next try", stopped_at("TERM", is_blob, busy)),
        ("TERM in a stalled file", stopped_in_a_file()),
    ])
}

fn stopped_at(
    signal: &'static str,
    is_place: fn(&Request) -> bool,
    change: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> Case {
    let mut versions = Versions::new();
    let recorder = versions.net.world.recorder().clone();
    let is_here = move |request: &Request| is_place(request) && request.path.contains("/new/");
    versions.net.registry(named(REGISTRY)).server().intercept({
        let recorder = recorder.clone();
        move |request, answer| {
            let is_first = is_here(request) && recorder.count(&request.path) == 1;
            if is_first { change(answer()) } else { answer() }
        }
    });
    stopped(signal, versions.upgrade(), move || recorder.requests().iter().any(is_here))
}

fn stopped_in_a_file() -> Case {
    let mut versions = Versions::new();
    let recorder = versions.net.world.recorder().clone();
    let bytes = plugin(NEW).tarball();
    versions.net.https(ARTIFACTS, {
        let (recorder, bytes) = (recorder.clone(), bytes.clone());
        move |request| {
            let reply = Reply::ok().body(bytes.clone());
            if recorder.count(&request.path) == 1 { reply.broken_after(100, Fault::Stall) } else { reply }
        }
    });
    let package = format!("https://{ARTIFACTS}/plugins/plug.tgz");
    versions.new = Served { integrity: sri(&bytes), package };
    stopped("TERM", versions.upgrade(), move || recorder.count("/plugins/plug.tgz") > 0)
}

/// Told to stop as soon as something is so: the run ends soon, has changed nothing, and is in nobody's way.
fn stopped(signal: &'static str, case: Case, is_so: impl Fn() -> bool + Sync + 'static) -> Case {
    let launch = Launch::beside(move |running| {
        running.wait_until(&is_so);
        running.signal(signal);
    });
    Case { launch, ..case }.holds(move |seen| ends_soon(seen, signal)).holds(is_untouched).holds(next_installs)
}

fn ends_soon(seen: &Seen, signal: &str) -> Result<(), String> {
    let expected = if signal == "INT" { 130 } else { 143 };
    match seen.stopped_after {
        Some(after) if after < SOON && seen.status == Some(expected) => Ok(()),
        after => Err(format!("expected status {expected} within {SOON:?}, found {:?} after {after:?}", seen.status)),
    }
}

/// That the next run, which waits for nobody, does what this one was kept from.
fn next_installs(seen: &Seen) -> Result<(), String> {
    let next = seen.again(NO_WAIT);
    if next.status != Some(0) {
        return Err(format!("the next run failed: {next:?}"));
    }
    has_version(seen, NEW).map_err(|why| format!("after the next run: {why}"))
}

/// Each file takes a while, so that the end does not come before the signal.
pub(super) fn while_unpacking() -> Case {
    let of = |signal: &'static str| {
        let launch = Launch::beside(move |running| {
            running.wait_until(|| count_below(running.root.join(STAGING)) > 100);
            running.signal(signal);
        });
        let launch = Launch { faults: vec!["openat:delay_enter=20000:when=100+".to_owned()], ..launch };
        let case = Case { launch, ..Versions::new().upgrade_to(&LARGE) };
        case.holds(move |seen| ends_soon(seen, signal)).holds(is_untouched).holds(next_installs)
    };
    Case::instances([("TERM", of("TERM")), ("INT", of("INT"))])
}
