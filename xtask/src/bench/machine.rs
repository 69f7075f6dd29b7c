//! Where and when a measurement was made, and by which command.

use std::fs;
use std::thread;

use anyhow::Context as _;

use crate::command;

/// One line to be written down with the figures.
pub(crate) fn line() -> anyhow::Result<String> {
    let date = command::read(&mut command::program("date", &["--utc", "+%Y-%m-%d"]))?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let cpu = read("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor without a name", |(_, name)| name);
    let cores = thread::available_parallelism().context("could not count the cores")?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    Ok(format!(
        "{}: `cargo xtask {}` on {cores} cores of {model}, Linux {}",
        date.trim(),
        arguments.join(" "),
        kernel.trim()
    ))
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read `{path}`"))
}
