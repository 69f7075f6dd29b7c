//! What is done for one plugin: looked at, located, fetched, verified, staged.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use audit::NoteShape;
use config::Dialect;
use fetch::{Answered, FetchError, Fetcher, Origin, Spool};
use integrity::{Hashed, Promise, Verified};
use source::{AllowedKind, GitSpec, LocalPath, PluginPath, Source};
use tarball::{Dir, Limits};
use transport::{Clock, Stop};

use crate::cache::{Cache, CacheError, Name};
use crate::local::{Found, Local, named};
use crate::root::Remark;
use crate::shared::Shared;
use crate::staging::Staging;
use crate::state::Known;
use crate::workers::{Ready, Seen, Stretch, Task, Word};
use crate::{Belief, Chain, Rejection, Staged};

/// What all workers share.
pub(crate) struct Shop {
    pub(crate) root: Dir,
    pub(crate) staging: Arc<Staging>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) cache: Option<Cache>,
    pub(crate) limits: Limits,
    pub(crate) belief: Belief,
    pub(crate) dialect: Dialect,
    pub(crate) local: Local,
    pub(crate) shared: Shared,
    /// The root's path, for git.
    pub(crate) path: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
}

/// What came of a task's beginning.
pub(crate) enum Begun {
    Ready(Ready),
    Located(Box<fetch::Located>),
}

impl From<Ready> for Begun {
    fn from(ready: Ready) -> Self {
        Self::Ready(ready)
    }
}

impl Shop {
    /// Sees whether anything is to be fetched, and where from.
    pub(crate) fn begin(
        &self,
        task: &Task,
        changed: &mut Option<String>,
        words: &Sender<Word>,
    ) -> Result<Begun, Rejection> {
        let dest = task.known.as_ref().map_or_else(String::new, |known| known.record.dest.clone());
        let intact = match task.see(&self.root, &dest, self.belief, &self.stop)? {
            Seen::Serves(known) => return Ok(Ready::unchanged(known).into()),
            Seen::Intact(known) => Some(known),
            Seen::Wanting(what) => {
                *changed = what;
                None
            }
        };
        match task.source.kind() {
            AllowedKind::Local(path) => self.take_local(task, path.subject(), intact, words).map(Begun::Ready),
            AllowedKind::Git(spec) => self.check_out(task, spec.subject(), intact, words).map(Begun::Ready),
            AllowedKind::Oci(_) | AllowedKind::Https(_) | AllowedKind::Npm(_) => {
                tell_stretch(task.number, Stretch::Installing, words);
                match self.take_from_cache(task, words)? {
                    Some(staged) => Ok(Ready::Staged(Box::new(staged)).into()),
                    None => self.locate(task, intact, words),
                }
            }
        }
    }

    fn take_local(
        &self,
        task: &Task,
        path: &LocalPath,
        intact: Option<Known>,
        words: &Sender<Word>,
    ) -> Result<Ready, Rejection> {
        let found = self.local.look(path, intact.as_ref(), (&self.staging, &self.root), &self.limits, &self.stop)?;
        match (found, intact) {
            (Found::Artifact(hashed), _) => {
                tell_stretch(task.number, Stretch::Installing, words);
                self.stage_own(task, hashed)
            }
            (Found::Same, Some(known)) => Ok(Ready::unchanged(known)),
            (Found::Nothing, Some(known)) => {
                // Nobody listens any more after a stop.
                drop(words.send(Word::Remark(gone(path, &known))));
                Ok(Ready::Absent)
            }
            (Found::Same | Found::Nothing, _) => Ok(Ready::Absent),
        }
    }

    fn check_out(
        &self,
        task: &Task,
        spec: &GitSpec,
        intact: Option<Known>,
        words: &Sender<Word>,
    ) -> Result<Ready, Rejection> {
        tell_stretch(task.number, Stretch::Installing, words);
        let place = (&*self.staging, task.number, &*self.path);
        let clock = (&*self.clock, &self.stop);
        match (self.local.check_out(spec, &task.promise, place, &self.limits, clock), intact) {
            (Ok(hashed), _) => self.stage_own(task, hashed),
            (Err(why), Some(known)) => self.keep_last(task, known, &Chain(&why).to_string(), words),
            (Err(why), None) => Err(why),
        }
    }

