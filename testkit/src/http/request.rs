//! One request as a server received it.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use base64ct::{Base64, Base64Unpadded, Encoding};

/// Bytes of a request line and its headers.
const MAX_HEAD: u64 = 64 * 1024;
/// Bytes of a request's body: an uploaded plugin fits, an endless upload does not.
const MAX_BODY: u64 = 1024 * 1024 * 1024;

/// One request, with everything a test may want to ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The server that received it, as clients name it: `https://auth.docker.io`, `http://127.0.0.1:40123`.
    pub origin: Arc<str>,
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The path as sent, percent signs untouched; for `CONNECT` the authority.
    pub path: String,
    /// What followed the `?`, as sent; empty when nothing did.
    pub query: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body, after any transfer coding.
    pub body: Arc<[u8]>,
}

impl Request {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The decoded values of a query parameter, in order.
    pub fn query_values(&self, name: &str) -> Vec<String> {
        form_values(&self.query, name)
    }

    /// The decoded values of a field of a form in the body, in order.
    pub fn form_values(&self, name: &str) -> Vec<String> {
        form_values(&String::from_utf8_lossy(&self.body), name)
    }

    /// User and password of HTTP basic authentication (RFC 7617).
    pub fn basic_credentials(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(Base64::decode_vec(encoded).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// The token of bearer authentication (RFC 6750).
    pub fn bearer_token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// Whether the secret stands anywhere in it: in the target, a header or the body; as it is, percent-encoded, in
    /// base64 (alone or as part of a longer text) or in hex.
    pub fn holds(&self, secret: &str) -> bool {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble is a digit");
        let hex: String = secret.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        let body = String::from_utf8_lossy(&self.body);
        let headers = self.headers.iter().flat_map(|(name, value)| [name.as_str(), value]);
        [self.path.as_str(), &self.query, &body].into_iter().chain(headers).any(|text| {
            let plain = decode(text);
            let texts = [text, &plain];
            texts.iter().any(|text| text.contains(secret) || text.to_ascii_lowercase().contains(&hex))
                || texts.iter().any(|text| decoded_words(text).any(|word| contains(&word, secret.as_bytes())))
        })
    }

    pub(super) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Reads one request; `None` when the client has closed the connection instead.
    pub(super) fn read(origin: &Arc<str>, from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = from.by_ref().take(MAX_HEAD);
        let first = read_line(&mut head)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) else {
            return Err(invalid("a request line of HTTP/1.1"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = Vec::new();
        loop {
            let line = read_line(&mut head)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self {
            origin: Arc::clone(origin),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Arc::default(),
        };
        request.body = request.read_body(from)?;
        Ok(Some(request))
    }

    fn read_body(&self, from: &mut impl BufRead) -> io::Result<Arc<[u8]>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = read_line(&mut from.by_ref().take(MAX_HEAD))?;
                let digits = line.split(';').next().unwrap_or_default();
                let len = u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk's length"))?;
                read_exactly(from, len, &mut body)?;
                // After the last chunk this reads the empty line that ends a body without trailers.
                if !read_line(&mut from.by_ref().take(MAX_HEAD))?.is_empty() {
                    return Err(invalid("the end of a chunk"));
                }
                if len == 0 {
                    break;
                }
            }
        } else if let Some(len) = self.header("content-length") {
            read_exactly(from, len.parse().map_err(|_| invalid("a content length"))?, &mut body)?;
        }
        Ok(body.into())
    }
}

fn read_exactly(from: &mut impl Read, len: u64, into: &mut Vec<u8>) -> io::Result<()> {
    if len > MAX_BODY - (into.len() as u64).min(MAX_BODY) {
        return Err(invalid("a body within the limit"));
    }
    match from.take(len).read_to_end(into)? {
        read if read as u64 == len => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A line without its end; empty at the end of the stream.
fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(whole) => Ok(whole.strip_suffix('\r').unwrap_or(whole).to_owned()),
        None if line.is_empty() => Ok(line),
        None => Err(invalid("a whole line within the limit")),
    }
}

fn invalid(expected: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("expected {expected}"))
}

fn form_values(encoded: &str, name: &str) -> Vec<String> {
    let pairs = encoded.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(value)).collect()
}

/// What the words of a text mean in base64, of either alphabet, padded or not.
fn decoded_words(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    text.split(move |c| !is_digit(c)).filter_map(|word| {
        let word = word.replace('-', "+").replace('_', "/");
        // A last character on its own carries no whole byte, and neither does a secret end there.
        let whole = if word.len() % 4 == 1 { &word[..word.len() - 1] } else { &word };
        Base64Unpadded::decode_vec(whole).ok()
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}

/// Undoes `application/x-www-form-urlencoded`; what is not well formed stays as it is.
fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                match after.first_chunk::<2>().and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok()) {
                    Some(decoded) => {
                        out.push(decoded);
                        rest = &after[2..];
                    }
                    None => out.push(b'%'),
                }
            }
            other => out.push(*other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> io::Result<Option<Request>> {
        Request::read(&Arc::from("http://here"), &mut text.as_bytes())
    }

    #[test]
    fn parts_of_a_request_are_told_apart() {
        let request = parse(
            "POST /token?scope=a%3Ab&scope=c+d HTTP/1.1\r\nAuthorization: Basic cm9ib3QkcHJvamVjdCtuYW1lOnA6dw==\r\nContent-Length: 7\r\n\r\nuser=%2",
        )
        .unwrap()
        .unwrap();
        assert_eq!(request.path, "/token");
        assert_eq!(request.query_values("scope"), ["a:b", "c d"]);
        assert_eq!(request.form_values("user"), ["%2"]);
        assert_eq!(request.basic_credentials(), Some(("robot$project+name".to_owned(), "p:w".to_owned())));
    }

    #[test]
    fn secret_is_found_wherever_it_stands() {
        // `bob:s3cret/+x` and `s3cret/+x`.
        for (expected, target, header, body) in [
            (false, "/a?b=c", "d", "e"),
            (true, "/s3cret/+x", "d", ""),
            (true, "/a?b=s3cret%2F%2Bx&c", "d", ""),
            (true, "/a", "Basic Ym9iOnMzY3JldC8reA==", ""),
            (true, "/a?b=Ym9iOnMzY3JldC8reA", "d", ""),
            (true, "/a?b=Ym9iOnMzY3JldC8reA%3D%3D", "d", ""),
            (true, "/a", "session=czNjcmV0Lyt4; path=/", ""),
            (true, "/a", "d", "x=7333637265742F2b78"),
            (true, "/a", "d", "{\"p\":\"s3cret/+x\"}"),
            (false, "/a", "Basic Ym9iOm90aGVy", "s3cret"),
        ] {
            let text = format!("POST {target} HTTP/1.1\r\nx: {header}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            assert_eq!(parse(&text).unwrap().unwrap().holds("s3cret/+x"), expected, "{text}");
        }
    }

    #[test]
    fn chunked_bodies_are_joined() {
        let request =
            parse("PATCH / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
        assert_eq!(&*request.unwrap().unwrap().body, b"abcde");
    }

    #[test]
    fn broken_requests_are_errors_and_a_closed_connection_is_none() {
        assert!(parse("").unwrap().is_none());
        let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(100_000));
        for (name, text) in [
            ("no version", "GET /\r\n\r\n"),
            ("endless head", &endless),
            ("short body", "PUT / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc"),
            ("huge body", "PUT / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n"),
            ("bad chunk", "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\n"),
        ] {
            assert!(parse(text).is_err(), "{name}");
        }
    }
}
