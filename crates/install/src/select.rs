//! Which of the plugins that are ready may become visible: one for each destination, and no two at odds.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};

use config::{AppConfig, Dialect, Fragment};
use tarball::{Destination, Dir, Kind, Limits, read_manifest};

use crate::state::{Known, Removal, State};
use crate::{Obstacle, Rejection, Remark};

/// What a portal looks for in a folder.
const MANIFEST: &str = "package.json";
/// What Red Hat Developer Hub's installer leaves in each folder that it makes, and how long it is.
const ORIGINALS_MARK: &str = "dynamic-plugin-config.hash";
const MARK_LEN: u64 = 64;
/// Most of its folders that one run removes.
const ORIGINALS_LIMIT: usize = 10_000;

/// Most folders that are named because nobody knows whose they are.
const FOLDERS_NAMED: usize = 20;

/// Decides in the file's order; the first to claim something has it.
pub(crate) struct Selection<'a> {
    /// `None` where there is none yet.
    root: Option<&'a Dir>,
    state: Option<&'a State>,
    limits: &'a Limits,
    dialect: Dialect,
    hands: Hands,
    /// By their lower-cased names, as volumes that do not tell cases apart have them.
    taken: HashMap<String, Taken>,
    app_config: AppConfig,
}

/// Whether folders are made ready to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hands {
    /// They are.
    On,
    /// They are only looked at.
    Off,
}

/// A destination that somebody has.
struct Taken {
    dest: String,
    package: String,
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
    /// What Red Hat Developer Hub's installer put there.
    Original,
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

impl Retired {
    /// What is told of the plugin in `dest`, if it stays.
    pub(crate) fn remark(&self, dest: &str) -> Option<Remark> {
        let (reason, detail) = match self {
            Self::Removable | Self::Gone => return None,
            Self::Foreign => ("folder_not_ours", format!("`{dest}` is another plugin by now, and stays")),
            Self::Stuck(error) => ("removal_failed", format!("`{dest}` cannot be removed, and stays: {error}")),
        };
        Some(Remark { reason, detail })
    }
}

impl<'a> Selection<'a> {
    pub(crate) fn new(
        root: Option<&'a Dir>,
        state: Option<&'a State>,
        limits: &'a Limits,
        dialect: Dialect,
        hands: Hands,
    ) -> Self {
        let app_config = match dialect {
            Dialect::Butler => AppConfig::default(),
            Dialect::Rhdh => AppConfig::rhdh(),
        };
        Self { root, state, limits, dialect, hands, taken: HashMap::new(), app_config }
    }

    /// Lets a plugin have its destination and its piece of app-config.
    pub(crate) fn claim(&mut self, package: &str, dest: &str, fragment: Option<Fragment>) -> Result<(), Rejection> {
        let lower = dest.to_lowercase();
        if let Some(first) = self.taken.get(&lower) {
            let package = first.package.clone();
            let by = if first.dest == dest {
                Obstacle::Plugin { package }
            } else {
                Obstacle::OtherCase { package, dest: first.dest.clone() }
            };
            return Err(Rejection::Destination { dest: dest.to_owned(), by });
        }
        self.add(package, fragment)?;
        self.taken.insert(lower, Taken { dest: dest.to_owned(), package: package.to_owned() });
        Ok(())
    }

    /// Adds a plugin's piece of app-config.
    pub(crate) fn add(&mut self, package: &str, fragment: Option<Fragment>) -> Result<(), Rejection> {
        match fragment {
            Some(fragment) => Ok(self.app_config.merge(package, fragment)?),
            None => Ok(()),
        }
    }

    /// The text of the merged app-config, when any plugin has a piece of it.
    pub(crate) fn app_config(&self) -> Option<String> {
        (!self.app_config.is_empty()).then(|| self.app_config.to_yaml())
    }

