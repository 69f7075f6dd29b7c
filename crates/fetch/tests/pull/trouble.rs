//! Connections and servers that break, stall, or ask to be left alone, where the matrix has no place for it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// How a server fails: what it answers, whom, how often, what comes of it, and after how many tries.
type Trouble = (&'static str, fn(&Request) -> bool, usize, fn() -> Reply, &'static str, usize);

#[test]
fn passing_trouble_is_waited_out_and_lasting_trouble_ends() {
    const EVER: usize = usize::MAX;
    let troubles: [Trouble; 15] = [
        ("503 once", is_manifest, 1, || Reply::status(503), "installed", 2),
        ("502 four times", is_manifest, 4, || Reply::status(502), "installed", 5),
        ("503 for ever", is_manifest, EVER, || Reply::status(503), "server_error", 5),
        ("408 once", is_manifest, 1, || Reply::status(408), "installed", 2),
        ("404", is_manifest, EVER, || Reply::status(404), "not_found", 1),
        ("400", is_manifest, EVER, || Reply::status(400), "protocol", 1),
        ("closed once", is_manifest, 1, || Reply::broken(Fault::Close), "installed", 2),
        ("reset twice", is_manifest, 2, || Reply::broken(Fault::Reset), "installed", 3),
        ("reset layer", is_blob, 2, || short(Fault::Reset), "installed", 3),
        ("cut behind the last byte", is_blob, 1, || whole().broken_after(7, Fault::Close), "installed", 1),
        ("ends with its connection, and early", is_blob, 1, ended, "installed", 2),
        ("ends with its connection, and early, for ever", is_blob, EVER, ended, "truncated", 5),
        ("ends with its connection before it begins", is_blob, 1, || Reply::ok().until_close(), "installed", 2),
        ("broken chunk", is_blob, 1, broken_chunk, "installed", 2),
        ("broken chunk for ever", is_blob, EVER, broken_chunk, "truncated", 5),
    ];
    thread::scope(|scope| {
        for (name, matches, times, reply, expected, tries) in troubles {
            scope.spawn(move || {
                let bench = Bench::new();
                let (registry, pushed) = stocked(&bench, b"tarball");
                registry.server().first(times, matches, reply);
                let result = bench.fetch(Setup::default(), &pushed.reference);
                assert_eq!(outcome(&result).split(' ').next_back().unwrap(), expected, "{name}");
                assert_eq!(registry.recorder().requests().iter().filter(|r| matches(r)).count(), tries, "{name}");
                assert_eq!(bench.waits().len(), tries - 1, "{name}");
            });
        }
    });
}

/// Less than it announces: the first bytes of an artifact `tarball`, whoever asked for what.
fn short(fault: Fault) -> Reply {
    Reply::ok().body(*b"tarball").broken_after(3, fault)
}

/// The first bytes of it, with nothing to say that they are not all.
fn ended() -> Reply {
    Reply::ok().body(*b"tar").until_close()
}

/// All of it, in chunks, so that one more has to say that it was all.
fn whole() -> Reply {
    Reply::ok().body(*b"tarball").chunked()
}

fn broken_chunk() -> Reply {
    Reply::raw(*b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntar\r\nzz\r\n")
}

#[test]
fn server_says_how_long_to_wait_but_not_for_a_day() {
    for (name, status, retry_after, expected, waits) in [
        ("seconds", 503, "2", "installed", vec![2]),
        ("a date ten seconds on", 429, "Sun, 06 Nov 1994 08:49:47 GMT", "installed", vec![10]),
        ("a minute", 429, "60", "installed", vec![60]),
        ("a minute and a second", 429, "61", "oci_pull_failed rate_limited", vec![]),
        ("a day", 429, "86400", "oci_pull_failed rate_limited", vec![]),
        ("a date in a year", 503, "Mon, 06 Nov 1995 08:49:37 GMT", "oci_pull_failed server_error", vec![]),
    ] {
        let bench = Bench::new();
        let (registry, pushed) = stocked(&bench, b"tarball");
        registry.server().first(1, is_manifest, move || Reply::status(status).retry_after(retry_after));
        assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), expected, "{name}");
        assert_eq!(bench.waits(), waits.into_iter().map(Duration::from_secs).collect::<Vec<_>>(), "{name}");
        assert!(registry.recorder().requests().len() <= 3, "{name}");
    }
}

