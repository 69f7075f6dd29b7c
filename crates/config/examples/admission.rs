//! An admission check for a chart's values or a `dynamic-plugins.yaml`: `cargo run --example admission FILE PREFIX…`
//!
//! The file must have `allowedSources`, each at or below one of the `PREFIX`es, and every entry must come from one of them.
//! The exit status is 0 if the file is admitted, 1 if not, and 2 for a wrong command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program, and talks to whoever runs it")]

use std::fs::File;
use std::io::{self, Read as _};
use std::process::ExitCode;

use config::{MAX_CONFIG_BYTES, Request};
use source::{Prefix, PrefixError};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // Without a prefix of ours the file would be its own judge.
    let [file, _, ..] = arguments.as_slice() else {
        eprintln!("usage: admission FILE PREFIX...");
        return ExitCode::from(2);
    };
    let prefixes: Result<Vec<_>, PrefixError> = arguments.iter().skip(1).map(|text| Prefix::parse(text)).collect();
    let objections = match (prefixes, read(file)) {
        (Err(error), _) => vec![error.to_string()],
        (_, Err(error)) => vec![format!("could not read `{file}`: {error}")],
        (Ok(prefixes), Ok(text)) => objections(file, &text, &prefixes),
    };
    for objection in &objections {
        eprintln!("{}", objection.trim_end());
    }
    if objections.is_empty() {
        println!("{file} is admitted");
    }
    ExitCode::from(u8::from(!objections.is_empty()))
}

/// One byte more than a file may have is enough to see that it has too many.
fn read(file: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// What speaks against the file, of entries with the line and a hint.
fn objections(file: &str, text: &[u8], ours: &[Prefix]) -> Vec<String> {
    let (policy, entries) = match config::parse(text) {
        Ok(plan) => (plan.policy, plan.entries),
        Err(problems) => return vec![problems.render(file)],
    };
    if policy.is_permissive() {
        return vec![format!("{file}: expected `allowedSources`, without which plugins come from anywhere")];
    }
    let is_within = |theirs: &Prefix, ours| theirs == ours || theirs.to_string().starts_with(&format!("{ours}/"));
    let wider = policy.prefixes().iter().filter(|theirs| !ours.iter().any(|ours| is_within(theirs, ours)));
    let wider = wider.map(|theirs| format!("{file}: `{theirs}` in `allowedSources` is at or below no given prefix"));
    let objection = |entry: config::Entry| match entry.request {
        Request::Disabled => None,
        Request::Wanted(wanted) => wanted.admit(&policy).err().map(|why| entry.place.problem(&why, text).render(file)),
    };
    wider.chain(entries.into_iter().filter_map(objection)).collect()
}
