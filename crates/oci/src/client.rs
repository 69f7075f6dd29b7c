//! A client, its logins, and the requests of a pull, in order.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use integrity::{Algorithm, Chain, OciDigest};
use source::{Authority, OciReference, PluginPath};
use transport::{Patience, Request, Response, Secret, Transport};

use crate::conversation::{Conversation, Redirects, Session, lock};
use crate::error::Act;
use crate::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Document, OCI_INDEX, OCI_MANIFEST};
use crate::scope::Scope;
use crate::turn::Turn;
use crate::{Credentials, Descriptor, Failure, Login, OciError, Platform, TrustedRealms, words};

/// What registries may answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Most bytes of a manifest or index.
    pub manifest_bytes: usize,
    /// Most bytes of a token answer, and of any answer that is only looked at for its status.
    pub token_bytes: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self { manifest_bytes: 4 * 1024 * 1024, token_bytes: 64 * 1024 }
    }
}

/// A registry, and what one may want there.
pub(crate) type Errand = (Authority, Scope);

/// A client of any number of registries. Tokens are kept for the run.
pub struct Client {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credentials: Credentials,
    pub(crate) realms: TrustedRealms,
    pub(crate) limits: AnswerLimits,
    /// `Authorization` values that were not refused, by registry and what for.
    pub(crate) sessions: Mutex<HashMap<Errand, Session>>,
    /// Held by whoever gets a new one of them.
    pub(crate) turns: Mutex<HashMap<Errand, Arc<Turn>>>,
    /// What was shown to a registry or came from a token server.
    pub(crate) given: Mutex<Vec<Secret>>,
    /// Loopback registries found to speak plain http.
    pub(crate) plain: Mutex<HashSet<Authority>>,
    /// Those found to speak TLS.
    pub(crate) tls: Mutex<HashSet<Authority>>,
}

/// A reference's artifact: what to fetch, and what of it is the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What the reference leads to: the manifest, or the index that names it.
    pub named: OciDigest,
    /// The manifest that describes the artifact.
    pub manifest: OciDigest,
    /// Its only layer.
    pub layer: Descriptor,
    /// The folder that holds the plugin: selected by the reference, or the only one the manifest's annotation names.
    pub plugin_path: Option<PluginPath>,
}

impl Client {
    /// A client that asks over `transport` and proves itself with `credentials`.
    pub fn new(transport: Arc<dyn Transport>, credentials: Credentials, realms: TrustedRealms) -> Self {
        let limits = AnswerLimits::default();
        let (sessions, turns, given, plain, tls) = Default::default();
        Self { transport, credentials, realms, limits, sessions, turns, given, plain, tls }
    }

    /// The same, with other limits than the customary ones.
    #[must_use]
    pub fn limits(self, limits: AnswerLimits) -> Self {
        Self { limits, ..self }
    }

    /// Finds the one layer that a reference means; an index is resolved to `platform`, else `linux/amd64`, else its
    /// only entry.
    ///
    /// # Errors
    /// Whatever the registry answers, or a document that is not one artifact with one gzipped layer; and the end of
    /// patience.
    pub fn resolve(
        &self,
        reference: &OciReference,
        platform: &Platform,
        patience: Patience<'_>,
    ) -> Result<Resolved, OciError> {
        resolve(&Conversation::pull(self, reference, patience), reference, platform)
            .map_err(|why| self.error(Act::Resolve, reference, why))
    }

    /// Opens the layer's blob from byte `offset` on. The answer may be 200 with the whole blob even for an offset, as a
    /// registry that has no such part is asked for the whole: look at its status. Its bytes are not checked here.
    ///
    /// # Errors
    /// Whatever the registry answers, or a redirect that must not be followed; and the end of patience.
    pub fn open_blob(
        &self,
        reference: &OciReference,
        descriptor: &Descriptor,
        offset: u64,
        patience: Patience<'_>,
    ) -> Result<Response, OciError> {
        open_blob(&Conversation::pull(self, reference, patience), descriptor, offset)
            .map_err(|why| self.error(Act::OpenLayer, reference, why))
    }

    /// Asks whether the registry takes the credentials that are there for it; one that wants none takes anybody.
    ///
    /// # Errors
    /// When it does not, or when the credentials must not be shown to its token server; whatever else it answers; and
    /// the end of patience.
    pub fn log_in(&self, registry: &Authority, patience: Patience<'_>) -> Result<(), OciError> {
        log_in(&Conversation { client: self, registry, scope: Scope::Registry, patience })
            .map_err(|why| OciError::about_registry(Act::LogIn, registry, self.conceal(why)))
    }

    pub(crate) fn error(&self, act: Act, reference: &OciReference, why: Failure) -> OciError {
        OciError::new(act, reference, self.conceal(why))
    }

    /// Whether a text repeats a login that was shown to a registry, or a token.
    pub fn is_quoted_in(&self, text: &str) -> bool {
        lock(&self.given).iter().any(|secret| secret.is_repeated_in(text))
    }

