//! What the metrics are called, and what they mean: a contract, and the page about it.

/// One metric of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Plugins,
    Rejected,
    Received,
    Duration,
    LockWait,
    Fetch,
    ExitStatus,
    End,
    Installer,
}

impl Metric {
    /// All of them, in the file's order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Plugins,
        Self::Rejected,
        Self::Received,
        Self::Duration,
        Self::LockWait,
        Self::Fetch,
        Self::ExitStatus,
        Self::End,
        Self::Installer,
    ];

    /// Its name, with its unit at the end, its label besides `root`, if it has one, and what it says.
    pub(crate) const fn about(self) -> (&'static str, Option<&'static str>, &'static str) {
        match self {
            Self::Plugins => {
                ("butler_plugins_run_plugins", Some("outcome"), "Plugins of the last run, by what became of them.")
            }
            Self::Rejected => (
                "butler_plugins_run_rejected_plugins",
                Some("reason"),
                "Rejected plugins of the last run, by reason code.",
            ),
            Self::Received => (
                "butler_plugins_run_received_bytes",
                None,
                "Bytes of artifacts that servers sent in the last run, those of failed tries among them.",
            ),
            Self::Duration => {
                ("butler_plugins_run_duration_seconds", None, "How long the last run took, from its start to its end.")
            }
            Self::LockWait => (
                "butler_plugins_run_lock_wait_seconds",
                None,
                "How long the last run waited for another installer on the same root.",
            ),
            Self::Fetch => (
                "butler_plugins_run_fetch_seconds",
                None,
                "From the first request to the unpacked plugin, summed over the plugins that the last run installed side by side.",
            ),
            Self::ExitStatus => ("butler_plugins_run_exit_status", None, "The exit status of the last run; 0 is well."),
            Self::End => {
                ("butler_plugins_run_end_timestamp_seconds", None, "When the last run ended, since the epoch.")
            }
            Self::Installer => {
                ("butler_plugins_installer_info", Some("version"), "The installer of the last run; always 1.")
            }
        }
    }
}

/// What becomes of plugins; each has a value in every file.
pub(crate) const OUTCOMES: [&str; 8] =
    ["installed", "unchanged", "digest_unchanged", "disabled", "absent", "aborted", "rejected", "removed"];