    fn locate(&self, task: &Task, intact: Option<Known>, words: &Sender<Word>) -> Result<Begun, Rejection> {
        let located = self.fetcher.locate(&task.source, &self.stop, &tell_retry(task.number, words));
        match (located, intact) {
            (Err(why), Some(known)) => self.keep_last(task, known, &Chain(&why).to_string(), words).map(Begun::Ready),
            (Err(why), None) => Err(why.into()),
            (Ok(artifact), Some(known)) if leads_to(&artifact, &known) => Ok(Ready::SameDigest(Box::new(known)).into()),
            (Ok(artifact), _) => {
                let source = task.source.subject();
                let place = elsewhere(&artifact, source).map(|detail| (NoteShape::Item, detail));
                let folder = found_folder(&artifact, source).map(|detail| (NoteShape::Heading, detail));
                let folder = folder.filter(|_| self.dialect == Dialect::Rhdh);
                for (shape, detail) in place.into_iter().chain(folder) {
                    // Nobody listens any more after a stop.
                    drop(words.send(Word::Note { shape, detail }));
                }
                Ok(Begun::Located(Box::new(artifact)))
            }
        }
    }

    /// What a source that cannot be asked led to the last time is still there, and serves.
    fn keep_last(&self, task: &Task, known: Known, why: &str, words: &Sender<Word>) -> Result<Ready, Rejection> {
        if self.stop.is_asked() {
            return Err(Rejection::Interrupted);
        }
        // Nobody listens any more after a stop.
        drop(words.send(Word::Remark(unreachable(task, why))));
        Ok(Ready::unchanged(known))
    }

    /// Stages an artifact that was made here.
    fn stage_own(&self, task: &Task, hashed: Hashed<Spool>) -> Result<Ready, Rejection> {
        let origin = Origin { manifest: named(&hashed), ..Origin::default() };
        let artifact = hashed.keeps(&task.promise, None)?;
        let staged = self.stage(task.number, &mut [artifact], &origin)?;
        Ok(Ready::Staged(Box::new(staged)))
    }

    fn stage(&self, number: usize, layers: &mut [Verified<Spool>], origin: &Origin) -> Result<Staged, Rejection> {
        self.staging.stage(number, layers, origin, self.dialect, &self.limits, &self.stop)
    }

    /// Fetches, verifies and stages what was located.
    pub(crate) fn finish(
        &self,
        task: &Task,
        artifact: fetch::Located,
        words: &Sender<Word>,
    ) -> Result<Staged, Rejection> {
        let source = task.source.subject();
        let spools = || self.staging.spool();
        let retry = tell_retry(task.number, words);
        let fetched = self.shared.fetch((source, &task.promise), artifact, |artifact| {
            if matches!(source, Source::Oci(_)) {
                tell_stretch(task.number, Stretch::Downloading, words);
            }
            self.fetcher.fetch_located(artifact, &task.promise, &spools, &self.stop, &retry)
        })?;
        let mut origin = fetched.origin().clone();
        if let (Promise::Unchecked(_), None) = (&task.promise, origin.manifest) {
            // Nobody said what it would be: what it was is remembered.
            origin.manifest = fetched.digest();
        }
        if matches!(task.promise, Promise::Hashes(_)) {
            tell_stretch(task.number, Stretch::Verifying, words);
        }
        let is_page = fetched.is_page() || fetched.is_empty();
        let mut layers =
            fetched.verify(&task.promise).map_err(if is_page { Rejection::Page } else { Rejection::Mismatch })?;
        let staged = self.stage(task.number, &mut layers, &origin)?;
        if let [artifact] = &mut *layers {
            self.keep_in_cache(task, artifact, &origin, words);
        }
        Ok(staged)
    }

