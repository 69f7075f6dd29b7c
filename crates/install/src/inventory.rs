//! What is installed on a root, and whether it still is what was installed.
//!
//! Nothing here takes the lock or writes, so that it works on a volume that is mounted read-only, beside a portal or
//! an installer at work. A commit begins by replacing the state: what was seen while the state stayed the same is true
//! of that state.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::AddAssign;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use integrity::Blame;
use tarball::{Dir, Kind, Tree};
use transport::{Clock, Stop};

use crate::extra::extras;
use crate::inspect::{CHUNK, Depth, Difference, look, open_folder, survey};
use crate::state::{Header, Known, PluginRecord, STATE, State};
use crate::{Root, RootError};

/// How often a root is looked at anew because an installer changed it meanwhile.
const TRIES: u32 = 5;
/// How long an open commit is waited for before each other look: it takes milliseconds, unless its run was killed.
const PAUSE: Duration = Duration::from_millis(500);

/// What is recorded of a root.
///
/// ```no_run
/// use std::path::Path;
/// use install::{Inventory, InventoryError};
///
/// fn versions(root: &Path) -> Result<Vec<String>, InventoryError> {
///     let plugins = Inventory::read(root)?.plugins;
///     Ok(plugins.iter().map(|plugin| format!("{}@{}", plugin.name, plugin.version)).collect())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inventory {
    /// The plugins, in no particular order; while a commit is under way, as they will be after it.
    pub plugins: Vec<InstalledPlugin>,
    /// The record itself; `None` when nothing was ever installed.
    pub writing: Option<Writing>,
}

/// Who recorded what is on a root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Writing {
    /// The version of the program.
    pub installer: String,
    /// When.
    pub at: SystemTime,
    /// Whether plugins are being made visible.
    pub commit: Commit,
}

/// Whether plugins are being made visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// No: all of them are.
    Settled,
    /// Yes, by an installer at work, or by one that was killed and that the next one completes.
    Open,
}

/// One installed plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledPlugin {
    /// The name in its `package.json`.
    pub name: String,
    /// The version in its `package.json`.
    pub version: String,
    /// Its folder in the root.
    pub dest: String,
    /// Where it came from, without query.
    pub source: String,
    /// What its tarball was pinned to: `sha512-` and base64.
    pub integrity: String,
    /// The digest of the registry's manifest that led to it, if it came from a registry.
    pub manifest: Option<String>,
    /// The version of the program that installed it.
    pub installer: String,
    /// When.
    pub installed: SystemTime,
    /// Whether a run has waited until all of it was on stable storage.
    pub synced: bool,
    /// How many files and symlinks it has.
    pub files: u64,
    /// How many folders, its own not counted.
    pub folders: u64,
}

/// What is told while a root is verified.
#[derive(Debug)]
#[non_exhaustive]
pub enum Told<'a> {
    /// Something is not as it was installed.
    Difference {
        /// The plugin.
        plugin: &'a InstalledPlugin,
        /// The path below the plugin's folder; empty for the folder itself.
        path: &'a Path,
        /// What about it.
        difference: &'a Difference,
    },
    /// A plugin is done.
    Plugin {
        /// The plugin.
        plugin: &'a InstalledPlugin,
        /// What was looked at, and found.
        verification: Verification,
    },
    /// A portal would load another plugin from the root, which this program did not install. It is no difference: the
    /// volume may be shared, and such folders are left alone.
    Foreign {
        /// The folder.
        folder: &'a Path,
    },
    /// Plugins are being made visible; this is waited for.
    Waiting,
    /// An installer has changed the root; what was told before was true of how it had been, and counts no more.
    StartedOver,
}

/// How much was compared with what was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Plugins.
    pub plugins: u64,
    /// Files and symlinks that are as they were installed.
    pub files: u64,
    /// Bytes of those files, all of them hashed.
    pub bytes: u64,
    /// What is not as it was installed.
    pub differences: u64,
}

impl AddAssign for Verification {
    fn add_assign(&mut self, other: Self) {
        self.plugins += other.plugins;
        self.files += other.files;
        self.bytes += other.bytes;
        self.differences += other.differences;
    }
}

/// Nothing can be said about a root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// There is none.
    #[error(transparent)]
    Root(RootError),
    /// It, or its record, cannot be read.
    #[error("failed to read {what}")]
    Unreadable {
        /// What was read.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// There are plugins, and no record of them that is whole.
    #[error("{found}: what is installed cannot be told")]
    StateLost {
        /// What there is instead.
        found: &'static str,
    },
    /// Plugins are being made visible, for too long to be waited for.
    #[error("plugins are being made visible by an installer at work, or by one that was killed")]
    CommitOpen,
    /// Installers change the root faster than it can be read.
    #[error("installers changed the plugin root {TRIES} times while it was read")]
    Changing,
    /// The caller asked to stop.
    #[error("stopped while reading the plugin root")]
    Interrupted,
}