#[test]
fn broken_transfer_goes_on_where_it_broke_off() {
    let bytes = artifact(1 << 20);
    for (name, ranges, fault) in [
        ("closed", Ranges::Honoured, Fault::Close),
        ("reset", Ranges::Honoured, Fault::Reset),
        ("closed, no ranges", Ranges::Ignored, Fault::Close),
        ("reset, no ranges", Ranges::Ignored, Fault::Reset),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(RegistryBuilder::from(Quirks::plain()).ranges(ranges));
        let pushed = registry.push(REPOSITORY, "1", &bytes);
        registry.server().intercept(move |request, answer| {
            let first = is_blob(request) && request.header("range").is_none();
            if first { answer().broken_after(700_000, fault) } else { answer() }
        });
        let fetched = bench.fetch(Setup::default(), &pushed.reference).unwrap();
        assert_eq!(verified(fetched, &pushed.integrity), bytes, "{name}");
        let asked = registry.recorder().with_header("range");
        let range = asked[0].header("range").unwrap();
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        assert!((1..=700_000).contains(&first.parse::<u64>().unwrap()), "{name}: {range}");
        assert_eq!(last, ((1 << 20) - 1).to_string(), "{name}");
        assert_eq!(asked.len(), 1, "{name}");
    }
}

#[test]
fn registry_without_the_missing_part_is_asked_for_the_whole_and_for_no_part_again() {
    let has_range = |request: &Request| request.header("range").is_some();
    for (status, range) in [
        (416, Some("bytes */7")),
        (416, None),
        (206, Some("bytes 0-6/7")),
        (206, Some("bytes 4-6/7")),
        (206, Some("bytes +3-6/7")),
        (206, Some("bytes */7")),
        (206, Some("bytes -6/7")),
        (206, Some("3-6")),
        (206, Some("")),
        (206, None),
    ] {
        for (cuts, expected, requests, waits) in
            [(1, "installed", 3, 1), (2, "installed", 4, 2), (usize::MAX, "oci_pull_failed truncated", 6, 4)]
        {
            let bench = Bench::new();
            let (registry, pushed) = stocked(&bench, b"tarball");
            registry.server().first(cuts, move |r| is_blob(r) && !has_range(r), || short(Fault::Close));
            registry.server().first(usize::MAX, has_range, move || {
                let rest = Reply::status(status).body(*b"ball");
                if let Some(range) = range { rest.header("content-range", range) } else { rest }
            });
            let name = format!("{status} {range:?} after {cuts}");
            let result = bench.fetch(Setup::default(), &pushed.reference);
            assert_eq!(outcome(&result), expected, "{name}");
            if let Ok(fetched) = result {
                assert_eq!(verified(fetched, &pushed.integrity), b"tarball", "{name}");
            }
            assert_eq!(registry.recorder().requests().iter().filter(|r| is_blob(r)).count(), requests, "{name}");
            assert_eq!(registry.recorder().with_header("range").len(), 1, "{name}");
            assert_eq!(bench.waits().len(), waits, "{name}");
        }
    }
}

#[test]
fn trouble_after_a_login_is_no_reason_for_another_one() {
    let is_let_in = |request: &Request| request.header("authorization").is_some();
    let resets = || Reply::broken(Fault::Reset);
    let expired = || Reply::status(401).header("www-authenticate", "Basic realm=\"x\"");
    for (name, times, reply, expected, [anonymous, logins, let_in]) in [
        ("reset once", 1, resets as fn() -> Reply, "installed", [1, 1, 2]),
        ("reset for ever", usize::MAX, resets, "oci_pull_failed reset", [1, 1, 5]),
        ("503 for ever", usize::MAX, || Reply::status(503), "oci_pull_failed server_error", [1, 1, 5]),
        ("refused for ever", usize::MAX, expired, "oci_pull_failed unauthorized", [1, 1, 1]),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        registry.server().first(times, move |request| is_manifest(request) && is_let_in(request), reply);
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        let requests = registry.recorder().requests();
        let count = |matches: &dyn Fn(&Request) -> bool| requests.iter().filter(|request| matches(request)).count();
        let found = [
            count(&|request| is_manifest(request) && !is_let_in(request)),
            count(&|request| request.path == "/service/token"),
            count(&|request| is_manifest(request) && is_let_in(request)),
        ];
        assert_eq!(found, [anonymous, logins, let_in], "{name}");
    }
}

