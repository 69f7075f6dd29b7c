//! The plugin root: opened, locked, and put in order before anything is done to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tarball::{Dir, Kind};
use transport::{Clock, Stop};

use crate::RootError;
use crate::commit::APP_CONFIG;
use crate::lease::LEASE;
use crate::lock::{LOCK, RootLock, Waiting};
use crate::recover;
use crate::replace::replace;
use crate::staging::{Staging, unless_stopped};
use crate::state::{STATE, State};

/// A plugin root that is there and is a directory.
#[derive(Debug)]
pub struct Root {
    pub(crate) dir: Dir,
}

/// How to take the root's lock.
#[derive(Debug, Clone)]
pub struct Locking {
    /// How this run is named to others that wait for it, such as `pod portal-7c9f since 2026-11-21T03:00:00Z`.
    pub holder: String,
    /// Longest wait for another holder.
    pub timeout: Duration,
}

/// A root that nobody else works on, without leftovers of earlier runs. Plugins are staged beside what is visible, and
/// a commit makes them visible.
#[derive(Debug)]
pub struct LockedRoot {
    pub(crate) dir: Dir,
    pub(crate) state: Option<State>,
    pub(crate) staging: Arc<Staging>,
    /// What the operator should know: a lost state, a finished commit, a volume without locks.
    pub(crate) remarks: Vec<Remark>,
    pub(crate) lock: Arc<RootLock>,
}

/// Something about a root, or about a plugin of it, that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remark {
    /// The reason code.
    pub reason: &'static str,
    /// What it is, in words.
    pub detail: String,
}

impl Root {
    /// Opens a root.
    ///
    /// # Errors
    /// When it is not there, or is a file or symlink: a portal refuses that. When it is `/`.
    pub fn open(path: &Path) -> Result<Self, RootError> {
        let root = path.display().to_string();
        if path.canonicalize().is_ok_and(|path| path.parent().is_none()) {
            return Err(RootError::WholeSystem);
        }
        Dir::open(path).map(|dir| Self { dir }).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RootError::Missing { root },
            io::ErrorKind::NotADirectory => RootError::NotADirectory { root },
            _ => RootError::Unwritable { act: "open the folder", source },
        })
    }

    /// Leaves an app-config that says nothing, for a portal that wants one although no plugin was ever listed. Nothing else
    /// is touched, plugins that are there least of all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_empty_app_config(&self) -> Result<(), RootError> {
        replace(&self.dir, APP_CONFIG, b"")
            .map_err(|source| RootError::Unwritable { act: "write an empty app-config", source })
    }

    /// Takes the lock, finishes a commit that was killed, and clears what killed runs left. `on_wait` is told once
    /// whom the run waits for.
    ///
    /// # Errors
    /// When the lock cannot be had in time, or the root not be written to.
    pub fn lock(
        self,
        locking: &Locking,
        clock: &dyn Clock,
        stop: &Stop,
        on_wait: &mut dyn FnMut(&str),
    ) -> Result<LockedRoot, RootError> {
        let unwritable = |source| RootError::Unwritable { act: "change anything", source };
        self.dir.admits_changes().map_err(unwritable)?;
        refuse_obstacles(&self.dir)?;
        let waiting = Waiting { holder: &locking.holder, timeout: locking.timeout, clock, stop };
        let lock = Arc::new(RootLock::take(&self.dir, &waiting, on_wait)?);
        let mut remarks = Vec::new();
        if let RootLock::Lease(lease, error) = &*lock {
            let lapsed = lease.lapsed.as_ref().map(|holder| format!("; {holder} was not heard of any more"));
            let detail = format!(
                "this volume has no file locks ({error}): a lease keeps other installers away{}",
                lapsed.unwrap_or_default()
            );
            remarks.push(Remark { reason: "lock_unsupported", detail });
        }
        let unfinished = |source: io::Error| match source.kind() {
            io::ErrorKind::Interrupted => RootError::Interrupted,
            _ => RootError::Unwritable { act: "finish an earlier commit", source },
        };
        let (dir, held, told) = (self.dir.try_clone().map_err(unfinished)?, Arc::clone(&lock), stop.clone());
        let settled = unless_stopped(stop, move || {
            let (_held, mut remarks) = (held, Vec::new());
            recover::settle(&dir, &told, &mut remarks).map(|state| (state, remarks))
        });
        let (state, found) = settled.map_err(unfinished)?;
        remarks.extend(found);
        match Staging::clear(&self.dir, &lock, stop) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(RootError::Interrupted),
            // Somebody else's file in what an earlier run had to remove: no start would get past it.
            Err(error) => remarks.push(Remark { reason: "staging_left", detail: left(&error) }),
            Ok(()) => {}
        }
        let unwritable = |source| RootError::Unwritable { act: "share the folder", source };
        let staging = Staging::of_this_run(&self.dir, &lock, clock).map_err(unwritable)?;
        Ok(LockedRoot { dir: self.dir, state, staging: Arc::new(staging), remarks, lock })
    }
}

/// What is told when the staging folder stays.
pub(crate) fn left(error: &io::Error) -> String {
    format!("what is in the staging folder could not be removed: {error}")
}

/// Names of ours that must be files or free; a rename would fail on a folder only when half of the work is done.
pub(crate) fn refuse_obstacles(root: &Dir) -> Result<(), RootError> {
    let look = |source| RootError::Unwritable { act: "look at our own files", source };
    for name in [LOCK, LEASE, STATE, APP_CONFIG] {
        match root.kind(name).map_err(look)? {
            None | Some(Kind::File) => {}
            // A rename puts our file in its place and touches nothing behind it.
            Some(Kind::Symlink) if name != LOCK && name != LEASE => {}
            Some(Kind::Directory | Kind::Symlink | Kind::Special) => return Err(RootError::Obstructed { name }),
        }
    }
    Ok(())
}

impl LockedRoot {
    /// Removes the staging folder and gives the lock up, unless somebody is left behind who still works under it.
    pub(crate) fn release(self, stop: &Stop) -> io::Result<()> {
        self.staging.remove(stop)
    }
}
