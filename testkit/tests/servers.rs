//! The servers, asked by a client of a few lines.

#![expect(clippy::unwrap_used, reason = "the client is part of the tests, which clippy does not see")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use testkit::{
    Auth, Ca, Fault, HttpServer, OCI_MANIFEST, Plugin, Proxy, Quirks, Ranges, Registry, Reply, World, docker_config,
    sha256_digest,
};

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn read(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    Ok(Answer { status: head[9..12].parse().unwrap(), body: bytes[end + 4..].to_vec(), head })
}

fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}

fn ask(server: &HttpServer, method: &str, target: &str, headers: &str) -> io::Result<Answer> {
    read(TcpStream::connect(server.address())?, &request(method, target, headers))
}

fn tls(ca: &Ca, name: &str, socket: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket)
}

fn ask_name(world: &World, name: &str, target: &str, headers: &str) -> Answer {
    let socket = TcpStream::connect(world.address_of(name).unwrap()).unwrap();
    read(tls(world.ca(), name, socket), &request("GET", target, headers)).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}\r\n", Base64::encode_string(format!("{user}:{password}").as_bytes()))
}

fn accepting(token: &str) -> String {
    format!("authorization: Bearer {token}\r\naccept: {OCI_MANIFEST}\r\n")
}

/// The value of one parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> &'a str {
    let start = challenge.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
    challenge[start..].split('"').next().unwrap()
}

#[test]
fn one_connection_serves_many_requests() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/chunked" => Reply::ok().body(*b"pieces").chunked(),
        _ => Reply::ok().body(request.body.clone()),
    });
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let requests = "PUT /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcHEAD /chunked HTTP/1.1\r\n\r\n";
    socket.write_all(requests.as_bytes()).unwrap();
    let answer = read(socket, &request("GET", "/chunked", "")).unwrap();
    let expected = "abcHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                    HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\npieces\r\n0\r\n\r\n";
    assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
    let asked: Vec<_> = server.recorder().requests().into_iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(asked, ["PUT /a", "HEAD /chunked", "GET /chunked"]);
}

#[test]
fn every_fault_is_seen_by_the_client() {
    let rows = [
        ("at once, closed", None, Fault::Close, io::ErrorKind::UnexpectedEof),
        ("at once, reset", None, Fault::Reset, io::ErrorKind::ConnectionReset),
        ("at once, stalled", None, Fault::Stall, io::ErrorKind::WouldBlock),
        ("midway, reset", Some(2), Fault::Reset, io::ErrorKind::ConnectionReset),
        ("midway, stalled", Some(2), Fault::Stall, io::ErrorKind::WouldBlock),
    ];
    for (name, after, fault, expected) in rows {
        let server = HttpServer::start(move |_| match after {
            None => Reply::broken(fault),
            Some(bytes) => Reply::ok().body(*b"whole").broken_after(bytes, fault),
        });
        let socket = TcpStream::connect(server.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(read(socket, &request("GET", "/", "")).unwrap_err().kind(), expected, "{name}");
    }
}

#[test]
fn truncated_body_declares_more_than_it_sends() {
    let server = HttpServer::start(|_| Reply::ok().body(*b"whole").broken_after(2, Fault::Close));
    let answer = ask(&server, "GET", "/", "").unwrap();
    assert_eq!((answer.header("content-length"), answer.body.as_slice()), (Some("5"), b"wh".as_slice()));
}

#[test]
fn answer_can_be_changed_after_it_was_made() {
    let right = || Reply::ok().header("x", "y").body(*b"whole");
    let changed = |reply: Reply| {
        let reply = std::sync::Mutex::new(Some(reply));
        let server = HttpServer::start(move |_| reply.lock().unwrap().take().unwrap());
        let answer = ask(&server, "GET", "/", "").unwrap();
        let length = answer.header("content-length").map(str::to_owned);
        (answer.status, length, String::from_utf8(answer.body).unwrap())
    };
    let told = |status, length: &str, body: &str| (status, Some(length.to_owned()), body.to_owned());
    assert_eq!(right().header_value("X"), Some("y"));
    assert_eq!(changed(right().with_status(206)), told(206, "5", "whole"));
    assert_eq!(changed(right().with_length(|len| len * 2)), told(200, "10", "whole"));
    assert_eq!(changed(right().with_body(|body| [&body[..], b"r"].concat())), told(200, "6", "wholer"));
}

#[test]
fn dripping_answer_comes_byte_by_byte() {
    let server = HttpServer::start(|_| Reply::ok().body(*b"whole").drip(Duration::from_millis(20)));
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.write_all(request("GET", "/", "").as_bytes()).unwrap();
    let mut reads = Vec::new();
    let mut buffer = [0; 1024];
    while let n @ 1.. = socket.read(&mut buffer).unwrap() {
        reads.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
    }
    assert!(reads.len() >= 5 && reads.concat().ends_with("\r\n\r\nwhole"), "{reads:?}");
}

#[test]
fn streamed_body_is_as_long_as_declared() {
    let server = HttpServer::start(|_| Reply::ok().stream(io::repeat(7).take(3_000_000), 3_000_000));
    assert_eq!(ask(&server, "GET", "/", "").unwrap().body, vec![7; 3_000_000]);
}

#[test]
fn panic_in_a_handler_fails_the_test_at_the_drop() {
    let server = HttpServer::start(|_| panic!("not this path"));
    assert_eq!(ask(&server, "GET", "/", "").unwrap().status, 400);
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(server))).unwrap_err();
    assert!(dropped.downcast_ref::<String>().unwrap().ends_with("not this path"));
}

