//! What an author publishes with: something packed, a client, and nobody who watches.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use publish::{Dir, Draft, FileMode, Limits, OciDigest, Packed, Packing, Progress, SecretFiles};
use source::OciReference;
use tempfile::NamedTempFile;
use testkit::{Ca, Plugin};
use transport::{Clock, Deadline, HttpClient, Patience, ProxyRules, Retry, Stop, SystemClock, Timeouts, Trust};

pub(crate) struct Desk {
    clock: SystemClock,
    stop: Stop,
}

/// Remembers which tags moved, and looks away otherwise.
#[derive(Default)]
pub(crate) struct Listener(Mutex<Vec<String>>);

impl Listener {
    pub(crate) fn moves(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Listener {
    fn begins(&self, _: u64) {}
    fn advances(&self, _: u64) {}
    fn tagged(&self, reference: &OciReference, from: Option<&OciDigest>) {
        self.0.lock().unwrap().extend(from.map(|from| format!("{reference} from {from}")));
    }
    fn waits(&self, _: &dyn std::error::Error, _: Duration) {}
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { clock: SystemClock::start(), stop: Stop::new() }
    }

    pub(crate) fn patience(&self) -> Patience<'_> {
        let clock: &dyn Clock = &self.clock;
        Patience::new(clock, Deadline::after(clock, Duration::from_mins(1)), &self.stop)
    }
}

/// Three tries, one right after the other.
pub(crate) const RETRY: Retry = Retry { tries: 3, first_wait: Duration::ZERO, longest_wait: Duration::ZERO };

pub(crate) fn nobody() -> Arc<dyn Progress> {
    Arc::new(Listener::default())
}

/// A client that trusts the authority, which is read when the client is first used.
pub(crate) fn client(ca: &Ca) -> (Arc<HttpClient>, NamedTempFile) {
    let mut authority = NamedTempFile::new().unwrap();
    authority.write_all(ca.pem().as_bytes()).unwrap();
    let trust = Trust { file: Some(authority.path().to_owned()), ..Trust::default() };
    let client = HttpClient::new("butler-plugins-tests", &trust, ProxyRules::default(), Timeouts::default()).unwrap();
    (Arc::new(client), authority)
}

/// A plugin's own tarball.
pub(crate) fn package(content: &str) -> Packed {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&Plugin::backend("hello").file("dist/x.js", content).tarball()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    Packed::from_tarball(&file, &Dir::open(scratch.path()).unwrap(), &packing()).unwrap()
}

/// The layer of an image with these plugins.
pub(crate) fn image(names: &[&str]) -> Packed {
    let temp = tempfile::tempdir().unwrap();
    let folders = names.iter().map(|name| {
        let dir = Dir::open(temp.path()).unwrap().create_dir(name).unwrap();
        let json = format!(r#"{{"name": "{name}", "version": "1.0.0", "backstage": {{"role": "backend-plugin"}}}}"#);
        dir.create_file("package.json", FileMode::Plain).unwrap().write_all(json.as_bytes()).unwrap();
        dir
    });
    let draft = Draft::image(folders.collect(), &Limits::default()).unwrap();
    Packed::from_draft(&draft, tempfile::tempfile().unwrap(), &packing()).unwrap()
}

fn packing() -> Packing {
    Packing { limits: Limits::default(), secret_files: SecretFiles::Refuse, threads: NonZeroUsize::MIN }
}
