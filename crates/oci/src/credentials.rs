//! Docker's `config.json`: who one is at which registry.

use std::collections::BTreeMap;
use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use integrity::Blame;
use serde::Deserialize;
use source::Authority;
use transport::Secret;

use crate::docker_hub::{DOCKER_HUB, DOCKER_HUB_KEY, one_name};
use crate::{token, words};

/// The user name by which a helper says that its secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Who one is at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A user name and a password.
    Basic { user: String, password: Secret },
    /// A token to exchange at the token server (OAuth 2.0 refresh grant).
    Identity(Secret),
    /// A token the registry itself takes.
    Bearer(Secret),
}

impl Credential {
    /// What no answer may repeat.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Basic { .. } => token::basic(self).iter().flat_map(words::secrets).collect(),
            Self::Identity(token) | Self::Bearer(token) => vec![token.clone()],
        }
    }
}

/// Runs `docker-credential-<name> get`.
pub trait CredentialHelper: Send + Sync {
    /// Asks a helper for a server's credentials: its JSON answer, or `None` when it knows none.
    ///
    /// # Errors
    /// When the helper cannot be run or fails.
    fn ask(&self, helper: &str, server: &str) -> Result<Option<Vec<u8>>, HelperError>;
}

/// A credential helper that gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// No such program.
    #[error("credential helper `docker-credential-{helper}` is not on PATH")]
    Missing {
        /// The helper's short name, as `config.json` has it.
        helper: String,
    },
    /// It ended badly, or said too much, or nothing in time.
    #[error("credential helper `docker-credential-{helper}` failed: {said}")]
    Failed {
        /// The helper's short name.
        helper: String,
        /// Its exit status in words; never what it printed, which may hold secrets.
        said: String,
    },
}

/// What a `config.json` says about all registries.
#[derive(Default)]
pub struct Credentials {
    config: Config,
    helper: Option<Box<dyn CredentialHelper>>,
    /// The file that should hold them and is not there.
    missing: Option<String>,
    /// Asked for what this knows nothing of.
    next: Option<Box<Credentials>>,
}

/// A `config.json`, or what a helper printed, that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file is not what Docker writes.
    #[error("registry credentials are not valid JSON of the form `{{\"auths\": {{…}}}}`")]
    Json {
        /// Line and column only: the parser's words could quote a secret.
        at: String,
    },
    /// An entry whose `auth` is not base64 of `user:password`.
    #[error("the `auth` of `{key}` in the registry credentials is not base64 of `user:password`")]
    Auth {
        /// The entry's key.
        key: String,
    },
    /// A helper that is named and gives no answer.
    #[error("credentials for `{server}` could not be had")]
    Helper {
        /// The registry.
        server: String,
        /// Why.
        source: HelperError,
    },
    /// A helper's answer is not `{Username, Secret}`.
    #[error("credential helper `docker-credential-{helper}` answered something that is not `{{Username, Secret}}`")]
    HelperAnswer {
        /// The helper's short name.
        helper: String,
    },
}

impl CredentialsError {
    /// Whose move it is: the operator mounts the file and the helpers.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Json { .. } | Self::Auth { .. } | Self::Helper { .. } | Self::HelperAnswer { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Json { at } => format!("look at {at} of the file that holds the logins"),
            Self::Auth { .. } => "write it with `docker login` or `oras login`".to_owned(),
            Self::Helper { source: HelperError::Missing { helper }, .. } => format!(
                "put `docker-credential-{helper}` into the image, or mount a `config.json` that holds the password itself"
            ),
            Self::Helper { .. } | Self::HelperAnswer { .. } => {
                "run the helper by hand in the same image; if it starts other programs or writes files, the installer \
                 needs `--without-sandbox`"
                    .to_owned()
            }
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, AuthEntry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

impl Credentials {
    /// No credentials for anyone.
    pub fn none() -> Self {
        Self::default()
    }

