//! Symlinks: made after everything else, then proved to stay inside by walking them.

use std::io;

use crate::dir::Kind;
use crate::entry_path::{EntryPath, EntryPathError, harmless, split};
use crate::error::{Exceeded, Unsafe};
use crate::tree::Tree;
use crate::{Limits, UnpackError};

/// Links followed for one link before it counts as endless, as on Linux.
const HOPS: u32 = 40;
/// Bytes of memory for one link beside its two texts.
const OVERHEAD: usize = 64;

/// Symlinks waiting for the end of the archive. Until then there is no link on disk that a later entry could pass.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
    bytes: usize,
}

/// A symlink at `path`, relative to the plugin, with its text.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) path: Box<str>,
    pub(crate) target: Box<str>,
}

impl Links {
    pub(crate) fn defer(&mut self, path: &str, target: &str, limits: &Limits) -> Result<(), UnpackError> {
        self.bytes += path.len() + target.len() + OVERHEAD;
        if self.bytes > limits.symlinks {
            return Err(Exceeded::Symlinks { max: limits.symlinks }.into());
        }
        self.links.push(Link { path: path.into(), target: target.into() });
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }
}

/// The text of a symlink, as far as it can be judged without a file system.
pub(crate) fn target<'t>(entry: &EntryPath, raw: &'t [u8], limits: &Limits) -> Result<&'t str, UnpackError> {
    let name = entry.as_str().as_bytes();
    let text = harmless(raw).map_err(|source| UnpackError::name(name, source))?;
    if text.is_empty() {
        return Err(UnpackError::name(name, EntryPathError::Empty));
    }
    if text.len() > limits.path {
        return Err(UnpackError::name(name, EntryPathError::Length { max: limits.path }));
    }
    if text.starts_with('/') {
        return Err(UnpackError::unsafe_entry(name, Unsafe::AbsoluteLink));
    }
    Ok(text)
}

/// For links that are not written: whether the text alone leaves the archive.
pub(crate) fn stays_inside(entry: &EntryPath, target: &str) -> Result<(), UnpackError> {
    let mut depth = entry.as_str().matches('/').count();
    for component in target.split('/') {
        depth = match component {
            "" | "." => Some(depth),
            ".." => depth.checked_sub(1),
            _ => Some(depth + 1),
        }
        .ok_or_else(|| UnpackError::unsafe_entry(entry.as_str().as_bytes(), Unsafe::EscapingLink))?;
    }
    Ok(())
}

/// Walks one link through the tree as the kernel would, and fails where it leaves the tree.
///
/// What does not exist is walked by its text: a dangling link inside is harmless, and stays so if someone fills the gap.
pub(crate) fn prove(tree: &mut Tree<'_>, link: &Link, limits: &Limits, steps: &mut u64) -> Result<(), UnpackError> {
    let refused = |why| UnpackError::unsafe_entry(link.path.as_bytes(), why);
    let failed = |source: io::Error| UnpackError::host("resolve", &link.path, source);
    let mut at = split(&link.path).0.to_owned();
    // How many components at the end of `at` are no directory on disk.
    let mut missing = 0_usize;
    let mut hops = 1;
    let mut ahead = components(&link.target);
    while let Some(name) = ahead.pop() {
        *steps += 1;
        if *steps > limits.symlink_steps {
            return Err(Exceeded::SymlinkSteps { max: limits.symlink_steps }.into());
        }
        if name == ".." {
            if at.is_empty() {
                return Err(refused(Unsafe::EscapingLink));
            }
            at.truncate(split(&at).0.len());
            missing = missing.saturating_sub(1);
            continue;
        }
        if missing == 0 {
            let dir = tree.dir(&at).map_err(failed)?;
            match dir.kind(&name).map_err(failed)? {
                Some(Kind::Directory) => {}
                Some(Kind::Symlink) => {
                    hops += 1;
                    if hops > HOPS {
                        return Err(refused(Unsafe::LinkLoop));
                    }
                    let target = dir.read_link(&name).map_err(failed)?;
                    let target = target.to_str().ok_or_else(|| refused(Unsafe::EscapingLink))?;
                    if target.starts_with('/') {
                        return Err(refused(Unsafe::EscapingLink));
                    }
                    ahead.append(&mut components(target));
                    continue;
                }
                Some(Kind::File | Kind::Special) | None => missing = 1,
            }
        } else {
            missing += 1;
        }
        if !at.is_empty() {
            at.push('/');
        }
        at.push_str(&name);
    }
    Ok(())
}

/// The components of a link's text, the first one last.
fn components(target: &str) -> Vec<String> {
    target.split('/').rev().filter(|name| !matches!(*name, "" | ".")).map(str::to_owned).collect()
}
