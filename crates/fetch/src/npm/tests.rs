//! The way from a package's name to its tarball, through servers that tell the truth and ones that do not.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use source::{AllowedKind, Source, SourcePolicy};
use tempfile::NamedTempFile;
use testkit::{Fault, HttpServer, Proxy, Reply, Request as Asked, World};
use transport::{Clock, Deadline, HttpClient, ProxyRules, Retryable as _, Stop, SystemClock, Timeouts, Trust};

use super::*;
use crate::tarball_url::Validator;

const TARBALL: &[u8] = b"tarball";

fn allowed(package: &str) -> Allowed<NpmSpec> {
    let source = Source::parse_rhdh(package).unwrap();
    match SourcePolicy::permissive().admit(source).unwrap().kind() {
        AllowedKind::Npm(spec) => spec,
        other => panic!("{other:?}"),
    }
}

/// Reaches loopback, and a world by its names.
struct Reach {
    transport: HttpClient,
    clock: SystemClock,
    stop: Stop,
}

impl Reach {
    fn loopback() -> Self {
        Self::by(ProxyRules::default(), &Trust::default())
    }

    fn of(world: &World, proxy: &Proxy) -> Self {
        let mut authority = NamedTempFile::new().unwrap();
        authority.write_all(world.ca().pem().as_bytes()).unwrap();
        let trust = Trust { file: Some(authority.path().to_owned()), ..Trust::default() };
        Self::by(ProxyRules::parse(Some(&proxy.url()), None).unwrap(), &trust)
    }

    fn by(proxies: ProxyRules, trust: &Trust) -> Self {
        let transport = HttpClient::new("butler-plugins-tests", trust, proxies, Timeouts::default()).unwrap();
        Self { transport, clock: SystemClock::start(), stop: Stop::new() }
    }

    fn patience(&self) -> Patience<'_> {
        let deadline = Deadline::after(&self.clock as &dyn Clock, Duration::from_mins(1));
        Patience::new(&self.clock, deadline, &self.stop)
    }

    fn locate(&self, npmrc: &str, package: &str) -> Result<NpmArtifact, NpmFailure> {
        locate(&self.transport, &Npmrc::parse(npmrc, |_| None).unwrap(), &allowed(package), self.patience())
    }

    fn open(&self, npmrc: &str, artifact: &NpmArtifact) -> Result<Vec<u8>, NpmFailure> {
        let npmrc = Npmrc::parse(npmrc, |_| None).unwrap();
        let mut response = open(&self.transport, &npmrc, artifact, None, self.patience())?;
        Ok(response.read_to_limit(1024, Duration::from_mins(1), self.patience()).unwrap())
    }
}

/// Version 1.2.3 with this tarball, and the tags `latest` and `next` for it.
fn metadata(tarball: &str) -> Value {
    let dist = json!({"tarball": tarball, "integrity": "sha512-AAAA", "shasum": "00"});
    json!({"name": "x", "dist-tags": {"latest": "1.2.3", "next": "1.2.3"}, "versions": {"1.2.3": {"dist": dist}}})
}

/// A registry at `/npm/`, whose tarballs are where `tarball` says.
fn registry(tarball: impl Fn(&Asked) -> String + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |asked| match asked.path.as_str() {
        "/npm/@s%2fplugin" | "/npm/plugin" => Reply::ok().json(&metadata(&tarball(asked))),
        "/npm/plugin/-/plugin-1.2.3.tgz" => Reply::ok().body(TARBALL),
        _ => Reply::status(404),
    })
}

fn own_tarball(asked: &Asked) -> String {
    format!("{}/npm/plugin/-/plugin-1.2.3.tgz", asked.origin)
}

/// `reason code`, and whether another try may do better.
fn failed(failure: &NpmFailure) -> (String, bool) {
    (format!("{} {}", failure.reason(), failure.code()), failure.is_transient())
}

#[test]
fn a_package_is_found_and_its_tarball_comes() {
    let registry = registry(own_tarball);
    let npmrc = format!("@s:registry={}\nregistry={}", registry.url("/npm"), registry.url("/npm/"));
    let reach = Reach::loopback();
    for package in
        ["@s/plugin@1.2.3", "@s/plugin@^1.0.0", "@s/plugin@next", "@s/plugin", "plugin", "alias@npm:plugin@1.x"]
    {
        let artifact = reach.locate(&npmrc, package).unwrap();
        assert_eq!(artifact.name.to_string(), if package.starts_with("@s") { "@s/plugin" } else { "plugin" });
        assert_eq!(
            (artifact.version.as_str(), artifact.integrity.as_deref()),
            ("1.2.3", Some("sha512-AAAA")),
            "{package}"
        );
        assert_eq!(reach.open(&npmrc, &artifact).unwrap(), TARBALL);
    }
    let asked = registry.recorder().requests();
    assert_eq!((asked[0].path.as_str(), asked[0].header("accept")), ("/npm/@s%2fplugin", Some(METADATA_TYPES)));
    assert_eq!(registry.recorder().with_header("authorization"), []);
}

