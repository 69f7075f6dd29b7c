//! What the real client sends: whole contents, parts of them, and nothing that differs from its announced length.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

use std::error::Error;
use std::io::{self, Read};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use testkit::{HttpServer, Reply};
use transport::{
    Body, Cause, Content, HttpClient, Method, ProxyRules, Request, Timeouts, Transport, TransportError, Trust, Upload,
    Url,
};

/// Two turns of the client's buffer and a bit.
const LEN: usize = 70 * 1024;

/// A content that says one length and has another, or cannot be read at all.
struct Unsteady {
    said: u64,
    has: io::Result<u64>,
}

impl Content for Unsteady {
    fn len(&self) -> u64 {
        self.said
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        match &self.has {
            Ok(has) => Ok(Box::new(io::repeat(b'x').take(has - from))),
            Err(error) => Err(error.kind().into()),
        }
    }
}

fn send(to: &str, method: Method, body: Body) -> Result<u16, TransportError> {
    let short = Duration::from_millis(300);
    let timeouts = Timeouts { connect: short, answer: short, read: short };
    let client = HttpClient::new("butler-plugins-tests", &Trust::default(), ProxyRules::default(), timeouts).unwrap();
    let request = Request { method, body, ..Request::get(Url::parse(to).unwrap()) };
    client.send(&request, Duration::from_mins(1)).map(|answer| answer.status())
}

fn artifact() -> Vec<u8> {
    (0..LEN).map(|at| at.to_le_bytes()[0]).collect()
}

#[test]
fn content_is_sent_with_its_length_and_type_and_in_no_chunks() {
    let server = HttpServer::start(|_| Reply::status(201));
    let content: Arc<dyn Content> = Arc::new(artifact());
    let all = Upload::whole(Arc::clone(&content), "application/gzip");
    let part = |from, len| Upload { from, len, ..all.clone() };
    for (method, sent, upload, bytes) in [
        (Method::Put, "PUT", all.clone(), 0..LEN),
        (Method::Patch, "PATCH", part(0, 1_000), 0..1_000),
        (Method::Patch, "PATCH", part(1_000, 69_000), 1_000..70_000),
        (Method::Post, "POST", part(LEN as u64, 0), LEN..LEN),
    ] {
        server.recorder().clear();
        assert_eq!(send(&server.url("/"), method, Body::Upload(upload)).unwrap(), 201);
        let [seen] = &server.recorder().requests()[..] else { panic!("one request") };
        assert_eq!(seen.method, sent);
        assert_eq!(seen.header("content-length"), Some(&*bytes.len().to_string()));
        assert_eq!(seen.header("content-type"), Some("application/gzip"));
        assert_eq!(seen.header("transfer-encoding"), None);
        assert!(*seen.body == artifact()[bytes], "{sent}");
    }
}

#[test]
fn nothing_is_sent_with_a_length_where_a_body_could_be() {
    let server = HttpServer::start(|_| Reply::status(202));
    for (method, length) in [
        (Method::Get, None),
        (Method::Head, None),
        (Method::Post, Some("0")),
        (Method::Put, Some("0")),
        (Method::Patch, Some("0")),
    ] {
        server.recorder().clear();
        assert_eq!(send(&server.url("/"), method, Body::Empty).unwrap(), 202);
        let [seen] = &server.recorder().requests()[..] else { panic!("one request") };
        assert_eq!((seen.header("content-length"), seen.header("content-type")), (length, None), "{method:?}");
    }
}

#[test]
fn content_that_is_not_as_announced_is_a_fault_of_ours() {
    let server = HttpServer::start(|_| Reply::status(201));
    let len = LEN as u64;
    for (name, has, expected) in [
        ("as announced", Ok(len), Ok(201)),
        ("shorter", Ok(len - 1), Err("1 bytes less than announced")),
        ("empty", Ok(0), Err("71680 bytes less than announced")),
        ("longer", Ok(len + 1), Err("more bytes than announced")),
        ("gone", Err(io::ErrorKind::NotFound.into()), Err("entity not found")),
    ] {
        server.recorder().clear();
        let upload = Upload::whole(Arc::new(Unsteady { said: len, has }), "application/gzip");
        let sent = send(&server.url("/"), Method::Put, Body::Upload(upload)).map_err(|error| {
            assert_eq!(error.cause(), Cause::Content, "{name}");
            error.source().unwrap().to_string()
        });
        assert_eq!(sent, expected.map_err(str::to_owned), "{name}");
        assert_eq!(server.recorder().requests().len(), usize::from(sent.is_ok()), "{name}: none came whole");
    }
    assert!(!Cause::Content.is_transient() && Cause::Content.hint().is_some());
}

#[test]
fn server_that_stops_taking_bytes_is_given_up() {
    // The kernel accepts the connection, and a few megabytes; nobody reads them.
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", door.local_addr().unwrap());
    let len = 64 * 1024 * 1024;
    let upload = Upload::whole(Arc::new(Unsteady { said: len, has: Ok(len) }), "application/gzip");
    assert_eq!(send(&address, Method::Put, Body::Upload(upload)).unwrap_err().cause(), Cause::Stalled);
}