    /// No credentials for anyone, as there is no `file` where the operator says it is.
    pub fn missing(file: &str) -> Self {
        Self { missing: Some(file.to_owned()), ..Self::default() }
    }

    /// This login for this registry, under whichever of its names (Docker Hub has several), and none for any other.
    pub fn only(registry: &Authority, user: &str, password: &Secret) -> Self {
        let entry = AuthEntry {
            username: Some(user.to_owned()),
            password: Some(password.expose().to_owned()),
            ..AuthEntry::default()
        };
        let auths = BTreeMap::from([(registry.to_string(), entry)]);
        Self { config: Config { auths, ..Config::default() }, ..Self::default() }
    }

    /// Reads a `config.json` (docker's, podman's or a pull secret's).
    ///
    /// # Errors
    /// [`CredentialsError::Json`]; entries are looked at when their registry is asked for.
    pub fn parse(json: &[u8], helper: Box<dyn CredentialHelper>) -> Result<Self, CredentialsError> {
        let config = serde_json::from_slice(json).map_err(|error| CredentialsError::Json {
            at: format!("line {}, column {}", error.line(), error.column()),
        })?;
        Ok(Self { config, helper: Some(helper), ..Self::default() })
    }

    /// The same, with those of another file behind it: a registry that this one knows nothing of is looked up there.
    #[must_use]
    pub fn before(self, next: Self) -> Self {
        let next = match self.next {
            Some(between) => between.before(next),
            None => next,
        };
        Self { next: Some(Box::new(next)), ..self }
    }

    /// The names of all helpers that may be run.
    pub fn helpers(&self) -> impl Iterator<Item = &str> {
        self.files()
            .flat_map(|file| file.config.cred_helpers.values().chain(&file.config.creds_store))
            .map(String::as_str)
    }

    fn files(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |file| file.next.as_deref())
    }

