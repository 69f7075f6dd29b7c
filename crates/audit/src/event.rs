//! What is worth a record, and its fields in their order.

use integrity::{Blame, Mismatch, OciDigest, Promise};
use source::SourcePolicy;

use crate::record::Record;
use crate::{Level, Progress};

/// An event of record.
///
/// Names, fields and their order are a contract with those who parse the log: fields are only ever added at the end.
/// Texts are taken as they are and escaped when written; a `package` must already be safe to show, without user
/// information and query.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The first record of a run.
    Startup {
        /// The file read.
        config_file: &'a str,
        /// The folder plugins are installed into.
        root: &'a str,
        /// Whether the run goes on without a rejected plugin.
        continue_on_error: bool,
        /// Entries in the file, disabled ones included.
        plugin_count: usize,
        /// Where plugins may come from; an empty list is permissive.
        allowed_sources: &'a SourcePolicy,
        /// This program's version.
        version: &'a str,
        /// What confines the process, such as `landlock_v7`, or `none`.
        sandbox: &'a str,
    },
    /// Something in the file is wrong; a run that says so ends with [`Fatal`](Self::Fatal).
    ConfigProblem {
        /// The file read.
        config_file: &'a str,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
        /// What is wrong, in words.
        detail: &'a str,
        /// The source line, safe to show.
        source_line: Option<&'a str>,
        /// What to do about it.
        hint: Option<&'a str>,
    },
    /// No list of allowed sources: every source is accepted.
    StartupPermissiveMode,
    /// A plugin is visible on the root, with the promised bytes.
    PluginInstalled {
        /// The source, safe to show.
        package: &'a str,
        /// What was promised and found, or who promised it.
        integrity: &'a Promise,
        /// The plugin's own name.
        name: &'a str,
        /// Its folder.
        dest: &'a str,
        /// The plugin's own version.
        version: &'a str,
        /// Size of the artifact.
        bytes: u64,
        /// From request to staging.
        duration_ms: u64,
        /// The manifest that led to the artifact, when it came from a registry.
        manifest: Option<&'a OciDigest>,
        /// Whether it took the place of a folder this program did not make; written only when so.
        adopted: bool,
        /// Whether its artifact came out of the cache, and nobody was asked for it; written only when so.
        cached: bool,
    },
    /// A plugin was left as it is.
    PluginSkipped {
        /// The source, safe to show.
        package: &'a str,
        /// Why.
        reason: SkipReason<'a>,
    },
    /// A plugin is not installed.
    PluginRejected {
        /// The source, safe to show.
        package: &'a str,
        /// The reason code.
        reason: &'a str,
        /// Both values, when the bytes were not the promised ones.
        mismatch: Option<&'a Mismatch>,
        /// The sub-code of a failed pull.
        cause: Option<&'a str>,
        /// What happened, in words.
        detail: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// Whose move it is.
        blame: Blame,
        /// The line of its entry in the file, from 1.
        line: u32,
        /// That file, where several may be read; written only then.
        file: Option<&'a str>,
    },
    /// A plugin of ours is gone, since the file no longer lists it.
    PluginRemoved {
        /// The plugin's own name.
        name: &'a str,
        /// The folder it had.
        dest: &'a str,
    },
    /// The run goes on, and someone should know.
    Warning {
        /// The reason code.
        reason: &'a str,
        /// What is odd, in words.
        detail: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
    },
    /// A step of interest to whoever debugs a run.
    Step {
        /// Which one.
        step: &'a str,
        /// The plugin's source, safe to show; empty when it is about no single plugin.
        package: &'a str,
        /// What happened, in words.
        detail: &'a str,
    },
    /// A run on its way, as readers of RHDH's log follow it.
    Progress(Progress<'a>),
    /// The last record of a run that failed.
    Fatal {
        /// The reason code.
        reason: &'a str,
        /// What happened, in words.
        detail: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// Whose move it is.
        blame: Blame,
        /// How many plugins were rejected besides the first, where that is told; the words say it already.
        others: usize,
    },
    /// The last record of a run that completed.
    Completed {
        /// Plugins installed or replaced.
        installed: usize,
        /// Plugins rejected.
        rejected: usize,
        /// Plugins disabled or unchanged.
        skipped: usize,
        /// Plugins of ours that were removed.
        removed: usize,
        /// The whole run.
        duration_ms: u64,
    },
}

/// Why a plugin was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason<'a> {
    /// The entry says so.
    Disabled,
    /// There is nothing at its local path.
    Absent {
        /// Where it was looked for.
        path: &'a str,
    },
    /// Same source, same integrity, files as they were installed.
    Unchanged,
    /// The registry was asked, and still has for it what is installed.
    SameDigest,
    /// Another plugin was rejected and the run is fail-closed.
    Aborted,
}

