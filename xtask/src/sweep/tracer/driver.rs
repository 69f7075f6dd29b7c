//! The loop that follows a program from stop to stop.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::tracee::{self, Registers, Stop};
use super::{Act, Call, End, Faults, Lacking, Traced, calls};

/// Longest time a program may take; one that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(2);
/// Stops itself so that it can be seized before it becomes the program; nothing of ours runs between fork and exec.
const WAIT_TO_BE_SEIZED: &str = "kill -STOP $$; exec \"$@\"";
/// This thread's children and tracees alone, threads among them: others in this process have their own.
const OURS: WaitPidFlag = WaitPidFlag::__WALL.union(WaitPidFlag::__WNOTHREAD);

/// See [`super::run`].
pub(super) fn run(command: &Command, volume: &Path, faults: &Faults) -> anyhow::Result<Traced> {
    // The kernel knows the thread that traces, and its children are told apart from those of other threads.
    thread::scope(|scope| {
        let driven = scope.spawn(|| {
            let mut child = start(command)?;
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let (stdout, stderr) = (scope.spawn(|| read(stdout)), scope.spawn(|| read(stderr)));
            let driven = Driver::new(&child, volume, faults).and_then(|mut driver| {
                let end = driver.drive_for(LIMIT)?;
                Ok((driver.acted.map(|acted| acted.elapsed()), driver.calls, end))
            });
            if driven.is_err() {
                // Its streams stay open as long as it stands still.
                child.kill().and_then(|()| child.wait()).ok();
            }
            let joined = |_| anyhow!("a reader of the output panicked");
            let (stdout, stderr) = (stdout.join().map_err(joined)??, stderr.join().map_err(joined)??);
            let (after_act, calls, end) = driven?;
            Ok(Traced { calls, end, stdout, stderr, after_act })
        });
        driven.join().map_err(|_| anyhow!("the tracing thread panicked"))?
    })
}

fn start(command: &Command) -> anyhow::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WAIT_TO_BE_SEIZED, "sh"]).arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell.spawn().with_context(|| format!("could not start `{}`", command.get_program().to_string_lossy()))
}

fn read(pipe: Option<impl Read>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    pipe.context("a pipe is missing")?.read_to_end(&mut bytes).context("could not read the output")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Driver<'a> {
    leader: Pid,
    volume: &'a Path,
    faults: &'a Faults,
    /// Since the shell became the program.
    counting: bool,
    calls: Vec<Call>,
    /// What is to be done when a thread's call is over.
    due: HashMap<Pid, Due>,
    acted: Option<Instant>,
}

#[derive(Default)]
struct Due {
    answer: Option<Errno>,
    signal: Option<Signal>,
}

