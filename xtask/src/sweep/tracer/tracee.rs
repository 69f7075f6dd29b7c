//! Looking into a stopped thread, and changing its call.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::unistd::Pid;

/// Longest path that the kernel takes, with its end.
const PATH_LIMIT: usize = 4096;

/// Why a thread stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is about to make a call.
    Entry,
    /// It has made one.
    Exit,
    /// Something else.
    Other,
}

/// Why this thread stands still.
pub(super) fn stop(thread: Pid) -> nix::Result<Stop> {
    Ok(match ptrace::syscall_info(thread)?.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => Stop::Entry,
        libc::PTRACE_SYSCALL_INFO_EXIT => Stop::Exit,
        _ => Stop::Other,
    })
}

/// The registers of a thread, named by what they are for in a call (System V ABI for `x86_64`, appendix A.2.1).
pub(super) struct Registers(user_regs_struct);

impl Registers {
    pub(super) fn of(thread: Pid) -> nix::Result<Self> {
        ptrace::getregs(thread).map(Self)
    }

    /// The number of the call.
    pub(super) const fn number(&self) -> i64 {
        self.0.orig_rax.cast_signed()
    }

    /// An argument, counted from zero; what is beyond the sixth is none.
    pub(super) fn argument(&self, index: usize) -> u64 {
        let Self(regs) = self;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9].get(index).copied().unwrap_or_default()
    }

    /// An argument that is an `int`: the kernel ignores the upper half.
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel does it")]
    pub(super) fn int(&self, index: usize) -> i32 {
        (self.argument(index) as u32).cast_signed()
    }

    /// Has no call made when the thread goes on.
    pub(super) fn skip(mut self, thread: Pid) -> nix::Result<()> {
        self.0.orig_rax = u64::MAX;
        ptrace::setregs(thread, self.0)
    }

    /// Lets the thread find this error as the answer to its call.
    pub(super) fn answer(mut self, thread: Pid, errno: Errno) -> nix::Result<()> {
        self.0.rax = (-i64::from(errno as i32)).cast_unsigned();
        ptrace::setregs(thread, self.0)
    }
}

/// The text at an address of a thread, up to its NUL; `None` when there is none.
pub(super) fn text(thread: Pid, address: u64) -> Option<OsString> {
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut bytes = vec![0; PATH_LIMIT];
    // Less when the next page is not there.
    let read = memory.read_at(&mut bytes, address).ok()?;
    bytes.truncate(read);
    bytes.truncate(bytes.iter().position(|byte| *byte == 0)?);
    Some(OsString::from_vec(bytes))
}
