//! The servers of one case, and the only way to them.

use testkit::{HttpServer, Plugin, Proxy, Quirks, Registry, RegistryBuilder, Reply, Request, World, sri};

/// The registry that list `A` allows.
pub(crate) const REGISTRY: &str = "reg.example.com";
/// The https server that list `A` allows.
pub(crate) const ARTIFACTS: &str = "artifacts.internal.example.com";

/// A small internet behind a proxy, which sees every attempt to reach a host that is not this machine.
pub(crate) struct Net {
    pub(crate) world: World,
    pub(crate) proxy: Proxy,
    registries: Vec<Registry>,
    servers: Vec<HttpServer>,
}

/// Something served, as an operator lists it.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) package: String,
    pub(crate) integrity: String,
}

impl Net {
    /// One in which nothing is served.
    pub(crate) fn new() -> Self {
        let world = World::new();
        Self { proxy: Proxy::start(&world), world, registries: Vec::new(), servers: Vec::new() }
    }

    /// Serves bytes at the place that a package names, whatever it is; what names no host is served nowhere.
    pub(crate) fn serve(&mut self, package: &str, bytes: &[u8]) -> Served {
        let (scheme, rest) = package.split_once("://").unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.to_ascii_lowercase().trim_end_matches(":443").to_owned();
        match scheme {
            _ if !is_dns_name(&host) => {}
            "oci" => {
                let name = path.split('@').next().unwrap_or(path);
                let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "untagged"));
                self.registry(named(&host)).push(repository, tag, bytes);
            }
            _ => {
                let bytes = bytes.to_vec();
                self.https(&host, move |_| Reply::ok().body(bytes.clone()));
            }
        }
        Served { package: package.to_owned(), integrity: sri(bytes) }
    }

    /// Serves a plugin in the registry that list `A` allows.
    pub(crate) fn push(&mut self, name: &str, plugin: &Plugin) -> Served {
        self.serve(&format!("oci://{REGISTRY}/my-org/{name}"), &plugin.tarball())
    }

    /// Starts a registry, unless one of its name runs already.
    pub(crate) fn registry(&mut self, quirks: Quirks) -> &Registry {
        let known = self.registries.iter().position(|registry| registry.host() == quirks.written);
        let at = known.unwrap_or_else(|| {
            self.start(quirks);
            self.registries.len() - 1
        });
        &self.registries[at]
    }

    /// Starts a registry that is more than its quirks.
    pub(crate) fn start(&mut self, settings: impl Into<RegistryBuilder>) -> &Registry {
        self.registries.push(self.world.registry(settings));
        &self.registries[self.registries.len() - 1]
    }

    /// Starts any other server.
    pub(crate) fn https(&mut self, host: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.servers.push(self.world.server(host, handler));
    }

    /// Every host that a tunnel was asked for, and every request that reached a server.
    pub(crate) fn asked(&self) -> Vec<String> {
        let requests = self.world.recorder().requests();
        let shown = requests.iter().map(|request| format!("{} {}{}", request.method, request.origin, request.path));
        self.proxy.asked().into_iter().chain(shown).collect()
    }

    /// Every request that reached a server, the proxy's too.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let proxied = self.proxy.server().recorder().requests();
        proxied.into_iter().chain(self.world.recorder().requests()).collect()
    }

    /// Forgets what was asked so far.
    pub(crate) fn forget(&self) {
        self.proxy.server().recorder().clear();
        self.world.recorder().clear();
    }
}

/// A registry of that name, without a login.
pub(crate) fn named(host: &str) -> Quirks {
    let name = || host.to_owned();
    Quirks { host: name(), written: name(), config_key: name(), ..Quirks::plain() }
}

fn is_dns_name(host: &str) -> bool {
    let label = |label: &str| label.starts_with(|c: char| c.is_ascii_alphanumeric()) && !label.ends_with('-');
    let characters = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    characters && host.split('.').all(label)
}
