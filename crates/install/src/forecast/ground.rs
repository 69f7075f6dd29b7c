//! The root, as a run would find it, and what there the plugins of a list claim, take over and leave.

use std::collections::HashSet;
use std::io;

use config::{Dialect, OnReject};
use source::Source;
use tarball::{Dir, Kind};

use super::{Act, Certainty, Foreseen, ends, unreadable};
use crate::inspect::{Condition, Depth, inspect};
use crate::inventory::open;
use crate::lock::holder;
use crate::root::refuse_obstacles;
use crate::select::{Before, Hands, Retired, Selection};
use crate::slot::{Pending, Progress, Slot};
use crate::staging::{STAGING, Staging, run_folder};
use crate::state::{Known, STATE, State};
use crate::{InventoryError, Job, Obstacle, Rejection, Remark, RootError};

/// The root of a job.
pub(super) struct Ground {
    /// `None` where there is none, and the run would make it.
    pub(super) dir: Option<Dir>,
    pub(super) state: Option<State>,
}

impl Ground {
    pub(super) fn open(job: &Job, remarks: &mut Vec<Remark>) -> Result<Self, InventoryError> {
        let dir = match open(&job.root) {
            Err(InventoryError::Root(RootError::Missing { root })) if job.plan.dialect == Dialect::Rhdh => {
                let detail = format!("there is no folder `{root}`: a run would make it");
                remarks.push(Remark { reason: "root_missing", detail });
                return Ok(Self { dir: None, state: None });
            }
            opened => opened?,
        };
        refuse_obstacles(&dir).map_err(InventoryError::Root)?;
        // Who cannot ask learns it from the run.
        if let Ok(Some(holder)) = holder(&dir) {
            let detail = format!("{holder} works on the root: what is said here is true of what it is like now");
            remarks.push(Remark { reason: "lock_wait", detail });
        }
        let state = State::read(&dir).map_err(|source| InventoryError::Unreadable { what: "the record", source })?;
        match &state {
            None if dir.kind(STATE).map_err(unreadable)?.is_some() => remarks.push(Remark {
                reason: "state_lost",
                detail: format!("`{STATE}` is not whole: listed plugins would be fetched and verified anew"),
            }),
            Some(State { header, .. }) if header.commit.is_some() => remarks.push(Remark {
                reason: "commit_open",
                detail:
                    "plugins are being made visible, by an installer at work or by one that was killed: a run would \
                         finish that first"
                        .to_owned(),
            }),
            _ => {}
        }
        Ok(Self { dir: Some(dir), state })
    }

    /// Where a plugin of ours would lie once an open commit is finished.
    pub(super) fn place_of(&self, dir: &Dir, known: &Known, job: &Job) -> io::Result<Option<(Dir, String)>> {
        let dest = &known.record.dest;
        let intent = self.state.as_ref().and_then(|state| state.header.commit.as_ref());
        let moved = intent.and_then(|intent| Some((intent.run, intent.put.iter().find(|m| m.dest.as_str() == dest)?)));
        let Some((run, moved)) = moved else { return Ok(None) };
        if inspect(known, dir, dest, Depth::Content, &job.stop)? == Condition::Intact {
            return Ok(None);
        }
        let (staging, name) = (dir.open_dir(STAGING)?.open_dir(run_folder(run))?, Staging::names(moved.staged).folder);
        Ok((staging.kind(&name)? == Some(Kind::Directory)).then_some((staging, name)))
    }

    /// Chooses as a run does once all artifacts are there, as far as that is decided without them.
    pub(super) fn select(
        &self,
        job: &Job,
        slots: &mut [Slot],
        plugins: &mut Vec<Foreseen>,
        remarks: &mut Vec<Remark>,
    ) -> io::Result<()> {
        let (dir, dialect) = (self.dir.as_ref(), job.plan.dialect);
        let mut selection = Selection::new(dir, self.state.as_ref(), &job.limits, dialect, Hands::Off);
        let mut refused = HashSet::new();
        // Whether somebody came by whose name is not known: the place, or the app-config, of any that follows may be theirs.
        let mut is_open = false;
        for (slot, plugin) in slots.iter_mut().zip(&mut *plugins).filter(|(_, plugin)| plugin.act != Act::Reject) {
            let Progress::Pending(pending) = &mut slot.progress else { continue };
            if is_open {
                plugin.contest();
            }
            if let Err(why) = claim(&mut selection, &slot.package, pending, plugin) {
                refused.extend(why.destination().map(str::to_owned));
                plugin.reject(&why);
            }
            is_open |= plugin.certainty == Certainty::Assumed;
        }
        let is_settled = |plugin: &Foreseen| plugin.act == Act::Reject && plugin.certainty == Certainty::Known;
        // Who turns out to be called like another is rejected, wherever it stands, and that ends the run for all.
        if is_open && job.plan.on_reject == OnReject::Abort && !plugins.iter().any(is_settled) {
            plugins.iter_mut().for_each(Foreseen::contest);
        }
        if ends(job, plugins) {
            return Ok(());
        }
        self.pair(slots, plugins);
        leave(&selection, dialect, refused, plugins, remarks)
    }

