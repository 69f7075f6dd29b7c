//! Servers under their real names, and a way to reach them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Ca, HttpServer, Recorder, Registry, RegistryBuilder, Reply, Request};

/// A small internet: names, the loopback addresses behind them, one authority that all certificates come from and one
/// record of everything that was asked.
///
/// A transport made for tests asks [`address_of`](Self::address_of); a whole program reaches it through a
/// [`Proxy`](crate::Proxy).
///
/// ```
/// use testkit::{Plugin, Quirks, World};
///
/// let world = World::new();
/// let hub = world.registry(Quirks::docker_hub());
/// let pushed = hub.push("my-org/hello", "1.0.0", &Plugin::backend("hello").tarball());
/// assert_eq!(pushed.reference, "oci://docker.io/my-org/hello:1.0.0");
/// assert!(world.address_of("auth.docker.io").is_some());
/// assert!(world.address_of("evil.example").is_none());
/// ```
#[derive(Debug, Default)]
pub struct World {
    ca: Ca,
    recorder: Recorder,
    names: Names,
}

/// Which address a name has. Clones are the same map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, SocketAddr>>>);

impl World {
    /// A world without a server.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a registry, its token server and its object storage under their public names, over TLS.
    pub fn registry(&self, settings: impl Into<RegistryBuilder>) -> Registry {
        let registry = settings.into().named().tls(&self.ca).recorder(&self.recorder).start();
        for server in registry.servers() {
            self.add(server);
        }
        registry
    }

    /// Starts any other server under a name, over TLS.
    pub fn server(&self, name: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> HttpServer {
        let server = HttpServer::builder().name(name).tls(&self.ca).recorder(&self.recorder).start(handler);
        self.add(&server);
        server
    }

    /// Gives a server that was started elsewhere, with certificates of its own perhaps, its place in this world.
    pub fn add(&self, server: &HttpServer) {
        self.lead(server.host(), server.address());
    }

    /// Gives a name to any address, whoever listens there, or nobody.
    pub fn lead(&self, name: &str, address: SocketAddr) {
        self.names.add(name, address);
    }

    /// Where a name leads; nothing when the world does not know it.
    pub fn address_of(&self, name: &str) -> Option<SocketAddr> {
        self.names.address_of(name)
    }

    /// The authority that a client has to trust.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// Everything that was asked of any server, in one order.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }
}

impl Names {
    pub(crate) fn address_of(&self, name: &str) -> Option<SocketAddr> {
        self.lock().get(name).copied()
    }

    fn add(&self, name: &str, address: SocketAddr) {
        let before = self.lock().insert(name.to_owned(), address);
        assert!(before.is_none(), "the name `{name}` is taken");
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
