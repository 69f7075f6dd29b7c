//! Several plugins at once, on owned data: workers that are stuck in the network are left behind, not waited for.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use config::{Dialect, Pull};
use fetch::{Answered, FetchError, Fetcher, Origin, Spool};
use integrity::{Hashed, Promise, Verified};
use source::{Allowed, AllowedKind, PluginPath, Source};
use tarball::{Dir, Limits};
use transport::{Clock, Deadline, Stop};

use crate::cache::{Cache, CacheError, Name};
use crate::inspect::{Condition, Depth, inspect};
use crate::local::{Found, Local, named};
use crate::queue::{Queue, Work};
use crate::root::Remark;
use crate::shared::Shared;
use crate::staging::Staging;
use crate::state::Known;
use crate::{Belief, Chain, Rejection, Staged};

/// How often a wish to stop is looked for while nothing else happens.
const POLL: Duration = Duration::from_millis(20);
/// How long workers may take to notice that they should stop. They look between any two reads and writes; only one
/// that waits for the network is left behind.
const PATIENCE: Duration = Duration::from_secs(2);

/// One plugin to see to.
pub(crate) struct Task {
    /// Its number in the file.
    pub(crate) number: usize,
    pub(crate) source: Allowed<Source>,
    pub(crate) promise: Promise,
    pub(crate) pull: Pull,
    /// What was installed before from the same source with the same integrity.
    pub(crate) known: Option<Known>,
}

/// A plugin that may be visible after the commit.
#[derive(Debug)]
pub(crate) enum Ready {
    /// It is on the root as it was installed.
    Unchanged(Box<Known>),
    /// So it is, and its source still leads to it.
    SameDigest(Box<Known>),
    /// There is nothing at its local path, and nothing to be made visible.
    Absent,
    /// It is ready to be made visible.
    Staged(Box<Staged>),
}

/// What came of a task's beginning.
enum Begun {
    Ready(Ready),
    Located(Box<fetch::Located>),
}

/// A task whose artifact is to be fetched.
struct Located {
    task: Task,
    artifact: Box<fetch::Located>,
    changed: Option<String>,
    took: Duration,
}

/// A finished task.
pub(crate) struct Finished {
    pub(crate) number: usize,
    pub(crate) outcome: Result<Ready, Box<Rejection>>,
    /// What an inspection found to be changed, so that it was fetched anew.
    pub(crate) changed: Option<String>,
    pub(crate) took: Duration,
}

/// What is heard from the workers.
pub(crate) enum Word {
    /// A request failed, and is made again after a while.
    Waiting { number: usize, detail: String },
    /// What the operator should know about the cache.
    Remark(Remark),
    /// What the cache had to do with a task.
    Cache { number: usize, detail: String },
    /// An artifact is about to be fetched.
    Fetching { number: usize },
    /// Its registry's own place did not answer.
    Elsewhere { detail: String },
    /// A task is done.
    Finished(Finished),
}

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

/// Sees to all tasks, and tells `heard` what comes from the workers. Ends early when `interrupt` is asked, or when
/// `heard` asks the shop's own stop.
///
/// # Errors
/// When not even one thread can be started.
pub(crate) fn work(
    shop: Shop,
    jobs: NonZeroUsize,
    tasks: VecDeque<Task>,
    interrupt: &Stop,
    heard: impl FnMut(Word),
) -> io::Result<()> {
    let workers = jobs.get().min(tasks.len());
    let (clock, ended) = (Arc::clone(&shop.clock), shop.stop.clone());
    let queue = Arc::new((Queue::new(tasks, jobs), shop));
    let (sender, results) = channel();
    for started in 0..workers {
        let (queue, sender) = (Arc::clone(&queue), sender.clone());
        let thread = std::thread::Builder::new().spawn(move || {
            serve(&queue.0, &queue.1, &sender);
            // In this order: who is not heard any more holds nothing of the root's.
            drop(queue);
            drop(sender);
        });
        match thread {
            Err(error) if started == 0 => return Err(error),
            // The others do the work.
            Err(_) => break,
            Ok(_) => {}
        }
    }
    drop((sender, queue));
    listen(&results, interrupt, &ended, &*clock, heard);
    Ok(())
}

