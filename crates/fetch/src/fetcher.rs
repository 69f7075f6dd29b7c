//! The way from a permission to hashed bytes.

use std::sync::Arc;
use std::time::Duration;

use integrity::{Chain, Hashed, Integrity, Mismatch, OciDigest, Promise, Verified};
use oci::{AnswerLimits, Client, Platform, Resolved};
use source::{Allowed, AllowedKind, HttpsUrl, OciReference, PluginPath, Source, SourcePolicy};
use transport::{Clock, Deadline, Patience, Response, Retry, Retryable as _, Stop, Transport};

use crate::download::Download;
use crate::tarball_url::{self, Rest, Validator};
use crate::{Access, FetchError, Netrc, Spool};

/// What an artifact may ask of us.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// Most bytes of an artifact, compressed.
    pub artifact_bytes: u64,
    /// Most bytes of what registries answer besides.
    pub answers: AnswerLimits,
    /// Longest time for one plugin, all tries together.
    pub plugin_time: Duration,
    /// Slowest transfer, measured over [`stall_time`](Self::stall_time).
    pub stall_bytes_per_second: u64,
    /// How long a transfer may be slower than that.
    pub stall_time: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            artifact_bytes: 512 * 1024 * 1024,
            answers: AnswerLimits::default(),
            plugin_time: Duration::from_mins(15),
            stall_bytes_per_second: 1024,
            stall_time: Duration::from_secs(30),
        }
    }
}

/// Told a failure that is followed by another try, and the wait before that.
pub type Waiting<'a> = dyn Fn(&FetchError, Duration) + 'a;

/// Fetches from registries and https servers. One for a run; threads share it.
pub struct Fetcher {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    client: Client,
    policy: SourcePolicy,
    netrc: Netrc,
    limits: FetchLimits,
    retry: Retry,
}

/// An artifact's bytes, hashed and not readable, and what a registry said about them.
///
/// ```compile_fail,E0616
/// fn peek(fetched: fetch::Fetched) -> integrity::Hashed<fetch::Spool> {
///     fetched.hashed
/// }
/// ```
///
/// ```
/// fn prove(
///     fetched: fetch::Fetched,
///     promise: &integrity::Promise,
/// ) -> Result<integrity::Verified<fetch::Spool>, integrity::Mismatch> {
///     fetched.verify(promise)
/// }
/// ```
#[must_use = "fetched bytes prove nothing until they are verified"]
#[derive(Debug)]
pub struct Fetched {
    hashed: Hashed<Spool>,
    origin: Origin,
}

/// What a registry said about an artifact; an https server says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The digest of what the reference leads to: the manifest, or the index that names it for each platform.
    pub named: Option<OciDigest>,
    /// The digest of the manifest that led to it.
    pub manifest: Option<OciDigest>,
    /// The digest by which the manifest names the bytes.
    pub layer: Option<OciDigest>,
    /// The folder of the image that holds the plugin; `None` where the tarball is the plugin.
    pub plugin_path: Option<PluginPath>,
}

/// An allowed source whose artifact is known by its digest, where it comes from a registry.
#[derive(Debug, Clone)]
pub struct Located {
    place: Place,
    /// Of the plugin's time.
    spent: Duration,
}

#[derive(Debug, Clone)]
enum Place {
    Oci(Allowed<OciReference>, Box<Resolved>),
    Https(Allowed<HttpsUrl>),
}

/// A kind that cannot be fetched yet.
fn unsupported(source: &Allowed<Source>) -> FetchError {
    FetchError::Unsupported { package: source.subject().to_string() }
}

impl Located {
    /// The artifact's size in bytes, which only registries tell beforehand.
    pub const fn size(&self) -> Option<u64> {
        match &self.place {
            Place::Oci(_, resolved) => Some(resolved.layer.size),
            Place::Https(_) => None,
        }
    }
}

/// What is known about a source that was asked for and not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The manifest's digest, for registries.
    pub manifest: Option<OciDigest>,
    /// The artifact's size in bytes, where the server says it.
    pub size: Option<u64>,
}

impl Fetched {
    /// Compares the bytes with what was promised.
    ///
    /// # Errors
    /// [`Mismatch`], and the bytes are gone.
    pub fn verify(self, promise: &Promise) -> Result<Verified<Spool>, Mismatch> {
        self.hashed.keeps(promise, self.origin.layer.as_ref())
    }