    /// Takes what comes for another version of what is installed: by its folder where that is sure, else by its source.
    fn pair(&self, slots: &[Slot], plugins: &mut [Foreseen]) {
        let mut left: Vec<&Known> = self.state.iter().flat_map(|state| &state.plugins).collect();
        left.retain(|known| {
            !plugins.iter().any(|p| p.act != Act::Install && p.dest.as_ref() == Some(&known.record.dest))
        });
        for (slot, plugin) in slots.iter().zip(plugins) {
            let Progress::Pending(pending) = &slot.progress else { continue };
            if plugin.act != Act::Install {
                continue;
            }
            let key = key_of(pending.admitted.subject());
            let is_of_source =
                |known: &Known| Source::parse_rhdh(&known.record.source).is_ok_and(|s| key_of(&s) == key);
            let found = left.iter().position(|known| match &plugin.dest {
                Some(dest) => known.record.dest == *dest,
                None => is_of_source(known),
            });
            if let Some(at) = found {
                let known = left.remove(at);
                plugin.act = Act::Replace;
                plugin.dest = Some(known.record.dest.clone());
                plugin.was(known);
            }
        }
    }
}

/// Claims what a plugin needs, as far as its place is sure, and notes what it would take over there.
fn claim(
    selection: &mut Selection<'_>,
    package: &str,
    pending: &mut Pending,
    plugin: &mut Foreseen,
) -> Result<(), Rejection> {
    let fragment = pending.fragment.take();
    let Some(dest) = plugin.sure_dest() else { return selection.add(package, fragment) };
    let name = match (&plugin.installed, pending.admitted.subject()) {
        (Some(installed), _) => Some(&*installed.name),
        (None, Source::Npm(spec)) => Some(spec.name().as_str()),
        (None, _) => None,
    };
    let (before, certainty) = match plugin.act {
        Act::Unchanged => (Before::Ours, plugin.certainty),
        _ => match selection.make_way(dest, name.unwrap_or_default()) {
            // It may be a copy of this very plugin.
            Err(Rejection::Destination { by: Obstacle::ForeignFolder, .. }) if name.is_none() => {
                (Before::Adopted, Certainty::Assumed)
            }
            before => (before?, plugin.certainty),
        },
    };
    selection.claim(package, dest, fragment)?;
    if before == Before::Adopted {
        plugin.act = Act::Adopt;
        plugin.certainty = certainty;
    }
    Ok(())
}

/// Tells what goes, what stays though nobody lists it, and what is nobody's.
fn leave(
    selection: &Selection<'_>,
    dialect: Dialect,
    refused: HashSet<String>,
    plugins: &mut Vec<Foreseen>,
    remarks: &mut Vec<Remark>,
) -> io::Result<()> {
    let coming = plugins.iter().filter(|plugin| !matches!(plugin.act, Act::Skip | Act::Reject));
    let mut named: HashSet<_> = coming.filter_map(|plugin| plugin.dest.clone()).collect();
    let is_open = |plugin: &Foreseen| plugin.act.brings() && plugin.certainty == Certainty::Assumed;
    let certainty = if plugins.iter().any(is_open) { Certainty::Assumed } else { Certainty::Known };
    for (known, retired) in selection.leaving(&named)? {
        let dest = &known.record.dest;
        match retired {
            Retired::Removable => plugins.push(Foreseen::removal(dest.clone(), Some(known), certainty)),
            stays => remarks.extend(stays.remark(dest)),
        }
    }
    named.extend(refused);
    if dialect == Dialect::Rhdh {
        named.extend(plugins.iter().filter(|plugin| plugin.act == Act::Remove).filter_map(|p| p.dest.clone()));
        let originals = selection.originals(&named)?;
        named.extend(originals.iter().map(|removal| removal.dest.to_string()));
        let removal = |dest: String| Foreseen::removal(dest, None, certainty);
        plugins.extend(originals.into_iter().map(|original| removal(original.dest.to_string())));
    }
    remarks.extend(selection.unknown(&named)?);
    Ok(())
}

/// What is the same of two sources that are two versions of one plugin.
fn key_of(source: &Source) -> String {
    match source {
        Source::Oci(reference) => {
            format!("{}!{}", reference.image(), reference.plugin_path().map_or("", |p| p.as_str()))
        }
        Source::Npm(spec) => spec.key(),
        Source::Git(spec) => spec.key(),
        Source::Local(path) => path.key(),
        Source::Https(url) => url.to_string(),
    }
}
