//! Everything that asks the network.

use std::sync::Arc;

use fetch::{FetchLimits, Fetcher, Logins};
use source::SourcePolicy;
use transport::{HttpClient, Retry, SystemClock, Timeouts};

use crate::cli::{Args, ServerArgs};
use crate::environment::Environment;
use crate::failure::Failure;

/// How this program introduces itself to servers.
const USER_AGENT: &str = concat!("butler-plugin-publisher/", env!("CARGO_PKG_VERSION"));

pub(crate) fn transport(args: &Args, environment: &Environment) -> Result<Arc<HttpClient>, Failure> {
    let client = environment.servers.client(USER_AGENT, &args.servers.ca_file, Timeouts::default())?;
    Ok(Arc::new(client))
}

pub(crate) fn logins(args: &ServerArgs, environment: &Environment) -> Logins {
    Logins {
        registry_auth_file: args.registry_auth_file.clone(),
        netrc: args.netrc.clone(),
        token_realms: args.token_realm.clone(),
        ..environment.servers.logins()
    }
}

pub(crate) fn retry(args: &Args) -> Retry {
    Retry { tries: args.servers.tries, ..Retry::default() }
}

/// Fetches what was typed: whoever types it allows it. A portal's file has its own policy.
pub(crate) fn fetcher(args: &Args, environment: &Environment, policy: SourcePolicy) -> Result<Fetcher, Failure> {
    let access = logins(&args.servers, environment).open()?;
    let clock = Arc::new(SystemClock::start());
    Ok(Fetcher::new(transport(args, environment)?, clock, policy, access, FetchLimits::default(), retry(args)))
}
