//! What crosses the seam between protocol code and the network.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use crate::{Cause, Deadline, Patience, Secret, TransportError, Upload, Url};

/// Performs one exchange. It follows no redirect and treats no status as an error.
pub trait Transport: Send + Sync {
    /// Sends a request and returns when the answer's headers are there. `within` is the time for all of the exchange,
    /// the answer's body included; after it there is nothing but [`Cause::Deadline`].
    ///
    /// # Errors
    /// When there is no well-formed answer: see [`Cause`].
    fn send(&self, request: &Request, within: Duration) -> Result<Response, TransportError>;
}

/// A request method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Read the headers only.
    Head,
    /// Send a form, or begin an upload.
    Post,
    /// Send the whole of something.
    Put,
    /// Send a part of something.
    Patch,
}

/// What the request carries.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// An `application/x-www-form-urlencoded` text, which holds a secret.
    Form(Secret),
    /// Bytes in their own type, with an exact `Content-Length`.
    Upload(Upload),
}

/// A request. Only what stands here is sent, besides `Host`, `User-Agent`, lengths, and that any type in no encoding
/// is accepted.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Whom to ask for what.
    pub url: Url,
    /// Header fields, by lower-case name.
    pub headers: Vec<(&'static str, String)>,
    /// The `Authorization` header, kept apart so that it cannot be printed or forwarded by accident.
    pub authorization: Option<Secret>,
    /// The body.
    pub body: Body,
}

impl Request {
    /// A `GET` without credentials.
    pub const fn get(url: Url) -> Self {
        Self { method: Method::Get, url, headers: Vec::new(), authorization: None, body: Body::Empty }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with this `Authorization`.
    #[must_use]
    pub fn authorization(self, authorization: Option<Secret>) -> Self {
        Self { authorization, ..self }
    }
}

/// Header fields of an answer, bounded by the transport.
///
/// `Debug` shows their names: a server may repeat what it was told, and the targets of redirects are often signed.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first field of that name (ASCII, case-insensitive).
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All fields of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The standard parser takes a sign and zeros in front.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// First and last byte of a part, and how many the whole has where that is known.
fn parse_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (part, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(number(whole)?) };
    Some((number(first)?, number(last)?, whole))
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// An answer whose body is still on its way.
pub struct Response {
    url: Url,
    status: u16,
    headers: Headers,
    body: Box<dyn Read + Send>,
}

impl Response {
    /// An answer to a request for `url`.
    pub fn new(url: Url, status: u16, headers: Headers, body: Box<dyn Read + Send>) -> Self {
        Self { url, status, headers, body }
    }

    /// The URL that was asked for.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The header fields.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// `Content-Length`, when there is a well-formed one.
    pub fn content_length(&self) -> Option<u64> {
        self.headers.first("content-length").and_then(number)
    }

    /// Whether it says that it is the part from byte `offset` to the end (RFC 9110, section 14.4).
    pub fn is_rest_from(&self, offset: u64) -> bool {
        let mut ranges = self.headers.all("content-range");
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return false };
        parse_range(range).is_some_and(|(first, last, whole)| {
            let end = last.checked_add(1);
            let len = end.and_then(|end| end.checked_sub(first)).filter(|len| *len > 0);
            first == offset
                && len.is_some()
                && whole.is_none_or(|whole| Some(whole) == end)
                && self.content_length().is_none_or(|announced| Some(announced) == len)
        })
    }

    /// Reads the next bytes of the body; 0 at its end.
    ///
    /// # Errors
    /// When the body breaks off or stalls.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError> {
        loop {
            match self.body.read(buffer) {
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TransportError::in_body(&self.url, error)),
            }
        }
    }

    /// Reads a whole small body.
    ///
    /// # Errors
    /// [`Cause::TooLarge`] when there is more than `limit` bytes, [`Cause::Stalled`] when they trickle in for longer
    /// than `longest`; otherwise like [`read`](Self::read) and [`Patience::check`].
    pub fn read_to_limit(
        &mut self,
        limit: usize,
        longest: Duration,
        patience: Patience<'_>,
    ) -> Result<Vec<u8>, TransportError> {
        let clock = patience.clock();
        let deadline = Deadline::after(clock, longest);
        let mut bytes = Vec::new();
        let mut buffer = [0; 8 * 1024];
        loop {
            patience.check(&self.url)?;
            if deadline.left(clock).is_zero() {
                return Err(TransportError::new(&self.url, Cause::Stalled));
            }
            let n = self.read(&mut buffer)?;
            if n == 0 {
                return Ok(bytes);
            }
            if bytes.len() + n > limit {
                return Err(TransportError::new(&self.url, Cause::TooLarge { limit }));
            }
            bytes.extend_from_slice(&buffer[..n]);
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("url", &self.url).field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Stop, SystemClock};

    #[test]
    fn a_body_past_its_limit_is_not_read_on() {
        let url = Url::parse("https://a.example.com/").unwrap();
        let response =
            |n: usize| Response::new(url.clone(), 200, Headers::default(), Box::new(io::repeat(b'x').take(n as u64)));
        let (clock, stop) = (SystemClock::start(), Stop::new());
        let read = |n, longest, allowance| {
            let patience = Patience::new(&clock, Deadline::after(&clock as &dyn Clock, allowance), &stop);
            response(n).read_to_limit(100, longest, patience).map_err(|error| error.cause())
        };
        let (ever, never) = (Duration::MAX, Duration::ZERO);
        assert_eq!(read(100, ever, ever).unwrap().len(), 100);
        assert_eq!(read(101, ever, ever), Err(Cause::TooLarge { limit: 100 }));
        assert_eq!(read(100, never, ever), Err(Cause::Stalled));
        assert_eq!(read(100, ever, never), Err(Cause::Deadline));
        stop.ask();
        assert_eq!(read(100, ever, ever), Err(Cause::Stopped));
    }

    #[test]
    fn a_request_never_shows_its_credentials() {
        let request = Request::get(Url::parse("https://a.example.com/?sig=s3cret").unwrap())
            .authorization(Some(Secret::new("Basic s3cret".to_owned())));
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
