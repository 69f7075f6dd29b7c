//! Four servers under one artifact, one of which is at fault.

use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, thread};

use serde_json::json;
use testkit::{Ca, HttpServer, Image, OCI_MANIFEST, Reply, Request, sha256_digest, sri};
use transport::Timeouts;

use crate::bench::{Bench, Setup, everything_said, outcome, verified};
use crate::{Fault, Form, LONGEST, Lasting, Place};

pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);

pub(crate) const ARTIFACT: &[u8] = b"tarball";
/// How much time each look at the clock takes while a server is slow: three looks are a stall by the limit for
/// transfers (30 s), five by the one for small answers (60 s), and five such tries end before the deadline (15 min).
const SLOW_TICK: Duration = Duration::from_secs(21);
/// Long enough for a loopback answer on a loaded machine, short enough to be waited for five times.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(500),
    answer: Duration::from_millis(500),
    read: Duration::from_millis(500),
};

/// Which fault is where, for how long, and the address at which nobody listens at first.
#[derive(Clone, Copy)]
pub(crate) struct Whereabouts {
    pub(crate) fault: Option<Fault>,
    pub(crate) lasting: Lasting,
    pub(crate) place: Place,
    pub(crate) door: IpAddr,
}

/// A registry's API, its token server, its storage and an https server, each with a name of its own.
pub(crate) struct Site {
    pub(crate) bench: Bench,
    at: Whereabouts,
    package: String,
    /// The server at fault.
    pub(crate) faulty: HttpServer,
    _others: [HttpServer; 3],
}

impl Site {
    pub(crate) fn open(at: Whereabouts) -> Self {
        let bench = Bench::new();
        let server = |place: Place, answer: Box<dyn Fn(&Request) -> Reply + Send + Sync>| {
            let name = at.name_of(place);
            let host = name.split(':').next().unwrap_or_default();
            let ca = if at.is_at(place, Fault::Tls) { &Ca::new() } else { bench.world.ca() };
            let certificate = ca.server_config(&[host]);
            let builder = HttpServer::builder().name(&name).tls_with(certificate).recorder(bench.world.recorder());
            let server = builder.start(answer);
            // A name that does not resolve has a server all the same: what it is asked would be seen.
            bench.world.add(&server);
            server
        };
        let https = server(Place::Https, Box::new(|_| Reply::ok().body(ARTIFACT)));
        let blob = server(Place::Blob, Box::new(|_| Reply::ok().body(ARTIFACT)));
        let token = server(Place::Token, Box::new(|_| Reply::ok().json(&json!({ "token": "made" }))));
        let (realm, storage) = (token.url("/token"), blob.url("/blob"));
        let manifest = Image::plugin(ARTIFACT).manifest().to_string();
        let api = move |request: &Request| {
            let challenge = format!("Bearer realm=\"{realm}\",service=\"made\"");
            if request.header("authorization").is_none() {
                return Reply::status(401).header("www-authenticate", &challenge);
            }
            if request.path.contains("/blobs/") {
                return Reply::redirect(307, &storage);
            }
            Reply::ok()
                .header("content-type", OCI_MANIFEST)
                .header("docker-content-digest", &sha256_digest(manifest.as_bytes()))
                .body(manifest.as_bytes())
        };
        let api = server(Place::Manifest, Box::new(api));
        let package = match at.place {
            Place::Https => https.url("/hello.tgz"),
            _ => format!("oci://{}/my-org/hello:1", api.host()),
        };
        let (faulty, others) = match at.place {
            Place::Token => (token, [api, blob, https]),
            Place::Manifest => (api, [token, blob, https]),
            Place::Blob => (blob, [token, api, https]),
            Place::Https => (https, [token, api, blob]),
        };
        let site = Self { bench, at, package, faulty, _others: others };
        site.disturb();
        site
    }

    /// The same, with nothing wrong yet.
    pub(crate) fn undisturbed(place: Place) -> Self {
        Self::open(Whereabouts { fault: None, lasting: Lasting::Always, place, door: Ipv4Addr::LOCALHOST.into() })
    }

    /// Fetches and verifies. What came of it, and all that was said about it.
    pub(crate) fn fetch(&self) -> (String, String) {
        let timeouts = match self.at.fault {
            Some(Fault::Stall(_) | Fault::Dns) => SHORT,
            // No silence may be what ends it.
            Some(Fault::Slow) => Timeouts { read: LONGEST / 2, ..Timeouts::default() },
            _ => Timeouts::default(),
        };
        self.fetch_with(Setup { timeouts, no_proxy: "invalid", ..Setup::default() })
    }

    pub(crate) fn fetch_with(&self, setup: Setup) -> (String, String) {
        let fetched = self.bench.fetch(setup, &self.package);
        let (what, said) = (outcome(&fetched), fetched.as_ref().err().map(everything_said).unwrap_or_default());
        let integrity = sri(ARTIFACT);
        match fetched {
            Ok(fetched) if fetched.integrity().to_string() != integrity => ("integrity_mismatch".to_owned(), said),
            Ok(fetched) => {
                assert_eq!(verified(fetched, &integrity), ARTIFACT);
                (what, said)
            }
            Err(_) => (what, said),
        }
    }