    /// Who one is for that repository; the empty one is the registry as a whole. The longest `host/namespace` key wins,
    /// then the host's helper, then its entry, then the common store.
    pub(crate) fn lookup(
        &self,
        registry: &Authority,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialsError> {
        match (self.lookup_here(registry, repository)?, &self.next) {
            (None, Some(next)) => next.lookup(registry, repository),
            (found, _) => Ok(found),
        }
    }

    /// What there is in place of a login for that registry, in words: one for its host with another port or for another
    /// part of it, or no file at all.
    pub(crate) fn instead_of(&self, registry: &Authority) -> Option<String> {
        let written = registry.to_string();
        let is_near = |key: &str| {
            let host = Authority::parse(key.split('/').next().unwrap_or_default());
            host.is_ok_and(|host| host.host() == registry.host())
        };
        let mut near = None;
        for key in self.files().flat_map(|file| file.config.auths.keys().chain(file.config.cred_helpers.keys())) {
            match normal_key(key) {
                normal if normal == one_name(&written) => return None,
                normal if is_near(&normal) => near = Some(words::shown(key)),
                _ => {}
            }
        }
        let missing = || self.files().find_map(|file| file.missing.as_ref());
        match near {
            Some(key) => Some(format!("there is an entry for `{key}`, none for `{registry}`")),
            None => missing().map(|file| format!("there is no `{file}`, where DOCKER_CONFIG leads")),
        }
    }

    fn lookup_here(&self, registry: &Authority, repository: &str) -> Result<Option<Credential>, CredentialsError> {
        let registry = registry.to_string();
        let host = one_name(&registry);
        let name = format!("{host}/{repository}");
        let entry = self
            .config
            .auths
            .iter()
            .map(|(key, entry)| (normal_key(key), key, entry))
            .filter(|(normal, ..)| {
                name.strip_prefix(normal.as_str()).is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
            })
            .max_by_key(|(normal, ..)| normal.len());
        if let Some((normal, key, entry)) = &entry
            && normal.contains('/')
        {
            return entry.credential(key);
        }
        if let Some((server, helper)) = self.config.cred_helpers.iter().find(|(key, _)| normal_key(key) == host) {
            return self.ask(helper, server);
        }
        if let Some((_, key, entry)) = entry
            && let Some(credential) = entry.credential(key)?
        {
            return Ok(Some(credential));
        }
        match &self.config.creds_store {
            Some(store) if host == DOCKER_HUB => self.ask(store, DOCKER_HUB_KEY),
            Some(store) => self.ask(store, host),
            None => Ok(None),
        }
    }

    fn ask(&self, helper: &str, server: &str) -> Result<Option<Credential>, CredentialsError> {
        let Some(runner) = &self.helper else { return Ok(None) };
        let failed = |source| CredentialsError::Helper { server: server.to_owned(), source };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if helper.is_empty() || !helper.bytes().all(plain) {
            return Err(failed(HelperError::Missing { helper: helper.to_owned() }));
        }
        let Some(json) = runner.ask(helper, server).map_err(failed)? else { return Ok(None) };
        let answer: HelperAnswer =
            serde_json::from_slice(&json).map_err(|_| CredentialsError::HelperAnswer { helper: helper.to_owned() })?;
        let secret = Secret::new(answer.secret);
        Ok(Some(if answer.username == TOKEN_USER {
            Credential::Identity(secret)
        } else {
            Credential::Basic { user: answer.username, password: secret }
        }))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registries: std::collections::BTreeSet<_> =
            self.files().flat_map(|file| file.config.auths.keys()).collect();
        f.debug_struct("Credentials").field("registries", &registries).finish_non_exhaustive()
    }
}

impl AuthEntry {
    fn credential(&self, key: &str) -> Result<Option<Credential>, CredentialsError> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Credential::Bearer(Secret::new(token))));
        }
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credential::Identity(Secret::new(token))));
        }
        if let Some(auth) = filled(&self.auth) {
            let (user, password) =
                decode_auth(auth.trim()).ok_or_else(|| CredentialsError::Auth { key: key.to_owned() })?;
            return Ok(Some(Credential::Basic { user, password: Secret::new(password) }));
        }
        Ok(filled(&self.username).map(|user| {
            let password = Secret::new(self.password.clone().unwrap_or_default());
            Credential::Basic { user, password }
        }))
    }
}

