//! Files on https servers: nothing is replaced that cannot be seen not to be there, and nothing secret handed over.

use std::sync::{Arc, Mutex};

use integrity::Blame;
use publish::{Chain, Existing, Form, Packed, Published, Server, UploadError};
use source::HttpsUrl;
use testkit::{Ca, HttpServer, Reply, Request};
use transport::{Secret, Transport};

use crate::desk::{Desk, RETRY, client, nobody, package};

/// A server with an author before it.
struct Shelf {
    server: HttpServer,
    transport: Arc<dyn Transport>,
    token: Option<Secret>,
    _authority: tempfile::NamedTempFile,
}

impl Shelf {
    fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let ca = Ca::new();
        let (transport, authority) = client(&ca);
        let server = HttpServer::builder().tls(&ca).start(handler);
        Self { server, transport, token: None, _authority: authority }
    }

    /// A server that answers a method with a status.
    fn answering(get: u16, put: u16) -> Self {
        Self::new(move |request| Reply::status(if request.method == "GET" { get } else { put }).retry_after("0"))
    }

    fn upload(&self, packed: &Packed, path: &str, form: &Form, existing: Existing) -> Result<Published, UploadError> {
        let server = Server { transport: Arc::clone(&self.transport), retry: RETRY, token: self.token.clone() };
        let to = HttpsUrl::parse(&self.server.url(path)).unwrap();
        server.upload(packed, &to, form, existing, &nobody(), Desk::new().patience())
    }

    fn put(&self, existing: Existing) -> Result<(), UploadError> {
        self.upload(&package("1"), "/hello.tgz", &Form::Put, existing).map(drop)
    }

    fn requests(&self) -> Vec<(String, Option<String>)> {
        let condition = |request: &Request| request.header("if-none-match").map(str::to_owned);
        self.server.recorder().requests().iter().map(|request| (request.method.clone(), condition(request))).collect()
    }

    fn methods(&self) -> String {
        self.requests().into_iter().map(|(method, _)| method).collect::<Vec<_>>().join(" ")
    }
}

fn form() -> Form {
    Form::Multipart { field: "file".to_owned() }
}

#[test]
fn a_file_is_put_only_where_there_is_none_for_certain() {
    for status in [404, 410] {
        let shelf = Shelf::answering(status, 201);
        shelf.put(Existing::Refuse).unwrap();
        let condition = |value: Option<&str>| value.map(str::to_owned);
        let expected = [("GET".to_owned(), None), ("PUT".to_owned(), condition(Some("*")))];
        assert_eq!(shelf.requests(), expected, "{status}");
    }
    for status in [201, 204, 206, 301, 304, 307, 400, 401, 403, 405, 451] {
        let shelf = Shelf::answering(status, 201);
        let error = shelf.put(Existing::Refuse).unwrap_err();
        assert_eq!((error.reason(), error.blame()), ("push_failed", Blame::Operator), "{status}");
        assert!(error.hint().is_some_and(|hint| hint.contains("`--force`")), "{status}: {:?}", error.hint());
        let said = Chain(&error).to_string();
        assert!(said.contains("cannot be seen") && said.contains(&status.to_string()), "{said}");
        assert_eq!(said.contains("no token was given"), matches!(status, 401 | 403), "{said}");
        assert_eq!(shelf.methods(), "GET", "{status}");
    }
    for status in [408, 429, 500, 503] {
        let shelf = Shelf::answering(status, 201);
        let error = shelf.put(Existing::Refuse).unwrap_err();
        assert_eq!(error.reason(), "push_failed", "{status}");
        assert_eq!(shelf.methods(), "GET GET GET", "{status}");
    }
}

#[test]
fn who_wants_a_file_replaced_need_not_look() {
    for status in [200, 403, 404] {
        let shelf = Shelf::answering(status, 204);
        shelf.put(Existing::Replace).unwrap();
        assert_eq!(shelf.requests(), [("PUT".to_owned(), None)], "{status}");
    }
}

