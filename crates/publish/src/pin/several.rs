//! Several things at once.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

use transport::Stop;

/// Threads at most.
const JOBS: usize = 4;

/// Does something with each item and gives the outcomes in the items' order; fewer of them after a stop.
///
/// # Errors
/// When not even one thread can be started.
pub(super) fn each<T: Sync, R: Send>(items: &[T], stop: &Stop, act: impl Fn(&T) -> R + Sync) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let serve = || {
        let mut done = Vec::new();
        while !stop.is_asked() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            done.push((index, act(item)));
        }
        done
    };
    let mut done = scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..JOBS.min(items.len()) {
            match Builder::new().spawn_scoped(scope, serve) {
                Ok(worker) => workers.push(worker),
                Err(error) if workers.is_empty() => return Err(error),
                // The others do the work.
                Err(_) => break,
            }
        }
        let joined = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        Ok(joined.flatten().collect::<Vec<_>>())
    })?;
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_the_items_order_and_none_after_a_stop() {
        let stop = Stop::new();
        let items: Vec<_> = (0..100).collect();
        let doubled = each(&items, &stop, |item| item * 2).unwrap();
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(each::<u8, _>(&[], &stop, |item| *item).unwrap().is_empty());
        let one_job = each(&items, &stop, |_| stop.ask()).unwrap();
        assert!(one_job.len() <= JOBS, "{}", one_job.len());
    }
}
