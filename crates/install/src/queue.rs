//! What the workers have before them: the largest artifact first, as soon as its size is known.
//!
//! A large plugin that comes last keeps one core busy and the others waiting. Where artifacts lie and how large they are
//! is asked by half of the workers, while the others fetch and unpack what is known.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use transport::Stop;

/// How often a wish to stop is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Things to begin with in their order, and begun ones to be finished by size.
pub(crate) struct Queue<T, B> {
    open: Mutex<Open<T, B>>,
    moved: Condvar,
    scouts: usize,
}

struct Open<T, B> {
    fresh: VecDeque<T>,
    begun: Vec<(u64, B)>,
    beginning: usize,
}

/// What a worker does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work<T, B> {
    /// Ask where it is, under a [`Beginning`].
    Begin(T),
    /// Do the rest.
    Finish(B),
}

impl<T, B> Queue<T, B> {
    pub(crate) fn new(fresh: VecDeque<T>, workers: NonZeroUsize) -> Self {
        let open = Open { fresh, begun: Vec::new(), beginning: 0 };
        Self { open: Mutex::new(open), moved: Condvar::new(), scouts: workers.get() / 2 }
    }

    /// Waits for something to do; `None` when nothing is left, or after a wish to stop.
    pub(crate) fn next(&self, stop: &Stop) -> Option<Work<T, B>> {
        let mut open = self.lock();
        while !stop.is_asked() {
            if open.fresh.is_empty() || open.beginning >= self.scouts {
                // Of those of one size the first.
                let largest = open.begun.iter().enumerate().rev().max_by_key(|(_, (size, _))| *size);
                if let Some(at) = largest.map(|(at, _)| at) {
                    return Some(Work::Finish(open.begun.remove(at).1));
                }
            }
            if let Some(task) = open.fresh.pop_front() {
                open.beginning += 1;
                return Some(Work::Begin(task));
            }
            if open.beginning == 0 {
                return None;
            }
            open = self.moved.wait_timeout(open, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    /// For whoever begins with a thing.
    pub(crate) const fn beginning(&self) -> Beginning<'_, T, B> {
        Beginning { queue: self, left: None }
    }

    /// Takes what has come of a thing that was begun, with its size, if it is not done.
    fn begun(&self, left: Option<(u64, B)>) {
        let mut open = self.lock();
        open.beginning = open.beginning.saturating_sub(1);
        open.begun.extend(left);
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Open<T, B>> {
        // The queue is whole between any two operations, whatever happened to another worker.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the queue when it is dropped that a thing was begun. Others wait for that, so that even a panic must not keep it.
pub(crate) struct Beginning<'a, T, B> {
    queue: &'a Queue<T, B>,
    /// What has come of it, with its size, if it is not done.
    pub(crate) left: Option<(u64, B)>,
}

impl<T, B> Drop for Beginning<'_, T, B> {
    fn drop(&mut self) {
        self.queue.begun(self.left.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(fresh: &[char], workers: usize) -> Queue<char, char> {
        Queue::new(fresh.iter().copied().collect(), NonZeroUsize::new(workers).unwrap())
    }

    /// The order in which one worker at a time, that knows each size at once, does everything.
    fn order(workers: usize) -> String {
        let queue = queue(&['a', 'b', 'c', 'd', 'e', 'f'], workers);
        let mut order = String::new();
        while let Some(work) = queue.next(&Stop::new()) {
            match work {
                Work::Begin(task) => queue.begun(Some((if "be".contains(task) { 9 } else { 1 }, task))),
                Work::Finish(task) => order.push(task),
            }
        }
        order
    }

    #[test]
    fn one_worker_goes_by_the_files_order() {
        assert_eq!(order(1), "abcdef");
    }

    #[test]
    fn many_workers_finish_the_largest_first_and_those_of_one_size_in_the_files_order() {
        assert_eq!(order(8), "beacdf");
    }

    #[test]
    fn half_of_the_workers_begin_while_the_others_finish() {
        let queue = queue(&['a', 'b', 'c', 'd', 'e'], 4);
        let next = || queue.next(&Stop::new()).unwrap();
        for task in ['a', 'b', 'c'] {
            assert_eq!(next(), Work::Begin(task));
        }
        queue.begun(Some((1, 'A')));
        assert_eq!(next(), Work::Finish('A'));
        queue.begun(None);
        assert_eq!(next(), Work::Begin('d'));
    }

    #[test]
    fn nobody_leaves_while_something_may_still_come() {
        let queue = queue(&['a'], 2);
        assert_eq!(queue.next(&Stop::new()), Some(Work::Begin('a')));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next(&Stop::new()));
            queue.begun(Some((1, 'A')));
            assert_eq!(waiting.join().unwrap(), Some(Work::Finish('A')));
        });
        assert_eq!(queue.next(&Stop::new()), None);
    }

    #[test]
    fn nobody_waits_for_one_that_panicked() {
        let queue = queue(&['a'], 2);
        let stop = Stop::new();
        std::thread::scope(|scope| {
            let panicked = scope.spawn(|| {
                let _beginning = queue.next(&stop).map(|_| queue.beginning());
                std::panic::resume_unwind(Box::new("meant"));
            });
            assert!(panicked.join().is_err());
        });
        assert_eq!(queue.lock().beginning, 0);
        assert_eq!(queue.next(&stop), None);
    }

    #[test]
    fn a_wish_to_stop_ends_the_waiting() {
        let queue = queue(&['a'], 2);
        let stop = Stop::new();
        assert_eq!(queue.next(&stop), Some(Work::Begin('a')));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next(&stop));
            stop.ask();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
