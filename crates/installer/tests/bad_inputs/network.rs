//! Rows about answers that come late, broken, or not at all, for a manifest, a blob and an https file alike.

mod way;

use std::io::{self, Cursor, Read};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use testkit::{Fault, Plugin, Ranges, RegistryBuilder, Reply, Request, sri};

use crate::bench::Seen;
use crate::case::{Case, Entry, Listing};
use crate::judge::has_cause;
use crate::logfmt::records;
use crate::net::{ARTIFACTS, Net, REGISTRY, named};
use crate::oci::{is_blob, is_manifest};
use crate::placeholder::{PLUG, good};
use crate::row::Row;

const REPOSITORY: &str = "my-org/plug";
const TAG: &str = "1.0.0";
const FILE: &str = "/plugins/plug.tgz";
const MIB: usize = 1024 * 1024;
/// Answers that never end well.
const EVER: usize = usize::MAX;

/// Something that the installer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Manifest,
    Blob,
    File,
}

/// Every row has a builder: its input is a description.
pub(crate) fn network(row: &Row) -> Result<Case, String> {
    Ok(match row.id.as_str() {
        "PF02" => everywhere(&[Place::Blob, Place::File], |place| {
            let cut = |answer: Reply| answer.broken_after(MIB as u64, Fault::Reset);
            trouble(place, &LARGE, 1, cut).holds(move |seen| asked(seen, place, 2)).holds(is_whole)
        }),
        "PF03" => everywhere(&Place::ALL, |place| {
            waiting(place, Duration::from_secs(2), |_| Reply::status(503).retry_after("2"))
        }),
        "PF04" => everywhere(&Place::ALL, |place| {
            // Dates have no fractions, so that two seconds may be one and a bit.
            waiting(place, Duration::from_secs(1), |_| Reply::status(429).retry_after(&two_seconds_on()))
        }),
        // What is too long for one wait is not too long for the plugin, unless it is a day.
        "PF05" => {
            Case::instances([(429, "86400"), (503, "86400"), (503, "61")].into_iter().flat_map(|(status, wait)| {
                Place::ALL.map(|place| {
                    let too_long = move |_| Reply::status(status).retry_after(wait);
                    (place.name(), trouble(place, &good(), EVER, too_long).holds(move |seen| asked(seen, place, 1)))
                })
            }))
        }
        "PF06" => everywhere(&Place::ALL, |place| {
            trouble(place, &good(), EVER, |_| Reply::status(503)).holds(move |seen| asked(seen, place, 2))
        }),
        "PF07" => everywhere(&Place::ALL, |place| {
            let silent = |answer: Reply| answer.broken_after(1, Fault::Stall);
            let case = trouble(place, &good(), EVER, silent).holds(move |seen| asked(seen, place, 2));
            Case { flags: &["--stall-timeout", "1s"], ..case.holds(|seen| has_cause(seen, "stalled")) }
        }),
        "PF08" => slow_loris(),
        "PF10" => everywhere(&Place::ALL, |place| {
            let more = |answer: Reply| answer.with_length(|len| len + 1_000);
            trouble(place, &good(), EVER, more)
        }),
        "PF11" => endless(),
        "PF12" => everywhere(&[Place::Blob, Place::File], |place| {
            let huge = |_| Reply::ok().stream(io::empty(), 1 << 40).broken_after(0, Fault::Stall);
            trouble(place, &good(), EVER, huge).holds(move |seen| asked(seen, place, 1))
        }),
        "PF13" => everywhere(&Place::ALL, |place| {
            let labelled = |answer: Reply| answer.header("content-encoding", "gzip");
            trouble(place, &good(), EVER, labelled).holds(|seen| {
                let told = records(&seen.stdout)?;
                let pinned = sri(&good());
                let is_told = told.iter().any(|record| record.field("integrity") == Some(&pinned));
                if is_told { is_good(seen) } else { Err(format!("expected the hash `{pinned}`")) }
            })
        }),
        "PF14" => Case::instances(
            [("not hex", "zz"), ("negative", "-1"), ("endless", "fffffffffffffffff"), ("missing", "")]
                .into_iter()
                .flat_map(|(name, chunk)| {
                    let with =
                        move |place| (name, trouble(place, &good(), EVER, move |answer| broken_chunk(answer, chunk)));
                    Place::ALL.map(with)
                }),
        ),
        "PF15" => everywhere(&Place::ALL, |place| {
            let partly = |answer: Reply| {
                let mut len = 0;
                let answer = answer.with_body(|bytes| {
                    len = bytes.len();
                    bytes
                });
                answer.with_status(206).header("content-range", &format!("bytes 0-{}/{len}", len.saturating_sub(1)))
            };
            trouble(place, &good(), EVER, partly)
        }),
        "PF16" => Case::instances([("blob", resumed_blob()), ("file", resumed_file())]),
        "PF23" => trouble(Place::File, &good(), EVER, |_| {
            Reply::ok().header("content-type", "text/html").body(*b"<!doctype html><title>Log in</title>")
        }),
        "PF24" => Case::instances(Place::ALL.into_iter().flat_map(|place| {
            let long = |answer: Reply| answer.header("x-long", &"y".repeat(MIB));
            let many = |_| {
                let headers = "x-short: 0123456789012345678901234567890123456789012345678901\r\n".repeat(MIB / 64);
                Reply::raw(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n").into_bytes())
            };
            let no_end = |_| endless_after("HTTP/1.1 200 OK\r\nx: ", b'y');
            [
                ("one that is long", trouble(place, &good(), EVER, long)),
                ("many that are short", trouble(place, &good(), EVER, many)),
                ("one without an end", trouble(place, &good(), EVER, no_end)),
            ]
        })),
        _ => return way::row(row),
    })
}

impl Place {
    const ALL: [Self; 3] = [Self::Manifest, Self::Blob, Self::File];

    const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::File => "file",
        }
    }

    fn is(self, request: &Request) -> bool {
        match self {
            Self::Manifest => is_manifest(request) && request.path.contains(REPOSITORY),
            Self::Blob => is_blob(request) && request.path.contains(REPOSITORY),
            Self::File => request.path == FILE,
        }
    }
}