#[test]
fn a_login_goes_to_its_registry_alone() {
    let elsewhere = registry(own_tarball);
    let tarball = elsewhere.url("/npm/plugin/-/plugin-1.2.3.tgz");
    let registry = registry(own_tarball);
    registry.intercept(
        |asked, answer| if asked.bearer_token() == Some("made-token") { answer() } else { Reply::status(401) },
    );
    let reach = Reach::loopback();
    let base = format!("registry={}\n", registry.url("/npm/"));
    let login = |host: &str| format!("{base}//{host}/npm/:_authToken=made-token\n");
    let artifact = reach.locate(&login(registry.host()), "plugin").unwrap();
    assert_eq!(reach.open(&login(registry.host()), &artifact).unwrap(), TARBALL);
    for (name, npmrc, expected) in [
        ("none", base.clone(), "add `//"),
        ("other port", login(elsewhere.host()), "add `//"),
        ("other path", login(registry.host()).replace("/npm/:", "/other/:"), "add `//"),
        ("wrong", login(registry.host()).replace("made-", "wrong-"), "is wrong"),
    ] {
        for failure in [reach.locate(&npmrc, "plugin").unwrap_err(), reach.open(&npmrc, &artifact).unwrap_err()] {
            assert_eq!(failed(&failure), ("npm_pull_failed unauthorized".to_owned(), false), "{name}");
            assert!(failure.hint().unwrap().contains(expected), "{name}: {:?}", failure.hint());
        }
    }
    // Metadata and tarball lead elsewhere; what is there needs no login, and sees none.
    let away = elsewhere.url("/npm/plugin");
    registry.intercept(move |asked, answer| match asked.path.as_str() {
        "/npm/plugin" => Reply::redirect(302, &away),
        _ => answer(),
    });
    let failure = reach.locate(&login(registry.host()), "plugin").unwrap_err();
    assert_eq!(failed(&failure), ("npm_pull_failed redirect_denied".to_owned(), false));
    let artifact = NpmArtifact { tarball: Url::parse(&tarball).unwrap(), ..artifact };
    assert_eq!(reach.open(&login(registry.host()), &artifact).unwrap(), TARBALL);
    assert_eq!(elsewhere.recorder().with_header("authorization"), []);
}

#[test]
fn redirects_over_https_are_followed_without_the_login() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let npm = world.server("npm.example.com", |asked| match asked.path.as_str() {
        "/plugin" => Reply::redirect(301, "/moved/plugin?a=b"),
        "/moved/plugin" => Reply::ok().json(&metadata("https://npm.example.com/t.tgz")),
        "/t.tgz" => Reply::redirect(302, "https://cdn.example.com/t.tgz?signature=x"),
        "/loop" => Reply::redirect(302, "/loop"),
        "/down" => Reply::redirect(302, "http://127.0.0.1:1/t.tgz"),
        "/nowhere" => Reply::status(302),
        _ => Reply::status(404),
    });
    let cdn = world.server("cdn.example.com", |_| Reply::ok().body(TARBALL));
    let reach = Reach::of(&world, &proxy);
    let npmrc = "registry=https://npm.example.com\n//npm.example.com/:_authToken=made-token";
    let artifact = reach.locate(npmrc, "plugin").unwrap();
    assert_eq!(reach.open(npmrc, &artifact).unwrap(), TARBALL);
    let with_token = |origin: &str| {
        let asked = world.recorder().to_origin(origin);
        (asked.len(), asked.iter().filter(|asked| asked.holds("made-token")).count())
    };
    assert_eq!(with_token(npm.origin()), (3, 3));
    assert_eq!(with_token(cdn.origin()), (1, 0));
    for path in ["loop", "down", "nowhere"] {
        let tarball = Url::parse(&npm.url(&format!("/{path}"))).unwrap();
        let failure = reach.open(npmrc, &NpmArtifact { tarball, ..artifact.clone() }).unwrap_err();
        assert_eq!(failed(&failure), ("npm_pull_failed redirect_denied".to_owned(), false), "{path}");
    }
}

#[test]
fn the_rest_of_a_tarball_can_be_asked_for() {
    let registry = registry(own_tarball);
    registry.intercept(|asked, answer| match asked.header("range") {
        Some("bytes=3-") => Reply::status(206).header("content-range", "bytes 3-6/7").body(*b"ball"),
        _ => answer(),
    });
    let reach = Reach::loopback();
    let npmrc = format!("registry={}", registry.url("/npm"));
    let artifact = reach.locate(&npmrc, "plugin").unwrap();
    let validator = Validator::of(&[("etag".to_owned(), "\"a\"".to_owned())].into_iter().collect()).unwrap();
    let rest = Rest { offset: 3, validator: &validator };
    let npmrc = Npmrc::parse(&npmrc, |_| None).unwrap();
    let response = open(&reach.transport, &npmrc, &artifact, Some(&rest), reach.patience()).unwrap();
    assert_eq!(response.status(), 206);
    assert_eq!(registry.recorder().requests().last().unwrap().header("if-range"), Some("\"a\""));
}

