//! One act's requests to a registry: being let in, and where redirects may lead.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use source::OciReference;
use transport::{Cause, Patience, Request, Response, Scheme, Secret, TransportError, Url, parse_retry_after};

use crate::auth::Realm;
use crate::challenge::Challenge;
use crate::credentials::Credential;
use crate::docker_hub::{DOCKER_HUB, DOCKER_HUB_API, one_name};
use crate::token::TOKEN_LIMIT;
use crate::{Client, Failure, Login, token};

/// Longest time for the body of an answer that is read as a whole: a document, a token, an error.
const SMALL_BODY_TIME: Duration = Duration::from_mins(1);
/// Most redirects followed for one request.
const REDIRECT_LIMIT: usize = 5;

/// What one act asks of one registry.
pub(crate) struct Conversation<'a> {
    pub(crate) client: &'a Client,
    pub(crate) reference: &'a OciReference,
    pub(crate) patience: Patience<'a>,
}

/// Where a registry may send us for what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// To another of its own paths: manifests say which blobs are the artifact's.
    SameOrigin,
    /// To any https server: blobs lie in object storage, and their digests are known beforehand.
    AnyHttps,
}

/// What a registry wants to see for a repository, and as whom one is known there.
#[derive(Clone)]
pub(crate) struct Session {
    authorization: Option<Secret>,
    login: Login,
}