fn everywhere(places: &[Place], case: impl Fn(Place) -> Case) -> Case {
    Case::instances(places.iter().map(|place| (place.name(), case(*place))))
}

/// A plugin of two mebibytes that gzip can do nothing about.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| Plugin::backend(PLUG).file("dist/noise.bin", noise()).tarball());

pub(crate) fn noise() -> Vec<u8> {
    // Xorshift (Marsaglia, 2003).
    let next = |state: &u64| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    };
    std::iter::successors(Some(0x9e37_79b9_7f4a_7c15), next).take(2 * MIB / 8).flat_map(u64::to_be_bytes).collect()
}

/// Another version of the plugin, from a registry that has no trouble, is there; then the first `times` answers to what
/// is asked at this place are changed.
fn trouble(
    place: Place,
    artifact: &[u8],
    times: usize,
    change: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> Case {
    let mut net = Net::new();
    let recorder = net.world.recorder().clone();
    // Each run begins with an empty record, and this request stands in it already.
    let in_trouble = move |request: &Request| place.is(request) && recorder.count(&request.path) <= times;
    let package = match place {
        Place::File => {
            let bytes = artifact.to_vec();
            net.https(ARTIFACTS, move |request| {
                let reply = Reply::ok().body(bytes.clone());
                if in_trouble(request) { change(reply) } else { reply }
            });
            format!("https://{ARTIFACTS}{FILE}")
        }
        Place::Manifest | Place::Blob => {
            let registry = net.registry(named(REGISTRY));
            registry.server().intercept(
                move |request, answer| {
                    if in_trouble(request) { change(answer()) } else { answer() }
                },
            );
            registry.push(REPOSITORY, TAG, artifact).reference
        }
    };
    after_a_good_copy(net, Listing::of([Entry::new(&package, &sri(artifact))]))
}

fn after_a_good_copy(mut net: Net, listing: Listing) -> Case {
    const HEALTHY: &str = "healthy.example.com";
    let before = net.registry(named(HEALTHY)).push("before", "1", &Plugin::backend(PLUG).version("0.9.0").tarball());
    let allowed = format!("allowedSources: [oci://{HEALTHY}]");
    let before = Listing { allowed, entries: vec![Entry::new(&before.reference, &before.integrity)] };
    Case::listing(net, listing).after(before)
}

fn asked(seen: &Seen, place: Place, times: usize) -> Result<(), String> {
    let asked = seen.requests.iter().filter(|request| place.is(request)).count();
    if asked == times { Ok(()) } else { Err(format!("expected {times} requests, found {asked}: {:?}", seen.asked)) }
}

fn is_good(seen: &Seen) -> Result<(), String> {
    let manifest = std::fs::read_to_string(seen.on_root("plug-dynamic/package.json")).unwrap_or_default();
    if manifest.contains("1.0.0") { Ok(()) } else { Err(format!("expected version 1.0.0, found `{manifest}`")) }
}

/// That every byte of the large plugin is there, once.
fn is_whole(seen: &Seen) -> Result<(), String> {
    let found = std::fs::read(seen.on_root("plug-dynamic/dist/noise.bin")).unwrap_or_default();
    if found == noise() { Ok(()) } else { Err(format!("expected other bytes than these {}", found.len())) }
}

/// Trouble that passes, after a wait that the server asks for.
fn waiting(place: Place, at_least: Duration, change: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Case {
    let asked_at = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked_at);
    let case = trouble(place, &good(), EVER, move |answer| {
        let mut asked_at = noted.lock().unwrap();
        asked_at.push(Instant::now());
        if asked_at.len() == 1 { change(answer) } else { answer }
    });
    case.holds(is_good).holds(move |_| match &asked_at.lock().unwrap()[..] {
        [first, second] if second.duration_since(*first) >= at_least => Ok(()),
        other => Err(format!("expected two requests, {at_least:?} apart, found {other:?}")),
    })
}

fn two_seconds_on() -> String {
    let mut date = Command::new("date");
    let output = date.env("LC_ALL", "C").args(["-u", "-d", "+2 seconds", "+%a, %d %b %Y %H:%M:%S GMT"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// One byte a second: of a body, for which there is a least pace, and of everything from the first header on, for which
/// there is the plugin's time.
fn slow_loris() -> Case {
    const SECOND: Duration = Duration::from_secs(1);
    let body = |place| {
        let case = trouble(place, &good(), EVER, |answer| answer.drip(SECOND));
        Case { flags: &["--stall-timeout", "2s"], ..case.holds(|seen| has_cause(seen, "stalled")) }
    };
    let all = |place, drip: fn(Reply) -> Reply| {
        let case = trouble(place, &good(), EVER, drip);
        Case { flags: &["--plugin-timeout", "2s"], ..case.holds(|seen| has_cause(seen, "timeout")) }
    };
    let head = |_| Reply::raw("HTTP/1.1 200 OK\r\nx: y".as_bytes()).drip(SECOND);
    Case::instances([
        ("blob", body(Place::Blob)),
        ("file", body(Place::File)),
        ("manifest", all(Place::Manifest, |answer| answer.drip(SECOND))),
        ("head of a manifest", all(Place::Manifest, head)),
        ("head of a blob", all(Place::Blob, head)),
        ("head of a file", all(Place::File, head)),
    ])
}

/// No length, no end.
fn endless() -> Case {
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let of = |place, framing: fn(Reply) -> Reply| {
        let case = trouble(place, &good(), EVER, move |_| framing(Reply::ok().stream(io::repeat(b'x'), 0)));
        Case { flags: &["--max-artifact-bytes", "8MiB"], ..case }
    };
    let once = move |place, framing| of(place, framing).holds(move |seen| asked(seen, place, 1));
    Case::instances(Place::ALL.into_iter().flat_map(|place| {
        [
            ("until the connection's", once(place, Reply::until_close)),
            ("in chunks", once(place, Reply::chunked)),
            ("in a chunk's length", of(place, |_| endless_after(CHUNKS, b'0'))),
            ("in a chunk's extension", of(place, |_| endless_after(&format!("{CHUNKS}1;"), b'x'))),
            ("behind the last chunk", of(place, |_| endless_after(&format!("{CHUNKS}1\r\nx\r\n0\r\nx: "), b'x'))),
        ]
    }))
}

/// This text, and then one byte again and again.
fn endless_after(text: &str, byte: u8) -> Reply {
    Reply::raw([]).stream(Cursor::new(text.to_owned()).chain(io::repeat(byte)), 0)
}

/// Half of the right bytes, and then a chunk of this length.
fn broken_chunk(answer: Reply, length: &str) -> Reply {
    let mut half = Vec::new();
    let content_type = answer.header_value("content-type").unwrap_or("application/octet-stream").to_owned();
    drop(answer.with_body(|bytes| {
        half = bytes[..bytes.len() / 2].to_vec();
        bytes
    }));
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        half.len()
    );
    Reply::raw([head.as_bytes(), &half, b"\r\n", length.as_bytes(), b"\r\nmore\r\n"].concat())
}

/// A registry that knows no ranges, and breaks off the first time.
fn resumed_blob() -> Case {
    let mut net = Net::new();
    let recorder = net.world.recorder().clone();
    let registry = net.start(RegistryBuilder::from(named(REGISTRY)).ranges(Ranges::Ignored));
    registry.server().intercept(move |request, answer| {
        let is_first = is_blob(request) && recorder.count(&request.path) == 1;
        if is_first { answer().broken_after(MIB as u64, Fault::Close) } else { answer() }
    });
    let package = registry.push(REPOSITORY, TAG, &LARGE).reference;
    resumed(net, &package)
}

/// The same of a file that is known by its tag.
fn resumed_file() -> Case {
    let mut net = Net::new();
    let recorder = net.world.recorder().clone();
    net.https(ARTIFACTS, move |request| {
        let reply = Reply::ok().header("etag", "\"v1\"").body(LARGE.clone());
        let is_first = recorder.count(&request.path) == 1;
        if is_first { reply.broken_after(MIB as u64, Fault::Close) } else { reply }
    });
    resumed(net, &format!("https://{ARTIFACTS}{FILE}"))
}

fn resumed(net: Net, package: &str) -> Case {
    after_a_good_copy(net, Listing::of([Entry::new(package, &sri(&LARGE))])).holds(is_whole).holds(|seen| {
        let resumed = seen.requests.iter().filter(|request| request.header("range").is_some()).count();
        if resumed == 1 { Ok(()) } else { Err(format!("expected one request for a range, found {resumed}")) }
    })
}
