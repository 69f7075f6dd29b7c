//! A command line or variable that cannot be used.

use std::io::{IsTerminal, stderr};
use std::path::Path;

use audit::{Blame, Event};

use crate::exit::Status;
use crate::termination::TerminationLog;
use crate::{cli, front};

/// Tells it to a person at a terminal in clap's words, and to a container's log as a record like all others.
pub(crate) fn misused(error: &clap::Error) -> Status {
    if !error.use_stderr() {
        // Help and version were asked for; a reader that went away is no failure.
        drop(error.print());
        return Status::Completed;
    }
    if stderr().is_terminal() {
        drop(error.print());
    } else {
        let text = error.to_string();
        let told = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let told = told.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
        let detail = told.collect::<Vec<_>>().join("; ");
        let detail = detail.trim_start_matches("error: ");
        let hint = "see `--help`; each flag may also come from the variable named there";
        let mut log = front::open_log(cli::LogFormat::Logfmt, cli::LogLevel::Info);
        log.record(&Event::Fatal { reason: "usage", detail, hint: Some(hint), blame: Blame::Operator });
        TerminationLog::open(Path::new(cli::TERMINATION_LOG)).leave("usage", detail, Some(hint));
    }
    Status::Usage
}

/// The same for who calls RHDH's installer: always in clap's words, usage included.
pub(crate) fn misused_rhdh(error: &clap::Error) -> Status {
    drop(error.print());
    if error.use_stderr() { Status::Rejected } else { Status::Completed }
}