    /// Stages what the cache has for a task, if it has something, without asking anybody.
    fn take_from_cache(&self, task: &Task, words: &Sender<Word>) -> Result<Option<Staged>, Rejection> {
        // What nobody pinned may be something else today.
        let (Some(cache), Some(pinned)) = (&self.cache, task.promise.pinned()) else { return Ok(None) };
        let source = task.source.subject();
        let spool = || self.staging.spool();
        let artifact = match cache.take(&Name::of(source, &pinned), &pinned, spool, &self.stop) {
            Ok(Some(artifact)) => artifact,
            Ok(None) => return Ok(None),
            Err(CacheError::Stopped) => return Err(Rejection::Interrupted),
            Err(why) => {
                if let Some(remark) = cache.remark(&why, source) {
                    // Nobody listens any more after a stop.
                    drop(words.send(Word::Remark(remark)));
                }
                return Ok(None);
            }
        };
        let origin = Origin { plugin_path: named_folder(source).cloned(), ..Origin::default() };
        match self.stage(task.number, &mut [artifact], &origin) {
            Ok(mut staged) => {
                staged.cached = true;
                Ok(Some(staged))
            }
            // Nobody here put it there: its source may know what folder of it is the plugin.
            Err(Rejection::Unpack(_)) if !self.stop.is_asked() => {
                let discarded = self.staging.discard(task.number);
                discarded.map_err(|source| Rejection::Host { act: "empty a staging folder", source })?;
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }

    fn keep_in_cache(&self, task: &Task, artifact: &mut Verified<Spool>, origin: &Origin, words: &Sender<Word>) {
        let (Some(cache), Some(pinned)) = (&self.cache, task.promise.pinned()) else { return };
        let source = task.source.subject();
        let kept = if origin.plugin_path.as_ref() == named_folder(source) {
            cache.keep(&Name::of(source, &pinned), artifact, &self.stop)
        } else {
            Err(CacheError::Unnamed)
        };
        let detail = match &kept {
            Ok(()) => "stored".to_owned(),
            Err(why) => format!("not stored: {}", Chain(why)),
        };
        let remark = kept.err().and_then(|why| cache.remark(&why, source)).map(Word::Remark);
        // Nobody listens any more after a stop.
        for word in [Word::Cache { number: task.number, detail }].into_iter().chain(remark) {
            drop(words.send(word));
        }
    }
}

/// What is told of a local plugin that is not where it was.
pub(crate) fn gone(path: &LocalPath, known: &Known) -> Remark {
    let name = &known.record.name;
    let detail = format!("there is nothing at `{path}` any more, and `{name}`, installed from it, is removed");
    Remark { reason: "local_package_gone", detail }
}

/// What is told of a source that cannot be asked.
pub(crate) fn unreachable(task: &Task, why: &str) -> Remark {
    let source = task.source.subject();
    let detail = format!("`{source}` could not be looked up again, and what was installed from it stays: {why}");
    Remark { reason: "source_unreachable", detail }
}

fn tell_stretch(number: usize, stretch: Stretch, words: &Sender<Word>) {
    // Nobody listens any more after a stop.
    drop(words.send(Word::Stretch { number, stretch }));
}

fn tell_retry(number: usize, words: &Sender<Word>) -> impl Fn(&FetchError, Duration) {
    move |error, wait| {
        let detail = format!("{}; next try in {:.1} s", Chain(error), wait.as_secs_f64());
        // Nobody listens any more after a stop.
        drop(words.send(Word::Waiting { number, detail }));
    }
}

/// Whether a source leads to what was installed from it.
pub(crate) fn leads_to(artifact: &fetch::Located, known: &Known) -> bool {
    artifact.manifest().is_some_and(|manifest| Some(manifest.to_string()) == known.record.manifest)
}

/// What is told of a place that answered instead of the registry's own.
fn elsewhere(artifact: &fetch::Located, source: &Source) -> Option<String> {
    match artifact.answered()? {
        Answered::Itself => None,
        Answered::Elsewhere(place) => Some(format!("Found {source} at {place}")),
        Answered::Fallback(place) => {
            let namespace = place.repository().split('/').next().unwrap_or_default();
            Some(format!("Falling back to {}/{namespace}/ for {source}", place.registry()))
        }
    }
}

/// What is told of a folder that the image itself named.
fn found_folder(artifact: &fetch::Located, source: &Source) -> Option<String> {
    let folder = artifact.plugin_path().filter(|_| named_folder(source).is_none())?;
    Some(format!("Auto-resolving OCI package {source} to use plugin path: {folder}"))
}

/// The folder of an image that the operator chose.
const fn named_folder(source: &Source) -> Option<&PluginPath> {
    match source {
        Source::Oci(reference) => reference.plugin_path(),
        Source::Https(_) | Source::Npm(_) | Source::Git(_) | Source::Local(_) => None,
    }
}
