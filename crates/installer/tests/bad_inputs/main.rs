//! Bad input, a row of `fixtures/bad-inputs.tsv` each, through the real binary: the right outcome, for the right
//! reason, and with everything kept that the row says must hold. A new row is a new test.
//!
//! A row becomes a case: a file to read and a small world around it. The bench runs the installer in it, fail-closed
//! and fail-open, and the judge compares what was seen with what the row says. All rows of a stage are run, so that all
//! that fail are named at once.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test works with paths")]

mod archive;
mod bench;
mod case;
mod config;
mod destination;
mod filesystem;
mod integrity;
mod judge;
mod launch;
mod log;
mod logfmt;
mod net;
mod network;
mod oci;
mod placeholder;
mod row;
mod source;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bench::{Mode, Seen, Streams};
use case::Case;
use row::Row;

const TABLE: &str = include_str!("../../../../fixtures/bad-inputs.tsv");

/// Stages whose rows are run elsewhere.
const ELSEWHERE: [&str; 1] = ["publisher"];

/// Makes the case of a row, or says why it cannot.
type Builder = fn(&Row) -> Result<Case, String>;

const STAGES: [(&str, Builder); 10] = [
    ("source", source::source),
    ("allow-list", source::allow_list),
    ("config", config::config),
    ("integrity", integrity::integrity),
    ("destination", destination::destination),
    ("log", log::log),
    ("archive", archive::archive),
    ("oci", oci::oci),
    ("network", network::network),
    ("filesystem", filesystem::filesystem),
];

#[test]
fn source_rows_hold() {
    assert_stage_holds("source");
}

#[test]
fn allow_list_rows_hold() {
    assert_stage_holds("allow-list");
}

#[test]
fn config_rows_hold() {
    assert_stage_holds("config");
}

#[test]
fn integrity_rows_hold() {
    assert_stage_holds("integrity");
}

#[test]
fn destination_rows_hold() {
    assert_stage_holds("destination");
}

#[test]
fn log_rows_hold() {
    assert_stage_holds("log");
}

#[test]
fn archive_rows_hold() {
    assert_stage_holds("archive");
}

#[test]
fn oci_rows_hold() {
    assert_stage_holds("oci");
}

#[test]
fn network_rows_hold() {
    assert_stage_holds("network");
}

#[test]
fn filesystem_rows_hold() {
    assert_stage_holds("filesystem");
}

#[test]
fn every_row_belongs_to_a_stage_that_is_run_here_or_elsewhere() {
    for row in rows() {
        let here = STAGES.iter().any(|(name, _)| *name == row.stage);
        assert!(here || ELSEWHERE.contains(&row.stage.as_str()), "{}: stage `{}` is not known", row.id, row.stage);
    }
}