#[test]
fn a_file_that_appears_meanwhile_is_not_replaced() {
    /// What is there when the upload fails.
    enum There {
        Ours,
        Another,
        Nothing,
        Forbidden,
    }
    let rows = [
        ("ours, by a try whose answer was lost", There::Ours, true),
        ("another", There::Another, false),
        ("nothing any more", There::Nothing, false),
        ("something that nobody may see", There::Forbidden, false),
    ];
    for (name, there, is_done) in rows {
        let sent = Mutex::new(None::<Arc<[u8]>>);
        let shelf = Shelf::new(move |request| {
            let mut sent = sent.lock().unwrap();
            if request.method == "PUT" {
                *sent = Some(Arc::clone(&request.body));
                return Reply::status(412);
            }
            match (&*sent, &there) {
                (None, _) | (_, There::Nothing) => Reply::status(404),
                (Some(body), There::Ours) => Reply::ok().body(Arc::clone(body)),
                (_, There::Another) => Reply::ok().body(*b"another"),
                (_, There::Forbidden) => Reply::status(403),
            }
        });
        match (shelf.put(Existing::Refuse), is_done) {
            (Ok(()), true) => {}
            (Err(error), false) => assert_eq!((error.reason(), error.blame()), ("tag_exists", Blame::Publisher)),
            (found, _) => panic!("{name}: {found:?}"),
        }
        assert_eq!(shelf.methods(), "GET PUT GET", "{name}");
    }
}

#[test]
fn no_token_is_missed_where_none_was_asked_for() {
    for (status, missed) in [(401, true), (403, true), (404, false), (413, false), (501, false)] {
        let mut shelf = Shelf::answering(404, status);
        let said = Chain(&shelf.put(Existing::Refuse).unwrap_err()).to_string();
        assert!(
            said.ends_with(&format!(
                "the server answered {status}{}",
                if missed { ", and no token was given" } else { "" }
            )),
            "{said}"
        );
        shelf.token = Some(Secret::new("s3cret".to_owned()));
        let said = Chain(&shelf.put(Existing::Refuse).unwrap_err()).to_string();
        assert!(said.ends_with(&format!("the server answered {status}")), "{said}");
    }
}

#[test]
fn the_address_that_is_handed_over_has_no_query() {
    let shelf = Shelf::new(|request| {
        let is_new = Reply::status(201).header("location", "/files/hello.tgz?sig=s3cret");
        if request.method == "GET" { Reply::status(404) } else { is_new }
    });
    for (form, sent_to, place) in
        [(Form::Put, "/hello.tgz?sig=s3cret", "/hello.tgz"), (form(), "/upload", "/files/hello.tgz")]
    {
        let published = shelf.upload(&package("1"), sent_to, &form, Existing::Refuse).unwrap();
        let url = shelf.server.url(place);
        assert_eq!((published.entries[0].package.as_str(), &published.references), (url.as_str(), &vec![url.clone()]));
        let [remark] = published.remarks.as_slice() else { panic!("{:?}", published.remarks) };
        assert!(remark.contains("without its query") && !remark.contains("s3cret"), "{remark}");
        assert!(HttpsUrl::parse(&published.entries[0].package).is_ok());
    }
    let sent = shelf.server.recorder().requests();
    assert!(sent.iter().any(|request| request.method == "PUT" && request.query == "sig=s3cret"));
}

#[test]
fn an_address_that_is_a_guess_or_elsewhere_is_told() {
    let rows = [
        ("said", Some("/files/hello.tgz"), "/files/hello.tgz", None),
        ("not said", None, "/upload", Some("is a guess")),
        ("not said in a way that is understood", Some("hello.tgz"), "/upload", Some("is a guess")),
        ("not over https", Some("http://127.0.0.1:1/hello.tgz"), "/upload", Some("is a guess")),
        ("elsewhere", Some("https://cdn.example.com/hello.tgz"), "", Some("is on `cdn.example.com`")),
    ];
    for (name, location, place, remark) in rows {
        let shelf = Shelf::new(move |_| match location {
            Some(location) => Reply::status(201).header("location", location),
            None => Reply::status(201),
        });
        let published = shelf.upload(&package("1"), "/upload", &form(), Existing::Refuse).unwrap();
        let place = if place.is_empty() { location.unwrap().to_owned() } else { shelf.server.url(place) };
        assert_eq!(published.entries[0].package, place, "{name}");
        assert_eq!(published.remarks.len(), usize::from(remark.is_some()), "{name}: {:?}", published.remarks);
        assert!(published.remarks.iter().all(|said| remark.is_some_and(|remark| said.contains(remark))), "{name}");
        assert_eq!(shelf.methods(), "POST", "{name}");
    }
}
