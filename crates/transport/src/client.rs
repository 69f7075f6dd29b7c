//! The real transport: HTTP/1.1 by ureq, TLS by rustls with ring.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::SendBody;
use ureq::config::Config;
use ureq::http;
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, NextTimeout};

use crate::upload::Announced;
use crate::{
    Body, Cause, Headers, Method, ProxyRules, Request, Response, Transport, TransportError, Trust, TrustError, Url,
};

/// Idle connections kept for each server: as many as plugins are usually fetched at once.
const IDLE_PER_HOST: usize = 8;
/// Bytes of each connection's two buffers: at 16 KiB TLS records arrive whole, and memory stays small.
const BUFFER: usize = 32 * 1024;
/// Slowest pace, in bytes a second, at which a body may leave as a whole.
const LEAST_PACE: u64 = 32 * 1024;
/// Most bytes of status line and headers. They have to fit into the buffer with room to spare: a full one would look
/// like a server that says no more.
const HEADER_LIMIT: usize = BUFFER - 1;
/// Longest time that a moment is reckoned ahead: the ones for ever after have no name.
const FAR: Duration = Duration::from_hours(24 * 365);

/// How long each phase of an exchange may take, within the time that there is for all of it.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Resolving the name; and then connection, proxy and TLS handshake together.
    pub connect: Duration,
    /// From the request to the end of the answer's headers. A body that is sent has this time for itself, and a second
    /// more for each 32 KiB.
    pub answer: Duration,
    /// Between two reads or two writes of a body.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), answer: Duration::from_mins(1), read: Duration::from_secs(30) }
    }
}

impl Timeouts {
    fn of_body(&self, len: u64) -> Duration {
        self.answer.saturating_add(Duration::from_secs(len / LEAST_PACE))
    }
}

/// Speaks to real servers. It opens no file after it was made, but those of the system's resolver.
#[derive(Debug)]
pub struct HttpClient {
    proxies: ProxyRules,
    timeouts: Timeouts,
    direct: ureq::Agent,
    by_proxy: Option<ureq::Agent>,
}

impl HttpClient {
    /// A client that introduces itself as `user_agent`. The certificates are loaded here.
    ///
    /// # Errors
    /// When something that `trust` names gives no certificate.
    pub fn new(
        user_agent: &'static str,
        trust: &Trust,
        proxies: ProxyRules,
        timeouts: Timeouts,
    ) -> Result<Self, TrustError> {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(trust.load()?)
            .build();
        let open = |proxy: Option<ureq::Proxy>| {
            let config = ureq::Agent::config_builder()
                .user_agent(user_agent)
                .tls_config(tls.clone())
                .proxy(proxy)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .max_response_header_size(HEADER_LIMIT)
                .max_idle_connections_per_host(IDLE_PER_HOST)
                .input_buffer_size(BUFFER)
                .output_buffer_size(BUFFER)
                .timeout_resolve(Some(timeouts.connect))
                .timeout_connect(Some(timeouts.connect))
                .timeout_send_request(Some(timeouts.answer))
                .timeout_send_body(Some(timeouts.answer))
                .timeout_recv_response(Some(timeouts.answer))
                .timeout_per_read(Some(timeouts.read))
                .timeout_per_write(Some(timeouts.read))
                .build();
            ureq::Agent::with_parts(config, Connections::default(), Names::default())
        };
        let by_proxy = proxies.https().map(|proxy| open(Some(proxy.settings.clone())));
        Ok(Self { proxies, timeouts, direct: open(None), by_proxy })
    }

    fn agent_for(&self, url: &Url) -> &ureq::Agent {
        self.proxies.proxy_for(url).and(self.by_proxy.as_ref()).unwrap_or(&self.direct)
    }
}

