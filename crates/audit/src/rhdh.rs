//! The lines that clients of Red Hat Developer Hub's installer look for, out of the same events.
//!
//! What that installer has no line for stands beside them as `INFO:`, `WARNING:`, `ERROR:` or `DEBUG:`, and what to do
//! about a problem on a line of its own. No text can begin a line or carry a character that a terminal acts on.

use integrity::Mismatch;

use crate::escape::push_plain;
use crate::{Event, Level, LockState, NoteShape, PluginKind, Progress, SkipReason};

/// What the end of a log says again.
#[derive(Debug, Default)]
pub(crate) struct Rhdh {
    root: String,
    failed: Vec<Failed>,
}

#[derive(Debug)]
struct Failed {
    /// The plugin, and what is wrong with it.
    told: String,
    reason: String,
}

/// What one event adds to the two streams.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Rhdh {
    pub(crate) fn page(&mut self, event: &Event<'_>, least: Level) -> Page {
        let mut page = Page::default();
        self.remember(event);
        if level(event) <= least {
            self.write(event, &mut page);
        }
        page
    }

    fn remember(&mut self, event: &Event<'_>) {
        match *event {
            Event::Startup { root, .. } => root.clone_into(&mut self.root),
            Event::PluginRejected { package, reason, detail, mismatch, .. } => {
                let mut told = String::new();
                push_plain(&mut told, &failure(package, detail, mismatch));
                self.failed.push(Failed { told, reason: reason.to_owned() });
            }
            _ => {}
        }
    }

    fn write(&self, event: &Event<'_>, page: &mut Page) {
        let out = &mut page.out;
        match *event {
            Event::Startup { root, version, sandbox, .. } => {
                line(
                    out,
                    "INFO: ",
                    &format!("version {version} of the installer, plugin root {root}, sandbox {sandbox}"),
                );
            }
            Event::StartupPermissiveMode => {
                line(out, "WARNING: ", "`allowedSources` is not set: every source is accepted");
            }
            Event::ConfigProblem { config_file, line: at, column, detail, source_line, hint } => {
                line(out, "ERROR: ", &format!("{config_file}:{at}:{column}: {detail}"));
                if let Some(text) = source_line {
                    line(out, "\t    ", text);
                }
                help(out, hint);
            }
            Event::Progress(progress) => write_progress(out, progress),
            Event::PluginInstalled { package, .. } => line(out, ITEM, &format!("Installed {package}")),
            Event::PluginSkipped { package, reason } => match reason {
                SkipReason::Disabled => heading(out, &format!("Skipping disabled plugin {package}")),
                SkipReason::Absent { path } => {
                    heading(out, "Skipping 1 local plugins (directories not found)");
                    line(out, ITEM, &format!("{package} (not found at {path})"));
                }
                SkipReason::Unchanged => line(out, ITEM, &format!("{package}: already installed, skipping")),
                SkipReason::SameDigest => line(out, ITEM, &format!("{package}: digest unchanged, skipping")),
                SkipReason::Aborted => line(out, ITEM, &format!("{package}: not touched, since the run failed")),
            },
            Event::PluginRejected { package, detail, mismatch, hint, line: at, file, .. } => {
                line(out, ITEM, &format!("ERROR: {}", failure(package, detail, mismatch)));
                let hint = match (hint, file) {
                    (Some(hint), Some(file)) => Some(format!("{hint} ({file}:{at})")),
                    (None, Some(file)) => Some(format!("see {file}:{at}")),
                    (hint, None) => hint.map(str::to_owned),
                };
                help(out, hint.as_deref());
            }
            Event::PluginRemoved { dest, .. } => {
                let below = dest.strip_prefix(&self.root).map(|rest| rest.trim_start_matches('/'));
                heading(out, &format!("Removing obsolete plugin {}", below.unwrap_or(dest)));
            }
            Event::Warning { detail, hint, .. } => {
                line(out, "WARNING: ", detail);
                help(out, hint);
            }
            Event::Step { step, package, detail } => {
                let about = if package.is_empty() { String::new() } else { format!("{package}: ") };
                line(out, "DEBUG: ", &format!("{step}: {about}{detail}"));
            }
            Event::Fatal { reason, detail, hint, others, .. } => {
                self.write_failed(out);
                // Another end may have left a commit half done, and says so itself.
                let is_for_failures = reason == "continueOnError_false";
                if is_for_failures {
                    heading(out, NOT_WRITTEN);
                }
                page.err.push('\n');
                let detail = match self.failed.first() {
                    Some(Failed { told, reason }) if is_for_failures => {
                        &format!("{told} ({reason}){}", more_failed(others))
                    }
                    _ => detail,
                };
                line(&mut page.err, "install-dynamic-plugins failed: ", detail);
                if let Some(hint) = hint {
                    line(&mut page.err, "help: ", hint);
                }
            }
            Event::Completed { installed, rejected, skipped, removed, duration_ms } => {
                self.write_failed(out);
                let counts = format!("{installed} installed, {skipped} skipped, {rejected} failed, {removed} removed");
                line(out, "INFO: ", &format!("{counts}, in {duration_ms} ms"));
                if rejected == 0 {
                    heading(out, "All plugins installed successfully");
                }
            }
        }
    }

    fn write_failed(&self, out: &mut String) {
        if !self.failed.is_empty() {
            heading(out, &format!("{} plugin(s) failed:", self.failed.len()));
            for Failed { told, .. } in &self.failed {
                line(out, "  - ", told);
            }
        }
    }
}

