//! An OCI registry in this process, with the manners and the faults of the ones out there.

mod auth;
mod image;
mod quirks;
mod serve;
mod store;
mod upload;

use std::sync::{Arc, OnceLock};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

pub use auth::{Auth, Bearer, Login, Realm, TokenField};
pub use image::{DOCKER_LAYER, DOCKER_MANIFEST, EMPTY, GZIP, Image, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
pub use quirks::{MediaTypes, Quirks};
pub use serve::Ranges;
pub use upload::Uploads;

use crate::{Ca, HttpServer, Recorder, Reply, Request, sri};
use auth::{Access, Gate};
use serve::Service;
use store::{Manifest, Store};

/// A registry that runs until it is dropped. It is a real one: clients of other makers can push to it and pull from it.
///
/// ```
/// use testkit::{Plugin, Registry};
///
/// let registry = Registry::start();
/// let pushed = registry.push("my-org/hello", "1.0.0", &Plugin::backend("hello").tarball());
/// assert_eq!(pushed.reference, format!("oci://{}/my-org/hello:1.0.0", registry.host()));
/// ```
#[derive(Debug)]
pub struct Registry {
    // The registry's own server comes first, so that it is the first to be dropped.
    server: HttpServer,
    realm: Option<HttpServer>,
    storage: Option<HttpServer>,
    service: Arc<Service>,
    quirks: Quirks,
    written: String,
}

/// Settings of a registry that is not simply open and plain.
#[derive(Debug)]
pub struct RegistryBuilder {
    quirks: Quirks,
    named: bool,
    port: u16,
    ca: Option<Ca>,
    recorder: Recorder,
    access: Access,
    ranges: Ranges,
    uploads: Uploads,
}

/// Something that was pushed, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// `oci://host/repository:tag`.
    pub reference: String,
    /// The digest of the manifest.
    pub digest: String,
    /// The integrity of the first layer.
    pub integrity: String,
}

impl Registry {
    /// An open registry over plain http.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Starts with settings.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder {
            quirks: Quirks::plain(),
            named: false,
            port: 0,
            ca: None,
            recorder: Recorder::default(),
            access: Access::default(),
            ranges: Ranges::default(),
            uploads: Uploads::default(),
        }
    }

    /// The host as references write it: `127.0.0.1:PORT`, or the public name in a [`World`](crate::World).
    pub fn host(&self) -> &str {
        &self.written
    }

    /// The server of its API.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// The server of its tokens, when that is another one.
    pub fn realm(&self) -> Option<&HttpServer> {
        self.realm.as_ref()
    }

    /// The server of its blobs, when that is another one.
    pub fn storage(&self) -> Option<&HttpServer> {
        self.storage.as_ref()
    }

    /// What was asked of all its servers.
    pub fn recorder(&self) -> &Recorder {
        self.server.recorder()
    }

    /// How it differs from others.
    pub fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    /// The text of a `config.json` that holds the right credentials for it, and nothing else.
    ///
    /// An account with an identity token is written with that token and no password.
    pub fn docker_config(&self) -> String {
        let key = if self.written == self.quirks.written { &self.quirks.config_key } else { &self.written };
        match &self.quirks.auth {
            Auth::None => json!({ "auths": {} }).to_string(),
            Auth::Bearer(Bearer { login, identity_token: Some(token), .. }) => {
                let auth = Base64::encode_string(format!("{}:", login.user).as_bytes());
                json!({ "auths": { key: { "auth": auth, "identitytoken": token } } }).to_string()
            }
            Auth::Basic(login) | Auth::Bearer(Bearer { login, .. }) => docker_config(key, &login.user, &login.password),
        }
    }

    /// Pushes a plugin's tarball as a publisher does, in the media types of this registry.
    pub fn push(&self, repository: &str, tag: &str, tarball: &[u8]) -> Pushed {
        let image = match self.quirks.media_types {
            MediaTypes::Oci => Image::plugin(tarball),
            MediaTypes::Docker => Image::docker(tarball),
        };
        self.push_image(repository, tag, &image)
    }

    /// Pushes an image, its layers and its config.
    pub fn push_image(&self, repository: &str, tag: &str, image: &Image) -> Pushed {
        self.push_blob(repository, Image::CONFIG);
        for layer in &image.layers {
            self.push_blob(repository, &layer.bytes);
        }
        let manifest = image.manifest().to_string();
        Pushed {
            reference: format!("oci://{}/{repository}:{tag}", self.host()),
            digest: self.push_manifest(repository, tag, manifest.as_bytes(), image.manifest_type),
            integrity: sri(&image.layers[0].bytes),
        }
    }

    /// Pushes an index of manifests that were pushed before: `(os, architecture, digest)`. Answers its digest.
    pub fn push_index(&self, repository: &str, tag: &str, entries: &[(&str, &str, &str)]) -> String {
        let manifests: Vec<Value> = entries.iter().map(|entry| self.index_entry(repository, *entry)).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        self.push_manifest(repository, tag, index.to_string().as_bytes(), OCI_INDEX)
    }

    /// Pushes bytes as a manifest, whatever they are. Answers their digest.
    pub fn push_manifest(&self, repository: &str, tag: &str, bytes: &[u8], content_type: &str) -> String {
        let manifest = Manifest { bytes: bytes.into(), content_type: content_type.to_owned() };
        self.service.store.put_manifest(repository, Some(tag), manifest)
    }

    /// Pushes a blob. Answers its digest.
    pub fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        self.service.store.put_blob(repository, bytes)
    }

    /// The bytes of a blob that somebody pushed.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Arc<[u8]>> {
        self.service.store.blob(repository, digest)
    }

    /// The bytes of the manifest that a tag or digest names.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Arc<[u8]>> {
        self.service.store.manifest(repository, reference).map(|(_, manifest)| manifest.bytes)
    }

    /// Answers the first `times` requests with 429 and this `Retry-After`.
    pub fn rate_limit(&self, times: usize, retry_after: &str) {
        let retry_after = retry_after.to_owned();
        let reply = move || serve::error(429, "TOOMANYREQUESTS", "slow down").retry_after(&retry_after);
        self.server.first(times, |_| true, reply);
    }

    /// Answers the first `times` requests with this status.
    pub fn fail_first(&self, times: usize, status: u16) {
        self.server.first(times, |_| true, move || Reply::status(status));
    }

    /// Makes every token given so far worthless, as if they had expired.
    pub fn revoke_tokens(&self) {
        self.service.gate.revoke_tokens();
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &HttpServer> {
        [Some(&self.server), self.realm(), self.storage()].into_iter().flatten()
    }

    fn index_entry(&self, repository: &str, (os, architecture, digest): (&str, &str, &str)) -> Value {
        let found = self.service.store.manifest(repository, digest);
        let (_, manifest) = found.expect("an index lists manifests that were pushed before");
        json!({
            "mediaType": manifest.content_type,
            "digest": digest,
            "size": manifest.bytes.len(),
            "platform": { "os": os, "architecture": architecture },
        })
    }
}

