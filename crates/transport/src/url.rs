//! URLs as far as this product asks for them.

use std::fmt;
use std::net::IpAddr;

/// Longest URL taken, in bytes; signed redirect targets are long.
const URL_LIMIT: usize = 16 * 1024;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear: loopback, and servers that the operator has named for it.
    Http,
    /// Over TLS.
    Https,
}

/// An absolute http(s) URL without userinfo and fragment. http is possible for loopback hosts only, unless it is parsed
/// [in the clear](Self::parse_in_the_clear).
///
/// `Display` and `Debug` leave the query out, because signed URLs carry their secret there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: String,
    port: u16,
    target: String,
}

/// Why a text is no URL that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Neither http nor https, or not absolute.
    #[error("expected an absolute `https://` URL")]
    Scheme,
    /// Plain http to another machine.
    #[error("plain `http://` is spoken to loopback addresses only")]
    PlainHttp,
    /// A host, port or character that a URL cannot have here.
    #[error("the URL is malformed")]
    Malformed,
}

impl Url {
    /// Parses an absolute URL (RFC 3986, section 3). A fragment is dropped: it is never sent.
    ///
    /// # Errors
    /// Another scheme, plain http to another machine, userinfo, or characters outside printable ASCII.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Self::parse_in_the_clear(text)?;
        if url.is_in_the_clear() { Err(UrlError::PlainHttp) } else { Ok(url) }
    }

    /// The same, where plain http to another machine is what the operator wants of that server. No login may go there.
    ///
    /// # Errors
    /// Like [`parse`](Self::parse), plain http aside.
    pub fn parse_in_the_clear(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_LIMIT || !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('\\') {
            return Err(UrlError::Malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = split_authority(authority, scheme)?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { scheme, host, port, target })
    }

    /// Resolves a `Location` against this URL (RFC 3986, section 5.2, without dot segments).
    ///
    /// # Errors
    /// Like [`parse`](Self::parse), but that a path stays on the same server however it is spoken to; a relative path
    /// without a leading `/` counts as malformed.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.starts_with("//") {
            let scheme = match self.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            };
            return Self::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            return Self::parse_in_the_clear(&format!("{}{location}", self.origin()));
        }
        if location.contains("://") { Self::parse(location) } else { Err(UrlError::Malformed) }
    }

    /// How the server is spoken to.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, lower-case; IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query as they go on the request line.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port, the port only where it is not 443.
    pub fn authority(&self) -> String {
        match self.port {
            443 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// Scheme, host and port: what a credential belongs to.
    pub fn origin(&self) -> String {
        match self.scheme {
            Scheme::Https => format!("https://{}", self.authority()),
            Scheme::Http => format!("http://{}:{}", self.host, self.port),
        }
    }

    /// The whole URL with its query, for the request. Not for logs.
    pub fn with_query(&self) -> String {
        format!("{}{}", self.origin(), self.target)
    }

    /// Whether whoever sits on the way to another machine reads along.
    pub fn is_in_the_clear(&self) -> bool {
        self.scheme == Scheme::Http && !self.is_loopback()
    }

    /// Whether the host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target.split_once('?') {
            Some((path, _)) => write!(f, "{}{path}?…", self.origin()),
            None => write!(f, "{}{}", self.origin(), self.target),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn split_authority(authority: &str, scheme: Scheme) -> Result<(String, u16), UrlError> {
    let default_port = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let (host, port) = match authority.rfind(']') {
        Some(end) => (&authority[..=end], authority[end + 1..].strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
    let plain = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    // A parser of numbers takes signs and leading zeros, too.
    let is_number = |text: &&str| !text.starts_with('0') && text.bytes().all(|digit| digit.is_ascii_digit());
    let port = port.map_or(Some(default_port), |port| Some(port).filter(is_number)?.parse().ok());
    match port {
        Some(port) if plain => Ok((host.to_ascii_lowercase(), port)),
        _ => Err(UrlError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_shown_without_their_query() {
        let url = Url::parse("https://CDN.example.com:8443/a/b?sig=s3cret#x").unwrap();
        assert_eq!((url.host(), url.port(), url.target()), ("cdn.example.com", 8443, "/a/b?sig=s3cret"));
        assert_eq!(format!("{url} {url:?}"), "https://cdn.example.com:8443/a/b?… https://cdn.example.com:8443/a/b?…");
        assert_eq!(Url::parse("https://a.example.com").unwrap().with_query(), "https://a.example.com/");
        assert_eq!(Url::parse("https://a.example.com?x").unwrap().with_query(), "https://a.example.com/?x");
    }

    #[test]
    fn http_is_for_loopback_only() {
        for (text, expected) in [
            ("http://127.0.0.1:5000/v2/", None),
            ("http://[::1]:5000/", None),
            ("http://localhost/", None),
            ("http://169.254.169.254/", Some(UrlError::PlainHttp)),
            ("http://localhost.evil.example/", Some(UrlError::PlainHttp)),
            ("http://127.0.0.1.evil.example/", Some(UrlError::PlainHttp)),
            ("file:///etc/passwd", Some(UrlError::Scheme)),
            ("/v2/", Some(UrlError::Scheme)),
            ("https://u:p@a.example.com/", Some(UrlError::Malformed)),
            ("https://a.example.com:x/", Some(UrlError::Malformed)),
            ("https://a.example.com:+443/", Some(UrlError::Malformed)),
            ("https://a.example.com:0443/", Some(UrlError::Malformed)),
            ("https://[::1]:+443/", Some(UrlError::Malformed)),
            ("https://a.example.com:0/", Some(UrlError::Malformed)),
            ("https://a.example.com:65536/", Some(UrlError::Malformed)),
            ("https://a.example.com:65535/", None),
            ("https://a.example.com:/", Some(UrlError::Malformed)),
            ("https:///x", Some(UrlError::Malformed)),
            ("https://a.example.com/\r\nx", Some(UrlError::Malformed)),
            ("https://a.example.com\\@b/", Some(UrlError::Malformed)),
        ] {
            assert_eq!(Url::parse(text).err(), expected, "{text}");
        }
    }

    #[test]
    fn locations_resolve_against_the_request() {
        let base = Url::parse("https://a.example.com:8443/x/y").unwrap();
        for (location, expected) in [
            ("/z?q", "https://a.example.com:8443/z?q"),
            ("//b.example.com/z", "https://b.example.com/z"),
            ("https://c.example.com/z", "https://c.example.com/z"),
        ] {
            assert_eq!(base.join(location).map(|url| url.with_query()), Ok(expected.to_owned()), "{location}");
        }
        assert_eq!(base.join("http://a.example.com:8443/x"), Err(UrlError::PlainHttp));
        let clear = Url::parse_in_the_clear("http://a.example.com:5000/x").unwrap();
        assert!(clear.is_in_the_clear() && !base.is_in_the_clear());
        assert_eq!(clear.join("/z").map(|url| url.origin()), Ok("http://a.example.com:5000".to_owned()));
        assert_eq!(clear.join("http://b.example.com/z"), Err(UrlError::PlainHttp));
        assert_eq!(base.join("z"), Err(UrlError::Malformed));
    }
}
