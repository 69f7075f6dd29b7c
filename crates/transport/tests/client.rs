//! The real client against servers that behave, break, stall and lie.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{NamedTempFile, TempDir};
use testkit::{Ca, Fault, HttpServer, Proxy, Reply, World};
use transport::{
    Body, Cause, CertificateFault, Clock, Deadline, Headers, HttpClient, Method, Patience, ProxyRules, Request,
    Response, Secret, Stop, SystemClock, Timeouts, Transport, TransportError, Trust, Url, UrlError,
};

const KIB: usize = 1024;
/// Time for an exchange, of which none of these needs much.
const LONG: Duration = Duration::from_mins(1);

fn client(trust: &Trust) -> HttpClient {
    by_proxy(trust, None)
}

fn by_proxy(trust: &Trust, proxy: Option<&str>) -> HttpClient {
    // Long enough for a loopback answer on a loaded machine, short enough to be waited for.
    let short = Duration::from_millis(300);
    let timeouts = Timeouts { connect: short, answer: short, read: short };
    HttpClient::new("butler-plugins-tests", trust, ProxyRules::parse(proxy, None).unwrap(), timeouts).unwrap()
}

fn pem(ca: &Ca) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(ca.pem().as_bytes()).unwrap();
    file
}

fn trusting(ca: &NamedTempFile) -> Trust {
    Trust { file: Some(ca.path().to_owned()), ..Trust::default() }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn get(text: &str) -> Request {
    Request::get(url(text))
}

fn body(mut response: Response) -> Result<Vec<u8>, TransportError> {
    let (clock, stop) = (SystemClock::start(), Stop::new());
    let patience = Patience::new(&clock, Deadline::after(&clock as &dyn Clock, LONG), &stop);
    response.read_to_limit(4 * 1024 * KIB, LONG, patience)
}

/// Why an exchange failed, its body included.
fn cause(transport: &HttpClient, request: &Request) -> Option<Cause> {
    transport.send(request, LONG).and_then(body).err().map(|error| error.cause())
}

/// A port that says this to whoever says something first, whatever it was.
fn says(answer: &'static [u8]) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    thread::spawn(move || {
        for socket in door.incoming() {
            let mut socket = socket.unwrap();
            // What is left unread when a socket closes would turn the answer into a reset.
            let heard = socket.read(&mut [0; 4 * KIB]).unwrap();
            assert!(heard > 0);
            socket.write_all(answer).unwrap();
        }
    });
    address
}

/// A port where nobody listens. All servers of these tests are at 127.0.0.1, so nobody takes it meanwhile.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap()
}

#[test]
fn only_what_was_asked_for_is_sent() {
    let server = HttpServer::start(|_| Reply::ok().body(*b"hello"));
    let request = get(&server.url("/a/b?c=d#e"))
        .header("range", "bytes=3-")
        .authorization(Some(Secret::new("Bearer t".to_owned())));
    assert_eq!(body(client(&Trust::default()).send(&request, LONG).unwrap()).unwrap(), b"hello");
    let [seen] = &server.recorder().requests()[..] else { panic!("one request") };
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.query.as_str()), ("GET", "/a/b", "c=d"));
    let mut headers: Vec<_> = seen.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.sort_unstable();
    let expected = [
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer t"),
        ("host", server.host()),
        ("range", "bytes=3-"),
        ("user-agent", "butler-plugins-tests"),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn form_is_posted() {
    let server = HttpServer::start(|_| Reply::ok());
    let form = Body::Form(Secret::new("grant_type=refresh_token&refresh_token=a%2Fb".to_owned()));
    let request = Request { method: Method::Post, body: form, ..get(&server.url("/token")) };
    assert_eq!(client(&Trust::default()).send(&request, LONG).unwrap().status(), 200);
    let [seen] = &server.recorder().requests()[..] else { panic!("one request") };
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.form_values("refresh_token"), ["a/b"]);
}

#[test]
fn head_has_a_length_and_no_body() {
    let server = HttpServer::start(|_| Reply::ok().body(*b"hello"));
    let request = Request { method: Method::Head, ..get(&server.url("/")) };
    let response = client(&Trust::default()).send(&request, LONG).unwrap();
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(body(response).unwrap(), b"");
}

