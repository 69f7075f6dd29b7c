//! Every fault of a network at every place that a fetch comes by, passing or lasting: what comes of it, and after how
//! many requests and waits.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

#[path = "../support/bench.rs"]
mod bench;
mod bounds;
mod site;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use Fault::*;
use Lasting::{Always, FirstTry};
use Place::{Blob, Https, Manifest, Token};
use fetch::FetchLimits;
use site::{Site, Whereabouts};
use testkit::{Recorder, Request};

/// Where on its way a fetch is disturbed: at a server of its own each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Token,
    Manifest,
    Blob,
    Https,
}

/// The twelve faults of goal G6; three of them come in two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fault {
    Reset,
    /// Before the answer, or in the middle of its body.
    Stall(Form),
    Slow,
    Refused,
    TooManyRequests,
    Unavailable,
    Truncated,
    /// More than there is is announced, or less.
    WrongLength(Form),
    Tls,
    Dns,
    RedirectLoop,
    /// No HTTP at all, or HTTP around nonsense.
    Garbage(Form),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    One,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lasting {
    FirstTry,
    Always,
}

/// What comes of a fetch (the cause, where it fails), requests that reach the place, waits before another try.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome(&'static str, usize, usize);

/// The second try goes well.
const PASSES: Outcome = Outcome("installed", 2, 1);
/// It goes well, and the server of the place has not heard of the first.
const PASSES_UNHEARD: Outcome = Outcome("installed", 1, 1);

/// Five tries, and no more.
const fn lasts(cause: &'static str) -> Outcome {
    Outcome(cause, 5, 4)
}

/// Five tries of which the server hears nothing.
const fn lasts_unheard(cause: &'static str) -> Outcome {
    Outcome(cause, 0, 4)
}

/// One try: the answer was understood, and another one to the same question would be no better (rule N4).
const fn is_final(cause: &'static str) -> Outcome {
    Outcome(cause, 1, 0)
}

/// One verdict on who the server is, before it hears anything. To ask again until the verdict is another one would be
/// what somebody in between hopes for.
const NO_TRUST: Outcome = Outcome("tls", 0, 0);
/// A token server answers itself. Elsewhere five redirects are followed and the sixth answer is one too many; the first
/// one on the way to a blob is the registry's own.
const LOOPS: [Outcome; 4] = [is_final("redirect_denied"), end_of_a_loop(6), end_of_a_loop(5), end_of_a_loop(6)];

const fn end_of_a_loop(requests: usize) -> Outcome {
    Outcome("redirect_denied", requests, 0)
}

type Row = (Fault, Lasting, [Outcome; 4]);

/// By [`Place`]: token, manifest, blob, https.
const MATRIX: [Row; 30] = [
    (Reset, FirstTry, [PASSES; 4]),
    (Reset, Always, [const { lasts("reset") }; 4]),
    (Stall(Form::One), FirstTry, [PASSES; 4]),
    (Stall(Form::One), Always, [const { lasts("timeout") }; 4]),
    (Stall(Form::Other), FirstTry, [PASSES; 4]),
    (Stall(Form::Other), Always, [const { lasts("stalled") }; 4]),
    (Slow, FirstTry, [PASSES; 4]),
    (Slow, Always, [const { lasts("stalled") }; 4]),
    (Refused, FirstTry, [PASSES_UNHEARD; 4]),
    (Refused, Always, [const { lasts_unheard("connect") }; 4]),
    (TooManyRequests, FirstTry, [PASSES; 4]),
    (TooManyRequests, Always, [const { lasts("rate_limited") }; 4]),
    (Unavailable, FirstTry, [PASSES; 4]),
    (Unavailable, Always, [const { lasts("server_error") }; 4]),
    (Truncated, FirstTry, [PASSES; 4]),
    (Truncated, Always, [const { lasts("truncated") }; 4]),
    // Only of a blob is the length known before. Elsewhere one that is too long looks like a body that broke off.
    (WrongLength(Form::One), FirstTry, [PASSES, PASSES, is_final("size_mismatch"), PASSES]),
    (
        WrongLength(Form::One),
        Always,
        [lasts("truncated"), lasts("truncated"), is_final("size_mismatch"), lasts("truncated")],
    ),
    (WrongLength(Form::Other), FirstTry, CUT_WITHOUT_A_TRACE),
    (WrongLength(Form::Other), Always, CUT_WITHOUT_A_TRACE),
    (Tls, FirstTry, [NO_TRUST; 4]),
    (Tls, Always, [NO_TRUST; 4]),
    // Cluster DNS has bad moments, at every start of a node: N4's connection errors begin at the name. What passes is a
    // proxy's trouble with a name, as this machine's resolver cannot be told to have one.
    (Dns, FirstTry, [PASSES_UNHEARD; 4]),
    (Dns, Always, [const { lasts_unheard("dns") }; 4]),
    (RedirectLoop, FirstTry, LOOPS),
    (RedirectLoop, Always, LOOPS),
    (Garbage(Form::One), FirstTry, [const { is_final("protocol") }; 4]),
    (Garbage(Form::One), Always, [const { is_final("protocol") }; 4]),
    (Garbage(Form::Other), FirstTry, NONSENSE),
    (Garbage(Form::Other), Always, NONSENSE),
];