impl InventoryError {
    /// The reason code.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Root(_) | Self::Unreadable { .. } => "root_unreadable",
            Self::StateLost { .. } => "state_lost",
            Self::CommitOpen => "commit_open",
            Self::Changing => "root_changing",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Root(error) => error.blame(),
            Self::Unreadable { .. } => Blame::Host,
            Self::StateLost { .. } | Self::CommitOpen | Self::Changing | Self::Interrupted => Blame::Operator,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Root(error) => return error.hint(),
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run this as a user who may read the volume, such as the installer's"
            }
            Self::StateLost { .. } => {
                "run the installer on the root: it verifies all that its list names and writes the record anew"
            }
            Self::CommitOpen => "wait for the installer; one that was killed is completed by its next run",
            Self::Changing => "try again when the installers are done",
            Self::Unreadable { .. } | Self::Interrupted => return None,
        };
        Some(text.to_owned())
    }
}

impl Inventory {
    /// Reads what is recorded of the root at `path`.
    ///
    /// # Errors
    /// When the root or its record cannot be read, or when the record is lost: nobody knows then what is installed.
    pub fn read(path: &Path) -> Result<Self, InventoryError> {
        Ok(Self::of(Reading::of(&open(path)?)?))
    }

    fn of(reading: Reading) -> Self {
        let Some(State { header, plugins }) = reading.state else { return Self { plugins: Vec::new(), writing: None } };
        let Header { installer, written, commit, .. } = header;
        let commit = if commit.is_some() { Commit::Open } else { Commit::Settled };
        Self {
            plugins: plugins.into_iter().map(|known| InstalledPlugin::of(known.record)).collect(),
            writing: Some(Writing { installer, at: moment(written), commit }),
        }
    }
}

impl InstalledPlugin {
    pub(crate) fn of(record: PluginRecord) -> Self {
        let PluginRecord {
            name,
            version,
            dest,
            source,
            integrity,
            manifest,
            installer,
            installed,
            synced,
            files,
            folders,
        } = record;
        let installed = moment(installed);
        Self { name, version, dest, source, integrity, manifest, installer, installed, synced, files, folders }
    }
}

/// A moment as the state has it. One that no calendar knows, which no installer wrote, is as good as the first.
fn moment(seconds: u64) -> SystemTime {
    let since = Duration::from_secs(seconds);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Compares every file on the root at `path` with what was installed, to its last byte, and tells each difference.
///
/// Differences do not end it, and neither do files that cannot be read: those are differences as well. When an
/// installer changes the root meanwhile, it starts over.
///
/// ```no_run
/// use std::path::Path;
/// use install::{Told, verify};
/// use transport::{Stop, SystemClock};
///
/// # fn audit(root: &Path) -> Result<(), install::InventoryError> {
/// let verification = verify(root, &SystemClock::start(), &Stop::new(), &mut |told| {
///     if let Told::Difference { plugin, path, difference } = told {
///         println!("{}/{}: {difference}", plugin.dest, path.display());
///     }
/// })?;
/// assert_eq!(verification.differences, 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When nothing can be said: the root or its record cannot be read, or is in the middle of a commit for too long.
pub fn verify(
    path: &Path,
    clock: &dyn Clock,
    stop: &Stop,
    told: &mut dyn FnMut(Told<'_>),
) -> Result<Verification, InventoryError> {
    let root = open(path)?;
    let mut last = InventoryError::Changing;
    for attempt in 0..TRIES {
        if stop.is_asked() {
            return Err(InventoryError::Interrupted);
        }
        let reading = Reading::of(&root)?;
        let is_open = reading.state.as_ref().is_some_and(|state| state.header.commit.is_some());
        if is_open {
            if attempt == 0 {
                told(Told::Waiting);
            }
            last = InventoryError::CommitOpen;
            clock.sleep(PAUSE, stop);
            continue;
        }
        match (Pass { root: &root, reading: &reading, stop }).run(told) {
            Ok(verification) => return Ok(verification),
            Err(End::Changed) => {
                told(Told::StartedOver);
                last = InventoryError::Changing;
            }
            Err(End::Stopped) => return Err(InventoryError::Interrupted),
            Err(End::Root(source)) => return Err(InventoryError::Unreadable { what: "the plugin root", source }),
        }
    }
    Err(last)
}

pub(crate) fn open(path: &Path) -> Result<Dir, InventoryError> {
    Root::open(path).map(|root| root.dir).map_err(|error| match error {
        RootError::Unwritable { source, .. } => InventoryError::Unreadable { what: "the plugin root", source },
        error => InventoryError::Root(error),
    })
}

/// The state, and which file it was read from.
struct Reading {
    file: Option<Version>,
    state: Option<State>,
}

/// Which file has the state's name. Each commit brings another, and one that is undone brings back the first with
/// another time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    /// Opens the file for it, as some network file systems show what others wrote only to whoever opens anew.
    fn of(root: &Dir) -> io::Result<Option<Self>> {
        let file = match root.open_file(STATE) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                return Ok(None);
            }
            opened => opened?.metadata()?,
        };
        Ok(Some(Self {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }))
    }
}

