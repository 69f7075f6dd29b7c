//! An admission check for a chart's values or a `dynamic-plugins.yaml`: `cargo run --example admission FILE [PREFIX…]`
//!
//! Every entry must come from one of the `PREFIX`es or, if there are none, from the file's own `allowedSources`. The exit
//! status is 0 if the file is admitted, 1 if not, and 2 for a wrong command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program, and talks to whoever runs it")]

use std::fs::File;
use std::io::{self, Read as _};
use std::process::ExitCode;

use config::{MAX_CONFIG_BYTES, Request};
use source::{Prefix, PrefixError, SourcePolicy};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, prefixes @ ..] = arguments.as_slice() else {
        eprintln!("usage: admission FILE [PREFIX...]");
        return ExitCode::from(2);
    };
    let prefixes: Result<Vec<_>, PrefixError> = prefixes.iter().map(|text| Prefix::parse(text)).collect();
    let objections = match (prefixes, read(file)) {
        (Err(error), _) => vec![error.to_string()],
        (_, Err(error)) => vec![format!("could not read `{file}`: {error}")],
        (Ok(prefixes), Ok(text)) => objections(file, &text, SourcePolicy::of(prefixes)),
    };
    for objection in &objections {
        eprintln!("{}", objection.trim_end());
    }
    if objections.is_empty() {
        println!("{file} is admitted");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One byte more than a file may have is enough to see that it has too many.
fn read(file: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// What speaks against the file, each with its line and a hint.
fn objections(file: &str, text: &[u8], ours: SourcePolicy) -> Vec<String> {
    let plan = match config::parse(text) {
        Ok(plan) => plan,
        Err(problems) => return vec![problems.render(file)],
    };
    let policy = if ours.is_permissive() { plan.policy } else { ours };
    let objection = |entry: config::Entry| match entry.request {
        Request::Disabled => None,
        Request::Wanted(wanted) => wanted.admit(&policy).err().map(|why| entry.place.problem(&why, text).render(file)),
    };
    plan.entries.into_iter().filter_map(objection).collect()
}
