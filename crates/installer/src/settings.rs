//! What was typed and what the environment says, as what a run is given.

use std::sync::Arc;

use config::{OnReject, Plan};
use fetch::{FetchLimits, Fetcher, Logins, SurroundingsError, Unreadable};
use install::Limits;
use source::SourcePolicy;
use transport::{Clock, Retry, Timeouts};

use crate::cli::{AccessArgs, Args, LimitArgs};
use crate::environment::Environment;

/// How this program introduces itself to servers.
const USER_AGENT: &str = concat!("butler-plugin-installer/", env!("CARGO_PKG_VERSION"));

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("`CONTINUE_ON_ERROR` must be `true` or `false`, found `{found}`")]
    ContinueOnError { found: String },
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    #[error(transparent)]
    Access(#[from] fetch::AccessError),
}

impl SettingsError {
    pub(crate) fn hint(&self) -> String {
        let text = match self {
            Self::Access(error) => return error.hint(),
            Self::ContinueOnError { .. } => "leave it out to let the file decide",
            Self::Surroundings(error) => error.hint(),
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

/// What to do about a plugin list that cannot be read.
pub(crate) const fn list_hint(error: &Unreadable) -> Option<&'static str> {
    match error {
        Unreadable::Absent => Some("mount the ConfigMap there, or name the file with `--config`"),
        Unreadable::Directory => Some("name the file in it with `--config`"),
        Unreadable::Denied(_) => Some("let the container's user read the file"),
        _ => None,
    }
}

/// Everything that asks the network.
pub(crate) fn fetcher(
    args: &Args,
    environment: &Environment,
    policy: SourcePolicy,
    clock: Arc<dyn Clock>,
) -> Result<Fetcher, SettingsError> {
    let timeouts = Timeouts { read: args.limits.stall_timeout, ..Timeouts::default() };
    let client = environment.servers.client(USER_AGENT, &args.access.ca_file, timeouts)?;
    let limits = FetchLimits {
        artifact_bytes: args.limits.max_artifact_bytes,
        plugin_time: args.limits.plugin_timeout,
        stall_time: args.limits.stall_timeout,
        ..FetchLimits::default()
    };
    let retry = Retry { tries: args.limits.tries, ..Retry::default() };
    Ok(Fetcher::new(Arc::new(client), clock, policy, logins(&args.access, environment).open()?, limits, retry))
}

fn logins(args: &AccessArgs, environment: &Environment) -> Logins {
    Logins {
        registry_auth_file: args.registry_auth_file.clone(),
        netrc: args.netrc.clone(),
        token_realms: args.token_realm.clone(),
        ..environment.servers.logins()
    }
}