#[test]
fn token_that_is_refused_later_is_replaced_once() {
    for (name, refusals, expected, manifests) in
        [("once", 1, "installed", 4), ("for ever", usize::MAX, "oci_pull_failed unauthorized", 4)]
    {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let (challenge, seen) = (challenge_of(&registry), AtomicUsize::new(0));
        registry.server().intercept(move |request, answer| {
            if !is_manifest(request) || request.header("authorization").is_none() {
                return answer();
            }
            // The token is good for a server that is in trouble, and has run out when that is over.
            match seen.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::status(503),
                n if n <= refusals => Reply::status(401).header("www-authenticate", &challenge),
                _ => answer(),
            }
        });
        let result = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference);
        assert_eq!(outcome(&result), expected, "{name}");
        let requests = registry.recorder().requests();
        assert_eq!(requests.iter().filter(|request| is_manifest(request)).count(), manifests, "{name}");
        assert_eq!(requests.iter().filter(|request| request.path == "/service/token").count(), 2, "{name}");
    }
}

#[test]
fn refused_token_is_not_shown_again() {
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::harbor());
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    let is_let_in = |request: &Request| is_manifest(request) && request.header("authorization").is_some();
    registry.server().first(1, is_let_in, || Reply::status(401));
    let fetcher = bench.fetcher(setup(access(&registry.docker_config())));
    assert_eq!(outcome(&fetch(&fetcher, &pushed.reference)), "oci_pull_failed unauthorized");
    assert_eq!(outcome(&fetch(&fetcher, &pushed.reference)), "installed");
    let requests = registry.recorder().requests();
    let shown: Vec<_> = requests.iter().filter(|request| is_manifest(request)).map(is_let_in).collect();
    assert_eq!(shown, [false, true, false, true]);
}

#[test]
fn those_who_ask_for_the_same_token_at_the_same_time_share_it() {
    const READERS: usize = 4;
    let bench = Bench::new();
    let registry = bench.world.registry(Quirks::harbor());
    let pushed = registry.push(REPOSITORY, "1", b"tarball");
    let all_refused = Barrier::new(READERS);
    registry.server().intercept(move |request, answer| {
        if is_manifest(request) && request.header("authorization").is_none() {
            all_refused.wait();
        }
        answer()
    });
    let fetcher = bench.fetcher(setup(access(&registry.docker_config())));
    thread::scope(|scope| {
        let readers = [(); READERS].map(|()| scope.spawn(|| outcome(&fetch(&fetcher, &pushed.reference))));
        for reader in readers {
            assert_eq!(reader.join().unwrap(), "installed");
        }
    });
    let requests = registry.recorder().requests();
    assert_eq!(requests.iter().filter(|request| request.path == "/service/token").count(), 1);
}

/// What a registry says to somebody whom it does not know.
fn challenge_of(registry: &Registry) -> String {
    format!("Bearer realm=\"https://{}/service/token\",service=\"harbor-registry\"", registry.host())
}

#[test]
fn cut_connection_to_a_registry_with_tls_is_no_sign_of_plain_http() {
    let bench = Bench::new();
    for (name, times, expected) in [("once", 1, "installed"), ("for ever", usize::MAX, "oci_pull_failed reset")] {
        let registry = Registry::builder().tls(bench.world.ca()).start();
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        registry.server().first(times, is_manifest, || Reply::broken(Fault::Reset));
        assert_eq!(outcome(&bench.fetch(Setup::default(), &pushed.reference)), expected, "{name}");
    }
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let package = format!("oci://{}/{REPOSITORY}:1", door.local_addr().unwrap());
    thread::spawn(move || {
        for client in door.incoming() {
            let (mut client, mut heard) = (client.unwrap(), [0; 4_096]);
            let hello = client.read(&mut heard).is_ok_and(|len| len > 0) && heard[0] == TLS_HANDSHAKE;
            // What servers written in Go say to plain http on a port for TLS.
            let answer: &[u8] = if hello { b"" } else { b"HTTP/1.0 400 Bad Request\r\n\r\n" };
            client.write_all(answer).unwrap();
        }
    });
    assert_eq!(outcome(&bench.fetch(Setup::default(), &package)), "oci_pull_failed reset");
}