impl<'a> Driver<'a> {
    /// Takes a shell over that is about to become the program.
    fn new(shell: &Child, volume: &'a Path, faults: &'a Faults) -> anyhow::Result<Self> {
        let leader = Pid::from_raw(i32::try_from(shell.id())?);
        match waitpid(leader, Some(OURS | WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(..) => {}
            other => bail!("expected a stopped shell, found {other:?}"),
        }
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(leader, options).context("this system lets nobody trace even a child")?;
        kill(leader, Signal::SIGCONT)?;
        Ok(Self { leader, volume, faults, counting: false, calls: Vec::new(), due: HashMap::new(), acted: None })
    }

    /// Drives the program to its end, and kills it when that takes too long.
    fn drive_for(&mut self, limit: Duration) -> anyhow::Result<End> {
        let leader = self.leader;
        let (ended, watched) = channel::<()>();
        thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let hangs = watched.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
                if hangs {
                    // It may have ended in this moment.
                    kill(leader, Signal::SIGKILL).ok();
                }
                hangs
            });
            let end = self.drive();
            drop(ended);
            let hung = watch.join().map_err(|_| anyhow!("the watching thread panicked"))?;
            if hung { Ok(End::Hung) } else { end }
        })
    }

    fn drive(&mut self) -> anyhow::Result<End> {
        let mut end = None;
        loop {
            match waitpid(None, Some(OURS)) {
                Ok(WaitStatus::PtraceSyscall(thread)) => {
                    unless_gone(self.at_call(thread))?;
                    resume(thread, None)?;
                }
                Ok(WaitStatus::PtraceEvent(thread, _, event)) => {
                    self.counting |= event == libc::PTRACE_EVENT_EXEC;
                    resume(thread, None)?;
                }
                Ok(WaitStatus::Stopped(thread, signal)) => resume(thread, signal)?,
                Ok(WaitStatus::Exited(pid, status)) if pid == self.leader => end = Some(End::Exited(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.leader => end = Some(End::Signalled(signal)),
                // Other threads end, too.
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) if self.counting => return end.context("the program was gone without a status"),
                Err(Errno::ECHILD) => bail!("the program could not be started"),
                Err(error) => return Err(error).context("could not wait for the program"),
            }
        }
    }

    fn at_call(&mut self, thread: Pid) -> nix::Result<()> {
        match tracee::stop(thread)? {
            Stop::Entry if self.counting => self.enter(thread),
            Stop::Exit => self.leave(thread),
            Stop::Entry | Stop::Other => Ok(()),
        }
    }

    fn enter(&mut self, thread: Pid) -> nix::Result<()> {
        let registers = Registers::of(thread)?;
        let Some(call) = calls::on_volume(thread, &registers, self.faults.counted, self.volume) else { return Ok(()) };
        let lacking = self.faults.lacking.iter().find_map(|lacking| lacking.answer_to(&call, &registers));
        self.calls.push(call);
        let number = self.calls.len();
        thread::sleep(self.faults.delay);
        let mut due = Due { answer: lacking, signal: None };
        for (n, act) in self.faults.at.iter().filter(|(n, _)| number >= *n) {
            let needs_space = || calls::needs_space(&self.calls[number - 1], &registers);
            match act {
                Act::Fail(errno) if number == *n => due.answer = Some(*errno),
                Act::FillUp if needs_space() => due.answer = Some(Errno::ENOSPC),
                Act::Break => due.answer = Some(Errno::EIO),
                Act::Signal(signal) if number == *n => due.signal = Some(*signal),
                Act::Fail(_) | Act::FillUp | Act::Signal(_) => {}
            }
        }
        if self.faults.at.iter().map(|(n, _)| *n).max().is_some_and(|last| number >= last) {
            self.acted.get_or_insert_with(Instant::now);
        }
        if due.answer.is_some() {
            registers.skip(thread)?;
        }
        self.due.insert(thread, due);
        Ok(())
    }

    fn leave(&mut self, thread: Pid) -> nix::Result<()> {
        let Some(Due { answer, signal }) = self.due.remove(&thread) else { return Ok(()) };
        if let Some(errno) = answer {
            Registers::of(thread)?.answer(thread, errno)?;
        }
        if let Some(signal) = signal {
            kill(self.leader, signal)?;
        }
        Ok(())
    }
}

impl Lacking {
    /// What a volume without this answers to a call that needs it.
    fn answer_to(self, call: &Call, registers: &Registers) -> Option<Errno> {
        let errno = match (self, call.name) {
            (Self::Locks, "flock" | "fcntl") => Errno::ENOLCK,
            (Self::RenameFlags, "renameat2") if registers.argument(4) != 0 => Errno::EINVAL,
            (Self::UnnamedFiles, "openat") if registers.int(2) & libc::O_TMPFILE == libc::O_TMPFILE => {
                Errno::EOPNOTSUPP
            }
            _ => return None,
        };
        Some(errno)
    }
}

fn resume(thread: Pid, signal: impl Into<Option<Signal>>) -> anyhow::Result<()> {
    unless_gone(ptrace::syscall(thread, signal))
}

/// A thread may be killed at any time, and answers nothing then; its end is reported by itself.
fn unless_gone(result: nix::Result<()>) -> anyhow::Result<()> {
    match result {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("could not drive the program"),
    }
}

#[cfg(test)]
mod tests;
