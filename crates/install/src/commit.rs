//! Making plugins visible, all of them or none.
//!
//! Everything that can fail slowly happens before: plugins lie unpacked in the staging folder, the state after the
//! commit is written and synced. Then the intent replaces the state, names are swapped one by one, and the settled
//! state replaces the intent. A kill at any point leaves either the old state, or an intent that `recover` finishes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use integrity::{Algorithm, OciDigest};
use rustix::io::Errno;
use tarball::{Dir, Kind};
use transport::Stop;

use crate::RunError;
use crate::root::LockedRoot;
use crate::staging::{Names, STAGING, Staging, unless_stopped};
use crate::state::{Header, Intent, Known, Move, PluginRecord, Removal, SETTLED, STATE, State, StateWriter};

/// The merged app-config's name in the root.
pub(crate) const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";
/// The same, before it is visible.
pub(crate) const APP_CONFIG_STAGED: &str = "app-config.yaml";
/// The state during the commit, before it counts.
const INTENT: &str = "state.intent";
/// The state before the commit, kept for the way back.
const BEFORE: &str = "state.before";
/// The app-config before the commit, kept for the way back.
const APP_CONFIG_BEFORE: &str = "app-config.before";
/// Most bytes of an app-config that are compared; quoting makes one longer than the file it comes from.
const APP_CONFIG_LIMIT: u64 = 8 * config::MAX_CONFIG_BYTES as u64;
/// What the first line of an app-config that we wrote holds.
const MARK: &str = "butler-plugin-installer";

/// What the root shall hold afterwards.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Plugins to make visible.
    pub(crate) put: Vec<Put>,
    /// Plugins that stay, with the records that they shall have.
    pub(crate) keep: Vec<Known>,
    /// Plugins that go.
    pub(crate) remove: Vec<Removal>,
    /// The merged app-config, when any plugin has one.
    pub(crate) app_config: Option<String>,
    /// What is waited for before any of it becomes visible.
    pub(crate) durability: Durability,
    /// The version of the program, for the state.
    pub(crate) installer: &'static str,
    /// When, in seconds since the epoch.
    pub(crate) now: u64,
}

/// One plugin to make visible.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) names: Names,
    /// As it will be in the state.
    pub(crate) record: PluginRecord,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Durability {
    /// The state alone: whoever reads it hashes the plugins again.
    #[default]
    State,
    /// The plugins' content as well, so that the state may be believed.
    Content,
}

/// A step that was done, and can be undone.
enum Done {
    Put { folder: String, dest: String, how: Placed },
    Removed { name: String, dest: String },
    AppConfigWritten { had: bool },
    AppConfigRemoved,
}

/// How a plugin came to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// There was nothing before.
    New,
    /// Old and new swapped names in one step; the old one lies where the new one was staged.
    Exchanged,
    /// The old one was moved away first, because the file system cannot swap.
    Moved,
}

/// A commit that is done.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// The destinations that were removed.
    pub(crate) removed: Vec<String>,
    /// Why a power cut may bring the state before it back.
    pub(crate) unsynced: Option<io::Error>,
}

/// A commit that failed.
#[derive(Debug)]
pub(crate) struct CommitError {
    pub(crate) source: io::Error,
    /// Whether the root is as it was before; otherwise the next run carries the commit through.
    pub(crate) undone: bool,
}

impl From<CommitError> for RunError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError { source, undone: true } if source.kind() == io::ErrorKind::Interrupted => Self::Interrupted,
            CommitError { source, undone } => Self::Commit { source, undone },
        }
    }
}

impl From<io::Error> for CommitError {
    /// Of the steps before the first rename, which leave everything as it was.
    fn from(source: io::Error) -> Self {
        Self { source, undone: true }
    }
}

