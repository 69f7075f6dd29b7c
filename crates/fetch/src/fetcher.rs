//! The way from a permission to hashed bytes.

use std::sync::Arc;
use std::time::Duration;

use integrity::{Hashed, Integrity, Mismatch, OciDigest, Verified};
use oci::{Client, Credentials, Platform, TrustedRealms};
use source::{Allowed, AllowedKind, HttpsUrl, OciReference, PluginPath, Source, SourcePolicy};
use transport::{Clock, Deadline, Retry, Stop, Transport};

use crate::download::Download;
use crate::{FetchError, Netrc, Spool, tarball_url};

/// What an artifact may ask of us.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// Most bytes of an artifact, compressed.
    pub artifact_bytes: u64,
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
            plugin_time: Duration::from_mins(15),
            stall_bytes_per_second: 1024,
            stall_time: Duration::from_secs(30),
        }
    }
}

/// Who one is to servers.
#[derive(Debug)]
pub struct Access {
    /// Logins of registries.
    pub credentials: Credentials,
    /// Token servers that may see them.
    pub realms: TrustedRealms,
    /// Logins of https servers.
    pub netrc: Netrc,
}

impl Access {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self { credentials: Credentials::none(), realms: TrustedRealms::built_in(), netrc: Netrc::none() }
    }
}

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
#[must_use = "fetched bytes prove nothing until they are verified"]
#[derive(Debug)]
pub struct Fetched {
    hashed: Hashed<Spool>,
    origin: Origin,
}

/// What a registry said about an artifact; an https server says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The digest of the manifest that led to it.
    pub manifest: Option<OciDigest>,
    /// The folder of the image that holds the plugin; `None` where the tarball is the plugin.
    pub plugin_path: Option<PluginPath>,
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
    /// Compares the bytes with what the operator pinned.
    ///
    /// # Errors
    /// [`Mismatch`], and the bytes are gone.
    pub fn verify(self, pinned: &Integrity) -> Result<Verified<Spool>, Mismatch> {
        self.hashed.verify(pinned)
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
        let client = Client::new(Arc::clone(&transport), Arc::clone(&clock), access.credentials, access.realms);
        Self { transport, clock, client, policy, netrc: access.netrc, limits, retry }
    }

    /// Fetches an artifact into an empty spool, trying again where that may help.
    ///
    /// # Errors
    /// When the bytes cannot be had, or are not those that the registry's descriptor promises.
    pub fn fetch(&self, source: &Allowed<Source>, spool: Spool, stop: &Stop) -> Result<Fetched, FetchError> {
        let package = source.subject().to_string();
        let deadline = Deadline::after(&*self.clock, self.limits.plugin_time);
        match source.kind() {
            AllowedKind::Oci(reference) => self.pull(&package, reference.subject(), spool, deadline, stop),
            AllowedKind::Https(url) => self.download(&package, &url, spool, deadline, stop),
        }
    }

    /// Asks whether a source is there and may be read.
    ///
    /// # Errors
    /// Like [`fetch`](Self::fetch), up to the point where bytes would come.
    pub fn probe(&self, source: &Allowed<Source>, stop: &Stop) -> Result<Probe, FetchError> {
        let deadline = Deadline::after(&*self.clock, self.limits.plugin_time);
        match source.kind() {
            AllowedKind::Oci(reference) => {
                let resolved = self.retry.run(&*self.clock, deadline, stop, || {
                    self.client.resolve(reference.subject(), &Platform::this_machine()).map_err(FetchError::Oci)
                })?;
                Ok(Probe { manifest: Some(resolved.manifest), size: Some(resolved.layer.size) })
            }
            AllowedKind::Https(url) => {
                let response = self.retry.run(&*self.clock, deadline, stop, || self.open(&url, 0))?;
                Ok(Probe { manifest: None, size: response.content_length() })
            }
        }
    }

    fn pull(
        &self,
        package: &str,
        reference: &OciReference,
        spool: Spool,
        deadline: Deadline,
        stop: &Stop,
    ) -> Result<Fetched, FetchError> {
        let resolved = self.retry.run(&*self.clock, deadline, stop, || {
            self.client.resolve(reference, &Platform::this_machine()).map_err(FetchError::Oci)
        })?;
        let layer = Some(&resolved.layer);
        let mut download = Download::into_spool(package, layer, &self.limits, &*self.clock, deadline, stop, spool);
        let hashed = self.retry.run(&*self.clock, deadline, stop, || {
            let blob = self.client.open_blob(reference, &resolved.layer, download.offset()).map_err(FetchError::Oci)?;
            download.take(blob)
        })?;
        let origin = Origin { manifest: Some(resolved.manifest), plugin_path: resolved.plugin_path };
        Ok(Fetched { hashed, origin })
    }

    fn download(
        &self,
        package: &str,
        url: &Allowed<HttpsUrl>,
        spool: Spool,
        deadline: Deadline,
        stop: &Stop,
    ) -> Result<Fetched, FetchError> {
        let mut download = Download::into_spool(package, None, &self.limits, &*self.clock, deadline, stop, spool);
        let hashed = self.retry.run(&*self.clock, deadline, stop, || {
            let body = self.open(url, download.offset())?;
            download.take(body)
        })?;
        Ok(Fetched { hashed, origin: Origin::default() })
    }

    fn open(&self, url: &Allowed<HttpsUrl>, offset: u64) -> Result<transport::Response, FetchError> {
        tarball_url::open(&*self.transport, &*self.clock, &self.policy, &self.netrc, url, offset)
            .map_err(|source| FetchError::Https { url: url.subject().to_string(), source })
    }
}
