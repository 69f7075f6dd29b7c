//! Whether a plugin may come from a place: `cargo run --example admit PACKAGE PREFIX…`
//!
//! `PACKAGE` is an `oci://` reference or an `https://` URL, and each `PREFIX` is one of `allowedSources`. The exit status
//! is 0 if the package may be asked for, 1 if not, and 2 for a wrong command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program, and talks to whoever runs it")]

use std::process::ExitCode;

use source::{Allowed, Prefix, Source, SourcePolicy};

/// What went wrong, and what to do about it.
type Refusal = (String, Option<String>);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // A policy without a prefix lets everything through, which nobody should get by leaving something out.
    let [package, prefixes @ ..] = arguments.as_slice() else { return usage() };
    if prefixes.is_empty() {
        return usage();
    }
    match admit(package, prefixes) {
        Ok(allowed) => {
            println!("{} may be asked for", allowed.subject());
            ExitCode::SUCCESS
        }
        Err((message, hint)) => {
            eprintln!("{message}");
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: admit PACKAGE PREFIX...");
    ExitCode::from(2)
}

fn admit(package: &str, prefixes: &[String]) -> Result<Allowed<Source>, Refusal> {
    let prefixes: Result<Vec<_>, _> = prefixes.iter().map(|text| Prefix::parse(text)).collect();
    let prefixes = prefixes.map_err(|error| (error.to_string(), error.hint()))?;
    let source = Source::parse(package).map_err(|error| (error.to_string(), error.hint()))?;
    SourcePolicy::of(prefixes).admit(source).map_err(|error| (error.to_string(), Some(error.hint())))
}
