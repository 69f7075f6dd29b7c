//! One act's requests to a registry: being let in, and where redirects may lead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use source::{Authority, OciReference};
use transport::{Cause, Method, Patience, Request, Response, Scheme, Secret, TransportError, Url, parse_retry_after};

use crate::auth::Realm;
use crate::challenge::Challenge;
use crate::client::Errand;
use crate::credentials::Credential;
use crate::docker_hub::{DOCKER_HUB, DOCKER_HUB_API, one_name};
use crate::registries::Place;
use crate::scope::Scope;
use crate::{Client, Failure, Login, token, words};

/// Longest time for the body of an answer that is read as a whole: a document, a token, an error.
const SMALL_BODY_TIME: Duration = Duration::from_mins(1);
/// Longest time for what an answer says about its failure, which is good to know and no more.
const REASONS_TIME: Duration = Duration::from_secs(5);
/// Most redirects followed for one request.
const REDIRECT_LIMIT: usize = 5;

/// What one act asks of one registry.
pub(crate) struct Conversation<'a> {
    pub(crate) client: &'a Client,
    pub(crate) registry: &'a Authority,
    /// Whether the operator lets it be spoken to over plain http.
    pub(crate) is_insecure: bool,
    pub(crate) scope: Scope,
    pub(crate) patience: Patience<'a>,
}

/// Where a registry may send us for what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// To another of its own paths: manifests say which blobs are the artifact's.
    SameOrigin,
    /// To any https server: blobs lie in object storage, and their digests are known beforehand.
    AnyHttps,
    /// Nowhere: what is written goes to the registry itself.
    None,
}

/// What a registry wants to see for a repository, and as whom one is known there.
#[derive(Clone)]
pub(crate) struct Session {
    authorization: Option<Secret>,
    login: Login,
}

impl<'a> Conversation<'a> {
    /// About reading the place's repository.
    pub(crate) fn pull(client: &'a Client, place: &'a Place, patience: Patience<'a>) -> Self {
        let scope = Scope::Pull { repository: place.reference.repository().to_owned() };
        Self { client, registry: place.reference.registry(), is_insecure: place.is_insecure, scope, patience }
    }

    /// About writing to the reference's repository, and taking blobs over from another one.
    pub(crate) fn push(
        client: &'a Client,
        reference: &'a OciReference,
        mount_from: Option<&str>,
        patience: Patience<'a>,
    ) -> Self {
        let (repository, mount_from) = (reference.repository().to_owned(), mount_from.map(str::to_owned));
        let scope = Scope::Push { repository, mount_from };
        Self { client, registry: reference.registry(), is_insecure: false, scope, patience }
    }

    /// A place of the registry's API.
    pub(crate) fn api(&self, rest: &str) -> Result<Url, Failure> {
        let is_plain = self.may_be_plain() && lock(&self.client.plain).contains(self.registry);
        self.url_by(if is_plain { "http" } else { "https" }, &format!("/v2/{rest}"))
    }

    /// A place of the repository in it, such as `manifests/latest`.
    pub(crate) fn url(&self, rest: &str) -> Result<Url, Failure> {
        self.api(&format!("{}/{rest}", self.scope.repository()))
    }

    /// One request to the registry's API, with whatever it takes to be let in. `what` it asks for is told when there
    /// is none.
    pub(crate) fn ask(&self, request: Request, what: &'static str, redirects: Redirects) -> Result<Response, Failure> {
        self.introduce(request, what, redirects).map(|(response, _)| response)
    }

    /// The same, and as whom one was let in.
    pub(crate) fn introduce(
        &self,
        request: Request,
        what: &'static str,
        redirects: Redirects,
    ) -> Result<(Response, Login), Failure> {
        let key = (self.registry.clone(), self.scope.clone());
        let known = lock(&self.client.sessions).get(&key).cloned();
        // The same registry may have been spoken to over https as well.
        let known = known.filter(|_| !request.url.is_in_the_clear());
        let known = known.unwrap_or(Session { authorization: None, login: Login::None });
        let (request, response) = self.send(request.authorization(known.authorization), redirects)?;
        if request.url.is_in_the_clear() {
            return self.judge(response, &request, what, Login::InTheClear);
        }
        if response.status() != 401 {
            return self.judge(response, &request, what, known.login);
        }
        let is_own = response.url().origin() == request.url.origin();
        let challenge = Challenge::choose(response.headers().all("www-authenticate")).filter(|_| is_own);
        let Some(challenge) = challenge else { return self.judge(response, &request, what, known.login) };
        self.drain(response);
        let Session { authorization, login } = self.renew(&key, &request, &challenge)?;
        let request = request.authorization(authorization);
        let response = self.follow(&request, redirects)?;
        if response.status() == 401 {
            lock(&self.client.sessions).remove(&key);
        }
        self.judge(response, &request, what, login)
    }

