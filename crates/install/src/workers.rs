//! Several plugins at once, on owned data: workers that are stuck in the network are left behind, not waited for.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fetch::Fetcher;
use integrity::Integrity;
use source::{Allowed, Source};
use tarball::{Dir, Limits};
use transport::{Clock, Deadline, Stop};

use crate::inspect::{Condition, inspect};
use crate::staging::Staging;
use crate::state::Known;
use crate::{Rejection, Staged};

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

/// What became of it.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is on the root as it was installed.
    Unchanged(Known),
    /// It is ready to be made visible.
    Staged(Box<Staged>),
    /// It is not.
    Rejected(Box<Rejection>),
}

/// A finished task.
pub(crate) struct Finished {
    pub(crate) number: usize,
    pub(crate) seen: Seen,
    /// What an inspection found to be changed, so that it was fetched anew.
    pub(crate) changed: Option<String>,
    pub(crate) took: Duration,
}

/// What all workers share.
pub(crate) struct Shop {
    pub(crate) root: Dir,
    pub(crate) staging: Arc<Staging>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
}

/// Sees to all tasks and calls `finished` for each as it is done. Ends early when `interrupt` is asked, or when
/// `finished` asks the shop's own stop.
///
/// # Errors
/// When not even one thread can be started.
pub(crate) fn work(
    shop: Shop,
    jobs: NonZeroUsize,
    tasks: VecDeque<Task>,
    interrupt: &Stop,
    mut finished: impl FnMut(Finished),
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
    while open > 0 && !ended.is_asked() {
        match results.recv_timeout(POLL) {
            Ok(done) => {
                open -= 1;
                finished(done);
            }
            Err(RecvTimeoutError::Timeout) if interrupt.is_asked() => ended.ask(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    wind_down(&results, open, &*clock, finished);
    Ok(())
}

/// After a stop: takes what still comes, for a while.
fn wind_down(results: &Receiver<Finished>, mut open: usize, clock: &dyn Clock, mut finished: impl FnMut(Finished)) {
    let deadline = Deadline::after(clock, PATIENCE);
    while open > 0 && !deadline.left(clock).is_zero() {
        match results.recv_timeout(POLL) {
            Ok(done) => {
                open -= 1;
                finished(done);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn serve(queue: &Mutex<VecDeque<Task>>, shop: &Shop, results: &Sender<Finished>) {
    while !shop.stop.is_asked() {
        // The queue is whole between any two operations, whatever happened to another worker.
        let Some(task) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
        let started = shop.clock.uptime();
        let (number, mut changed) = (task.number, None);
        let seen = shop.see_to(task, &mut changed).unwrap_or_else(|why| Seen::Rejected(Box::new(why)));
        if matches!(seen, Seen::Rejected(_)) {
            // Space for the others; whatever stays goes with the staging folder.
            drop(shop.staging.discard(number));
        }
        let took = shop.clock.uptime().saturating_sub(started);
        if results.send(Finished { number, seen, changed, took }).is_err() {
            return;
        }
    }
}

impl Shop {
    fn see_to(&self, task: Task, changed: &mut Option<String>) -> Result<Seen, Rejection> {
        let host = |act| move |source| Rejection::Host { act, source };
        if let Some(known) = task.known {
            let dest = &known.record.dest;
            let condition = inspect(&self.root, &known, &self.root, dest, &self.stop);
            match condition.map_err(host("inspect the installed plugin"))? {
                Condition::Intact => return Ok(Seen::Unchanged(known)),
                Condition::Changed(what) => *changed = Some(what),
            }
        }
        let spool = self.staging.spool().map_err(host("make a spool file"))?;
        let fetched = self.fetcher.fetch(&task.source, spool, &self.stop)?;
        let origin = fetched.origin().clone();
        let artifact = fetched.verify(&task.integrity)?;
        let staged = self.staging.stage(task.number, artifact, &origin, &self.limits, &self.stop)?;
        Ok(Seen::Staged(Box::new(staged)))
    }
}
