//! `butler-plugin-publisher`: from a plugin's `dist-dynamic` folder to a published artifact and a portal's values.

mod check;
mod cli;
mod command;
mod environment;
mod failure;
mod git;
mod input;
mod integrity;
mod login;
mod pack;
mod pin;
mod progress;
mod push;
mod scratch;
mod servers;
mod signals;
mod terminal;

use std::env::args_os;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Args;
use crate::environment::Environment;

fn main() -> ExitCode {
    if let Some(failure) = failure::typed_password(args_os()) {
        return failure.tell().into();
    }
    let args = Args::try_parse().unwrap_or_else(|error| failure::misused(error));
    let environment = Environment::from_process();
    signals::watch(environment.temporary.clone());
    let done = command::run(&args, &environment);
    signals::give_way();
    done.unwrap_or_else(|failure| failure.tell()).into()
}
