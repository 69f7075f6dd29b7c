//! https URLs of tarballs.

use std::fmt;

use crate::{Authority, Fault};

/// Longest URL taken, in bytes.
const URL_LIMIT: usize = 8 * 1024;

/// An https URL whose path is canonical as written: no empty, `.` or `..` segment, encoded or not.
///
/// `Display` leaves the query out, because signed URLs carry their secret there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpsUrl {
    authority: Authority,
    path: String,
    query: Option<String>,
}

impl HttpsUrl {
    /// Parses `https://host[:port]/path[?query]` (RFC 3986, section 3, restricted).
    ///
    /// # Errors
    /// A URL that another reader could understand otherwise: userinfo, fragment, dot segments, doubled slashes,
    /// needless or dangerous percent-encoding, anything outside printable ASCII.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > URL_LIMIT {
            return Err(Fault::TooLong { limit: URL_LIMIT });
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('\\') {
            return Err(Fault::Characters);
        }
        let rest = text.strip_prefix("https://").ok_or(Fault::Slashes)?;
        if rest.contains('#') {
            return Err(Fault::Fragment);
        }
        let (before_query, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = match before_query.find('/') {
            Some(slash) => before_query.split_at(slash),
            None => (before_query, "/"),
        };
        let authority = Authority::parse(authority)?;
        check_path(path)?;
        Ok(Self { authority, path: path.to_owned(), query })
    }

    /// Host and port.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path, starting with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole URL with its query, for the request line. Not for logs.
    pub fn with_query(&self) -> String {
        match &self.query {
            Some(query) => format!("https://{}{}?{query}", self.authority, self.path),
            None => format!("https://{}{}", self.authority, self.path),
        }
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}{}", self.authority, self.path, if self.query.is_some() { "?…" } else { "" })
    }
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Accepts a path that starts with `/` and needs no normalization; one trailing `/` may stand.
fn check_path(path: &str) -> Result<(), Fault> {
    let inner = path.strip_prefix('/').ok_or(Fault::Path)?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return if path == "//" { Err(Fault::Path) } else { Ok(()) };
    }
    inner.split('/').try_for_each(check_segment)
}

fn check_segment(segment: &str) -> Result<(), Fault> {
    // Some servers cut `;parameters` before they look at the dots.
    let name = segment.split(';').next().unwrap_or_default();
    if segment.is_empty() || name == "." || name == ".." {
        return Err(Fault::Path);
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(Fault::Percent);
                };
                let encoded = u8::try_from(high * 16 + low).map_err(|_| Fault::Percent)?;
                let needless = encoded.is_ascii_alphanumeric() || b"-._~".contains(&encoded);
                if needless || encoded.is_ascii_control() || b"/\\%".contains(&encoded) {
                    return Err(Fault::Percent);
                }
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => {}
            other if b"-._~!$&'()*+,;=:@".contains(&other) => {}
            _ => return Err(Fault::Characters),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_sent_and_never_shown() {
        let url = HttpsUrl::parse("https://a.example.com/x.tgz?X-Amz-Signature=abc").unwrap();
        assert_eq!(url.to_string(), "https://a.example.com/x.tgz?…");
        assert!(!format!("{url:?}").contains("abc"));
        assert_eq!(url.with_query(), "https://a.example.com/x.tgz?X-Amz-Signature=abc");
    }

    #[test]
    fn paths_that_need_normalizing_are_refused() {
        for (path, fault) in [
            ("//a", Fault::Path),
            ("/a//b", Fault::Path),
            ("/a/../b", Fault::Path),
            ("/a/./b", Fault::Path),
            ("/a/..;x/b", Fault::Path),
            ("/a/%2e%2e/b", Fault::Percent),
            ("/a%2fb", Fault::Percent),
            ("/a%5Cb", Fault::Percent),
            ("/a%252e", Fault::Percent),
            ("/a%00", Fault::Percent),
            ("/a%4", Fault::Percent),
            ("/a%zz", Fault::Percent),
            ("/a|b", Fault::Characters),
            ("/a\"b", Fault::Characters),
        ] {
            assert_eq!(HttpsUrl::parse(&format!("https://a.example.com{path}")), Err(fault), "{path}");
        }
        for path in ["", "/", "/a/", "/a%20b", "/@scope/x/-/x-1.0.0.tgz", "/%C3%A9"] {
            assert!(HttpsUrl::parse(&format!("https://a.example.com{path}")).is_ok(), "{path}");
        }
    }
}
