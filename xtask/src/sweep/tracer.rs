//! Runs a program under ptrace, counts what it asks of a volume, and lets any of it go wrong.
//!
//! Calls of all threads are counted in one order. What does not concern the volume (sockets, memory, other folders) is
//! neither counted nor touched, so that the n-th call is one that the program makes for its work. Registers are those
//! of Linux on `x86_64`; elsewhere nothing can be driven, and sweeps that need it say so.

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod calls;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod driver;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod tracee;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// What the volume cannot do at all.
    pub(super) lacking: Vec<Lacking>,
    /// How long the volume takes for each call, one after the other.
    pub(super) delay: Duration,
    /// Which calls count, and are slow.
    pub(super) counted: Counted,
    /// What happens at the n-th of them, counted from one.
    pub(super) at: Vec<(usize, Act)>,
}

/// Which calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Counted {
    /// Those that change a volume or might, opening among them.
    #[default]
    Changes,
    /// Of these, those that wait for the disk.
    Syncs,
    /// Those, and what changes the volume's own names or moves anything: the steps of a commit and of its way back,
    /// which come one after the other whatever threads did before.
    Steps,
    /// Those that only look at it.
    Looks,
}

/// What happens at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It is not carried out, and answers this.
    Fail(Errno),
    /// So it is with this and each later call that needs space.
    FillUp,
    /// So it is with this and each later call whatsoever: the volume is gone.
    Break,
    /// It is carried out, and the program gets this signal before it hears of it.
    Signal(Signal),
}

/// Something that some file systems do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacking {
    /// Advisory locks, as on NFS without a lock daemon.
    Locks,
    /// Exchanging names, or renaming without replacing.
    RenameFlags,
    /// Files without a name.
    UnnamedFiles,
}

/// One call on the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The kernel's name for it.
    pub(super) name: &'static str,
    /// What it was about, as the program named it or as the kernel names the open file.
    pub(super) path: PathBuf,
}

impl Call {
    /// Whether it gives something another name.
    pub(super) fn is_rename(&self) -> bool {
        self.name.starts_with("rename")
    }

    /// Whether it waits for the disk.
    pub(super) fn is_sync(&self) -> bool {
        self.name.contains("sync")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}`", self.name, self.path.display())
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(Signal),
    /// Not by itself within the limit.
    Hung,
}

/// A program that ran.
#[derive(Debug)]
pub(super) struct Traced {
    /// Its calls on the volume, in the order in which they were begun.
    pub(super) calls: Vec<Call>,
    pub(super) end: End,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// How long it went on after the last act; `None` when there was no such call.
    pub(super) after_act: Option<Duration>,
}

/// Why no program can be driven on this machine, if so.
pub(super) const OBSTACLE: Option<&str> = if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))
{
    None
} else {
    Some("skipped: programs are driven on Linux on `x86_64` only")
};

/// Runs a command with these faults on what lies below `volume`.
///
/// The program has the command's arguments, variables and folder, and no variable of ours.
///
/// # Errors
/// When it cannot be started or traced; that a program fails is no error.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub(super) fn run(command: &Command, volume: &Path, faults: &Faults) -> anyhow::Result<Traced> {
    driver::run(command, volume, faults)
}

/// Fails: nobody has written down this machine's registers.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
pub(super) fn run(_: &Command, _: &Path, _: &Faults) -> anyhow::Result<Traced> {
    anyhow::bail!(OBSTACLE.unwrap_or_default())
}
