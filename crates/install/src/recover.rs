//! Finishing what a killed run had begun.

use std::io;

use tarball::{Dir, Kind};
use transport::Stop;

use crate::commit::{APP_CONFIG, APP_CONFIG_STAGED, is_our_app_config, put_in_place};
use crate::inspect::{Condition, Depth, inspect};
use crate::root::Remark;
use crate::staging::{STAGING, open_or_make};
use crate::state::{Known, Move, SETTLED, STATE, State};

/// Reads the state; when a commit was under way, carries it through first.
pub(crate) fn settle(root: &Dir, stop: &Stop, remarks: &mut Vec<Remark>) -> io::Result<Option<State>> {
    let state = read(root, remarks)?;
    let Some(State { header, plugins }) = &state else { return Ok(state) };
    let Some(intent) = &header.commit else { return Ok(state) };
    remarks.push(Remark {
        reason: "commit_resumed",
        detail: "an earlier run was stopped while it made plugins visible; its commit was carried through".to_owned(),
    });
    // It is there unless somebody else removed it; then what was staged is fetched anew.
    let staging = open_or_make(&open_or_make(root, STAGING)?, &intent.run)?;
    for Move { staged, dest } in &intent.put {
        let known = plugins.iter().find(|known| known.record.dest == *dest);
        finish_plugin(root, &staging, known, staged, dest, stop)?;
    }
    for dest in &intent.remove {
        if root.kind(dest)? == Some(Kind::Directory) {
            root.rename(dest, &staging, format!("{dest}.removed"))?;
        }
    }
    if staging.kind(APP_CONFIG_STAGED)?.is_some() {
        staging.rename(APP_CONFIG_STAGED, root, APP_CONFIG)?;
    } else if header.app_config.is_none() && is_our_app_config(root)? {
        root.remove_file(APP_CONFIG)?;
    }
    if staging.kind(SETTLED)?.is_some() {
        staging.rename(SETTLED, root, STATE)?;
        root.sync()?;
    }
    read(root, remarks)
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

/// Decides by content which copy is the new one: it is visible already, or staged still, or lost. Where nobody knows
/// what the new one is like, there is none.
fn finish_plugin(
    root: &Dir,
    staging: &Dir,
    known: Option<&Known>,
    staged: &str,
    dest: &str,
    stop: &Stop,
) -> io::Result<()> {
    let is_new = |parent: &Dir, name: &str| {
        let Some(known) = known else { return Ok(false) };
        inspect(known, parent, name, Depth::Content, stop).map(|condition| condition == Condition::Intact)
    };
    if is_new(root, dest)? {
        return Ok(());
    }
    let old = format!("{staged}.old");
    if is_new(staging, staged)? {
        return put_in_place(staging, staged, &old, root, dest).map(drop);
    }
    // Torn by a power cut: the old copy, if it had been moved away, is better than none until this run fetches anew.
    if root.kind(dest)?.is_none() && staging.kind(&old)?.is_some() {
        staging.rename(&old, root, dest)?;
    }
    Ok(())
}