#[test]
fn first_requests_can_be_refused() {
    let registry = Registry::start();
    registry.rate_limit(2, "1");
    let statuses: Vec<_> = (0..3).map(|_| ask(registry.server(), "GET", "/v2/", "").unwrap().status).collect();
    assert_eq!(statuses, [429, 429, 200]);
}

#[test]
fn tls_servers_are_trusted_under_their_names_only() {
    let world = World::new();
    let _server = world.server("one.example", |_| Reply::ok().body(*b"hello"));
    assert_eq!(ask_name(&world, "one.example", "/", "").body, b"hello");
    let socket = TcpStream::connect(world.address_of("one.example").unwrap()).unwrap();
    assert!(read(tls(world.ca(), "two.example", socket), &request("GET", "/", "")).is_err());
    assert_eq!(&*world.recorder().requests()[0].origin, "https://one.example");
    let expired = world.ca().expired_leaf(&["old.example"]).server_config();
    let expired = HttpServer::builder().name("old.example").tls_with(expired).start(|_| Reply::ok());
    world.add(&expired);
    let socket = TcpStream::connect(world.address_of("old.example").unwrap()).unwrap();
    assert!(read(tls(world.ca(), "old.example", socket), &request("GET", "/", "")).is_err());
    assert_eq!(expired.recorder().requests(), []);
}

#[test]
fn proxy_leads_to_the_names_of_its_world() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let _server = world.server("one.example", |_| Reply::ok().stream(io::repeat(7).take(1_000_000), 1_000_000));
    let connect = |name: &str| {
        let mut socket = TcpStream::connect(proxy.server().address()).unwrap();
        write!(socket, "CONNECT {name}:443 HTTP/1.1\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (socket, head.starts_with(b"HTTP/1.1 200 "))
    };
    let (socket, open) = connect("one.example");
    assert!(open);
    let answer = read(tls(world.ca(), "one.example", socket), &request("GET", "/", "")).unwrap();
    assert_eq!(answer.body.len(), 1_000_000);
    assert!(!connect("evil.example").1);
    assert_eq!(proxy.asked(), ["one.example:443", "evil.example:443"]);
}

#[test]
fn blob_ranges_are_exact() {
    let registry = Registry::start();
    let digest = registry.push_blob("a/b", b"0123456789");
    let rows = [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=7-99", 206, "789", Some("bytes 7-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=4-2", 416, "", Some("bytes */10")),
        ("lines=1-2", 200, "0123456789", None),
    ];
    for (range, status, body, content_range) in rows {
        let answer =
            ask(registry.server(), "GET", &format!("/v2/a/b/blobs/{digest}"), &format!("range: {range}\r\n")).unwrap();
        assert_eq!((answer.status, answer.header("content-range")), (status, content_range), "{range}");
        assert_eq!(String::from_utf8(answer.body).unwrap(), body, "{range}");
    }
    let deaf = Registry::builder().ranges(Ranges::Ignored).start();
    let digest = deaf.push_blob("a/b", b"0123456789");
    let answer = ask(deaf.server(), "GET", &format!("/v2/a/b/blobs/{digest}"), "range: bytes=2-4\r\n").unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 10));
}

