//! What was seen, compared with what the row says.

use testkit::Request;

use crate::bench::{Mode, Seen, Streams};
use crate::case::{Case, Guarded};
use crate::logfmt::{Record, records};
use crate::row::{Expect, Promise, Row};

/// What memory a run may use, in KiB.
const MEMORY_KIB: u64 = 64 * 1024;

/// Everything that does not hold.
pub(crate) fn problems(row: &Row, case: &Case, seen: &Seen) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |checked: Result<(), String>| problems.extend(checked.err());
    note(always(case, seen));
    if seen.streams == Streams::Captured {
        match Log::read(seen, case) {
            Ok(log) => note(outcome(row, seen, &log)),
            Err(why) => note(Err(format!("L1: {why}"))),
        }
    }
    for promise in &row.promises {
        note(kept(*promise, row, case, seen));
    }
    if case.conditions.is_empty() && !row.own_condition.is_empty() {
        note(Err(format!("`{}` is a condition of its own, and nothing checks it", row.own_condition)));
    }
    for condition in &case.conditions {
        note(condition(seen));
    }
    if !problems.is_empty() {
        let said: Vec<_> = seen.stdout.lines().chain(seen.stderr.lines()).take(12).map(shortened).collect();
        problems.push(format!("the log was\n    {}", said.join("\n    ")));
    }
    problems
}

/// No row may panic, hang or leak, whatever else it says.
pub(crate) fn always(case: &Case, seen: &Seen) -> Result<(), String> {
    ends_by_itself(seen)?;
    tells_no_secret(case, seen)?;
    keeps_credentials(case, seen)
}

/// The only rejection of a run.
pub(crate) fn rejection(seen: &Seen) -> Result<Record, String> {
    let rejected = records(&seen.stderr)?.into_iter().filter(|record| record.event() == "plugin_rejected");
    let [rejection] = <[Record; 1]>::try_from(rejected.collect::<Vec<_>>())
        .map_err(|found| format!("expected one rejection, found {found:?}"))?;
    Ok(rejection)
}

/// That the only rejection of a run has this cause.
pub(crate) fn has_cause(seen: &Seen, cause: &str) -> Result<(), String> {
    match rejection(seen)?.field("cause") {
        Some(found) if found == cause => Ok(()),
        found => Err(format!("expected cause `{cause}`, found {found:?}")),
    }
}

/// Both streams of a run.
struct Log {
    rejected: Vec<Record>,
    /// Plugins that were installed or skipped.
    others: Vec<Record>,
    warnings: Vec<Record>,
    last: Record,
}

impl Log {
    /// Reads both streams and checks what holds for every log: each record on its stream, one outcome for each
    /// plugin, one last record.
    fn read(seen: &Seen, case: &Case) -> Result<Self, String> {
        let (out, err) = (records(&seen.stdout)?, records(&seen.stderr)?);
        let has_level = |record: &&Record, level| record.field("level") == Some(level);
        let misplaced = out.iter().find(|record| has_level(record, "ERROR"));
        if let Some(record) = misplaced.or_else(|| err.iter().find(|record| !has_level(record, "ERROR"))) {
            return Err(format!("on the wrong stream: {record:?}"));
        }
        let all = || out.iter().chain(&err);
        for record in all() {
            for code in [record.field("reason"), record.field("cause")].into_iter().flatten() {
                let explained = audit::Explanation::all().find(|explained| explained.code == code);
                let whose = explained.ok_or_else(|| format!("`{code}` is not explained"))?.whose;
                if let Some(blame) = record.field("blame").filter(|blame| !whose.contains(blame)) {
                    return Err(format!("expected `{code}` to be the move of {whose}, found `{blame}`"));
                }
            }
        }
        let of = |events: &[&str]| all().filter(|record| events.contains(&record.event())).cloned().collect::<Vec<_>>();
        let [last] = &of(&["completed", "fatal"])[..] else { return Err("expected one last record".to_owned()) };
        let stream = if last.event() == "fatal" { &err } else { &out };
        if stream.last() != Some(last) {
            return Err(format!("something follows the last record: {:?}", stream.last()));
        }
        let log = Self {
            rejected: of(&["plugin_rejected"]),
            others: of(&["plugin_installed", "plugin_skipped"]),
            warnings: all().filter(|record| has_level(record, "WARN")).cloned().collect(),
            last: last.clone(),
        };
        // A run that did not start knows no plugins.
        let plugins = match &of(&["startup"])[..] {
            [] => 0,
            [start] => case.entries().unwrap_or_else(|| number(start, "plugin_count")),
            _ => return Err("expected one `startup`".to_owned()),
        };
        let told = log.rejected.len() + log.others.len();
        if told != plugins {
            return Err(format!("expected {plugins} outcomes, found {told}"));
        }
        if last.event() == "completed" && number(last, "rejected") != log.rejected.len() {
            return Err(format!("expected rejected={} in the last record, found {last:?}", log.rejected.len()));
        }
        Ok(log)
    }
}

