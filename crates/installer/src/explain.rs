//! `explain`: what a reason or cause of the log means. It asks nobody and reads nothing.

use std::fmt::Write as _;

use audit::Explanation;
use clap::error::ErrorKind;
use serde_json::Value;

use crate::cli::{self, ExplainArgs};
use crate::exit::Status;
use crate::{report, usage};

/// Explains what was asked for, or lists all.
pub(crate) fn run(explain: &ExplainArgs) -> Status {
    let asked = explain.reason.join(" ");
    if asked.is_empty() {
        report::print_text(&list());
        return Status::Completed;
    }
    let codes = codes(&asked);
    if codes.is_empty() {
        return told("this line of the log has no reason: name one, or `explain` alone lists them all");
    }
    let mut pages = Vec::new();
    for code in codes {
        match Explanation::all().find(|explained| explained.code == code) {
            Some(explained) => pages.push(page(&explained)),
            None => return unknown(&code),
        }
    }
    report::print_text(&pages.join("\n"));
    Status::Completed
}

/// Reason and cause of a pasted line, or else the first word: a termination message begins with the reason and a colon.
/// A line that has none has no codes.
fn codes(asked: &str) -> Vec<String> {
    // The words behind it may be anything.
    let before = asked.split_once(": ").map_or("", |(before, _)| before.trim());
    if !before.is_empty() && word(before) == before {
        return vec![before.to_owned()];
    }
    let fields = json_fields(asked).unwrap_or_else(|| logfmt_fields(asked));
    let field = |key| fields.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str());
    let mut codes: Vec<_> = [field("reason"), field("cause")].into_iter().flatten().map(word).collect();
    if fields.is_empty() {
        codes.push(word(asked));
    }
    codes.retain(|code| !code.is_empty());
    // One of the places that such a run ends for.
    if codes.is_empty() && field("event") == Some("config_problem") {
        codes.push("config_invalid");
    }
    codes.into_iter().map(str::to_owned).collect()
}

/// The text fields of a line of JSON, or of a piece of one; others that collect logs write something before it.
fn json_fields(asked: &str) -> Option<Vec<(String, String)>> {
    let at = asked.find(['{', '"', '=']).unwrap_or_default();
    let object = match &asked[at..] {
        whole if whole.starts_with('{') => serde_json::from_str::<Value>(whole),
        piece => serde_json::from_str(&format!("{{{}}}", piece.trim_end().trim_end_matches(','))),
    };
    let Ok(Value::Object(fields)) = object else { return None };
    Some(fields.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect())
}

/// The fields of a line of logfmt, in their order.
fn logfmt_fields(asked: &str) -> Vec<(String, String)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let words = asked.split(|c: char| {
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        c.is_whitespace() && !is_quoted
    });
    let fields = words.filter_map(|word| word.split_once('='));
    fields.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// What a text begins with, as far as it can be a code.
fn word(text: &str) -> &str {
    let text = text.trim_start();
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).next().unwrap_or_default()
}

fn page(explained: &Explanation) -> String {
    let Explanation { code, group, whose, what, fix, .. } = explained;
    format!("{code} ({group})\n  what happened: {what}\n  whose move:    {whose}\n  what to do:    {fix}\n")
}

/// Each with the first sentence of what happened.
fn list() -> String {
    let (mut text, mut group) = (String::new(), "");
    for explained in Explanation::all() {
        if explained.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            group = explained.group;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}{group}");
        }
        let what = explained.what.split(". ").next().unwrap_or_default().trim_end_matches('.');
        let _ = writeln!(text, "  {:32} {what}", explained.code);
    }
    text
}

fn unknown(code: &str) -> Status {
    let known: Vec<_> = Explanation::all().map(|explained| explained.code).collect();
    let hint = match config::nearest(code, &known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`explain` alone lists them".to_owned(),
    };
    told(&format!("no reason is called `{code}`: {hint}"))
}

fn told(why: &str) -> Status {
    usage::misused(&cli::command().error(ErrorKind::InvalidValue, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_what_is_pasted() {
        for (asked, expected) in [
            ("tls", &["tls"][..]),
            (" tls: the rest", &["tls"]),
            (
                "ts=1 event=plugin_rejected package=oci://x/y:1 reason=oci_pull_failed cause=tls detail=\"x\"",
                &["oci_pull_failed", "tls"],
            ),
            (r#"{"ts":"1","reason":"oci_pull_failed","cause":"tls","detail":"x"}"#, &["oci_pull_failed", "tls"]),
            ("oci_pull_failed: plugin `oci://x/y:1`: failed", &["oci_pull_failed"]),
            ("tls: it says {\"reason\": \"disabled\"}", &["tls"]),
            ("tls: `https://h/x reason=disabled`", &["tls"]),
            ("ts=1 level=INFO", &[]),
            ("reason=", &[]),
            ("reason=\"tls\"", &["tls"]),
            (r#"{"reason" : "tls" , "cause": "unauthorized"}"#, &["tls", "unauthorized"]),
            (r#""reason": "tls","#, &["tls"]),
            (r#"2026-11-21T09:00:00Z {"event":"fatal","reason":"tls"}"#, &["tls"]),
            (r#"{"event":"startup","jobs":8}"#, &[]),
            (r#"{"event":"config_problem","line":1}"#, &["config_invalid"]),
            (r#"{"event":"fatal","detail":"{\"reason\":\"disabled\"}","nested":{"reason":"disabled"}}"#, &[]),
            ("package=https://h/reason=disabled/x.tgz reason=source_not_allowed", &["source_not_allowed"]),
            (r#"package="a \" reason=disabled" reason=source_not_allowed"#, &["source_not_allowed"]),
            (r#"package="a\\" reason=tls"#, &["tls"]),
            (r#"event=plugin_rejected detail="\"reason\":\"disabled\"" reason=tls"#, &["tls"]),
            ("event=config_problem file=x line=1 detail=\"reason=tls\"", &["config_invalid"]),
            ("pod-1 | ts=1 event=startup version=1", &[]),
        ] {
            assert_eq!(codes(asked), expected, "{asked}");
        }
    }
}