impl Transport for HttpClient {
    fn send(&self, request: &Request, within: Duration) -> Result<Response, TransportError> {
        let agent = self.agent_for(&request.url);
        let within = Some(within.min(FAR));
        let malformed = |error: http::Error| TransportError::because(&request.url, Cause::Protocol, error);
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
        };
        let mut builder = http::Request::builder()
            .method(method)
            .uri(request.url.with_query())
            // A body that a proxy or server compresses in passing would not be the one whose digest was pinned.
            .header("accept-encoding", "identity");
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(authorization) = &request.authorization {
            builder = builder.header("authorization", authorization.expose());
        }
        let sent = match &request.body {
            Body::Empty => match request.method {
                Method::Get | Method::Head => {
                    let bare = builder.body(()).map_err(malformed)?;
                    agent.run(agent.configure_request(bare).timeout_global(within).build())
                }
                // Some servers insist on a length where there could be a body.
                Method::Post | Method::Put | Method::Patch => {
                    let empty = builder.body("").map_err(malformed)?;
                    agent.run(agent.configure_request(empty).timeout_global(within).build())
                }
            },
            Body::Form(form) => {
                let builder = builder.header("content-type", "application/x-www-form-urlencoded");
                let form = builder.body(form.expose()).map_err(malformed)?;
                agent.run(agent.configure_request(form).timeout_global(within).build())
            }
            Body::Upload(upload) => {
                let ours = |fault: io::Error| TransportError::because(&request.url, Cause::Content, fault);
                let mut bytes = Announced::open(upload).map_err(ours)?;
                let builder = builder.header("content-type", &upload.media_type).header("content-length", upload.len);
                let body = builder.body(SendBody::from_reader(&mut bytes)).map_err(malformed)?;
                let time = self.timeouts.of_body(upload.len);
                let sent = agent.configure_request(body).timeout_send_body(Some(time)).timeout_global(within).build();
                let sent = agent.run(sent);
                match bytes.into_fault() {
                    Some(fault) => return Err(ours(fault)),
                    None => sent,
                }
            }
        };
        let answer = sent.map_err(|error| {
            let error = TransportError::before_body(&request.url, error);
            match self.proxies.proxy_for(&request.url) {
                Some(proxy) => error.by_proxy(&proxy.authority),
                None => error,
            }
        })?;
        let (parts, body) = answer.into_parts();
        let headers: Headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let announced = headers.first("content-length").and_then(|value| value.parse().ok());
        let body = Counted { inner: body.into_reader(), left: announced.filter(|_| request.method != Method::Head) };
        Ok(Response::new(request.url.clone(), parts.status.as_u16(), headers, Box::new(body)))
    }
}

/// The system's resolver. Its failures arrive as [`ureq::Error::Other`], which nothing else in this client makes; as
/// plain I/O errors they could not be told from refused connections.
#[derive(Debug, Default)]
struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.resolve(uri, config, timeout).map_err(|error| match error {
            ureq::Error::Io(error) => ureq::Error::Other(error.into()),
            other => other,
        })
    }
}

/// The library's connections. It works out the TLS settings of a request that has any settings of its own anew; here
/// only times differ, and those of TLS are the agent's.
#[derive(Debug, Default)]
struct Connections(DefaultConnector);

impl Connector for Connections {
    type Out = <DefaultConnector as Connector>::Out;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        let of_agent = ConnectionDetails {
            request_level: false,
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        self.0.connect(&of_agent, chained)
    }
}

/// Turns a body that ends before its announced length into an error, whatever the library below makes of it.
struct Counted<R> {
    inner: R,
    left: Option<u64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(left) = &mut self.left {
            if n == 0 && *left > 0 && !buffer.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            *left = left.saturating_sub(n as u64);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_for_a_body_grows_with_it() {
        let timeouts = Timeouts::default();
        for (len, seconds) in [(0, 60), (1, 60), (LEAST_PACE, 61), (600 * LEAST_PACE, 660)] {
            assert_eq!(timeouts.of_body(len), Duration::from_secs(seconds), "{len}");
        }
        let forever = Timeouts { answer: Duration::MAX, ..timeouts };
        assert_eq!(forever.of_body(u64::MAX), Duration::MAX);
    }
}