const CUT_WITHOUT_A_TRACE: [Outcome; 4] =
    [is_final("shape"), is_final("digest_mismatch"), is_final("size_mismatch"), is_final("integrity_mismatch")];
const NONSENSE: [Outcome; 4] =
    [is_final("shape"), is_final("shape"), is_final("size_mismatch"), is_final("integrity_mismatch")];

/// Cells worked on at once: enough to wait in company, few enough for answers in time.
const AT_ONCE: usize = 6;
/// Longest time of a cell. Five short stalls fit in; of those that only the injected clock sees, not three.
const LONGEST: Duration = Duration::from_secs(10);

/// One cell, and the address from which connections to its place are refused.
#[derive(Clone, Copy)]
struct Cell {
    fault: Fault,
    lasting: Lasting,
    place: Place,
    door: IpAddr,
}

#[test]
fn every_fault_at_every_place_ends_as_it_should() {
    let cells: Vec<(Cell, &Outcome)> = MATRIX
        .iter()
        .flat_map(|(fault, lasting, outcomes)| {
            [Token, Manifest, Blob, Https]
                .into_iter()
                .zip(outcomes)
                .map(move |(place, outcome)| (fault, lasting, place, outcome))
        })
        .zip(0..)
        .map(|((&fault, &lasting, place, outcome), number)| {
            (Cell { fault, lasting, place, door: Ipv4Addr::new(127, 0, 1, number).into() }, outcome)
        })
        .collect();
    let distinct: HashSet<_> =
        cells.iter().map(|(cell, _)| (std::mem::discriminant(&cell.fault), cell.place, cell.lasting)).collect();
    assert_eq!(distinct.len(), 96, "12 faults at 4 places, at the first try or always");
    assert_eq!(cells.len(), 96 + 3 * 4 * 2, "three of them in two forms");

    let (queue, wrong) = (Mutex::new(cells.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((cell, expected)) = next(&queue) {
                    if let Some(found) = cell.fault_found(expected) {
                        wrong.lock().unwrap().push(found);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cells:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().unwrap().next()
}

impl Cell {
    /// Plays it, and says what was not as it should be.
    fn fault_found(self, expected: &Outcome) -> Option<String> {
        let Self { fault, lasting, place, .. } = self;
        let started = Instant::now();
        let site = Site::open(Whereabouts { fault: Some(fault), lasting, place, door: self.door });
        let (found, said) = site.fetch();
        let waits = site.bench.waits();
        let seen = (found.as_str(), site.asked(), waits.len());
        let mut wrong = Vec::new();
        let reason = match (place, expected.0) {
            (_, "installed" | "integrity_mismatch") => expected.0.to_owned(),
            (Https, cause) => format!("https_pull_failed {cause}"),
            (_, cause) => format!("oci_pull_failed {cause}"),
        };
        if seen != (reason.as_str(), expected.1, expected.2) {
            wrong.push(format!("expected {reason}, {} requests, {} waits, found {seen:?}", expected.1, expected.2));
        }
        if !are_backed_off(&waits, fault) {
            wrong.push(format!("waits of {waits:?}"));
        }
        if *site.bench.clock.uptime.lock().unwrap() >= FetchLimits::default().plugin_time {
            wrong.push("no end before the deadline".to_owned());
        }
        if most_alike(site.bench.world.recorder()) > 5 {
            wrong.push("a storm of requests".to_owned());
        }
        if started.elapsed() > LONGEST {
            wrong.push(format!("{:?} of real time", started.elapsed()));
        }
        let name = format!("{fault:?} at {place:?}, {lasting:?}");
        (!wrong.is_empty()).then(|| format!("{name}: {} ({said})", wrong.join("; ")))
    }
}

/// Whether each wait is what the server asked for, or else twice the one before, jittered.
fn are_backed_off(waits: &[Duration], fault: Fault) -> bool {
    if fault == Unavailable {
        return waits.iter().all(|wait| *wait == site::RETRY_AFTER);
    }
    let full = |tries| Duration::from_millis(500) * 2_u32.pow(tries);
    waits.iter().zip(0..).all(|(wait, tries)| (full(tries) / 2..=full(tries)).contains(wait))
}

/// How often the request was sent that was sent most often. Hops of a redirect are requests of their own: they differ
/// in their query.
fn most_alike(recorder: &Recorder) -> usize {
    let mut counts = HashMap::new();
    for request in recorder.requests() {
        *counts.entry(identity(&request)).or_insert(0) += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

/// Whom a request asks for what, and whether as somebody.
fn identity(request: &Request) -> (String, String, String, bool) {
    let (path, query) = (request.path.clone(), request.query.clone());
    (request.origin.to_string(), path, query, request.header("authorization").is_some())
}
