//! A fetcher that reaches a made world by its real names, over real TLS, on a clock that never waits.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Seek, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fetch::{Access, FetchError, FetchLimits, Fetched, Fetcher, Spool};
use integrity::Integrity;
use source::{Source, SourcePolicy};
use tempfile::NamedTempFile;
use testkit::{Proxy, World};
use transport::{Clock, HttpClient, ProxyRules, Retry, Stop, Timeouts, Trust};

/// 1994-11-06 08:49:37, the moment that RFC 9110 writes its dates for.
const START: Duration = Duration::from_secs(784_111_777);

/// A world, the only way into it, and the clock of the run.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) clock: Arc<Dial>,
    pub(crate) proxy: Proxy,
    authority: NamedTempFile,
}

/// What differs from one fetcher to the next.
pub(crate) struct Setup {
    pub(crate) access: Access,
    pub(crate) policy: SourcePolicy,
    pub(crate) limits: FetchLimits,
    pub(crate) timeouts: Timeouts,
    pub(crate) no_proxy: &'static str,
}

/// Time that passes by sleeping, and whenever somebody looks at it.
#[derive(Default)]
pub(crate) struct Dial {
    pub(crate) uptime: Mutex<Duration>,
    /// How long each look takes.
    pub(crate) tick: Mutex<Duration>,
    /// What was slept through.
    pub(crate) waits: Mutex<Vec<Duration>>,
    /// Happens in each sleep, and is told the number of it, from 1.
    pub(crate) at_wait: Mutex<Option<AtWait>>,
}

type AtWait = Box<dyn FnMut(usize) + Send>;

impl Default for Setup {
    fn default() -> Self {
        Self {
            access: Access::anonymous(),
            policy: SourcePolicy::permissive(),
            limits: FetchLimits::default(),
            timeouts: Timeouts::default(),
            no_proxy: "",
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let mut authority = NamedTempFile::new().expect("a temporary file can be made");
        authority.write_all(world.ca().pem().as_bytes()).expect("the temporary file can be written");
        Self { world, clock: Arc::default(), proxy, authority }
    }

    /// What was waited for so far.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        lock(&self.clock.waits).clone()
    }

    /// A fetcher over the real client, which trusts this world's authority and no other.
    pub(crate) fn fetcher(&self, setup: Setup) -> Fetcher {
        let proxies = ProxyRules::parse(Some(&self.proxy.url()), Some(setup.no_proxy)).expect("a proxy's URL");
        let trust = Trust { file: Some(self.authority.path().to_owned()), ..Trust::default() };
        let client = HttpClient::new("butler-plugins-tests", &trust, proxies, setup.timeouts).expect("certificates");
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Fetcher::new(Arc::new(client), clock, setup.policy, setup.access, setup.limits, Retry::default())
    }

    /// One fetch by a fetcher of its own, which knows nothing from before.
    pub(crate) fn fetch(&self, setup: Setup, package: &str) -> Result<Fetched, FetchError> {
        fetch(&self.fetcher(setup), package)
    }
}

impl Clock for Dial {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + START + *lock(&self.uptime)
    }

    fn uptime(&self) -> Duration {
        let mut uptime = lock(&self.uptime);
        *uptime += *lock(&self.tick);
        *uptime
    }

    fn sleep(&self, duration: Duration, _: &Stop) {
        *lock(&self.uptime) += duration;
        let mut waits = lock(&self.waits);
        waits.push(duration);
        if let Some(act) = &mut *lock(&self.at_wait) {
            act(waits.len());
        }
    }
}

/// Fetches a package that is allowed.
pub(crate) fn fetch(fetcher: &Fetcher, package: &str) -> Result<Fetched, FetchError> {
    fetch_unless(&Stop::new(), fetcher, package)
}

/// The same, for as long as nobody asks to stop.
pub(crate) fn fetch_unless(stop: &Stop, fetcher: &Fetcher, package: &str) -> Result<Fetched, FetchError> {
    let source = Source::parse(package).expect("a package that parses");
    let allowed = SourcePolicy::permissive().admit(source).expect("a policy that allows everything");
    let spool = Spool::new(tempfile::tempfile().expect("a temporary file can be made"));
    fetcher.fetch(&allowed, spool, stop, &|_, _| ())
}

/// The bytes of an artifact that is the pinned one.
pub(crate) fn verified(fetched: Fetched, integrity: &str) -> Vec<u8> {
    let pinned = Integrity::parse(integrity).expect("an integrity");
    let mut artifact = fetched.verify_pinned(&pinned).expect("the pinned bytes");
    let mut bytes = Vec::new();
    artifact.rewind().and_then(|()| artifact.read_to_end(&mut bytes)).expect("a spool can be read");
    bytes
}

/// `reason cause` of a failed fetch, `installed` of another.
pub(crate) fn outcome(result: &Result<Fetched, FetchError>) -> String {
    match result {
        Ok(_) => "installed".to_owned(),
        Err(error) => format!("{} {}", error.reason(), error.cause().unwrap_or("-")),
    }
}

/// Everything an error could ever say: each text of the chain, what `Debug` shows, the hint.
pub(crate) fn everything_said(error: &FetchError) -> String {
    let mut said = format!("{error:?} {}", error.hint().unwrap_or_default());
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        write!(said, " {error}").expect("a string takes everything");
        cause = error.source();
    }
    said
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