    /// Makes sure that what is at a destination may be replaced, and can be moved out of the way.
    pub(crate) fn make_way(&self, dest: &str, name: &str) -> Result<Before, Rejection> {
        let immovable = |source| Rejection::Immovable { dest: dest.to_owned(), source };
        let before = self.look_at(dest, Some(name)).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => immovable(source),
            _ => Rejection::Host { act: "look at the destination", source },
        })?;
        let before = match before {
            // Somebody changed the name in a copy of ours. The plugin that belongs there takes it back.
            Err(Obstacle::ForeignFolder) if self.is_known(dest) => Before::Ours,
            before => before.map_err(|by| Rejection::Destination { dest: dest.to_owned(), by })?,
        };
        match self.make_movable(dest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(immovable(error)),
            _ => Ok(before),
        }
    }

    /// Names folders that a portal takes for plugins and that no state of ours lists, as there is none: a limited
    /// number, and how many more there are.
    pub(crate) fn unknown(&self, known: &HashSet<String>) -> io::Result<Vec<Remark>> {
        let (mut named, mut more) = (Vec::new(), 0);
        let (None, Some(root)) = (self.state, self.root) else { return Ok(Vec::new()) };
        for entry in root.entries()? {
            let (name, kind) = entry?;
            let Some(name) = name.to_str().filter(|name| kind == Kind::Directory && !known.contains(*name)) else {
                continue;
            };
            if root.open_dir(name).and_then(|folder| folder.kind(MANIFEST)).is_ok_and(|kind| kind.is_some()) {
                if named.len() < FOLDERS_NAMED { named.push(name.to_owned()) } else { more += 1 }
            }
        }
        named.sort_unstable();
        let named = named.iter().map(|name| {
            format!(
                "`{name}` was not made by us as far as is known: it stays until a plugin comes that it is a copy of"
            )
        });
        let details = named.chain((more > 0).then(|| format!("{more} more folders like these")));
        Ok(details.map(|detail| Remark { reason: "folder_left", detail }).collect())
    }

    /// What becomes of each plugin of ours that has none of these destinations.
    pub(crate) fn leaving(&self, claimed: &HashSet<String>) -> io::Result<Vec<(&'a Known, Retired)>> {
        let plugins = self.state.map_or(&[][..], |state| &state.plugins);
        let leaving = plugins.iter().map(|known| (known, &known.record)).filter(|(_, r)| !claimed.contains(&r.dest));
        leaving.map(|(known, record)| Ok((known, self.retire(&record.dest, Some(&record.name))?))).collect()
    }

    /// Names the folders that Red Hat Developer Hub's installer made, that nobody claims, and that can be removed.
    pub(crate) fn originals(&self, claimed: &HashSet<String>) -> io::Result<Vec<Removal>> {
        let mut found = Vec::new();
        let Some(root) = self.root else { return Ok(found) };
        for entry in root.entries()? {
            let (name, kind) = entry?;
            let Some(dest) = name.to_str().filter(|name| kind == Kind::Directory && !claimed.contains(*name)) else {
                continue;
            };
            let Ok(dest) = Destination::parse(dest) else { continue };
            let is_originals = match root.open_dir(dest.as_str()).and_then(|folder| is_originals(&folder)) {
                // Another user's, perhaps: no start would get past it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
                found => found?,
            };
            if is_originals && found.len() < ORIGINALS_LIMIT {
                found.push(Removal { dest, name: None });
            }
        }
        found.sort_unstable_by(|a, b| a.dest.cmp(&b.dest));
        let mut removable = Vec::new();
        for removal in found {
            if let Retired::Removable = self.retire(removal.dest.as_str(), None)? {
                removable.push(removal);
            }
        }
        Ok(removable)
    }

    /// Decides what becomes of a plugin of ours that the file no longer asks for.
    pub(crate) fn retire(&self, dest: &str, name: Option<&str>) -> io::Result<Retired> {
        match self.look_to_retire(dest, name) {
            // Another user's, perhaps: no start would get past it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Retired::Stuck(error)),
            looked => looked,
        }
    }

    fn look_to_retire(&self, dest: &str, name: Option<&str>) -> io::Result<Retired> {
        let Some(root) = self.root else { return Ok(Retired::Gone) };
        if root.kind(dest)? != Some(Kind::Directory) {
            return Ok(Retired::Gone);
        }
        if self.is_taken_in_another_case(root, dest)? {
            return Ok(Retired::Gone);
        }
        if self.look_at(dest, name)?.is_err() {
            return Ok(Retired::Foreign);
        }
        self.make_movable(dest).map(|()| Retired::Removable)
    }

    fn make_movable(&self, dest: &str) -> io::Result<()> {
        match (self.hands, self.root) {
            (Hands::On, Some(root)) => root.make_movable(dest),
            (Hands::Off, _) | (_, None) => Ok(()),
        }
    }

    /// Whether a plugin that stays has this very folder, by a name that only its case makes another.
    fn is_taken_in_another_case(&self, root: &Dir, dest: &str) -> io::Result<bool> {
        let Some(taken) = self.taken.get(&dest.to_lowercase()).filter(|taken| taken.dest != dest) else {
            return Ok(false);
        };
        match root.open_dir(&taken.dest) {
            Ok(folder) => folder.is_within(&root.open_dir(dest)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn look_at(&self, dest: &str, name: Option<&str>) -> io::Result<Result<Before, Obstacle>> {
        let Some(root) = self.root else { return Ok(Ok(Before::Ours)) };
        Ok(match occupant(root, dest, name, self.limits)? {
            Occupant::Nobody => Ok(Before::Ours),
            // Torn by a power cut, or tampered with: the state says that it was ours.
            Occupant::Same | Occupant::Original | Occupant::Unreadable if self.is_known(dest) => Ok(Before::Ours),
            // The latter is what the original leaves when it is killed.
            Occupant::Original | Occupant::Unreadable if self.dialect == Dialect::Rhdh => Ok(Before::Adopted),
            Occupant::Same => Ok(Before::Adopted),
            Occupant::Original | Occupant::Unreadable => Err(Obstacle::ForeignFolder),
            Occupant::Stranger(obstacle) => Err(obstacle),
        })
    }

    fn is_known(&self, dest: &str) -> bool {
        self.state.is_some_and(|state| state.plugins.iter().any(|known| known.record.dest == dest))
    }
}

/// Looks who is at a destination. The plugin that belongs there is the one of that name, if one is known, or any whose
/// folder would be that one.
pub(crate) fn occupant(root: &Dir, dest: &str, name: Option<&str>, limits: &Limits) -> io::Result<Occupant> {
    match root.kind(dest)? {
        None => return Ok(Occupant::Nobody),
        Some(Kind::Directory) => {}
        Some(Kind::Symlink) => return Ok(Occupant::Stranger(Obstacle::Symlink)),
        Some(Kind::File | Kind::Special) => return Ok(Occupant::Stranger(Obstacle::File)),
    }
    let folder = root.open_dir(dest)?;
    if is_originals(&folder)? {
        return Ok(Occupant::Original);
    }
    Ok(match read_manifest(&folder, limits) {
        Ok(found) if Some(found.name().as_str()) == name => Occupant::Same,
        Ok(found) if found.name().destination().as_str() == dest => Occupant::Same,
        Ok(_) => Occupant::Stranger(Obstacle::ForeignFolder),
        Err(_) => Occupant::Unreadable,
    })
}

/// Whether the installer of Red Hat Developer Hub made a folder: it leaves a digest of the entry in each.
fn is_originals(folder: &Dir) -> io::Result<bool> {
    let file = match folder.open_file(ORIGINALS_MARK) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            return Ok(false);
        }
        opened => opened?,
    };
    let mut mark = Vec::new();
    file.take(MARK_LEN + 1).read_to_end(&mut mark)?;
    Ok(mark.len() as u64 == MARK_LEN && mark.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    const MARK: &str = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789";

    fn put(root: &Path, folder: &str, mark: &str) {
        fs::create_dir(root.join(folder)).unwrap();
        fs::write(root.join(folder).join(ORIGINALS_MARK), mark).unwrap();
    }

    #[test]
    fn folder_with_the_originals_mark_and_nobody_who_claims_it_is_an_original() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for (folder, mark) in [
            ("z", MARK),
            ("a", MARK),
            ("claimed", MARK),
            (".hidden", MARK),
            ("short", &MARK[1..]),
            ("long", &format!("{MARK}0")),
            ("newline", &format!("{}\n", &MARK[1..])),
            ("no-digest", &MARK.replace('0', "g")),
            ("empty", ""),
        ] {
            put(root.path(), folder, mark);
        }
        fs::create_dir(at("unmarked")).unwrap();
        fs::create_dir_all(at("folder").join(ORIGINALS_MARK)).unwrap();
        fs::write(at("mark"), MARK).unwrap();
        fs::create_dir(at("linked-mark")).unwrap();
        symlink("../mark", at("linked-mark").join(ORIGINALS_MARK)).unwrap();
        symlink("a", at("link")).unwrap();
        let (dir, limits) = (Dir::open(root.path()).unwrap(), Limits::default());
        let selection = Selection::new(Some(&dir), None, &limits, Dialect::Rhdh, Hands::On);
        let found = selection.originals(&HashSet::from(["claimed".to_owned()])).unwrap();
        let found: Vec<_> = found.iter().map(|removal| (removal.dest.as_str(), removal.name.as_deref())).collect();
        assert_eq!(found, [("a", None), ("z", None)]);
    }

    #[test]
    fn destinations_that_only_case_tells_apart_are_one() {
        let root = tempfile::tempdir().unwrap();
        let (dir, limits) = (Dir::open(root.path()).unwrap(), Limits::default());
        let mut selection = Selection::new(Some(&dir), None, &limits, Dialect::Rhdh, Hands::On);
        selection.claim("first", "Plugin", None).unwrap();
        selection.claim("another", "plugin-b", None).unwrap();
        for (dest, expected) in [
            ("Plugin", "the destination `Plugin` is taken: `first` goes there"),
            (
                "pluGin",
                "the destination `pluGin` is taken: `first` goes to `Plugin`, which is the same where case does not count",
            ),
        ] {
            let why = selection.claim("second", dest, None).unwrap_err();
            assert_eq!((why.reason(), why.to_string().as_str()), ("destination_conflict", expected));
        }
    }

    #[test]
    fn folder_that_another_case_claims_is_removed_where_it_is_another_one() {
        let root = tempfile::tempdir().unwrap();
        let (dir, limits) = (Dir::open(root.path()).unwrap(), Limits::default());
        put(root.path(), "Plugin", MARK);
        let mut selection = Selection::new(Some(&dir), None, &limits, Dialect::Rhdh, Hands::On);
        selection.claim("first", "plugin", None).unwrap();
        for row in ["nothing there yet", "two folders"] {
            assert!(matches!(selection.retire("Plugin", None).unwrap(), Retired::Removable), "{row}");
            fs::create_dir_all(root.path().join("plugin")).unwrap();
        }
    }

    #[test]
    fn folder_that_cannot_be_looked_at_is_stuck() {
        for mode in [0o000, 0o555] {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), "plugin", MARK);
            for (name, mode) in [(".", 0o755), ("plugin", mode)] {
                fs::set_permissions(root.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
            }
            let dir = Dir::open(root.path()).unwrap();
            // One thread alone is another user, where there is a choice.
            let looked = std::thread::spawn(move || {
                let _ = rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_532));
                let limits = Limits::default();
                let selection = Selection::new(Some(&dir), None, &limits, Dialect::Rhdh, Hands::On);
                (selection.retire("plugin", None), selection.make_way("plugin", "x").map_err(|why| why.hint()))
            });
            let (retired, way) = looked.join().unwrap();
            assert!(matches!(retired, Ok(Retired::Stuck(_))), "{mode:o}: {retired:?}");
            let hint = way.unwrap_err();
            assert!(hint.as_ref().is_some_and(|hint| hint.contains("runAsUser")), "{mode:o}: {hint:?}");
            fs::set_permissions(root.path().join("plugin"), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn original_gives_way_in_its_own_dialect_and_in_no_other() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "plugin", MARK);
        let (dir, limits) = (Dir::open(root.path()).unwrap(), Limits::default());
        for (dialect, expected) in [(Dialect::Rhdh, Some(Before::Adopted)), (Dialect::Butler, None)] {
            let selection = Selection::new(Some(&dir), None, &limits, dialect, Hands::On);
            assert_eq!(selection.make_way("plugin", "@org/other").ok(), expected, "{dialect:?}");
            let is_removable = matches!(selection.retire("plugin", None).unwrap(), Retired::Removable);
            assert_eq!(is_removable, expected.is_some(), "{dialect:?}");
        }
    }
}
