//! A client, its logins, and the requests of a pull, in order.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use integrity::{Algorithm, Chain, OciDigest};
use source::{Authority, OciReference, PluginPath};
use transport::{Patience, Request, Response, Secret, Transport};

use crate::conversation::{Conversation, Redirects, Session, lock};
use crate::error::Act;
use crate::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Document, OCI_INDEX, OCI_MANIFEST};
use crate::registries::Place;
use crate::scope::Scope;
use crate::turn::Turn;
use crate::{
    Answered, Credentials, Descriptor, Failure, Layers, Login, OciError, Platform, Registries, TrustedRealms,
    plugin_folders,
};

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
    layers: Layers,
    registries: Registries,
    /// Which of several places has answered for a reference.
    answered: Mutex<HashMap<OciReference, Place>>,
    /// `Authorization` values that were not refused, by registry and what for.
    pub(crate) sessions: Mutex<HashMap<Errand, Session>>,
    /// Held by whoever gets a new one of them.
    pub(crate) turns: Mutex<HashMap<Errand, Arc<Turn>>>,
    /// What was shown to a registry or came from a token server.
    pub(crate) given: Mutex<Vec<Secret>>,
    /// Registries found to speak plain http, of those that may.
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
    /// Its layers, the lowest first; at least one.
    pub layers: Vec<Descriptor>,
    /// The folder that holds the plugin: selected by the reference, or the only one the manifest's annotation names.
    pub plugin_path: Option<PluginPath>,
    /// Where all this was found.
    pub answered: Answered,
}

/// What a reference is asked for.
#[derive(Clone, Copy)]
enum Wanted {
    Plugin,
    Image,
}

impl Resolved {
    /// The bytes of all layers together, compressed.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl Client {
    /// A client that asks over `transport` and proves itself with `credentials`.
    pub fn new(transport: Arc<dyn Transport>, credentials: Credentials, realms: TrustedRealms) -> Self {
        let (limits, layers, registries, answered) = Default::default();
        let (sessions, turns, given, plain, tls) = Default::default();
        Self {
            transport,
            credentials,
            realms,
            limits,
            layers,
            registries,
            answered,
            sessions,
            turns,
            given,
            plain,
            tls,
        }
    }

