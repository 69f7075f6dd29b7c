//! Where plugins wait until all of them can become visible at once.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use fetch::Spool;
use tarball::{Dir, FileMode};
use transport::Clock;

/// The folder's name in the root. It exists only during a run, and plugins lie one level deeper than a portal looks.
pub(crate) const STAGING: &str = ".butler-plugins.staging";

/// The folder of this run.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) dir: Dir,
    pub(crate) run: String,
}

impl Staging {
    /// Clears what killed runs left and makes a folder for this one.
    pub(crate) fn fresh(root: &Dir, clock: &dyn Clock) -> io::Result<Self> {
        Self::clear(root)?;
        let since_epoch = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let run = format!("run-{}", since_epoch.as_millis());
        let dir = root.create_dir(STAGING)?.create_dir(&run)?;
        Ok(Self { dir, run })
    }

    /// Removes the staging folder with everything in it.
    pub(crate) fn clear(root: &Dir) -> io::Result<()> {
        root.remove_tree(STAGING)
    }

    /// A place for an artifact's bytes.
    pub(crate) fn spool(&self) -> io::Result<Spool> {
        self.dir.unnamed_file().map(Spool::new)
    }

    /// The names used for the plugin with that number.
    pub(crate) fn names(number: usize) -> Names {
        Names { folder: format!("{number:04}"), files: format!("{number:04}.files"), old: format!("{number:04}.old") }
    }

    /// A new file of this run.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        self.dir.create_file(name, FileMode::Plain)
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
