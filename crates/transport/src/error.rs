//! What can go wrong in one exchange.

use std::io;

use crate::Url;

/// An exchange that gave no usable answer.
#[derive(Debug, thiserror::Error)]
#[error("request to `{url}` failed: {cause}")]
pub struct TransportError {
    url: String,
    cause: Cause,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why, in terms that decide about retry and hint. Blame and reason codes are given by the crates that know what the
/// exchange was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The name has no address.
    #[error("the host name does not resolve")]
    Dns,
    /// No connection.
    #[error("no connection could be made")]
    Connect,
    /// The server's certificate is not trusted, is for another host, or has expired; or TLS broke otherwise.
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
    /// The proxy refused or is misconfigured.
    #[error("the proxy did not make a connection")]
    Proxy,
    /// The act that the exchange belongs to has used up its time.
    #[error("no time is left for it")]
    Deadline,
    /// Somebody asked to stop.
    #[error("a stop was asked for")]
    Stopped,
}

impl Cause {
    /// The value of the log's `cause=` field.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls | Self::NotTls => "tls",
            Self::Timeout | Self::Deadline => "timeout",
            Self::Stalled => "stalled",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::TooLarge { .. } => "too_large",
            Self::Proxy => "proxy",
            Self::Stopped => "interrupted",
        }
    }

    /// What to do about it, where something can be done on this side.
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Dns => Some("check the host name, and the DNS policy of the pod"),
            Self::Connect => Some("check host and port, and whether a network policy lets the pod out"),
            Self::Tls => Some("if the server has a private CA, mount its certificate and name it with `--ca-file`"),
            Self::NotTls => Some("plain http is spoken to loopback only: put TLS in front of the server"),
            Self::Proxy => Some("check HTTPS_PROXY and NO_PROXY"),
            Self::Timeout
            | Self::Stalled
            | Self::Reset
            | Self::Truncated
            | Self::Protocol
            | Self::TooLarge { .. }
            | Self::Deadline
            | Self::Stopped => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Dns | Self::Connect | Self::Timeout | Self::Stalled | Self::Reset | Self::Truncated | Self::Proxy => {
                true
            }
            Self::Tls | Self::NotTls | Self::Protocol | Self::TooLarge { .. } | Self::Deadline | Self::Stopped => false,
        }
    }
}

impl TransportError {
    /// An error without a deeper cause. The URL is kept without its query.
    pub fn new(url: &Url, cause: Cause) -> Self {
        Self { url: url.to_string(), cause, source: None }
    }

    /// An error with the library's own words behind it.
    pub fn because(url: &Url, cause: Cause, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { url: url.to_string(), cause, source: Some(source.into()) }
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
                Some(ureq::Error::Timeout(_)) => Cause::Stalled,
                Some(ureq::Error::Protocol(_)) => Cause::Truncated,
                _ => Cause::Reset,
            },
        };
        Self::because(url, cause, error)
    }

    /// The same, of a request through a proxy: the connection that could not be made was the one to the proxy.
    pub(crate) fn by_proxy(self) -> Self {
        match self.cause {
            Cause::Dns | Cause::Connect => Self { cause: Cause::Proxy, ..self },
            _ => self,
        }
    }

    pub(crate) fn before_body(url: &Url, error: ureq::Error) -> Self {
        let cause = match &error {
            ureq::Error::HostNotFound | ureq::Error::Other(_) => Cause::Dns,
            ureq::Error::Timeout(_) => Cause::Timeout,
            ureq::Error::Rustls(error) => tls_cause(error),
            ureq::Error::Tls(_) | ureq::Error::TlsRequired | ureq::Error::Pem(_) => Cause::Tls,
            ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => Cause::Proxy,
            ureq::Error::ConnectionFailed => Cause::Connect,
            ureq::Error::Io(io) => io_cause(io),
            _ => Cause::Protocol,
        };
        Self::because(url, cause, error)
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
