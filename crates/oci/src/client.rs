//! The requests of a pull, in order.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use integrity::{Algorithm, OciDigest};
use source::{Authority, OciReference, PluginPath};
use transport::{
    Cause, Clock, Deadline, Request, Response, Scheme, Secret, Transport, TransportError, Url, parse_retry_after,
};

use crate::auth::Realm;
use crate::challenge::Challenge;
use crate::credentials::Credential;
use crate::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Document, OCI_INDEX, OCI_MANIFEST};
use crate::token::TOKEN_LIMIT;
use crate::{Credentials, Descriptor, Failure, Login, OciError, Platform, TrustedRealms, token};

/// Most bytes of a manifest or index.
const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;
/// Longest time for the body of an answer that is read as a whole: a document, a token, an error.
const SMALL_BODY_TIME: Duration = Duration::from_mins(1);
/// Most redirects followed for one request.
const REDIRECT_LIMIT: usize = 5;

/// A client of any number of registries. Tokens are kept for the run.
pub struct Client {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    credentials: Credentials,
    realms: TrustedRealms,
    /// `Authorization` values that worked, by registry and repository.
    sessions: Mutex<HashMap<(Authority, String), Session>>,
    /// Loopback registries found to speak plain http.
    plain: Mutex<HashSet<Authority>>,
}

/// A reference's artifact: what to fetch, and what of it is the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The manifest that describes the artifact.
    pub manifest: OciDigest,
    /// Its only layer.
    pub layer: Descriptor,
    /// The folder that holds the plugin: selected by the reference, or the only one the manifest's annotation names.
    pub plugin_path: Option<PluginPath>,
}

#[derive(Clone)]
struct Session {
    authorization: Option<Secret>,
    login: Login,
}