    /// Whatever a registry put into its answer, nothing that is to be kept from a log is repeated.
    fn conceal(&self, why: Failure) -> Failure {
        if self.is_quoted_in(&Chain(&why).to_string()) {
            return Failure::Concealed { code: why.code(), is_transient: why.is_transient() };
        }
        why
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

fn log_in(conversation: &Conversation<'_>) -> Result<(), Failure> {
    let base = Request::get(conversation.api("")?);
    match conversation.introduce(base, "registry API", Redirects::SameOrigin)? {
        (response, login @ Login::Withheld { .. }) => {
            Err(Failure::Unauthorized { server: response.url().authority(), login, said: None })
        }
        (response, _) => {
            conversation.drain(response);
            Ok(())
        }
    }
}

fn open_blob(conversation: &Conversation<'_>, layer: &Descriptor, offset: u64) -> Result<Response, Failure> {
    let whole = Request::get(conversation.url(&format!("blobs/{}", layer.digest))?);
    if offset > 0 {
        let rest = whole.clone().header("range", format!("bytes={offset}-{}", layer.size.saturating_sub(1)));
        match conversation.ask(rest, "blob", Redirects::AnyHttps) {
            // It has no such part, or gives another one: the whole is still to be had.
            Err(Failure::Status { status: 416, .. }) => {}
            Ok(response) if response.status() == 206 && !response.is_rest_from(offset) => {
                conversation.drain(response);
            }
            answered => return answered,
        }
    }
    conversation.ask(whole, "blob", Redirects::AnyHttps)
}

fn resolve(
    conversation: &Conversation<'_>,
    reference: &OciReference,
    platform: &Platform,
) -> Result<Resolved, Failure> {
    let (named, mut document) = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => read_document(conversation, &digest.to_string(), Some(*digest))?,
        (None, tag) => read_document(conversation, tag.unwrap_or_default(), None)?,
    };
    let mut digest = named;
    if let Document::Index(index) = &document {
        let chosen = index.choose(platform)?;
        (digest, document) = read_document(conversation, &chosen.to_string(), Some(chosen))?;
    }
    let Document::Manifest(manifest) = document else {
        return Err(Failure::Shape { what: "an index inside an index".to_owned() });
    };
    let plugin_path = match (reference.plugin_path(), manifest.plugins) {
        (Some(path), _) => Some(path.clone()),
        (None, None) => None,
        (None, Some(mut paths)) if paths.len() == 1 => paths.pop(),
        (None, Some(paths)) => {
            return Err(Failure::NoPluginPath { count: paths.len(), found: words::list(&paths) });
        }
    };
    Ok(Resolved { named, manifest: digest, layer: manifest.layer, plugin_path })
}

fn read_document(
    conversation: &Conversation<'_>,
    by: &str,
    expected: Option<OciDigest>,
) -> Result<(OciDigest, Document), Failure> {
    let (digest, bytes, content_type) = read_bytes(conversation, by, expected)?;
    Ok((digest, Document::parse(&bytes, content_type.as_deref())?))
}

/// Reads a manifest or index and checks its bytes: against the digest it was asked by, and against the one the
/// registry names (distribution-spec, "Pulling manifests").
pub(crate) fn read_bytes(
    conversation: &Conversation<'_>,
    by: &str,
    expected: Option<OciDigest>,
) -> Result<(OciDigest, Vec<u8>, Option<String>), Failure> {
    let request = document_request(conversation, by)?;
    let what = if expected.is_some() { "manifest" } else { "tag" };
    let mut response = conversation.ask(request, what, Redirects::SameOrigin)?;
    let limit = conversation.client.limits.manifest_bytes;
    let bytes = conversation.read_small(&mut response, limit).map_err(Failure::Transport)?;
    for promised in expected.into_iter().chain(named_digest(&response)?) {
        let found = OciDigest::of(promised.algorithm(), &bytes);
        if found != promised {
            return Err(Failure::DigestMismatch { expected: promised, found: found.to_string() });
        }
    }
    let digest = expected.unwrap_or_else(|| OciDigest::of(Algorithm::Sha256, &bytes));
    Ok((digest, bytes, response.headers().first("content-type").map(str::to_owned)))
}

/// The request for whatever a tag or digest names.
pub(crate) fn document_request(conversation: &Conversation<'_>, by: &str) -> Result<Request, Failure> {
    let accept = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX].join(", ");
    Ok(Request::get(conversation.url(&format!("manifests/{by}"))?).header("accept", accept))
}

/// The digest by which the registry calls what it answers.
pub(crate) fn named_digest(response: &Response) -> Result<Option<OciDigest>, Failure> {
    let named = response.headers().first("docker-content-digest").map(OciDigest::parse).transpose();
    named.map_err(|_| Failure::Shape { what: "a `Docker-Content-Digest` that is none".to_owned() })
}
