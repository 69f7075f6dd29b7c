//! The way from a permission to hashed bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integrity::{Chain, HashAlgorithm, Hashed, Hashes, OciDigest, Promise};
use oci::{AnswerLimits, Client, Descriptor, Platform, Resolved};
use source::{Allowed, AllowedKind, HttpsUrl, NpmSpec, OciReference, Source, SourcePolicy};
use transport::{Clock, Deadline, Patience, Response, Retry, Retryable as _, Stop, Transport};

use crate::download::Download;
use crate::fetched::Sent;
use crate::located::Place;
use crate::npm::{self, NpmArtifact};
use crate::tarball_url::{self, Rest, Validator};
use crate::{Access, FetchError, Fetched, Located, Netrc, NpmFailure, Npmrc, Server, Spool, TransferFailure};

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

/// Fetches from registries of images, registries of npm, and https servers. One for a run; threads share it.
pub struct Fetcher {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    client: Client,
    policy: SourcePolicy,
    netrc: Netrc,
    npmrc: Npmrc,
    limits: FetchLimits,
    retry: Retry,
    received: AtomicU64,
}

/// Gives empty spools, one for each layer.
pub type Spools<'a> = dyn Fn() -> std::io::Result<Spool> + 'a;

/// What is known about a source that was asked for and not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The manifest's digest, for registries.
    pub manifest: Option<OciDigest>,
    /// The artifact's size in bytes, where the server says it.
    pub size: Option<u64>,
}

/// A client's way to ask what a reference means.
type Resolve = fn(&Client, &OciReference, &Platform, Patience<'_>) -> Result<Resolved, oci::OciError>;

/// A server of single files.
#[derive(Clone, Copy)]
enum FileServer<'a> {
    Https(&'a Allowed<HttpsUrl>),
    Npm(&'a NpmArtifact),
}

impl FileServer<'_> {
    const fn kind(self) -> Server {
        match self {
            Self::Https(_) => Server::Https,
            Self::Npm(_) => Server::Npm,
        }
    }
}

/// What belongs to the bytes of one artifact.
struct Transfer<'a> {
    package: &'a str,
    promise: &'a Promise,
    spools: &'a Spools<'a>,
    patience: Patience<'a>,
    waiting: &'a Waiting<'a>,
    received: &'a AtomicU64,
}

