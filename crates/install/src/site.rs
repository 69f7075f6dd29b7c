//! Servers in this process and a fetcher that reaches them by their names, for tests.

use std::io::{Read as _, Seek as _, Write as _};
use std::sync::Arc;

use fetch::{Access, FetchLimits, Fetcher, Layers, Located, Spool};
use integrity::{Hashed, Promise};
use source::{Allowed, Source, SourcePolicy};
use tempfile::NamedTempFile;
use testkit::{Proxy, Quirks, Registry, World};
use transport::{HttpClient, ProxyRules, Retry, Stop, SystemClock, Timeouts, Trust};

/// One registry, and a fetcher that takes images of several layers.
pub(crate) struct Site {
    pub(crate) registry: Registry,
    pub(crate) fetcher: Arc<Fetcher>,
    _world: World,
    _proxy: Proxy,
}

impl Site {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let proxy = Proxy::start(&world);
        let mut authority = NamedTempFile::new().unwrap();
        authority.write_all(world.ca().pem().as_bytes()).unwrap();
        let trust = Trust { file: Some(authority.path().to_owned()), ..Trust::default() };
        let proxies = ProxyRules::parse(Some(&proxy.url()), None).unwrap();
        let client = HttpClient::new("butler-plugins-tests", &trust, proxies, Timeouts::default()).unwrap();
        let access = Access { layers: Layers::Several, ..Access::anonymous() };
        let (policy, limits, retry) = (SourcePolicy::permissive(), FetchLimits::default(), Retry::default());
        let fetcher = Fetcher::new(Arc::new(client), Arc::new(SystemClock::start()), policy, access, limits, retry);
        let fetcher = Arc::new(fetcher);
        let registry = world.registry(Quirks::plain());
        Self { registry, fetcher, _world: world, _proxy: proxy }
    }

    /// What an entry of the rhdh dialect asks for, `{}` being this registry.
    pub(crate) fn allowed(&self, package: &str) -> Allowed<Source> {
        let source = Source::parse_rhdh(&package.replace("{}", self.registry.host())).unwrap();
        SourcePolicy::permissive().admit(source).unwrap()
    }

    pub(crate) fn locate(&self, source: &Allowed<Source>) -> Located {
        self.fetcher.locate(source, &Stop::new(), &|_, _| ()).unwrap()
    }

    /// How many layers and manifests were asked for since the last look.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let requests = self.registry.recorder().requests();
        self.registry.recorder().clear();
        let of = |part: &str| requests.iter().filter(|request| request.path.contains(part)).count();
        (of("/blobs/"), of("/manifests/"))
    }
}

/// The bytes of an artifact, whatever they are.
pub(crate) fn bytes_of(hashed: Hashed<Spool>) -> Vec<u8> {
    let any = Promise::Unchecked(integrity::Danger::LocalFiles);
    let (mut artifact, mut bytes) = (hashed.keeps(&any, None).unwrap(), Vec::new());
    artifact.rewind().and_then(|()| artifact.read_to_end(&mut bytes)).unwrap();
    bytes
}
