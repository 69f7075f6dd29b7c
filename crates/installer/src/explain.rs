//! `explain`: what a reason or cause of the log means. It asks nobody and reads nothing.

use std::fmt::Write as _;

use audit::Explanation;
use clap::error::ErrorKind;

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
    let mut pages = Vec::new();
    for code in codes(&asked) {
        match Explanation::all().find(|explained| explained.code == code) {
            Some(explained) => pages.push(page(&explained)),
            None => return unknown(code),
        }
    }
    report::print_text(&pages.join("\n"));
    Status::Completed
}

/// The fields of a pasted line, or the first word: a termination message begins with the reason and a colon.
fn codes(asked: &str) -> Vec<&str> {
    let fields: Vec<_> = ["reason=", "cause=", "\"reason\":\"", "\"cause\":\""]
        .into_iter()
        .filter_map(|key| asked.split_once(key).map(|(_, behind)| word(behind)))
        .collect();
    if fields.is_empty() { vec![word(asked)] } else { fields }
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
    usage::misused(&cli::command().error(ErrorKind::InvalidValue, format!("no reason is called `{code}`: {hint}")))
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
            ("reason=", &[""]),
        ] {
            assert_eq!(codes(asked), expected, "{asked}");
        }
    }
}
