//! The environment, read once. Flags with a variable of their own are read by the command line.

use std::path::PathBuf;

use fetch::Surroundings;

/// What the environment says beyond the flags.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Logins, proxies and certificates.
    pub(crate) servers: Surroundings,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970 that stand for the time of the build.
    pub(crate) source_date_epoch: Option<String>,
    /// Where temporary files go.
    pub(crate) temporary: PathBuf,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn from_process() -> Self {
        let epoch = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty());
        Self {
            servers: Surroundings::read(|name| std::env::var_os(name)),
            source_date_epoch: epoch.map(|value| value.to_string_lossy().into_owned()),
            temporary: std::env::temp_dir(),
        }
    }
}
