//! What a registry answers when it wants to know who one is: no credential gets anywhere but to the registry.
//!
//! The lines of an input: `WWW-Authenticate`, with a TAB between several; the token server's answer; `Location` of the
//! redirect that follows a login, none if it is empty.

use std::sync::Arc;
use std::time::Duration;

use integrity::{Chain, OciDigest};
use oci::{Client, Credentials, Descriptor, LayerKind, Platform, TrustedRealms};
use source::{Authority, OciReference, is_invisible};
use transport::{Body, Deadline, Patience, Request, Scheme, Secret, Stop};

use crate::scripted::{Answer, Scripted, Still};

/// Words of challenges, token answers and locations.
pub const WORDS: &[&str] = &[
    "Bearer ",
    "Basic ",
    "bearer",
    "realm=",
    "service=",
    "scope=",
    "error=\"insufficient_scope\"",
    "\"",
    "\\\"",
    ", ",
    "https://reg.example.com/token",
    "https://evil.example/",
    "http://",
    "http://127.0.0.1/",
    "//evil.example/",
    "reg.example.com@evil.example",
    "repository:a/b:pull",
    "{\"token\":\"t\"}",
    "{\"access_token\":\"t\"}",
    "\t",
    "\n",
];

const HOST: &str = "reg.example.com";
const USER: &str = "robot";
const PASSWORD: &str = "pa55-w0rd:x";
/// `robot:pa55-w0rd:x`
const BASIC: &str = "Basic cm9ib3Q6cGE1NS13MHJkOng=";

/// Asks for a manifest and for a blob, and looks at every request that was made.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (challenges, token, location) = (line(), line(), line());
    // No other characters come through a header's field.
    if [&challenges, &location].iter().any(|field| field.contains(|c: char| c.is_control() && c != '\t')) {
        return;
    }
    let network = Arc::new(Scripted::new(move |request: &Request| answer(request, &challenges, &token, &location)));
    let registry = Authority::parse(HOST).expect("it is a host");
    let credentials = Credentials::only(&registry, USER, &Secret::new(PASSWORD.to_owned()));
    let client = Client::new(Arc::clone(&network) as _, credentials, TrustedRealms::built_in());
    let reference = OciReference::parse("reg.example.com/a/b:1").expect("it is a reference");
    let (stop, clock) = (Stop::new(), Still);
    let patience = Patience::new(&clock, Deadline::after(&clock, Duration::from_mins(1)), &stop);
    let digest = OciDigest::parse(&format!("sha256:{}", "0a".repeat(32))).expect("it is a digest");
    let layer = Descriptor { digest, size: 3, kind: LayerKind::Tarball };

    let errors = [
        client.resolve(&reference, &Platform::this_machine(), patience).err(),
        client.open_blob(&reference, &layer, 0, patience).err(),
    ];
    for error in errors.iter().flatten() {
        let shown = format!("{} {}", Chain(error), error.hint().unwrap_or_default());
        assert!(!shown.contains(PASSWORD) && !shown.contains(&BASIC["Basic ".len()..]), "{shown}");
        assert!(!shown.contains(is_invisible) && shown.len() < 4096, "{shown:?}");
    }
    let asked = network.asked();
    assert!(asked.len() <= 16, "{} requests", asked.len());
    for request in &asked {
        check(request);
        // A server that knows the password may write it into the addresses that it names.
        assert!(
            text.contains(PASSWORD) || !request.url.with_query().contains(PASSWORD),
            "the password stands in a URL"
        );
    }
}

/// Challenges as registries send them, and as attackers do.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "Bearer realm=\"https://reg.example.com/token\",service=\"reg\",scope=\"repository:a/b:pull\"\n{\"token\":\"t0k\"}\n",
        "Bearer realm=\"https://evil.example/token\",service=\"reg.example.com\"\n{\"access_token\":\"t0k\"}\n",
        "Bearer realm=\"http://reg.example.com/token\"\n{}\n",
        "Basic realm=\"x\"\n\nhttps://cdn.example/blob?sig=1",
        "Basic realm=x\tBearer realm=/token\n{\"token\":\"t\"}\n/v2/elsewhere",
        "Basic, Bearer realm=\"https://reg.example.com:8443/t?a=b\", error=\"x\\\"y\"\n{\"token\":\"t\"}\nhttp://reg.example.com/",
        "Bearer realm=\"https://reg.example.com@evil.example/\"\n\n",
        "Bearer realm=\"//evil.example/t\"\n{\"token\":\"t\"}\n//evil.example/x",
        "Negotiate, Digest realm=\"x\", nonce=\"y\"\n\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn answer(request: &Request, challenges: &str, token: &str, location: &str) -> Answer {
    let is_registry = request.url.host() == HOST && request.url.target().starts_with("/v2/");
    if !is_registry {
        return (200, Vec::new(), token.as_bytes().to_vec());
    }
    if request.authorization.is_none() {
        let fields = challenges.split('\t').map(|value| ("www-authenticate", value.to_owned()));
        return (401, fields.collect(), Vec::new());
    }
    if location.is_empty() {
        (404, Vec::new(), br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"none"}]}"#.to_vec())
    } else {
        (307, vec![("location", location.to_owned())], Vec::new())
    }
}

/// Nothing secret goes anywhere but to the registry's own host, and there only over TLS.
fn check(request: &Request) {
    let url = &request.url;
    assert_eq!(url.scheme(), Scheme::Https, "{url}");
    assert!(url.target().bytes().all(|b| b.is_ascii_graphic()), "{url}");
    for (name, value) in &request.headers {
        assert!(!value.contains(PASSWORD) && !value.contains(is_invisible), "{name}: {value}");
    }
    assert!(matches!(request.body, Body::Empty), "a password is sent as a header only");
    let Some(authorization) = &request.authorization else { return };
    if authorization.expose() == BASIC {
        assert_eq!(url.host(), HOST, "the password");
    } else {
        assert!(authorization.expose().starts_with("Bearer "), "an unknown secret");
        assert_eq!(url.origin(), "https://reg.example.com", "a token");
    }
    assert!(!authorization.expose().contains(is_invisible), "a header with a control character");
}
