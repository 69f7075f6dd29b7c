//! Pins: what the bytes of each entry hash to now, written into the file that lists them.

mod error;
mod several;

use std::io::{self, Read, Seek};
use std::ops::Range;
use std::time::Duration;

use config::{Edit, EntryError, Pins, Place};
use fetch::{FetchError, Fetcher, Spool};
use integrity::{Integrity, OciDigest};
use source::{Allowed, OciReference, Source};
use transport::Stop;

use crate::diff;
pub use error::{PinError, Unpinned};

/// The first bytes of a gzip member.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Which entries are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Those without an integrity.
    Missing,
    /// All of them: what is published now replaces what was pinned before.
    All,
}

/// How the `package` values of registries' artifacts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// As they are.
    AsWritten,
    /// With the digest of the manifest or index that the tag leads to; the tag, kept for the reader, decides nothing any
    /// more. A digest that is there already stays, unless [`Refresh::All`] has its tag looked up again. An entry that is pinned and has none is given the digest that leads
    /// to the pinned bytes, and none when the tag leads to other ones.
    Digest,
}

/// Told the package, a failure that is followed by another try, and the wait before that; from several threads.
pub type PinWaiting<'a> = dyn Fn(&str, &FetchError, Duration) + Sync + 'a;

/// A file with new pins, in memory.
#[must_use = "the pinned text is meant to be written, or its diff to be shown"]
#[derive(Debug)]
#[non_exhaustive]
pub struct Pinned {
    /// The file's text: as it was, but for the changes.
    pub text: String,
    /// What changed, in the file's order.
    pub changes: Vec<Change>,
    /// Entries that were left as they were, though they should have been pinned; in the file's order.
    pub failures: Vec<PinFailure>,
    before: String,
}

/// New values of an entry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// Which of [`Pins::entries`].
    pub entry: usize,
    /// Where it stands in the file.
    pub place: Place,
    /// The `package` value before, for records.
    pub package: String,
    /// The integrity before, if there was a valid one.
    pub before: Option<Integrity>,
    /// The integrity of the bytes that came.
    pub after: Integrity,
    /// The `package` value with its digest, where that was added.
    pub address: Option<String>,
}

/// An entry that was left as it was.
#[derive(Debug)]
#[non_exhaustive]
pub struct PinFailure {
    /// Which of [`Pins::entries`].
    pub entry: usize,
    /// Where it stands in the file.
    pub place: Place,
    /// Its `package` value, for records.
    pub package: String,
    /// Whether the entry is disabled: nobody installs it, so the failure is only worth a note.
    pub disabled: bool,
    /// Why.
    pub cause: Unpinned,
}

/// Fetches what the entries name, and writes what it hashes to into the text. Every entry is shown to the file's
/// `allowedSources` before anything is asked of the network. An entry that cannot be pinned is left as it was, and
/// told; the others are pinned. Disabled ones are pinned as well: they are listed to be enabled one day.
///
/// # Errors
/// When no work could be done, was to be ended, or cannot be written down.
pub fn pin(
    pins: &Pins,
    fetcher: &Fetcher,
    refresh: Refresh,
    address: Address,
    spool: &(dyn Fn() -> io::Result<Spool> + Sync),
    stop: &Stop,
    waiting: &PinWaiting<'_>,
) -> Result<Pinned, PinError> {
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for entry in 0..pins.entries().len() {
        match Task::of(pins, entry, refresh, address) {
            Ok(task) => tasks.extend(task),
            Err(cause) => failures.push((entry, cause)),
        }
    }
    let outcomes = several::each(&tasks, stop, |task| task.run(fetcher, spool, stop, waiting));
    let outcomes = outcomes.map_err(PinError::Threads)?;
    if stop.is_asked() {
        return Err(PinError::Interrupted);
    }
    let mut edits = Vec::new();
    for (task, outcome) in tasks.iter().zip(outcomes) {
        match outcome {
            Ok(edit) if edit.package.is_none() && task.before == Some(edit.integrity) => {}
            Ok(edit) => edits.push(edit),
            Err(cause) => failures.push((task.entry, cause)),
        }
    }
    let text = loop {
        match pins.edited(&edits) {
            Ok(text) => break text,
            Err(error) => match error.entry() {
                Some(entry) if edits.iter().any(|edit| edit.entry == entry) => {
                    edits.retain(|edit| edit.entry != entry);
                    failures.push((entry, Unpinned::Edit(error)));
                }
                _ => return Err(PinError::Edit(error)),
            },
        }
    };
    failures.sort_by_key(|(entry, _)| *entry);
    let failures = failures.into_iter().map(|(entry, cause)| PinFailure::of(pins, entry, cause)).collect();
    let changes = edits.into_iter().map(|edit| Change::of(pins, edit)).collect();
    Ok(Pinned { text, changes, failures, before: pins.text().to_owned() })
}

impl Pinned {
    /// What changed as a unified diff, as `patch -p0` takes it; empty when nothing did. Lines that stay are not shown, as
    /// they may hold secrets; each hunk names its entries in place of them.
    pub fn diff(&self, name: &str) -> String {
        diff::unified(name, &self.before, &self.text, |lines| self.packages(lines))
    }

