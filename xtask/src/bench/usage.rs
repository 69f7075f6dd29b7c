//! What a program and those it started took, as GNU time tells it.

use std::env;
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::median;

/// Seconds in user mode, seconds in the kernel, largest resident set of one process in KiB.
const FORMAT: &str = "%U %S %M";

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) wall: Duration,
    /// User and kernel time of all processes.
    pub(super) cpu: Duration,
    /// Bytes of memory that the largest process held at once.
    pub(super) peak: u64,
}

impl Usage {
    /// Runs `command`, with nothing in its environment but `PATH` and what was set on it, and fails unless it succeeds.
    ///
    /// It is started by GNU time and not by this process, whose own size would count for the child until its `exec`.
    pub(super) fn of(command: &Command) -> anyhow::Result<Self> {
        let mut report = tempfile::NamedTempFile::new().context("could not create a file for GNU time")?;
        let mut timed = Command::new("time");
        timed.args(["--format", FORMAT, "--output"]).arg(report.path()).arg("--").arg(command.get_program());
        timed.args(command.get_args()).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        timed.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));

        let start = Instant::now();
        let output = timed.output().context("could not start `time`: install Debian's `time`")?;
        let wall = start.elapsed();
        ensure!(output.status.success(), "{timed:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));

        let mut text = String::new();
        report.read_to_string(&mut text).context("could not read what GNU time wrote")?;
        let (cpu, peak) = parse(&text).with_context(|| format!("GNU time wrote `{text}`"))?;
        Ok(Self { wall, cpu, peak })
    }

    /// What several runs took: the times in the middle, and the most memory of any.
    pub(super) fn middle(runs: &[Self]) -> Self {
        Self {
            wall: median(runs.iter().map(|run| run.wall).collect()),
            cpu: median(runs.iter().map(|run| run.cpu).collect()),
            peak: runs.iter().map(|run| run.peak).max().unwrap_or_default(),
        }
    }
}

fn parse(text: &str) -> Option<(Duration, u64)> {
    let mut words = text.split_whitespace();
    let mut seconds = || Duration::try_from_secs_f64(words.next()?.parse().ok()?).ok();
    let cpu = seconds()? + seconds()?;
    let kibibytes: u64 = words.next()?.parse().ok()?;
    Some((cpu, kibibytes * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        assert_eq!(parse("1.25 0.50 2048\n"), Some((Duration::from_millis(1750), 2 * 1024 * 1024)));
        assert_eq!(parse("1.25\n"), None);
    }

    #[test]
    fn memory_is_the_most_of_any_run_and_times_are_those_in_the_middle() {
        let run =
            |millis, peak| Usage { wall: Duration::from_millis(millis), cpu: Duration::from_millis(2 * millis), peak };
        assert_eq!(Usage::middle(&[run(9, 1), run(2, 7), run(3, 2)]), run(3, 7));
    }

    #[test]
    fn a_program_that_fails_is_an_error() {
        assert!(Usage::of(&Command::new("false")).is_err());
        assert!(Usage::of(&Command::new("true")).unwrap().peak > 0);
    }
}
