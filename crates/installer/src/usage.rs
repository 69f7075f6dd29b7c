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
        return shown(error);
    }
    if stderr().is_terminal() {
        drop(error.print());
    } else {
        let detail = detail(error);
        let hint = Some(HINT);
        let mut log = front::open_log(cli::LogFormat::Logfmt, cli::LogLevel::Info);
        log.record(&Event::Fatal { reason: "usage", detail: &detail, hint, blame: Blame::Operator, others: 0 });
        leave(&detail);
    }
    Status::Usage
}

/// The same for who calls RHDH's installer: in clap's words, usage included.
pub(crate) fn misused_rhdh(error: &clap::Error) -> Status {
    if !error.use_stderr() {
        return shown(error);
    }
    drop(error.print());
    leave(&detail(error));
    Status::Rejected
}

/// Help and version were asked for; a reader that went away is no failure.
fn shown(error: &clap::Error) -> Status {
    drop(error.print());
    Status::Completed
}

fn leave(detail: &str) {
    TerminationLog::open(Path::new(cli::TERMINATION_LOG)).leave("usage", detail, Some(HINT));
}

/// What is wrong, on one line.
fn detail(error: &clap::Error) -> String {
    let text = error.to_string();
    let told = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told = told.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    told.collect::<Vec<_>>().join("; ").trim_start_matches("error: ").to_owned()
}

const HINT: &str = "see `--help`; each flag may also come from the variable named there";
