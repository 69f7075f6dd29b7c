//! The environment, read once. Flags with a variable of their own are read by the command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the environment says beyond the flags.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `CONTINUE_ON_ERROR`, which the chart sets beside the file's own `continueOnError`.
    pub(crate) continue_on_error: Option<String>,
    /// The folder of Docker's `config.json`.
    pub(crate) docker_config: Option<PathBuf>,
    /// Where `.docker` is looked for otherwise.
    pub(crate) home: Option<PathBuf>,
    /// Where credential helpers are looked for.
    pub(crate) path: OsString,
    /// `HTTPS_PROXY`, in either case.
    pub(crate) https_proxy: Option<String>,
    /// `NO_PROXY`, in either case.
    pub(crate) no_proxy: Option<String>,
    /// A CA bundle instead of the system's.
    pub(crate) ssl_cert_file: Option<PathBuf>,
    /// A folder of CA certificates instead of the system's.
    pub(crate) ssl_cert_dir: Option<PathBuf>,
    /// The pod's name.
    pub(crate) hostname: Option<String>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn from_process() -> Self {
        let raw = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| raw(name).map(|value| value.to_string_lossy().into_owned());
        let either = |upper: &str| text(upper).or_else(|| text(&upper.to_ascii_lowercase()));
        Self {
            continue_on_error: text("CONTINUE_ON_ERROR"),
            docker_config: raw("DOCKER_CONFIG").map(PathBuf::from),
            home: raw("HOME").map(PathBuf::from),
            path: raw("PATH").unwrap_or_default(),
            https_proxy: either("HTTPS_PROXY"),
            no_proxy: either("NO_PROXY"),
            ssl_cert_file: raw("SSL_CERT_FILE").map(PathBuf::from),
            ssl_cert_dir: raw("SSL_CERT_DIR").map(PathBuf::from),
            hostname: text("HOSTNAME"),
        }
    }
}
