//! Types that hold a secret, and what they show of it.

#![expect(clippy::unwrap_used, reason = "the tests' own functions are tests, too, which clippy does not see")]

use std::ffi::OsString;
use std::fmt::{Debug, Display};
use std::io;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use fetch::{Access, Credentials, HelperProcess, Logins, Netrc, Surroundings};
use oci::LoginFile;
use source::{Source, SourcePolicy};
use transport::{
    Body, Cause, Headers, HttpClient, Method, ProxyRules, Request, Response, Secret, Timeouts, TransportError, Trust,
    Upload, Url,
};

const SECRET: &str = "s3cret-one";
const CONFIG: &str = r#"{"auths": {
    "a.example.com": {"auth": "dTpzM2NyZXQtb25l"},
    "b.example.com": {"username": "u", "password": "s3cret-one"},
    "c.example.com": {"identitytoken": "s3cret-one"},
    "d.example.com": {"registrytoken": "s3cret-one"}
}}"#;

fn debug(value: impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

fn both(value: impl Debug + Display) -> String {
    format!("{value} {}", debug(&value))
}

fn secret() -> Secret {
    Secret::new(SECRET.to_owned())
}

fn url() -> Url {
    Url::parse(&format!("https://files.example.com/x?sig={SECRET}")).unwrap()
}

fn credentials() -> Credentials {
    Credentials::parse(CONFIG.as_bytes(), Box::new(HelperProcess::on(OsString::new()))).unwrap()
}

fn netrc() -> Netrc {
    Netrc::parse(&format!("machine files.example.com login u password {SECRET}")).unwrap()
}

fn surroundings() -> Surroundings {
    Surroundings::read(|name| {
        (name == "HTTPS_PROXY").then(|| format!("http://u:{SECRET}@proxy.example.com:3128").into())
    })
}

fn client() -> HttpClient {
    let proxies = ProxyRules::parse(Some(&format!("http://u:{SECRET}@proxy.example.com:3128")), None).unwrap();
    HttpClient::new("butler-plugins-tests", &Trust::default(), proxies, Timeouts::default()).unwrap()
}

#[test]
fn nothing_that_holds_a_secret_shows_it() {
    let form = || Body::Form(secret());
    let headers = || Headers::from_iter([("location".to_owned(), url().with_query())]);
    let request =
        || Request { method: Method::Post, body: form(), ..Request::get(url()) }.authorization(Some(secret()));
    let response = || Response::new(url(), 302, headers(), Box::new(io::empty()));
    let upload = || Upload::whole(Arc::new(SECRET.as_bytes().to_vec()), "text/plain");
    let package = format!("https://files.example.com/x.tgz?key={SECRET}");
    let source = || Source::parse(&package).unwrap();
    let allowed = SourcePolicy::permissive().admit(source()).unwrap();
    for (name, shown) in [
        ("secret", debug(secret())),
        ("URL", both(url())),
        ("form", debug(form())),
        ("upload", debug(upload())),
        ("request", debug(request())),
        ("headers", debug(headers())),
        ("response", debug(response())),
        ("error of a transport", both(TransportError::new(&url(), Cause::Reset))),
        ("proxy", both(ProxyRules::parse(Some(&format!("http://u:{SECRET}@proxy.example.com")), None).unwrap())),
        ("client", debug(client())),
        ("surroundings", debug(surroundings())),
        ("client of surroundings", debug(surroundings().client("x", &[], Timeouts::default()).unwrap())),
        ("logins", debug(Logins::default())),
        ("credentials", debug(credentials())),
        (
            "client of a registry",
            debug(oci::Client::new(Arc::new(client()), credentials(), oci::TrustedRealms::built_in())),
        ),
        ("login file", debug(LoginFile::parse(CONFIG.as_bytes()).unwrap())),
        ("netrc", debug(netrc())),
        ("access", debug(Access { credentials: credentials(), netrc: netrc(), ..Access::anonymous() })),
        ("source", both(source())),
        ("allowed source", debug(&allowed)),
    ] {
        for form in [SECRET, &Base64::encode_string(SECRET.as_bytes()), "dTpzM2NyZXQtb25l"] {
            assert!(!shown.contains(form), "{name}: {shown}");
        }
    }
}