impl LockedRoot {
    /// Makes the changes visible.
    ///
    /// # Errors
    /// When a step fails; what had been done is undone then, as far as the file system lets us.
    pub(crate) fn commit(&self, changes: &Arc<Changes>, stop: &Stop) -> Result<Committed, CommitError> {
        if self.holds(changes)? {
            return Ok(Committed::default());
        }
        let had_state = self.prepare(changes, stop)?;
        let mut done = Vec::new();
        let result = self.announce().and_then(|()| self.swap(changes, &mut done)).and_then(|()| self.settle(changes));
        if let Err(source) = result {
            let undone = self.undo(changes, done, had_state).is_ok();
            return Err(CommitError { source, undone });
        }
        // All is done, and only the disk may not know of it: the way back would contradict the state.
        let unsynced = self.dir.sync().err();
        let removed = done.into_iter().filter_map(|step| match step {
            Done::Removed { dest, .. } => Some(dest),
            Done::Put { .. } | Done::AppConfigWritten { .. } | Done::AppConfigRemoved => None,
        });
        Ok(Committed { removed: removed.collect(), unsynced })
    }

    /// Whether the root is as the changes want it already.
    fn holds(&self, changes: &Changes) -> io::Result<bool> {
        let synced = |plugins: &[Known]| plugins.iter().filter(|known| known.record.synced).count();
        let (settled, known_config, known_plugins) = match &self.state {
            Some(State { header, plugins }) => (header.commit.is_none(), header.app_config.clone(), &plugins[..]),
            None => (true, None, &[][..]),
        };
        let config_holds = match changes.app_config.as_deref().map(digest) {
            None => known_config.is_none() && !is_our_app_config(&self.dir)?,
            wanted => wanted == known_config && wanted == self.app_config_on_disk()?,
        };
        let plugins_hold = changes.keep.len() == known_plugins.len() && synced(&changes.keep) == synced(known_plugins);
        Ok(settled && config_holds && changes.put.is_empty() && plugins_hold)
    }

