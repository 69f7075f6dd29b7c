//! Time, the wish to stop, and how long to go on, as values that tests can own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::{Cause, Request, Response, Transport, TransportError, Url};

/// Longest sleep between two looks at [`Stop`].
const NAP: Duration = Duration::from_millis(50);

/// The clock of a run.
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Time since some fixed moment; never goes back.
    fn uptime(&self) -> Duration;

    /// Waits, unless a stop is asked for meanwhile.
    fn sleep(&self, duration: Duration, stop: &Stop);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting [`uptime`](Clock::uptime).
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that others get as an argument")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration, stop: &Stop) {
        let until = self.uptime().saturating_add(duration);
        while !stop.is_asked() {
            let left = until.saturating_sub(self.uptime());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}

/// A wish to stop, shared by all threads of a run.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop soon.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The moment, on a [`Clock`]'s uptime, after which an act is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// `allowance` from now.
    pub fn after(clock: &dyn Clock, allowance: Duration) -> Self {
        Self(clock.uptime().saturating_add(allowance))
    }

    /// What is left; zero when it has passed.
    pub fn left(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.uptime())
    }
}

/// How long an act of several exchanges may go on: until its deadline, and until somebody asks to stop.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    clock: &'a dyn Clock,
    deadline: Deadline,
    stop: &'a Stop,
}

impl<'a> Patience<'a> {
    /// Patience until `deadline` on `clock`, or until `stop` is asked.
    pub const fn new(clock: &'a dyn Clock, deadline: Deadline, stop: &'a Stop) -> Self {
        Self { clock, deadline, stop }
    }

    /// Sends a request, unless the act has to end. The exchange has the time that is left for the act.
    ///
    /// # Errors
    /// Like [`check`](Self::check), and then nothing was sent; otherwise like [`Transport::send`].
    pub fn send(self, transport: &dyn Transport, request: &Request) -> Result<Response, TransportError> {
        let left = self.left(&request.url)?;
        transport.send(request, left)
    }

    /// Goes on with the exchange with `url`, or gives it up.
    ///
    /// # Errors
    /// [`Cause::Stopped`] and [`Cause::Deadline`].
    pub fn check(self, url: &Url) -> Result<(), TransportError> {
        self.left(url).map(drop)
    }

    /// The clock that it looks at.
    pub const fn clock(self) -> &'a dyn Clock {
        self.clock
    }

    fn left(self, url: &Url) -> Result<Duration, TransportError> {
        if self.stop.is_asked() {
            return Err(TransportError::new(url, Cause::Stopped));
        }
        let left = self.deadline.left(self.clock);
        if left.is_zero() { Err(TransportError::new(url, Cause::Deadline)) } else { Ok(left) }
    }

    /// Whether that much waiting is within it.
    pub(crate) fn allows(self, wait: Duration) -> bool {
        !self.stop.is_asked() && wait < self.deadline.left(self.clock)
    }

    pub(crate) fn sleep(self, wait: Duration) {
        self.clock.sleep(wait, self.stop);
    }
}