    /// The changed entries that these lines are of.
    fn packages(&self, lines: Range<usize>) -> String {
        let starts = |change: &Change| usize::try_from(change.place.position().line).unwrap_or(usize::MAX);
        // What is added belongs to the line above it.
        let first = if lines.is_empty() { lines.start - 1 } else { lines.start };
        let last = first.max(lines.end - 1);
        let from = self.changes.iter().map(starts).filter(|line| *line <= first).max().unwrap_or(first);
        let within = self.changes.iter().filter(|change| (from..=last).contains(&starts(change)));
        within.map(|change| change.package.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether every entry that is not disabled has what was asked for.
    pub fn is_complete(&self) -> bool {
        self.failures.iter().all(|failure| failure.disabled)
    }
}

impl Change {
    fn of(pins: &Pins, edit: Edit) -> Self {
        let Edit { entry, integrity: after, package: address } = edit;
        let found = &pins.entries()[entry];
        let (package, before) = (found.package().to_owned(), found.integrity().ok().copied());
        Self { entry, place: found.place(), package, before, after, address }
    }
}

impl PinFailure {
    fn of(pins: &Pins, entry: usize, cause: Unpinned) -> Self {
        let found = &pins.entries()[entry];
        let (package, disabled) = (found.package().to_owned(), found.is_disabled());
        Self { entry, place: found.place(), package, disabled, cause }
    }
}

/// An entry whose bytes are needed.
struct Task {
    entry: usize,
    /// The `package` value as it stands there.
    written: String,
    source: Allowed<Source>,
    before: Option<Integrity>,
    /// What the bytes must hash to.
    pinned: Option<Integrity>,
    address: Address,
}

impl Task {
    /// What there is to do for an entry; nothing, perhaps.
    fn of(pins: &Pins, entry: usize, refresh: Refresh, address: Address) -> Result<Option<Self>, Unpinned> {
        let found = &pins.entries()[entry];
        let before = found.integrity().ok().copied();
        let pinned = before.filter(|_| refresh == Refresh::Missing);
        if pinned.is_some() && address == Address::AsWritten {
            return Ok(None);
        }
        let source = found.admit(pins.policy()).map_err(Unpinned::Entry)?;
        let (source, address) = match (source.subject(), refresh) {
            (Source::Oci(reference), _) if reference.digest().is_none() => (source, address),
            // The tag beside a digest is what somebody follows, the digest is where it led.
            (Source::Oci(reference), Refresh::All) => match without_digest(reference) {
                Some(tagged) => {
                    let tagged = pins.policy().admit(tagged).map_err(|error| Unpinned::Entry(error.into()))?;
                    (tagged, Address::Digest)
                }
                None => (source, Address::AsWritten),
            },
            _ => (source, Address::AsWritten),
        };
        match found.integrity() {
            // Somebody meant something by it.
            Err(error) if refresh == Refresh::Missing && *error != EntryError::IntegrityMissing => {
                Err(Unpinned::Entry(error.clone()))
            }
            _ if pinned.is_some() && address == Address::AsWritten => Ok(None),
            _ => Ok(Some(Self { entry, written: found.package().to_owned(), source, before, pinned, address })),
        }
    }

    fn run(
        &self,
        fetcher: &Fetcher,
        spool: &(dyn Fn() -> io::Result<Spool> + Sync),
        stop: &Stop,
        waiting: &PinWaiting<'_>,
    ) -> Result<Edit, Unpinned> {
        let source = self.source.subject();
        let package = source.to_string();
        let spool = spool().map_err(|source| Unpinned::Spool { package: package.clone(), source })?;
        let artifact = fetcher.fetch(&self.source, spool, stop, &|error, wait| waiting(&package, error, wait));
        let artifact = artifact.map_err(Unpinned::Fetch)?;
        let (integrity, named) = (artifact.integrity(), artifact.origin().named);
        let pinned = self.pinned.unwrap_or(integrity);
        let mut artifact = artifact.verify_pinned(&pinned).map_err(Unpinned::Moved)?;
        let gzipped = begins_as_gzip(&mut artifact);
        if !gzipped.map_err(|source| Unpinned::Spool { package: package.clone(), source })? {
            return Err(Unpinned::NotGzip { package });
        }
        let package = match (source, named, self.address) {
            (Source::Oci(reference), Some(named), Address::Digest) => Some(with_digest(reference, &named)),
            _ => None,
        };
        let package = package.filter(|package| *package != self.written);
        Ok(Edit { entry: self.entry, integrity, package })
    }
}

/// Whether bytes begin as gzip does (RFC 1952, section 2.3.1).
fn begins_as_gzip(artifact: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut start = Vec::new();
    artifact.rewind()?;
    artifact.take(GZIP.len() as u64).read_to_end(&mut start)?;
    Ok(start == GZIP)
}

/// The same reference by its tag; `None` where it has none.
fn without_digest(reference: &OciReference) -> Option<Source> {
    let digest = reference.digest()?;
    reference.tag()?;
    Source::parse(&reference.to_string().replacen(&format!("@{digest}"), "", 1)).ok()
}

/// A reference as it is written, with a digest behind its tag.
fn with_digest(reference: &OciReference, digest: &OciDigest) -> String {
    let written = reference.to_string();
    match written.split_once('!') {
        Some((name, plugin_path)) => format!("{name}@{digest}!{plugin_path}"),
        None => format!("{written}@{digest}"),
    }
}
