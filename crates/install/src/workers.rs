//! Several plugins at once, on owned data: workers that are stuck in the network are left behind, not waited for.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use audit::NoteShape;
use config::Pull;
use integrity::Promise;
use source::{Allowed, Source};
use tarball::Dir;
use transport::{Clock, Deadline, Stop};

use crate::inspect::{Condition, Depth, inspect};
use crate::queue::{Queue, Work};
use crate::root::Remark;
use crate::shop::{Begun, Shop};
use crate::slot::Pending;
use crate::state::{Known, State};
use crate::{Belief, Rejection, Staged};

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

/// What is on the root of a task, and whether that is enough.
pub(crate) enum Seen {
    /// All of it, and nobody is asked.
    Serves(Known),
    /// All of it, though its source may lead to something else by now.
    Intact(Known),
    /// Nothing that serves: what was changed, if that is why.
    Wanting(Option<String>),
}

impl Task {
    pub(crate) fn of(number: usize, pending: &Pending, state: Option<&State>) -> Self {
        let (source, integrity) = (pending.admitted.subject().to_string(), pending.promise.to_string());
        let plugins = state.map_or(&[][..], |state| &state.plugins);
        let known = plugins.iter().find(|k| k.record.source == source && k.record.integrity == integrity).cloned();
        let (source, promise) = (pending.admitted.clone(), pending.promise.clone());
        Self { number, source, promise, pull: pending.pull, known }
    }

    /// Looks at what is installed, in `folder` of `parent`, as closely as the operator wants it.
    pub(crate) fn see(&self, parent: &Dir, folder: &str, belief: Belief, stop: &Stop) -> Result<Seen, Rejection> {
        let Some(known) = &self.known else { return Ok(Seen::Wanting(None)) };
        let is_believed = belief == Belief::State && known.record.synced;
        let depth = if is_believed { Depth::Outline } else { Depth::Content };
        let condition = inspect(known, parent, folder, depth, stop);
        let condition = condition.map_err(|source| Rejection::Host { act: "inspect the installed plugin", source })?;
        Ok(match condition {
            Condition::Intact if self.is_served_by_what_is_there() => Seen::Serves(known.clone()),
            Condition::Intact if self.pull != Pull::Force => Seen::Intact(known.clone()),
            Condition::Intact => Seen::Wanting(None),
            Condition::Changed(what) => Seen::Wanting(Some(what)),
        })
    }

    /// Whether nobody has to be asked about a plugin that is there: what a pinned source leads to by now would not be
    /// the pinned one. A local path costs nothing to look at.
    fn is_served_by_what_is_there(&self) -> bool {
        let is_local = matches!(self.source.subject(), Source::Local(_));
        match self.pull {
            Pull::Force => false,
            Pull::IfNotPresent => !is_local,
            Pull::Always => self.is_pinned(),
        }
    }

    /// Whether what its source leads to is known without a question.
    pub(crate) fn is_pinned(&self) -> bool {
        match (&self.promise, self.source.subject()) {
            (Promise::Hashes(_), _) => true,
            (Promise::Registry, Source::Oci(reference)) => reference.digest().is_some(),
            (Promise::Registry | Promise::Unchecked(_), _) => false,
        }
    }
}

impl Ready {
    pub(crate) fn unchanged(known: Known) -> Self {
        Self::Unchanged(Box::new(known))
    }
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
    /// A task comes to the next stretch of its way.
    Stretch { number: usize, stretch: Stretch },
    /// What a registry answered otherwise than by what was asked for.
    Note { shape: NoteShape, detail: String },
    /// A task is done.
    Finished(Finished),
}

/// What is about to be done for a task.
#[derive(Clone, Copy)]
pub(crate) enum Stretch {
    /// Something has to be, after all.
    Installing,
    /// Its image comes, for all tasks that need it.
    Downloading,
    /// Its bytes are compared with the pinned ones.
    Verifying,
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
            Work::Begin(task) => {
                let (number, mut changed, mut beginning) = (task.number, None, queue.beginning());
                let outcome = match shop.begin(&task, &mut changed, results) {
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
