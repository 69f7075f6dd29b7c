//! Names that lead to registries in this process, and a client of them that knows nothing from before.

use std::collections::HashMap;
use std::io::{self, Read, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::{
    Client, CredentialHelper, Credentials, HelperError, Layers, OciError, Platform, Registries, Resolved, TrustedRealms,
};
use source::OciReference;
use tempfile::NamedTempFile;
use testkit::{Ca, Registry};
use transport::{
    Clock, Deadline, HttpClient, Patience, ProxyRules, Request, Response, Stop, SystemClock, Timeouts, Transport,
    TransportError, Trust, Url,
};

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

/// A few names, and all that was asked of any of them.
pub(crate) struct Site {
    pub(crate) ca: Ca,
    names: Arc<Names>,
    _authority: NamedTempFile,
}

struct Names {
    http: HttpClient,
    /// Loopback address by origin, such as `https://quay.io`.
    known: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<Request>>,
}

struct NoHelper;

impl CredentialHelper for NoHelper {
    fn ask(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, HelperError> {
        Ok(None)
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        let ca = Ca::new();
        let mut authority = NamedTempFile::new().unwrap();
        authority.write_all(ca.pem().as_bytes()).unwrap();
        let trust = Trust { file: Some(authority.path().to_owned()), ..Trust::default() };
        let http = HttpClient::new("butler-plugins-tests", &trust, ProxyRules::default(), Timeouts::default()).unwrap();
        let names = Arc::new(Names { http, known: Mutex::default(), asked: Mutex::default() });
        Self { ca, names, _authority: authority }
    }

    /// An open registry over TLS under this name.
    pub(crate) fn registry(&self, name: &str) -> Registry {
        let registry = Registry::builder().tls(&self.ca).start();
        self.lead(&format!("https://{name}"), &registry);
        registry
    }

    pub(crate) fn lead(&self, origin: &str, registry: &Registry) {
        self.names.known.lock().unwrap().insert(origin.to_owned(), registry.host().to_owned());
    }

    pub(crate) fn client(&self, registries: &str) -> Client {
        self.client_with(Registries::none().and(registries).unwrap(), "{}")
    }

    pub(crate) fn client_with(&self, registries: Registries, config: &str) -> Client {
        let credentials = Credentials::parse(config.as_bytes(), Box::new(NoHelper)).unwrap();
        let transport = Arc::clone(&self.names) as Arc<dyn Transport>;
        Client::new(transport, credentials, TrustedRealms::built_in()).layers(Layers::Several).registries(registries)
    }

    /// What was asked since the last look: origin and path, one each.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.url.to_string()).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.names.asked.lock().unwrap())
    }
}

impl Transport for Names {
    fn send(&self, request: &Request, within: Duration) -> Result<Response, TransportError> {
        self.asked.lock().unwrap().push(request.clone());
        let known = self.known.lock().unwrap().get(&request.url.origin()).cloned();
        let scheme = request.url.origin().split_once("://").unwrap().0.to_owned();
        let address = known.unwrap_or_else(|| NOWHERE.to_owned());
        let url = Url::parse(&format!("{scheme}://{address}{}", request.url.target())).unwrap();
        let response = self.http.send(&Request { url, ..request.clone() }, within)?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Response::new(request.url.clone(), status, headers, Box::new(Rest(response))))
    }
}

struct Rest(Response);

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(io::Error::other)
    }
}

pub(crate) fn reference(text: &str) -> OciReference {
    OciReference::parse(text).unwrap()
}

pub(crate) fn resolve(client: &Client, text: &str) -> Result<Resolved, OciError> {
    with_patience(|patience| client.resolve(&reference(text), &Platform::this_machine(), patience))
}

/// The bytes of all layers.
pub(crate) fn pull(client: &Client, text: &str) -> Result<Vec<Vec<u8>>, OciError> {
    let layers = resolve(client, text)?.layers;
    let blob = |layer| {
        with_patience(|patience| {
            let mut blob = client.open_blob(&reference(text), layer, 0, patience)?;
            Ok(blob.read_to_limit(1 << 20, Duration::from_mins(1), patience).unwrap())
        })
    };
    layers.iter().map(blob).collect()
}

fn with_patience<T>(act: impl FnOnce(Patience<'_>) -> T) -> T {
    let (clock, stop) = (SystemClock::start(), Stop::new());
    act(Patience::new(&clock, Deadline::after(&clock as &dyn Clock, Duration::from_mins(1)), &stop))
}
