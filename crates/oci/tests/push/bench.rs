//! A publisher with a client of its own, which knows nothing from before.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use integrity::OciDigest;
use oci::{
    Artifact, Blob, Client, CredentialHelper, Credentials, HelperError, OciError, Platform, PushOptions, Stored,
    TrustedRealms,
};
use source::OciReference;
use tempfile::NamedTempFile;
use testkit::{Ca, GZIP, Registry, Request};
use transport::{Clock, Deadline, HttpClient, Patience, ProxyRules, Retry, Stop, SystemClock, Timeouts, Trust};

pub(crate) const REPOSITORY: &str = "my-org/hello";

pub(crate) struct Publisher {
    pub(crate) client: Client,
    pub(crate) clock: SystemClock,
    pub(crate) stop: Stop,
    /// The client reads it when it makes its first connection.
    _authority: Option<NamedTempFile>,
}

struct NoHelper;

impl CredentialHelper for NoHelper {
    fn ask(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, HelperError> {
        Ok(None)
    }
}

impl Publisher {
    pub(crate) fn anonymous() -> Self {
        Self::with("{}")
    }

    /// One with the logins of this `config.json`.
    pub(crate) fn with(config: &str) -> Self {
        Self::over(config, &Trust::default(), None)
    }

    pub(crate) fn trusting(ca: &Ca, config: &str) -> Self {
        let mut authority = NamedTempFile::new().expect("a temporary file can be made");
        authority.write_all(ca.pem().as_bytes()).expect("the temporary file can be written");
        let trust = Trust { file: Some(authority.path().to_owned()), ..Trust::default() };
        Self::over(config, &trust, Some(authority))
    }

    fn over(config: &str, trust: &Trust, authority: Option<NamedTempFile>) -> Self {
        let http = HttpClient::new("butler-plugins-tests", trust, ProxyRules::default(), Timeouts::default()).unwrap();
        let credentials = Credentials::parse(config.as_bytes(), Box::new(NoHelper)).expect("a config.json");
        let client = Client::new(Arc::new(http), credentials, TrustedRealms::built_in());
        Self { client, clock: SystemClock::start(), stop: Stop::new(), _authority: authority }
    }

    pub(crate) fn patience(&self) -> Patience<'_> {
        let deadline = Deadline::after(&self.clock as &dyn Clock, Duration::from_mins(1));
        Patience::new(&self.clock, deadline, &self.stop)
    }

    pub(crate) fn push_blob(&self, to: &str, blob: &Blob, options: &PushOptions) -> Result<Stored, OciError> {
        self.client.push_blob(&reference(to), blob, options, self.patience())
    }

    /// All of a push, as a plugin's tarball.
    pub(crate) fn push(&self, to: &str, tarball: &[u8], options: &PushOptions) -> Result<OciDigest, OciError> {
        let config = self.push_blob(to, &Blob::empty_config(), options)?;
        let layer = self.push_blob(to, &layer(tarball), options)?;
        let artifact = Artifact::new(config, layer, Some("package.tgz"), BTreeMap::new());
        self.client.push_manifest(&reference(to), &artifact, self.patience())
    }

    /// The same, with two tries for each act.
    pub(crate) fn push_blob_twice(&self, to: &str, blob: &Blob, options: &PushOptions) -> Result<Stored, OciError> {
        let retry = Retry { tries: 2, first_wait: Duration::ZERO, ..Retry::default() };
        retry.run(self.patience(), &|_, _| (), || self.push_blob(to, blob, options))
    }

    /// The manifest's digest and the layer, as an installer gets them.
    pub(crate) fn pull(&self, from: &str) -> Result<(OciDigest, Vec<u8>), OciError> {
        let (reference, patience) = (reference(from), self.patience());
        let resolved = self.client.resolve(&reference, &Platform::this_machine(), patience)?;
        let mut blob = self.client.open_blob(&reference, &resolved.layers[0], 0, patience)?;
        let bytes = blob.read_to_limit(1 << 24, Duration::from_mins(1), patience).expect("the layer arrives");
        Ok((resolved.manifest, bytes))
    }
}

pub(crate) fn reference(text: &str) -> OciReference {
    OciReference::parse(text).expect("a reference")
}

pub(crate) fn to(registry: &Registry) -> String {
    format!("{}/{REPOSITORY}:1", registry.host())
}

pub(crate) fn layer(bytes: &[u8]) -> Blob {
    Blob::of_bytes(GZIP, bytes.to_vec())
}

pub(crate) fn digest(blob: &Blob) -> String {
    blob.descriptor.digest.to_string()
}

pub(crate) fn chunk(size: u64) -> PushOptions {
    PushOptions { chunk: NonZeroU64::new(size), ..PushOptions::default() }
}

pub(crate) fn mount(from: &str) -> PushOptions {
    PushOptions { mount_from: Some(from.to_owned()), ..PushOptions::default() }
}

/// Bytes in which a wrong offset would show.
pub(crate) fn artifact(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(u32::to_be_bytes).collect()
}

/// The methods of all requests to the registry's API so far, in order. They are forgotten.
pub(crate) fn methods(registry: &Registry) -> String {
    let requests = registry.recorder().requests();
    registry.recorder().clear();
    requests.iter().filter(|request| request.path.starts_with("/v2/")).map(method).collect::<Vec<_>>().join(" ")
}

fn method(request: &Request) -> &str {
    &request.method
}
