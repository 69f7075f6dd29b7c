//! Artifacts that wait outside of the root for other roots and later runs.
//!
//! A file is named by the pinned sha512 and by the source that its bytes came from, so that no source vouches for
//! another one's bytes. Nothing else is believed of the folder: whoever may write to it can put anything there, and
//! what comes out is hashed while it is copied and verified like what a server sent.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fetch::Spool;
use integrity::{Algorithm, HashingWriter, Integrity, Mismatch, OciDigest, Verified};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use source::Source;
use tarball::{Dir, FileMode, Kind};
use transport::Stop;

use crate::root::Remark;
use crate::{Caching, Chain};

/// Bytes copied at once.
const CHUNK: usize = 128 * 1024;
/// How long an unfinished file may stay the same until its writer counts as killed.
const ABANDONED: Duration = Duration::from_mins(10);
/// What an unfinished file's name ends with.
const PART: &str = ".part";
/// How many may write the same artifact at once, killed ones included.
const WRITERS: u32 = 8;
/// Most artifacts that one look at the folder remembers.
const MAX_ARTIFACTS: usize = 10_000;
/// The folder is looked at again when this share of the maximum was stored, as other runs store, too.
const SHARE: u64 = 16;

/// An open cache. Threads share it, and so do other processes: no file is visible before it is whole.
pub(crate) struct Cache {
    dir: Dir,
    max_bytes: u64,
    max_artifact_bytes: u64,
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
    /// What was told already.
    told: HashSet<(&'static str, io::ErrorKind)>,
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
    /// Others are writing it, or were killed while they did.
    #[error("others are storing it")]
    Begun,
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

    fn part(&self, writer: u32) -> String {
        format!("{}.{writer}{PART}", self.0)
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
    /// When the folder is not there: it is made by whoever mounts it.
    pub(crate) fn open(caching: &Caching) -> io::Result<Self> {
        let Caching { folder, max_bytes, max_artifact_bytes } = caching;
        let (max_bytes, max_artifact_bytes) = (*max_bytes, *max_artifact_bytes);
        // Nothing is known before the first look.
        let ledger = Mutex::new(Ledger { unseen: max_bytes, ..Ledger::default() });
        Ok(Self { dir: Dir::open(folder)?, max_bytes, max_artifact_bytes, ledger })
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
        let failed = |act| move |source| CacheError::Failed { act, source };
        let file = match self.dir.open_file(&name.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(self.remove(name, CacheError::NoFile));
            }
            opened => opened.map_err(failed("open an artifact"))?,
        };
        // An artifact of that size is refused, and that is for the fetcher to say.
        if file.metadata().map_err(failed("look at an artifact"))?.len() > self.max_artifact_bytes {
            return Ok(None);
        }
        let mut spool =
            HashingWriter::new(spool().map_err(|source| CacheError::Spool { act: "make a spool file", source })?);
        // It may grow while it is read.
        copy(&mut (&file).take(self.max_artifact_bytes), &mut spool, stop).map_err(|broken| match broken {
            Broken::Stopped => CacheError::Stopped,
            Broken::Read(source) => CacheError::Failed { act: "read an artifact", source },
            Broken::Write(source) => CacheError::Spool { act: "write a spool file", source },
        })?;
        let artifact = spool.finish().verify(pinned).map_err(|why| self.remove(name, CacheError::Changed(why)))?;
        self.ledger().used.insert(name.0.clone());
        // Where this user may not, whoever stored it does.
        let _ = rustix::fs::futimens(&file, &NOW);
        Ok(Some(artifact))
    }

    /// Keeps a verified artifact, and removes the oldest ones where there is no room for it.
    pub(crate) fn keep(&self, name: &Name, artifact: &mut Verified<Spool>, stop: &Stop) -> Result<(), CacheError> {
        if artifact.len() > self.max_bytes {
            return Err(CacheError::TooLarge);
        }
        let (part, mut file) = self.reserve(name, artifact.len(), stop)?;
        let written = fill(&mut file, artifact, stop).and_then(|()| {
            let renamed = self.dir.rename(&part, &self.dir, &name.0);
            renamed.map_err(|source| CacheError::Failed { act: "name an artifact", source })
        });
        if let Err(why) = written {
            // If it stays, a later run removes it.
            drop(self.dir.remove_file(&part));
            return Err(why);
        }
        self.ledger().used.insert(name.0.clone());
        Ok(())
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
            CacheError::Failed { act, source } => self
                .ledger()
                .told
                .insert((act, source.kind()))
                .then(|| Remark { reason: "cache_failed", detail: format!("{}; the run goes on without", Chain(why)) }),
            CacheError::Spool { .. }
            | CacheError::Unnamed
            | CacheError::TooLarge
            | CacheError::Full
            | CacheError::Begun
            | CacheError::Stopped => None,
        }
    }