    /// The same, with other limits than the customary ones.
    #[must_use]
    pub fn limits(self, limits: AnswerLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same, for artifacts of so many layers; one unless said otherwise.
    #[must_use]
    pub fn layers(self, layers: Layers) -> Self {
        Self { layers, ..self }
    }

    /// The same, asking for artifacts where `registries` say. What is pushed goes where its reference says.
    #[must_use]
    pub fn registries(self, registries: Registries) -> Self {
        Self { registries, ..self }
    }

    /// Finds the layers that a reference means; an index is resolved to `platform`, else `linux/amd64`, else its only
    /// entry. Of several places, the next one is asked where one does not have it; its blobs then come from the place
    /// that has.
    ///
    /// # Errors
    /// Whatever the registry answers, or a document that is not one artifact of gzipped layers; and the end of patience.
    pub fn resolve(
        &self,
        reference: &OciReference,
        platform: &Platform,
        patience: Patience<'_>,
    ) -> Result<Resolved, OciError> {
        self.resolve_as(Wanted::Plugin, reference, platform, patience)
    }

    /// The same for an image that is no plugin: no folder of it is chosen, and none has to be named.
    ///
    /// # Errors
    /// Like [`resolve`](Self::resolve).
    pub fn resolve_image(
        &self,
        reference: &OciReference,
        platform: &Platform,
        patience: Patience<'_>,
    ) -> Result<Resolved, OciError> {
        self.resolve_as(Wanted::Image, reference, platform, patience)
    }

    fn resolve_as(
        &self,
        wanted: Wanted,
        reference: &OciReference,
        platform: &Platform,
        patience: Patience<'_>,
    ) -> Result<Resolved, OciError> {
        let places = self.registries.places(reference).map_err(|why| self.error(Act::Resolve, reference, why))?;
        let blocked = || self.error(Act::Resolve, reference, Failure::Blocked);
        let (last, others) = places.split_last().ok_or_else(blocked)?;
        let resolve_at = |place: &Place| {
            let conversation = Conversation::pull(self, place, patience);
            let resolved = resolve(&conversation, place, wanted, reference, platform)?;
            lock(&self.answered).insert(reference.clone(), place.clone());
            Ok(resolved)
        };
        let mut missed = Vec::new();
        for place in others {
            match resolve_at(place) {
                Err(why) if Failure::may_be_missing_there(&why) => missed.push((place.reference.to_string(), why)),
                decided => return decided.map_err(|why| self.error_at(Act::Resolve, reference, place, why)),
            }
        }
        resolve_at(last).map_err(|why| {
            let why = if missed.is_empty() { why } else { Failure::nowhere(&missed, last.reference.to_string(), why) };
            self.error_at(Act::Resolve, reference, last, why)
        })
    }

    /// The place that has answered for a reference, or the last one that would be asked.
    fn place_of(&self, reference: &OciReference) -> Result<Place, Failure> {
        if let Some(place) = lock(&self.answered).get(reference) {
            return Ok(place.clone());
        }
        self.registries.places(reference)?.pop().ok_or(Failure::Blocked)
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
        let place = self.place_of(reference).map_err(|why| self.error(Act::OpenLayer, reference, why))?;
        open_blob(&Conversation::pull(self, &place, patience), descriptor, offset)
            .map_err(|why| self.error_at(Act::OpenLayer, reference, &place, why))
    }

    /// Asks whether the registry takes the credentials that are there for it; one that wants none takes anybody.
    ///
    /// # Errors
    /// When it does not, or when the credentials must not be shown to its token server; whatever else it answers; and
    /// the end of patience.
    pub fn log_in(&self, registry: &Authority, patience: Patience<'_>) -> Result<(), OciError> {
        log_in(&Conversation { client: self, registry, is_insecure: false, scope: Scope::Registry, patience })
            .map_err(|why| OciError::about_registry(Act::LogIn, registry, self.conceal(why)))
    }

    pub(crate) fn error(&self, act: Act, reference: &OciReference, why: Failure) -> OciError {
        self.error_of(act, reference, reference.registry(), why)
    }

    fn error_at(&self, act: Act, reference: &OciReference, place: &Place, why: Failure) -> OciError {
        self.error_of(act, reference, place.reference.registry(), why)
    }

    fn error_of(&self, act: Act, reference: &OciReference, registry: &Authority, why: Failure) -> OciError {
        OciError::new(act, reference, registry, self.conceal(why)).looked_up_in(&self.credentials, registry)
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
    place: &Place,
    wanted: Wanted,
    reference: &OciReference,
    platform: &Platform,
) -> Result<Resolved, Failure> {
    let (layers, mut plugins) = (conversation.client.layers, None);
    let (named, mut document) = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => read_document(conversation, &digest.to_string(), Some(*digest))?,
        (None, tag) => read_document(conversation, tag.unwrap_or_default(), None)?,
    };
    let mut digest = named;
    if let Document::Index(index) = document {
        let chosen = index.choose(platform)?;
        plugins = index.plugins.filter(|_| layers == Layers::Several);
        (digest, document) = read_document(conversation, &chosen.to_string(), Some(chosen))?;
    }
    let Document::Manifest(manifest) = document else {
        return Err(Failure::Shape { what: "an index inside an index".to_owned() });
    };
    let plugins = manifest.plugins.or(plugins);
    let kind = manifest.layers.first().map(|layer| layer.kind);
    let plugin_path = match wanted {
        Wanted::Plugin => plugin_folders::choose(reference, plugins.as_deref(), kind, layers)?,
        Wanted::Image => None,
    };
    Ok(Resolved { named, manifest: digest, layers: manifest.layers, plugin_path, answered: place.answered.clone() })
}

fn read_document(
    conversation: &Conversation<'_>,
    by: &str,
    expected: Option<OciDigest>,
) -> Result<(OciDigest, Document), Failure> {
    let (digest, bytes, content_type) = read_bytes(conversation, by, expected)?;
    Ok((digest, Document::parse(&bytes, content_type.as_deref(), conversation.client.layers)?))
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
