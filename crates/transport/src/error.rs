//! What can go wrong in one exchange.

use std::error::Error;
use std::{fmt, io};

use rustls::CertificateError;

use crate::Url;

/// An exchange that gave no usable answer.
#[derive(Debug, thiserror::Error)]
#[error("request to `{url}`{route} failed: {cause}")]
pub struct TransportError {
    url: String,
    route: Route,
    cause: Cause,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// Which way the request went.
#[derive(Debug)]
enum Route {
    Direct,
    /// By the proxy with this host and port.
    Proxy(String),
}

/// Why, in terms that decide about retry and hint. Blame and reason codes are given by the crates that know what the
/// exchange was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The name has no address.
    #[error("the host name does not resolve")]
    Dns,
    /// No connection.
    #[error("no connection could be made")]
    Connect,
    /// The server's certificate does not prove who it is.
    #[error("the server's certificate {0}")]
    Certificate(CertificateFault),
    /// TLS broke otherwise.
    #[error("no trusted TLS connection could be made")]
    Tls,
    /// The server answered a TLS hello with something else.
    #[error("the server does not speak TLS")]
    NotTls,
    /// No answer in time.
    #[error("no answer came in time")]
    Timeout,
    /// Bytes stopped coming.
    #[error("the transfer stalled")]
    Stalled,
    /// The connection was cut.
    #[error("the connection was cut")]
    Reset,
    /// The body ended before its announced length.
    #[error("the body ended early")]
    Truncated,
    /// Not HTTP, or headers beyond the limit.
    #[error("the answer is not well-formed HTTP")]
    Protocol,
    /// A body that must be small is not.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What was to be sent is not there, or not as long as announced. The fault is on this side.
    #[error("what was to be sent could not be read as announced")]
    Content,
    /// The proxy refused or is misconfigured.
    #[error("the proxy did not make a connection")]
    Proxy,
    /// The proxy does not take the login that it was given, or wants one.
    #[error("the proxy does not let this user in")]
    ProxyLogin,
    /// The act that the exchange belongs to has used up its time.
    #[error("no time is left for it")]
    Deadline,
    /// Somebody asked to stop.
    #[error("a stop was asked for")]
    Stopped,
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Nobody who is trusted vouches for it.
    #[error("is of an authority that is not trusted")]
    UnknownIssuer,
    /// It is for other names.
    #[error("is for another host name")]
    OtherName,
    /// It has expired, or is not valid yet.
    #[error("is not valid at this time")]
    OutOfDate,
    /// It is an authority's own, as self-signed ones often are.
    #[error("is the one of an authority itself")]
    OfAuthority,
    /// Anything else.
    #[error("cannot be used")]
    Unusable,
}

impl Cause {
    /// The value of the log's `cause=` field.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Certificate(_) | Self::Tls | Self::NotTls => "tls",
            Self::Timeout | Self::Deadline => "timeout",
            Self::Stalled => "stalled",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::TooLarge { .. } => "too_large",
            Self::Content => "content",
            Self::Proxy | Self::ProxyLogin => "proxy",
            Self::Stopped => "interrupted",
        }
    }

    /// What to do about it, where something can be done on this side.
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Dns => Some("check the host name, and in a cluster the DNS policy of the pod"),
            Self::Connect => {
                Some("check host and port, and whether a firewall or network policy lets this connection out")
            }
            Self::Certificate(fault) => fault.hint(),
            Self::NotTls => Some("plain http is spoken to loopback only: put TLS in front of the server"),
            Self::Proxy => Some("check HTTPS_PROXY and NO_PROXY"),
            Self::ProxyLogin => {
                Some("put the right user and password into HTTPS_PROXY: `http://USER:PASSWORD@HOST:PORT`")
            }
            Self::Content => {
                Some("the file changed, or could not be read, while it was sent: leave it alone meanwhile")
            }
            Self::Reset => Some(
                "the server or a proxy between hangs up: it is slow or broken, or speaks plain http; try again later, or ask who \
                 operates it",
            ),
            Self::Timeout | Self::Stalled | Self::Truncated => {
                Some("the server or a proxy between is slow or broken: try again later, or ask who operates it")
            }
            Self::Tls | Self::Protocol | Self::TooLarge { .. } | Self::Deadline | Self::Stopped => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Dns | Self::Connect | Self::Timeout | Self::Stalled | Self::Reset | Self::Truncated | Self::Proxy => {
                true
            }
            Self::Certificate(_)
            | Self::Tls
            | Self::NotTls
            | Self::Protocol
            | Self::TooLarge { .. }
            | Self::Content
            | Self::ProxyLogin
            | Self::Deadline
            | Self::Stopped => false,
        }
    }
}

impl CertificateFault {
    const fn hint(self) -> Option<&'static str> {
        match self {
            Self::UnknownIssuer => {
                Some("if the server has a private CA, mount its certificate and name it with `--ca-file`")
            }
            Self::OtherName => Some("the certificate is for another host name: check the name in `package`"),
            Self::OutOfDate => Some("the server's certificate has expired, or this machine's clock is wrong"),
            Self::OfAuthority => Some("give the server a certificate of its own, signed by that authority"),
            Self::Unusable => None,
        }
    }

    fn of(error: &CertificateError) -> Self {
        match error {
            // A bad signature is what an authority of the same name with another key looks like, as after a renewal.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::OutOfDate,
            // The verifier's own error type is not within reach here; its name is.
            CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => Self::OfAuthority,
            _ => Self::Unusable,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => Ok(()),
            Self::Proxy(authority) => write!(f, " by proxy `{authority}`"),
        }
    }
}