    /// Has all written and synced that the commit needs. Returns whether there was a state before.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] after a wish to stop: a slow volume takes its time to sync.
    fn prepare(&self, changes: &Arc<Changes>, stop: &Stop) -> io::Result<bool> {
        let draft = Draft { root: self.dir.try_clone()?, staging: Arc::clone(&self.staging) };
        let changes = Arc::clone(changes);
        let had_state = unless_stopped(stop, move || draft.write(&changes))?;
        self.lock.check(&self.dir)?;
        if stop.is_asked() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(had_state) }
    }

    /// From here on a killed run is carried through by the next one.
    fn announce(&self) -> io::Result<()> {
        self.staging.dir()?.rename(INTENT, &self.dir, STATE)?;
        self.dir.sync()
    }

    /// From here on there is nothing left to do but to clean up.
    fn settle(&self, changes: &Changes) -> io::Result<()> {
        if changes.durability == Durability::Content {
            // What the state will have believed is at its place before.
            self.dir.sync()?;
        }
        self.staging.dir()?.rename(SETTLED, &self.dir, STATE)
    }

    /// One rename for each step, told to `done` as it is taken.
    fn swap(&self, changes: &Changes, done: &mut Vec<Done>) -> io::Result<()> {
        for put in &changes.put {
            done.push(self.put(put)?);
        }
        for Removal { dest, .. } in &changes.remove {
            done.extend(self.remove(dest.as_str())?);
        }
        done.extend(self.swap_app_config(changes.app_config.is_some())?);
        Ok(())
    }

    fn put(&self, put: &Put) -> io::Result<Done> {
        let Put { names, record: PluginRecord { dest, .. } } = put;
        let how = put_in_place(self.staging.dir()?, &names.folder, &names.old, &self.dir, dest)?;
        Ok(Done::Put { folder: names.folder.clone(), dest: dest.clone(), how })
    }

    fn remove(&self, dest: &str) -> io::Result<Option<Done>> {
        if self.dir.kind(dest)? != Some(Kind::Directory) {
            return Ok(None);
        }
        let name = removed(dest);
        self.dir.rename(dest, self.staging.dir()?, &name)?;
        Ok(Some(Done::Removed { name, dest: dest.to_owned() }))
    }

    fn swap_app_config(&self, has_one: bool) -> io::Result<Option<Done>> {
        let staging = self.staging.dir()?;
        if has_one {
            let had = match self.dir.kind(APP_CONFIG)? {
                None => false,
                Some(Kind::File) => set_aside(&self.dir, APP_CONFIG, &self.staging, APP_CONFIG_BEFORE)?,
                Some(_) => self.dir.rename(APP_CONFIG, staging, APP_CONFIG_BEFORE).map(|()| true)?,
            };
            staging.rename(APP_CONFIG_STAGED, &self.dir, APP_CONFIG)?;
            return Ok(Some(Done::AppConfigWritten { had }));
        }
        if is_our_app_config(&self.dir)? {
            self.dir.rename(APP_CONFIG, staging, APP_CONFIG_BEFORE)?;
            return Ok(Some(Done::AppConfigRemoved));
        }
        Ok(None)
    }

    /// The way back, last step first. Only when all of it succeeded the old state counts again; otherwise the intent
    /// stays, and the next run goes forward.
    fn undo(&self, changes: &Changes, done: Vec<Done>, had_state: bool) -> io::Result<()> {
        let staging = self.staging.dir()?;
        let mut result = Ok(());
        for step in done.into_iter().rev() {
            result = result.and(self.undo_step(staging, step));
        }
        for put in &changes.put {
            // A move that failed half-way and could not be taken back at once.
            let (old, dest) = (&put.names.old, &put.record.dest);
            if staging.kind(old)?.is_some() && self.dir.kind(dest)?.is_none() {
                result = result.and(staging.rename(old, &self.dir, dest));
            }
        }
        result?;
        if had_state {
            staging.rename(BEFORE, &self.dir, STATE)?;
        } else if self.dir.kind(STATE)?.is_some() {
            self.dir.remove_file(STATE)?;
        }
        self.dir.sync()
    }

    fn undo_step(&self, staging: &Dir, step: Done) -> io::Result<()> {
        match step {
            Done::Put { folder, dest, how: Placed::New } => self.dir.rename(&dest, staging, &folder),
            Done::Put { folder, dest, how: Placed::Exchanged } => self.dir.exchange(&dest, staging, &folder),
            Done::Put { folder, dest, how: Placed::Moved } => self
                .dir
                .rename(&dest, staging, &folder)
                .and_then(|()| staging.rename(format!("{folder}.old"), &self.dir, &dest)),
            Done::Removed { name, dest } => staging.rename(&name, &self.dir, &dest),
            Done::AppConfigWritten { had: false } => self.dir.rename(APP_CONFIG, staging, APP_CONFIG_STAGED),
            // There is one at any moment. Where names cannot be exchanged the new one is lost, and written again by
            // whoever goes forward.
            Done::AppConfigWritten { had: true } => match staging.exchange(APP_CONFIG_BEFORE, &self.dir, APP_CONFIG) {
                Ok(()) => staging.rename(APP_CONFIG_BEFORE, staging, APP_CONFIG_STAGED),
                Err(_) => staging.rename(APP_CONFIG_BEFORE, &self.dir, APP_CONFIG),
            },
            Done::AppConfigRemoved => staging.rename(APP_CONFIG_BEFORE, &self.dir, APP_CONFIG),
        }
    }

    fn app_config_on_disk(&self) -> io::Result<Option<String>> {
        match self.dir.open_file(APP_CONFIG) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(APP_CONFIG_LIMIT).read_to_end(&mut bytes)?;
                Ok(Some(digest(&String::from_utf8_lossy(&bytes))))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whoever writes what a commit needs. It owns what it works with, as nobody waits for it after a wish to stop.
struct Draft {
    root: Dir,
    staging: Arc<Staging>,
}

impl Draft {
    fn write(&self, changes: &Changes) -> io::Result<bool> {
        if let Some(text) = &changes.app_config {
            let mut file = self.staging.create(APP_CONFIG_STAGED)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        let app_config = changes.app_config.as_deref().map(digest);
        let settled = Header::new(changes.installer, changes.now, app_config, None);
        self.write_intent(&settled, changes)?;
        self.write_settled(settled, changes)?;
        let had_state = set_aside(&self.root, STATE, &self.staging, BEFORE)?;
        match changes.durability {
            Durability::State => {
                self.staging.dir()?.sync()?;
                self.root.open_dir(STAGING)?.sync()?;
            }
            Durability::Content => self.staging.dir()?.sync_file_system()?,
        }
        Ok(had_state)
    }

    fn write_intent(&self, settled: &Header, changes: &Changes) -> io::Result<()> {
        let moved = |put: &Put| Ok(Move { staged: put.names.number, dest: put.record.destination()? });
        let intent = Intent {
            run: self.staging.run,
            put: changes.put.iter().map(moved).collect::<io::Result<_>>()?,
            remove: changes.remove.clone(),
        };
        let out = BufWriter::new(self.staging.create(INTENT)?);
        finish(StateWriter::begin(out, Header { commit: Some(intent), ..settled.clone() })?)
    }

    fn write_settled(&self, header: Header, changes: &Changes) -> io::Result<()> {
        let mut writer = StateWriter::begin(BufWriter::new(self.staging.create(SETTLED)?), header)?;
        for known in &changes.keep {
            writer.known(known)?;
        }
        for Put { names, record } in &changes.put {
            writer.plugin(record.clone(), &mut self.staging.dir()?.open_file(&names.files)?)?;
        }
        finish(writer)
    }
}

fn finish(writer: StateWriter<BufWriter<File>>) -> io::Result<()> {
    writer.end()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Gives a file of the root, which is only ever replaced, a second name in the staging folder, or copies it where there
/// are no hard links; returns whether there was one.
fn set_aside(root: &Dir, name: &str, staging: &Staging, copy: &str) -> io::Result<bool> {
    if root.kind(name)? == Some(Kind::File) && root.hard_link(name, staging.dir()?, copy).is_ok() {
        return Ok(true);
    }
    match root.open_file(name) {
        Ok(mut before) => {
            let mut copy = staging.create(copy)?;
            io::copy(&mut before, &mut copy)?;
            copy.sync_all().map(|()| true)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The name of a plugin that goes away, in the run's folder.
pub(crate) fn removed(dest: &str) -> String {
    format!("{dest}.removed")
}

/// Brings a staged folder to its destination: swapped with what is there, or moved where there is nothing.
pub(crate) fn put_in_place(staging: &Dir, folder: &str, old: &str, root: &Dir, dest: &str) -> io::Result<Placed> {
    if root.kind(dest)?.is_none() {
        return staging.rename(folder, root, dest).map(|()| Placed::New);
    }
    match staging.exchange(folder, root, dest) {
        Ok(()) => return Ok(Placed::Exchanged),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)) => {}
        Err(error) => return Err(error),
    }
    root.rename(dest, staging, old)?;
    if let Err(error) = staging.rename(folder, root, dest) {
        staging.rename(old, root, dest)?;
        return Err(error);
    }
    Ok(Placed::Moved)
}

/// Whether the app-config on the root was written by this program, by its first line.
pub(crate) fn is_our_app_config(root: &Dir) -> io::Result<bool> {
    match root.open_file(APP_CONFIG) {
        Ok(file) => {
            let mut line = Vec::new();
            BufReader::new(file).take(256).read_until(b'\n', &mut line)?;
            Ok(line.starts_with(b"#") && String::from_utf8_lossy(&line).contains(MARK))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(false),
        Err(error) => Err(error),
    }
}

fn digest(text: &str) -> String {
    OciDigest::of(Algorithm::Sha256, text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests;
