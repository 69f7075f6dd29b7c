//! The records as those who parse the log know them, and what no value can do to them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit::{
    Blame, Event, Format, Level, LockState, Log, MAX_VALUE_BYTES, NoteShape, PluginKind, Progress, SkipReason,
};
use integrity::{Integrity, Mismatch, OciDigest, Promise};
use proptest::prelude::*;
use source::{Prefix, SourcePolicy};

/// A stream that can be looked at, and that counts how often it was written to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<(Vec<u8>, usize)>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        inner.0.extend_from_slice(bytes);
        inner.1 += 1;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }
    fn writes(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(490_908)
}

/// What goes to each of the two streams.
fn streams(format: Format, level: Level, event: &Event<'_>) -> (Sink, Sink) {
    let (out, err) = (Sink::default(), Sink::default());
    Log::new(format, level, noon, out.clone(), err.clone()).record(event);
    (out, err)
}

fn line(format: Format, event: &Event<'_>) -> String {
    let (out, err) = streams(format, Level::Debug, event);
    out.text() + &err.text()
}

const PROMISED: &str =
    "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
const OTHER: &str = "sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
const PACKAGE: &str = "oci://ghcr.io/my-org/my-plugin:1.2.3";

/// Writes one event of every kind, in every form that it has.
fn write_all_events(log: &mut Log) {
    let policy = SourcePolicy::of(vec![
        Prefix::parse("oci://ghcr.io/my-org").unwrap(),
        Prefix::parse("https://artifacts.internal.example.com/plugins").unwrap(),
    ]);
    for allowed_sources in [&policy, &SourcePolicy::permissive()] {
        log.record(&Event::Startup {
            config_file: "/etc/butler-portal/dynamic-plugins.yaml",
            root: "/dynamic-plugins-root",
            continue_on_error: false,
            plugin_count: 2,
            allowed_sources,
            version: "0.1.0",
            sandbox: "landlock_v7",
        });
    }
    for (source_line, hint) in [(None, None), (Some("plugns: []"), Some("did you mean `plugins`?"))] {
        let config_file = "/etc/butler-portal/dynamic-plugins.yaml";
        let detail = "unknown key `plugns`";
        log.record(&Event::ConfigProblem { config_file, line: 2, column: 1, detail, source_line, hint });
    }
    log.record(&Event::StartupPermissiveMode);
    let (promised, other) = (Integrity::parse(PROMISED).unwrap(), Integrity::parse(OTHER).unwrap());
    let manifest = OciDigest::parse(&format!("sha256:{}", "0a".repeat(32))).unwrap();
    for adopted in [false, true] {
        log.record(&Event::PluginInstalled {
            package: PACKAGE,
            integrity: &Promise::Hashes(promised.into()),
            name: "@my-org/my-plugin",
            dest: "/dynamic-plugins-root/my-org-my-plugin-dynamic",
            version: "1.2.3",
            bytes: 5,
            duration_ms: 7,
            manifest: adopted.then_some(&manifest),
            adopted,
            cached: adopted,
        });
    }
    for reason in [
        SkipReason::Disabled,
        SkipReason::Unchanged,
        SkipReason::SameDigest,
        SkipReason::Absent { path: "/app/my-plugin" },
        SkipReason::Aborted,
    ] {
        log.record(&Event::PluginSkipped { package: PACKAGE, reason });
    }
    let mismatch = Mismatch { expected: Some(promised.into()), computed: other.into(), len: 5 };
    for (reason, mismatch, cause, hint) in [
        ("integrity_mismatch", Some(&mismatch), None, Some("ask the publisher")),
        ("oci_pull_failed", None, Some("not_found"), None),
    ] {
        let detail = "not as promised";
        log.record(&Event::PluginRejected {
            package: PACKAGE,
            reason,
            mismatch,
            cause,
            detail,
            hint,
            blame: Blame::Network,
            line: 3,
            file: None,
        });
    }
    log.record(&Event::PluginRemoved { name: "hello", dest: "/dynamic-plugins-root/hello-dynamic" });
    let detail = "the stricter wins";
    log.record(&Event::Warning { reason: "continue_on_error_mismatch", detail, hint: None });
    log.record(&Event::Step { step: "retry", package: PACKAGE, detail: "503" });
    log.record(&Event::Step { step: "lock", package: "", detail: "taken" });
    for (shape, detail) in [
        (NoteShape::Heading, "Including plugins from dynamic-plugins.default.yaml"),
        (NoteShape::Plain, "INFO: Overriding version for oci://ghcr.io/my-org/my-plugin from `1` to `2`"),
        (NoteShape::Item, "Falling back to quay.io/rhdh/ for oci://registry.access.redhat.com/rhdh/plugin:1"),
    ] {
        log.record(&Event::Progress(Progress::Note { shape, detail }));
    }
    for state in [LockState::Waiting, LockState::Taken, LockState::Released] {
        log.record(&Event::Progress(Progress::Lock { state, path: "/dynamic-plugins-root/.butler-plugins.lock" }));
    }
    for (kind, workers) in [(PluginKind::Oci, 8), (PluginKind::Npm, 1)] {
        log.record(&Event::Progress(Progress::Queued { kind, plugin_count: 3, workers }));
        log.record(&Event::Progress(Progress::Installing { package: PACKAGE, kind }));
    }
    log.record(&Event::Progress(Progress::Downloading { image: PACKAGE }));
    log.record(&Event::Progress(Progress::Verifying { package: PACKAGE }));
    for (reason, hint) in [("continueOnError_false", Some("ask the publisher")), ("interrupted", None)] {
        log.record(&Event::Fatal {
            reason,
            detail: "1 of 2 plugins rejected",
            hint,
            blame: Blame::Operator,
            others: 0,
        });
    }
    for rejected in [0, 1] {
        log.record(&Event::Completed { installed: 2, rejected, skipped: 0, removed: 1, duration_ms: 1234 });
    }
}