/// A test that cannot fail proves nothing: each of these rows is wrong, and must be reported for the reason given.
#[test]
fn rows_that_do_not_hold_are_reported() {
    for (row, said) in [
        // A wrong outcome.
        ("source|oci://reg.example.com/my-org/plug:1|allowed=A|reject|source_not_allowed|L1", "expected reject"),
        ("source|oci://reg.example.com/evil/plug:1|allowed=A|pass_stage||L1", "expected pass_stage"),
        ("source|package: 42|allowed=A|reject|package_invalid|L1", "expected reject"),
        ("integrity|sha512-<good>||startup_error|config_invalid|L1", "expected startup_error"),
        ("integrity|sha512-<other>||accept||L1", "expected accept"),
        (
            "allow-list|allowedSources: ['oci://reg.example.com']||warn|allowedSources_unset_permissive|",
            "expected warn",
        ),
        // The right outcome for the wrong reason.
        ("source|oci://reg.example.com/evil/plug:1|allowed=A|reject|package_invalid|L1", "found `source_not_allowed`"),
        ("allow-list|allowedSources: ['oci://']||startup_error|config_unreadable|L1", "found `config_invalid`"),
        // Promises that are not kept.
        ("source|oci://reg.example.com/my-org/plug:1|allowed=A|pass_stage||N0", "N0: asked for"),
        ("source|oci://reg.example.com/my-org/plug:1|allowed=A|pass_stage||V0", "V0: visible"),
        ("source|oci://reg.example.com/my-org/plug:1|allowed=A|pass_stage||P0", "P0: no good copy"),
        ("source|oci://reg.example.com/evil/plug:1|allowed=A|reject|source_not_allowed|S0", "S0: nothing says"),
        ("source|oci://reg.example.com/evil/plug:1|allowed=A|reject|source_not_allowed|C0", "C0: nothing says"),
        (
            "source|oci://reg.example.com/evil/plug:1|allowed=A|reject|source_not_allowed|is nice",
            "condition of its own",
        ),
        // Rows that nothing runs.
        ("source|(something to do with URLs)||reject|package_invalid|L1", "no builder for `ZZ01`"),
        ("config|a file of a new kind||startup_error|config_invalid|L1", "no builder for `ZZ01`"),
        ("integrity|sha512-<of the moon>||reject|integrity_invalid|L1", "placeholder"),
        ("integrity|a promise||reject|integrity_invalid|L1", "no builder for `ZZ01`"),
        ("destination|a folder||reject|manifest_invalid|L1", "no builder for `ZZ01`"),
        ("log|a value||accept||L1", "no builder for `ZZ01`"),
        ("oci|a manifest||reject|oci_pull_failed|L1", "no builder for `ZZ01`"),
        ("oci|a manifest|integrity is wrong|reject|oci_pull_failed|L1", "in `given`"),
        ("network|a server||reject|oci_pull_failed|L1", "no builder for `ZZ01`"),
        ("archive|a tarball|integrity is right|reject|archive_invalid|L1", "no builder for `ZZ01`"),
        ("archive|a tarball|integrity is wrong|reject|archive_invalid|L1", "in `given`"),
        ("source|oci://reg.example.com/my-org/plug:1|allowed=B|pass_stage||L1", "`given`"),
        ("integrity|sha512-<good>|allowed=A|accept||L1", "looks at `given`"),
    ] {
        let [stage, input, given, expect, reason, must_hold] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row}: six columns");
        };
        let line = ["ZZ01", stage, "made-up", input, given, expect, reason, must_hold, ""].join("\t");
        let problems = problems_of(&Row::parse(&line).unwrap());
        assert!(problems.iter().any(|problem| problem.contains(said)), "{row}: expected `{said}`, found {problems:#?}");
    }
}

/// The installer keeps its promises, so what is seen of it is doctored before the judge sees it.
#[test]
fn promises_that_are_broken_are_reported() {
    type Doctor = fn(&mut Seen);
    let line = "ZZ01\tsource\t\toci://reg.example.com/evil/plug:1\tallowed=A\treject\tsource_not_allowed\t\
                N0 W0 V0 P0 C0 S0 M0 T0 X0 L1\t";
    let row = Row::parse(line).unwrap();
    let doctored = |doctor: Doctor| {
        let case = source::source(&row).unwrap();
        let guarded = case::Guarded { secret: "p4ssword".to_owned(), own: vec!["https://own.example".to_owned()] };
        let mut case = Case { secrets: vec!["s3cret".to_owned()], guarded: vec![guarded], ..case };
        let good = case.net.push("good:1", &testkit::Plugin::backend("good"));
        case.before = Some(case::Listing::of([case::Entry::from(&good)]));
        let mut seen = bench::run(&case, Mode::FailClosed, Streams::Captured);
        doctor(&mut seen);
        judge::problems(&row, &case, &seen)
    };
    assert_eq!(doctored(|_| {}), [""; 0]);
    let cases: [(&str, Doctor); 19] = [
        ("N0: asked for", |seen| seen.asked.push("reg.example.com:443".to_owned())),
        ("N0: asked the system", |seen| seen.sockets.push("socket(AF_INET)".to_owned())),
        ("W0: changed outside the root: new", |seen| seen.after.outside.push("0644 file escape.txt".to_owned())),
        ("W0: changed outside the root: gone", |seen| seen.after.outside.clear()),
        ("W0: left in the root", |seen| seen.after.staging.push("0755 dir volume/plugins/.x".to_owned())),
        ("V0: visible", |seen| seen.after.visible.push("0755 dir volume/plugins/plug-dynamic".to_owned())),
        ("P0: changed on the root", |seen| seen.after.visible.clear()),
        ("C0: `p4ssword` was sent to https://other.example/x", |seen| {
            seen.requests.push(asked("https://other.example"));
        }),
        ("S0: `p4ssword` stands in stdout", |seen| seen.stdout.push_str("p4ssword")),
        ("", |seen| seen.requests.push(asked("https://own.example"))),
        ("S0: `s3cret` stands in stdout", |seen| seen.stdout.push_str("s3cret")),
        ("S0: `s3cret` stands in what is left", |seen| seen.left_behind.push_str("s3cret")),
        ("M0: 65536 KiB", |seen| seen.peak_kib = Some(65536)),
        ("M0: no memory was measured", |seen| seen.peak_kib = None),
        ("T0: killed", |seen| seen.status = Some(137)),
        ("X0: ended", |seen| seen.status = Some(101)),
        ("L1: no record", |seen| seen.stdout.push_str("hello\n")),
        ("L1: expected 1 outcomes, found 0", |seen| seen.stderr = seen.stderr.replace("plugin_rejected", "other")),
        ("L1: expected one last record", |seen| seen.stderr = seen.stderr.repeat(2)),
    ];
    for (said, doctor) in cases {
        let problems = doctored(doctor);
        let is_said = problems.iter().any(|problem| problem.starts_with(said));
        assert_eq!(is_said, !said.is_empty(), "expected `{said}`, found {problems:#?}");
    }
}

