//! The manners of the registries that must work.

use super::auth::{Auth, Bearer, Login, Realm, TokenField};

/// The password of every preset's account.
const PASSWORD: &str = "made-password";

/// How one registry differs from the next: names, login, where blobs come from, media types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirks {
    /// The host of its API. Only a [`World`](crate::World) gives it that name; elsewhere it is a loopback port.
    pub host: String,
    /// The host as references write it.
    pub written: String,
    /// The key of `config.json` under which its credentials are kept.
    pub config_key: String,
    /// How it wants to be logged in to.
    pub auth: Auth,
    /// The host that a blob request is redirected to.
    pub storage: Option<String>,
    /// What a push makes.
    pub media_types: MediaTypes,
}

/// Which media types [`Registry::push`](crate::Registry::push) writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MediaTypes {
    /// An OCI manifest with an `application/gzip` layer.
    #[default]
    Oci,
    /// Docker's manifest and layer.
    Docker,
}

impl Quirks {
    /// A registry on a port: no login, nothing special.
    pub fn plain() -> Self {
        Self::new("registry.example.com", Auth::None)
    }

    /// GitHub: tokens from its own host, in the one field `token`.
    pub fn ghcr() -> Self {
        Self::new("ghcr.io", bearer("octocat", own("/token"), "ghcr.io", TokenField::Token))
            .storage("pkg-containers.githubusercontent.com")
    }

    /// Docker Hub: one name in references, another for the API, a third for tokens, a fourth in `config.json`.
    pub fn docker_hub() -> Self {
        let realm = elsewhere("auth.docker.io", "/token");
        Self {
            written: "docker.io".to_owned(),
            config_key: "https://index.docker.io/v1/".to_owned(),
            media_types: MediaTypes::Docker,
            ..Self::new("registry-1.docker.io", bearer("moby", realm, "registry.docker.io", TokenField::Both))
        }
        .storage("production.cloudflare.docker.com")
    }

    /// AWS: basic at every request, no token server, blobs in object storage.
    pub fn ecr() -> Self {
        Self::new("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Auth::basic("AWS", PASSWORD))
            .storage("prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com")
    }

    /// Quay: a robot's `+`, tokens from below `/v2/`.
    pub fn quay() -> Self {
        Self::new("quay.io", bearer("my-org+robot", own("/v2/auth"), "quay.io", TokenField::Token))
            .storage("cdn01.quay.io")
    }

    /// Harbor: a robot's `$`.
    pub fn harbor() -> Self {
        let auth = bearer("robot$project+name", own("/service/token"), "harbor-registry", TokenField::Both);
        Self::new("harbor.example.com", auth)
    }

    /// GitLab: tokens from the forge's host, which is not the registry's.
    pub fn gitlab() -> Self {
        let realm = elsewhere("gitlab.com", "/jwt/auth");
        Self::new("registry.gitlab.com", bearer("deploy-token", realm, "container_registry", TokenField::Token))
            .storage("cdn.registry.gitlab-static.net")
    }

    /// Azure: an identity token in place of a password, spent by the refresh grant; answers with `access_token`.
    pub fn acr() -> Self {
        let host = "butler.azurecr.io";
        Self::new(
            host,
            Auth::Bearer(Bearer {
                login: Login::new("00000000-0000-0000-0000-000000000000", PASSWORD),
                identity_token: Some("made-identity-token".to_owned()),
                realm: own("/oauth2/token"),
                service: host.to_owned(),
                token_field: TokenField::AccessToken,
            }),
        )
        .storage("weumanaged.blob.core.windows.net")
    }

    /// Google: the user `_json_key`, a password that is a whole JSON document.
    pub fn gar() -> Self {
        let host = "europe-docker.pkg.dev";
        let key = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"made:key+/=\\n\"\n}\n";
        let login = Login::new("_json_key", key);
        let Auth::Bearer(bearer) = bearer("", own("/v2/token"), host, TokenField::Token) else {
            unreachable!("`bearer` makes a bearer")
        };
        Self::new(host, Auth::Bearer(Bearer { login, ..bearer }))
    }

    /// All of them, for tests that hold for every registry.
    pub fn all() -> Vec<Self> {
        vec![
            Self::plain(),
            Self::ghcr(),
            Self::docker_hub(),
            Self::ecr(),
            Self::quay(),
            Self::harbor(),
            Self::gitlab(),
            Self::acr(),
            Self::gar(),
        ]
    }

    fn new(host: &str, auth: Auth) -> Self {
        let host = host.to_owned();
        let (written, config_key) = (host.clone(), host.clone());
        Self { host, written, config_key, auth, storage: None, media_types: MediaTypes::Oci }
    }

    fn storage(mut self, host: &str) -> Self {
        self.storage = Some(host.to_owned());
        self
    }
}

fn bearer(user: &str, realm: Realm, service: &str, token_field: TokenField) -> Auth {
    let service = service.to_owned();
    Auth::Bearer(Bearer { login: Login::new(user, PASSWORD), identity_token: None, realm, service, token_field })
}

fn own(path: &str) -> Realm {
    Realm::Own { path: path.to_owned() }
}

fn elsewhere(host: &str, path: &str) -> Realm {
    Realm::Elsewhere { host: host.to_owned(), path: path.to_owned() }
}