#[test]
fn every_event_is_written_field_for_field() {
    for (format, golden) in
        [(Format::Logfmt, include_str!("records.logfmt")), (Format::Json, include_str!("records.jsonl"))]
    {
        let sink = Sink::default();
        write_all_events(&mut Log::new(format, Level::Debug, noon, sink.clone(), sink.clone()));
        assert_eq!(sink.text(), golden);
    }
}

#[test]
fn rhdh_lines_are_as_its_clients_know_them() {
    let (out, err) = (Sink::default(), Sink::default());
    write_all_events(&mut Log::new(Format::Rhdh, Level::Debug, noon, out.clone(), err.clone()));
    assert_eq!(out.text() + "--- stderr ---\n" + &err.text(), include_str!("records.rhdh"));
}

#[test]
fn rejection_names_the_file_where_several_are_read() {
    let rejected = |hint| Event::PluginRejected {
        package: PACKAGE,
        reason: "io_error",
        mismatch: None,
        cause: None,
        detail: "lost",
        hint,
        blame: Blame::Host,
        line: 3,
        file: Some("/a b/plugins.yaml"),
    };
    for (hint, help) in
        [(None, "see /a b/plugins.yaml:3"), (Some("ask the publisher"), "ask the publisher (/a b/plugins.yaml:3)")]
    {
        let told = line(Format::Rhdh, &rejected(hint));
        assert_eq!(told, format!("\t==> ERROR: {PACKAGE}: lost\n\t    help: {help}\n"));
        let record = line(Format::Logfmt, &rejected(hint));
        assert!(record.ends_with(" line=3 file=\"/a b/plugins.yaml\"\n"), "{record}");
    }
}

