//! Trying again: how often, after how long, and for what.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use crate::Patience;

/// How failed acts are repeated.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries in all, the first included.
    pub tries: u32,
    /// Wait after the first failure; doubled after each further one, and jittered down to its half.
    pub first_wait: Duration,
    /// Longest wait that a server may ask for; one that asks for more is given up.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 5, first_wait: Duration::from_millis(500), longest_wait: Duration::from_mins(1) }
    }
}

/// An error that knows whether the same act may succeed later.
pub trait Retryable {
    /// Whether to try again at all.
    fn is_transient(&self) -> bool;

    /// What the server asked for with `Retry-After`.
    fn retry_after(&self) -> Option<Duration>;
}

impl Retry {
    /// Runs an act until it succeeds, fails for good, or tries or patience are used up. `waiting` is told each failure
    /// that is followed by another try, and the wait before that.
    ///
    /// # Errors
    /// The last error of the act.
    pub fn run<T, E: Retryable>(
        &self,
        patience: Patience<'_>,
        waiting: &dyn Fn(&E, Duration),
        mut act: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut backoff = self.first_wait;
        let mut tries_left = self.tries;
        loop {
            let error = match act() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            tries_left = tries_left.saturating_sub(1);
            let wait = error.retry_after().unwrap_or_else(|| jittered(backoff));
            let is_worth_it = tries_left > 0 && error.is_transient() && wait <= self.longest_wait;
            if !is_worth_it || !patience.allows(wait) {
                return Err(error);
            }
            waiting(&error, wait);
            patience.sleep(wait);
            backoff = backoff.saturating_mul(2);
        }
    }
}

/// Between half of it and all of it: many pods that lost one registry must not come back in step.
fn jittered(backoff: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1024;
    let half = backoff / 2;
    half + half.saturating_mul(u32::try_from(random).unwrap_or_default()) / 1024
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or an IMF-fixdate.
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(parse_imf_fixdate(value)?))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Seconds since the epoch of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn parse_imf_fixdate(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.strip_suffix(" GMT")?.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next().and_then(|word| MONTHS.iter().position(|month| *month == word))? as u64;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|n| *n <= 60));
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    // Civil days, counted with March as the first month so that a leap day ends the year.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)?) * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Deadline, Stop};
    use std::sync::Mutex;

    /// A clock on which sleeping takes no time.
    #[derive(Default)]
    struct Dial(Mutex<Duration>);

    impl Clock for Dial {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + self.uptime()
        }
        fn uptime(&self) -> Duration {
            *self.0.lock().unwrap()
        }
        fn sleep(&self, duration: Duration, _: &Stop) {
            *self.0.lock().unwrap() += duration;
        }
    }

    #[derive(Debug, PartialEq)]
    enum Failed {
        Transient(Option<u64>),
        Final,
    }

    impl Retryable for Failed {
        fn is_transient(&self) -> bool {
            *self != Self::Final
        }
        fn retry_after(&self) -> Option<Duration> {
            match self {
                Self::Transient(seconds) => seconds.map(Duration::from_secs),
                Self::Final => None,
            }
        }
    }

    fn tries(allowance: u64, mut outcome: impl FnMut(u32) -> Result<(), Failed>) -> (u32, Duration, bool) {
        let clock = Dial::default();
        let mut made = 0;
        let (deadline, stop) = (Deadline::after(&clock, Duration::from_secs(allowance)), Stop::new());
        let result = Retry::default().run(Patience::new(&clock, deadline, &stop), &|_, _| (), || {
            made += 1;
            outcome(made)
        });
        (made, clock.uptime(), result.is_ok())
    }

    #[test]
    fn transient_failures_are_tried_five_times_with_growing_waits() {
        let (made, waited, ok) = tries(900, |_| Err(Failed::Transient(None)));
        assert_eq!((made, ok), (5, false));
        assert!(waited >= Duration::from_millis(3_750) && waited <= Duration::from_millis(7_500), "{waited:?}");
    }

    #[test]
    fn final_failures_are_not_tried_again() {
        assert_eq!(tries(900, |_| Err(Failed::Final)), (1, Duration::ZERO, false));
    }

    #[test]
    fn the_server_may_ask_for_a_minute_and_not_for_a_day() {
        let second_time = |n| if n == 2 { Ok(()) } else { Err(Failed::Transient(Some(60))) };
        assert_eq!(tries(900, second_time), (2, Duration::from_mins(1), true));
        assert_eq!(tries(900, |_| Err(Failed::Transient(Some(61)))), (1, Duration::ZERO, false));
    }

    #[test]
    fn no_wait_goes_past_the_deadline() {
        assert_eq!(tries(30, |_| Err(Failed::Transient(Some(40)))), (1, Duration::ZERO, false));
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("2", Some(2)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("99999999999999999999", Some(u64::MAX)),
            ("soon", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(value, now), expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(parse_imf_fixdate("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
    }
}
