//! `.npmrc` files: which registry has which packages, and who one is there (npm's documentation, "npmrc" and "config").

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use integrity::Blame;
use source::NpmName;
use transport::{Scheme, Secret, Url, UrlError};

/// Whose packages are meant when nothing else is said (npm's documentation, "registry"). In two pieces, as no file here
/// names the host of a package registry: each reader's own client may know a better one.
pub(super) const DEFAULT_HOST: &str = concat!("registry.npm", "js.org");
/// Variables that name the registry, the one that counts first.
const REGISTRY_VARIABLES: [&str; 2] = ["npm_config_registry", "NPM_CONFIG_REGISTRY"];
/// What the variables are told by in errors.
const REGISTRY_KEY: &str = "registry";

/// What an `.npmrc` file and the environment say about npm registries.
#[derive(Debug, Clone)]
pub struct Npmrc {
    registry: Url,
    /// By scope, with its `@`.
    scopes: BTreeMap<String, Url>,
    logins: Vec<Login>,
    cafile: Option<PathBuf>,
    https_proxy: Option<Secret>,
    no_proxy: Option<String>,
}

/// Who one is below a URL.
#[derive(Debug, Clone)]
struct Login {
    authority: String,
    /// With `/` at both ends.
    path: String,
    authorization: Secret,
    /// What of it a server may repeat.
    secret: Secret,
}

/// The parts of a login, of which a file may say some.
#[derive(Default)]
struct Parts {
    token: Option<String>,
    pair: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

/// An `.npmrc` file that cannot be followed. No value is shown, as it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpmrcError {
    /// A registry that is no URL.
    #[error("`{key}` of the npm configuration is no URL of a registry")]
    Registry {
        /// The setting.
        key: String,
        /// Why not.
        source: UrlError,
    },
    /// A password or pair that is not in base64, or a user name without a password.
    #[error("`{key}` of the npm configuration is no login")]
    Login {
        /// The setting.
        key: String,
    },
    /// A login for no registry in particular.
    #[error("`{key}` of the npm configuration is for no registry in particular")]
    Unscoped {
        /// The setting.
        key: String,
    },
    /// What would make every server be believed.
    #[error("`strict-ssl=false` of the npm configuration is not supported")]
    StrictSsl,
    /// A certificate for the client itself.
    #[error("`{key}` of the npm configuration is not supported")]
    ClientCertificate {
        /// The setting.
        key: String,
    },
}

impl NpmrcError {
    /// Whose move it is: the operator mounts the file.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Registry { .. }
            | Self::Login { .. }
            | Self::Unscoped { .. }
            | Self::StrictSsl
            | Self::ClientCertificate { .. } => Blame::Operator,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Registry { .. } => {
                "write it as in `https://npm.example.com/path/`, without a login; plain http is for loopback only"
            }
            Self::Login { .. } => {
                "write `//HOST/:_authToken=TOKEN`, or `//HOST/:username=` and `//HOST/:_password=` in base64"
            }
            Self::Unscoped { .. } => "write the registry before it, as in `//npm.example.com/:_authToken=TOKEN`",
            Self::StrictSsl => "mount the certificate of the registry's CA, and name it with `cafile`",
            Self::ClientCertificate { .. } => "take it out, and log in with `:_authToken`",
        }
    }
}

impl Npmrc {
    /// npm's own registry, and nobody in particular.
    pub fn none() -> Self {
        Self {
            registry: default_registry(),
            scopes: BTreeMap::new(),
            logins: Vec::new(),
            cafile: None,
            https_proxy: None,
            no_proxy: None,
        }
    }

