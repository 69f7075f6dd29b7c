//! A run, from its plan to its last record.

mod visible;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use audit::{Event, LockState, Log, PluginKind};
use config::{Dialect, OnReject, Pull};
use fetch::Fetcher;
use integrity::Promise;
use transport::Stop;

use crate::cache::Cache;
use crate::root::{LockedRoot, left};
use crate::shared::Shared;
use crate::shop::Shop;
use crate::slot::{Progress, Slot};
use crate::state::Known;
use crate::tell::{kind_of, millis, tell_lock, tell_progress, tell_start, tell_step, tell_stretch, tell_warning};
use crate::workers::{Task, Word, work};
use crate::{Belief, Chain, Job, Rejected, Report, Root, RootError, RunError};

/// Carries a job out and tells the log: each plugin's outcome in the file's order, then one last record.
///
/// All entries are judged before the first request is made. Plugins are fetched, verified and staged side by side;
/// they become visible together.
///
/// # Errors
/// When the root cannot be used, when a plugin is rejected and the plan is fail-closed, or when the run is stopped.
/// Nothing visible has changed then.
pub fn run(job: Job, fetcher: &Arc<Fetcher>, log: &mut Log) -> Result<Report, RunError> {
    let started = job.clock.uptime();
    tell_start(&job, log);
    let mut run = Run::admit(job);
    run.tell_verdicts(log);
    let result = run.carry_out(fetcher, log);
    run.tell_outcomes(&result, log);
    if run.is_released {
        tell_lock(&run.job, LockState::Released, log);
    }
    let duration_ms = millis(run.job.clock.uptime().saturating_sub(started));
    match &result {
        Ok(Report { installed, rejected, skipped, removed, .. }) => log.record(&Event::Completed {
            installed: *installed,
            rejected: *rejected,
            skipped: *skipped,
            removed: *removed,
            duration_ms,
        }),
        Err(error) => log.record(&Event::Fatal {
            reason: error.reason(),
            detail: &Chain(error).to_string(),
            hint: error.hint().as_deref(),
            blame: error.blame(),
            others: error.others(),
        }),
    }
    result
}

struct Run {
    job: Job,
    slots: Vec<Slot>,
    /// Name and destination of what was removed.
    removed: Vec<(String, String)>,
    /// Whether the root was locked and is free again.
    is_released: bool,
}

impl Run {
    /// Judges every entry, without network and root.
    fn admit(mut job: Job) -> Self {
        let entries = std::mem::take(&mut job.plan.entries);
        let slots = entries.into_iter().map(|entry| Slot::judge(entry, &job.plan.policy)).collect();
        Self { job, slots, removed: Vec::new(), is_released: false }
    }

    /// Says that every entry is judged; whatever asks the network does so after this.
    fn tell_verdicts(&self, log: &mut Log) {
        let admitted = self.count(|progress| matches!(progress, Progress::Pending(_)));
        let rejected = self.count(|progress| matches!(progress, Progress::Rejected(_)));
        let detail = format!("{admitted} admitted, {rejected} rejected");
        log.record(&Event::Step { step: "judged", package: "", detail: &detail });
    }

    fn carry_out(&mut self, fetcher: &Arc<Fetcher>, log: &mut Log) -> Result<Report, RunError> {
        self.check_rejections()?;
        let root = self.lock(log)?;
        tell_lock(&self.job, LockState::Taken, log);
        if self.slots.is_empty() && root.state.as_ref().is_some_and(|state| !state.plugins.is_empty()) {
            tell_warning("no_plugin_listed", "the file lists no plugin, so those installed before are removed", log);
        }
        for remark in &root.remarks {
            tell_warning(remark.reason, &remark.detail, log);
        }
        let result = self.see_to_all(&root, fetcher, log).and_then(|()| self.make_visible(&root, log));
        if matches!(result, Err(RunError::Commit { undone: false, .. })) {
            return result;
        }
        match root.release(&self.job.stop) {
            Ok(()) => self.is_released = true,
            Err(error) => tell_warning("staging_left", &left(&error), log),
        }
        result
    }

    /// In a fail-closed run the first rejection ends it.
    fn check_rejections(&self) -> Result<(), RunError> {
        if self.job.plan.on_reject == OnReject::Continue {
            return Ok(());
        }
        self.first_rejected().map_or(Ok(()), |rejected| Err(RunError::Rejected(rejected)))
    }

    fn first_rejected(&self) -> Option<Rejected> {
        let mut rejected = self.slots.iter().filter_map(|slot| match &slot.progress {
            Progress::Rejected(why) => Some((&slot.package, why)),
            _ => None,
        });
        let (package, why) = rejected.next()?;
        let others = match self.job.plan.dialect {
            // There the first one stands for the run.
            Dialect::Butler => 0,
            Dialect::Rhdh => rejected.count(),
        };
        Some(Rejected::of(package, why, others))
    }

    fn lock(&self, log: &mut Log) -> Result<LockedRoot, RootError> {
        let Job { locking, clock, stop, .. } = &self.job;
        Root::open(&self.job.root)?.lock(locking, &**clock, stop, &mut |holder| {
            tell_lock(&self.job, LockState::Waiting, log);
            tell_warning("lock_wait", &format!("waiting for {holder} to finish with the plugin root"), log);
        })
    }