#[test]
fn rhdh_tells_how_many_more_failed() {
    for (others, more) in
        [(0, ""), (1, "; and 1 more plugin failed, see the log"), (2, "; and 2 more plugins failed, see the log")]
    {
        let err = Sink::default();
        let mut log = Log::new(Format::Rhdh, Level::Info, noon, Sink::default(), err.clone());
        let blame = Blame::Host;
        log.record(&Event::PluginRejected {
            package: PACKAGE,
            reason: "io_error",
            mismatch: None,
            cause: None,
            detail: "lost",
            hint: None,
            blame,
            line: 3,
            file: None,
        });
        log.record(&Event::Fatal { reason: "continueOnError_false", detail: "", hint: None, blame, others });
        assert_eq!(err.text(), format!("\ninstall-dynamic-plugins failed: {PACKAGE}: lost (io_error){more}\n"));
    }
}

#[test]
fn rhdh_lines_have_levels() {
    let progress = Event::Progress(Progress::Installing { package: PACKAGE, kind: PluginKind::Oci });
    let fatal = Event::Fatal { reason: "io_error", detail: "d", hint: None, blame: Blame::Host, others: 0 };
    for (level, out_is_empty) in
        [(Level::Error, true), (Level::Warn, true), (Level::Info, false), (Level::Debug, false)]
    {
        let (out, err) = streams(Format::Rhdh, level, &progress);
        assert_eq!((out.text().is_empty(), err.writes()), (out_is_empty, 0), "{level:?}");
        let (out, err) = streams(Format::Rhdh, level, &fatal);
        assert_eq!((out.writes(), err.text().as_str()), (0, "\ninstall-dynamic-plugins failed: d\n"), "{level:?}");
    }
    // Records leave that to the debugger of a run.
    assert_eq!(streams(Format::Logfmt, Level::Info, &progress).0.writes(), 0);
}