    /// The sha512 of the bytes that came, as one would pin it. It is no proof that they are the wanted ones.
    pub const fn integrity(&self) -> Integrity {
        self.hashed.integrity()
    }

    /// What a registry said about the artifact.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many bytes came.
    pub const fn len(&self) -> u64 {
        self.hashed.len()
    }

    /// Whether the artifact is empty.
    pub const fn is_empty(&self) -> bool {
        self.hashed.is_empty()
    }
}

impl Fetcher {
    /// A fetcher over `transport`. `policy` judges the redirects of https sources.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        policy: SourcePolicy,
        access: Access,
        limits: FetchLimits,
        retry: Retry,
    ) -> Self {
        let client = Client::new(Arc::clone(&transport), access.credentials, access.realms).limits(limits.answers);
        Self { transport, clock, client, policy, netrc: access.netrc, limits, retry }
    }

    /// Asks a registry which artifact a source means; an https source needs no question.
    ///
    /// # Errors
    /// When the artifact cannot be found.
    pub fn locate(&self, source: &Allowed<Source>, stop: &Stop, waiting: &Waiting<'_>) -> Result<Located, FetchError> {
        let started = self.clock.uptime();
        let place = match source.kind() {
            AllowedKind::Https(url) => Place::Https(url),
            AllowedKind::Oci(reference) => {
                let resolved = self.resolve(reference.subject(), self.patience(stop, Duration::ZERO), waiting);
                let package = reference.subject().to_string();
                Place::Oci(reference, Box::new(resolved.map_err(|error| self.or_given_up(error, &package))?))
            }
            AllowedKind::Npm(_) | AllowedKind::Git(_) | AllowedKind::Local(_) => return Err(unsupported(source)),
        };
        Ok(Located { place, spent: self.clock.uptime().saturating_sub(started) })
    }

    /// Fetches an artifact into an empty spool, trying again where that may help. `waiting` is told each failure that
    /// is followed by another try, and the wait before that.
    ///
    /// # Errors
    /// When the bytes cannot be had, or are not those that the registry's descriptor promises.
    pub fn fetch(
        &self,
        source: &Allowed<Source>,
        spool: Spool,
        stop: &Stop,
        waiting: &Waiting<'_>,
    ) -> Result<Fetched, FetchError> {
        self.fetch_located(self.locate(source, stop, waiting)?, spool, stop, waiting)
    }

    /// The same for a source that was located before.
    ///
    /// # Errors
    /// Like [`fetch`](Self::fetch).
    pub fn fetch_located(
        &self,
        located: Located,
        spool: Spool,
        stop: &Stop,
        waiting: &Waiting<'_>,
    ) -> Result<Fetched, FetchError> {
        let Located { place, spent } = located;
        let patience = self.patience(stop, spent);
        let (package, fetched) = match place {
            Place::Oci(reference, resolved) => {
                let package = reference.subject().to_string();
                let fetched = self.pull(&package, reference.subject(), *resolved, spool, patience, waiting);
                (package, fetched)
            }
            Place::Https(url) => {
                let package = url.subject().to_string();
                let fetched = self.download(&package, &url, spool, patience, waiting);
                (package, fetched)
            }
        };
        fetched.map_err(|error| self.or_given_up(error, &package))
    }

    /// Asks whether a source is there and may be read.
    ///
    /// # Errors
    /// Like [`fetch`](Self::fetch), up to the point where bytes would come.
    pub fn probe(&self, source: &Allowed<Source>, stop: &Stop) -> Result<Probe, FetchError> {
        let patience = self.patience(stop, Duration::ZERO);
        let probe = match source.kind() {
            AllowedKind::Oci(reference) => self
                .resolve(reference.subject(), patience, &|_, _| ())
                .map(|resolved| Probe { manifest: Some(resolved.manifest), size: Some(resolved.layer.size) }),
            AllowedKind::Https(url) => {
                let opened = self.retry.run(patience, &|_, _| (), || self.open(&url, None, patience));
                opened.map(|response| Probe { manifest: None, size: response.content_length() })
            }
            AllowedKind::Npm(_) | AllowedKind::Git(_) | AllowedKind::Local(_) => Err(unsupported(source)),
        };
        probe.map_err(|error| self.or_given_up(error, &source.subject().to_string()))
    }

    /// For what is left of a plugin's time.
    fn patience<'a>(&'a self, stop: &'a Stop, spent: Duration) -> Patience<'a> {
        let left = self.limits.plugin_time.saturating_sub(spent);
        Patience::new(&*self.clock, Deadline::after(&*self.clock, left), stop)
    }

    fn or_given_up(&self, error: FetchError, package: &str) -> FetchError {
        error.or_given_up(package, self.limits.plugin_time)
    }

    fn pull(
        &self,
        package: &str,
        reference: &OciReference,
        resolved: Resolved,
        spool: Spool,
        patience: Patience<'_>,
        waiting: &Waiting<'_>,
    ) -> Result<Fetched, FetchError> {
        let layer = &resolved.layer;
        let mut download = Download::into_spool(package, Some(layer), &self.limits, patience, spool);
        let hashed = self.retry.run(patience, waiting, || {
            let blob = self.client.open_blob(reference, layer, download.offset(), patience).map_err(FetchError::Oci)?;
            download.take(blob).map_err(|error| self.conceal(package, error))
        })?;
        let (named, manifest, layer) = (Some(resolved.named), Some(resolved.manifest), Some(layer.digest));
        let origin = Origin { named, manifest, layer, plugin_path: resolved.plugin_path };
        Ok(Fetched { hashed, origin })
    }

    fn resolve(
        &self,
        reference: &OciReference,
        patience: Patience<'_>,
        waiting: &Waiting<'_>,
    ) -> Result<Resolved, FetchError> {
        self.retry.run(patience, waiting, || {
            self.client.resolve(reference, &Platform::this_machine(), patience).map_err(FetchError::Oci)
        })
    }

    fn download(
        &self,
        package: &str,
        url: &Allowed<HttpsUrl>,
        spool: Spool,
        patience: Patience<'_>,
        waiting: &Waiting<'_>,
    ) -> Result<Fetched, FetchError> {
        let mut download = Download::into_spool(package, None, &self.limits, patience, spool);
        let mut validator = None;
        let hashed = self.retry.run(patience, waiting, || {
            let response = self.open_missing(url, &mut download, validator.as_ref(), patience)?;
            if response.status() == 200 {
                validator = Validator::of(response.headers());
            }
            download.take(response).map_err(|error| self.conceal(package, error))
        })?;
        Ok(Fetched { hashed, origin: Origin::default() })
    }

    /// Opens what is still missing of a file, or all of it where the server does not say that it is the same file.
    fn open_missing(
        &self,
        url: &Allowed<HttpsUrl>,
        download: &mut Download<'_>,
        validator: Option<&Validator>,
        patience: Patience<'_>,
    ) -> Result<Response, FetchError> {
        if let Some(validator) = validator.filter(|_| download.offset() > 0) {
            let rest = Rest { offset: download.offset(), validator };
            let response = self.open(url, Some(&rest), patience)?;
            if rest.is_answered_by(&response) {
                return Ok(response);
            }
        }
        download.start_over()?;
        self.open(url, None, patience)
    }

    fn open(
        &self,
        url: &Allowed<HttpsUrl>,
        rest: Option<&Rest<'_>>,
        patience: Patience<'_>,
    ) -> Result<Response, FetchError> {
        tarball_url::open(&*self.transport, &self.policy, &self.netrc, url, rest, patience)
            .map_err(|source| FetchError::Https { url: url.subject().to_string(), source })
            .map_err(|error| self.conceal(&url.subject().to_string(), error))
    }

    /// Whatever a server put into its answer, nothing that is to be kept from a log is repeated.
    fn conceal(&self, package: &str, error: FetchError) -> FetchError {
        let text = Chain(&error).to_string();
        if !self.netrc.is_quoted_in(&text) && !self.client.is_quoted_in(&text) {
            return error;
        }
        let (reason, cause, is_transient) = (error.reason(), error.cause(), error.is_transient());
        FetchError::Concealed { package: package.to_owned(), reason, cause, is_transient }
    }
}