impl Reading {
    fn of(root: &Dir) -> Result<Self, InventoryError> {
        let unreadable = |source| InventoryError::Unreadable { what: "the record", source };
        for _ in 0..TRIES {
            let file = Version::of(root).map_err(unreadable)?;
            let state = State::read(root).map_err(unreadable)?;
            let lost = match &state {
                None => without_state(root).map_err(unreadable)?,
                Some(_) => None,
            };
            if Version::of(root).map_err(unreadable)? == file {
                return lost.map_or(Ok(Self { file, state }), |found| Err(InventoryError::StateLost { found }));
            }
        }
        Err(InventoryError::Changing)
    }
}

/// What there is although there is no state: nothing, unless something was installed here.
fn without_state(root: &Dir) -> io::Result<Option<&'static str>> {
    if root.kind(STATE)?.is_some() {
        return Ok(Some("the record of this root is not whole"));
    }
    let plugin = plugin_folders(root)?.next().transpose()?;
    Ok(plugin.map(|_| "this root holds plugins and no record of them"))
}

/// The folders in which a portal finds a plugin.
fn plugin_folders(root: &Dir) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
    let is_plugin = |name: &OsString| {
        root.open_dir(name).and_then(|dir| dir.kind("package.json")).is_ok_and(|manifest| manifest.is_some())
    };
    Ok(root.entries()?.filter_map(move |entry| match entry {
        Ok((name, Kind::Directory)) => is_plugin(&name).then_some(Ok(name)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    }))
}

/// One comparison of everything.
struct Pass<'a> {
    root: &'a Dir,
    reading: &'a Reading,
    stop: &'a Stop,
}

/// Why a pass came to no end.
enum End {
    /// The state is another by now.
    Changed,
    Stopped,
    /// The state, or the root itself, cannot be read any more.
    Root(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Root(error)
    }
}

impl Pass<'_> {
    fn run(&self, told: &mut dyn FnMut(Told<'_>)) -> Result<Verification, End> {
        let mut total = Verification::default();
        let mut buffer = vec![0; CHUNK];
        for known in self.reading.state.iter().flat_map(|state| &state.plugins) {
            let plugin = InstalledPlugin::of(known.record.clone());
            let verification = self.compare(known, &mut buffer, &mut |path, difference| {
                self.still_holds()?;
                told(Told::Difference { plugin: &plugin, path, difference });
                Ok(())
            })?;
            told(Told::Plugin { plugin: &plugin, verification });
            total += verification;
        }
        self.tell_foreign(told)?;
        self.still_holds()?;
        Ok(total)
    }

    fn tell_foreign(&self, told: &mut dyn FnMut(Told<'_>)) -> Result<(), End> {
        let known = self.reading.state.iter().flat_map(|state| &state.plugins);
        let known: HashSet<_> = known.map(|known| OsStr::new(&known.record.dest)).collect();
        for folder in plugin_folders(self.root)? {
            let folder = folder?;
            if !known.contains(&*folder) {
                self.go_on()?;
                self.still_holds()?;
                told(Told::Foreign { folder: Path::new(&folder) });
            }
        }
        Ok(())
    }

    fn compare(
        &self,
        known: &Known,
        buffer: &mut [u8],
        told: &mut dyn FnMut(&Path, &Difference) -> Result<(), End>,
    ) -> Result<Verification, End> {
        let mut verification = Verification { plugins: 1, ..Verification::default() };
        let mut differences = 0;
        let mut found = |path: &Path, difference: Difference| {
            self.go_on()?;
            differences += 1;
            told(path, &difference)
        };
        match open_folder(self.root, &known.record.dest) {
            Err(difference) => found(Path::new(""), difference)?,
            Ok(dir) => {
                let mut tree = Tree::new(&dir);
                let mut files = known.files();
                let mut is_whole = true;
                while let Some(file) = files.next()? {
                    self.go_on()?;
                    match look(&mut tree, &file, Depth::Content, buffer) {
                        Ok(bytes) => {
                            verification.files += 1;
                            verification.bytes += bytes;
                        }
                        Err(difference) => {
                            is_whole = false;
                            found(Path::new(&*file.path), difference)?;
                        }
                    }
                }
                // As many as there were, and all of those: then there is no other.
                let has_others = survey(&dir).map_or(true, |survey| {
                    let expected = (known.record.files, known.record.folders);
                    (survey.files, survey.folders) != expected || survey.closed.is_some()
                });
                if !is_whole || has_others {
                    extras(known, &dir, &mut found)?;
                }
            }
        }
        verification.differences = differences;
        Ok(verification)
    }

    fn go_on(&self) -> Result<(), End> {
        if self.stop.is_asked() { Err(End::Stopped) } else { Ok(()) }
    }

    /// What was seen until now is true of the state that was read.
    fn still_holds(&self) -> Result<(), End> {
        match Version::of(self.root) {
            Ok(file) if file == self.reading.file => Ok(()),
            _ => Err(End::Changed),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests;
