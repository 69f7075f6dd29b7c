//! Which of the plugins that are ready may become visible: one for each destination, and no two at odds.

use std::collections::HashMap;

use config::{AppConfig, Fragment};
use tarball::{Dir, Kind, Limits, read_manifest};

use crate::state::State;
use crate::{Obstacle, Rejection};

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

impl<'a> Selection<'a> {
    pub(crate) fn new(root: &'a Dir, state: Option<&'a State>, limits: &'a Limits) -> Self {
        Self { root, state, limits, taken: HashMap::new(), app_config: AppConfig::default() }
    }

    /// Lets a plugin have its destination and its piece of app-config.
    pub(crate) fn claim(&mut self, package: &str, dest: &str, fragment: Option<Fragment>) -> Result<Before, Rejection> {
        let taken = |by| Rejection::Destination { dest: dest.to_owned(), by };
        if let Some(first) = self.taken.get(dest) {
            return Err(taken(Obstacle::Plugin { package: first.clone() }));
        }
        let before = self.look_at(dest).map_err(|source| Rejection::Host { act: "look at the destination", source })?;
        let before = before.map_err(taken)?;
        if let Some(fragment) = fragment {
            self.app_config.merge(package, fragment)?;
        }
        self.taken.insert(dest.to_owned(), package.to_owned());
        Ok(before)
    }

    /// The text of the merged app-config, when any plugin has a piece of it.
    pub(crate) fn app_config(&self) -> Option<String> {
        (!self.app_config.is_empty()).then(|| self.app_config.to_yaml())
    }

    fn look_at(&self, dest: &str) -> std::io::Result<Result<Before, Obstacle>> {
        match self.root.kind(dest)? {
            None => return Ok(Ok(Before::Ours)),
            Some(Kind::Directory) => {}
            Some(Kind::Symlink) => return Ok(Err(Obstacle::Symlink)),
            Some(Kind::File | Kind::Special) => return Ok(Err(Obstacle::File)),
        }
        let ours = |state: &State| state.plugins.iter().any(|known| known.record.dest == dest);
        if self.state.is_some_and(ours) {
            return Ok(Ok(Before::Ours));
        }
        let folder = self.root.open_dir(dest)?;
        let is_copy =
            read_manifest(&folder, self.limits).is_ok_and(|found| found.name().destination().as_str() == dest);
        Ok(if is_copy { Ok(Before::Adopted) } else { Err(Obstacle::ForeignFolder) })
    }
}
