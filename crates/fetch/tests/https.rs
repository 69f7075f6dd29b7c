//! Tarballs from https servers: redirects shown to the policy, logins for their own host, certificates, proxies.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

#[path = "support/bench.rs"]
mod bench;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bench::{Bench, Setup, everything_said, fetch, outcome, verified};
use fetch::{Access, FetchLimits, Netrc};
use source::{Prefix, Source, SourcePolicy};
use testkit::{Ca, Fault, HttpServer, Leaf, Plugin, Reply, Request, World, sri};
use transport::Stop;

const FILE: &str = "https://files.example.com/plugins/hello.tgz";
const TARBALL: &[u8] = b"tarball";

/// The server of [`FILE`], which answers with this.
fn files(world: &World, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> HttpServer {
    world.server("files.example.com", answer)
}

fn netrc(text: &str) -> Setup {
    Setup { access: Access { netrc: Netrc::parse(text).unwrap(), ..Access::anonymous() }, ..Setup::default() }
}

fn only(prefixes: &[&str]) -> Setup {
    let prefixes = prefixes.iter().map(|prefix| Prefix::parse(prefix).unwrap()).collect();
    Setup { policy: SourcePolicy::of(prefixes), ..Setup::default() }
}

#[test]
fn each_hop_of_a_redirect_is_shown_to_the_policy() {
    let plain = HttpServer::start(|_| Reply::ok().body(TARBALL));
    let not_allowed = "source_not_allowed redirect_denied";
    let denied = "https_pull_failed redirect_denied";
    for (name, location, expected) in [
        ("same folder", "/plugins/store/hello.tgz?signature=s3cret".to_owned(), "installed"),
        ("listed host", "https://mirror.example.com/plugins/hello.tgz".to_owned(), "installed"),
        ("back and forth", "https://mirror.example.com/plugins/back".to_owned(), "installed"),
        ("same host, other folder", "/other/hello.tgz?signature=s3cret".to_owned(), not_allowed),
        ("longer folder", "/plugins-evil/hello.tgz".to_owned(), not_allowed),
        ("other port", "https://files.example.com:8443/plugins/hello.tgz".to_owned(), not_allowed),
        ("other host", "https://evil.example/plugins/hello.tgz?signature=s3cret".to_owned(), not_allowed),
        ("other host by way of a listed one", "https://mirror.example.com/plugins/evil".to_owned(), not_allowed),
        ("http", "http://files.example.com/plugins/store/hello.tgz".to_owned(), denied),
        ("http to loopback", plain.url("/plugins/hello.tgz"), denied),
        ("file", "file:///etc/passwd".to_owned(), denied),
        ("dots", "/plugins/../other/hello.tgz".to_owned(), denied),
        ("userinfo", "https://bob:s3cret@files.example.com/plugins/x".to_owned(), denied),
        ("loop", "/plugins/hello.tgz".to_owned(), denied),
    ] {
        let bench = Bench::new();
        let _files = files(&bench.world, move |request| match request.path.as_str() {
            "/plugins/hello.tgz" => Reply::redirect(302, &location),
            _ => Reply::ok().body(TARBALL),
        });
        let _mirror = bench.world.server("mirror.example.com", |request| match request.path.as_str() {
            "/plugins/back" => Reply::redirect(307, "https://files.example.com/plugins/store/hello.tgz"),
            "/plugins/evil" => Reply::redirect(301, "https://evil.example/plugins/hello.tgz"),
            _ => Reply::ok().body(TARBALL),
        });
        let evil = bench.world.server("evil.example", |_| Reply::ok().body(TARBALL));
        let setup = only(&["https://files.example.com/plugins", "https://mirror.example.com/plugins/"]);
        let result = bench.fetch(setup, FILE);
        assert_eq!(outcome(&result), expected, "{name}");
        match result {
            Ok(fetched) => assert_eq!(verified(fetched, &sri(TARBALL)), TARBALL, "{name}"),
            Err(error) => assert!(!everything_said(&error).contains("s3cret"), "{name}: {}", everything_said(&error)),
        }
        assert_eq!(bench.world.recorder().to_origin(evil.origin()), [], "{name}");
        assert!(bench.world.recorder().requests().len() <= 6, "{name}");
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{name}");
    }
    assert_eq!(plain.recorder().requests(), []);
}

#[test]
fn login_is_for_its_exact_host() {
    let right = "machine files.example.com login bob password made-password";
    for (name, text, expected) in [
        ("right", right, "installed"),
        ("other case", "machine FILES.example.com login bob password made-password", "installed"),
        ("wrong", "machine files.example.com login bob password wrong-password", "https_pull_failed unauthorized"),
        ("none", "", "https_pull_failed unauthorized"),
        ("other host", "machine example.com login bob password made-password", "https_pull_failed unauthorized"),
        ("default", "default login bob password made-password", "https_pull_failed unauthorized"),
    ] {
        let bench = Bench::new();
        let bob = Some(("bob".to_owned(), "made-password".to_owned()));
        let _files = files(&bench.world, move |request| {
            if request.basic_credentials() == bob { Reply::ok().body(TARBALL) } else { Reply::status(401) }
        });
        let result = bench.fetch(netrc(text), FILE);
        assert_eq!(outcome(&result), expected, "{name}");
        if let Err(error) = result {
            assert!(error.hint().unwrap().contains("netrc"), "{name}");
            assert!(!everything_said(&error).contains("-password"), "{name}");
        }
        assert_eq!(bench.world.recorder().requests().len(), 1, "{name}");
    }
}

#[test]
fn login_does_not_follow_a_redirect_to_another_host() {
    let bench = Bench::new();
    let _files = files(&bench.world, |request| match request.path.as_str() {
        "/plugins/hello.tgz" => Reply::redirect(302, "https://mirror.example.com/1"),
        _ => Reply::ok().body(TARBALL),
    });
    let next = ["https://cdn.files.example.com/2", "https://files.example.com/3"];
    let _mirror = bench.world.server("mirror.example.com", move |_| Reply::redirect(302, next[0]));
    let _cdn = bench.world.server("cdn.files.example.com", move |_| Reply::redirect(302, next[1]));
    let setup = netrc(
        "machine files.example.com login bob password made-password\nmachine cdn.files.example.com login c password other",
    );
    verified(bench.fetch(setup, FILE).unwrap(), &sri(TARBALL));
    let seen: Vec<_> = bench.world.recorder().requests().iter().map(|r| r.basic_credentials().map(|c| c.0)).collect();
    let of = |user: &str| Some(user.to_owned());
    assert_eq!(seen, [of("bob"), None, of("c"), of("bob")]);
}

#[test]
fn login_does_not_follow_a_redirect_to_another_port() {
    let bench = Bench::new();
    let leaf = bench.world.ca().leaf(&[]);
    let start = |answer: Box<dyn Fn(&Request) -> Reply + Send + Sync>| {
        HttpServer::builder().tls_with(leaf.server_config()).recorder(bench.world.recorder()).start(answer)
    };
    let (last, own) = (start(Box::new(|_| Reply::ok().body(TARBALL))), Arc::new(OnceLock::<String>::new()));
    let (back, home) = (last.url("/3"), Arc::clone(&own));
    let other = start(Box::new(move |_| Reply::redirect(302, &format!("{}/2", home.get().unwrap()))));
    let there = other.url("/1");
    let first = start(Box::new(move |request| Reply::redirect(302, if request.path == "/0" { &there } else { &back })));
    own.set(first.origin().to_owned()).unwrap();
    let setup = netrc("machine 127.0.0.1 login bob password made-password");
    verified(bench.fetch(setup, &first.url("/0")).unwrap(), &sri(TARBALL));
    let requests = bench.world.recorder().requests();
    let seen: Vec<_> = requests.iter().map(|request| (&*request.path, request.basic_credentials().is_some())).collect();
    assert_eq!(seen, [("/0", true), ("/1", false), ("/2", true), ("/3", false)]);
}

#[test]
fn login_goes_to_no_port_that_another_server_chose() {
    let bench = Bench::new();
    let leaf = bench.world.ca().leaf(&["localhost"]);
    let there = HttpServer::builder().tls_with(leaf.server_config()).start(|request| {
        assert!(request.header("authorization").is_none(), "a stranger's redirect led here");
        Reply::ok().body(TARBALL)
    });
    let port = there.address().port();
    let _files = files(&bench.world, move |_| Reply::redirect(302, &format!("https://localhost:{port}/x")));
    let setup = Setup { no_proxy: "localhost", ..netrc("machine localhost login bob password made-password") };
    verified(bench.fetch(setup, FILE).unwrap(), &sri(TARBALL));
}

/// It knows the login by right, and may be careless with it.
#[test]
fn server_that_repeats_a_login_in_an_address_is_not_quoted() {
    for word in ["made+pass/word", "MADE%2Bpass%2Fword", "bWFkZStwYXNzL3dvcmQ", "6d6164652B706173732f776F7264", "word"]
    {
        for place in ["https://evil.example/", "http://files.example.com/", "https://files.example.com/gone/"] {
            let bench = Bench::new();
            let location = format!("{place}{word}");
            let _files = files(&bench.world, move |request| match &*request.path {
                "/plugins/hello.tgz" => Reply::redirect(302, &location),
                _ => Reply::broken(Fault::Reset),
            });
            let login = netrc("machine files.example.com login bob password made+pass/word");
            let setup = Setup { access: login.access, ..only(&["https://files.example.com"]) };
            let error = bench.fetch(setup, FILE).unwrap_err();
            let said = everything_said(&error);
            // What is no secret is shown, so that an operator sees where it leads.
            assert_eq!(said.contains(word), word == "word", "{place}{word}: {said}");
            let cause = if place.ends_with("/gone/") && !word.contains('%') { "reset" } else { "redirect_denied" };
            assert_eq!(error.cause(), Some(cause), "{place}{word}");
        }
    }
}

#[test]
fn part_of_a_file_that_nobody_asked_for_is_no_sign_of_the_file() {
    let bench = Bench::new();
    let _files = files(&bench.world, |_| Reply::status(206).header("content-range", "bytes 0-6/7").body(TARBALL));
    let source = SourcePolicy::permissive().admit(Source::parse(FILE).unwrap()).unwrap();
    let error = bench.fetcher(Setup::default()).probe(&source, &Stop::new()).unwrap_err();
    assert_eq!((error.reason(), error.cause()), ("https_pull_failed", Some("protocol")));
}

#[test]
fn encoded_body_is_hashed_as_it_was_published() {
    let bench = Bench::new();
    let tarball = Plugin::backend("hello").tarball();
    let body = tarball.clone();
    let server = files(&bench.world, move |_| Reply::ok().header("content-encoding", "gzip").body(body.clone()));
    let fetched = bench.fetch(Setup::default(), FILE).unwrap();
    assert_eq!(verified(fetched, &sri(&tarball)), tarball);
    let [request] = &server.recorder().requests()[..] else { panic!("one request") };
    assert_eq!(request.header("accept-encoding"), Some("identity"));
}

/// A certificate that an authority gives out, and what its hint speaks of.
type Issue = (&'static str, fn(&Ca) -> Leaf, &'static str);

#[test]
fn server_whose_certificate_is_not_trusted_hears_nothing() {
    let certificates: [Issue; 3] = [
        ("expired", |ca| ca.expired_leaf(&["files.example.com"]), "expired"),
        ("for another host", |ca| ca.leaf(&["other.example.com"]), "another host name"),
        ("of an unknown authority", |_| Ca::new().leaf(&["files.example.com"]), "--ca-file"),
    ];
    for (name, certificate, hint) in certificates {
        let bench = Bench::new();
        let config = certificate(bench.world.ca()).server_config();
        let builder = HttpServer::builder().name("files.example.com").tls_with(config);
        let server = builder.start(|_| Reply::ok().body(TARBALL));
        bench.world.add(&server);
        let login = netrc("machine files.example.com login bob password made-password");
        let error = bench.fetch(login, FILE).unwrap_err();
        assert_eq!((error.reason(), error.cause()), ("https_pull_failed", Some("tls")), "{name}");
        assert!(error.hint().unwrap().contains(hint), "{name}: {:?}", error.hint());
        assert_eq!(server.recorder().requests(), [], "{name}");
        assert_eq!(bench.waits(), Vec::<Duration>::new(), "{name}");
    }
}

#[test]
fn proxy_is_asked_for_all_hosts_but_the_excepted_ones() {
    let bench = Bench::new();
    let _files = files(&bench.world, |_| Reply::ok().body(TARBALL));
    verified(bench.fetch(Setup::default(), FILE).unwrap(), &sri(TARBALL));
    assert_eq!(bench.proxy.asked(), ["files.example.com:443"]);

    let loopback = HttpServer::builder().tls(bench.world.ca()).start(|_| Reply::ok().body(TARBALL));
    verified(bench.fetch(Setup::default(), &loopback.url("/x.tgz")).unwrap(), &sri(TARBALL));
    assert_eq!(bench.proxy.asked().len(), 1, "loopback never goes through a proxy");

    let excepted = Setup { no_proxy: ".invalid", ..Setup::default() };
    let error = bench.fetch(excepted, "https://files.invalid/x.tgz").unwrap_err();
    assert_eq!((error.reason(), error.cause()), ("https_pull_failed", Some("dns")));
    assert_eq!(bench.proxy.asked().len(), 1, "an excepted name is looked up here");

    let error = bench.fetch(Setup::default(), "https://files.invalid/x.tgz").unwrap_err();
    assert_eq!(error.cause(), Some("proxy"), "any other is the proxy's to know");
    assert!(error.hint().unwrap().contains("HTTPS_PROXY"));
    assert_eq!(bench.proxy.asked().len(), 6, "a proxy is asked five times");
}

/// Bytes that a wrong offset would show in.
fn numbers(range: std::ops::Range<u32>) -> Vec<u8> {
    range.flat_map(u32::to_be_bytes).collect()
}

/// The part of a file that a `Range` asks for, or that there is none.
fn rest(file: &[u8], range: &str) -> Reply {
    let first: usize = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
    if first >= file.len() {
        return Reply::status(416);
    }
    let content_range = format!("bytes {first}-{}/{}", file.len() - 1, file.len());
    Reply::status(206).header("content-range", &content_range).body(file[first..].to_vec())
}

#[test]
fn broken_download_goes_on_where_it_broke_off() {
    const THEN: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    const NOW: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:38 GMT");
    const TAG: (&str, &str) = ("etag", "\"v1\"");
    let bytes = numbers(0..50_000);
    for (name, honours_ranges, fault, headers, validator) in [
        ("closed", true, Fault::Close, vec![TAG, THEN], Some(TAG.1)),
        ("reset", true, Fault::Reset, vec![TAG], Some(TAG.1)),
        ("known by its time", true, Fault::Close, vec![THEN, NOW], Some(THEN.1)),
        ("no ranges", false, Fault::Close, vec![TAG], Some(TAG.1)),
        ("nothing to know it by", true, Fault::Close, vec![], None),
        ("a weak tag", true, Fault::Close, vec![("etag", "W/\"v1\"")], None),
    ] {
        let bench = Bench::new();
        let (whole, broken) = (bytes.clone(), bytes.clone());
        let known = headers.clone();
        let server = files(&bench.world, move |request| match request.header("range") {
            Some(range) if honours_ranges => with(&known, rest(&whole, range)),
            _ => with(&known, Reply::ok().body(whole.clone())),
        });
        let first = move || with(&headers, Reply::ok().body(broken.clone())).broken_after(150_000, fault);
        server.first(1, |_| true, first);
        let fetched = bench.fetch(Setup::default(), FILE).unwrap();
        assert_eq!(verified(fetched, &sri(&bytes)), bytes, "{name}");
        let [_, second] = &server.recorder().requests()[..] else { panic!("{name}: two requests") };
        assert_eq!(second.header("range").is_some(), validator.is_some(), "{name}");
        assert_eq!(second.header("if-range"), validator, "{name}");
    }
}

fn with(headers: &[(&str, &str)], reply: Reply) -> Reply {
    headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
}

#[test]
fn file_that_is_replaced_between_two_tries_is_the_new_file() {
    let (old, long, short) = (numbers(0..50_000), numbers(50_000..110_000), numbers(50_000..50_010));
    for (name, new, honours_if_range, tries) in [
        ("longer", &long, true, 2),
        ("shorter", &short, true, 2),
        ("longer, condition not understood", &long, false, 3),
        ("shorter, condition not understood", &short, false, 3),
    ] {
        let bench = Bench::new();
        let (before, after) = (old.clone(), new.clone());
        let server = files(&bench.world, move |request| match request.header("range") {
            Some(range) if !honours_if_range => rest(&after, range).header("etag", "\"new\""),
            _ => Reply::ok().header("etag", "\"new\"").body(after.clone()),
        });
        let old = move || Reply::ok().header("etag", "\"old\"").body(before.clone());
        server.first(1, |_| true, move || old().broken_after(150_000, Fault::Close));
        let fetched = bench.fetch(Setup::default(), FILE).unwrap();
        assert_eq!(&verified(fetched, &sri(new)), new, "{name}");
        assert_eq!(server.recorder().requests().len(), tries, "{name}");
        assert_eq!(bench.waits().len(), 1, "{name}: starting over is no try of its own");
    }
}

#[test]
fn part_that_is_not_the_rest_is_not_taken() {
    let bytes = numbers(0..50_000);
    let len = bytes.len();
    for (name, range, part) in [
        ("shorter than it should be", "bytes 150000-150009/*LEN*", 150_000..150_010),
        ("empty", "bytes 150000-149999/*LEN*", 150_000..150_000),
        ("another total", "bytes 150000-*LAST*/7", 150_000..len),
        ("of another length", "bytes 150000-*LAST*/*LEN*", 150_000..len - 7),
        ("signed", "bytes +150000-*LAST*/*LEN*", 150_000..len),
        ("no range", "150000-*LAST*", 150_000..len),
    ] {
        let bench = Bench::new();
        let (whole, part) = (bytes.clone(), bytes[part].to_vec());
        let range = range.replace("*LAST*", &(len - 1).to_string()).replace("*LEN*", &len.to_string());
        let tagged = |reply: Reply| reply.header("etag", "\"v1\"");
        let server = files(&bench.world, move |request| match request.header("range") {
            Some(_) => tagged(Reply::status(206).header("content-range", &range).body(part.clone())),
            None => tagged(Reply::ok().body(whole.clone())),
        });
        let first = bytes.clone();
        server.first(1, |_| true, move || tagged(Reply::ok().body(first.clone())).broken_after(150_000, Fault::Close));
        assert_eq!(verified(bench.fetch(Setup::default(), FILE).unwrap(), &sri(&bytes)), bytes, "{name}");
        assert_eq!(server.recorder().requests().len(), 3, "{name}");
    }
}

#[test]
fn server_that_has_no_rest_is_asked_for_the_whole_once() {
    let bench = Bench::new();
    let bytes = numbers(0..50_000);
    let server = files(&bench.world, |_| Reply::status(416));
    let first = move || Reply::ok().header("etag", "\"v1\"").body(bytes.clone()).broken_after(150_000, Fault::Close);
    server.first(1, |_| true, first);
    assert_eq!(outcome(&bench.fetch(Setup::default(), FILE)), "https_pull_failed protocol");
    assert_eq!(server.recorder().requests().len(), 3);
}

#[test]
fn slow_redirects_end_with_the_time_for_one_plugin() {
    let bench = Bench::new();
    let clock = std::sync::Arc::clone(&bench.clock);
    let server = files(&bench.world, move |_| {
        *clock.uptime.lock().unwrap() += Duration::from_mins(4);
        Reply::redirect(302, "/plugins/hello.tgz")
    });
    let error = bench.fetch(Setup::default(), FILE).unwrap_err();
    assert_eq!((error.reason(), error.cause()), ("https_pull_failed", Some("timeout")));
    assert!(error.hint().unwrap().contains("--plugin-timeout"));
    assert_eq!(server.recorder().requests().len(), 4, "of 6 that there are without an end of time");
    assert_eq!(bench.waits(), Vec::<Duration>::new());
}

/// How a server answers, what comes of it, and after how many tries.
type Answer = (&'static str, fn() -> Reply, &'static str, usize);

#[test]
fn answers_that_are_no_tarball_are_told_apart() {
    let cases: [Answer; 13] = [
        ("404", || Reply::status(404), "https_pull_failed not_found", 1),
        ("403", || Reply::status(403), "https_pull_failed forbidden", 1),
        ("500", || Reply::status(500), "https_pull_failed server_error", 5),
        ("599", || Reply::status(599), "https_pull_failed server_error", 5),
        ("600", || Reply::status(600), "https_pull_failed protocol", 1),
        ("429", || Reply::status(429).retry_after("86400"), "https_pull_failed rate_limited", 1),
        ("206 for no range", || Reply::status(206).body(TARBALL), "https_pull_failed protocol", 1),
        ("cut", || Reply::ok().body(TARBALL).broken_after(3, Fault::Close), "https_pull_failed truncated", 5),
        ("not HTTP", || Reply::raw(*b"SSH-2.0-OpenSSH_9.9\r\n"), "https_pull_failed protocol", 1),
        ("1 MiB of headers", || Reply::ok().header("x", &"y".repeat(1 << 20)), "https_pull_failed protocol", 1),
        ("too long", || Reply::ok().stream(std::io::empty(), 1 << 40), "artifact_too_large -", 1),
        ("endless", || Reply::ok().stream(std::io::repeat(0), 0).chunked(), "artifact_too_large -", 1),
        ("a login page", || Reply::ok().body(*b"<html>"), "installed", 1),
    ];
    for (name, reply, expected, tries) in cases {
        let bench = Bench::new();
        let server = files(&bench.world, move |_| reply());
        let limits = FetchLimits { artifact_bytes: 1 << 20, ..FetchLimits::default() };
        let result = fetch(&bench.fetcher(Setup { limits, ..Setup::default() }), FILE);
        assert_eq!(outcome(&result), expected, "{name}");
        assert_eq!(server.recorder().requests().len(), tries, "{name}");
        if let Ok(fetched) = result {
            // What was fetched says nothing of what it is: the integrity does.
            let promise = integrity::Promise::Hashes(integrity::Hashes::parse(&sri(TARBALL)).unwrap());
            let mismatch = fetched.verify(&promise).unwrap_err();
            assert_eq!(mismatch.reason(), "integrity_mismatch", "{name}");
        }
    }
}