fn number(record: &Record, key: &str) -> usize {
    record.field(key).and_then(|value| value.parse().ok()).unwrap_or(usize::MAX)
}

fn outcome(row: &Row, seen: &Seen, log: &Log) -> Result<(), String> {
    let missed: Vec<_> = row.expect.iter().map(|expect| expected(*expect, row, seen, log)).collect();
    if missed.iter().any(Result::is_ok) {
        return Ok(());
    }
    Err(missed.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("; or "))
}

fn expected(expect: Expect, row: &Row, seen: &Seen, log: &Log) -> Result<(), String> {
    match expect {
        // A run that goes on after rejections.
        Expect::Accept if row.stage == "log" || row.class == "continue" => ended(seen, log, 0, "completed"),
        Expect::Accept => accepted(seen, log),
        Expect::PassStage => accepted(seen, log).and_then(|()| {
            let installed = log.others.iter().any(|record| record.event() == "plugin_installed");
            if installed { Ok(()) } else { Err("nothing was installed".to_owned()) }
        }),
        Expect::Reject => rejected(row, seen, log),
        Expect::Either => accepted(seen, log).or_else(|_| rejected(row, seen, log)),
        Expect::Warn => accepted(seen, log).and_then(|()| {
            let warned = log.warnings.iter().any(|record| row.reasons.iter().any(|reason| reason == record.reason()));
            if warned { Ok(()) } else { Err(format!("no warning says {:?}", row.reasons)) }
        }),
        Expect::StartupError => {
            let status = if log.last.reason().starts_with("config_") { 2 } else { 3 };
            ended(seen, log, status, "fatal")
                .and_then(|()| for_its_reason(row, &log.last))
                .and_then(|()| all_aborted(log))
        }
    }
    .map_err(|why| format!("expected {}: {why}", name(expect)))
}

fn accepted(seen: &Seen, log: &Log) -> Result<(), String> {
    match log.rejected.first() {
        Some(record) => Err(format!("rejected for `{}`", record.reason())),
        None => ended(seen, log, 0, "completed"),
    }
}

fn rejected(row: &Row, seen: &Seen, log: &Log) -> Result<(), String> {
    let [record] = &log.rejected[..] else {
        return Err(format!("expected one rejection, found {}", log.rejected.len()));
    };
    for_its_reason(row, record)?;
    if record.reason() == "interrupted" {
        let status = if seen.status == Some(130) { 130 } else { 143 };
        return ended(seen, log, status, "fatal").and_then(|()| for_its_reason(row, &log.last));
    }
    if seen.mode == Mode::FailOpen {
        return ended(seen, log, 0, "completed");
    }
    ended(seen, log, 1, "fatal")?;
    all_aborted(log)?;
    match log.last.reason() {
        "continueOnError_false" => Ok(()),
        other => Err(format!("expected `continueOnError_false` in the last record, found `{other}`")),
    }
}

fn all_aborted(log: &Log) -> Result<(), String> {
    match log.others.iter().find(|other| (other.event(), other.reason()) != ("plugin_skipped", "aborted")) {
        Some(other) => Err(format!("expected the others to be aborted, found {other:?}")),
        None => Ok(()),
    }
}

fn ended(seen: &Seen, log: &Log, status: i32, event: &str) -> Result<(), String> {
    if seen.status != Some(status) {
        return Err(format!("expected exit status {status}, found {:?}", seen.status));
    }
    if log.last.event() != event {
        return Err(format!("expected `{event}` as the last record, found `{}`", log.last.event()));
    }
    Ok(())
}

fn for_its_reason(row: &Row, record: &Record) -> Result<(), String> {
    let found = record.reason();
    // A reason in words is a condition of the case's.
    if row.reasons.iter().any(|reason| reason == found || reason.starts_with('(')) {
        return Ok(());
    }
    Err(format!("expected one of {:?}, found `{found}`", row.reasons))
}

