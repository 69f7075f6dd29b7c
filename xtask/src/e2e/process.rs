//! Programs that run beside this one, and are gone when it is done with them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Between two looks at whether it is ready.
const PAUSE: Duration = Duration::from_millis(100);

/// What a program that runs a plugin's code is told of the environment.
const TOLD: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TMPDIR", "TZ"];

/// A program that runs code of others: what a pipeline keeps in variables, tokens above all, does not reach it.
pub(super) fn stranger(name: &str, home: &Path) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("HOME", home);
    command.envs(TOLD.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// A server that runs until it is dropped.
pub(super) struct Running {
    name: &'static str,
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; both of its streams go into the file `log`.
    pub(super) fn start(name: &'static str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let streams = File::create(log).with_context(|| format!("could not create `{}`", log.display()))?;
        let process = command
            .stdin(Stdio::null())
            .stdout(streams.try_clone()?)
            .stderr(streams)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self { name, process, log: log.to_owned() })
    }

    /// Returns as soon as it is ready; fails when it ends instead, or takes longer than `patience`.
    pub(super) fn wait_until(&mut self, patience: Duration, is_ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        while !is_ready() {
            if let Some(status) = self.process.try_wait()? {
                bail!("expected {} to get ready, found that it ended with {status}", self.name);
            }
            if Instant::now() > until {
                bail!("expected {} to get ready within {} s", self.name, patience.as_secs());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// What it has written so far.
    pub(super) fn log(&self) -> anyhow::Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("could not read `{}`", self.log.display()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A loopback port that was free a moment ago, for programs that do not tell which one they took.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no loopback port is free")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Running {
        Running::start("the shell", Command::new("sh").args(["-c", script]), log).unwrap()
    }

    #[test]
    fn a_stranger_learns_of_no_variable_but_those_named() {
        std::env::var("CARGO_PKG_NAME").expect("cargo sets it for tests");
        let names = stranger("env", Path::new("/nowhere")).output().unwrap().stdout;
        let names = String::from_utf8(names).unwrap();
        assert!(names.contains("HOME=/nowhere\n") && names.contains("PATH="), "{names}");
        let names = names.lines().filter_map(|line| line.split('=').next());
        let more: Vec<_> = names.filter(|name| *name != "HOME" && !TOLD.contains(name)).collect();
        assert_eq!(more, Vec::<&str>::new());
    }

    #[test]
    fn a_program_that_ends_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = shell("echo no; exit 7", &folder.path().join("log"));
        let error = running.wait_until(Duration::from_mins(1), || false).unwrap_err();
        assert_eq!(error.to_string(), "expected the shell to get ready, found that it ended with exit status: 7");
        assert_eq!(running.log().unwrap(), "no\n");
    }

    #[test]
    fn a_program_is_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let running = shell("exec cat /dev/zero > /dev/null", &folder.path().join("log"));
        let process = PathBuf::from(format!("/proc/{}", running.process.id()));
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }
}
