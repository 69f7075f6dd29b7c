//! Which system calls concern a volume, and what each is about.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::Pid;

use super::tracee::{self, Registers};
use super::{Call, Counted};

/// Where a call says what it is about: the number of an argument each.
#[derive(Debug, Clone, Copy)]
enum Operand {
    /// An open file.
    Fd(usize),
    /// A path.
    Path(usize),
    /// An open directory, and a path from there.
    At(usize, usize),
}

use Operand::{At, Fd, Path as Named};

/// Whatever changes files, directories, or who may have them, opening among it. Reading and looking leave a volume as
/// it is: to be killed after that is to be killed after the last of these.
const CHANGES: &[(i64, &str, Operand)] = &[
    (libc::SYS_open, "open", Named(0)),
    (libc::SYS_creat, "creat", Named(0)),
    (libc::SYS_openat, "openat", At(0, 1)),
    (libc::SYS_openat2, "openat2", At(0, 1)),
    (libc::SYS_mkdir, "mkdir", Named(0)),
    (libc::SYS_mkdirat, "mkdirat", At(0, 1)),
    (libc::SYS_mknodat, "mknodat", At(0, 1)),
    (libc::SYS_rmdir, "rmdir", Named(0)),
    (libc::SYS_unlink, "unlink", Named(0)),
    (libc::SYS_unlinkat, "unlinkat", At(0, 1)),
    (libc::SYS_rename, "rename", Named(1)),
    (libc::SYS_renameat, "renameat", At(2, 3)),
    (libc::SYS_renameat2, "renameat2", At(2, 3)),
    (libc::SYS_link, "link", Named(1)),
    (libc::SYS_linkat, "linkat", At(2, 3)),
    (libc::SYS_symlink, "symlink", Named(1)),
    (libc::SYS_symlinkat, "symlinkat", At(1, 2)),
    (libc::SYS_chmod, "chmod", Named(0)),
    (libc::SYS_fchmod, "fchmod", Fd(0)),
    (libc::SYS_fchmodat, "fchmodat", At(0, 1)),
    (libc::SYS_fchmodat2, "fchmodat2", At(0, 1)),
    (libc::SYS_fchown, "fchown", Fd(0)),
    (libc::SYS_fchownat, "fchownat", At(0, 1)),
    (libc::SYS_utimensat, "utimensat", At(0, 1)),
    (libc::SYS_truncate, "truncate", Named(0)),
    (libc::SYS_ftruncate, "ftruncate", Fd(0)),
    (libc::SYS_fallocate, "fallocate", Fd(0)),
    (libc::SYS_write, "write", Fd(0)),
    (libc::SYS_pwrite64, "pwrite64", Fd(0)),
    (libc::SYS_writev, "writev", Fd(0)),
    (libc::SYS_pwritev, "pwritev", Fd(0)),
    (libc::SYS_pwritev2, "pwritev2", Fd(0)),
    (libc::SYS_sendfile, "sendfile", Fd(0)),
    (libc::SYS_copy_file_range, "copy_file_range", Fd(2)),
    (libc::SYS_splice, "splice", Fd(2)),
    (libc::SYS_fsync, "fsync", Fd(0)),
    (libc::SYS_fdatasync, "fdatasync", Fd(0)),
    (libc::SYS_syncfs, "syncfs", Fd(0)),
    (libc::SYS_sync_file_range, "sync_file_range", Fd(0)),
    (libc::SYS_flock, "flock", Fd(0)),
    (libc::SYS_fcntl, "fcntl", Fd(0)),
];

/// What reads files and directories, and asks about them.
const LOOKS: &[(i64, &str, Operand)] = &[
    (libc::SYS_read, "read", Fd(0)),
    (libc::SYS_pread64, "pread64", Fd(0)),
    (libc::SYS_readv, "readv", Fd(0)),
    (libc::SYS_preadv, "preadv", Fd(0)),
    (libc::SYS_preadv2, "preadv2", Fd(0)),
    (libc::SYS_getdents64, "getdents64", Fd(0)),
    (libc::SYS_readlink, "readlink", Named(0)),
    (libc::SYS_readlinkat, "readlinkat", At(0, 1)),
    (libc::SYS_stat, "stat", Named(0)),
    (libc::SYS_lstat, "lstat", Named(0)),
    (libc::SYS_fstat, "fstat", Fd(0)),
    (libc::SYS_newfstatat, "newfstatat", At(0, 1)),
    (libc::SYS_statx, "statx", At(0, 1)),
    (libc::SYS_access, "access", Named(0)),
    (libc::SYS_faccessat, "faccessat", At(0, 1)),
    (libc::SYS_faccessat2, "faccessat2", At(0, 1)),
];

/// What puts something where nothing was.
const GROWING: [&str; 17] = [
    "creat",
    "mkdir",
    "mkdirat",
    "mknodat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "fallocate",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "sendfile",
    "copy_file_range",
    "splice",
];

/// The commands of `fcntl` that lock.
const LOCKS: [i32; 4] = [libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_SETLK, libc::F_OFD_SETLKW];

/// The call that a thread is about to make, if it counts and concerns what lies below `volume`.
pub(super) fn on_volume(thread: Pid, registers: &Registers, counted: Counted, volume: &Path) -> Option<Call> {
    let calls = match counted {
        Counted::Changes | Counted::Syncs | Counted::Steps => CHANGES,
        Counted::Looks => LOOKS,
    };
    let (_, name, operand) = calls.iter().find(|(number, ..)| *number == registers.number())?;
    let is_lock = *name != "fcntl" || LOCKS.contains(&registers.int(1));
    if !is_lock {
        return None;
    }
    let path = match *operand {
        Fd(fd) => open_file(thread, registers, fd)?,
        Named(path) => from_current(thread, tracee::text(thread, registers.argument(path))?)?,
        At(folder, path) => {
            let path = tracee::text(thread, registers.argument(path)).unwrap_or_default();
            if registers.int(folder) == libc::AT_FDCWD {
                from_current(thread, path)?
            } else {
                open_file(thread, registers, folder)?.join(path)
            }
        }
    };
    let call = Call { name, path };
    let counts = match counted {
        Counted::Changes | Counted::Looks => true,
        Counted::Syncs => call.is_sync(),
        Counted::Steps => call.is_sync() || call.is_rename() || name.starts_with("unlink") && is_top(&call, volume),
    };
    (counts && call.path.starts_with(volume)).then_some(call)
}

fn is_top(call: &Call, volume: &Path) -> bool {
    call.path.parent() == Some(volume)
}

/// Whether a call cannot be carried out on a volume without space.
pub(super) fn needs_space(call: &Call, registers: &Registers) -> bool {
    let flags = match call.name {
        "open" => registers.int(1),
        "openat" => registers.int(2),
        name => return GROWING.contains(&name),
    };
    flags & libc::O_TMPFILE == libc::O_TMPFILE || (flags & libc::O_CREAT != 0 && !call.path.exists())
}

/// What the kernel calls an open file; one without a name is named by its folder and a number.
fn open_file(thread: Pid, registers: &Registers, argument: usize) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{thread}/fd/{}", registers.int(argument))).ok()
}

fn from_current(thread: Pid, path: OsString) -> Option<PathBuf> {
    Some(fs::read_link(format!("/proc/{thread}/cwd")).ok()?.join(path))
}