fn kept(promise: Promise, row: &Row, case: &Case, seen: &Seen) -> Result<(), String> {
    match promise {
        Promise::N0 => asks_nobody(case, seen),
        Promise::W0 if !seen.after.staging.is_empty() => Err(format!("W0: left in the root: {:?}", seen.after.staging)),
        Promise::W0 => differ("W0: changed outside the root", &seen.before.outside, &seen.after.outside),
        Promise::V0 => shows_nothing_new(row, seen),
        Promise::P0 if case.before.is_none() => Err("P0: no good copy was there before".to_owned()),
        Promise::P0 if seen.mode == Mode::FailOpen || seen.status == Some(0) => Ok(()),
        Promise::P0 => differ("P0: changed on the root", &seen.before.visible, &seen.after.visible),
        Promise::S0 if case.secrets.is_empty() => Err("S0: nothing says what the secret is".to_owned()),
        Promise::C0 if case.guarded.is_empty() => Err("C0: nothing says whose the credentials are".to_owned()),
        // Looked at for every row.
        Promise::S0 | Promise::C0 | Promise::L1 | Promise::X0 | Promise::T0 => Ok(()),
        Promise::M0 => match seen.peak_kib {
            Some(peak) if peak < MEMORY_KIB => Ok(()),
            Some(peak) => Err(format!("M0: {peak} KiB of memory")),
            None => Err("M0: no memory was measured: is `time` installed?".to_owned()),
        },
    }
}

/// A plugin that is meant to be accepted is meant to be visible, and nothing beside it.
fn shows_nothing_new(row: &Row, seen: &Seen) -> Result<(), String> {
    let is_meant = row.expect.iter().any(|expect| matches!(expect, Expect::Accept | Expect::Either));
    let installed = if is_meant { records(&seen.stdout)? } else { Vec::new() };
    let folders: Vec<_> = installed
        .iter()
        .filter(|record| record.event() == "plugin_installed")
        .filter_map(|record| record.field("dest")?.rsplit('/').next())
        .collect();
    let is_theirs = |line: &str| folders.iter().any(|folder| line.contains(&format!("volume/plugins/{folder}")));
    match seen.after.visible.iter().find(|line| !seen.before.visible.contains(line) && !is_theirs(line)) {
        Some(line) => Err(format!("V0: visible and not there before: {line}")),
        None => Ok(()),
    }
}

/// In a fail-open run the entries beside the row's may be fetched.
fn asks_nobody(case: &Case, seen: &Seen) -> Result<(), String> {
    if seen.mode == Mode::FailOpen && case.entries() > Some(1) {
        return Ok(());
    }
    match (seen.asked.first(), seen.sockets.first()) {
        (Some(asked), _) => Err(format!("N0: asked for `{asked}`")),
        (None, Some(call)) => Err(format!("N0: asked the system for a socket: {call}")),
        (None, None) => Ok(()),
    }
}

fn ends_by_itself(seen: &Seen) -> Result<(), String> {
    if seen.was_killed() {
        return Err("T0: killed at the deadline".to_owned());
    }
    let was_told_to_stop = seen.stopped_after.is_some() && matches!(seen.status, Some(130 | 143));
    if !(matches!(seen.status, Some(0..=3)) || was_told_to_stop) || seen.stderr.contains("panicked") {
        return Err(format!("X0: ended with {:?}", seen.status));
    }
    Ok(())
}

fn tells_no_secret(case: &Case, seen: &Seen) -> Result<(), String> {
    let outputs = [("stdout", &seen.stdout), ("stderr", &seen.stderr), ("what is left behind", &seen.left_behind)];
    for secret in case.secrets.iter().chain(case.guarded.iter().map(|guarded| &guarded.secret)) {
        if let Some((place, _)) = outputs.iter().find(|(_, text)| text.contains(secret.as_str())) {
            return Err(format!("S0: `{secret}` stands in {place}"));
        }
    }
    Ok(())
}

fn keeps_credentials(case: &Case, seen: &Seen) -> Result<(), String> {
    for Guarded { secret, own } in &case.guarded {
        let elsewhere = |request: &&Request| !own.iter().any(|origin| **origin == *request.origin);
        if let Some(request) = seen.requests.iter().filter(elsewhere).find(|request| request.holds(secret)) {
            return Err(format!("C0: `{secret}` was sent to {}{}", request.origin, request.path));
        }
    }
    Ok(())
}

fn differ(what: &str, before: &[String], after: &[String]) -> Result<(), String> {
    let gone = before.iter().find(|line| !after.contains(line)).map(|line| format!("{what}: gone: {line}"));
    let new = after.iter().find(|line| !before.contains(line)).map(|line| format!("{what}: new: {line}"));
    gone.or(new).map_or(Ok(()), Err)
}

const fn name(expect: Expect) -> &'static str {
    match expect {
        Expect::PassStage => "pass_stage",
        Expect::Accept => "accept",
        Expect::Reject => "reject",
        Expect::Either => "either",
        Expect::Warn => "warn",
        Expect::StartupError => "startup_error",
    }
}

fn shortened(line: &str) -> String {
    line.chars().take(600).collect()
}