    /// Gets what stands for the `Authorization` that `refused` had. Who asks for the same at the same time waits, and
    /// shares the answer.
    fn renew(&self, key: &Errand, refused: &Request, challenge: &Challenge) -> Result<Session, Failure> {
        let turn = Arc::clone(lock(&self.client.turns).entry(key.clone()).or_default());
        let _one_at_a_time = turn.take(self.patience, &refused.url).map_err(Failure::Transport)?;
        let known = lock(&self.client.sessions).get(key).cloned();
        if let Some(other) = known.filter(|known| known.authorization != refused.authorization) {
            return Ok(other);
        }
        let fresh = self.log_in(&refused.url, challenge)?;
        // Kept before it is used: whoever tries again after a broken connection has no need for another one.
        lock(&self.client.sessions).insert(key.clone(), fresh.clone());
        Ok(fresh)
    }

    /// Answers a challenge.
    fn log_in(&self, asked: &Url, challenge: &Challenge) -> Result<Session, Failure> {
        // A credential helper takes its time, too.
        self.patience.check(asked).map_err(Failure::Transport)?;
        let credential = self.client.credentials.lookup(self.registry, self.scope.repository());
        let credential = credential.map_err(Failure::Credentials)?;
        self.remember(credential.as_ref().map(Credential::secrets).unwrap_or_default());
        let (realm, service, scope) = match challenge {
            Challenge::Basic => {
                let authorization = credential.as_ref().and_then(token::basic);
                if authorization.is_none() {
                    return Err(Failure::Unauthorized { server: asked.authority(), login: Login::None, said: None });
                }
                return Ok(Session { authorization, login: Login::Given });
            }
            Challenge::Bearer { realm, service, scope } => (realm, service.as_deref(), scope.as_deref()),
        };
        if let Some(Credential::Bearer(token)) = &credential {
            return Ok(Session { authorization: token::bearer(token.expose()), login: Login::Given });
        }
        let denied = |why| Failure::RealmDenied { realm: words::shown(&source::redact(realm)), why };
        let realm = asked.join(realm).map_err(|_| denied("it is not an https URL"))?;
        let denied = |why| Failure::RealmDenied { realm: words::shown(&realm.to_string()), why };
        let judged = self.client.realms.judge(&self.registry.to_string(), asked, &realm).map_err(denied)?;
        let (credential, login) = match (credential, judged) {
            (Some(_), Realm::Foreign) => (None, Login::Withheld { realm: realm.host().to_owned() }),
            (Some(credential), Realm::Trusted) => (Some(credential), Login::Given),
            (None, _) => (None, Login::None),
        };
        let request = token::request(&realm, service, &self.scope.asked(scope), credential.as_ref())
            .ok_or_else(|| denied("its URL is malformed"))?;
        let mut response = self.exchange(&request)?;
        if (300..400).contains(&response.status()) {
            return Err(Failure::RedirectDenied {
                server: realm.authority(),
                why: "a token server must answer itself".to_owned(),
            });
        }
        if matches!(response.status(), 401 | 403) {
            return Err(Failure::Unauthorized { server: realm.authority(), login, said: None });
        }
        if response.status() != 200 {
            // Its body is not looked at: tokens are made there.
            return Err(self.status_failure(&response, "token", login, None));
        }
        let limit = self.client.limits.token_bytes;
        let json = self.read_small(&mut response, limit).map_err(Failure::Transport)?;
        let token = token::parse(&json, response.headers().first("content-type"))?;
        self.remember(words::secrets(&token));
        Ok(Session { authorization: Some(token), login })
    }

    fn remember(&self, secrets: Vec<Secret>) {
        let mut given = lock(&self.client.given);
        for secret in secrets {
            if !given.contains(&secret) {
                given.push(secret);
            }
        }
    }

    fn may_be_plain(&self) -> bool {
        self.is_insecure || self.registry.is_loopback()
    }

