//! `--metrics-file`: how a run went, for Prometheus, whatever its end.
//!
//! The text format is that of Prometheus' "Exposition formats", version 0.0.4.

mod metric;

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use audit::{Event, LockState, Log, Progress};
use transport::Clock;

use self::metric::{Metric, OUTCOMES};
use crate::exit::Status;
use crate::replace::replace;
use crate::report::text_of;

/// What is counted while a run goes on.
pub(crate) struct Meter {
    file: PathBuf,
    root: String,
    clock: Arc<dyn Clock>,
    started: Duration,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    outcomes: BTreeMap<String, usize>,
    reasons: BTreeMap<String, usize>,
    fetch_ms: u64,
    /// Since when another installer is waited for, as long as it is.
    waiting_since: Option<Duration>,
    waited: Duration,
}

impl Counts {
    fn see(&mut self, event: &Event<'_>, now: Duration) {
        match event {
            Event::PluginInstalled { duration_ms, .. } => {
                self.outcome("installed");
                self.fetch_ms = self.fetch_ms.saturating_add(*duration_ms);
            }
            Event::PluginSkipped { reason, .. } => self.outcome(reason.code()),
            Event::PluginRejected { reason, .. } => {
                self.outcome("rejected");
                *self.reasons.entry((*reason).to_owned()).or_default() += 1;
            }
            Event::PluginRemoved { .. } => self.outcome("removed"),
            Event::Progress(Progress::Lock { state: LockState::Waiting, .. }) => self.waiting_since = Some(now),
            // Whatever comes next: the lock, or an end without it.
            Event::Progress(Progress::Lock { state: LockState::Taken, .. }) | Event::Fatal { .. } => {
                let waited = self.waiting_since.take().map_or(Duration::ZERO, |since| now.saturating_sub(since));
                self.waited += waited;
            }
            _ => {}
        }
    }

    fn outcome(&mut self, name: &str) {
        *self.outcomes.entry(name.to_owned()).or_default() += 1;
    }
}

impl Meter {
    pub(crate) fn start(file: &Path, root: &Path, clock: &Arc<dyn Clock>) -> Self {
        let (clock, counts) = (Arc::clone(clock), Arc::default());
        Self { file: file.to_owned(), root: text_of(root), started: clock.uptime(), clock, counts }
    }