impl RegistryBuilder {
    /// Takes on the manners of a registry out there, under loopback addresses in place of its names.
    #[must_use]
    pub fn quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// How it wants to be logged in to.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.quirks.auth = auth;
        self
    }

    /// The port of 127.0.0.1 on which people expect it, instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Redirects blob requests to an object storage, a server of its own that fails the test when credentials arrive
    /// there; `host` is its name in a [`World`](crate::World).
    #[must_use]
    pub fn blob_redirect(mut self, host: &str) -> Self {
        self.quirks.storage = Some(host.to_owned());
        self
    }

    /// Speaks TLS, all its servers under this authority.
    #[must_use]
    pub fn tls(mut self, ca: &Ca) -> Self {
        self.ca = Some(ca.clone());
        self
    }

    /// Writes to a record that other servers write to as well.
    #[must_use]
    pub fn recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = recorder.clone();
        self
    }

    /// Everyone may pull from repositories at or below this prefix; the empty one means all.
    #[must_use]
    pub fn public(mut self, prefix: &str) -> Self {
        self.access.public.push(prefix.to_owned());
        self
    }

    /// Nobody may touch repositories at or below this prefix, the account neither.
    #[must_use]
    pub fn forbidden(mut self, prefix: &str) -> Self {
        self.access.forbidden.push(prefix.to_owned());
        self
    }

    /// The account may pull from repositories at or below this prefix, and not push.
    #[must_use]
    pub fn read_only(mut self, prefix: &str) -> Self {
        self.access.read_only.push(prefix.to_owned());
        self
    }

    /// How it takes uploads.
    #[must_use]
    pub fn uploads(mut self, uploads: Uploads) -> Self {
        self.uploads = uploads;
        self
    }

    /// What becomes of `Range` headers.
    #[must_use]
    pub fn ranges(mut self, ranges: Ranges) -> Self {
        self.ranges = ranges;
        self
    }

    /// Gives its servers their public names.
    #[must_use]
    pub(crate) fn named(mut self) -> Self {
        self.named = true;
        self
    }

    /// Starts it and the servers it needs.
    pub fn start(self) -> Registry {
        let realm = match &self.quirks.auth {
            Auth::Bearer(Bearer { realm: Realm::Elsewhere { host, path }, .. }) => Some((host, path)),
            _ => None,
        };
        // The servers are up before they know what to serve, because the challenge has to name the realm's port.
        let late = Arc::new(OnceLock::<Arc<Service>>::new());
        let serve = |host: &str, port: u16, answer: fn(&Service, &Request) -> Reply| {
            let late = Arc::clone(&late);
            let mut builder = HttpServer::builder().recorder(&self.recorder).port(port);
            if self.named {
                builder = builder.name(host);
            }
            if let Some(ca) = &self.ca {
                builder = builder.tls(ca);
            }
            builder.start(move |request| answer(late.get().expect("nobody asks before the start"), request))
        };
        let server = serve(&self.quirks.host, self.port, Service::answer);
        let realm = realm.map(|(host, path)| (serve(host, 0, |service, request| service.gate.token(request)), path));
        let storage = self.quirks.storage.as_ref().map(|host| serve(host, 0, Service::store_answer));
        let realm_url = realm.as_ref().map(|(server, path)| server.url(path));
        let service = Arc::new(Service {
            store: Store::default(),
            gate: Gate::new(self.quirks.auth.clone(), self.access, realm_url),
            ranges: self.ranges,
            uploads: self.uploads,
            storage: storage.as_ref().map(|server| server.origin().to_owned()),
        });
        late.set(Arc::clone(&service)).expect("set once");
        let written = if self.named { self.quirks.written.clone() } else { server.host().to_owned() };
        let realm = realm.map(|(server, _)| server);
        Registry { server, realm, storage, service, quirks: self.quirks, written }
    }
}

impl From<Quirks> for RegistryBuilder {
    fn from(quirks: Quirks) -> Self {
        Registry::builder().quirks(quirks)
    }
}

/// The text of a `config.json` with one account, as `docker login` writes it.
pub fn docker_config(key: &str, user: &str, password: &str) -> String {
    let auth = Base64::encode_string(format!("{user}:{password}").as_bytes());
    json!({ "auths": { key: { "auth": auth } } }).to_string()
}