    /// Sends to the registry's API, over https; over http where it may be and turns out to speak no TLS. What only reads
    /// is asked both ways at once the first time on loopback, as a registry there may be the near end of a long way.
    fn send(&self, request: Request, redirects: Redirects) -> Result<(Request, Response), Failure> {
        let is_known = || lock(&self.client.tls).contains(self.registry);
        if !self.may_be_plain() || request.url.scheme() != Scheme::Https || is_known() {
            return self.follow(&request, redirects).map(|response| (request, response));
        }
        // Nothing secret goes out in the clear before the registry itself asked for it.
        let plain = self.url_by("http", request.url.target())?;
        let plain = Request { url: plain, authorization: None, ..request.clone() };
        let (over_tls, in_clear) = thread::scope(|scope| {
            let reads = matches!(request.method, Method::Get | Method::Head);
            let ask = || self.follow(&plain, redirects);
            let asked = (reads && self.registry.is_loopback())
                .then(|| thread::Builder::new().spawn_scoped(scope, ask).ok())
                .flatten();
            let over_tls = self.follow(&request, redirects);
            (over_tls, asked.and_then(|asked| asked.join().ok()))
        });
        let error = match over_tls {
            Err(Failure::Transport(error)) if matches!(error.cause(), Cause::NotTls | Cause::Reset) => error,
            // Where no port is written, those of https and http differ.
            Err(Failure::Transport(error)) if self.is_insecure && error.cause() == Cause::Connect => error,
            Ok(response) => {
                lock(&self.client.tls).insert(self.registry.clone());
                return Ok((request, response));
            }
            Err(other) => return Err(other),
        };
        match (in_clear.unwrap_or_else(|| self.follow(&plain, redirects)), error.cause()) {
            // Some plain servers hang up on a TLS hello. One that speaks TLS has nothing better than 400, if
            // anything, to say to plain http: then the connection was cut for another reason.
            (Err(Failure::Transport(_)), Cause::Reset | Cause::Connect) => Err(Failure::Transport(error)),
            (Ok(response), Cause::Reset) if response.status() == 400 => Err(Failure::Transport(error)),
            (response, _) => {
                let response = response?;
                lock(&self.client.plain).insert(self.registry.clone());
                Ok((plain, response))
            }
        }
    }

    fn url_by(&self, scheme: &str, target: &str) -> Result<Url, Failure> {
        let written = self.registry.to_string();
        let host = match one_name(&written) {
            DOCKER_HUB => DOCKER_HUB_API,
            other => other,
        };
        let url = format!("{scheme}://{host}{target}");
        let url = if self.is_insecure { Url::parse_in_the_clear(&url) } else { Url::parse(&url) };
        url.map_err(|error| Failure::malformed_redirect(self.registry.host(), error))
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
            if redirects == Redirects::None {
                return Err(denied("what is written goes to the registry itself"));
            }
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

    fn judge(
        &self,
        mut response: Response,
        asked: &Request,
        what: &'static str,
        login: Login,
    ) -> Result<(Response, Login), Failure> {
        let writes = !matches!(asked.method, Method::Get | Method::Head);
        let asks_for_part = asked.headers.iter().any(|(name, _)| *name == "range");
        let is_wanted = match response.status() {
            200 => true,
            201..=204 => writes,
            206 => asks_for_part,
            _ => false,
        };
        if is_wanted {
            return Ok((response, login));
        }
        let said = response.read_to_limit(self.client.limits.token_bytes, REASONS_TIME, self.patience).ok();
        let said = said.and_then(|json| words::reasons(&json, asked.authorization.as_ref()));
        let server = response.url().authority();
        let login = if response.url().origin() == asked.url.origin() { login } else { Login::Redirected };
        Err(match response.status() {
            401 => Failure::Unauthorized { server, login, said },
            403 => Failure::Forbidden { server, login, said },
            _ => self.status_failure(&response, what, login, said),
        })
    }

    fn status_failure(&self, response: &Response, what: &'static str, login: Login, said: Option<String>) -> Failure {
        let server = response.url().authority();
        let retry_after = || {
            let value = response.headers().first("retry-after")?;
            parse_retry_after(value, self.patience.clock().now())
        };
        match response.status() {
            status @ (404 | 410) => Failure::NotFound { server, status, what, login, said },
            429 => Failure::RateLimited { server, retry_after: retry_after(), said },
            status => Failure::Status { server, status, retry_after: retry_after(), said },
        }
    }

    /// Reads the body of an answer that is needed as a whole.
    pub(crate) fn read_small(&self, response: &mut Response, limit: usize) -> Result<Vec<u8>, TransportError> {
        response.read_to_limit(limit, SMALL_BODY_TIME, self.patience)
    }

    /// Reads a small body to its end so that the connection can serve the next request.
    pub(crate) fn drain(&self, mut response: Response) {
        let limit = self.client.limits.token_bytes;
        if response.content_length().is_some_and(|length| length <= limit as u64) {
            // Whatever goes wrong here costs a new connection, nothing else.
            let _ = self.read_small(&mut response, limit);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are whole after every single operation, so a panic elsewhere leaves nothing half-done in them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