impl<'a> Transfer<'a> {
    fn begin(
        &self,
        server: Server,
        descriptor: Option<&'a Descriptor>,
        limits: &'a FetchLimits,
    ) -> Result<Download<'a>, FetchError> {
        let spool = (self.spools)();
        let spool = spool.map_err(|source| FetchError::Spool { package: self.package.to_owned(), source })?;
        let download =
            Download::into_spool(self.package, server, descriptor, limits, self.promise, self.patience, spool);
        Ok(download.counted_by(self.received))
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
        let client = client.layers(access.layers).registries(access.registries);
        Self {
            transport,
            clock,
            client,
            policy,
            netrc: access.netrc,
            npmrc: access.npmrc,
            limits,
            retry,
            received: AtomicU64::new(0),
        }
    }

    /// Bytes of artifacts that came from servers so far, those of failed tries and of wrong bytes among them.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Asks a registry which artifact a source means; an https source needs no question.
    ///
    /// # Errors
    /// When the artifact cannot be found.
    pub fn locate(&self, source: &Allowed<Source>, stop: &Stop, waiting: &Waiting<'_>) -> Result<Located, FetchError> {
        let started = self.clock.uptime();
        let place = match source.kind() {
            AllowedKind::Https(url) => Place::Https(url),
            AllowedKind::Oci(reference) => self.place(reference, Client::resolve, stop, waiting)?,
            AllowedKind::Npm(spec) => {
                let artifact = self.locate_npm(&spec, self.patience(stop, Duration::ZERO), waiting);
                let package = spec.subject().to_string();
                let artifact = artifact.map_err(|error| self.or_given_up(error, &package))?;
                Place::Npm(package, Box::new(artifact))
            }
            AllowedKind::Git(_) | AllowedKind::Local(_) => return Err(unsupported(source)),
        };
        Ok(Located { place, spent: self.clock.uptime().saturating_sub(started) })
    }

    /// The same for an image that holds no plugin.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn locate_image(
        &self,
        source: &Allowed<Source>,
        stop: &Stop,
        waiting: &Waiting<'_>,
    ) -> Result<Located, FetchError> {
        let AllowedKind::Oci(reference) = source.kind() else { return Err(unsupported(source)) };
        let started = self.clock.uptime();
        let place = self.place(reference, Client::resolve_image, stop, waiting)?;
        Ok(Located { place, spent: self.clock.uptime().saturating_sub(started) })
    }

    fn place(
        &self,
        reference: Allowed<OciReference>,
        resolve: Resolve,
        stop: &Stop,
        waiting: &Waiting<'_>,
    ) -> Result<Place, FetchError> {
        let resolved = self.resolve(reference.subject(), resolve, self.patience(stop, Duration::ZERO), waiting);
        let resolved = resolved.map_err(|error| self.or_given_up(error, &reference.subject().to_string()))?;
        Ok(Place::Oci(reference, Box::new(resolved)))
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
        let spool = std::cell::Cell::new(Some(spool));
        let only = || spool.take().ok_or_else(|| std::io::ErrorKind::StorageFull.into());
        self.fetch_located(self.locate(source, stop, waiting)?, &Promise::Registry, &only, stop, waiting)
    }

    /// The same for a source that was located before, with as many spools as it has layers. The bytes are hashed as the
    /// promise asks for.
    ///
    /// # Errors
    /// Like [`fetch`](Self::fetch).
    pub fn fetch_located(
        &self,
        located: Located,
        promise: &Promise,
        spools: &Spools<'_>,
        stop: &Stop,
        waiting: &Waiting<'_>,
    ) -> Result<Fetched, FetchError> {
        let origin = located.origin();
        let Located { place, spent } = located;
        let patience = self.patience(stop, spent);
        let received = &self.received;
        let mut sent = Sent::Artifact;
        let (package, fetched) = match place {
            Place::Oci(reference, resolved) => {
                let package = reference.subject().to_string();
                let transfer = Transfer { package: &package, promise, spools, patience, waiting, received };
                let fetched = self.pull(&transfer, reference.subject(), &resolved);
                (package, fetched)
            }
            Place::Https(url) => {
                let package = url.subject().to_string();
                let transfer = Transfer { package: &package, promise, spools, patience, waiting, received };
                let fetched =
                    self.download(&transfer, FileServer::Https(&url), &mut sent).map(|lowest| (lowest, Vec::new()));
                (package, fetched)
            }
            Place::Npm(package, artifact) => {
                let transfer = Transfer { package: &package, promise, spools, patience, waiting, received };
                let fetched = self.download(&transfer, FileServer::Npm(&artifact), &mut sent);
                let fetched = fetched.and_then(|hashed| as_published(&package, &artifact, hashed));
                (package, fetched.map(|lowest| (lowest, Vec::new())))
            }
        };
        let (lowest, above) = fetched.map_err(|error| self.or_given_up(error, &package))?;
        Ok(Fetched { lowest, above, origin, sent })
    }

    /// Asks whether a source is there and may be read.
    ///
    /// # Errors
    /// Like [`fetch`](Self::fetch), up to the point where bytes would come.
    pub fn probe(&self, source: &Allowed<Source>, stop: &Stop) -> Result<Probe, FetchError> {
        let patience = self.patience(stop, Duration::ZERO);
        let probe = match source.kind() {
            AllowedKind::Oci(reference) => self
                .resolve(reference.subject(), Client::resolve, patience, &|_, _| ())
                .map(|resolved| Probe { manifest: Some(resolved.manifest), size: Some(resolved.size()) }),
            AllowedKind::Https(url) => self.probe_file(FileServer::Https(&url), patience),
            AllowedKind::Npm(spec) => self
                .locate_npm(&spec, patience, &|_, _| ())
                .and_then(|artifact| self.probe_file(FileServer::Npm(&artifact), patience)),
            AllowedKind::Git(_) | AllowedKind::Local(_) => Err(unsupported(source)),
        };
        probe.map_err(|error| self.or_given_up(error, &source.subject().to_string()))
    }

    fn probe_file(&self, server: FileServer<'_>, patience: Patience<'_>) -> Result<Probe, FetchError> {
        let opened = self.retry.run(patience, &|_, _| (), || self.open(server, None, patience));
        opened.map(|response| Probe { manifest: None, size: response.content_length() })
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
        transfer: &Transfer<'_>,
        reference: &OciReference,
        resolved: &Resolved,
    ) -> Result<(Hashed<Spool>, Vec<Hashed<Spool>>), FetchError> {
        let package = transfer.package;
        let several = || FetchError::SeveralLayers { package: package.to_owned(), count: resolved.layers.len() };
        if let (Promise::Hashes(_), [_, _, ..]) = (transfer.promise, &*resolved.layers) {
            return Err(several());
        }
        let mut spent = 0;
        let mut layers = resolved.layers.iter().map(|layer| {
            let limits =
                FetchLimits { artifact_bytes: self.limits.artifact_bytes.saturating_sub(spent), ..self.limits };
            spent = spent.saturating_add(layer.size);
            let mut download = transfer.begin(Server::Registry, Some(layer), &limits)?;
            self.retry.run(transfer.patience, transfer.waiting, || {
                let opened = self.client.open_blob(reference, layer, download.offset(), transfer.patience);
                download.take(opened.map_err(FetchError::Oci)?).map_err(|error| self.conceal(package, error))
            })
        });
        let lowest = layers.next().ok_or_else(several)??;
        Ok((lowest, layers.collect::<Result<_, _>>()?))
    }

    fn resolve(
        &self,
        reference: &OciReference,
        resolve: Resolve,
        patience: Patience<'_>,
        waiting: &Waiting<'_>,
    ) -> Result<Resolved, FetchError> {
        self.retry.run(patience, waiting, || {
            resolve(&self.client, reference, &Platform::this_machine(), patience).map_err(FetchError::Oci)
        })
    }

    fn download(
        &self,
        transfer: &Transfer<'_>,
        server: FileServer<'_>,
        sent: &mut Sent,
    ) -> Result<Hashed<Spool>, FetchError> {
        let mut download = transfer.begin(server.kind(), None, &self.limits)?;
        let mut validator = None;
        self.retry.run(transfer.patience, transfer.waiting, || {
            let response = self.open_missing(server, &mut download, validator.as_ref(), transfer.patience)?;
            if response.status() == 200 {
                validator = Validator::of(response.headers());
                *sent = Sent::by(response.headers().first("content-type"));
            }
            download.take(response).map_err(|error| self.conceal(transfer.package, error))
        })
    }

    /// Opens what is still missing of a file, or all of it where the server does not say that it is the same file.
    fn open_missing(
        &self,
        server: FileServer<'_>,
        download: &mut Download<'_>,
        validator: Option<&Validator>,
        patience: Patience<'_>,
    ) -> Result<Response, FetchError> {
        if let Some(validator) = validator.filter(|_| download.offset() > 0) {
            let rest = Rest { offset: download.offset(), validator };
            let response = self.open(server, Some(&rest), patience)?;
            if rest.is_answered_by(&response) {
                return Ok(response);
            }
        }
        download.start_over()?;
        self.open(server, None, patience)
    }

    fn open(
        &self,
        server: FileServer<'_>,
        rest: Option<&Rest<'_>>,
        patience: Patience<'_>,
    ) -> Result<Response, FetchError> {
        match server {
            FileServer::Https(url) => {
                tarball_url::open(&*self.transport, &self.policy, &self.netrc, url, rest, patience)
                    .map_err(|source| FetchError::Https { url: url.subject().to_string(), source })
                    .map_err(|error| self.conceal(&url.subject().to_string(), error))
            }
            FileServer::Npm(artifact) => npm::open(&*self.transport, &self.npmrc, artifact, rest, patience)
                .map_err(|source| self.npm_error(artifact.name.as_str(), source)),
        }
    }

    fn locate_npm(
        &self,
        spec: &Allowed<NpmSpec>,
        patience: Patience<'_>,
        waiting: &Waiting<'_>,
    ) -> Result<NpmArtifact, FetchError> {
        self.retry.run(patience, waiting, || {
            npm::locate(&*self.transport, &self.npmrc, spec, patience)
                .map_err(|source| self.npm_error(&spec.subject().to_string(), source))
        })
    }

    fn npm_error(&self, package: &str, source: NpmFailure) -> FetchError {
        self.conceal(package, FetchError::Npm { package: package.to_owned(), source })
    }

    /// Whatever a server put into its answer, nothing that is to be kept from a log is repeated.
    fn conceal(&self, package: &str, error: FetchError) -> FetchError {
        let text = Chain(&error).to_string();
        let is_quoted = self.netrc.is_quoted_in(&text) || self.npmrc.is_quoted_in(&text);
        if !is_quoted && !self.client.is_quoted_in(&text) {
            return error;
        }
        let (reason, cause, is_transient) = (error.reason(), error.cause(), error.is_transient());
        FetchError::Concealed { package: package.to_owned(), reason, cause, is_transient }
    }
}

/// Compares a tarball with what its registry says of it, as npm does. Nobody pinned that.
fn as_published(package: &str, artifact: &NpmArtifact, hashed: Hashed<Spool>) -> Result<Hashed<Spool>, FetchError> {
    let published = artifact.integrity.as_deref().and_then(|text| Hashes::parse(text).ok());
    let Some(published) = published.filter(|published| published.algorithm() == HashAlgorithm::Sha512) else {
        return Ok(hashed);
    };
    let found = hashed.integrity().to_string();
    let expected = published.to_string();
    if hashed.clone().keeps(&Promise::Hashes(published), None).is_ok() {
        return Ok(hashed);
    }
    let source = TransferFailure::Digest { expected, found };
    Err(FetchError::Transfer { package: package.to_owned(), server: Server::Npm, source })
}

/// A kind that cannot be fetched.
fn unsupported(source: &Allowed<Source>) -> FetchError {
    FetchError::Unsupported { package: source.subject().to_string() }
}
