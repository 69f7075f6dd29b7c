//! One at a time, without waiting longer than one may.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use transport::{Patience, TransportError, Url};

use crate::conversation::lock;

/// How often those who wait look whether they still may.
const POLL: Duration = Duration::from_millis(20);

/// Something that one at a time does for all.
#[derive(Default)]
pub(crate) struct Turn {
    is_taken: Mutex<bool>,
    free: Condvar,
}

/// A turn, given up when dropped.
pub(crate) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Waits for the others, who may be waiting for a server that never answers.
    pub(crate) fn take(&self, patience: Patience<'_>, url: &Url) -> Result<Taken<'_>, TransportError> {
        let mut is_taken = lock(&self.is_taken);
        while *is_taken {
            patience.check(url)?;
            is_taken = self.free.wait_timeout(is_taken, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        *is_taken = true;
        Ok(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.0.is_taken) = false;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transport::{Cause, Deadline, Stop, SystemClock};

    fn take<'a>(turn: &'a Turn, allowance: Duration, stop: &Stop) -> Result<Taken<'a>, TransportError> {
        let clock = SystemClock::start();
        let url = Url::parse("https://registry.example/v2/").unwrap();
        turn.take(Patience::new(&clock, Deadline::after(&clock, allowance), stop), &url)
    }

    #[test]
    fn a_turn_is_waited_for_until_it_is_given_up() {
        let (turn, stop) = (Turn::default(), Stop::new());
        let taken = take(&turn, Duration::ZERO, &stop).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&turn, Duration::from_mins(1), &stop).is_ok());
            drop(taken);
            assert!(waiting.join().unwrap());
        });
        assert!(take(&turn, Duration::ZERO, &stop).is_ok());
    }

    #[test]
    fn who_may_wait_no_longer_goes_without() {
        let (turn, stop) = (Turn::default(), Stop::new());
        let _taken = take(&turn, Duration::ZERO, &stop).unwrap();
        let late = take(&turn, Duration::from_millis(1), &stop).err().unwrap();
        assert!(matches!(late.cause(), Cause::Deadline));
        stop.ask();
        let stopped = take(&turn, Duration::from_mins(1), &stop).err().unwrap();
        assert!(matches!(stopped.cause(), Cause::Stopped));
    }
}
