//! Opens an https source: every hop is shown to the policy.

use source::{Allowed, HttpsUrl, SourcePolicy};
use transport::{Clock, Request, Response, Transport, Url, parse_retry_after};

use crate::{HttpsFailure, Netrc};

/// Most redirects followed for one request.
const REDIRECT_LIMIT: usize = 5;

/// Asks for the tarball from byte `offset` on.
pub(crate) fn open(
    transport: &dyn Transport,
    clock: &dyn Clock,
    policy: &SourcePolicy,
    netrc: &Netrc,
    source: &Allowed<HttpsUrl>,
    offset: u64,
) -> Result<Response, HttpsFailure> {
    let mut hop = source.clone();
    for _ in 0..=REDIRECT_LIMIT {
        let server = hop.subject().authority().to_string();
        let denied = |why: String| HttpsFailure::RedirectDenied { server: server.clone(), why };
        let url = Url::parse(&hop.subject().with_query()).map_err(|error| denied(error.to_string()))?;
        let authorization = netrc.authorization(&url);
        let with_credentials = authorization.is_some();
        let mut request = Request::get(url.clone()).authorization(authorization);
        if offset > 0 {
            request = request.header("range", format!("bytes={offset}-"));
        }
        let response = transport.send(&request).map_err(HttpsFailure::Transport)?;
        match response.status() {
            200 | 206 => return Ok(response),
            301 | 302 | 303 | 307 | 308 => {}
            status => {
                let wait = response.headers().first("retry-after");
                let retry_after = wait.and_then(|value| parse_retry_after(value, clock.now()));
                return Err(HttpsFailure::Status { server, status, retry_after, with_credentials });
            }
        }
        let location = response.headers().first("location").ok_or_else(|| denied("it names no location".to_owned()))?;
        let next = url.join(location).map_err(|error| denied(error.to_string()))?;
        let next = HttpsUrl::parse(&next.with_query()).map_err(|fault| denied(fault.to_string()))?;
        hop = policy.admit_hop(next).map_err(|source| HttpsFailure::NotAllowed { server: server.clone(), source })?;
    }
    let server = hop.subject().authority().to_string();
    Err(HttpsFailure::RedirectDenied { server, why: format!("more than {REDIRECT_LIMIT} redirects") })
}
