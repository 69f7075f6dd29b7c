//! Symlinks, unpacked or packed: proved to stay inside by walking them when everything else is in place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::dir::Kind;
use crate::entry_path::{EntryPathError, harmless, split};
use crate::error::{Exceeded, Unsafe};
use crate::tree::Tree;
use crate::{Dir, Limits, UnpackError};

/// Links followed for one link before it counts as endless, as on Linux.
const HOPS: u32 = 40;
/// Bytes of memory for one link beside its two texts.
const OVERHEAD: usize = 64;

/// Symlinks waiting for the end of the archive, or of the walk through a tree. When unpacking there is no link on disk
/// until then that a later entry could pass.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<Box<str>, Box<str>>,
    bytes: usize,
}

/// A symlink at `path`, relative to the plugin, with its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'l> {
    pub(crate) path: &'l str,
    pub(crate) target: &'l str,
}

/// Why a symlink is not taken.
#[derive(Debug)]
pub(crate) enum LinkFault {
    Text(EntryPathError),
    Unsafe(Unsafe),
    Exceeded(Exceeded),
    /// The tree could not be read.
    Io(io::Error),
}

impl LinkFault {
    /// As the reason not to unpack the link at `path`.
    pub(crate) fn unpacking(self, path: &str) -> UnpackError {
        match self {
            Self::Text(source) => UnpackError::name(path.as_bytes(), source),
            Self::Unsafe(why) => UnpackError::unsafe_entry(path.as_bytes(), why),
            Self::Exceeded(exceeded) => UnpackError::from(exceeded).with_entry(path.as_bytes()),
            Self::Io(source) => UnpackError::host("resolve", path, source),
        }
    }
}

impl Links {
    pub(crate) fn defer(&mut self, path: &str, target: &str, limits: &Limits) -> Result<(), LinkFault> {
        self.bytes += path.len() + target.len() + OVERHEAD;
        if self.bytes > limits.symlinks {
            return Err(LinkFault::Exceeded(Exceeded::Symlinks { max: limits.symlinks }));
        }
        match self.links.insert(path.into(), target.into()) {
            None => Ok(()),
            Some(_) => Err(LinkFault::Unsafe(Unsafe::Duplicate)),
        }
    }

    /// All of them, in the order of their paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Link<'_>> {
        self.links.iter().map(|(path, target)| Link { path, target })
    }

    /// Whether `path` leads through one of them.
    pub(crate) fn stand_above(&self, path: &str) -> bool {
        !self.links.is_empty() && path.match_indices('/').any(|(at, _)| self.links.contains_key(&path[..at]))
    }

    /// Forgets the link at `path`.
    pub(crate) fn forget(&mut self, path: &str) {
        self.links.remove(path);
    }

    /// Forgets the links below the folder at `path`, all links for the empty one, except those to be kept.
    pub(crate) fn forget_below(&mut self, path: &str, kept: impl Fn(&str) -> bool) {
        // What is below a folder stands together in the order of bytes, between `/` and the byte after it.
        let (first, past) = (format!("{path}/"), format!("{path}0"));
        let within = match path {
            "" => (Unbounded, Unbounded),
            _ => (Included(&*first), Excluded(&*past)),
        };
        let gone = self.links.range::<str, _>(within).map(|(path, _)| path).filter(|path| !kept(path));
        for path in gone.cloned().collect::<Vec<_>>() {
            self.links.remove(&path);
        }
    }
}

/// The text of a symlink, as far as it can be judged without a file system.
pub(crate) fn target<'t>(raw: &'t [u8], limits: &Limits) -> Result<&'t str, LinkFault> {
    let text = harmless(raw).map_err(LinkFault::Text)?;
    if text.is_empty() {
        return Err(LinkFault::Text(EntryPathError::Empty));
    }
    if text.len() > limits.path {
        return Err(LinkFault::Text(EntryPathError::Length { max: limits.path }));
    }
    if text.starts_with('/') {
        return Err(LinkFault::Unsafe(Unsafe::AbsoluteLink));
    }
    Ok(text)
}

/// For links that are not written: whether the text alone leaves the archive in which the link is at `path`.
pub(crate) fn stays_inside(path: &str, target: &str) -> Result<(), LinkFault> {
    let mut depth = path.matches('/').count();
    for component in target.split('/') {
        depth = match component {
            "" | "." => Some(depth),
            ".." => depth.checked_sub(1),
            _ => Some(depth + 1),
        }
        .ok_or(LinkFault::Unsafe(Unsafe::EscapingLink))?;
    }
    Ok(())
}

/// Walks one link through the tree as the kernel would, and fails where it leaves the tree.
///
/// What does not exist is walked by its text: a dangling link inside is harmless, and stays so if someone fills the gap.
pub(crate) fn prove(tree: &mut Tree<'_>, link: Link<'_>, limits: &Limits, steps: &mut u64) -> Result<(), LinkFault> {
    let mut at = split(link.path).0.to_owned();
    // How many components at the end of `at` are no directory on disk.
    let mut missing = 0_usize;
    let mut hops = 1;
    let mut ahead = components(link.target);
    while let Some(name) = ahead.pop() {
        step(steps, 1, limits)?;
        if name == ".." {
            if at.is_empty() {
                return Err(LinkFault::Unsafe(Unsafe::EscapingLink));
            }
            at.truncate(split(&at).0.len());
            missing = missing.saturating_sub(1);
            continue;
        }
        if missing == 0 {
            let opened = tree.opened();
            let there = tree.dir(&at).and_then(|dir| There::look(dir, &name)).map_err(LinkFault::Io)?;
            // Going up and down in a deep tree opens much of it again for a name or two.
            step(steps, tree.opened() - opened, limits)?;
            match there {
                There::Folder => {}
                There::Symlink(target) => {
                    hops += 1;
                    if hops > HOPS {
                        return Err(LinkFault::Unsafe(Unsafe::LinkLoop));
                    }
                    let target = target.to_str().ok_or(LinkFault::Unsafe(Unsafe::EscapingLink))?;
                    if target.starts_with('/') {
                        return Err(LinkFault::Unsafe(Unsafe::EscapingLink));
                    }
                    ahead.append(&mut components(target));
                    continue;
                }
                There::NoWayOn => missing = 1,
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

/// What a component of a path leads to.
enum There {
    Folder,
    Symlink(OsString),
    NoWayOn,
}

impl There {
    fn look(dir: &Dir, name: &str) -> io::Result<Self> {
        Ok(match dir.kind(name)? {
            Some(Kind::Directory) => Self::Folder,
            Some(Kind::Symlink) => Self::Symlink(dir.read_link(name)?),
            Some(Kind::File | Kind::Special) | None => Self::NoWayOn,
        })
    }
}

fn step(steps: &mut u64, taken: u64, limits: &Limits) -> Result<(), LinkFault> {
    *steps += taken;
    if *steps > limits.symlink_steps {
        return Err(LinkFault::Exceeded(Exceeded::SymlinkSteps { max: limits.symlink_steps }));
    }
    Ok(())
}

/// The components of a link's text, the first one last.
fn components(target: &str) -> Vec<String> {
    target.split('/').rev().filter(|name| !matches!(*name, "" | ".")).map(str::to_owned).collect()
}