impl SkipReason<'_> {
    /// The reason code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Absent { .. } => "absent",
            Self::Unchanged => "unchanged",
            Self::SameDigest => "digest_unchanged",
            Self::Aborted => "aborted",
        }
    }
}

impl Event<'_> {
    /// The value of the field `event`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Startup { .. } => "startup",
            Self::ConfigProblem { .. } => "config_problem",
            Self::StartupPermissiveMode => "startup_permissive_mode",
            Self::PluginInstalled { .. } => "plugin_installed",
            Self::PluginSkipped { .. } => "plugin_skipped",
            Self::PluginRejected { .. } => "plugin_rejected",
            Self::PluginRemoved { .. } => "plugin_removed",
            Self::Warning { .. } => "warning",
            Self::Step { .. } => "step",
            Self::Progress(progress) => progress.name(),
            Self::Fatal { .. } => "fatal",
            Self::Completed { .. } => "completed",
        }
    }

    /// How much it matters; errors go to their own stream.
    pub const fn level(&self) -> Level {
        match self {
            Self::ConfigProblem { .. } | Self::PluginRejected { .. } | Self::Fatal { .. } => Level::Error,
            Self::StartupPermissiveMode | Self::Warning { .. } => Level::Warn,
            Self::Startup { .. }
            | Self::PluginInstalled { .. }
            | Self::PluginSkipped { .. }
            | Self::PluginRemoved { .. }
            | Self::Completed { .. } => Level::Info,
            Self::Step { .. } => Level::Debug,
            Self::Progress(progress) => progress.level(),
        }
    }

    pub(crate) fn write(&self, record: &mut Record) {
        match *self {
            Self::Startup { config_file, root, continue_on_error, plugin_count, allowed_sources, version, sandbox } => {
                record.text("config_file", config_file);
                record.text("root", root);
                record.boolean("continue_on_error", continue_on_error);
                record.number("plugin_count", plugin_count as u64);
                record.list("allowed_sources", allowed_sources.prefixes());
                record.text("version", version);
                record.text("sandbox", sandbox);
            }
            Self::ConfigProblem { config_file, line, column, detail, source_line, hint } => {
                record.text("config_file", config_file);
                record.number("line", u64::from(line));
                record.number("column", u64::from(column));
                record.text("detail", detail);
                record.optional("source_line", source_line);
                record.optional("hint", hint);
            }
            Self::StartupPermissiveMode => record.text("reason", "allowedSources_unset_permissive"),
            Self::PluginInstalled {
                package,
                integrity,
                name,
                dest,
                version,
                bytes,
                duration_ms,
                manifest,
                adopted,
                cached,
            } => {
                record.text("package", package);
                record.quoted("integrity", integrity);
                record.text("digest_verified", "ok");
                record.text("name", name);
                record.text("dest", dest);
                record.text("version", version);
                record.number("bytes", bytes);
                record.number("duration_ms", duration_ms);
                record.optional("manifest", manifest.map(ToString::to_string).as_deref());
                if adopted {
                    record.boolean("adopted", adopted);
                }
                if cached {
                    record.boolean("cached", cached);
                }
            }
            Self::PluginSkipped { package, reason } => {
                record.text("package", package);
                record.text("reason", reason.code());
                if let SkipReason::Absent { path } = reason {
                    record.text("path", path);
                }
            }
            Self::PluginRejected { package, reason, mismatch, cause, detail, hint, blame, line, file } => {
                record.text("package", package);
                record.text("reason", reason);
                if let Some(Mismatch { expected, computed, .. }) = mismatch {
                    if let Some(expected) = expected {
                        record.quoted("expected", expected);
                    }
                    record.quoted("computed", computed);
                }
                record.optional("cause", cause);
                record.text("detail", detail);
                record.optional("hint", hint);
                record.text("blame", blame.name());
                record.number("line", u64::from(line));
                record.optional("file", file);
            }
            Self::PluginRemoved { name, dest } => {
                record.text("name", name);
                record.text("dest", dest);
            }
            Self::Warning { reason, detail, hint } => {
                record.text("reason", reason);
                record.text("detail", detail);
                record.optional("hint", hint);
            }
            Self::Fatal { reason, detail, hint, blame, others: _ } => {
                record.text("reason", reason);
                record.text("detail", detail);
                record.optional("hint", hint);
                record.text("blame", blame.name());
            }
            Self::Step { step, package, detail } => {
                record.text("step", step);
                record.optional("package", Some(package).filter(|package| !package.is_empty()));
                record.text("detail", detail);
            }
            Self::Progress(progress) => progress.write(record),
            Self::Completed { installed, rejected, skipped, removed, duration_ms } => {
                record.number("installed", installed as u64);
                record.number("rejected", rejected as u64);
                record.number("skipped", skipped as u64);
                record.number("removed", removed as u64);
                record.number("duration_ms", duration_ms);
            }
        }
    }
}
