//! `butler-plugin-installer`: the initContainer that puts allowed and verified plugins on a portal's root.

mod check;
mod cli;
mod dialect;
mod environment;
mod exit;
mod explain;
mod front;
mod list;
mod metrics;
mod plan;
mod program;
mod replace;
mod report;
mod report_file;
mod rhdh;
mod run;
mod sandbox;
mod settings;
mod termination;
mod units;
mod usage;
mod verify;

use std::process::ExitCode;

use crate::environment::Environment;

fn main() -> ExitCode {
    dialect::run(std::env::args_os().collect(), &Environment::from_process()).into()
}
