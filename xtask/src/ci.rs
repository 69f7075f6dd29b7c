//! `cargo xtask ci`: the steps that every change must pass, in the order in which they fail fastest.

use std::time::Instant;

use crate::command::{self, cargo};
use crate::docs::{self, Pages};
use crate::{e2e, package, test, tidy};

/// One step: its name, and what it does.
type Step = (&'static str, fn() -> anyhow::Result<()>);

const STEPS: [Step; 9] = [
    ("format", || command::run(&mut cargo(&["fmt", "--all", "--check"]))),
    ("tidy", tidy::run),
    ("clippy", || {
        command::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    }),
    ("pages", || docs::run(Pages::Check)),
    ("docs", || {
        command::run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("packages", package::check),
    ("deny", deny),
    ("test", test::run),
    ("e2e", e2e::check),
];

/// Runs all steps, stops at the first failure, and says how long each took.
pub(crate) fn run() -> anyhow::Result<()> {
    for (name, step) in STEPS {
        println!("\n=== {name}");
        let start = Instant::now();
        step()?;
        println!("=== {name}: {} s", start.elapsed().as_secs());
    }
    Ok(())
}

fn deny() -> anyhow::Result<()> {
    if !command::has_subcommand("deny") {
        println!("cargo-deny is missing: installing it takes about two minutes");
        command::run(&mut cargo(&["install", "cargo-deny@0.20.2", "--locked"]))?;
    }
    command::run(&mut cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]))
}
