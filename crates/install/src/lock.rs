//! One installer at a time on a root, by a kernel lock that dies with its holder.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use tarball::{Dir, FileMode};
use transport::{Clock, Deadline, Stop};

use crate::RootError;

/// The lock file's name in the root. It stays; only the kernel's lock on it means anything.
pub(crate) const LOCK: &str = ".butler-plugins.lock";
/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(100);
/// Most bytes of what a holder says about itself.
const HOLDER_LIMIT: u64 = 256;

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct RootLock {
    _file: File,
    /// Why there is no lock, on a volume that has none.
    pub(crate) unlocked: Option<io::Error>,
}

/// Who waits, and for how long.
pub(crate) struct Waiting<'a> {
    /// How this holder will be named to others, such as the pod's name.
    pub(crate) holder: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) stop: &'a Stop,
}

impl RootLock {
    /// Takes the lock, waiting for another holder up to the timeout; `on_wait` is told once whom we wait for.
    pub(crate) fn take(root: &Dir, waiting: &Waiting<'_>, on_wait: &mut dyn FnMut(&str)) -> Result<Self, RootError> {
        let open = |source| RootError::Unwritable { act: "open the lock file", source };
        let mut file = root.open_or_create_file(LOCK, FileMode::Plain).map_err(open)?;
        let deadline = Deadline::after(waiting.clock, waiting.timeout);
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    return Ok(Self { _file: file, unlocked: Some(error) });
                }
                Err(TryLockError::Error(source)) => return Err(RootError::Unwritable { act: "lock the root", source }),
            }
            let holder = read_holder(&mut file);
            if !told {
                on_wait(&holder);
                told = true;
            }
            if waiting.stop.is_asked() {
                return Err(RootError::Interrupted);
            }
            if deadline.left(waiting.clock).is_zero() {
                return Err(RootError::LockTimeout { holder, waited: waiting.timeout });
            }
            waiting.clock.sleep(POLL, waiting.stop);
        }
        // Only a courtesy to waiters: the kernel's lock counts, whatever the file says.
        drop(name_holder(&mut file, waiting.holder));
        Ok(Self { _file: file, unlocked: None })
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
