//! What the log is told of a run, but for the outcome of each plugin.

use std::time::Duration;

use audit::{Event, LockState, Log, PluginKind};
use config::OnReject;
use source::Source;

use crate::lock::LOCK;
use crate::slot::{Progress, Slot};
use crate::workers::{Finished, Ready, Stretch};
use crate::{Chain, Job, Rejection, Report, RootError, RunError};

impl Job {
    /// A destination, as the log shows it.
    pub(crate) fn path_of(&self, dest: &str) -> String {
        self.root.join(dest).display().to_string()
    }
}

pub(crate) fn tell_start(job: &Job, log: &mut Log) {
    log.record(&Event::Startup {
        config_file: &job.config_file,
        root: &job.root.display().to_string(),
        continue_on_error: job.plan.on_reject == OnReject::Continue,
        plugin_count: job.plan.entries.len(),
        allowed_sources: &job.plan.policy,
        version: job.version,
        sandbox: &job.sandbox,
    });
    if job.plan.policy.is_permissive() {
        log.record(&Event::StartupPermissiveMode);
    }
}

pub(crate) fn was_interrupted(result: &Result<Report, RunError>) -> bool {
    matches!(result, Err(RunError::Interrupted | RunError::Root(RootError::Interrupted)))
}

pub(crate) fn tell_warning(reason: &str, detail: &str, log: &mut Log) {
    log.record(&Event::Warning { reason, detail, hint: None });
}

pub(crate) fn tell_progress(progress: audit::Progress<'_>, log: &mut Log) {
    log.record(&Event::Progress(progress));
}

pub(crate) fn tell_stretch(Slot { package, progress, .. }: &Slot, stretch: Stretch, log: &mut Log) {
    let image = package.split('!').next().unwrap_or_default();
    let told = match stretch {
        Stretch::Installing => audit::Progress::Installing { package, kind: kind_of(progress) },
        Stretch::Downloading => audit::Progress::Downloading { image },
        Stretch::Verifying => audit::Progress::Verifying { package },
    };
    tell_progress(told, log);
}

pub(crate) fn tell_lock(job: &Job, state: LockState, log: &mut Log) {
    tell_progress(audit::Progress::Lock { state, path: &job.path_of(LOCK) }, log);
}

/// The kind of a plugin that is to be seen to.
pub(crate) fn kind_of(progress: &Progress) -> PluginKind {
    match progress {
        Progress::Pending(pending) if matches!(pending.admitted.subject(), Source::Oci(_)) => PluginKind::Oci,
        _ => PluginKind::Npm,
    }
}

pub(crate) fn tell_step(package: &str, finished: &Finished, log: &mut Log) {
    let (step, what) = match &finished.outcome {
        Ok(Ready::Unchanged(known) | Ready::SameDigest(known)) => {
            ("inspected", format!("{} files are as they were", known.record.files))
        }
        Ok(Ready::Absent) => ("absent", "there is nothing at its path".to_owned()),
        Ok(Ready::Staged(staged)) => {
            let from = if staged.cached { "cached bytes" } else { "bytes" };
            ("staged", format!("{} files from {} {from}", staged.files(), staged.bytes()))
        }
        Err(why) => ("rejected", why.reason().to_owned()),
    };
    let detail = format!("{what}, in {} ms", millis(finished.took));
    log.record(&Event::Step { step, package, detail: &detail });
}

pub(crate) fn tell_rejection(slot: &Slot, why: &Rejection, log: &mut Log) {
    let detail = match why.mismatch() {
        // Both values have fields of their own.
        Some(mismatch) => format!("the artifact's {} bytes are not the pinned ones", mismatch.len),
        None => Chain(why).to_string(),
    };
    log.record(&Event::PluginRejected {
        package: &slot.package,
        reason: why.reason(),
        mismatch: why.mismatch(),
        cause: why.cause(),
        detail: &detail,
        hint: why.hint().as_deref(),
        blame: why.blame(),
        line: slot.line,
        file: slot.file.as_deref(),
    });
}

pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
