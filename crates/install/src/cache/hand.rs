//! A thread that touches the cache in a worker's place. A volume that answers nobody holds up that thread, which is
//! left behind, and not the run.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use transport::Stop;

use super::{Cache, CacheError, Shelf};

/// How often a wish to stop is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How long the volume is waited for after a wish to stop.
const GRACE: Duration = Duration::from_secs(1);

type Act = Box<dyn FnOnce() + Send>;

/// Does one thing after the other.
pub(super) struct Hand<'a> {
    cache: &'a Cache,
    stop: &'a Stop,
    acts: Sender<Act>,
    /// Whether nobody waits for it any more.
    is_left: Cell<bool>,
}

impl<'a> Hand<'a> {
    pub(super) fn new(cache: &'a Cache, stop: &'a Stop) -> Result<Self, CacheError> {
        if cache.silent.load(Ordering::Relaxed) {
            return Err(CacheError::Silent);
        }
        let acts = start().map_err(|source| CacheError::Failed { act: "start a thread", source })?;
        Ok(Self { cache, stop, acts, is_left: Cell::new(false) })
    }

    /// Has something done and waits for it, though not for ever. Once it was left behind, it is not waited for at all,
    /// and does what it is asked if the volume answers after all.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce(&Shelf) -> Result<T, CacheError> + Send + 'static,
    ) -> Result<T, CacheError> {
        let touched = Arc::clone(&self.cache.shelf);
        let done = order(&self.acts, move || act(&touched));
        if self.is_left.get() {
            return Err(CacheError::Silent);
        }
        wait(&done, self.cache.patience, self.stop).unwrap_or_else(|kind| {
            self.is_left.set(true);
            // One says it, and everybody else goes on without asking.
            Err(match kind {
                io::ErrorKind::Interrupted => CacheError::Stopped,
                io::ErrorKind::TimedOut if self.cache.silent.swap(true, Ordering::Relaxed) => CacheError::Silent,
                kind => CacheError::Failed { act: what, source: kind.into() },
            })
        })
    }
}

/// Does one thing on a thread of its own, which is left behind after a while.
pub(super) fn unless_silent<T: Send + 'static>(
    patience: Duration,
    stop: &Stop,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = order(&start()?, act);
    wait(&done, patience, stop).unwrap_or_else(|kind| Err(kind.into()))
}

fn start() -> io::Result<Sender<Act>> {
    let (acts, asked) = channel::<Act>();
    std::thread::Builder::new().spawn(move || asked.into_iter().for_each(|act| act()))?;
    Ok(acts)
}

fn order<T: Send + 'static>(acts: &Sender<Act>, act: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, done) = channel();
    // Where the thread or the one who waits is gone, the other end says so.
    drop(acts.send(Box::new(move || drop(sender.send(act())))));
    done
}

fn wait<T>(done: &Receiver<T>, patience: Duration, stop: &Stop) -> Result<T, io::ErrorKind> {
    let (mut patience, mut grace) = (patience, GRACE);
    loop {
        match done.recv_timeout(POLL) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::Other),
            Err(RecvTimeoutError::Timeout) if stop.is_asked() => {
                grace = grace.checked_sub(POLL).ok_or(io::ErrorKind::Interrupted)?;
            }
            Err(RecvTimeoutError::Timeout) => {
                patience = patience.checked_sub(POLL).ok_or(io::ErrorKind::TimedOut)?;
            }
        }
    }
}