#[test]
fn failures_are_told_apart() {
    let body = metadata("https://h.example.com/t.tgz").to_string();
    let cut = body.len() / 2;
    let (half, whole) = (body[..cut].to_owned(), body.clone());
    let registry = HttpServer::start(move |asked| match asked.path.as_str() {
        "/unauthorized" => Reply::status(401),
        "/forbidden" => Reply::status(403),
        "/busy" => Reply::status(429).retry_after("7"),
        "/ill" => Reply::status(503),
        "/gone" => Reply::broken(Fault::Reset),
        "/short" => Reply::ok().body(half.clone().into_bytes()).header("content-length", "9999"),
        "/cut" => Reply::ok().body(half.clone().into_bytes()).until_close(),
        "/whole" => Reply::ok().body(whole.clone().into_bytes()).until_close(),
        "/page" => Reply::ok().body(*b"<html>"),
        "/list" => Reply::ok().body(*b"[]"),
        "/http" => Reply::ok().json(&metadata("http://h.example.com/t.tgz")),
        "/local" => Reply::ok().json(&metadata("http://127.0.0.1:1/t.tgz")),
        "/file" => Reply::ok().json(&metadata("file:///etc/passwd")),
        "/login" => Reply::ok().json(&metadata("https://bob:s3cret@h.example.com/t.tgz")),
        _ => Reply::status(404),
    });
    let reach = Reach::loopback();
    let npmrc = format!("registry={}", registry.origin());
    for (package, code, is_transient) in [
        ("unauthorized", "unauthorized", false),
        ("forbidden", "forbidden", false),
        ("absent", "not_found", false),
        ("busy", "rate_limited", true),
        ("ill", "server_error", true),
        ("gone", "reset", true),
        ("short", "truncated", true),
        ("cut", "truncated", true),
        ("page", "shape", false),
        ("list", "shape", false),
        ("http", "redirect_denied", false),
        ("local", "redirect_denied", false),
        ("file", "redirect_denied", false),
        ("login", "redirect_denied", false),
        ("whole@^2", "not_found", false),
        ("whole@nightly", "not_found", false),
    ] {
        let failure = reach.locate(&npmrc, package).unwrap_err();
        assert_eq!(failed(&failure), (format!("npm_pull_failed {code}"), is_transient), "{package}");
        assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
        assert_eq!(failure.retry_after(), (package == "busy").then(|| Duration::from_secs(7)), "{package}");
    }
    assert!(reach.locate(&npmrc, "whole").is_ok());
}

#[test]
fn metadata_past_their_limit_are_not_read_on() {
    const EMPTY: &[u8] = b"{\"versions\":{}}";
    let registry = HttpServer::start(|asked| {
        let len = packument::METADATA_LIMIT + usize::from(asked.path == "/more");
        let spaces = len - EMPTY.len();
        Reply::ok().stream(std::io::repeat(b' ').take(spaces as u64).chain(EMPTY), len as u64)
    });
    let reach = Reach::loopback();
    let npmrc = format!("registry={}", registry.origin());
    assert_eq!(failed(&reach.locate(&npmrc, "more").unwrap_err()).0, "npm_pull_failed too_large");
    assert_eq!(failed(&reach.locate(&npmrc, "most").unwrap_err()).0, "npm_pull_failed not_found");
}

#[test]
fn tarballs_of_a_mirror_are_asked_for_where_its_metadata_are() {
    let npm = "https://HOST/@s/n/-/n-1.0.0.tgz";
    for (registry, written, expected) in [
        ("https://HOST/", npm, Ok(npm)),
        ("https://HOST/", "http://HOST/a.tgz", Ok("https://HOST/a.tgz")),
        ("https://m.example.com/", npm, Ok("https://m.example.com/@s/n/-/n-1.0.0.tgz")),
        ("https://m.example.com:8443/npm/", npm, Ok("https://m.example.com:8443/npm/@s/n/-/n-1.0.0.tgz")),
        ("https://m.example.com/npm/", "https://HOST/npm/-/npm-1.tgz", Ok("https://m.example.com/npm/-/npm-1.tgz")),
        ("http://127.0.0.1:4873/", npm, Ok("http://127.0.0.1:4873/@s/n/-/n-1.0.0.tgz")),
        ("https://m.example.com/", "https://HOST.evil.example/a", Ok("https://HOST.evil.example/a")),
        ("https://m.example.com/", "https://cdn.example.com/a?b=c", Ok("https://cdn.example.com/a?b=c")),
        ("http://127.0.0.1:4873/", "http://127.0.0.1:4873/a", Ok("http://127.0.0.1:4873/a")),
        ("http://127.0.0.1:4873/", "http://127.0.0.1:4874/a", Err(UrlError::PlainHttp)),
        ("https://m.example.com/", "http://127.0.0.1:4873/a", Err(UrlError::PlainHttp)),
        ("https://m.example.com/", "http://m.example.com/a", Err(UrlError::PlainHttp)),
        ("https://m.example.com/", "/a", Err(UrlError::Scheme)),
    ] {
        let named = |text: &str| text.replace("HOST", DEFAULT_HOST);
        let found = tarball_url(&Url::parse(&named(registry)).unwrap(), &named(written)).map(|url| url.with_query());
        assert_eq!(found, expected.map(named), "{registry} {written}");
    }
}
