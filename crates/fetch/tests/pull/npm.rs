//! Packages of an npm registry, all the way to bytes.

use fetch::{FetchError, Fetched, Npmrc};
use source::{Source, SourcePolicy};

use super::*;

const TARBALL: &[u8] = b"a plugin's tarball";

/// A registry that has one package, whose tarball it describes by `integrity`, and sends as `sent`, if it has it.
fn npm(bench: &Bench, integrity: &str, sent: Option<&'static [u8]>) -> HttpServer {
    let dist = json!({ "tarball": "https://npm.example.com/plugin/-/plugin-1.2.3.tgz", "integrity": integrity });
    let metadata =
        json!({ "name": "plugin", "dist-tags": { "latest": "1.2.3" }, "versions": { "1.2.3": { "dist": dist } } });
    bench.world.server("npm.example.com", move |request| match request.path.as_str() {
        "/plugin" => Reply::ok().json(&metadata),
        "/plugin/-/plugin-1.2.3.tgz" => sent.map_or_else(|| Reply::status(404), |bytes| Reply::ok().body(bytes)),
        _ => Reply::status(404),
    })
}

fn setup() -> Setup {
    let npmrc = Npmrc::parse("registry=https://npm.example.com/", |_| None).unwrap();
    Setup { access: Access { npmrc, ..Access::anonymous() }, ..Setup::default() }
}

fn fetch_npm(bench: &Bench, package: &str) -> Result<Fetched, FetchError> {
    let allowed = SourcePolicy::permissive().admit(Source::parse_rhdh(package).unwrap()).unwrap();
    let spool = fetch::Spool::new(tempfile::tempfile().unwrap());
    bench.fetcher(setup()).fetch(&allowed, spool, &Stop::new(), &|_, _| ())
}

#[test]
fn tarball_is_fetched_and_still_has_to_be_the_pinned_one() {
    let bench = Bench::new();
    let _registry = npm(&bench, &sri(TARBALL), Some(TARBALL));
    let fetched = fetch_npm(&bench, "plugin@^1").unwrap();
    assert_eq!(*fetched.origin(), fetch::Origin::default(), "nobody vouches for it but a pin");
    assert_eq!(verified(fetched.clone(), &sri(TARBALL)), TARBALL);
    let other = integrity::Integrity::parse(&sri(b"other")).unwrap();
    assert_eq!(fetched.verify_pinned(&other).unwrap_err().reason(), "integrity_mismatch");
}

#[test]
fn what_the_registry_says_of_its_tarball_has_to_hold_where_it_says_enough() {
    let weak = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
    for (name, integrity, sent, expected) in [
        ("as described", sri(TARBALL), Some(TARBALL), "installed"),
        ("one of several", format!("{} {}", sri(b"x"), sri(TARBALL)), Some(TARBALL), "installed"),
        ("other bytes", sri(TARBALL), Some(b"other bytes"), "npm_pull_failed digest_mismatch"),
        ("no bytes", sri(TARBALL), Some(b""), "npm_pull_failed digest_mismatch"),
        ("only what is too weak", weak.to_owned(), Some(TARBALL), "installed"),
        ("nothing", String::new(), Some(TARBALL), "installed"),
        ("no tarball", sri(TARBALL), None, "npm_pull_failed not_found"),
    ] {
        let bench = Bench::new();
        let _registry = npm(&bench, &integrity, sent);
        assert_eq!(outcome(&fetch_npm(&bench, "plugin")), expected, "{name}");
    }
}

#[test]
fn package_is_there_when_its_tarball_is() {
    for (sent, expected) in [(Some(TARBALL), Ok(Some(18))), (None, Err("npm_pull_failed"))] {
        let bench = Bench::new();
        let _registry = npm(&bench, "", sent);
        let allowed = SourcePolicy::permissive().admit(Source::parse_rhdh("plugin@1.2.3").unwrap()).unwrap();
        let probe = bench.fetcher(setup()).probe(&allowed, &Stop::new());
        assert_eq!(probe.map(|probe| probe.size).map_err(|error| error.reason()), expected);
    }
}

#[test]
fn what_no_server_has_is_not_asked_for() {
    let bench = Bench::new();
    for package in ["./folder", "git+https://example.com/repo.git"] {
        assert_eq!(outcome(&fetch_npm(&bench, package)), "scheme_not_supported -", "{package}");
    }
    assert!(bench.world.recorder().requests().is_empty());
}

#[test]
fn tarball_that_never_comes_whole_is_told_as_npms() {
    let bench = Bench::new();
    let registry = npm(&bench, &sri(TARBALL), Some(TARBALL));
    let is_tarball = |request: &Request| request.path.contains("/-/");
    let cut = || Reply::ok().body(TARBALL).broken_after(7, Fault::Close);
    registry.first(1, is_tarball, cut);
    assert_eq!(outcome(&fetch_npm(&bench, "plugin")), "installed");
    registry.first(usize::MAX, is_tarball, cut);
    assert_eq!(outcome(&fetch_npm(&bench, "plugin")), "npm_pull_failed truncated");
}
