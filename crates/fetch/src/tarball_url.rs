//! Opens an https source: every hop is shown to the policy, and no two files are put together.

use source::{Allowed, HttpsUrl, SourcePolicy};
use transport::{Headers, Patience, Request, Response, Scheme, Transport, Url, UrlError};

use crate::{HttpsFailure, Netrc, Refused, Unfollowed};

/// Where https is spoken unless something else is said.
const HTTPS_PORT: u16 = 443;
/// Most redirects followed for one request.
pub(crate) const REDIRECT_LIMIT: usize = 5;

/// What tells one version of a file from the next, byte by byte (RFC 9110, section 8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validator(String);

/// The bytes of a file from an offset on, if it is still the same file.
pub(crate) struct Rest<'a> {
    pub(crate) offset: u64,
    pub(crate) validator: &'a Validator,
}

impl Validator {
    /// A strong `ETag`; without any, a `Last-Modified` that is not of the very second in which it was sent.
    pub(crate) fn of(headers: &Headers) -> Option<Self> {
        let validator = match headers.first("etag") {
            Some(tag) => Some(tag).filter(|tag| tag.starts_with('"')),
            None => headers.first("last-modified").filter(|time| headers.first("date").is_some_and(|now| now != *time)),
        };
        let is_sendable = |text: &&str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        validator.filter(is_sendable).map(|text| Self(text.to_owned()))
    }
}

impl Rest<'_> {
    /// The request for it, made from the one for the whole.
    pub(crate) fn asked_for(&self, whole: Request) -> Request {
        whole.header("range", format!("bytes={}-", self.offset)).header("if-range", self.validator.0.as_str())
    }

    /// Whether an answer can be used: the rest of the same file, or the whole of whichever.
    pub(crate) fn is_answered_by(&self, response: &Response) -> bool {
        match response.status() {
            200 => true,
            206 => {
                Validator::of(response.headers()).as_ref() == Some(self.validator) && response.is_rest_from(self.offset)
            }
            _ => false,
        }
    }
}

/// Asks for the tarball, or for the rest of it. An answer to the latter may also say that there is no such rest (416).
pub(crate) fn open(
    transport: &dyn Transport,
    policy: &SourcePolicy,
    netrc: &Netrc,
    source: &Allowed<HttpsUrl>,
    rest: Option<&Rest<'_>>,
    patience: Patience<'_>,
) -> Result<Response, HttpsFailure> {
    let mut hop = source.clone();
    let mut first: Option<Url> = None;
    for _ in 0..=REDIRECT_LIMIT {
        let server = hop.subject().authority().to_string();
        let denied = |why: String| HttpsFailure::RedirectDenied(Unfollowed { server: server.clone(), why });
        let url = Url::parse(&hop.subject().with_query()).map_err(|error| denied(error.to_string()))?;
        // A netrc file knows no ports: a login is for the one that the operator named, or the usual one. No server
        // chooses it.
        let named = first.get_or_insert_with(|| url.clone());
        let port = if named.host() == url.host() { named.port() } else { HTTPS_PORT };
        let authorization = netrc.authorization(&url).filter(|_| url.port() == port);
        let with_credentials = authorization.is_some();
        let whole = Request::get(url.clone()).authorization(authorization);
        let request = match rest {
            Some(rest) => rest.asked_for(whole),
            None => whole,
        };
        let response = patience.send(transport, &request).map_err(HttpsFailure::Transport)?;
        match response.status() {
            200 => return Ok(response),
            206 | 416 if rest.is_some() => return Ok(response),
            301 | 302 | 303 | 307 | 308 => {}
            _ => return Err(HttpsFailure::Status(Refused::of(&response, server, with_credentials, patience.clock()))),
        }
        let location = response.headers().first("location").ok_or_else(|| denied("it names no location".to_owned()))?;
        let next = next_hop(&url, location).map_err(denied)?;
        hop = policy.admit_hop(next).map_err(|source| HttpsFailure::NotAllowed { server: server.clone(), source })?;
    }
    let (server, why) = (hop.subject().authority().to_string(), format!("more than {REDIRECT_LIMIT} redirects"));
    Err(HttpsFailure::RedirectDenied(Unfollowed { server, why }))
}

/// Where a redirect leads, or why it is not followed.
fn next_hop(url: &Url, location: &str) -> Result<HttpsUrl, String> {
    match url.join(location) {
        Err(UrlError::PlainHttp) => Err(downgrade(location)),
        Ok(next) if next.scheme() == Scheme::Http => Err(downgrade(location)),
        Ok(next) => HttpsUrl::parse(&next.with_query()).map_err(|fault| fault.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A `location` whose scheme was found to be http, and which so has no userinfo; its query may be a secret.
fn downgrade(location: &str) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    format!("it leads from https to http, to `{target}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_from_https_to_http_is_named_without_its_query() {
        let from = Url::parse("https://files.example.com/a").unwrap();
        for (location, expected) in [
            (
                "http://files.example.com/b?sig=s3cret",
                Err("it leads from https to http, to `http://files.example.com/b`"),
            ),
            ("http://127.0.0.1:8080/b?sig=s3cret", Err("it leads from https to http, to `http://127.0.0.1:8080/b`")),
            ("HTTP://localhost#s3cret", Err("it leads from https to http, to `HTTP://localhost`")),
            ("http://u:s3cret@files.example.com/b", Err("the URL is malformed")),
            ("/b?sig=s3cret", Ok("https://files.example.com/b?sig=s3cret")),
            ("//cdn.example.com/b", Ok("https://cdn.example.com/b")),
        ] {
            let next = next_hop(&from, location).map(|next| next.with_query());
            assert_eq!(next.as_deref().map_err(String::as_str), expected, "{location}");
        }
    }

    #[test]
    fn only_what_tells_any_two_versions_apart_is_a_validator() {
        const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const NOW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
        for (name, headers, expected) in [
            ("strong tag", vec![("etag", "\"a\""), ("last-modified", THEN), ("date", NOW)], Some("\"a\"")),
            ("weak tag", vec![("etag", "W/\"a\""), ("last-modified", THEN), ("date", NOW)], None),
            ("tag that cannot be sent back", vec![("etag", "\"\u{fffd}\"")], None),
            ("old file", vec![("last-modified", THEN), ("date", NOW)], Some(THEN)),
            ("file of this second", vec![("last-modified", NOW), ("date", NOW)], None),
            ("no date", vec![("last-modified", THEN)], None),
            ("nothing", vec![], None),
        ] {
            let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(Validator::of(&headers).map(|validator| validator.0).as_deref(), expected, "{name}");
        }
    }
}