/// Hears the workers until all have gone, or until they had a while to do so after a stop.
fn listen(results: &Receiver<Word>, interrupt: &Stop, ended: &Stop, clock: &dyn Clock, mut heard: impl FnMut(Word)) {
    let mut grace = None;
    loop {
        // Words may come without a pause, so this is looked at before each.
        if interrupt.is_asked() {
            ended.ask();
        }
        if ended.is_asked() {
            let deadline: &mut Deadline = grace.get_or_insert_with(|| Deadline::after(clock, PATIENCE));
            if deadline.left(clock).is_zero() {
                return;
            }
        }
        match results.recv_timeout(POLL) {
            Ok(word) => heard(word),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn serve(queue: &Queue<Task, Located>, shop: &Shop, results: &Sender<Word>) {
    while let Some(work) = queue.next(&shop.stop) {
        let started = shop.clock.uptime();
        let took = || shop.clock.uptime().saturating_sub(started);
        let (number, outcome, changed, took) = match work {
            Work::Begin(mut task) => {
                let (number, mut changed, mut beginning) = (task.number, None, queue.beginning());
                let outcome = match shop.begin(&mut task, &mut changed, results) {
                    Ok(Begun::Located(artifact)) => {
                        // One whose size nobody tells may be large.
                        let size = artifact.size().unwrap_or(u64::MAX);
                        beginning.left = Some((size, Located { task, artifact, changed, took: took() }));
                        continue;
                    }
                    Ok(Begun::Ready(ready)) => Ok(ready),
                    Err(why) => Err(why),
                };
                drop(beginning);
                (number, outcome, changed, took())
            }
            Work::Finish(Located { task, artifact, changed, took: before }) => {
                let number = task.number;
                let outcome = shop.finish(&task, *artifact, results).map(|staged| Ready::Staged(Box::new(staged)));
                (number, outcome, changed, before + took())
            }
        };
        if outcome.is_err() {
            // Space for the others; whatever stays goes with the staging folder.
            drop(shop.staging.discard(number));
        }
        let outcome = outcome.map_err(Box::new);
        if results.send(Word::Finished(Finished { number, outcome, changed, took })).is_err() {
            return;
        }
    }
}

impl Shop {
    /// Sees whether anything is to be fetched, and where from.
    fn begin(&self, task: &mut Task, changed: &mut Option<String>, words: &Sender<Word>) -> Result<Begun, Rejection> {
        let mut intact = None;
        if let Some(known) = task.known.take() {
            let dest = &known.record.dest;
            let is_believed = self.belief == Belief::State && known.record.synced;
            let depth = if is_believed { Depth::Outline } else { Depth::Content };
            let condition = inspect(&known, &self.root, dest, depth, &self.stop);
            match condition.map_err(|source| Rejection::Host { act: "inspect the installed plugin", source })? {
                Condition::Changed(what) => *changed = Some(what),
                Condition::Intact => match (task.pull, &task.promise) {
                    (Pull::Force, _) => {}
                    // Whatever else it may lead to by now would not be the pinned one.
                    (Pull::IfNotPresent, _) | (Pull::Always, Promise::Hashes(_))
                        if !matches!(task.source.subject(), Source::Local(_)) =>
                    {
                        return Ok(Begun::Ready(Ready::Unchanged(Box::new(known))));
                    }
                    (Pull::IfNotPresent | Pull::Always, _) => intact = Some(known),
                },
            }
        }
        match task.source.kind() {
            AllowedKind::Local(path) => {
                let found =
                    self.local.look(path.subject(), intact.as_ref(), &self.staging, &self.limits, &self.stop)?;
                return match (found, intact) {
                    (Found::Artifact(hashed), _) => self.stage_own(task, hashed).map(Begun::Ready),
                    (Found::Same, Some(known)) => Ok(Begun::Ready(Ready::Unchanged(Box::new(known)))),
                    (Found::Same | Found::Nothing, _) => Ok(Begun::Ready(Ready::Absent)),
                };
            }
            AllowedKind::Git(spec) => {
                let place = (&*self.staging, task.number, &*self.path);
                let (clock, stop) = (&*self.clock, &self.stop);
                let checked_out =
                    self.local.check_out(spec.subject(), &task.promise, place, &self.limits, (clock, stop));
                return match (checked_out, intact) {
                    (Ok(hashed), _) => self.stage_own(task, hashed).map(Begun::Ready),
                    (Err(why), Some(known)) => self.keep_last(task, known, &Chain(&why).to_string(), words),
                    (Err(why), None) => Err(why),
                };
            }
            AllowedKind::Oci(_) | AllowedKind::Https(_) | AllowedKind::Npm(_) => {}
        }
        if let Some(staged) = self.take_from_cache(task, words)? {
            return Ok(Begun::Ready(Ready::Staged(Box::new(staged))));
        }
        let located = self.fetcher.locate(&task.source, &self.stop, &tell_retry(task.number, words));
        match (located, intact) {
            (Err(why), Some(known)) => self.keep_last(task, known, &Chain(&why).to_string(), words),
            (Err(why), None) => Err(why.into()),
            (Ok(artifact), Some(known)) if leads_to(&artifact, &known) => {
                Ok(Begun::Ready(Ready::SameDigest(Box::new(known))))
            }
            (Ok(artifact), _) => {
                if let Some(detail) = elsewhere(&artifact, task.source.subject()) {
                    // Nobody listens any more after a stop.
                    drop(words.send(Word::Elsewhere { detail }));
                }
                Ok(Begun::Located(Box::new(artifact)))
            }
        }
    }

    /// What a source that cannot be asked led to the last time is still there, and serves.
    fn keep_last(&self, task: &Task, known: Known, why: &str, words: &Sender<Word>) -> Result<Begun, Rejection> {
        if self.stop.is_asked() {
            return Err(Rejection::Interrupted);
        }
        let detail =
            format!("`{}` could not be asked, and what was installed from it stays: {why}", task.source.subject());
        // Nobody listens any more after a stop.
        drop(words.send(Word::Remark(Remark { reason: "source_unreachable", detail })));
        Ok(Begun::Ready(Ready::Unchanged(Box::new(known))))
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

    fn finish(&self, task: &Task, artifact: fetch::Located, words: &Sender<Word>) -> Result<Staged, Rejection> {
        // Nobody listens any more after a stop.
        drop(words.send(Word::Fetching { number: task.number }));
        let spools = || self.staging.spool();
        let retry = tell_retry(task.number, words);
        let fetched = self.shared.fetch(task.source.subject(), artifact, |artifact| {
            self.fetcher.fetch_located(artifact, &task.promise, &spools, &self.stop, &retry)
        })?;
        let origin = fetched.origin().clone();
        let mut layers = fetched.verify(&task.promise)?;
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

fn tell_retry(number: usize, words: &Sender<Word>) -> impl Fn(&FetchError, Duration) {
    move |error, wait| {
        let detail = format!("{}; next try in {:.1} s", Chain(error), wait.as_secs_f64());
        // Nobody listens any more after a stop.
        drop(words.send(Word::Waiting { number, detail }));
    }
}

/// Whether a source leads to what was installed from it.
fn leads_to(artifact: &fetch::Located, known: &Known) -> bool {
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

/// The folder of an image that the operator chose.
const fn named_folder(source: &Source) -> Option<&PluginPath> {
    match source {
        Source::Oci(reference) => reference.plugin_path(),
        Source::Https(_) | Source::Npm(_) | Source::Git(_) | Source::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transport::SystemClock;

    #[test]
    fn a_wish_to_stop_is_heard_between_words_that_come_without_a_pause() {
        let (sender, results) = channel();
        for number in 0..3 {
            sender.send(Word::Waiting { number, detail: String::new() }).unwrap();
        }
        drop(sender);
        let (interrupt, ended) = (Stop::new(), Stop::new());
        let mut heard = Vec::new();
        listen(&results, &interrupt, &ended, &SystemClock::start(), |_| {
            heard.push(ended.is_asked());
            interrupt.ask();
        });
        assert_eq!(heard, [false, true, true]);
    }
}