#[test]
fn server_that_never_answers_the_hello_is_given_up() {
    let bench = Bench::new();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let package = format!("oci://{}/{REPOSITORY}:1", mute.local_addr().unwrap());
    let result = bench.fetch(Setup { timeouts: SHORT, ..Setup::default() }, &package);
    assert_eq!(outcome(&result), "oci_pull_failed timeout");
    assert_eq!(bench.waits().len(), 4);
}

#[test]
fn time_for_one_plugin_ends() {
    let bench = Bench::new();
    let (registry, pushed) = stocked(&bench, b"tarball");
    registry.server().first(usize::MAX, is_manifest, || Reply::status(503).retry_after("50"));
    let limits = FetchLimits { plugin_time: Duration::from_mins(2), ..FetchLimits::default() };
    let result = bench.fetch(Setup { limits, ..Setup::default() }, &pushed.reference);
    assert_eq!(outcome(&result), "oci_pull_failed server_error");
    assert_eq!(bench.waits(), [Duration::from_secs(50); 2]);
}

/// What takes how many minutes of the plugin's quarter of an hour, and how many requests are sent before it is over.
type Slowness = (&'static str, fn(&Request) -> bool, u64, usize);

#[test]
fn nothing_is_sent_after_the_time_for_one_plugin() {
    let slow: [Slowness; 5] = [
        ("redirects of the blob", is_blob, 4, 7),
        ("challenge", |request| is_manifest(request) && request.header("authorization").is_none(), 16, 1),
        ("token", |request| request.path == "/service/token", 16, 2),
        ("manifest", |request| is_manifest(request) && request.header("authorization").is_some(), 16, 3),
        ("each manifest", is_manifest, 8, 3),
    ];
    for (name, matches, minutes, requests) in slow {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let clock = Arc::clone(&bench.clock);
        registry.server().intercept(move |request, answer| {
            if matches(request) {
                *clock.uptime.lock().unwrap() += Duration::from_secs(60 * minutes);
            }
            if is_blob(request) { Reply::redirect(307, &request.path) } else { answer() }
        });
        let error = bench.fetch(setup(access(&registry.docker_config())), &pushed.reference).unwrap_err();
        assert_eq!((error.reason(), error.cause()), ("oci_pull_failed", Some("timeout")), "{name}");
        assert!(error.hint().unwrap().contains("--plugin-timeout"), "{name}");
        assert_eq!(bench.world.recorder().requests().len(), requests, "{name}");
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{name}");
    }
}

#[test]
fn nothing_is_sent_after_a_stop() {
    for (name, matches, requests) in [
        ("at the challenge", is_manifest as fn(&Request) -> bool, 1),
        ("at the token", |request| request.path == "/service/token", 2),
        ("at the first redirect", is_blob, 4),
    ] {
        let bench = Bench::new();
        let registry = bench.world.registry(Quirks::harbor());
        let pushed = registry.push(REPOSITORY, "1", b"tarball");
        let stop = Stop::new();
        let asked = stop.clone();
        registry.server().intercept(move |request, answer| {
            if matches(request) {
                asked.ask();
            }
            if is_blob(request) { Reply::redirect(307, &request.path) } else { answer() }
        });
        let fetcher = bench.fetcher(setup(access(&registry.docker_config())));
        assert_eq!(outcome(&fetch_unless(&stop, &fetcher, &pushed.reference)), "interrupted -", "{name}");
        assert_eq!(bench.world.recorder().requests().len(), requests, "{name}");
    }
}

#[test]
fn one_connection_serves_a_whole_pull() {
    let bench = Bench::new();
    let (_registry, pushed) = stocked(&bench, &Plugin::backend("hello").tarball());
    let fetcher = bench.fetcher(Setup::default());
    for _ in 0..3 {
        verified(fetch(&fetcher, &pushed.reference).unwrap(), &pushed.integrity);
    }
    assert_eq!(bench.proxy.asked(), ["registry.example.com:443"]);
}
