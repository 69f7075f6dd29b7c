//! Where plugins wait until all of them can become visible at once.

use std::fs::File;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use fetch::Spool;
use tarball::{Dir, FileMode};
use transport::{Clock, Stop};

/// The folder's name in the root. It exists only during a run, and plugins lie one level deeper than a portal looks.
pub(crate) const STAGING: &str = ".butler-plugins.staging";

/// How often a wish to stop is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How long the volume is waited for after a wish to stop.
const GRACE: Duration = Duration::from_secs(1);

/// The folder of this run, made when something is first put into it: a run that changes nothing makes none.
#[derive(Debug)]
pub(crate) struct Staging {
    root: Dir,
    pub(crate) run: String,
    made: OnceLock<Dir>,
    making: Mutex<()>,
}

impl Staging {
    /// Clears what killed runs left and names a folder for this one.
    pub(crate) fn fresh(root: &Dir, clock: &dyn Clock, stop: &Stop) -> io::Result<Self> {
        Self::clear(root, stop)?;
        let since_epoch = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let run = format!("run-{}", since_epoch.as_millis());
        Ok(Self { root: root.try_clone()?, run, made: OnceLock::new(), making: Mutex::new(()) })
    }

    /// Removes the staging folder with everything in it. After a wish to stop it goes on for a moment only, since a
    /// large folder on a slow volume takes longer than a pod is given to end; the next run clears the rest.
    ///
    /// # Errors
    /// What the system answers; [`io::ErrorKind::Interrupted`] when something was left because of the stop.
    pub(crate) fn clear(root: &Dir, stop: &Stop) -> io::Result<()> {
        if root.kind(STAGING)?.is_none() {
            return Ok(());
        }
        let root = root.try_clone()?;
        unless_stopped(stop, move || root.remove_tree(STAGING))
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> io::Result<&Dir> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = self.made.get() {
            return Ok(dir);
        }
        let dir = open_or_make(&open_or_make(&self.root, STAGING)?, &self.run)?;
        Ok(self.made.get_or_init(|| dir))
    }

    /// A place for an artifact's bytes.
    pub(crate) fn spool(&self) -> io::Result<Spool> {
        self.dir()?.unnamed_file().map(Spool::new)
    }

    /// The names used for the plugin with that number.
    pub(crate) fn names(number: usize) -> Names {
        Names { folder: format!("{number:04}"), files: format!("{number:04}.files"), old: format!("{number:04}.old") }
    }

    /// A new file of this run.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        self.dir()?.create_file(name, FileMode::Plain)
    }
}

/// A folder that may be there already: from a try that ended half-way, or from the run whose commit is finished.
pub(crate) fn open_or_make(parent: &Dir, name: &str) -> io::Result<Dir> {
    match parent.open_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => parent.create_dir(name),
        opened => opened,
    }
}

/// Waits for what a thread of its own does to the volume; after a wish to stop only for a moment longer.
///
/// # Errors
/// Its own; [`io::ErrorKind::Interrupted`] when it was left behind.
pub(crate) fn unless_stopped<T: Send + 'static>(
    stop: &Stop,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, done) = channel();
    // Nobody listens any more once it was left behind.
    std::thread::Builder::new().spawn(move || drop(sender.send(act())))?;
    let mut grace = GRACE;
    loop {
        match done.recv_timeout(POLL) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::Other.into()),
            Err(RecvTimeoutError::Timeout) if !stop.is_asked() => {}
            Err(RecvTimeoutError::Timeout) => {
                grace = grace.checked_sub(POLL).ok_or(io::ErrorKind::Interrupted)?;
            }
        }
    }
}

/// Names in a run's folder that belong to one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The unpacked plugin.
    pub(crate) folder: String,
    /// The list of its files, as lines of the state.
    pub(crate) files: String,
    /// The copy it takes the place of, where names cannot be exchanged.
    pub(crate) old: String,
}
