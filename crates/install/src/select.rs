//! Which of the plugins that are ready may become visible: one for each destination, and no two at odds.

use std::collections::{HashMap, HashSet};
use std::io;

use config::{AppConfig, Fragment};
use tarball::{Dir, Kind, Limits, read_manifest};

use crate::state::State;
use crate::{Obstacle, Rejection};

/// What a portal looks for in a folder.
const MANIFEST: &str = "package.json";

/// Decides in the file's order; the first to claim something has it.
pub(crate) struct Selection<'a> {
    root: &'a Dir,
    state: Option<&'a State>,
    limits: &'a Limits,
    taken: HashMap<String, String>,
    app_config: AppConfig,
}

/// What a destination was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing, or a plugin of ours.
    Ours,
    /// A copy of the same plugin that we did not make.
    Adopted,
}

/// Who is at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Occupant {
    Nobody,
    /// A copy of the plugin that belongs there.
    Same,
    /// A folder whose `package.json` says nothing.
    Unreadable,
    /// Something else.
    Stranger(Obstacle),
}

/// What becomes of a plugin that is no longer asked for.
#[derive(Debug)]
pub(crate) enum Retired {
    /// It goes.
    Removable,
    /// It is not there, or something else is.
    Gone,
    /// Another plugin is in its place, which we did not put there.
    Foreign,
    /// It cannot be moved.
    Stuck(io::Error),
}

impl<'a> Selection<'a> {
    pub(crate) fn new(root: &'a Dir, state: Option<&'a State>, limits: &'a Limits) -> Self {
        Self { root, state, limits, taken: HashMap::new(), app_config: AppConfig::default() }
    }

    /// Lets a plugin have its destination and its piece of app-config.
    pub(crate) fn claim(&mut self, package: &str, dest: &str, fragment: Option<Fragment>) -> Result<(), Rejection> {
        if let Some(first) = self.taken.get(dest) {
            let by = Obstacle::Plugin { package: first.clone() };
            return Err(Rejection::Destination { dest: dest.to_owned(), by });
        }
        if let Some(fragment) = fragment {
            self.app_config.merge(package, fragment)?;
        }
        self.taken.insert(dest.to_owned(), package.to_owned());
        Ok(())
    }

    /// The text of the merged app-config, when any plugin has a piece of it.
    pub(crate) fn app_config(&self) -> Option<String> {
        (!self.app_config.is_empty()).then(|| self.app_config.to_yaml())
    }

    /// Makes sure that what is at a destination may be replaced, and can be moved out of the way.
    pub(crate) fn make_way(&self, dest: &str) -> Result<Before, Rejection> {
        let before = self.look_at(dest).map_err(|source| Rejection::Host { act: "look at the destination", source })?;
        let before = match before {
            // Somebody changed the name in a copy of ours. The plugin that belongs there takes it back.
            Err(Obstacle::ForeignFolder) if self.is_known(dest) => Before::Ours,
            before => before.map_err(|by| Rejection::Destination { dest: dest.to_owned(), by })?,
        };
        match self.root.make_movable(dest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Rejection::Host { act: "take the installed copy out of the way", source: error })
            }
            _ => Ok(before),
        }
    }

    /// Names folders that a portal takes for plugins and that no state of ours lists, as there is none: at most so many,
    /// and how many more there are.
    pub(crate) fn unknown(&self, known: &HashSet<String>, most: usize) -> io::Result<(Vec<String>, usize)> {
        let (mut named, mut more) = (Vec::new(), 0);
        if self.state.is_some() {
            return Ok((named, more));
        }
        for entry in self.root.entries()? {
            let (name, kind) = entry?;
            let Some(name) = name.to_str().filter(|name| kind == Kind::Directory && !known.contains(*name)) else {
                continue;
            };
            if self.root.open_dir(name).and_then(|folder| folder.kind(MANIFEST)).is_ok_and(|kind| kind.is_some()) {
                if named.len() < most { named.push(name.to_owned()) } else { more += 1 }
            }
        }
        named.sort_unstable();
        Ok((named, more))
    }

    /// Decides what becomes of a plugin of ours that the file no longer asks for.
    pub(crate) fn retire(&self, dest: &str) -> io::Result<Retired> {
        if self.root.kind(dest)? != Some(Kind::Directory) {
            return Ok(Retired::Gone);
        }
        if self.look_at(dest)?.is_err() {
            return Ok(Retired::Foreign);
        }
        match self.root.make_movable(dest) {
            Ok(()) => Ok(Retired::Removable),
            // Another user's, perhaps: no start would get past it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Retired::Stuck(error)),
            Err(error) => Err(error),
        }
    }

    fn look_at(&self, dest: &str) -> io::Result<Result<Before, Obstacle>> {
        Ok(match occupant(self.root, dest, self.limits)? {
            Occupant::Nobody => Ok(Before::Ours),
            // Torn by a power cut, or tampered with: the state says that it was ours.
            Occupant::Same | Occupant::Unreadable if self.is_known(dest) => Ok(Before::Ours),
            Occupant::Same => Ok(Before::Adopted),
            Occupant::Unreadable => Err(Obstacle::ForeignFolder),
            Occupant::Stranger(obstacle) => Err(obstacle),
        })
    }

    fn is_known(&self, dest: &str) -> bool {
        self.state.is_some_and(|state| state.plugins.iter().any(|known| known.record.dest == dest))
    }
}

/// Looks who is at a destination.
pub(crate) fn occupant(root: &Dir, dest: &str, limits: &Limits) -> io::Result<Occupant> {
    match root.kind(dest)? {
        None => return Ok(Occupant::Nobody),
        Some(Kind::Directory) => {}
        Some(Kind::Symlink) => return Ok(Occupant::Stranger(Obstacle::Symlink)),
        Some(Kind::File | Kind::Special) => return Ok(Occupant::Stranger(Obstacle::File)),
    }
    Ok(match read_manifest(&root.open_dir(dest)?, limits) {
        Ok(found) if found.name().destination().as_str() == dest => Occupant::Same,
        Ok(_) => Occupant::Stranger(Obstacle::ForeignFolder),
        Err(_) => Occupant::Unreadable,
    })
}