    /// Reads the text of the file that `NPM_CONFIG_USERCONFIG` names; an empty one where there is none. `variable` is
    /// the environment: it fills `${NAME}` in, and `NPM_CONFIG_REGISTRY` in it counts more than the file.
    ///
    /// # Errors
    /// A registry that is no URL, a login that is none or for no registry, and what is not supported.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, NpmrcError> {
        let mut npmrc = Self::none();
        let mut logins: BTreeMap<String, Parts> = BTreeMap::new();
        for (key, value) in settings(text, &variable) {
            if let Some((place, key)) = key.strip_prefix("//").and_then(|place| place.rsplit_once(':')) {
                let parts = logins.entry(place.to_owned()).or_default();
                match key {
                    "_authToken" => parts.token = Some(value),
                    "_auth" => parts.pair = Some(value),
                    "username" => parts.user = Some(value),
                    "_password" => parts.password = Some(value),
                    "certfile" | "keyfile" => {
                        return Err(NpmrcError::ClientCertificate { key: format!("//{place}:{key}") });
                    }
                    _ => {}
                }
                continue;
            }
            let is_set = !matches!(value.as_str(), "" | "null" | "false" | "undefined");
            match key.as_str() {
                "strict-ssl" if value == "false" => return Err(NpmrcError::StrictSsl),
                "_auth" | "_authToken" | "_password" if is_set => return Err(NpmrcError::Unscoped { key }),
                REGISTRY_KEY if is_set => npmrc.registry = parse_registry(&key, &value)?,
                "cafile" => npmrc.cafile = is_set.then(|| PathBuf::from(value)),
                "https-proxy" if is_set => npmrc.https_proxy = Some(Secret::new(value)),
                // npm takes this one for https, too.
                "proxy" if is_set && npmrc.https_proxy.is_none() => npmrc.https_proxy = Some(Secret::new(value)),
                "noproxy" => npmrc.no_proxy = is_set.then_some(value),
                _ => {
                    if let Some(scope) = key.strip_suffix(":registry").filter(|scope| scope.starts_with('@') && is_set)
                    {
                        npmrc.scopes.insert(scope.to_owned(), parse_registry(&key, &value)?);
                    }
                }
            }
        }
        if let Some(url) = REGISTRY_VARIABLES.iter().find_map(|name| variable(name)).filter(|url| !url.is_empty()) {
            npmrc.registry = parse_registry(REGISTRY_KEY, &url)?;
        }
        let logins = logins.into_iter().map(|(place, parts)| Login::of(&place, parts));
        npmrc.logins = logins.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(npmrc)
    }

    /// A bundle of CA certificates that counts for npm registries besides all others.
    pub(crate) fn cafile(&self) -> Option<&Path> {
        self.cafile.as_deref()
    }

    /// The proxy for https: its URL, with a login perhaps.
    pub(crate) const fn https_proxy(&self) -> Option<&Secret> {
        self.https_proxy.as_ref()
    }

    /// Hosts that are asked directly, with commas between them.
    pub(crate) fn no_proxy(&self) -> Option<&str> {
        self.no_proxy.as_deref()
    }

    /// The hosts of all registries, each with its port if that is not the customary one.
    pub(crate) fn authorities(&self) -> impl Iterator<Item = String> {
        [&self.registry].into_iter().chain(self.scopes.values()).map(Url::authority)
    }

    /// The registry of a package: its path ends in `/`.
    pub(super) fn registry_of(&self, name: &NpmName) -> &Url {
        name.scope().and_then(|scope| self.scopes.get(scope)).unwrap_or(&self.registry)
    }

    /// The `Authorization` for a URL: the login whose path says the most about it. Over https, or to loopback.
    pub(super) fn authorization(&self, url: &Url) -> Option<Secret> {
        let matching = self.logins.iter().filter(|login| login.covers(url));
        matching.max_by_key(|login| login.path.len()).map(|login| login.authorization.clone())
    }

    /// Whether a text repeats one of the secrets.
    pub(crate) fn is_quoted_in(&self, text: &str) -> bool {
        let of_logins = self.logins.iter().flat_map(|login| [&login.secret, &login.authorization]);
        of_logins.chain(&self.https_proxy).any(|secret| secret.is_repeated_in(text))
    }
}