impl TransportError {
    /// An error without a deeper cause. The URL is kept without its query.
    pub fn new(url: &Url, cause: Cause) -> Self {
        Self { url: url.to_string(), route: Route::Direct, cause, source: None }
    }

    /// An error with the library's own words behind it.
    pub fn because(url: &Url, cause: Cause, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { url: url.to_string(), route: Route::Direct, cause, source: Some(source.into()) }
    }

    /// Why.
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    pub(crate) fn in_body(url: &Url, error: io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Cause::Stalled,
            io::ErrorKind::UnexpectedEof => Cause::Truncated,
            io::ErrorKind::InvalidData => Cause::Protocol,
            _ => match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
                Some(ureq::Error::Timeout(ureq::Timeout::Global)) => Cause::Deadline,
                Some(ureq::Error::Timeout(_)) => Cause::Stalled,
                Some(ureq::Error::Protocol(_)) => Cause::Truncated,
                _ => Cause::Reset,
            },
        };
        Self::because(url, cause, error)
    }

    /// The same, of a request through a proxy: the connection that could not be made was the one to the proxy.
    pub(crate) fn by_proxy(self, authority: &str) -> Self {
        let cause = match self.cause {
            Cause::Dns | Cause::Connect => Cause::Proxy,
            other => other,
        };
        Self { cause, route: Route::Proxy(authority.to_owned()), ..self }
    }

    pub(crate) fn before_body(url: &Url, error: ureq::Error) -> Self {
        if let Some(rustls::Error::InvalidCertificate(error)) = tls_error(&error) {
            return Self::in_certificate(url, error);
        }
        let cause = match &error {
            ureq::Error::HostNotFound | ureq::Error::Other(_) | ureq::Error::Timeout(ureq::Timeout::Resolve) => {
                Cause::Dns
            }
            ureq::Error::Timeout(ureq::Timeout::Global) => Cause::Deadline,
            ureq::Error::Timeout(ureq::Timeout::SendBody | ureq::Timeout::PerWrite) => Cause::Stalled,
            ureq::Error::Timeout(_) => Cause::Timeout,
            ureq::Error::Rustls(error) => tls_cause(error),
            ureq::Error::Tls(_) | ureq::Error::TlsRequired | ureq::Error::Pem(_) => Cause::Tls,
            // The status is in the library's words and nowhere else. A wrong password that is sent again and again gets
            // an account locked.
            ureq::Error::ConnectProxyFailed(said) if said.contains(" 407/") => Cause::ProxyLogin,
            ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => Cause::Proxy,
            ureq::Error::ConnectionFailed => Cause::Connect,
            ureq::Error::Io(io) => io_cause(io),
            _ => Cause::Protocol,
        };
        match error {
            // The library would put its own word before the system's.
            ureq::Error::Other(error) => Self::because(url, cause, error),
            error => Self::because(url, cause, error),
        }
    }

    /// What the library says is kept where it adds something in words: names, and times.
    fn in_certificate(url: &Url, error: &CertificateError) -> Self {
        let fault = CertificateFault::of(error);
        let cause = Cause::Certificate(fault);
        match (fault, error) {
            (CertificateFault::UnknownIssuer | CertificateFault::OfAuthority, _) => Self::new(url, cause),
            (_, CertificateError::Other(other)) => Self::because(url, cause, other.to_string()),
            _ => Self::because(url, cause, error.to_string()),
        }
    }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    }
}

fn io_cause(error: &io::Error) -> Cause {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_cause(tls);
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Cause::Timeout,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Cause::Reset,
        _ => Cause::Connect,
    }
}

fn tls_cause(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidMessage(_) => Cause::NotTls,
        _ => Cause::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::OtherError;
    use std::sync::Arc;

    #[test]
    fn end_of_patience_is_told_by_what_was_waited_for() {
        let url = Url::parse("https://a.example.com/").unwrap();
        for (waited_for, expected) in [
            (ureq::Timeout::Resolve, Cause::Dns),
            (ureq::Timeout::Connect, Cause::Timeout),
            (ureq::Timeout::RecvResponse, Cause::Timeout),
            (ureq::Timeout::SendBody, Cause::Stalled),
            (ureq::Timeout::PerWrite, Cause::Stalled),
            (ureq::Timeout::Global, Cause::Deadline),
        ] {
            let error = TransportError::before_body(&url, ureq::Error::Timeout(waited_for));
            assert_eq!(error.cause(), expected, "{waited_for:?}");
        }
    }

    #[test]
    fn fault_of_a_certificate_is_told_apart() {
        let other = |name: &'static str| CertificateError::Other(OtherError(Arc::new(io::Error::other(name))));
        for (error, fault, source) in [
            (CertificateError::UnknownIssuer, CertificateFault::UnknownIssuer, None),
            (CertificateError::BadSignature, CertificateFault::UnknownIssuer, None),
            (CertificateError::NotValidForName, CertificateFault::OtherName, Some("NotValidForName")),
            (CertificateError::Expired, CertificateFault::OutOfDate, Some("Expired")),
            (CertificateError::NotValidYet, CertificateFault::OutOfDate, Some("NotValidYet")),
            (other("CaUsedAsEndEntity"), CertificateFault::OfAuthority, None),
            (other("Unheard"), CertificateFault::Unusable, Some("Unheard")),
        ] {
            let url = Url::parse("https://a.example.com/").unwrap();
            let error = TransportError::before_body(&url, ureq::Error::Rustls(error.into()));
            assert_eq!(error.cause(), Cause::Certificate(fault));
            assert_eq!(error.source().map(ToString::to_string).as_deref(), source);
        }
    }
}
