//! `butler-plugin-installer`: the initContainer that puts allowed and verified plugins on a portal's root.

mod check;
mod cli;
mod environment;
mod exit;
mod program;
mod run;
mod sandbox;
mod settings;
mod termination;
mod units;
mod usage;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Args, Command};
use crate::environment::Environment;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::misused(&error).into(),
    };
    let environment = Environment::from_process();
    let status = match &args.command {
        None => run::run(&args, &environment),
        Some(Command::Check(check)) => check::run(&args, check, &environment),
    };
    status.into()
}
