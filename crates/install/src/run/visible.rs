//! The end of a run: what is ready becomes visible, and what nobody asks for goes.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use audit::Log;
use config::Dialect;

use super::Run;
use crate::commit::{Changes, Committed, Durability, Put};
use crate::root::LockedRoot;
use crate::select::{Hands, Retired, Selection};
use crate::slot::Progress;
use crate::state::{Known, PluginRecord, Removal};
use crate::tell::tell_warning;
use crate::workers::Ready;
use crate::{Belief, Remark, Report, RunError};

impl Run {
    /// Chooses what may become visible, and makes it so.
    pub(super) fn make_visible(&mut self, root: &LockedRoot, log: &mut Log) -> Result<Report, RunError> {
        let mut selection =
            Selection::new(Some(&root.dir), root.state.as_ref(), &self.job.limits, self.job.plan.dialect, Hands::On);
        for slot in &mut self.slots {
            slot.claim(&mut selection);
        }
        let app_config = selection.app_config();
        self.check_rejections()?;
        let mut changes = self.changes(app_config);
        let untouched = |source| RunError::Commit { source, undone: true };
        let mut named: HashSet<String> = {
            let put = changes.put.iter().map(|put| &put.record.dest);
            put.chain(changes.keep.iter().map(|known| &known.record.dest)).cloned().collect()
        };
        retire_known(&selection, &named, &mut changes, log).map_err(untouched)?;
        // These are named by their plugins' rejections.
        named.extend(self.slots.iter().filter_map(|slot| match &slot.progress {
            Progress::Rejected(why) => why.destination().map(str::to_owned),
            _ => None,
        }));
        if self.job.plan.dialect == Dialect::Rhdh {
            named.extend(changes.remove.iter().map(|removal| removal.dest.to_string()));
            // As that installer would remove what it made and nobody claims.
            let originals = selection.originals(&named).map_err(untouched)?;
            named.extend(originals.iter().map(|removal| removal.dest.to_string()));
            changes.remove.extend(originals);
        }
        tell_remarks(selection.unknown(&named).map_err(untouched)?, log);
        if self.job.stop.is_asked() {
            return Err(RunError::Interrupted);
        }
        let changes = Arc::new(changes);
        let Committed { removed, unsynced } = root.commit(&changes, &self.job.stop)?;
        if let Some(Err(error)) = self.job.index.as_ref().map(|index| index.keep(&root.dir)) {
            tell_warning("index_forgotten", &format!("failed to remember the catalog index: {error}"), log);
        }
        if let Some(error) = unsynced {
            let detail = format!("the plugins are visible, but a power cut may undo that: {error}");
            tell_warning("sync_failed", &detail, log);
        }
        self.removed = changes
            .remove
            .iter()
            .filter(|removal| removed.iter().any(|dest| dest == removal.dest.as_str()))
            .map(|removal| (removal.name.clone().unwrap_or_default(), removal.dest.to_string()))
            .collect();
        Ok(Report {
            installed: changes.put.len(),
            rejected: self.count(|progress| matches!(progress, Progress::Rejected(_))),
            skipped: self.count(|progress| {
                matches!(
                    progress,
                    Progress::Disabled
                        | Progress::Ready { ready: Ready::Unchanged(_) | Ready::SameDigest(_) | Ready::Absent, .. }
                )
            }),
            removed: self.removed.len(),
            first_rejected: self.first_rejected(),
        })
    }

    /// What is put and what stays.
    fn changes(&self, app_config: Option<String>) -> Changes {
        let durability = match self.job.belief {
            Belief::Content => Durability::State,
            Belief::State => Durability::Content,
        };
        let synced = durability == Durability::Content;
        let now = self.job.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let installer = self.job.version;
        let mut changes = Changes { app_config, durability, installer, now, ..Changes::default() };
        for slot in &self.slots {
            match &slot.progress {
                Progress::Ready { ready: Ready::Unchanged(known) | Ready::SameDigest(known), .. } => {
                    let mut known = Known::clone(known);
                    known.record.synced |= synced;
                    changes.keep.push(known);
                }
                Progress::Ready { ready: Ready::Staged(staged), wanted, .. } => {
                    let manifest = staged.manifest();
                    let record = PluginRecord {
                        name: manifest.name().as_str().to_owned(),
                        version: manifest.version().to_owned(),
                        dest: staged.destination().to_string(),
                        source: wanted.admitted.subject().to_string(),
                        integrity: wanted.promise.to_string(),
                        manifest: staged.origin().map(ToString::to_string),
                        installer: installer.to_owned(),
                        installed: now,
                        synced,
                        files: staged.files(),
                        folders: staged.folders(),
                    };
                    changes.put.push(Put { names: staged.names.clone(), record });
                }
                _ => {}
            }
        }
        changes
    }
}

/// What we installed and the file does not ask for any more goes, if it can.
fn retire_known(
    selection: &Selection<'_>,
    claimed: &HashSet<String>,
    changes: &mut Changes,
    log: &mut Log,
) -> io::Result<()> {
    for (known, retired) in selection.leaving(claimed)? {
        let dest = &known.record.dest;
        tell_remarks(retired.remark(dest), log);
        match retired {
            Retired::Removable => {
                let dest = known.record.destination()?;
                changes.remove.push(Removal { dest, name: Some(known.record.name.clone()) });
            }
            Retired::Gone | Retired::Foreign => {}
            Retired::Stuck(_) => changes.keep.push(known.clone()),
        }
    }
    Ok(())
}

fn tell_remarks(remarks: impl IntoIterator<Item = Remark>, log: &mut Log) {
    for Remark { reason, detail } in remarks {
        tell_warning(reason, &detail, log);
    }
}
