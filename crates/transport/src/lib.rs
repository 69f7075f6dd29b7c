//! One bounded HTTP exchange: request out, status and headers in, bodies as streams.
//!
//! ```
//! use std::time::Duration;
//! use transport::{Patience, Request, Response, Transport, TransportError, Url};
//!
//! fn fetch_small(transport: &dyn Transport, url: Url, patience: Patience<'_>) -> Result<Vec<u8>, TransportError> {
//!     let mut response: Response = patience.send(transport, &Request::get(url))?;
//!     response.read_to_limit(64 * 1024, Duration::from_secs(60), patience)
//! }
//! # let _ = fetch_small;
//! ```
//!
//! - [`Transport`]: the one seam between protocol code and the network; tests put their own behind it.
//!   - [`HttpClient`]: the real one, over TLS with [`Trust`], through proxies as [`ProxyRules`] say.
//! - [`Request`], [`Response`], [`Url`]: what crosses the seam. [`Secret`]: a header value that cannot be printed.
//!   [`Upload`]: a range of a [`Content`], which can be sent again.
//! - [`TransportError`] with its [`Cause`] and [`CertificateFault`]: what went wrong, in terms a log can carry.
//! - [`Retry`], [`Patience`], which joins [`Clock`], [`Deadline`] and [`Stop`]: when to try again, how long to wait,
//!   when to give up.
//!
//! # What this crate refuses
//! It never follows a redirect, never decodes a body, never sends what the caller did not put into the request, and
//! speaks plain http to loopback addresses only, and to servers that the caller has named for it. It knows no policy: who
//! may be asked is decided before it.

mod client;
mod clock;
mod error;
mod exchange;
mod proxy;
mod retry;
mod secret;
mod trust;
mod upload;
mod url;

pub use client::{HttpClient, Timeouts};
pub use clock::{Clock, Deadline, Patience, Stop, SystemClock};
pub use error::{Cause, CertificateFault, TransportError};
pub use exchange::{Body, Headers, Method, Request, Response, Transport};
pub use proxy::{ProxyRules, ProxyRulesError};
pub use retry::{Retry, Retryable, parse_retry_after};
pub use secret::{Secret, percent_encoded};
pub use trust::{Trust, TrustError};
pub use upload::{Content, Upload};
pub use url::{Scheme, Url, UrlError};
