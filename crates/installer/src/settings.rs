//! What was typed and what the environment says, as what a run is given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{OnReject, Plan};
use fetch::{Access, Credentials, FetchLimits, Fetcher, HelperProcess, Netrc, TrustedRealms};
use install::Limits;
use source::SourcePolicy;
use transport::{Clock, HttpClient, ProxyRules, Retry, Timeouts, Trust};

use crate::cli::{AccessArgs, Args, LimitArgs};
use crate::config_file::{Unreadable, read};
use crate::environment::Environment;

/// How this program introduces itself to servers.
const USER_AGENT: &str = concat!("butler-plugin-installer/", env!("CARGO_PKG_VERSION"));
/// Most bytes of a file with logins.
const LOGINS_LIMIT: usize = 1024 * 1024;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("`CONTINUE_ON_ERROR` must be `true` or `false`, found `{found}`")]
    ContinueOnError { found: String },
    #[error("`--token-realm` must be `REGISTRY=HOST`, found `{found}`")]
    TokenRealm { found: String },
    #[error(transparent)]
    Proxy(#[from] transport::ProxyRulesError),
    #[error("the CA certificates of `--ca-file` and `SSL_CERT_FILE` cannot be used")]
    Trust(#[from] transport::TrustError),
    #[error("failed to read `{}`", path.display())]
    Unreadable { path: PathBuf, source: Unreadable },
    #[error("registry logins in `{}` cannot be used", path.display())]
    Credentials { path: PathBuf, source: fetch::CredentialsError },
    #[error("logins in `{}` cannot be used", path.display())]
    Netrc { path: PathBuf, source: fetch::NetrcError },
}

impl SettingsError {
    pub(crate) fn hint(&self) -> String {
        let text = match self {
            Self::Credentials { source, .. } => return source.hint(),
            Self::ContinueOnError { .. } => "leave it out to let the file decide",
            Self::TokenRealm { .. } => "as in `--token-realm registry.example.com=login.example.com`",
            Self::Proxy(_) => "the value is not shown, as it may hold a password",
            Self::Trust(_) => "mount the CA's certificate as PEM text, beginning with `-----BEGIN CERTIFICATE-----`",
            Self::Netrc { .. } => "write one login a line: `machine HOST login USER password PASSWORD`",
            Self::Unreadable { .. } => "mount the file, and let this user read it",
        };
        text.to_owned()
    }
}

/// The stricter of what the file and the variable say; where they differ, also a sentence on it.
pub(crate) fn on_reject(plan: &Plan, environment: &Environment) -> Result<(OnReject, Option<String>), SettingsError> {
    let variable = match environment.continue_on_error.as_deref().map(str::trim) {
        None | Some("") => return Ok((plan.on_reject, None)),
        Some(text) if text.eq_ignore_ascii_case("true") => OnReject::Continue,
        Some(text) if text.eq_ignore_ascii_case("false") => OnReject::Abort,
        Some(text) => return Err(SettingsError::ContinueOnError { found: text.to_owned() }),
    };
    let stricter = plan.on_reject.stricter(variable);
    let differ = (plan.on_reject != variable).then(|| {
        let [file, variable, stricter] = [plan.on_reject, variable, stricter].map(continue_on_error);
        format!(
            "the file says `continueOnError: {file}`, CONTINUE_ON_ERROR says `{variable}`; \
             the stricter `{stricter}` holds"
        )
    });
    Ok((stricter, differ))
}

const fn continue_on_error(on_reject: OnReject) -> &'static str {
    match on_reject {
        OnReject::Continue => "true",
        OnReject::Abort => "false",
    }
}

/// What an archive may ask of us.
pub(crate) fn limits(args: &LimitArgs) -> Limits {
    Limits {
        expanded: args.max_expanded_bytes,
        file: args.max_file_bytes,
        entries: args.max_entries,
        ratio: args.max_ratio,
        ..Limits::default()
    }
}

/// Everything that asks the network.
pub(crate) fn fetcher(
    args: &Args,
    environment: &Environment,
    policy: SourcePolicy,
    clock: Arc<dyn Clock>,
) -> Result<Fetcher, SettingsError> {
    let trust = Trust {
        file: environment.ssl_cert_file.clone(),
        dir: environment.ssl_cert_dir.clone(),
        extra: args.access.ca_file.clone(),
    };
    trust.check_files()?;
    let proxies = ProxyRules::parse(environment.https_proxy.as_deref(), environment.no_proxy.as_deref())?;
    let timeouts = Timeouts { read: args.limits.stall_timeout, ..Timeouts::default() };
    let client = HttpClient::new(USER_AGENT, trust, proxies, timeouts);
    let limits = FetchLimits {
        artifact_bytes: args.limits.max_artifact_bytes,
        plugin_time: args.limits.plugin_timeout,
        stall_time: args.limits.stall_timeout,
        ..FetchLimits::default()
    };
    let retry = Retry { tries: args.limits.tries, ..Retry::default() };
    Ok(Fetcher::new(Arc::new(client), clock, policy, access(&args.access, environment)?, limits, retry))
}

fn access(args: &AccessArgs, environment: &Environment) -> Result<Access, SettingsError> {
    let mut realms = TrustedRealms::built_in();
    for pair in &args.token_realm {
        let (registry, host) = pair
            .split_once('=')
            .filter(|(registry, host)| !registry.is_empty() && !host.is_empty())
            .ok_or_else(|| SettingsError::TokenRealm { found: pair.clone() })?;
        realms = realms.with(registry, host);
    }
    Ok(Access { credentials: credentials(args, environment)?, realms, netrc: netrc(args.netrc.as_deref())? })
}

/// The file that was named must be there; the customary one may be absent, and in a home that nobody named beyond reach.
fn credentials(args: &AccessArgs, environment: &Environment) -> Result<Credentials, SettingsError> {
    let customary = || {
        let folder = environment.docker_config.clone();
        folder.or_else(|| environment.home.as_ref().map(|home| home.join(".docker"))).map(|dir| dir.join("config.json"))
    };
    let named = args.registry_auth_file.clone();
    let must_exist = named.is_some();
    let asked_for = must_exist || environment.docker_config.is_some();
    let Some(path) = named.or_else(customary) else { return Ok(Credentials::none()) };
    let json = match read(&path, LOGINS_LIMIT) {
        Ok(json) => json,
        Err(error) if error.is_absent() && !must_exist => return Ok(Credentials::none()),
        Err(error) if error.is_denied() && !asked_for => return Ok(Credentials::none()),
        Err(source) => return Err(SettingsError::Unreadable { path, source }),
    };
    let helper = Box::new(HelperProcess::on(environment.path.clone()));
    Credentials::parse(&json, helper).map_err(|source| SettingsError::Credentials { path, source })
}

fn netrc(path: Option<&Path>) -> Result<Netrc, SettingsError> {
    let Some(path) = path else { return Ok(Netrc::none()) };
    let own = || path.to_owned();
    let bytes = read(path, LOGINS_LIMIT).map_err(|source| SettingsError::Unreadable { path: own(), source })?;
    let text = String::from_utf8_lossy(&bytes);
    Netrc::parse(&text).map_err(|source| SettingsError::Netrc { path: own(), source })
}
