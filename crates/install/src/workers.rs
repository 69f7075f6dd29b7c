//! Several plugins at once, on owned data: workers that are stuck in the network are left behind, not waited for.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fetch::Fetcher;
use integrity::Integrity;
use source::{Allowed, Source};
use tarball::{Dir, Limits};
use transport::{Clock, Deadline, Stop};

use crate::inspect::{Condition, Depth, inspect};
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
    pub(crate) integrity: Integrity,
    /// What was installed before from the same source with the same integrity.
    pub(crate) known: Option<Known>,
}

/// A plugin that may be visible after the commit.
#[derive(Debug)]
pub(crate) enum Ready {
    /// It is on the root as it was installed.
    Unchanged(Box<Known>),
    /// It is ready to be made visible.
    Staged(Box<Staged>),
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
    /// A task is done.
    Finished(Finished),
}

/// What all workers share.
pub(crate) struct Shop {
    pub(crate) root: Dir,
    pub(crate) staging: Arc<Staging>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) limits: Limits,
    pub(crate) belief: Belief,
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
    mut heard: impl FnMut(Word),
) -> io::Result<()> {
    let mut open = tasks.len();
    let workers = jobs.get().min(open);
    let (clock, ended) = (Arc::clone(&shop.clock), shop.stop.clone());
    let queue = Arc::new((Mutex::new(tasks), shop));
    let (sender, results) = channel();
    for started in 0..workers {
        let (queue, sender) = (Arc::clone(&queue), sender.clone());
        let thread = std::thread::Builder::new().spawn(move || serve(&queue.0, &queue.1, &sender));
        match thread {
            Err(error) if started == 0 => return Err(error),
            // The others do the work.
            Err(_) => break,
            Ok(_) => {}
        }
    }
    drop(sender);
    let mut grace = None;
    while open > 0 {
        match results.recv_timeout(POLL) {
            Ok(word) => {
                open -= usize::from(matches!(word, Word::Finished(_)));
                heard(word);
            }
            Err(RecvTimeoutError::Timeout) if interrupt.is_asked() => ended.ask(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ended.is_asked() {
            // What still comes is taken, for a while.
            let deadline: &mut Deadline = grace.get_or_insert_with(|| Deadline::after(&*clock, PATIENCE));
            if deadline.left(&*clock).is_zero() {
                break;
            }
        }
    }
    Ok(())
}

fn serve(queue: &Mutex<VecDeque<Task>>, shop: &Shop, results: &Sender<Word>) {
    while !shop.stop.is_asked() {
        // The queue is whole between any two operations, whatever happened to another worker.
        let Some(task) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
        let started = shop.clock.uptime();
        let (number, mut changed) = (task.number, None);
        let outcome = shop.see_to(task, &mut changed, results).map_err(Box::new);
        if outcome.is_err() {
            // Space for the others; whatever stays goes with the staging folder.
            drop(shop.staging.discard(number));
        }
        let took = shop.clock.uptime().saturating_sub(started);
        if results.send(Word::Finished(Finished { number, outcome, changed, took })).is_err() {
            return;
        }
    }
}

impl Shop {
    fn see_to(&self, task: Task, changed: &mut Option<String>, words: &Sender<Word>) -> Result<Ready, Rejection> {
        let host = |act| move |source| Rejection::Host { act, source };
        if let Some(known) = task.known {
            let dest = &known.record.dest;
            let is_believed = self.belief == Belief::State && known.record.synced;
            let depth = if is_believed { Depth::Outline } else { Depth::Content };
            let condition = inspect(&known, &self.root, dest, depth, &self.stop);
            match condition.map_err(host("inspect the installed plugin"))? {
                Condition::Intact => return Ok(Ready::Unchanged(Box::new(known))),
                Condition::Changed(what) => *changed = Some(what),
            }
        }
        let spool = self.staging.spool().map_err(host("make a spool file"))?;
        let fetched = self.fetcher.fetch(&task.source, spool, &self.stop, &|error, wait| {
            let detail = format!("{}; next try in {:.1} s", Chain(error), wait.as_secs_f64());
            // Nobody listens any more after a stop.
            drop(words.send(Word::Waiting { number: task.number, detail }));
        })?;
        let origin = fetched.origin().clone();
        let artifact = fetched.verify(&task.integrity)?;
        let staged = self.staging.stage(task.number, artifact, &origin, &self.limits, &self.stop)?;
        Ok(Ready::Staged(Box::new(staged)))
    }
}
