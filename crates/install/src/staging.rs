//! Where plugins wait until all of them can become visible at once.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use fetch::Spool;
use tarball::{Dir, FileMode, Kind};
use transport::{Clock, Stop};

use crate::lock::RootLock;

/// The folder's name in the root. It exists only during a run, and plugins lie one level deeper than a portal looks.
pub(crate) const STAGING: &str = ".butler-plugins.staging";

/// Most left-overs that one run clears; each killed run leaves one.
const LEFTOVERS: usize = 1000;

/// How often a wish to stop is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How long the volume is waited for after a wish to stop.
const GRACE: Duration = Duration::from_secs(1);

/// The folder of this run, made when something is first put into it: a run that changes nothing makes none.
#[derive(Debug)]
pub(crate) struct Staging {
    root: Dir,
    /// Who works on it may be left behind; until then no other installer begins.
    lock: Arc<RootLock>,
    /// What tells it from earlier ones: when it began, in milliseconds since the epoch.
    pub(crate) run: u64,
    made: OnceLock<Dir>,
    making: Mutex<()>,
}

impl Staging {
    /// Names a folder for this run.
    pub(crate) fn of_this_run(root: &Dir, lock: &Arc<RootLock>, clock: &dyn Clock) -> io::Result<Self> {
        let since_epoch = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let run = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let (root, lock) = (root.try_clone()?, Arc::clone(lock));
        Ok(Self { root, lock, run, made: OnceLock::new(), making: Mutex::new(()) })
    }

    /// Removes what killed runs left. After a wish to stop it goes on for a moment only, since a large folder on a slow
    /// volume takes longer than a pod is given to end; the next run clears the rest.
    ///
    /// # Errors
    /// What the system answers, after everything else was removed; [`io::ErrorKind::Interrupted`] when something was left
    /// because of the stop.
    pub(crate) fn clear(root: &Dir, lock: &Arc<RootLock>, stop: &Stop) -> io::Result<()> {
        match root.kind(STAGING)? {
            None => return Ok(()),
            Some(Kind::Directory) => {}
            Some(_) => return root.remove_file(STAGING),
        }
        let (root, held) = (root.try_clone()?, Arc::clone(lock));
        unless_stopped(stop, move || {
            // Left behind, it would remove what another installer stages.
            let _held = held;
            let staging = root.open_dir(STAGING)?;
            let mut result = Ok(());
            for name in names(&staging)? {
                result = result.and(staging.remove_tree(name));
            }
            result.and_then(|()| root.remove_dir(STAGING))
        })
    }

    /// Removes this run's folder, and the staging folder when it is empty then: on a volume without locks another run may
    /// have begun by now, if this one was not heard of for too long.
    ///
    /// # Errors
    /// Like [`clear`](Self::clear).
    pub(crate) fn remove(&self, stop: &Stop) -> io::Result<()> {
        if self.root.kind(STAGING)? != Some(Kind::Directory) {
            return Ok(());
        }
        let (root, held, run) = (self.root.try_clone()?, Arc::clone(&self.lock), run_folder(self.run));
        unless_stopped(stop, move || {
            let _held = held;
            root.open_dir(STAGING)?.remove_tree(run)?;
            match root.remove_dir(STAGING) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
                removed => removed,
            }
        })
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> io::Result<&Dir> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = self.made.get() {
            return Ok(dir);
        }
        let dir = open_or_make(&open_or_make(&self.root, STAGING)?, run_folder(self.run))?;
        Ok(self.made.get_or_init(|| dir))
    }

    /// A place for an artifact's bytes.
    pub(crate) fn spool(&self) -> io::Result<Spool> {
        self.dir()?.unnamed_file().map(Spool::new)
    }

    /// The names used for the plugin with that number.
    pub(crate) fn names(number: usize) -> Names {
        Names {
            number,
            folder: format!("{number:04}"),
            files: format!("{number:04}.files"),
            old: format!("{number:04}.old"),
        }
    }

    /// The name of what git checks out for that plugin.
    pub(crate) fn check_out(number: usize) -> String {
        format!("{number:04}.git")
    }

    /// Where the folder of this run is, below the root's path.
    pub(crate) fn path_in(&self, root: &Path) -> PathBuf {
        root.join(STAGING).join(run_folder(self.run))
    }

    /// Throws a staged or half-staged plugin away.
    pub(crate) fn discard(&self, number: usize) -> io::Result<()> {
        let Some(dir) = self.made.get() else { return Ok(()) };
        let names = Self::names(number);
        dir.remove_tree(&names.folder)?;
        dir.remove_tree(&names.files)
    }

    /// A new file of this run.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        self.dir()?.create_file(name, FileMode::Plain)
    }
}