#[test]
fn basic_registry_tells_401_403_and_404_apart() {
    let auth = Auth::basic("robot$project+name", "p:w");
    let registry = Registry::builder().auth(auth).forbidden("other").public("open").start();
    registry.push("open/x", "1", b"tarball");
    let right = basic("robot$project+name", "p:w");
    let wrong = basic("robot$project+name", "p");
    let accept = format!("accept: {OCI_MANIFEST}\r\n");
    let rows = [
        ("missing", "closed/x", "", 401),
        ("missing, public", "open/x", "", 200),
        ("wrong", "closed/x", &wrong, 401),
        ("wrong, public", "open/x", &wrong, 401),
        ("right, not allowed", "other/x", &right, 403),
        ("right, name alike", "otherwise/x", &right, 404),
        ("right, unknown", "closed/x", &right, 404),
        ("right", "open/x", &right, 200),
    ];
    for (name, repository, headers, status) in rows {
        let target = format!("/v2/{repository}/manifests/1");
        let answer = ask(registry.server(), "GET", &target, &format!("{headers}{accept}")).unwrap();
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{name}");
    }
}

/// Follows a challenge as a client does; answers the token server's status and the token.
fn token(world: &World, challenge: &str, headers: &str) -> (u16, String) {
    let realm = parameter(challenge, "realm").strip_prefix("https://").unwrap();
    let (host, path) = realm.split_once('/').unwrap();
    let (service, scope) = (parameter(challenge, "service"), parameter(challenge, "scope"));
    let answer = ask_name(world, host, &format!("/{path}?service={service}&scope={scope}"), headers);
    let body = answer.json();
    let token = body["token"].as_str().or(body["access_token"].as_str()).unwrap_or_default();
    (answer.status, token.to_owned())
}

#[test]
fn every_quirk_can_be_pulled_from_under_its_own_names() {
    let world = World::new();
    for quirks in Quirks::all() {
        let host = quirks.host.clone();
        let login = quirks.auth.login().cloned();
        let registry = world.registry(quirks);
        let pushed = registry.push("my-org/x", "1", &Plugin::backend("x").tarball());
        let target = format!("/v2/my-org/x/manifests/{}", pushed.digest);
        let credentials = login.map(|login| basic(&login.user, &login.password)).unwrap_or_default();
        let first = ask_name(&world, &host, &target, "accept: */*\r\n");
        let authorization = match first.header("www-authenticate") {
            Some(challenge) if challenge.starts_with("Bearer ") => {
                let (status, token) = token(&world, challenge, &credentials);
                assert_eq!(status, 200, "{host}");
                format!("authorization: Bearer {token}\r\n")
            }
            _ => credentials,
        };
        let headers = format!("{authorization}accept: */*\r\n");
        let manifest = ask_name(&world, &host, &target, &headers);
        assert_eq!((manifest.status, sha256_digest(&manifest.body)), (200, pushed.digest), "{host}");
        let layer = manifest.json()["layers"][0]["digest"].as_str().unwrap().to_owned();
        let mut blob = ask_name(&world, &host, &format!("/v2/my-org/x/blobs/{layer}"), &authorization);
        if let Some(location) = blob.header("location") {
            let (storage, rest) = location.strip_prefix("https://").unwrap().split_once('/').unwrap();
            blob = ask_name(&world, storage, &format!("/{rest}"), "");
        }
        assert_eq!(sha256_digest(&blob.body), layer, "{host}");
    }
}

#[test]
fn bearer_registry_tells_401_403_and_404_apart() {
    let world = World::new();
    let settings = testkit::RegistryBuilder::from(Quirks::gitlab()).public("open").forbidden("other");
    let gitlab = world.registry(settings);
    gitlab.push("open/x", "1", b"tarball");
    let right = basic("deploy-token", "made-password");
    let rows = [
        ("missing", "closed/x", "", 200, 401),
        ("missing, public", "open/x", "", 200, 200),
        ("wrong", "closed/x", &basic("deploy-token", "x"), 401, 401),
        ("right, not allowed", "other/x", &right, 200, 403),
        ("right, unknown", "closed/x", &right, 200, 404),
        ("right", "open/x", &right, 200, 200),
    ];
    for (name, repository, credentials, realm_status, status) in rows {
        let target = format!("/v2/{repository}/manifests/1");
        let first = ask_name(&world, "registry.gitlab.com", &target, "");
        assert_eq!(first.status, 401, "{name}");
        let (found, token) = token(&world, first.header("www-authenticate").unwrap(), credentials);
        assert_eq!(found, realm_status, "{name}");
        assert_eq!(ask_name(&world, "registry.gitlab.com", &target, &accepting(&token)).status, status, "{name}");
    }
}