/// A request with a password.
fn asked(origin: &str) -> testkit::Request {
    testkit::Request {
        origin: origin.into(),
        method: "GET".to_owned(),
        path: "/x".to_owned(),
        query: String::new(),
        // `bob:p4ssword`.
        headers: vec![("authorization".to_owned(), "Basic Ym9iOnA0c3N3b3Jk".to_owned())],
        body: [].into(),
    }
}

/// A connection on this machine passes the proxy by; the trace sees it.
#[test]
fn a_connection_to_this_machine_is_reported() {
    let given = "allowed=[oci://127.0.0.1:9]";
    let row = format!("ZZ01\tsource\t\toci://127.0.0.1:9/plug:1\t{given}\treject\toci_pull_failed\tN0\t");
    let problems = problems_of(&Row::parse(&row).unwrap());
    assert_eq!(problems.iter().any(|problem| problem.contains("N0: asked the system")), *bench::CAN_TRACE);
}

#[test]
fn lines_that_are_no_rows_are_refused() {
    for (line, said) in [
        ("ZZ01\tsource\tx\ty", "columns"),
        ("ZZ01\tsource\tx\ty\t\tmaybe\t\tL1\t", "`maybe`"),
        ("ZZ01\tsource\tx\t\\q\t\treject\t\tL1\t", "escape"),
    ] {
        let refused = Row::parse(line).and_then(|row| row.value().map(drop)).unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
}

fn assert_stage_holds(stage: &str) {
    let rows: Vec<_> = rows().into_iter().filter(|row| row.stage == stage).collect();
    assert!(!rows.is_empty(), "no row has the stage `{stage}`");
    // Where servers or locks are slow there is time for others; where archives are large there is not.
    let workers = match stage {
        "network" | "filesystem" => 8,
        "oci" => 3,
        _ => 1,
    };
    let runs: Vec<_> = rows.iter().flat_map(|row| Mode::BOTH.map(|mode| (row, mode))).collect();
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((row, mode)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // What a case cannot even be tried with must not keep the others from being named.
                    let tried = catch_unwind(AssertUnwindSafe(|| problems_in(row, *mode)));
                    let found = tried.unwrap_or_else(|_| vec![format!("{} ({mode}): the case panicked", row.id)]);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} rows, {} problems:\n{}", rows.len(), problems.len(), problems.join("\n"));
}

fn rows() -> Vec<Row> {
    TABLE.lines().skip(1).map(|line| Row::parse(line).unwrap_or_else(|why| panic!("{line}: {why}"))).collect()
}

/// Everything about a row that does not hold, each with its id.
fn problems_of(row: &Row) -> Vec<String> {
    Mode::BOTH.into_iter().flat_map(|mode| problems_in(row, mode)).collect()
}

fn problems_in(row: &Row, mode: Mode) -> Vec<String> {
    let (_, build) = STAGES.iter().find(|(name, _)| *name == row.stage).expect("the stage is run here");
    if !matches!(&*row.stage, "source" | "archive" | "oci") && !row.given.is_empty() {
        return vec![format!("{}: nothing of stage `{}` looks at `given`, `{}`", row.id, row.stage, row.given)];
    }
    let case = match build(row) {
        Ok(case) => case,
        Err(why) => return vec![format!("{}: {why}", row.id)],
    };
    let mut problems = Vec::new();
    for case in std::iter::once(&case).chain(&case.also).filter(|case| case.modes.contains(&mode) && case.can_be_run())
    {
        for streams in case.streams {
            let seen = bench::run(case, mode, *streams);
            let found = judge::problems(row, case, &seen);
            let of = format!("{} {}({mode})", row.id, case.instance);
            problems.extend(found.into_iter().map(|what| format!("{of}: {what}")));
        }
    }
    problems
}
