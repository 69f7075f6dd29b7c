//! Artifacts that wait outside of the root for other roots and later runs.
//!
//! A file is named by the pinned sha512 and by the source that its bytes came from, so that no source vouches for
//! another one's bytes. Nothing else is believed of the folder: whoever may write to it can put anything there, and
//! what comes out is hashed while it is copied and verified like what a server sent.

mod hand;

use std::collections::{BinaryHeap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fetch::Spool;
use integrity::{Algorithm, HashingWriter, Integrity, Mismatch, OciDigest, Verified};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use source::Source;
use tarball::{Dir, FileMode, Kind};
use transport::Stop;

use crate::root::Remark;
use crate::{Caching, Chain};

use hand::{Hand, unless_silent};

/// Bytes copied at once.
const CHUNK: usize = 128 * 1024;
/// How long an unfinished file may stay the same until its writer counts as killed.
const ABANDONED: Duration = Duration::from_mins(10);
/// What an unfinished file's name ends with.
const PART: &str = ".part";
/// How long one act on the folder may take: a mount whose server is gone would hold up the start of a portal for ever.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most artifacts that one look at the folder remembers: the oldest ones.
const MAX_ARTIFACTS: usize = 10_000;
/// The folder is looked at again when this share of the maximum was stored, as other runs store, too.
const SHARE: u64 = 16;

/// An open cache. Threads share it, and so do other processes: no file is visible before it is whole.
pub(crate) struct Cache {
    shelf: Arc<Shelf>,
    max_artifact_bytes: u64,
    patience: Duration,
    /// Whether the folder left somebody without an answer; nobody asks it again.
    silent: AtomicBool,
    /// What was told already.
    told: Mutex<HashSet<(&'static str, io::ErrorKind)>>,
}

/// The folder, for the threads that touch it.
struct Shelf {
    dir: Dir,
    max_bytes: u64,
    ledger: Mutex<Ledger>,
}

/// What this run knows about the folder.
#[derive(Debug, Default)]
struct Ledger {
    /// Bytes in it, unfinished files included.
    total: u64,
    /// Bytes stored since it was looked at.
    unseen: u64,
    /// Artifacts that this run took or stored: they are not removed to make room for the next one, since a list that is
    /// larger than the cache would then store all of it at each start and never find any.
    used: HashSet<String>,
}

/// The name of an artifact's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// Why an artifact does not come from the cache, or is not kept in it. None of it is the plugin's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// Something else has an artifact's name.
    #[error("expected a file, found something else")]
    NoFile,
    /// The file is not what it is called.
    #[error("the file is not what it is called")]
    Changed(#[source] Mismatch),
    /// The folder cannot be worked on.
    #[error("failed to {act} in the cache")]
    Failed {
        /// What was attempted.
        act: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The root's volume fails, not the cache's.
    #[error("failed to {act}")]
    Spool {
        /// What was attempted.
        act: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// What of it is the plugin is said by the registry, and nothing in the cache may say that.
    #[error("the registry chose the folder; with `!folder` in `package` the artifact is kept")]
    Unnamed,
    /// It can never be kept.
    #[error("the artifact is larger than the cache may be")]
    TooLarge,
    /// Nothing is old enough to make room for it.
    #[error("the cache is full of what is in use")]
    Full,
    /// It left an earlier act without an answer.
    #[error("the cache does not answer")]
    Silent,
    /// The run was asked to stop.
    #[error("the run was stopped")]
    Stopped,
}

impl Name {
    /// The name for what a source leads to, if it is what is pinned.
    pub(crate) fn of(source: &Source, integrity: &Integrity) -> Self {
        let mut name = String::new();
        for byte in integrity.as_bytes() {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let source = OciDigest::of(Algorithm::Sha256, source.to_string().as_bytes()).to_string();
        Self(name + "." + source.trim_start_matches("sha256:"))
    }

    /// A name that nobody else has or will have: whoever was stopped for long finds nobody else's file under it.
    fn part(&self) -> String {
        format!("{}.{:016x}{PART}", self.0, RandomState::new().build_hasher().finish())
    }
}

/// Whether a file of the folder is one of ours; others are neither counted nor removed.
fn is_ours(name: &str) -> bool {
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let whole = match name.strip_suffix(PART) {
        Some(part) => part.rsplit_once('.').map_or(part, |(whole, _writer)| whole),
        None => name,
    };
    whole.split_once('.').is_some_and(|(integrity, source)| is_hex(integrity, 128) && is_hex(source, 64))
}

impl Cache {
    /// Opens a cache.
    ///
    /// # Errors
    /// When the folder is not there: it is made by whoever mounts it. When it is in the root, which a portal scans.
    pub(crate) fn open(caching: &Caching, root: &Dir, stop: &Stop) -> io::Result<Self> {
        let Caching { folder, max_bytes, max_artifact_bytes } = caching.clone();
        let root = root.try_clone()?;
        let dir = unless_silent(PATIENCE, stop, move || {
            let dir = Dir::open(&folder)?;
            let inside = || io::Error::new(io::ErrorKind::InvalidInput, "it is in the plugin root");
            if dir.is_within(&root)? { Err(inside()) } else { Ok(dir) }
        })?;
        // Nothing is known before the first look.
        let ledger = Mutex::new(Ledger { unseen: max_bytes, ..Ledger::default() });
        Ok(Self {
            shelf: Arc::new(Shelf { dir, max_bytes, ledger }),
            max_artifact_bytes,
            patience: PATIENCE,
            silent: AtomicBool::new(false),
            told: Mutex::default(),
        })
    }

    /// Copies an artifact into a spool while it is hashed; `None` when there is none. What is not the pinned artifact
    /// is removed.
    pub(crate) fn take(
        &self,
        name: &Name,
        pinned: &Integrity,
        spool: impl FnOnce() -> io::Result<Spool>,
        stop: &Stop,
    ) -> Result<Option<Verified<Spool>>, CacheError> {
        let hand = Hand::new(self, stop)?;
        let own = name.0.clone();
        let Some((file, len)) = hand.ask("open an artifact", move |shelf| shelf.find(&own))? else { return Ok(None) };
        // An artifact of that size is refused, and that is for the fetcher to say.
        if len > self.max_artifact_bytes {
            return Ok(None);
        }
        let mut spool =
            HashingWriter::new(spool().map_err(|source| CacheError::Spool { act: "make a spool file", source })?);
        self.read(&hand, &file, &mut spool, stop)?;
        let verified = spool.finish().verify(pinned);
        let own = name.0.clone();
        match verified {
            Ok(artifact) => {
                // It is verified whatever becomes of the cache.
                drop(hand.ask("refresh an artifact", move |shelf| {
                    shelf.ledger().used.insert(own);
                    // Where this user may not, whoever stored it does.
                    let _ = rustix::fs::futimens(&*file, &NOW);
                    Ok(())
                }));
                Ok(Some(artifact))
            }
            Err(why) => {
                drop(hand.ask("remove an artifact", move |shelf| {
                    shelf.remove(&own);
                    Ok(())
                }));
                Err(CacheError::Changed(why))
            }
        }
    }

    /// Keeps a verified artifact, and removes the oldest ones where there is no room for it.
    pub(crate) fn keep(&self, name: &Name, artifact: &mut Verified<Spool>, stop: &Stop) -> Result<(), CacheError> {
        let len = artifact.len();
        if len > self.shelf.max_bytes {
            return Err(CacheError::TooLarge);
        }
        let hand = Hand::new(self, stop)?;
        let (part, own, asked) = (name.part(), name.0.clone(), stop.clone());
        let unfinished = part.clone();
        let file = hand.ask("reserve room", move |shelf| shelf.reserve(&unfinished, len, &asked))?;
        if let Err(why) = fill(&hand, &Arc::new(file), artifact, stop) {
            drop(hand.ask("remove an unfinished file", move |shelf| {
                shelf.remove(&part);
                Ok(())
            }));
            return Err(why);
        }
        hand.ask("name an artifact", move |shelf| {
            let named = shelf.name(&part, own);
            if named.is_err() {
                shelf.remove(&part);
            }
            named
        })
    }

    /// What the operator should know; what is wrong with the folder as a whole is told once.
    pub(crate) fn remark(&self, why: &CacheError, source: &Source) -> Option<Remark> {
        match why {
            CacheError::NoFile | CacheError::Changed(_) => Some(Remark {
                reason: "cache_corrupt",
                detail: format!("the cached copy of `{source}` is not used: {}", Chain(why)),
            }),
            // It was mounted like that.
            CacheError::Failed { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => None,
            // A file that somebody made larger than the root has room for is no reason to do without the plugin.
            CacheError::Failed { act, source } | CacheError::Spool { act, source } => {
                self.told.lock().unwrap_or_else(PoisonError::into_inner).insert((act, source.kind())).then(|| Remark {
                    reason: "cache_failed",
                    detail: format!("{}; the run goes on without", Chain(why)),
                })
            }
            CacheError::Unnamed
            | CacheError::TooLarge
            | CacheError::Full
            | CacheError::Silent
            | CacheError::Stopped => None,
        }
    }

    fn read(
        &self,
        hand: &Hand<'_>,
        file: &Arc<File>,
        spool: &mut HashingWriter<Spool>,
        stop: &Stop,
    ) -> Result<(), CacheError> {
        let (mut buffer, mut offset) = (vec![0; CHUNK], 0_u64);
        loop {
            if stop.is_asked() {
                return Err(CacheError::Stopped);
            }
            // It may grow while it is read.
            let left = self.max_artifact_bytes.saturating_sub(offset);
            let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let file = Arc::clone(file);
            let (filled, read) = hand.ask("read an artifact", move |_| {
                let read = read_at(&file, &mut buffer[..most], offset);
                read.map(|read| (buffer, read)).map_err(|source| CacheError::Failed { act: "read an artifact", source })
            })?;
            if read == 0 {
                return Ok(());
            }
            let unwritable = |source| CacheError::Spool { act: "write a spool file", source };
            spool.write_all(&filled[..read]).map_err(unwritable)?;
            offset = offset.saturating_add(read as u64);
            buffer = filled;
        }
    }
}

impl Shelf {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Result<Option<(Arc<File>, u64)>, CacheError> {
        let failed = |source| CacheError::Failed { act: "open an artifact", source };
        let file = match self.dir.open_file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.remove(name);
                return Err(CacheError::NoFile);
            }
            opened => opened.map_err(failed)?,
        };
        let len = file.metadata().map_err(failed)?.len();
        Ok(Some((Arc::new(file), len)))
    }

    fn remove(&self, name: &str) {
        // If it stays, it is found out again, or removed by a later run.
        drop(self.dir.remove_file(name));
    }

    fn name(&self, part: &str, name: String) -> Result<(), CacheError> {
        let failed = |source| CacheError::Failed { act: "name an artifact", source };
        self.dir.rename(part, &self.dir, &name).map_err(failed)?;
        self.ledger().used.insert(name);
        Ok(())
    }

    /// Makes an unfinished file of the artifact's size. It takes its room before it has its bytes, so that others that
    /// store at the same time see it.
    fn reserve(&self, part: &str, len: u64, stop: &Stop) -> Result<File, CacheError> {
        let failed = |act| move |source| CacheError::Failed { act, source };
        let mut ledger = self.ledger();
        let file = self.dir.create_file(part, FileMode::Plain).map_err(failed("make a file"))?;
        let reserved = file.set_len(len).and_then(|()| file.metadata()?.modified());
        let reserved = reserved.map_err(failed("reserve room")).and_then(|now| {
            ledger.total = ledger.total.saturating_add(len);
            ledger.unseen = ledger.unseen.saturating_add(len);
            if ledger.total > self.max_bytes || ledger.unseen > self.max_bytes / SHARE {
                self.make_room(&mut ledger, now, stop)?;
            }
            if ledger.total > self.max_bytes { Err(CacheError::Full) } else { Ok(()) }
        });
        if let Err(why) = reserved {
            self.remove(part);
            return Err(why);
        }
        Ok(file)
    }

    /// Adds up what is there, and removes unfinished files that nobody writes any more, and the oldest artifacts until
    /// the rest is within the maximum. It is `now` by the clock that also gave the other files their times.
    fn make_room(&self, ledger: &mut Ledger, now: SystemTime, stop: &Stop) -> Result<(), CacheError> {
        let failed = |source| CacheError::Failed { act: "make room", source };
        let (mut total, mut in_use, mut surplus, mut artifacts) = (0_u64, 0_u64, 0_u64, BinaryHeap::new());
        for entry in self.dir.entries().map_err(failed)? {
            if stop.is_asked() {
                return Err(CacheError::Stopped);
            }
            let (name, kind) = entry.map_err(failed)?;
            let Some(name) = name.to_str().filter(|name| kind == Kind::File && is_ours(name)) else { continue };
            // Another process may have removed it since.
            let Ok(found) = self.look_at(name) else { continue };
            let is_part = name.ends_with(PART);
            let is_abandoned = is_part && now.duration_since(found.modified).is_ok_and(|age| age > ABANDONED);
            if is_abandoned && self.dir.remove_file(name).is_ok() {
                continue;
            }
            total = total.saturating_add(found.len);
            if is_part || ledger.used.contains(name) {
                in_use = in_use.saturating_add(found.len);
                continue;
            }
            artifacts.push((found.modified, found.len, name.to_owned()));
            if artifacts.len() > MAX_ARTIFACTS {
                // The youngest one's turn comes at a later look.
                artifacts.pop();
                surplus += 1;
            }
        }
        for (_, len, name) in artifacts.into_sorted_vec() {
            // What would not make room enough stays.
            if in_use > self.max_bytes || (total <= self.max_bytes && surplus == 0) {
                break;
            }
            match self.dir.remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => (total, surplus) = (total.saturating_sub(len), surplus.saturating_sub(1)),
            }
        }
        (ledger.total, ledger.unseen) = (total, 0);
        Ok(())
    }

    fn look_at(&self, name: &str) -> io::Result<Found> {
        let metadata = self.dir.open_file(name)?.metadata()?;
        Ok(Found { len: metadata.len(), modified: metadata.modified()? })
    }
}

/// A time of change that the file's own system sets, which may be another machine; the time of access stays.
const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

/// A file in the cache.
struct Found {
    len: u64,
    modified: SystemTime,
}

fn fill(hand: &Hand<'_>, file: &Arc<File>, artifact: &mut Verified<Spool>, stop: &Stop) -> Result<(), CacheError> {
    let unreadable = |source| CacheError::Spool { act: "read a spool file", source };
    artifact.rewind().map_err(unreadable)?;
    let (mut buffer, mut offset) = (vec![0; CHUNK], 0_u64);
    loop {
        if stop.is_asked() {
            return Err(CacheError::Stopped);
        }
        let read = match artifact.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(unreadable)?,
        };
        let file = Arc::clone(file);
        buffer = hand.ask("write an artifact", move |_| {
            let written = file.write_all_at(&buffer[..read], offset);
            written.map(|()| buffer).map_err(|source| CacheError::Failed { act: "write an artifact", source })
        })?;
        offset = offset.saturating_add(read as u64);
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests;
