//! A fetcher that reaches a made world by its real names, over real TLS, on a clock that never waits.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Seek, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
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
    proxy: Proxy,
    authority: NamedTempFile,
}

/// What differs from one fetcher to the next.
pub(crate) struct Setup {
    pub(crate) access: Access,
    pub(crate) policy: SourcePolicy,
    pub(crate) limits: FetchLimits,
    pub(crate) timeouts: Timeouts,
}

/// Time that passes by sleeping, and by `tick` whenever somebody looks.
pub(crate) struct Dial {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    uptime: Duration,
    tick: Duration,
    waits: Vec<Duration>,
    at_wait: Option<Box<dyn FnMut(usize) + Send>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            access: Access::anonymous(),
            policy: SourcePolicy::permissive(),
            limits: FetchLimits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let mut authority = NamedTempFile::new().expect("a temporary file can be made");
        authority.write_all(world.ca().pem().as_bytes()).expect("the temporary file can be written");
        Self { world, clock: Arc::new(Dial { state: Mutex::default() }), proxy, authority }
    }

    /// The real client, which trusts this world's authority and no other.
    pub(crate) fn client(&self, no_proxy: &str, timeouts: Timeouts) -> HttpClient {
        let proxies = ProxyRules::parse(Some(&self.proxy.url()), Some(no_proxy)).expect("a proxy's URL");
        let trust = Trust { file: Some(self.authority.path().to_owned()), ..Trust::default() };
        HttpClient::new("butler-plugins-tests", trust, proxies, timeouts)
    }

    pub(crate) fn fetcher(&self, setup: Setup) -> Fetcher {
        let client = self.client("", setup.timeouts);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Fetcher::new(Arc::new(client), clock, setup.policy, setup.access, setup.limits, Retry::default())
    }

    /// One fetch by a fetcher of its own, which knows nothing from before.
    pub(crate) fn fetch(&self, setup: Setup, package: &str) -> Result<Fetched, FetchError> {
        fetch(&self.fetcher(setup), package)
    }
}

impl Dial {
    /// Every look at the clock takes that long from now on.
    pub(crate) fn tick(&self, tick: Duration) {
        self.with(|state| state.tick = tick);
    }

    /// How long each wait took so far.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.with(|state| state.waits.clone())
    }

    /// Does something in each wait, which it is told the number of, from 1.
    pub(crate) fn at_wait(&self, act: impl FnMut(usize) + Send + 'static) {
        self.with(|state| state.at_wait = Some(Box::new(act)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for Dial {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + START + self.with(|state| state.uptime)
    }

    fn uptime(&self) -> Duration {
        self.with(|state| {
            state.uptime += state.tick;
            state.uptime
        })
    }

    fn sleep(&self, duration: Duration, _: &Stop) {
        self.with(|state| {
            state.uptime += duration;
            state.waits.push(duration);
            let count = state.waits.len();
            if let Some(act) = &mut state.at_wait {
                act(count);
            }
        });
    }
}

/// Fetches a package that is allowed.
pub(crate) fn fetch(fetcher: &Fetcher, package: &str) -> Result<Fetched, FetchError> {
    let source = Source::parse(package).expect("a package that parses");
    let allowed = SourcePolicy::permissive().admit(source).expect("a policy that allows everything");
    let spool = Spool::new(tempfile::tempfile().expect("a temporary file can be made"));
    fetcher.fetch(&allowed, spool, &Stop::new())
}

/// The bytes of an artifact that is the pinned one.
pub(crate) fn verified(fetched: Fetched, integrity: &str) -> Vec<u8> {
    let pinned = Integrity::parse(integrity).expect("an integrity");
    let mut artifact = fetched.verify(&pinned).expect("the pinned bytes");
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