#[test]
fn no_text_begins_a_line_of_rhdh_or_is_longer_than_allowed() {
    let forged = "x\n======= All plugins installed successfully\r\u{1b}[2J\u{2028}\u{202e}";
    let shown = "x\\n======= All plugins installed successfully\\r\\u001b[2J\\u2028\\u202e";
    let long = "é".repeat(600);
    let note = |shape, detail| Event::Progress(Progress::Note { shape, detail });
    for (event, lines) in [
        (note(NoteShape::Heading, forged), format!("\n======= {shown}\n")),
        (note(NoteShape::Plain, forged), format!("{shown}\n")),
        (note(NoteShape::Item, forged), format!("\t==> {shown}\n")),
        (note(NoteShape::Plain, r#"say "no" \ so"#), "say \"no\" \\ so\n".to_owned()),
        (note(NoteShape::Plain, &long), format!("{}…\n", "é".repeat(510))),
        (
            Event::Warning { reason: "r", detail: forged, hint: Some(forged) },
            format!("WARNING: {shown}\n\t    help: {shown}\n"),
        ),
        (
            Event::Fatal { reason: forged, detail: forged, hint: Some(forged), blame: Blame::Operator, others: 0 },
            format!("\ninstall-dynamic-plugins failed: {shown}\nhelp: {shown}\n"),
        ),
        (Event::PluginSkipped { package: forged, reason: SkipReason::Disabled }, {
            format!("\n======= Skipping disabled plugin {shown}\n")
        }),
        (Event::PluginRemoved { name: "n", dest: forged }, format!("\n======= Removing obsolete plugin {shown}\n")),
    ] {
        assert_eq!(line(Format::Rhdh, &event), lines);
    }
}

#[test]
fn a_json_record_is_json_in_the_order_of_logfmt() {
    for (logfmt, json) in include_str!("records.logfmt").lines().zip(include_str!("records.jsonl").lines()) {
        let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
        assert_eq!(record.len(), logfmt.split(' ').filter(|word| word.contains('=')).count(), "{logfmt}");
        let mut rest = json;
        for (key, _) in logfmt.split(' ').filter_map(|word| word.split_once('=')) {
            rest = rest.split_once(&format!("\"{key}\":")).unwrap().1;
        }
    }
}

#[test]
fn errors_go_to_their_own_stream_in_one_write() {
    let error =
        Event::Fatal { reason: "config_invalid", detail: "line 1", hint: None, blame: Blame::Operator, others: 0 };
    let (out, err) = streams(Format::Logfmt, Level::Info, &error);
    assert_eq!((out.writes(), err.writes()), (0, 1));
    let (out, err) = streams(Format::Logfmt, Level::Info, &Event::StartupPermissiveMode);
    assert_eq!((out.writes(), err.writes()), (1, 0));
}

#[test]
fn a_log_writes_its_level_and_those_above() {
    let step = Event::Step { step: "s", package: "", detail: "d" };
    let removed = Event::PluginRemoved { name: "n", dest: "d" };
    let fatal = Event::Fatal { reason: "r", detail: "d", hint: None, blame: Blame::Operator, others: 0 };
    let events = [fatal, Event::StartupPermissiveMode, removed, step];
    for (level, written) in [(Level::Error, 1), (Level::Warn, 2), (Level::Info, 3), (Level::Debug, 4)] {
        let counted = events.iter().filter(|event| {
            let (out, err) = streams(Format::Logfmt, level, event);
            out.writes() + err.writes() > 0
        });
        assert_eq!(counted.count(), written, "{level:?}");
    }
}

#[test]
fn a_closed_stream_is_given_up_silently() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut log = Log::new(Format::Logfmt, Level::Info, noon, Closed, Closed);
    log.record(&Event::StartupPermissiveMode);
    log.record(&Event::Fatal { reason: "config_invalid", detail: "", hint: None, blame: Blame::Operator, others: 0 });
}

#[test]
fn values_cannot_forge_a_record_or_drive_a_terminal() {
    let long = "\r\nx".repeat(400_000);
    let rows = [
        (
            "forged record",
            "x\nts=2026-01-01T00:00:00Z level=INFO event=completed",
            r#""x\nts=2026-01-01T00:00:00Z level=INFO event=completed""#,
        ),
        ("quote and equals", "a\"b=c", r#""a\"b=c""#),
        ("equals alone", "a=b", r#""a=b""#),
        ("backslash", r"a\b", r#""a\\b""#),
        ("space", "a b", r#""a b""#),
        ("no-break space", "a\u{a0}b", "\"a\u{a0}b\""),
        ("ESC, BEL, DEL, C1", "\u{1b}[31m\u{7}\u{7f}\u{9b}", r#""\u001b[31m\u0007\u007f\u009b""#),
        ("tab and carriage return", "\t\r", r#""\t\r""#),
        ("separators and override", "\u{2028}\u{2029}\u{202e}", r#""\u2028\u2029\u202e""#),
        ("isolates, zero width, BOM", "\u{2066}\u{200b}\u{feff}", r#""\u2066\u200b\ufeff""#),
        ("tag characters", "\u{e0041}", r#""\udb40\udc41""#),
        ("empty", "", r#""""#),
        ("letters of any alphabet", "caf\u{e9}-\u{1f600}", "caf\u{e9}-\u{1f600}"),
        ("exactly at the limit", &"a".repeat(MAX_VALUE_BYTES), &"a".repeat(MAX_VALUE_BYTES)),
        ("one past the limit", &"a".repeat(MAX_VALUE_BYTES + 1), &format!("{}…", "a".repeat(MAX_VALUE_BYTES - 3))),
        ("cut before a whole character", &"é".repeat(600), &format!("{}…", "é".repeat(510))),
        ("a megabyte of lines", &long, &format!("\"{}…\"", "\\r\\nx".repeat(204))),
    ];
    for (name, value, written) in rows {
        let removed = Event::PluginRemoved { name: value, dest: "/d" };
        let record = line(Format::Logfmt, &removed);
        assert_eq!(
            record,
            format!("ts=2026-01-01T12:00:00Z level=INFO event=plugin_removed name={written} dest=/d\n"),
            "{name}"
        );
    }
}

#[test]
fn a_long_list_is_cut_after_a_whole_element() {
    let prefix = |n: usize| Prefix::parse(&format!("oci://registry.example.com/organisation-{n:03}")).unwrap();
    let policy = |count: usize| SourcePolicy::of((0..count).map(prefix).collect());
    let written = |format, policy: &SourcePolicy| {
        let event = Event::Startup {
            config_file: "f",
            root: "r",
            continue_on_error: true,
            plugin_count: 0,
            allowed_sources: policy,
            version: "v",
            sandbox: "none",
        };
        line(format, &event)
    };
    // 46 bytes with quotes and comma each: 22 of them fill 1,013 bytes.
    let whole = written(Format::Logfmt, &policy(22));
    assert!(!whole.contains('…') && whole.contains("-021\"] version=v"), "{whole}");
    let cut = written(Format::Logfmt, &policy(100));
    assert!(cut.contains("-020\",…] version=v") || cut.contains("-021\",…] version=v"), "{cut}");
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &policy(100))).unwrap();
    let elements = json["allowed_sources"].as_array().unwrap();
    assert_eq!(elements.last().unwrap(), "…");
    assert_eq!(elements[0], "oci://registry.example.com/organisation-000");
}

/// A reader of logfmt, as strict as the format.
fn parse(line: &str) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    let mut rest = line.strip_suffix('\n')?;
    loop {
        let (key, behind) = rest.split_once('=')?;
        let quoted = behind.starts_with('"');
        let (value, behind) = if quoted {
            let mut json = serde_json::Deserializer::from_str(behind).into_iter::<String>();
            let value = json.next()?.ok()?;
            (value, &behind[json.byte_offset()..])
        } else {
            let end = behind.find(' ').unwrap_or(behind.len());
            (behind[..end].to_owned(), &behind[end..])
        };
        if key.is_empty() || key.contains([' ', '"']) || (!quoted && value.contains(['"', '='])) {
            return None;
        }
        fields.push((key.to_owned(), value));
        match behind {
            "" => return Some(fields),
            behind => rest = behind.strip_prefix(' ')?,
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "[\\x00-\\x20\"=\\\\\u{7f}-\u{a0}\u{2028}\u{202e}]{0,20}",
        "[\\x00-\\x20a\u{1f600}]{900,1200}"
    ]
}

proptest! {
    #[test]
    fn every_value_survives_the_round_trip_on_one_line(package in value(), detail in value(), hint in value()) {
        let event = Event::PluginRejected {
            package: &package, reason: "io_error", mismatch: None, cause: Some("reset"), detail: &detail, hint: Some(&hint),
            blame: Blame::Host,
            line: 1,
            file: None,
        };
        let logfmt = line(Format::Logfmt, &event);
        prop_assert_eq!(logfmt.matches(char::is_control).collect::<Vec<_>>(), vec!["\n"]);
        let fields = parse(&logfmt).ok_or_else(|| TestCaseError::fail(logfmt.clone()))?;
        let keys: Vec<_> = fields.iter().map(|(key, _)| key.as_str()).collect();
        prop_assert_eq!(keys, ["ts", "level", "event", "package", "reason", "cause", "detail", "hint", "blame", "line"]);
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line(Format::Json, &event)).unwrap();
        for (key, written) in &fields {
            let same = json[key].as_str().map_or_else(|| json[key].to_string(), str::to_owned);
            prop_assert_eq!(&same, written);
        }
        for (given, (_, written)) in [&package, &detail, &hint].into_iter().zip([&fields[3], &fields[6], &fields[7]]) {
            match written.strip_suffix('…') {
                Some(cut) if given != written => prop_assert!(given.starts_with(cut) && given.len() > cut.len()),
                _ => prop_assert_eq!(given, written),
            }
            prop_assert!(written.len() <= MAX_VALUE_BYTES);
        }
    }
}

#[test]
fn whoever_watches_sees_what_the_level_leaves_out() {
    let (seen, told) = std::sync::mpsc::channel();
    let streams = (std::io::sink(), std::io::sink());
    let log = Log::new(Format::Logfmt, Level::Error, || UNIX_EPOCH, streams.0, streams.1);
    let mut log = log.watched(move |event| seen.send(event.name()).unwrap());
    log.record(&Event::StartupPermissiveMode);
    log.record(&Event::Step { step: "judged", package: "", detail: "" });
    drop(log);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["startup_permissive_mode", "step"]);
}
