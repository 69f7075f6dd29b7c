//! `cargo xtask …`: everything one does to this repository that is more than a cargo command.
//!
//! Each subcommand is one module with one public function. Nothing here ends up in a product.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for people at a terminal")]
#![expect(clippy::disallowed_methods, reason = "a tool works with paths and with the environment it is started in")]

mod bench;
mod ci;
mod cli;
mod command;
mod demo;
mod dist;
mod docs;
mod e2e;
mod fixtures;
mod fuzz;
mod libraries;
mod links;
mod package;
mod picture;
mod registry;
mod site;
mod sweep;
mod test;
mod tidy;
#[path = "../../crates/installer/src/units.rs"]
mod units;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
