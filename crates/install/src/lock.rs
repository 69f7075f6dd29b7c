//! One installer at a time on a root, by a kernel lock that dies with its holder.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tarball::{Dir, FileMode};
use transport::{Clock, Deadline, Stop};

use crate::RootError;
use crate::lease::{self, Lease};

/// The lock file's name in the root. It stays; only the kernel's lock on it means anything.
pub(crate) const LOCK: &str = ".butler-plugins.lock";
/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(100);
/// Most bytes of what a holder says about itself.
const HOLDER_LIMIT: u64 = 256;

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) enum RootLock {
    /// The kernel's, on a file that is kept open.
    Kernel(File),
    /// A lease, on a volume that has no locks, and what the kernel said to that.
    Lease(Lease, io::Error),
}

/// Who waits, and for how long.
pub(crate) struct Waiting<'a> {
    /// How this holder will be named to others, such as the pod's name.
    pub(crate) holder: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) stop: &'a Stop,
}

/// A wait for another holder, told once.
pub(crate) struct Wait<'a> {
    deadline: Deadline,
    on_wait: Option<&'a mut dyn FnMut(&str)>,
}

impl RootLock {
    /// Takes the lock, waiting for another holder up to the timeout; `on_wait` is told once whom we wait for.
    pub(crate) fn take(root: &Dir, waiting: &Waiting<'_>, on_wait: &mut dyn FnMut(&str)) -> Result<Self, RootError> {
        let open = |source: io::Error| match source.kind() {
            // The root itself admits changes, as was seen before.
            io::ErrorKind::PermissionDenied => RootError::Foreign { name: LOCK, source },
            _ => RootError::Unwritable { act: "open the lock file", source },
        };
        let mut file = root.open_or_create_file(LOCK, FileMode::Plain).map_err(open)?;
        if file.metadata().map_err(open)?.nlink() > 1 {
            // What is written into it would be seen under another name as well.
            return Err(RootError::Obstructed { name: LOCK });
        }
        let mut wait = Wait::new(Deadline::after(waiting.clock, waiting.timeout), on_wait);
        loop {
            match file.try_lock() {
                Ok(()) if is_named(&file, root).map_err(open)? => break,
                // Somebody removed it meanwhile, and whoever comes next would lock another one.
                Ok(()) => file = root.open_or_create_file(LOCK, FileMode::Plain).map_err(open)?,
                Err(TryLockError::WouldBlock) => wait.once_more(waiting, read_holder(&mut file))?,
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    return Ok(Self::Lease(Lease::take(root, waiting, &mut wait)?, error));
                }
                Err(TryLockError::Error(source)) => return Err(RootError::Unwritable { act: "lock the root", source }),
            }
        }
        // Only a courtesy to waiters: the kernel's lock counts, whatever the file says.
        drop(name_holder(&mut file, waiting.holder));
        Ok(Self::Kernel(file))
    }

    /// Makes sure that the root still is this run's alone.
    ///
    /// # Errors
    /// When it is not: on a volume without locks, or because somebody removed the lock file.
    pub(crate) fn check(&self, root: &Dir) -> io::Result<()> {
        match self {
            Self::Kernel(file) if is_named(file, root)? => Ok(()),
            Self::Kernel(_) => {
                Err(io::Error::other("somebody removed the lock file, and another installer may be at work"))
            }
            Self::Lease(lease, _) => lease.check(),
        }
    }
}

/// Who works on the root, as far as that can be seen. The kernel is asked by a hold that is given up at once; who begins in
/// that very moment looks again a little later.
pub(crate) fn holder(root: &Dir) -> io::Result<Option<String>> {
    let mut file = match root.open_file(LOCK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => lease::holder(root),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl<'a> Wait<'a> {
    pub(crate) fn new(deadline: Deadline, on_wait: &'a mut dyn FnMut(&str)) -> Self {
        Self { deadline, on_wait: Some(on_wait) }
    }

    /// Waits for a moment, unless there was enough of that.
    pub(crate) fn once_more(&mut self, waiting: &Waiting<'_>, holder: String) -> Result<(), RootError> {
        if let Some(on_wait) = self.on_wait.take() {
            on_wait(&holder);
        }
        if waiting.stop.is_asked() {
            return Err(RootError::Interrupted);
        }
        if self.deadline.left(waiting.clock).is_zero() {
            return Err(RootError::LockTimeout { holder, waited: waiting.timeout });
        }
        waiting.clock.sleep(POLL, waiting.stop);
        Ok(())
    }
}

/// Whether the lock file's name still leads to this file.
fn is_named(file: &File, root: &Dir) -> io::Result<bool> {
    let id = |file: &File| file.metadata().map(|found| (found.dev(), found.ino()));
    match root.open_file(LOCK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        named => Ok(id(&named?)? == id(file)?),
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL))
}

fn name_holder(file: &mut File, holder: &str) -> io::Result<()> {
    // In this order: a file that is emptied and written again is flushed by ext4 when it is closed, which takes
    // longer than the rest of a run that has nothing to do.
    file.rewind()?;
    file.write_all(holder.as_bytes())?;
    file.set_len(holder.len() as u64)
}

fn read_holder(file: &mut File) -> String {
    let mut text = Vec::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_LIMIT).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if read.is_err() || text.is_empty() { "another installer".to_owned() } else { text }
}