fn decode_auth(auth: &str) -> Option<(String, String)> {
    let bytes = Base64::decode_vec(auth).or_else(|_| Base64Unpadded::decode_vec(auth)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.trim_end_matches('\0').split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A key of `auths` without scheme, trailing slash, and the path of a registry's API where it has no other.
pub(crate) fn normal_key(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let host = host.to_ascii_lowercase();
    match (one_name(&host), path.trim_end_matches('/')) {
        (host, "" | "v1" | "v2") => host.to_owned(),
        (host, namespace) => format!("{host}/{namespace}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use source::OciReference;

    struct Helper;
    impl CredentialHelper for Helper {
        fn ask(&self, helper: &str, server: &str) -> Result<Option<Vec<u8>>, HelperError> {
            match helper {
                "missing" => Err(HelperError::Missing { helper: helper.to_owned() }),
                "empty" => Ok(None),
                "token" => Ok(Some(br#"{"ServerURL":"x","Username":"<token>","Secret":"t"}"#.to_vec())),
                _ => Ok(Some(format!(r#"{{"Username":"u","Secret":"{server}"}}"#).into_bytes())),
            }
        }
    }

    fn lookup(json: &str, reference: &str) -> Result<Option<Credential>, CredentialsError> {
        let reference = OciReference::parse(reference).unwrap();
        let credentials = Credentials::parse(json.as_bytes(), Box::new(Helper)).unwrap();
        credentials.lookup(reference.registry(), reference.repository())
    }

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic { user: user.to_owned(), password: Secret::new(password.to_owned()) }
    }

    #[test]
    fn keys_match_their_host_and_the_longest_namespace() {
        // `dTpw` is u:p, `dToy` is u:2.
        for (name, json, reference, expected) in [
            ("host", r#"{"auths":{"r.example.com":{"auth":"dTpw"}}}"#, "r.example.com/a/b:1", Some(basic("u", "p"))),
            (
                "URL",
                r#"{"auths":{"https://r.example.com/v2/":{"auth":"dTpw"}}}"#,
                "r.example.com/a:1",
                Some(basic("u", "p")),
            ),
            ("other port", r#"{"auths":{"r.example.com":{"auth":"dTpw"}}}"#, "r.example.com:5000/a:1", None),
            ("suffix", r#"{"auths":{"r.example.com":{"auth":"dTpw"}}}"#, "r.example.com.evil.example/a:1", None),
            ("prefix", r#"{"auths":{"r.example.com":{"auth":"dTpw"}}}"#, "r.example.co/a:1", None),
            (
                "namespace",
                r#"{"auths":{"r.example.com":{"auth":"dTpw"},"r.example.com/a":{"auth":"dToy"}}}"#,
                "r.example.com/a/b:1",
                Some(basic("u", "2")),
            ),
            (
                "namespace of another",
                r#"{"auths":{"r.example.com":{"auth":"dTpw"},"r.example.com/a":{"auth":"dToy"}}}"#,
                "r.example.com/ab:1",
                Some(basic("u", "p")),
            ),
            (
                "namespace that ends like an API",
                r#"{"auths":{"r.example.com/team/v2":{"auth":"dToy"}}}"#,
                "r.example.com/team/v2/a:1",
                Some(basic("u", "2")),
            ),
            ("beside it", r#"{"auths":{"r.example.com/team/v2":{"auth":"dToy"}}}"#, "r.example.com/team/a:1", None),
            (
                "Docker Hub",
                r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#,
                "docker.io/ns/a:1",
                Some(basic("u", "p")),
            ),
            (
                "Docker Hub by another name",
                r#"{"auths":{"docker.io":{"auth":"dTpw"}}}"#,
                "index.docker.io/ns/a:1",
                Some(basic("u", "p")),
            ),
            (
                "plain fields",
                r#"{"auths":{"r.example.com":{"username":"robot$p+n","password":"x"}}}"#,
                "r.example.com/a:1",
                Some(basic("robot$p+n", "x")),
            ),
            (
                "identity token",
                r#"{"auths":{"r.example.com":{"auth":"MDAwOg==","identitytoken":"t"}}}"#,
                "r.example.com/a:1",
                Some(Credential::Identity(Secret::new("t".to_owned()))),
            ),
            ("no entry", r#"{"auths":{"r.example.com":{}}}"#, "r.example.com/a:1", None),
            ("empty file", "{}", "r.example.com/a:1", None),
            (
                "helper",
                r#"{"credHelpers":{"r.example.com":"ecr-login"}}"#,
                "r.example.com/a:1",
                Some(basic("u", "r.example.com")),
            ),
            ("helper of another", r#"{"credHelpers":{"r.example.com":"ecr-login"}}"#, "s.example.com/a:1", None),
            (
                "store",
                r#"{"credsStore":"desktop"}"#,
                "docker.io/a/b:1",
                Some(basic("u", "https://index.docker.io/v1/")),
            ),
            ("store that knows none", r#"{"credsStore":"empty"}"#, "r.example.com/a:1", None),
            (
                "token helper",
                r#"{"credHelpers":{"r.example.com":"token"}}"#,
                "r.example.com/a:1",
                Some(Credential::Identity(Secret::new("t".to_owned()))),
            ),
        ] {
            assert_eq!(lookup(json, reference).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn the_only_login_is_for_one_registry_by_all_its_names() {
        let authority = |text: &str| Authority::parse(text).unwrap();
        let password = Secret::new("p".to_owned());
        for (given, asked, expected) in [
            ("docker.io", "docker.io", true),
            ("docker.io", "index.docker.io", true),
            ("index.docker.io", "docker.io", true),
            ("registry-1.docker.io", "docker.io", true),
            ("docker.io", "docker.io:5000", false),
            ("docker.io", "r.example.com", false),
            ("r.example.com", "r.example.com:443", true),
            ("r.example.com", "r.example.com:5000", false),
        ] {
            let found = Credentials::only(&authority(given), "u", &password).lookup(&authority(asked), "a/b").unwrap();
            assert_eq!(found, expected.then(|| basic("u", "p")), "{given} {asked}");
        }
    }

    #[test]
    fn next_file_is_asked_for_what_the_one_before_knows_nothing_of() {
        let file = |json: &str| Credentials::parse(json.as_bytes(), Box::new(Helper)).unwrap();
        let entry =
            |host: &str, user: &str| format!(r#"{{"auths":{{"{host}":{{"username":"{user}","password":"p"}}}}}}"#);
        let (first, second) = (file(&entry("a.example", "first")), file(&entry("b.example", "second")));
        let (third, store) = (file(&entry("b.example", "third")), file(r#"{"credsStore":"any"}"#));
        let files = first.before(second).before(third).before(store);
        assert_eq!(files.helpers().collect::<Vec<_>>(), ["any"]);
        for (host, expected) in [("a.example", "first"), ("b.example", "second"), ("c.example", "u")] {
            let found = files.lookup(&Authority::parse(host).unwrap(), "x").unwrap();
            assert!(matches!(found, Some(Credential::Basic { user, .. }) if user == expected), "{host}");
        }
    }

    #[test]
    fn what_there_is_in_place_of_a_login_is_named() {
        for (keys, registry, expected) in [
            (
                &["localhost"][..],
                "localhost:5000",
                Some("there is an entry for `localhost`, none for `localhost:5000`"),
            ),
            (
                &["LOCALHOST:5000"][..],
                "localhost",
                Some("there is an entry for `LOCALHOST:5000`, none for `localhost`"),
            ),
            (
                &["https://r.example.com/team"][..],
                "r.example.com",
                Some("there is an entry for `https://r.example.com/team`, none for `r.example.com`"),
            ),
            (&["r.example.com:5000", "r.example.com"][..], "r.example.com", None),
            (&["https://index.docker.io/v1/"][..], "docker.io", None),
            (&["s.example.com", "r.example.com.evil.example", "r.example.com:x"][..], "r.example.com", None),
        ] {
            let entries: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{{}}")).collect();
            let json = format!("{{\"auths\":{{{}}}}}", entries.join(","));
            let file = Credentials::parse(json.as_bytes(), Box::new(Helper)).unwrap();
            let found = file.before(Credentials::none()).instead_of(&Authority::parse(registry).unwrap());
            assert_eq!(found.as_deref(), expected, "{keys:?}");
        }
        let files = Credentials::none().before(Credentials::missing("/made/config.json"));
        let found = files.instead_of(&Authority::parse("r.example.com").unwrap());
        assert_eq!(found.as_deref(), Some("there is no `/made/config.json`, where DOCKER_CONFIG leads"));
    }

    #[test]
    fn a_missing_helper_is_named() {
        let error = lookup(r#"{"credHelpers":{"r.example.com":"missing"}}"#, "r.example.com/a:1").unwrap_err();
        assert!(error.hint().contains("docker-credential-missing"));
        assert!(lookup(r#"{"credHelpers":{"r.example.com":"../evil"}}"#, "r.example.com/a:1").is_err());
    }

    #[test]
    fn a_broken_file_or_entry_never_shows_a_secret() {
        let error = Credentials::parse(br#"{"auths": "s3cret"}"#, Box::new(Helper)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        let error = lookup(r#"{"auths":{"r.example.com":{"auth":"s3cret"}}}"#, "r.example.com/a:1").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