impl Client {
    /// A client that asks over `transport` and proves itself with `credentials`.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        credentials: Credentials,
        realms: TrustedRealms,
    ) -> Self {
        Self { transport, clock, credentials, realms, sessions: Mutex::default(), plain: Mutex::default() }
    }

    /// Finds the one layer that a reference means; an index is resolved to `platform`, else `linux/amd64`, else its
    /// only entry.
    ///
    /// # Errors
    /// Whatever the registry answers, or a document that is not one artifact with one gzipped layer.
    pub fn resolve(&self, reference: &OciReference, platform: &Platform) -> Result<Resolved, OciError> {
        self.resolve_inner(reference, platform).map_err(|why| OciError::new("resolve the manifest", reference, why))
    }

    /// Opens the layer's blob from byte `offset` on. The answer may be 200 with the whole blob even for an offset:
    /// look at its status. Its bytes are not checked here.
    ///
    /// # Errors
    /// Whatever the registry answers, or a redirect that must not be followed.
    pub fn open_blob(
        &self,
        reference: &OciReference,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Response, OciError> {
        let open = || {
            let target = format!("/v2/{}/blobs/{}", reference.repository(), descriptor.digest);
            let range = (offset > 0).then(|| format!("bytes={offset}-{}", descriptor.size.saturating_sub(1)));
            let headers = range.into_iter().map(|range| ("range", range)).collect();
            self.ask(reference, &target, headers, "blob")
        };
        open().map_err(|why| OciError::new("open the layer", reference, why))
    }

    fn resolve_inner(&self, reference: &OciReference, platform: &Platform) -> Result<Resolved, Failure> {
        let (mut digest, mut document) = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => self.document(reference, &digest.to_string(), Some(*digest))?,
            (None, tag) => self.document(reference, tag.unwrap_or_default(), None)?,
        };
        if let Document::Index(index) = &document {
            let chosen = index.choose(platform)?;
            (digest, document) = self.document(reference, &chosen.to_string(), Some(chosen))?;
        }
        let Document::Manifest(manifest) = document else {
            return Err(Failure::Shape { what: "an index inside an index".to_owned() });
        };
        let plugin_path = match (reference.plugin_path(), manifest.plugins) {
            (Some(path), _) => Some(path.clone()),
            (None, None) => None,
            (None, Some(mut paths)) if paths.len() == 1 => paths.pop(),
            (None, Some(paths)) => {
                return Err(Failure::NoPluginPath { found: paths.iter().map(ToString::to_string).collect() });
            }
        };
        Ok(Resolved { manifest: digest, layer: manifest.layer, plugin_path })
    }

    /// Reads a manifest or index and checks its bytes: against the digest it was asked by, and against the one the
    /// registry names (distribution-spec, "Pulling manifests").
    fn document(
        &self,
        reference: &OciReference,
        by: &str,
        expected: Option<OciDigest>,
    ) -> Result<(OciDigest, Document), Failure> {
        let target = format!("/v2/{}/manifests/{by}", reference.repository());
        let accept = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX].join(", ");
        let what = if expected.is_some() { "manifest" } else { "tag" };
        let mut response = self.ask(reference, &target, vec![("accept", accept)], what)?;
        let bytes = self.read_small(&mut response, MANIFEST_LIMIT).map_err(Failure::Transport)?;
        let named = response.headers().first("docker-content-digest").map(|text| {
            OciDigest::parse(text)
                .map_err(|_| Failure::Shape { what: "a `Docker-Content-Digest` that is none".to_owned() })
        });
        let named = named.transpose()?;
        for promised in expected.into_iter().chain(named) {
            let found = OciDigest::of(promised.algorithm(), &bytes);
            if found != promised {
                return Err(Failure::DigestMismatch { expected: promised, found: found.to_string() });
            }
        }
        let digest = expected.unwrap_or_else(|| OciDigest::of(Algorithm::Sha256, &bytes));
        Ok((digest, Document::parse(&bytes, response.headers().first("content-type"))?))
    }

    /// One request to the registry's API, with whatever it takes to be let in.
    fn ask(
        &self,
        reference: &OciReference,
        target: &str,
        headers: Vec<(&'static str, String)>,
        what: &'static str,
    ) -> Result<Response, Failure> {
        let key = (reference.registry().clone(), reference.repository().to_owned());
        let session = lock(&self.sessions).get(&key).cloned();
        let known = session.clone().unwrap_or(Session { authorization: None, login: Login::None });
        let (request, response) = self.send(reference.registry(), target, headers, known.authorization)?;
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
        let fresh = self.log_in(reference, &request.url, &challenge)?;
        let request = Request { authorization: fresh.authorization.clone(), ..request };
        let response = self.follow(&request)?;
        let login = fresh.login.clone();
        if response.status() != 401 {
            lock(&self.sessions).insert(key, fresh);
        }
        self.judge(response, &request.url, what, login)
    }

    /// Answers a challenge.
    fn log_in(&self, reference: &OciReference, asked: &Url, challenge: &Challenge) -> Result<Session, Failure> {
        let credential = self.credentials.lookup(reference).map_err(Failure::Credentials)?;
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
        let judged = self.realms.judge(&reference.registry().to_string(), asked, &realm).map_err(denied)?;
        let (credential, login) = match (credential, judged) {
            (Some(_), Realm::Foreign) => (None, Login::Withheld { realm: realm.host().to_owned() }),
            (Some(credential), Realm::Trusted) => (Some(credential), Login::Given),
            (None, _) => (None, Login::None),
        };
        let request = token::request(&realm, service, scope.unwrap_or(&own_scope), credential.as_ref())
            .ok_or_else(|| denied("its URL is malformed"))?;
        let mut response = self.transport.send(&request).map_err(Failure::Transport)?;
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
        registry: &Authority,
        target: &str,
        headers: Vec<(&'static str, String)>,
        authorization: Option<Secret>,
    ) -> Result<(Request, Response), Failure> {
        let host = match registry.host() {
            "docker.io" => "registry-1.docker.io".to_owned(),
            _ => registry.to_string(),
        };
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}{target}"))
                .map_err(|error| Failure::malformed_redirect(registry.host(), error))
        };
        let is_plain = registry.is_loopback() && lock(&self.plain).contains(registry);
        let mut request = Request::get(url(if is_plain { "http" } else { "https" })?).authorization(authorization);
        request.headers = headers;
        match self.follow(&request) {
            Err(Failure::Transport(error))
                if registry.is_loopback() && matches!(error.cause(), Cause::NotTls | Cause::Reset) =>
            {
                // Nothing secret goes out in the clear before the registry itself asked for it.
                request = Request { url: url("http")?, authorization: None, ..request };
                match (self.follow(&request), error.cause()) {
                    // Some plain servers hang up on a TLS hello. One that speaks TLS has nothing better than 400, if
                    // anything, to say to plain http: then the connection was cut for another reason.
                    (Err(Failure::Transport(_)), Cause::Reset) => Err(Failure::Transport(error)),
                    (Ok(response), Cause::Reset) if response.status() == 400 => Err(Failure::Transport(error)),
                    (response, _) => {
                        let response = response?;
                        lock(&self.plain).insert(registry.clone());
                        Ok((request, response))
                    }
                }
            }
            other => other.map(|response| (request, response)),
        }
    }

    /// Sends, and follows redirects by hand: https only (loopback http stays possible for a registry spoken to so),
    /// and without `Authorization` as soon as the origin is another.
    fn follow(&self, request: &Request) -> Result<Response, Failure> {
        let mut request = request.clone();
        for _ in 0..=REDIRECT_LIMIT {
            let response = self.transport.send(&request).map_err(Failure::Transport)?;
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
            parse_retry_after(value, self.clock.now())
        };
        match response.status() {
            404 => Failure::NotFound { server, what },
            429 => Failure::RateLimited { server, retry_after: retry_after() },
            status => Failure::Status { server, status, retry_after: retry_after() },
        }
    }

    fn read_small(&self, response: &mut Response, limit: usize) -> Result<Vec<u8>, TransportError> {
        response.read_to_limit(limit, &*self.clock, Deadline::after(&*self.clock, SMALL_BODY_TIME))
    }

    /// Reads a small body to its end so that the connection can serve the next request.
    fn drain(&self, mut response: Response) {
        if response.content_length().is_some_and(|length| length <= TOKEN_LIMIT as u64) {
            // Whatever goes wrong here costs a new connection, nothing else.
            let _ = self.read_small(&mut response, TOKEN_LIMIT);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are whole after every single operation, so a panic elsewhere leaves nothing half-done in them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
