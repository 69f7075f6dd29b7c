//! Finishing what a killed run had begun.

use std::io;

use tarball::{Dir, Kind, Limits};
use transport::Stop;

use crate::Obstacle;
use crate::commit::{APP_CONFIG, APP_CONFIG_STAGED, is_our_app_config, put_in_place, removed};
use crate::inspect::{Condition, Depth, inspect};
use crate::root::Remark;
use crate::select::{Occupant, occupant};
use crate::staging::{Names, STAGING, Staging, open_or_make, run_folder};
use crate::state::{Known, Move, Removal, SETTLED, STATE, State};

/// Reads the state; when a commit was under way, carries it through first.
pub(crate) fn settle(root: &Dir, stop: &Stop, remarks: &mut Vec<Remark>) -> io::Result<Option<State>> {
    let Some(State { header, plugins }) = read(root, remarks)? else {
        bring_back(root)?;
        return Ok(None);
    };
    let Some(intent) = &header.commit else { return Ok(Some(State { header, plugins })) };
    remarks.push(Remark {
        reason: "commit_resumed",
        detail: "an earlier run was stopped while it made plugins visible; its commit was carried through".to_owned(),
    });
    let staging = open_or_make(&open_or_make(root, STAGING)?, run_folder(intent.run))?;
    let mut unfinished = Vec::new();
    for Move { staged, dest } in &intent.put {
        let names = Staging::names(*staged);
        // One that the state to come does not have is not installed, whoever wrote that.
        let Some(known) = plugins.iter().find(|known| known.record.dest == dest.as_str()) else { continue };
        if finish_plugin(root, &staging, known, &names, stop, remarks)? == Finished::Not {
            unfinished.push(dest.as_str().to_owned());
        }
    }
    for removal in &intent.remove {
        finish_removal(root, &staging, removal, remarks)?;
    }
    if staging.kind(APP_CONFIG_STAGED)?.is_some() {
        staging.rename(APP_CONFIG_STAGED, root, APP_CONFIG)?;
    } else if header.app_config.is_none() && is_our_app_config(root)? {
        root.remove_file(APP_CONFIG)?;
    }
    root.sync()?;
    staging.rename(SETTLED, root, STATE)?;
    root.sync()?;
    let mut state = read(root, remarks)?;
    for known in state.iter_mut().flat_map(|state| &mut state.plugins) {
        // Whatever the state says of it, nobody has synced what is there.
        known.record.synced &= !unfinished.contains(&known.record.dest);
    }
    Ok(state)
}

/// Where nobody knows any more what a commit was to bring, what it had moved away first goes back to its place.
fn bring_back(root: &Dir) -> io::Result<()> {
    let Some(intent) = State::intent(root)? else { return Ok(()) };
    let Ok(staging) = root.open_dir(STAGING).and_then(|staging| staging.open_dir(run_folder(intent.run))) else {
        return Ok(());
    };
    for Move { staged, dest } in &intent.put {
        let old = Staging::names(*staged).old;
        if root.kind(dest.as_str())?.is_none() && staging.kind(&old)? == Some(Kind::Directory) {
            staging.rename(&old, root, dest.as_str())?;
        }
    }
    Ok(())
}

fn read(root: &Dir, remarks: &mut Vec<Remark>) -> io::Result<Option<State>> {
    let state = State::read(root)?;
    if state.is_none() && root.kind(STATE)?.is_some() {
        remarks.push(Remark {
            reason: "state_lost",
            detail: format!("`{STATE}` is not whole; listed plugins are fetched and verified anew"),
        });
    }
    Ok(state)
}

/// Whether the new copy is where it belongs.
#[derive(Debug, PartialEq, Eq)]
enum Finished {
    Now,
    /// It is torn, or somebody else is in its place: this run sees to it.
    Not,
}

/// Decides by content which copy is the new one: it is visible already, or staged still, or lost.
fn finish_plugin(
    root: &Dir,
    staging: &Dir,
    known: &Known,
    names: &Names,
    stop: &Stop,
    remarks: &mut Vec<Remark>,
) -> io::Result<Finished> {
    let is_new = |parent: &Dir, name: &str| {
        inspect(known, parent, name, Depth::Content, stop).map(|condition| condition == Condition::Intact)
    };
    let dest = &known.record.dest;
    if is_new(root, dest)? {
        return Ok(Finished::Now);
    }
    if is_new(staging, &names.folder)? {
        if let Occupant::Stranger(obstacle) = occupant(root, dest, Some(&known.record.name), &Limits::default())? {
            remarks.push(stranger(dest, &obstacle));
            return Ok(Finished::Not);
        }
        return put_in_place(staging, &names.folder, &names.old, root, dest).map(|_| Finished::Now);
    }
    // Torn by a power cut: the old copy, if it had been moved away, is better than none until this run fetches anew.
    if root.kind(dest)?.is_none() && staging.kind(&names.old)?.is_some() {
        staging.rename(&names.old, root, dest)?;
    }
    Ok(Finished::Not)
}

/// Takes a plugin away, unless that was done before or somebody else is in its place.
fn finish_removal(root: &Dir, staging: &Dir, removal: &Removal, remarks: &mut Vec<Remark>) -> io::Result<()> {
    let dest = removal.dest.as_str();
    match occupant(root, dest, removal.name.as_deref(), &Limits::default())? {
        Occupant::Nobody => Ok(()),
        Occupant::Same | Occupant::Original | Occupant::Unreadable if staging.kind(removed(dest))?.is_none() => {
            root.rename(dest, staging, removed(dest))
        }
        Occupant::Stranger(obstacle) => {
            remarks.push(stranger(dest, &obstacle));
            Ok(())
        }
        Occupant::Same | Occupant::Original | Occupant::Unreadable => {
            remarks.push(stranger(dest, &Obstacle::ForeignFolder));
            Ok(())
        }
    }
}

fn stranger(dest: &str, obstacle: &Obstacle) -> Remark {
    Remark { reason: "folder_not_ours", detail: format!("`{dest}` was left as it is: {obstacle}") }
}
