//! The environment, read once. Flags with a variable of their own are read by the command line.

use std::ffi::OsString;

use fetch::Surroundings;

use crate::cli::DIALECT_VARIABLE;
use crate::rhdh::Variables;

/// What the environment says beyond the flags.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Any variable, for files that name some.
    pub(crate) variable: fn(&str) -> Option<OsString>,
    /// `CONTINUE_ON_ERROR`, which the chart sets beside the file's own `continueOnError`.
    pub(crate) continue_on_error: Option<String>,
    /// Logins, proxies and certificates.
    pub(crate) servers: Surroundings,
    /// What RHDH's installer reads.
    pub(crate) rhdh: Variables,
    /// `DYNAMIC_PLUGINS_DIALECT`, needed before the command line is read.
    pub(crate) dialect: Option<String>,
    /// The pod's name.
    pub(crate) hostname: Option<String>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn from_process() -> Self {
        let raw: fn(&str) -> Option<OsString> = |name| std::env::var_os(name);
        let text = |name: &str| {
            let value = raw(name).filter(|value| !value.is_empty());
            value.map(|value| value.to_string_lossy().into_owned())
        };
        Self {
            variable: raw,
            continue_on_error: text("CONTINUE_ON_ERROR"),
            servers: Surroundings::read(raw),
            rhdh: Variables::read(raw),
            dialect: text(DIALECT_VARIABLE),
            hostname: text("HOSTNAME"),
        }
    }
}
