//! `butler-plugin-installer`: the initContainer that puts allowed and verified plugins on a portal's root.

mod check;
mod cli;
mod environment;
mod exit;
mod list;
mod program;
mod report;
mod run;
mod sandbox;
mod settings;
mod termination;
mod units;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::cli::{Args, Command};
use crate::environment::Environment;

fn main() -> ExitCode {
    let parsed = cli::command().try_get_matches().and_then(|matches| Args::from_arg_matches(&matches));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => return usage::misused(&error).into(),
    };
    let environment = Environment::from_process();
    let status = match &args.command {
        None => run::run(&args, &environment),
        Some(Command::Check(check)) => check::run(&args, check, &environment),
        Some(Command::List(list)) => list::run(&args, list),
        Some(Command::Verify(verify)) => verify::run(&args, verify),
    };
    status.into()
}