/// Names of what is in a folder; of very many some.
fn names(dir: &Dir) -> io::Result<Vec<OsString>> {
    dir.entries()?.take(LEFTOVERS).map(|entry| entry.map(|(name, _)| name)).collect()
}

/// The name of a run's folder in the staging folder.
pub(crate) fn run_folder(run: u64) -> String {
    format!("run-{run}")
}

/// A folder that may be there already: from a try that ended half-way, or from the run whose commit is finished.
pub(crate) fn open_or_make(parent: &Dir, name: impl AsRef<OsStr>) -> io::Result<Dir> {
    let name = name.as_ref();
    match parent.open_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match parent.create_dir(name) {
            // Somebody was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => parent.open_dir(name),
            made => made,
        },
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
    pub(crate) number: usize,
    /// The unpacked plugin.
    pub(crate) folder: String,
    /// The list of its files, as lines of the state.
    pub(crate) files: String,
    /// The copy it takes the place of, where names cannot be exchanged.
    pub(crate) old: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootError;
    use crate::lock::Waiting;
    use transport::SystemClock;

    fn lock(root: &Dir) -> Result<Arc<RootLock>, RootError> {
        let (clock, stop) = (SystemClock::start(), Stop::new());
        let waiting = Waiting { holder: "pod a", timeout: Duration::ZERO, clock: &clock, stop: &stop };
        RootLock::take(root, &waiting, &mut |_| ()).map(Arc::new)
    }

    fn fresh(root: &Dir) -> Staging {
        Staging::of_this_run(root, &lock(root).unwrap(), &SystemClock::start()).unwrap()
    }

    #[test]
    fn whoever_still_works_on_it_keeps_the_root_locked() {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open(folder.path()).unwrap();
        let staging = fresh(&root);
        assert!(matches!(lock(&root), Err(RootError::LockTimeout { .. })));
        drop(staging);
        lock(&root).unwrap();
    }

    #[test]
    fn a_run_removes_its_own_folder_and_no_other_runs() {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open(folder.path()).unwrap();
        let lock = lock(&root).unwrap();
        let [one, other] = [1, 2].map(|run| {
            let mut staging = Staging::of_this_run(&root, &lock, &SystemClock::start()).unwrap();
            staging.run = run;
            staging
        });
        for staging in [&one, &other] {
            staging.create("file").unwrap();
        }
        one.remove(&Stop::new()).unwrap();
        let left = names(&root.open_dir(STAGING).unwrap()).unwrap();
        assert_eq!(left, ["run-2"]);
        other.remove(&Stop::new()).unwrap();
        assert_eq!(root.kind(STAGING).unwrap(), None);
    }

    #[test]
    fn what_was_never_staged_is_thrown_away_without_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open(folder.path()).unwrap();
        let staging = fresh(&root);
        staging.discard(0).unwrap();
        assert_eq!(root.kind(STAGING).unwrap(), None);
        staging.create(&Staging::names(0).files).unwrap();
        staging.discard(0).unwrap();
        assert_eq!(staging.dir().unwrap().entries().unwrap().count(), 0);
    }
}
