//! How much of an answer is taken, and for how long.

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use fetch::{AnswerLimits, FetchLimits};
use testkit::{Fault, Image, OCI_MANIFEST, Reply, Request};

use transport::Timeouts;

use crate::Place;
use crate::bench::Setup;
use crate::site::{ARTIFACT, Site};

/// Long enough for loopback answers on a loaded machine.
const PLUGIN_TIME: Duration = Duration::from_millis(700);
/// Time for each phase of an exchange by itself.
const LONG: Duration = Duration::from_secs(5);

fn limited(limits: FetchLimits) -> Setup {
    Setup { limits, ..Setup::default() }
}

#[test]
fn answers_are_taken_up_to_their_limit_and_not_a_byte_further() {
    const KIB: usize = 1024;
    let small = AnswerLimits { manifest_bytes: 2_000, token_bytes: 1_000 };
    let customary = AnswerLimits::default();
    assert_eq!((customary.manifest_bytes, customary.token_bytes), (4 * KIB * KIB, 64 * KIB));
    for (name, place, answers, len, expected) in [
        ("manifest", Place::Manifest, customary, 4 * KIB * KIB, "installed"),
        ("manifest", Place::Manifest, customary, 4 * KIB * KIB + 1, "oci_pull_failed too_large"),
        ("token", Place::Token, customary, 64 * KIB, "installed"),
        ("token", Place::Token, customary, 64 * KIB + 1, "oci_pull_failed too_large"),
        ("small manifest", Place::Manifest, small, 2_000, "installed"),
        ("small manifest", Place::Manifest, small, 2_001, "oci_pull_failed too_large"),
        ("small token", Place::Token, small, 1_000, "installed"),
        ("small token", Place::Token, small, 1_001, "oci_pull_failed too_large"),
    ] {
        for framing in [|answer: Reply| answer, Reply::chunked, Reply::until_close] {
            let site = Site::undisturbed(place);
            site.faulty.intercept(move |request, answer| match place {
                Place::Token => framing(Reply::ok().body(padded("{\"token\":\"made\"}", len))),
                _ if is_manifest(request) => {
                    let manifest = padded(&Image::plugin(ARTIFACT).manifest().to_string(), len);
                    framing(Reply::ok().header("content-type", OCI_MANIFEST).body(manifest))
                }
                _ => answer(),
            });
            let limits = FetchLimits { answers, ..FetchLimits::default() };
            assert_eq!(site.fetch_with(limited(limits)).0, expected, "{name} of {len} bytes");
        }
    }
}

fn is_manifest(request: &Request) -> bool {
    request.path.contains("/manifests/") && request.header("authorization").is_some()
}

/// JSON with nothing behind it, for so many bytes.
fn padded(json: &str, len: usize) -> Vec<u8> {
    let mut bytes = json.as_bytes().to_vec();
    bytes.resize(len, b' ');
    bytes
}

/// What a server answers, and where.
type Drag = (&'static str, Place, fn() -> Reply);

#[test]
fn time_for_one_plugin_ends_in_the_middle_of_an_exchange() {
    let drags: [Drag; 6] = [
        ("silent", Place::Token, || Reply::broken(Fault::Stall)),
        ("silent", Place::Manifest, || Reply::broken(Fault::Stall)),
        ("silent", Place::Blob, || Reply::broken(Fault::Stall)),
        ("silent from now on", Place::Blob, || Reply::ok().body(ARTIFACT).broken_after(3, Fault::Stall)),
        ("silent from now on", Place::Https, || Reply::ok().body(ARTIFACT).broken_after(3, Fault::Stall)),
        // Byte by byte and without an end: each read is in time, and all together never are.
        ("dripping", Place::Https, || Reply::ok().stream(Drip, 500)),
    ];
    thread::scope(|scope| {
        for (name, place, answer) in drags {
            scope.spawn(move || {
                let started = Instant::now();
                let site = Site::undisturbed(place);
                site.faulty.intercept(move |_, _| answer());
                let limits = FetchLimits { plugin_time: PLUGIN_TIME, ..FetchLimits::default() };
                let timeouts = Timeouts { connect: LONG, answer: LONG, read: LONG };
                let (found, said) = site.fetch_with(Setup { timeouts, ..limited(limits) });
                let reason = if place == Place::Https { "https_pull_failed" } else { "oci_pull_failed" };
                assert_eq!(found, format!("{reason} timeout"), "{name} {place:?}: {said}");
                assert!(said.contains("--plugin-timeout"), "{name} {place:?}: {said}");
                assert_eq!(site.bench.waits().len(), 0, "{name} {place:?}");
                assert!((PLUGIN_TIME..LONG).contains(&started.elapsed()), "{name} {place:?}");
            });
        }
    });
}

/// A byte now and then.
struct Drip;

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        thread::park_timeout(Duration::from_millis(20));
        buffer[0] = b'x';
        Ok(1)
    }
}
