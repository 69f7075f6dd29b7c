//! A record of the log: one line, and the values that went in come out.
//!
//! The first byte chooses an event; its values follow, with a NUL between them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use audit::{Blame, Event, Format, Level, Log, MAX_VALUE_BYTES};
use serde_json::Value;
use source::is_invisible;

/// What logs are forged with.
pub const WORDS: &[&str] =
    &["\n", "\r", "\t", " ", "=", "\"", "\\", "\\u0000", "event=", "\u{1b}[", "\u{85}", "\u{2028}", "\u{202e}", "…"];

type Fields = Vec<(String, String)>;

/// Reads what was written in both formats of fields, and looks at the lines of the third.
pub fn target(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let mut values = text.split('\0');
    let mut value = || values.next().unwrap_or_default();
    let (a, b, c) = (value(), value(), value());
    let hint = Some(c).filter(|c| !c.is_empty());
    let (name, expected, event): (_, Vec<(&str, Option<&str>)>, _) = match choice % 5 {
        0 => (
            "warning",
            vec![("reason", Some(a)), ("detail", Some(b)), ("hint", hint)],
            Event::Warning { reason: a, detail: b, hint },
        ),
        1 => (
            "step",
            vec![("step", Some(a)), ("package", hint), ("detail", Some(b))],
            Event::Step { step: a, package: c, detail: b },
        ),
        2 => ("plugin_removed", vec![("name", Some(a)), ("dest", Some(b))], Event::PluginRemoved { name: a, dest: b }),
        3 => (
            "fatal",
            vec![("reason", Some(a)), ("detail", Some(b)), ("hint", hint), ("blame", Some(Blame::Host.name()))],
            Event::Fatal { reason: a, detail: b, hint, blame: Blame::Host, others: 0 },
        ),
        _ => (
            "config_problem",
            vec![
                ("config_file", Some(a)),
                ("line", Some("7")),
                ("column", Some("9")),
                ("detail", Some(b)),
                ("source_line", hint),
            ],
            Event::ConfigProblem { config_file: a, line: 7, column: 9, detail: b, source_line: hint, hint: None },
        ),
    };
    let head = [("ts", "1970-01-01T00:00:00Z"), ("level", event.level().name()), ("event", name)];
    let body = expected.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let expected: Vec<_> = head.into_iter().chain(body).collect();
    let lines = written(Format::Rhdh, &event);
    assert!(lines.ends_with('\n') && lines.lines().count() <= 4, "{lines:?}");
    assert!(lines.lines().all(|line| !line.trim_start_matches('\t').contains(is_invisible)), "{lines:?}");
    for (format, read) in [(Format::Logfmt, logfmt as fn(&str) -> Fields), (Format::Json, json)] {
        let line = written(format, &event);
        let line = line.strip_suffix('\n').expect("a record ends its line");
        assert!(!line.contains(is_invisible), "{line:?}");
        assert!(line.len() < 16 + expected.len() * (MAX_VALUE_BYTES + 32), "{} bytes", line.len());
        let found = read(line);
        assert_eq!(found.len(), expected.len(), "{line}");
        for (key, value) in &expected {
            let (_, found) = found.iter().find(|(name, _)| name == key).expect("every field is there");
            assert_same(key, value, found);
        }
    }
}

/// Values that are plain, that must be quoted, that must be cut.
pub fn seeds() -> Vec<Vec<u8>> {
    let long = "ü\"\u{7}".repeat(200);
    let texts = [
        "\0oci_pull_failed\0it broke\0try again",
        "\x01fetch\0GET https://a.example.com/x?…\0oci://a.example.com/b:1",
        "\x02@a/b\0/dynamic-plugins-root/a-b-dynamic",
        "\x03io_error\0a\nts=1970 event=completed\r\0say \"no\" = \\ \u{1b}[2J\u{202e}",
        "\x04/etc/x.yaml\0\0  - package: …",
    ];
    let texts = texts.map(str::to_owned).into_iter();
    texts.chain([format!("\0{long}\0{}\0{}", "x".repeat(1024), "x".repeat(1025))]).map(String::into_bytes).collect()
}

/// A value is whole if it fits, and else a beginning that fits, with the mark of a cut.
fn assert_same(key: &str, value: &str, found: &str) {
    if escaped(value) <= MAX_VALUE_BYTES {
        assert_eq!(found, value, "{key}");
    } else {
        let start = found.strip_suffix('…').expect("a cut value ends in the mark of a cut");
        assert!(value.starts_with(start), "{key}: {found:?} of {value:?}");
        let len = escaped(found);
        assert!((MAX_VALUE_BYTES - 16..=MAX_VALUE_BYTES).contains(&len), "{key} is cut to {len} bytes");
    }
}

fn escaped(value: &str) -> usize {
    let width = |character: char| match character {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if is_invisible(c) => 6 * c.len_utf16(),
        c => c.len_utf8(),
    };
    value.chars().map(width).sum()
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no other thread writes").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, event: &Event<'_>) -> String {
    let sink = Sink::default();
    Log::new(format, Level::Debug, || UNIX_EPOCH, sink.clone(), sink.clone()).record(event);
    let bytes = std::mem::take(&mut *sink.0.lock().expect("no other thread writes"));
    String::from_utf8(bytes).expect("a log is UTF-8")
}

fn json(line: &str) -> Fields {
    let Ok(Value::Object(object)) = serde_json::from_str(line) else { panic!("{line} is no JSON object") };
    let plain = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.into_iter().map(|(key, value)| (key, plain(value))).collect()
}

/// `key=bare key="quoted"`, one space between pairs.
fn logfmt(line: &str) -> Fields {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=').expect("a pair has an equals sign");
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{key:?}");
        let (value, behind) = if let Some(quoted) = behind.strip_prefix('"') {
            unquoted(quoted)
        } else {
            let (bare, behind) = behind.split_at(behind.find(' ').unwrap_or(behind.len()));
            assert!(!bare.is_empty() && !bare.contains(['"', '=', '\\']), "{bare:?} is bare");
            (bare.to_owned(), behind)
        };
        fields.push((key.to_owned(), value));
        assert!(behind.is_empty() || behind.starts_with(' ') && behind.len() > 1, "{behind:?} follows a value");
        rest = behind.strip_prefix(' ').unwrap_or_default();
    }
    fields
}

/// The value up to the quote that ends it, and what follows.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut units: Vec<u16> = Vec::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next().expect("a quoted value ends") {
            '"' => {
                return (
                    String::from_utf16(&units).expect("halves of a character stand together"),
                    characters.as_str(),
                );
            }
            '\\' => match characters.next().expect("an escape is whole") {
                'n' => units.push(0x0a),
                'r' => units.push(0x0d),
                't' => units.push(0x09),
                'u' => {
                    let rest = characters.as_str();
                    units.push(u16::from_str_radix(&rest[..4], 16).expect("an escape has four digits"));
                    characters = rest[4..].chars();
                }
                other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            },
            other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
        }
    }
}