#[test]
fn tokens_hold_for_their_scope_until_they_are_revoked() {
    let world = World::new();
    let ghcr = world.registry(Quirks::ghcr());
    ghcr.push("my-org/x", "1", b"tarball");
    ghcr.push("my-org/y", "1", b"tarball");
    let challenge = ask_name(&world, "ghcr.io", "/v2/my-org/x/manifests/1", "");
    let challenge = challenge.header("www-authenticate").unwrap();
    let (_, token) = token(&world, challenge, &basic("octocat", "made-password"));
    let status = |name: &str| {
        let answer = ask_name(&world, "ghcr.io", &format!("/v2/{name}/manifests/1"), &accepting(&token));
        (answer.status, answer.header("www-authenticate").map(|challenge| parameter(challenge, "error").to_owned()))
    };
    assert_eq!(status("my-org/x"), (200, None));
    assert_eq!(status("my-org/y"), (401, Some("insufficient_scope".to_owned())));
    ghcr.revoke_tokens();
    assert_eq!(status("my-org/x").0, 401);
}

#[test]
fn identity_token_is_spent_by_the_refresh_grant() {
    let world = World::new();
    let azure = world.registry(Quirks::acr());
    azure.push("my-org/x", "1", b"tarball");
    let ask = |refresh: &str| {
        let form = format!(
            "grant_type=refresh_token&service=butler.azurecr.io&scope=repository%3Amy-org%2Fx%3Apull&refresh_token={refresh}"
        );
        let post =
            format!("POST /oauth2/token HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{form}", form.len());
        let socket = TcpStream::connect(world.address_of("butler.azurecr.io").unwrap()).unwrap();
        read(tls(world.ca(), "butler.azurecr.io", socket), &post).unwrap()
    };
    assert_eq!(ask("guessed").status, 401);
    let answer = ask("made-identity-token").json();
    let headers = accepting(answer["access_token"].as_str().unwrap());
    assert_eq!(ask_name(&world, "butler.azurecr.io", "/v2/my-org/x/manifests/1", &headers).status, 200);
    assert!(azure.docker_config().contains(r#""identitytoken":"made-identity-token""#));
}

#[test]
fn credentials_at_the_object_storage_fail_the_test() {
    let registry = Registry::builder().quirks(Quirks::ecr()).start();
    let digest = registry.push_blob("my-org/x", b"layer");
    let redirect =
        ask(registry.server(), "GET", &format!("/v2/my-org/x/blobs/{digest}"), &basic("AWS", "made-password"));
    let location = redirect.unwrap().header("location").unwrap().to_owned();
    let storage = registry.storage().unwrap();
    let target = location.strip_prefix(storage.origin()).unwrap();
    assert_eq!(ask(storage, "GET", target, "").unwrap().body, b"layer");
    assert_eq!(ask(storage, "GET", target.split('?').next().unwrap(), "").unwrap().status, 403);
    assert_eq!(ask(storage, "GET", target, &basic("AWS", "made-password")).unwrap().status, 400);
    assert_eq!(storage.take_failures().len(), 1);
}

#[test]
fn manifests_are_hidden_from_a_client_that_does_not_accept_them() {
    let registry = Registry::start();
    registry.push("a/b", "1", b"tarball");
    let status = |accept: &str| ask(registry.server(), "HEAD", "/v2/a/b/manifests/1", accept).unwrap().status;
    assert_eq!(status(""), 404);
    assert_eq!(status("accept: application/json\r\n"), 404);
    assert_eq!(status(&format!("accept: application/json, {OCI_MANIFEST};q=0.5\r\n")), 200);
}

#[test]
fn index_describes_the_manifests_it_lists() {
    let registry = Registry::start();
    let amd = registry.push("a/b", "amd64", b"one");
    let digest = registry.push_index("a/b", "1", &[("linux", "amd64", &amd.digest)]);
    let index: Value = serde_json::from_slice(&registry.manifest("a/b", &digest).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], amd.digest);
    assert_eq!(index["manifests"][0]["platform"]["architecture"], "amd64");
}

#[test]
fn docker_config_is_what_docker_login_writes() {
    assert_eq!(
        docker_config("https://index.docker.io/v1/", "moby", "pw"),
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bW9ieTpwdw=="}}}"#
    );
}

#[test]
fn addresses_are_loopback() {
    let address: SocketAddr = Registry::start().server().address();
    assert!(address.ip().is_loopback());
}