/// What follows the first failed plugin where `others` failed, too; empty without any.
pub fn more_failed(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => "; and 1 more plugin failed, see the log".to_owned(),
        _ => format!("; and {others} more plugins failed, see the log"),
    }
}

const ITEM: &str = "\t==> ";
const NOT_WRITTEN: &str = "Skipping app-config.dynamic-plugins.yaml write and cleanup because of install failures. \
                           Nothing on the volume was changed.";

/// What that installer always writes is written here, too, though records leave it to who debugs a run.
const fn level(event: &Event<'_>) -> Level {
    match event {
        Event::Progress(_) => Level::Info,
        _ => event.level(),
    }
}

fn write_progress(out: &mut String, progress: Progress<'_>) {
    match progress {
        Progress::Note { shape: NoteShape::Heading, detail } => heading(out, detail),
        Progress::Note { shape: NoteShape::Plain, detail } => line(out, "", detail),
        Progress::Note { shape: NoteShape::Item, detail } => line(out, ITEM, detail),
        Progress::Lock { state, path } => {
            let told = match state {
                LockState::Waiting => "Waiting for lock to be released",
                LockState::Taken => "Created lock file",
                LockState::Released => "Removed lock file",
            };
            heading(out, &format!("{told}: {path}"));
        }
        Progress::Queued { kind, plugin_count, workers } => {
            let (kind, plural) = (label(kind), if workers == 1 { "" } else { "s" });
            heading(out, &format!("Installing {plugin_count} {kind} plugin(s) ({workers} worker{plural})"));
        }
        Progress::Installing { package, kind } => {
            heading(out, &format!("Installing {} plugin {package}", label(kind)));
        }
        Progress::Downloading { image } => line(out, ITEM, &format!("Downloading {image}")),
        Progress::Verifying { .. } => line(out, ITEM, "Verifying package integrity"),
    }
}

const fn label(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Oci => "OCI",
        PluginKind::Npm => "NPM",
    }
}

fn failure(package: &str, detail: &str, mismatch: Option<&Mismatch>) -> String {
    match mismatch {
        Some(Mismatch { expected: Some(expected), computed, .. }) => {
            format!("{package}: integrity check failed — got {computed}, expected {expected}")
        }
        // Without a pinned value the words say all that is known.
        Some(Mismatch { expected: None, .. }) | None => format!("{package}: {detail}"),
    }
}

fn heading(out: &mut String, text: &str) {
    out.push('\n');
    line(out, "======= ", text);
}

fn help(out: &mut String, hint: Option<&str>) {
    if let Some(hint) = hint {
        line(out, "\t    help: ", hint);
    }
}

fn line(out: &mut String, mark: &str, text: &str) {
    out.push_str(mark);
    push_plain(out, text);
    out.push('\n');
}