    fn remove(&self, name: &Name, why: CacheError) -> CacheError {
        // If it stays, it is found out again.
        drop(self.dir.remove_file(&name.0));
        why
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an unfinished file of the artifact's size. It takes its room before it has its bytes, so that others that
    /// store at the same time see it.
    fn reserve(&self, name: &Name, len: u64, stop: &Stop) -> Result<(String, File), CacheError> {
        let mut ledger = self.ledger();
        let (part, file) = self.begin(name)?;
        let reserved = file.set_len(len).and_then(|()| file.metadata()?.modified());
        let reserved = reserved.map_err(|source| CacheError::Failed { act: "reserve room", source }).and_then(|now| {
            ledger.total = ledger.total.saturating_add(len);
            ledger.unseen = ledger.unseen.saturating_add(len);
            if ledger.total > self.max_bytes || ledger.unseen > self.max_bytes / SHARE {
                self.make_room(&mut ledger, now, stop)?;
            }
            if ledger.total > self.max_bytes { Err(CacheError::Full) } else { Ok(()) }
        });
        if let Err(why) = reserved {
            drop(self.dir.remove_file(&part));
            return Err(why);
        }
        Ok((part, file))
    }

    fn begin(&self, name: &Name) -> Result<(String, File), CacheError> {
        for part in (0..WRITERS).map(|writer| name.part(writer)) {
            match self.dir.create_file(&part, FileMode::Plain) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => {
                    let failed = |source| CacheError::Failed { act: "make a file", source };
                    return created.map(|file| (part, file)).map_err(failed);
                }
            }
        }
        Err(CacheError::Begun)
    }

    /// Adds up what is there, and removes unfinished files that nobody writes any more, and the oldest artifacts until
    /// the rest is within the maximum. It is `now` by the clock that also gave the other files their times.
    fn make_room(&self, ledger: &mut Ledger, now: SystemTime, stop: &Stop) -> Result<(), CacheError> {
        let failed = |source| CacheError::Failed { act: "make room", source };
        let (mut total, mut surplus, mut artifacts) = (0_u64, 0_u64, Vec::new());
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
                continue;
            }
            if artifacts.len() < MAX_ARTIFACTS {
                artifacts.push((found, name.to_owned()));
            } else {
                surplus += 1;
            }
        }
        artifacts.sort_by_key(|(found, _)| found.modified);
        let in_use = artifacts.iter().fold(total, |total, (found, _)| total.saturating_sub(found.len));
        for (found, name) in artifacts {
            // What would not make room enough stays.
            if in_use > self.max_bytes || (total <= self.max_bytes && surplus == 0) {
                break;
            }
            match self.dir.remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => (total, surplus) = (total.saturating_sub(found.len), surplus.saturating_sub(1)),
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

fn fill(file: &mut File, artifact: &mut Verified<Spool>, stop: &Stop) -> Result<(), CacheError> {
    let unreadable = |source| CacheError::Spool { act: "read a spool file", source };
    artifact.rewind().map_err(unreadable)?;
    copy(artifact, file, stop).map_err(|broken| match broken {
        Broken::Stopped => CacheError::Stopped,
        Broken::Read(source) => unreadable(source),
        Broken::Write(source) => CacheError::Failed { act: "write an artifact", source },
    })
}

/// How a copy ended early.
enum Broken {
    Stopped,
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl Write, stop: &Stop) -> Result<(), Broken> {
    let mut buffer = vec![0; CHUNK];
    loop {
        if stop.is_asked() {
            return Err(Broken::Stopped);
        }
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => to.write_all(&buffer[..n]).map_err(Broken::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken::Read(error)),
        }
    }
}

#[cfg(test)]
mod tests;