    /// What sees the events of the log.
    pub(crate) fn watch(&self) -> impl FnMut(&Event<'_>) + Send + 'static {
        let (counts, clock) = (Arc::clone(&self.counts), Arc::clone(&self.clock));
        move |event| counts.lock().unwrap_or_else(PoisonError::into_inner).see(event, clock.uptime())
    }

    /// Writes the file; what a run did does not depend on that.
    pub(crate) fn write(&self, received: u64, status: Status, log: &mut Log) {
        let page = self.page(received, status);
        if let Err(why) = replace(&self.file, page.as_bytes()) {
            let detail = format!("failed to write the metrics `{}`: {why}", self.file.display());
            let hint =
                Some("mount a folder there that the container's user may write to; the run's end is not changed");
            log.record(&Event::Warning { reason: "metrics_failed", detail: &detail, hint });
        }
    }

    fn page(&self, received: u64, status: Status) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = Page { root: escaped(&self.root), text: String::new() };
        for metric in Metric::ALL {
            let (name, label, help) = metric.about();
            // Writing to a String cannot fail.
            let _ = write!(page.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            let value = match metric {
                Metric::Plugins => {
                    for outcome in OUTCOMES {
                        page.add(name, label, outcome, counts.outcomes.get(outcome).unwrap_or(&0));
                    }
                    continue;
                }
                Metric::Rejected => {
                    for (reason, count) in &counts.reasons {
                        page.add(name, label, reason, count);
                    }
                    continue;
                }
                Metric::Received => received.to_string(),
                Metric::Duration => seconds(self.clock.uptime().saturating_sub(self.started)),
                Metric::LockWait => seconds(counts.waited),
                Metric::Fetch => seconds(Duration::from_millis(counts.fetch_ms)),
                Metric::ExitStatus => (status as u8).to_string(),
                Metric::End => seconds(self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
                Metric::Installer => "1".to_owned(),
            };
            page.add(name, label, env!("CARGO_PKG_VERSION"), &value);
        }
        page.text
    }
}

struct Page {
    /// Escaped.
    root: String,
    text: String,
}

impl Page {
    /// Adds a value; `labelled` is that of the label, where there is one.
    fn add(&mut self, name: &str, label: Option<&str>, labelled: &str, value: &dyn Display) {
        let root = &self.root;
        let label = label.map(|label| format!(",{label}=\"{}\"", escaped(labelled))).unwrap_or_default();
        let _ = writeln!(self.text, "{name}{{root=\"{root}\"{label}}} {value}");
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use audit::{Blame, SkipReason};
    use transport::Stop;

    /// Each look at it is a second later than the one before.
    struct Ticking(Mutex<u64>);

    impl Clock for Ticking {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_716_800_250)
        }

        fn uptime(&self) -> Duration {
            let mut ticks = self.0.lock().unwrap();
            *ticks += 1;
            Duration::from_secs(*ticks)
        }

        fn sleep(&self, _: Duration, _: &Stop) {}
    }

    #[test]
    fn page_is_as_documented() {
        let clock: Arc<dyn Clock> = Arc::new(Ticking(Mutex::new(0)));
        let meter = Meter::start(Path::new("metrics.prom"), Path::new("/a \"root\"\\with\nall"), &clock);
        let mut watch = meter.watch();
        let lock = |state| Event::Progress(Progress::Lock { state, path: "" });
        let skipped = |reason| Event::PluginSkipped { package: "", reason };
        let rejected = |reason| Event::PluginRejected {
            package: "",
            reason,
            mismatch: None,
            cause: None,
            detail: "",
            hint: None,
            blame: Blame::Operator,
            line: 1,
            file: None,
        };
        for event in [
            lock(LockState::Waiting),
            lock(LockState::Taken),
            skipped(SkipReason::Unchanged),
            skipped(SkipReason::Disabled),
            rejected("source_not_allowed"),
            rejected("oci_pull_failed"),
            rejected("source_not_allowed"),
            Event::PluginRemoved { name: "", dest: "" },
            lock(LockState::Released),
        ] {
            watch(&event);
        }
        let page = meter.page(20_481, Status::Rejected);
        insta::assert_snapshot!("page", page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn outcomes_are_those_of_the_log() {
        // A reason that is new has no place here until it is given one.
        let next = |skip: &SkipReason<'_>| match skip {
            SkipReason::Disabled => Some(SkipReason::Absent { path: "" }),
            SkipReason::Absent { .. } => Some(SkipReason::Unchanged),
            SkipReason::Unchanged => Some(SkipReason::SameDigest),
            SkipReason::SameDigest => Some(SkipReason::Aborted),
            SkipReason::Aborted => None,
        };
        let skips = std::iter::successors(Some(SkipReason::Disabled), next).map(SkipReason::code);
        let others = ["installed", "rejected", "removed"];
        assert_eq!(skips.chain(others).collect::<BTreeSet<_>>(), OUTCOMES.into_iter().collect());
    }

    #[test]
    fn wait_that_ends_with_the_run_is_measured() {
        let mut counts = Counts::default();
        let path = "";
        counts.see(&Event::Progress(Progress::Lock { state: LockState::Waiting, path }), Duration::from_secs(2));
        let (reason, detail, blame) = ("lock_timeout", "", Blame::Operator);
        counts.see(&Event::Fatal { reason, detail, hint: None, blame, others: 0 }, Duration::from_secs(5));
        assert_eq!(counts.waited, Duration::from_secs(3));
    }
}