    /// A portal does not wait for a cache: without it, all is fetched.
    fn open_cache(&self, root: &LockedRoot, log: &mut Log) -> Option<Cache> {
        let caching = self.job.caching.as_ref()?;
        let opened = Cache::open(caching, &root.dir, &self.job.stop);
        if let Err(error) = &opened
            && !self.job.stop.is_asked()
        {
            let folder = caching.folder.display();
            let detail = format!("failed to open the cache folder `{folder}`: {error}; the run goes on without");
            tell_warning("cache_failed", &detail, log);
        }
        opened.ok()
    }

    /// Fetches, verifies and stages what is not on the root already.
    fn see_to_all(&mut self, root: &LockedRoot, fetcher: &Arc<Fetcher>, log: &mut Log) -> Result<(), RunError> {
        let tasks: VecDeque<Task> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(number, slot)| match &slot.progress {
                Progress::Pending(pending) => Some(Task::of(number, pending, root.state.as_ref())),
                _ => None,
            })
            .collect();
        self.tell_queued(&tasks, log);
        let is_believed = |known: &Known| self.job.belief == Belief::State && known.record.synced;
        let believed = tasks.iter().filter(|task| task.known.as_ref().is_some_and(is_believed)).count();
        if believed > 0 {
            let detail = format!("the files of {believed} installed plugins are not read, as the state is trusted");
            tell_warning("state_trusted", &detail, log);
        }
        let unwritable = |source| RootError::Unwritable { act: "share the folder", source };
        let shop = Shop {
            root: root.dir.try_clone().map_err(unwritable)?,
            staging: Arc::clone(&root.staging),
            fetcher: Arc::clone(fetcher),
            cache: self.open_cache(root, log),
            limits: self.job.limits,
            belief: self.job.belief,
            dialect: self.job.plan.dialect,
            local: self.job.local.clone(),
            shared: Shared::among(tasks.iter().map(|task| (task.source.subject(), &task.promise))),
            path: self.job.root.clone(),
            clock: Arc::clone(&self.job.clock),
            stop: Stop::new(),
        };
        let (abort, interrupt) = (shop.stop.clone(), self.job.stop.clone());
        // There the operator is told of all failures at once.
        let ends_at_once = self.job.plan.on_reject == OnReject::Abort && self.job.plan.dialect == Dialect::Butler;
        let slots = &mut self.slots;
        let worked = work(shop, self.job.jobs, tasks, &interrupt, |word| {
            let finished = match word {
                Word::Stretch { number, stretch } => return tell_stretch(&slots[number], stretch, log),
                Word::Note { shape, detail } => {
                    return tell_progress(audit::Progress::Note { shape, detail: &detail }, log);
                }
                Word::Waiting { number, detail } => {
                    return tell_warning("retry", &format!("`{}`: {detail}", slots[number].package), log);
                }
                Word::Remark(remark) => return tell_warning(remark.reason, &remark.detail, log),
                Word::Cache { number, detail } => {
                    let package = &slots[number].package;
                    return log.record(&Event::Step { step: "cache", package, detail: &detail });
                }
                Word::Finished(finished) => finished,
            };
            let slot = &mut slots[finished.number];
            if let Some(what) = &finished.changed {
                tell_warning("files_changed", &format!("{what}; `{}` is fetched anew", slot.package), log);
            }
            tell_step(&slot.package, &finished, log);
            // After a stop, what ends early says nothing about the plugin.
            if abort.is_asked() {
                return;
            }
            if ends_at_once && finished.outcome.is_err() {
                abort.ask();
            }
            slot.took = finished.took;
            slot.settle(finished.outcome);
        });
        if interrupt.is_asked() {
            return Err(RunError::Interrupted);
        }
        self.check_rejections()?;
        let lost = worked.err().map_or(io::ErrorKind::Other, |error| error.kind());
        for slot in &mut self.slots {
            slot.give_up(lost);
        }
        self.check_rejections()
    }

    /// How many plugins of each kind are fetched, as far as that is known before anything is looked at.
    fn tell_queued(&self, tasks: &VecDeque<Task>, log: &mut Log) {
        let is_asked = |task: &Task| task.pull == Pull::Always && !matches!(task.promise, Promise::Hashes(_));
        let is_wanted = |task: &&Task| task.known.is_none() || task.pull == Pull::Force || is_asked(task);
        for kind in [PluginKind::Oci, PluginKind::Npm] {
            let of_kind = tasks.iter().filter(is_wanted);
            let plugin_count = of_kind.filter(|task| kind_of(&self.slots[task.number].progress) == kind).count();
            if plugin_count > 0 {
                let workers = self.job.jobs.get().min(plugin_count);
                tell_progress(audit::Progress::Queued { kind, plugin_count, workers }, log);
            }
        }
    }

    fn count(&self, of: fn(&Progress) -> bool) -> usize {
        self.slots.iter().filter(|slot| of(&slot.progress)).count()
    }

    fn tell_outcomes(&self, result: &Result<Report, RunError>, log: &mut Log) {
        for slot in &self.slots {
            slot.tell(&self.job, result, log);
        }
        for (name, dest) in &self.removed {
            log.record(&Event::PluginRemoved { name, dest: &self.job.path_of(dest) });
        }
    }
}
