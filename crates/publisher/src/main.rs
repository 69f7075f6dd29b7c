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

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Args;
use crate::environment::Environment;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match command::run(&args, &Environment::from_process()) {
        Ok(status) => status.into(),
        Err(failure) => failure.tell().into(),
    }
}