#[test]
fn status_is_an_answer_and_a_redirect_is_not_followed() {
    let server = HttpServer::start(|request| {
        let status = request.path[1..].parse().unwrap();
        Reply::redirect(status, "/200").header("x-many", "one").body(*b"why")
    });
    let client = client(&Trust::default());
    for status in [200, 301, 302, 303, 307, 308, 400, 401, 404, 429, 500, 503] {
        let response = client.send(&get(&server.url(&format!("/{status}"))), LONG).unwrap();
        assert_eq!((response.status(), response.headers().first("Location")), (status, Some("/200")));
        assert_eq!(response.url().target(), format!("/{status}"));
        assert_eq!(body(response).unwrap(), b"why", "{status}");
    }
    assert_eq!(server.recorder().requests().len(), 12);
}

#[test]
fn plain_http_leaves_the_machine_under_no_name() {
    for address in ["http://example.com/", "http://10.0.0.1/", "http://[fd00::1]/", "http://0.0.0.0/"] {
        assert_eq!(Url::parse(address).unwrap_err(), UrlError::PlainHttp, "{address}");
    }
}

/// How a server answers, and what the client makes of it.
type Answer = (&'static str, fn() -> Reply, Option<Cause>);

#[test]
fn fault_of_a_server_has_its_cause() {
    let faults: [Answer; 22] = [
        ("whole", || Reply::ok().body(*b"hello"), None),
        ("chunked", || Reply::ok().body(*b"hello").chunked(), None),
        ("until close", || Reply::ok().body(*b"hello").until_close(), None),
        ("closed", || Reply::broken(Fault::Close), Some(Cause::Reset)),
        ("reset", || Reply::broken(Fault::Reset), Some(Cause::Reset)),
        ("silent", || Reply::broken(Fault::Stall), Some(Cause::Timeout)),
        ("closed in the body", || part(Fault::Close), Some(Cause::Truncated)),
        ("reset in the body", || part(Fault::Reset), Some(Cause::Truncated)),
        ("silent in the body", || part(Fault::Stall), Some(Cause::Stalled)),
        ("closed between chunks", || part(Fault::Close).chunked(), Some(Cause::Truncated)),
        ("broken chunk", || raw("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"), Some(Cause::Truncated)),
        ("not HTTP", || Reply::raw(*b"220 smtp.example.com ESMTP\r\n"), Some(Cause::Protocol)),
        ("two lengths", || raw("content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"), Some(Cause::Protocol)),
        ("negative length", || raw("content-length: -1\r\n\r\nabcd"), Some(Cause::Protocol)),
        ("31 KiB of headers", || Reply::ok().header("x", &"y".repeat(31 * KIB)), None),
        ("32 KiB of headers", || Reply::ok().header("x", &"y".repeat(32 * KIB)), Some(Cause::Protocol)),
        (
            "early hints",
            || Reply::raw(*b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            None,
        ),
        (
            "continue",
            || Reply::raw(*b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            None,
        ),
        ("128 headers", || headers(128), None),
        ("129 headers", || headers(129), Some(Cause::Protocol)),
        ("10,000 headers", || headers(10_000), Some(Cause::Protocol)),
        ("1 MiB of headers", || Reply::ok().header("x", &"y".repeat(1024 * KIB)), Some(Cause::Protocol)),
    ];
    for (name, reply, expected) in faults {
        let server = HttpServer::start(move |_| reply());
        assert_eq!(cause(&client(&Trust::default()), &get(&server.url("/"))), expected, "{name}");
    }
}

/// This many header fields in all.
fn headers(count: usize) -> Reply {
    let fields = (2..=count).map(|n| format!("x{n}: y\r\n")).collect::<Vec<_>>().concat();
    raw(&format!("content-length: 0\r\n{fields}\r\n"))
}

fn raw(rest: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes())
}

fn part(fault: Fault) -> Reply {
    Reply::ok().body(*b"hello").broken_after(3, fault)
}

#[test]
fn connection_that_is_not_made_has_its_cause() {
    let refused = nobody();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = mute.local_addr().map(|address| (mute, address)).unwrap();
    let not_tls = says(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent nonsense.\n");
    let alert = says(&[0x15, 3, 3, 0, 2, 2, 40]);
    for (name, address, expected) in [
        ("unknown name", "https://nowhere.invalid/".to_owned(), Cause::Dns),
        ("refused", format!("http://{refused}/"), Cause::Connect),
        ("refused, TLS", format!("https://{refused}/"), Cause::Connect),
        ("mute", format!("http://{}/", mute.1), Cause::Timeout),
        ("mute, TLS", format!("https://{}/", mute.1), Cause::Timeout),
        ("no TLS there", format!("https://{not_tls}/"), Cause::NotTls),
        ("TLS alert", format!("https://{alert}/"), Cause::Tls),
    ] {
        assert_eq!(cause(&client(&Trust::default()), &get(&address)), Some(expected), "{name}");
    }
}

#[test]
fn certificate_must_be_current_for_this_host_and_of_a_trusted_authority() {
    let (own, other) = (Ca::new(), Ca::new());
    let (own_pem, other_pem) = (pem(&own), pem(&other));
    let folder = TempDir::new().unwrap();
    let in_folder = tempfile::Builder::new().suffix(".pem").tempfile_in(folder.path()).unwrap();
    in_folder.as_file().write_all(own.pem().as_bytes()).unwrap();
    let dir = || Some(folder.path().to_owned());
    let extra = |file: &NamedTempFile| vec![file.path().to_owned()];
    let good = own.leaf(&[]);
    let expired = own.expired_leaf(&["localhost", "127.0.0.1"]);
    let bad = |fault| Some(Cause::Certificate(fault));
    for (name, leaf, trust, expected) in [
        ("named", &good, trusting(&own_pem), None),
        ("in a folder", &good, Trust { dir: dir(), ..Trust::default() }, None),
        ("extra", &good, Trust { extra: extra(&own_pem), ..Trust::default() }, None),
        ("extra besides another", &good, Trust { extra: extra(&own_pem), ..trusting(&other_pem) }, None),
        ("of another authority", &good, trusting(&other_pem), bad(CertificateFault::UnknownIssuer)),
        ("of nobody known", &good, Trust::default(), bad(CertificateFault::UnknownIssuer)),
        ("expired", &expired, trusting(&own_pem), bad(CertificateFault::OutOfDate)),
    ] {
        let server = HttpServer::builder().tls_with(leaf.server_config()).start(|_| Reply::ok());
        assert_eq!(cause(&client(&trust), &get(&server.url("/"))), expected, "{name}");
        assert_eq!(server.recorder().requests().len(), usize::from(expected.is_none()), "{name}");
    }
}

#[test]
fn fault_of_a_certificate_is_told_with_what_to_do() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let _server = world.server("files.example.com", |_| Reply::ok());
    let stranger = pem(&Ca::new());
    let client = by_proxy(&trusting(&stranger), Some(&proxy.url()));
    let error = client.send(&get("https://files.example.com/"), LONG).unwrap_err();
    let authority = proxy.url().replace("http://", "");
    let said = "the server's certificate is of an authority that is not trusted";
    assert_eq!(
        error.to_string(),
        format!("request to `https://files.example.com/` by proxy `{authority}` failed: {said}")
    );
    for (fault, hint) in [
        (CertificateFault::UnknownIssuer, Some("--ca-file")),
        (CertificateFault::OtherName, Some("another host name")),
        (CertificateFault::OutOfDate, Some("clock")),
        (CertificateFault::OfAuthority, Some("of its own")),
        (CertificateFault::Unusable, None),
    ] {
        let cause = Cause::Certificate(fault);
        assert_eq!(cause.code(), "tls");
        assert_eq!(cause.hint().is_some(), hint.is_some(), "{cause}");
        assert!(hint.is_none_or(|part| cause.hint().unwrap().contains(part)), "{cause}");
    }
    for cause in [Cause::Timeout, Cause::Stalled, Cause::Reset, Cause::Truncated] {
        assert!(cause.hint().unwrap().contains("slow or broken"), "{cause}");
    }
}

#[test]
fn proxy_gets_its_password_and_never_shows_it() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let server = world.server("files.example.com", |_| Reply::ok().body(*b"hello"));
    let ca = pem(world.ca());
    let address = |proxy: &str| format!("http://bob:s3cret@{}", proxy.strip_prefix("http://").unwrap());
    let client = by_proxy(&trusting(&ca), Some(&address(&proxy.url())));
    assert_eq!(body(client.send(&get("https://files.example.com/"), LONG).unwrap()).unwrap(), b"hello");
    let [connect] = &proxy.server().recorder().requests()[..] else { panic!("one request") };
    assert_eq!(connect.header("proxy-authorization"), Some("Basic Ym9iOnMzY3JldA=="));
    assert_eq!(server.recorder().with_header("proxy-authorization"), []);

    let refused = nobody();
    let strict = HttpServer::start(|_| Reply::status(407).header("proxy-authenticate", "Basic"));
    let file = "https://files.example.com/?sig=s3cret";
    for (name, proxy, target, expected) in [
        ("wants another password", strict.url(""), file, Cause::ProxyLogin),
        ("knows no such host", proxy.url(), "https://nowhere.example.com/", Cause::Proxy),
        ("refused", format!("http://{refused}"), file, Cause::Proxy),
        ("unknown name", "http://proxy.invalid:3128".to_owned(), file, Cause::Proxy),
    ] {
        let client = by_proxy(&trusting(&ca), Some(&address(&proxy)));
        let error = client.send(&get(target), LONG).unwrap_err();
        assert_eq!(error.cause(), expected, "{name}");
        assert_eq!(expected.is_transient(), expected == Cause::Proxy, "{name}");
        assert!(expected.hint().unwrap().contains("HTTPS_PROXY"), "{name}");
        let authority = proxy.strip_prefix("http://").unwrap();
        assert!(error.to_string().contains(&format!(" by proxy `{authority}` failed: ")), "{name}: {error}");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let said = format!("{error} {error:?} {source:?} {client:?}");
        assert!(!said.contains("s3cret") && !said.contains("Ym9iOnMzY3JldA"), "{name}: {said}");
    }
}

#[test]
fn headers_of_one_name_are_all_there() {
    let challenge =
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nwww-authenticate: Bearer realm=x\r\ncontent-length: 0\r\n\r\n";
    let server = HttpServer::start(move |_| Reply::raw(challenge.as_bytes()));
    let response = client(&Trust::default()).send(&get(&server.url("/")), LONG).unwrap();
    let headers: &Headers = response.headers();
    assert_eq!(headers.all("WWW-Authenticate").collect::<Vec<_>>(), ["Basic", "Bearer realm=x"]);
}

#[test]
fn exchange_ends_with_the_time_for_it() {
    const SHORT: Duration = Duration::from_millis(300);
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = mute.local_addr().map(|address| (mute, address)).unwrap();
    let silent = HttpServer::start(|_| Reply::broken(Fault::Stall));
    let half = HttpServer::start(|_| part(Fault::Stall));
    let endless = HttpServer::start(|_| Reply::ok().stream(std::io::repeat(b'x'), u64::MAX));
    let through = |proxy: String| ProxyRules::parse(Some(&proxy), None).unwrap();
    for (name, address, proxies) in [
        ("connection without a hello", format!("https://{}/", mute.1), ProxyRules::default()),
        ("tunnel", "https://files.example.com/".to_owned(), through(silent.url("/"))),
        ("answer", silent.url("/"), ProxyRules::default()),
        ("body", half.url("/"), ProxyRules::default()),
        ("body that goes on and on", endless.url("/"), ProxyRules::default()),
    ] {
        let slow = Timeouts { connect: LONG, answer: LONG, read: LONG };
        let client = HttpClient::new("butler-plugins-tests", &Trust::default(), proxies, slow).unwrap();
        let started = Instant::now();
        let mut exchange = client.send(&get(&address), SHORT);
        let error = loop {
            match exchange.as_mut().map(|answer| answer.read(&mut [0; 8 * KIB])) {
                Ok(Ok(n)) => assert!(n > 0, "{name}"),
                Ok(Err(error)) => break error.cause(),
                Err(error) => break error.cause(),
            }
        };
        assert_eq!((error, error.code(), error.is_transient()), (Cause::Deadline, "timeout", false), "{name}");
        assert!((SHORT..LONG / 2).contains(&started.elapsed()), "{name}: {:?}", started.elapsed());
    }
}

#[test]
fn time_without_an_end_is_no_trouble() {
    let server = HttpServer::start(|_| Reply::ok().body(*b"hello"));
    let answer = client(&Trust::default()).send(&get(&server.url("/")), Duration::MAX).unwrap();
    assert_eq!(body(answer).unwrap(), b"hello");
}