    /// How many requests reached the place.
    pub(crate) fn asked(&self) -> usize {
        let asked = self.bench.world.recorder().to_origin(self.faulty.origin());
        asked.iter().filter(|request| self.at.concerns(request)).count()
    }

    fn disturb(&self) {
        let (at, clock) = (self.at, Arc::clone(&self.bench.clock));
        let Some(fault) = at.fault else { return };
        match (fault, at.lasting) {
            (Fault::Refused, Lasting::FirstTry) => {
                let (door, behind) = (at.door_address(), self.faulty.address());
                *clock.at_wait.lock().unwrap() = Some(Box::new(move |_| {
                    let door = TcpListener::bind(door).unwrap();
                    thread::spawn(move || forward(&door, behind));
                }));
                return;
            }
            (Fault::Dns, Lasting::FirstTry) => {
                let tunnel = format!("{}:443", self.faulty.host());
                let proxy = self.bench.proxy.server();
                proxy.first(1, move |request| request.path == tunnel, || Reply::status(502));
                return;
            }
            (Fault::Refused | Fault::Dns | Fault::Tls, _) => return,
            (Fault::Slow, _) => {
                let clock = Arc::clone(&clock);
                let at_wait = move |_| *clock.tick.lock().unwrap() = Duration::ZERO;
                *self.bench.clock.at_wait.lock().unwrap() = Some(Box::new(at_wait));
            }
            _ => {}
        }
        let times = match (fault, at.lasting) {
            // A loop of one turn would be none.
            (Fault::RedirectLoop, _) | (_, Lasting::Always) => usize::MAX,
            (_, Lasting::FirstTry) => 1,
        };
        let left = AtomicUsize::new(times);
        let take = move || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        self.faulty.intercept(move |request, answer| {
            if !at.concerns(request) || !take() {
                return answer();
            }
            if fault == Fault::Slow {
                *clock.tick.lock().unwrap() = SLOW_TICK;
            }
            fault.of(answer(), request)
        });
    }
}

impl Whereabouts {
    fn is_at(self, place: Place, fault: Fault) -> bool {
        (self.place, self.fault) == (place, Some(fault))
    }

    /// Who the server of a place is to others: a name, or the address that leads to it by a detour.
    fn name_of(self, place: Place) -> String {
        if self.is_at(place, Fault::Refused) {
            return self.door_address().to_string();
        }
        let name = format!("{place:?}").to_ascii_lowercase();
        let never_resolves = self.is_at(place, Fault::Dns) && self.lasting == Lasting::Always;
        format!("{name}.{}", if never_resolves { "invalid" } else { "example.com" })
    }

    /// All servers are at 127.0.0.1, so nobody takes this one meanwhile.
    fn door_address(self) -> SocketAddr {
        SocketAddr::new(self.door, 5_000)
    }

    /// Whether a request to the server of the place is the one that is disturbed.
    fn concerns(self, request: &Request) -> bool {
        self.place != Place::Manifest
            || (request.path.contains("/manifests/") && request.header("authorization").is_some())
    }
}

impl Fault {
    /// What becomes of an answer.
    fn of(self, answer: Reply, request: &Request) -> Reply {
        match self {
            Self::Reset => Reply::broken(testkit::Fault::Reset),
            Self::Stall(Form::One) => Reply::broken(testkit::Fault::Stall),
            Self::Stall(Form::Other) | Self::Slow => answer.broken_after(3, testkit::Fault::Stall),
            Self::TooManyRequests => Reply::status(429),
            Self::Unavailable => Reply::status(503).retry_after(&RETRY_AFTER.as_secs().to_string()),
            Self::Truncated => answer.broken_after(3, testkit::Fault::Close),
            Self::WrongLength(Form::One) => answer.header("content-length", "2000"),
            Self::WrongLength(Form::Other) => answer.header("content-length", "3"),
            Self::RedirectLoop => {
                let turns = request.query.len();
                Reply::redirect(302, &format!("{}?{}", request.path, "+".repeat(turns + 1)))
            }
            Self::Garbage(Form::One) => Reply::raw(*b"220 smtp.example.com ESMTP\r\n"),
            Self::Garbage(Form::Other) => Reply::ok().body(*b"<html>Please log in</html>"),
            Self::Refused | Self::Tls | Self::Dns => answer,
        }
    }
}

/// Carries each connection's bytes both ways, for as long as the test runs.
fn forward(door: &TcpListener, behind: SocketAddr) {
    for client in door.incoming() {
        let (client, server) = (client.unwrap(), TcpStream::connect(behind).unwrap());
        let carry = |mut from: TcpStream, mut to: TcpStream| {
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        };
        carry(client.try_clone().unwrap(), server.try_clone().unwrap());
        carry(server, client);
    }
}
