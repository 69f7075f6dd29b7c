//! One entry of the file on its way, and what is told of it in the end.

use std::io;
use std::time::Duration;

use audit::{Event, Log, SkipReason};
use config::{Admitted, Entry, Fragment, Pull, Request};
use integrity::Promise;
use source::SourcePolicy;

use crate::select::{Before, Selection};
use crate::tell::{millis, tell_rejection, was_interrupted};
use crate::workers::Ready;
use crate::{Job, Rejection, Report, RunError};

/// One entry of the file on its way.
pub(crate) struct Slot {
    pub(crate) package: String,
    pub(crate) line: u32,
    /// The file of that line, where several may be read.
    pub(crate) file: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) took: Duration,
}

pub(crate) enum Progress {
    Disabled,
    Rejected(Box<Rejection>),
    Pending(Pending),
    Ready { ready: Ready, wanted: Pending, adopted: bool },
}

pub(crate) struct Pending {
    pub(crate) admitted: source::Allowed<source::Source>,
    pub(crate) promise: Promise,
    pub(crate) pull: Pull,
    pub(crate) fragment: Option<Fragment>,
}

impl Slot {
    /// Judges an entry, without network and root.
    pub(crate) fn judge(entry: Entry, policy: &SourcePolicy) -> Self {
        let Entry { package, place, request, .. } = entry;
        let progress = match request {
            Request::Disabled => Progress::Disabled,
            Request::Wanted(wanted) => match wanted.admit(policy) {
                Ok(Admitted { source, promise, plugin_config, pull, .. }) => {
                    Progress::Pending(Pending { admitted: source, promise, pull, fragment: plugin_config })
                }
                Err(why) => Progress::Rejected(Box::new(why.into())),
            },
        };
        let file = place.file().map(str::to_owned);
        Self { package, line: place.position().line, file, progress, took: Duration::ZERO }
    }

    pub(crate) fn settle(&mut self, outcome: Result<Ready, Box<Rejection>>) {
        self.progress = match (std::mem::replace(&mut self.progress, Progress::Disabled), outcome) {
            (Progress::Pending(wanted), Ok(ready)) => Progress::Ready { ready, wanted, adopted: false },
            (Progress::Pending(_), Err(why)) => Progress::Rejected(why),
            (other, _) => other,
        };
    }

    /// Rejects a plugin that no worker saw to the end of.
    pub(crate) fn give_up(&mut self, why: io::ErrorKind) {
        if matches!(self.progress, Progress::Pending(_)) {
            let lost = Rejection::Host { act: "keep a worker for the plugin", source: why.into() };
            self.progress = Progress::Rejected(Box::new(lost));
        }
    }

    pub(crate) fn claim(&mut self, selection: &mut Selection<'_>) {
        let Progress::Ready { ready, wanted, adopted } = &mut self.progress else { return };
        let fragment = wanted.fragment.take();
        let claimed = match ready {
            Ready::Absent => selection.add(&self.package, fragment).map(|()| Before::Ours),
            // It was found intact, so there is nothing to look at.
            Ready::Unchanged(known) | Ready::SameDigest(known) => {
                selection.claim(&self.package, &known.record.dest, fragment).map(|()| Before::Ours)
            }
            Ready::Staged(staged) => {
                let dest = staged.destination();
                selection
                    .make_way(dest.as_str(), staged.manifest().name().as_str())
                    .and_then(|before| selection.claim(&self.package, dest.as_str(), fragment).map(|()| before))
            }
        };
        match claimed {
            Ok(before) => *adopted = before == Before::Adopted,
            Err(why) => self.progress = Progress::Rejected(Box::new(why)),
        }
    }

    pub(crate) fn tell(&self, job: &Job, result: &Result<Report, RunError>, log: &mut Log) {
        let package = self.package.as_str();
        match &self.progress {
            Progress::Rejected(why) => tell_rejection(self, why, log),
            Progress::Ready { .. } | Progress::Pending(_) if was_interrupted(result) => {
                tell_rejection(self, &Rejection::Interrupted, log);
            }
            _ if matches!(result, Err(RunError::Rejected(_))) => {
                log.record(&Event::PluginSkipped { package, reason: SkipReason::Aborted });
            }
            Progress::Disabled => log.record(&Event::PluginSkipped { package, reason: SkipReason::Disabled }),
            Progress::Ready { .. } | Progress::Pending(_) if result.is_err() => {
                log.record(&Event::PluginSkipped { package, reason: SkipReason::Aborted });
            }
            Progress::Ready { ready: Ready::Absent, .. } => {
                let path = job.local.path_of(package).display().to_string();
                log.record(&Event::PluginSkipped { package, reason: SkipReason::Absent { path: &path } });
            }
            Progress::Ready { ready: Ready::SameDigest(_), .. } => {
                log.record(&Event::PluginSkipped { package, reason: SkipReason::SameDigest });
            }
            Progress::Ready { ready: Ready::Unchanged(_), .. } => {
                log.record(&Event::PluginSkipped { package, reason: SkipReason::Unchanged });
            }
            Progress::Ready { ready: Ready::Staged(staged), wanted, adopted } => {
                let manifest = staged.manifest();
                log.record(&Event::PluginInstalled {
                    package,
                    integrity: &wanted.promise,
                    name: manifest.name().as_str(),
                    dest: &job.path_of(staged.destination().as_str()),
                    version: manifest.version(),
                    bytes: staged.bytes(),
                    duration_ms: millis(self.took),
                    manifest: staged.origin(),
                    adopted: *adopted,
                    cached: staged.cached,
                });
            }
            // `give_up` leaves none; should there be one, it is not visible.
            Progress::Pending(_) => {
                tell_rejection(self, &Rejection::Interrupted, log);
            }
        }
    }
}