impl Conversation<'_> {
    /// One request to the registry's API, with whatever it takes to be let in. `what` it asks for is told when there
    /// is none.
    pub(crate) fn ask(
        &self,
        target: &str,
        headers: Vec<(&'static str, String)>,
        what: &'static str,
        redirects: Redirects,
    ) -> Result<Response, Failure> {
        let (client, reference) = (self.client, self.reference);
        let key = (reference.registry().clone(), reference.repository().to_owned());
        let known = lock(&client.sessions).get(&key).cloned();
        let known = known.unwrap_or(Session { authorization: None, login: Login::None });
        let (request, response) = self.send(target, headers, known.authorization, redirects)?;
        if response.status() != 401 {
            return self.judge(response, &request.url, what, known.login);
        }
        let server = response.url().authority();
        if response.url().origin() != request.url.origin() {
            return Err(Failure::Unauthorized { server, login: Login::Redirected });
        }
        let Some(challenge) = Challenge::choose(response.headers().all("www-authenticate")) else {
            return Err(Failure::Unauthorized { server, login: known.login });
        };
        self.drain(response);
        let fresh = self.log_in(&request.url, &challenge)?;
        let request = Request { authorization: fresh.authorization.clone(), ..request };
        let response = self.follow(&request, redirects)?;
        let login = fresh.login.clone();
        if response.status() != 401 {
            lock(&client.sessions).insert(key, fresh);
        }
        self.judge(response, &request.url, what, login)
    }

    /// Answers a challenge.
    fn log_in(&self, asked: &Url, challenge: &Challenge) -> Result<Session, Failure> {
        let reference = self.reference;
        // A credential helper takes its time, too.
        self.patience.check(asked).map_err(Failure::Transport)?;
        let credential = self.client.credentials.lookup(reference).map_err(Failure::Credentials)?;
        let (realm, service, scope) = match challenge {
            Challenge::Basic => {
                let authorization = credential.as_ref().and_then(token::basic);
                if authorization.is_none() {
                    return Err(Failure::Unauthorized { server: asked.authority(), login: Login::None });
                }
                return Ok(Session { authorization, login: Login::Given });
            }
            Challenge::Bearer { realm, service, scope } => (realm, service.as_deref(), scope.as_deref()),
        };
        if let Some(Credential::Bearer(token)) = &credential {
            return Ok(Session { authorization: token::bearer(token.expose()), login: Login::Given });
        }
        let own_scope = format!("repository:{}:pull", reference.repository());
        let denied = |why| Failure::RealmDenied { realm: source::redact(realm), why };
        let realm = asked.join(realm).map_err(|_| denied("it is not an https URL"))?;
        let denied = |why| Failure::RealmDenied { realm: realm.to_string(), why };
        let judged = self.client.realms.judge(&reference.registry().to_string(), asked, &realm).map_err(denied)?;
        let (credential, login) = match (credential, judged) {
            (Some(_), Realm::Foreign) => (None, Login::Withheld { realm: realm.host().to_owned() }),
            (Some(credential), Realm::Trusted) => (Some(credential), Login::Given),
            (None, _) => (None, Login::None),
        };
        let request = token::request(&realm, service, scope.unwrap_or(&own_scope), credential.as_ref())
            .ok_or_else(|| denied("its URL is malformed"))?;
        let mut response = self.exchange(&request)?;
        if (300..400).contains(&response.status()) {
            return Err(Failure::RedirectDenied {
                server: realm.authority(),
                why: "a token server must answer itself".to_owned(),
            });
        }
        if matches!(response.status(), 401 | 403) {
            return Err(Failure::Unauthorized { server: realm.authority(), login });
        }
        if response.status() != 200 {
            return Err(self.status_failure(&response, "token"));
        }
        let json = self.read_small(&mut response, TOKEN_LIMIT).map_err(Failure::Transport)?;
        Ok(Session { authorization: Some(token::parse(&json)?), login })
    }

    /// Sends to the registry's API, over https; to loopback over http where it turns out to speak no TLS.
    fn send(
        &self,
        target: &str,
        headers: Vec<(&'static str, String)>,
        authorization: Option<Secret>,
        redirects: Redirects,
    ) -> Result<(Request, Response), Failure> {
        let registry = self.reference.registry();
        let written = registry.to_string();
        let host = match one_name(&written) {
            DOCKER_HUB => DOCKER_HUB_API,
            other => other,
        };
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}{target}"))
                .map_err(|error| Failure::malformed_redirect(registry.host(), error))
        };
        let is_plain = registry.is_loopback() && lock(&self.client.plain).contains(registry);
        let mut request = Request::get(url(if is_plain { "http" } else { "https" })?).authorization(authorization);
        request.headers = headers;
        match self.follow(&request, redirects) {
            Err(Failure::Transport(error))
                if registry.is_loopback() && matches!(error.cause(), Cause::NotTls | Cause::Reset) =>
            {
                // Nothing secret goes out in the clear before the registry itself asked for it.
                request = Request { url: url("http")?, authorization: None, ..request };
                match (self.follow(&request, redirects), error.cause()) {
                    // Some plain servers hang up on a TLS hello. One that speaks TLS has nothing better than 400, if
                    // anything, to say to plain http: then the connection was cut for another reason.
                    (Err(Failure::Transport(_)), Cause::Reset) => Err(Failure::Transport(error)),
                    (Ok(response), Cause::Reset) if response.status() == 400 => Err(Failure::Transport(error)),
                    (response, _) => {
                        let response = response?;
                        lock(&self.client.plain).insert(registry.clone());
                        Ok((request, response))
                    }
                }
            }
            other => other.map(|response| (request, response)),
        }
    }

    /// Sends, and follows redirects by hand: https only (loopback http stays possible for a registry spoken to so),
    /// and without `Authorization` as soon as the origin is another.
    fn follow(&self, request: &Request, redirects: Redirects) -> Result<Response, Failure> {
        let mut request = request.clone();
        for _ in 0..=REDIRECT_LIMIT {
            let response = self.exchange(&request)?;
            if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let server = request.url.authority();
            let denied = |why: &str| Failure::RedirectDenied { server: server.clone(), why: why.to_owned() };
            let location = response.headers().first("location").ok_or_else(|| denied("it names no location"))?;
            let next = request.url.join(location).map_err(|error| Failure::malformed_redirect(&server, error))?;
            if next.scheme() == Scheme::Http && request.url.scheme() == Scheme::Https {
                return Err(denied("it leads from https to http"));
            }
            if next.origin() != request.url.origin() {
                if redirects == Redirects::SameOrigin {
                    return Err(denied("a manifest comes from the registry itself"));
                }
                request.authorization = None;
            }
            self.drain(response);
            request.url = next;
        }
        Err(Failure::RedirectDenied {
            server: request.url.authority(),
            why: format!("more than {REDIRECT_LIMIT} redirects"),
        })
    }

    fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        self.patience.send(&*self.client.transport, request).map_err(Failure::Transport)
    }

    fn judge(&self, response: Response, asked: &Url, what: &'static str, login: Login) -> Result<Response, Failure> {
        let server = response.url().authority();
        let login = if response.url().origin() == asked.origin() { login } else { Login::Redirected };
        match response.status() {
            200 | 206 => Ok(response),
            401 => Err(Failure::Unauthorized { server, login }),
            403 => Err(Failure::Forbidden { server, login }),
            _ => Err(self.status_failure(&response, what)),
        }
    }

    fn status_failure(&self, response: &Response, what: &'static str) -> Failure {
        let server = response.url().authority();
        let retry_after = || {
            let value = response.headers().first("retry-after")?;
            parse_retry_after(value, self.patience.clock().now())
        };
        match response.status() {
            status @ (404 | 410) => Failure::NotFound { server, status, what },
            429 => Failure::RateLimited { server, retry_after: retry_after() },
            status => Failure::Status { server, status, retry_after: retry_after() },
        }
    }

    /// Reads the body of an answer that is needed as a whole.
    pub(crate) fn read_small(&self, response: &mut Response, limit: usize) -> Result<Vec<u8>, TransportError> {
        response.read_to_limit(limit, SMALL_BODY_TIME, self.patience)
    }

    /// Reads a small body to its end so that the connection can serve the next request.
    fn drain(&self, mut response: Response) {
        if response.content_length().is_some_and(|length| length <= TOKEN_LIMIT as u64) {
            // Whatever goes wrong here costs a new connection, nothing else.
            let _ = self.read_small(&mut response, TOKEN_LIMIT);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are whole after every single operation, so a panic elsewhere leaves nothing half-done in them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