impl Login {
    /// Nothing where the file says nothing that one could log in with.
    fn of(place: &str, parts: Parts) -> Result<Option<Self>, NpmrcError> {
        let invalid = |key: &str| NpmrcError::Login { key: format!("//{place}:{key}") };
        let (authorization, secret) = match parts {
            Parts { token: Some(token), .. } if !token.is_empty() => (format!("Bearer {token}"), token),
            Parts { user: Some(user), password: Some(password), .. } => {
                let password = decode(&password).ok_or_else(|| invalid("_password"))?;
                (format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes())), password)
            }
            Parts { pair: Some(pair), .. } if !pair.is_empty() => {
                let both = decode(&pair).ok_or_else(|| invalid("_auth"))?;
                let (_, password) = both.split_once(':').ok_or_else(|| invalid("_auth"))?;
                (format!("Basic {pair}"), password.to_owned())
            }
            _ => return Ok(None),
        };
        if !authorization.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(invalid("_authToken"));
        }
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let path = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
        let (authorization, secret) = (Secret::new(authorization), Secret::new(secret));
        Ok(Some(Self { authority: authority.to_ascii_lowercase(), path, authorization, secret }))
    }

    fn covers(&self, url: &Url) -> bool {
        let usual = match url.scheme() {
            Scheme::Https => 443,
            Scheme::Http => 80,
        };
        let path = url.target().split('?').next().unwrap_or_default();
        let is_plain = !path.split('/').any(|segment| matches!(segment, "." | ".."));
        let with_port = format!("{}:{}", url.host(), url.port());
        let is_host = self.authority == with_port || (url.port() == usual && self.authority == url.host());
        is_host && is_plain && path.starts_with(&self.path)
    }
}

fn default_registry() -> Url {
    Url::parse(&format!("https://{DEFAULT_HOST}/")).expect("the constant is a host")
}

/// Adds the `/` at the end that paths are joined to.
fn parse_registry(key: &str, text: &str) -> Result<Url, NpmrcError> {
    let error = |source| NpmrcError::Registry { key: key.to_owned(), source };
    if text.contains(['?', '#']) {
        return Err(error(UrlError::Malformed));
    }
    Url::parse(&format!("{}/", text.trim_end_matches('/'))).map_err(error)
}

fn decode(base64: &str) -> Option<String> {
    String::from_utf8(Base64::decode_vec(base64).ok()?).ok()
}

/// The settings of a file in the order written, those of sections left out.
fn settings(text: &str, variable: &impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines = lines.take_while(|line| !(line.starts_with('[') && line.ends_with(']')));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let pairs = lines.map(|line| line.split_once('=').unwrap_or((line, "true")));
    pairs.map(|(key, value)| (expanded(&unquoted(key), variable), expanded(&unquoted(value), variable))).collect()
}

/// Without its quotes; without them, up to a comment.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ';' | '#' => break,
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ';' | '#')) => plain.push(escaped),
                other => plain.extend(['\\'].into_iter().chain(other)),
            },
            other => plain.push(other),
        }
    }
    plain.trim().to_owned()
}

/// With its variables filled in: `${NAME}` stays where there is none of that name, `${NAME?}` becomes nothing.
fn expanded(text: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}').filter(|(name, _)| is_variable(name)) else {
            filled.extend([before, "${"]);
            rest = behind;
            continue;
        };
        if let Some(before) = before.strip_suffix('\\') {
            filled.extend([before, "${", name, "}"]);
        } else {
            let value = variable(name.strip_suffix('?').unwrap_or(name));
            let unset = || if name.ends_with('?') { String::new() } else { format!("${{{name}}}") };
            filled.extend([before.to_owned(), value.unwrap_or_else(unset)]);
        }
        rest = after;
    }
    filled + rest
}

fn is_variable(name: &str) -> bool {
    let name = name.strip_suffix('?').unwrap_or(name);
    !name.is_empty() && !name.contains(['$', '{', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "TOKEN" => "from-env",
            "HOST" => "env.example.com",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn npmrc(text: &str) -> Npmrc {
        Npmrc::parse(text, environment).expect(text)
    }

    fn authorization(npmrc: &Npmrc, url: &str) -> Option<String> {
        npmrc.authorization(&Url::parse(url).unwrap()).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn each_scope_has_its_registry() {
        let npmrc = npmrc("registry = https://npm.example.com/all\n@mine:registry=https://mine.example.com:8443/\n");
        for (name, expected) in [
            ("@mine/a", "https://mine.example.com:8443/"),
            ("@mine-not/a", "https://npm.example.com/all/"),
            ("mine", "https://npm.example.com/all/"),
        ] {
            assert_eq!(npmrc.registry_of(&NpmName::parse(name).unwrap()).to_string(), expected, "{name}");
        }
        let name = NpmName::parse("a").unwrap();
        let default = format!("https://{DEFAULT_HOST}/");
        assert_eq!(Npmrc::none().registry_of(&name).to_string(), default);
        let registry = |text, names: &'static [&str]| {
            let variable = |name: &str| names.contains(&name).then(|| format!("https://{}.example.com", name.len()));
            Npmrc::parse(text, variable).unwrap().registry_of(&name).to_string()
        };
        assert_eq!(registry("registry=https://file.example.com", &["NPM_CONFIG_REGISTRY"]), "https://19.example.com/");
        assert_eq!(registry("registry=null", &[]), default);
    }

    #[test]
    fn lines_are_read_as_npm_reads_them() {
        for (text, expected) in [
            ("cafile=/a.pem", Some("/a.pem")),
            ("  cafile  =  /a.pem  ", Some("/a.pem")),
            ("\u{feff}cafile=/a.pem\r\n", Some("/a.pem")),
            ("\"cafile\" = \"/a b;c.pem\"", Some("/a b;c.pem")),
            ("cafile='/a.pem'", Some("/a.pem")),
            ("cafile=/a.pem ; of ours", Some("/a.pem")),
            ("cafile=/a\\#b.pem", Some("/a#b.pem")),
            ("cafile=/a\\b.pem", Some("/a\\b.pem")),
            ("cafile=/a=b.pem", Some("/a=b.pem")),
            ("cafile=/${HOST}.pem", Some("/env.example.com.pem")),
            ("cafile=/${NONE}.pem", Some("/${NONE}.pem")),
            ("cafile=/${NONE?}.pem", Some("/.pem")),
            ("cafile=/\\${HOST}.pem", Some("/${HOST}.pem")),
            ("cafile=/${HOST", Some("/${HOST")),
            ("cafile=/${}${HOST}", Some("/${}env.example.com")),
            ("cafile=/first.pem\ncafile=/last.pem", Some("/last.pem")),
            ("cafile=/a.pem\ncafile=null", None),
            ("#cafile=/a.pem\n;cafile=/b.pem\n\n", None),
            ("[section]\ncafile=/a.pem", None),
            ("cafile=", None),
        ] {
            assert_eq!(npmrc(text).cafile(), expected.map(Path::new), "{text}");
        }
        let npmrc = npmrc(
            "proxy=http://u:s3cret@plain.example.com:1\nhttps-proxy=http://tls.example.com:2\nproxy=x\nnoproxy=.a,b",
        );
        assert_eq!(npmrc.https_proxy().map(Secret::expose), Some("http://tls.example.com:2"));
        assert_eq!(npmrc.no_proxy(), Some(".a,b"));
    }

    #[test]
    fn every_form_of_login_is_one_header() {
        for (lines, expected) in [
            ("//h.example.com/:_authToken=t0ken", "Bearer t0ken"),
            ("//h.example.com/:_authToken=${TOKEN}", "Bearer from-env"),
            ("//h.example.com/:_authToken=\"a#b==\"", "Bearer a#b=="),
            ("//h.example.com/:_auth=Ym9iOnMzY3JldA==", "Basic Ym9iOnMzY3JldA=="),
            ("//h.example.com/:username=bob\n//h.example.com/:_password=czNjcmV0", "Basic Ym9iOnMzY3JldA=="),
            ("//${NONE?}h.example.com/:_authToken=t0ken", "Bearer t0ken"),
            ("//h.example.com:443:_authToken=t0ken", "Bearer t0ken"),
            (
                "//H.example.com/:_authToken=a\n//h.example.com/:_auth=Ym9iOnMzY3JldA==\n//h.example.com/:email=x",
                "Basic Ym9iOnMzY3JldA==",
            ),
        ] {
            let npmrc = npmrc(lines);
            assert_eq!(authorization(&npmrc, "https://h.example.com/a").as_deref(), Some(expected), "{lines}");
            assert!(!format!("{npmrc:?}").contains("t0ken") && !format!("{npmrc:?}").contains("Ym9i"), "{lines}");
            assert!(npmrc.is_quoted_in(&format!("you sent {expected}")), "{lines}");
            assert!(!npmrc.is_quoted_in("you sent nothing"), "{lines}");
        }
        assert_eq!(authorization(&npmrc("//h.example.com/:username=bob"), "https://h.example.com/a"), None);
    }

    #[test]
    fn a_login_is_for_its_host_port_and_path() {
        let npmrc = npmrc(
            "//h.example.com/npm/:_authToken=npm\n//h.example.com/npm/inner/:_authToken=inner\n\
             //h.example.com:8443/:_authToken=port\n//127.0.0.1:4873/:_authToken=loopback\n//localhost/:_authToken=eighty",
        );
        for (url, expected) in [
            ("https://h.example.com/npm/a", Some("Bearer npm")),
            ("https://H.example.com:443/npm/a?b", Some("Bearer npm")),
            ("https://h.example.com/npm/inner/a", Some("Bearer inner")),
            ("https://h.example.com/npm/innermost/a", Some("Bearer npm")),
            ("https://h.example.com/npm", None),
            ("https://h.example.com/npm-evil/a", None),
            ("https://h.example.com/", None),
            ("https://h.example.com/npm/../a", None),
            ("https://h.example.com:8443/a", Some("Bearer port")),
            ("https://h.example.com:9443/npm/a", None),
            ("https://h.example.com.evil.example/npm/a", None),
            ("https://example.com/npm/a", None),
            ("http://127.0.0.1:4873/a", Some("Bearer loopback")),
            ("http://127.0.0.1:4874/a", None),
            ("http://localhost/a", Some("Bearer eighty")),
            ("https://localhost:80/a", None),
        ] {
            assert_eq!(authorization(&npmrc, url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused_without_its_value() {
        let key = |key: &str| key.to_owned();
        let registry = |name, source| NpmrcError::Registry { key: key(name), source };
        for (text, expected) in [
            ("registry=http://s3cret.example.com/", registry("registry", UrlError::PlainHttp)),
            ("registry=https://u:s3cret@h.example.com/", registry("registry", UrlError::Malformed)),
            ("registry=https://h.example.com/?s3cret", registry("registry", UrlError::Malformed)),
            ("@s:registry=s3cret", registry("@s:registry", UrlError::Scheme)),
            ("//h/:_auth=s3cret!", NpmrcError::Login { key: key("//h/:_auth") }),
            ("//h/:_auth=czNjcmV0", NpmrcError::Login { key: key("//h/:_auth") }),
            ("//h/:username=a\n//h/:_password=s3cret!", NpmrcError::Login { key: key("//h/:_password") }),
            ("//h/:_authToken=s3crét", NpmrcError::Login { key: key("//h/:_authToken") }),
            ("_authToken=s3cret", NpmrcError::Unscoped { key: key("_authToken") }),
            ("_auth=s3cret", NpmrcError::Unscoped { key: key("_auth") }),
            ("strict-ssl=false", NpmrcError::StrictSsl),
            ("//h/:certfile=/s3cret", NpmrcError::ClientCertificate { key: key("//h/:certfile") }),
        ] {
            let error = Npmrc::parse(text, |_| None).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?} {}", error.hint()).contains("s3c"), "{error}");
        }
        for text in ["strict-ssl=true", "_authToken=", "ca[]=x", "garbage", "@s:registry=", "=", "//", "//:=x"] {
            assert!(Npmrc::parse(text, |_| None).is_ok(), "{text}");
        }
    }
}
