//! What a portal sees on a root, and whether it may.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::content::Content;

/// The merged app-config's name in the root.
pub(super) const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";
/// What the installer writes about a root.
pub(super) const STATE: &str = ".butler-plugins.state";
/// The folder that may be there while a run is under way, and after one that was killed.
pub(super) const STAGING: &str = ".butler-plugins.staging";
/// What the names of our own files begin with.
const OWN: &str = ".butler-plugins.";
/// What the names of lock files begin with. They say who holds them, and stay.
pub(super) const LOCK: &str = ".butler-plugins.lock";
/// What makes a folder a plugin for a portal's scanner.
pub(super) const MANIFEST: &str = "package.json";

/// What a portal's scanner finds: every folder one level down, dot folders too; and the file that it may load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) plugins: BTreeMap<String, Content>,
    pub(super) app_config: Option<Vec<u8>>,
    /// Whether a run is under way, or was killed before it cleaned up.
    pub(super) has_staging: bool,
}

/// How far a change has come, where everything visible is either old or new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// All is as before.
    Before,
    /// Some of it is new.
    During,
    /// All is new.
    After,
}

/// Whether a plugin may be missing that is there before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Names are exchanged: at no instant.
    Never,
    /// The file system cannot exchange names: between two renames.
    BetweenRenames,
}

/// What one plugin, or the app-config, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Alike,
    Old,
    New,
    /// Between two renames.
    Missing,
}

impl Sight {
    /// An empty root.
    pub(super) const NOTHING: Self = Self { plugins: BTreeMap::new(), app_config: None, has_staging: false };

    /// Looks at a root that nobody works on.
    ///
    /// # Errors
    /// Something cannot be read, or is there that neither a plugin nor this program brings.
    pub(super) fn of(root: &Path) -> anyhow::Result<Self> {
        let mut sight = Self::default();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type()?.is_dir();
            if is_folder && name == STAGING {
                let holds_a_plugin = entry.path().join(MANIFEST).symlink_metadata().is_ok();
                ensure!(!holds_a_plugin, "`{name}` looks like a plugin to a scanner");
                sight.has_staging = true;
            } else if is_folder {
                let content = Content::of(&entry.path()).with_context(|| format!("could not read `{name}`"))?;
                sight.plugins.insert(name, content);
            } else if name == APP_CONFIG {
                sight.app_config = Some(fs::read(entry.path())?);
            } else {
                ensure!(name.starts_with(OWN), "`{name}` in the root is of nobody");
            }
        }
        Ok(sight)
    }

    /// Compares with how it was before a change and how it shall be after it.
    ///
    /// # Errors
    /// A plugin or the app-config is neither its old nor its new version, or one is missing that may not.
    pub(super) fn judge(&self, old: &Self, new: &Self, gap: Gap) -> anyhow::Result<Progress> {
        let mut seen = BTreeSet::new();
        let folders: BTreeSet<_> = [self, old, new].into_iter().flat_map(|sight| sight.plugins.keys()).collect();
        for name in folders {
            let [here, before, after] = [self, old, new].map(|sight| sight.plugins.get(name));
            if here.is_none() && before.is_some() && after.is_some() {
                ensure!(gap == Gap::BetweenRenames && before != after, "`{name}` is missing");
                seen.insert(Place::Missing);
                continue;
            }
            let difference = |to: Option<&Content>| match (to, here) {
                (Some(to), Some(here)) => to.difference(here).unwrap_or_default(),
                (None, _) => "expected none".to_owned(),
                (_, None) => "found none".to_owned(),
            };
            let Some(place) = place(&here, &before, &after) else {
                bail!(
                    "`{name}` is neither the old one ({}) nor the new one ({})",
                    difference(before),
                    difference(after)
                );
            };
            seen.insert(place);
        }
        let Some(place) = place(&self.app_config, &old.app_config, &new.app_config) else {
            bail!("`{APP_CONFIG}` is neither the old one nor the new one");
        };
        seen.insert(place);
        seen.remove(&Place::Alike);
        Ok(match seen.into_iter().collect::<Vec<_>>()[..] {
            [] | [Place::Old] => Progress::Before,
            [Place::New] => Progress::After,
            _ => Progress::During,
        })
    }

    /// Holds a root that is at rest against what it shall be.
    ///
    /// # Errors
    /// It is different, or somebody has not cleaned up.
    pub(super) fn expect(&self, wanted: &Self) -> anyhow::Result<()> {
        self.judge(wanted, wanted, Gap::Never)?;
        ensure!(!self.has_staging, "`{STAGING}` is left");
        Ok(())
    }
}

/// A root byte for byte, what is hidden included.
///
/// # Errors
/// Something cannot be read.
pub(super) fn all_but_locks(root: &Path) -> io::Result<Content> {
    Ok(Content::of(root)?.without(LOCK))
}

/// What something is: the old one, the new one, or both when they are alike; nothing when it is neither.
fn place<T: PartialEq>(here: &T, old: &T, new: &T) -> Option<Place> {
    match (here == old, here == new) {
        (true, true) => Some(Place::Alike),
        (true, false) => Some(Place::Old),
        (false, true) => Some(Place::New),
        (false, false) => None,
    }
}

/// The names of all that lies in a root and the bytes of each file, what is hidden included.
///
/// What locks say about their holders is as long as a process's number: those files count as empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weight(BTreeMap<String, u64>);

impl Weight {
    /// Weighs a root.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let mut weights = BTreeMap::new();
        let mut pending = vec![root.to_owned()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let meta = entry.metadata()?;
                let path = entry.path();
                let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                if meta.is_dir() {
                    pending.push(path);
                    weights.insert(name, 0);
                } else {
                    let len = if name.starts_with(LOCK) { 0 } else { meta.len() };
                    weights.insert(name, len);
                }
            }
        }
        Ok(Self(weights))
    }

    /// The bytes of all files together.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().sum()
    }

    /// Holds another root's weight against this one.
    ///
    /// # Errors
    /// Something is there or missing, or has another length.
    pub(super) fn expect(&self, wanted: &Self) -> anyhow::Result<()> {
        let differs = |name: &&String| self.0.get(*name) != wanted.0.get(*name);
        if let Some(name) = self.0.keys().chain(wanted.0.keys()).find(differs) {
            let shown = |len: Option<&u64>| len.map_or_else(|| "nothing".to_owned(), |len| format!("{len} bytes"));
            let (wanted, found) = (shown(wanted.0.get(name)), shown(self.0.get(name)));
            bail!("the volume has grown or shrunk: `{name}`: expected {wanted}, found {found}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Act = fn(&Path) -> io::Result<()>;

    fn plugin(root: &Path, name: &str, version: &str) -> io::Result<()> {
        let folder = root.join(name);
        fs::create_dir_all(folder.join("dist"))?;
        fs::write(folder.join(MANIFEST), format!("{{\"version\":\"{version}\"}}"))?;
        fs::write(folder.join("dist/a.js"), version)?;
        fs::write(folder.join("dist/b.js"), version)
    }

    /// Three roots: before, after, and one to be doctored that is as before.
    fn roots() -> (tempfile::TempDir, Sight, Sight) {
        let folder = tempfile::tempdir().unwrap();
        for root in ["old", "new", "root"] {
            let root = folder.path().join(root);
            let version = if root.ends_with("new") { "2" } else { "1" };
            plugin(&root, "upgraded-dynamic", version).unwrap();
            plugin(&root, "kept-dynamic", "1").unwrap();
            plugin(&root, if root.ends_with("new") { "added-dynamic" } else { "removed-dynamic" }, "1").unwrap();
            fs::write(root.join(APP_CONFIG), version).unwrap();
            fs::write(root.join(".butler-plugins.state"), "{}").unwrap();
        }
        let sight = |root| Sight::of(&folder.path().join(root)).unwrap();
        let (old, new) = (sight("old"), sight("new"));
        (folder, old, new)
    }

    fn after(act: Act, gap: Gap) -> anyhow::Result<Progress> {
        let (folder, old, new) = roots();
        let root = folder.path().join("root");
        act(&root).unwrap();
        Sight::of(&root)?.judge(&old, &new, gap)
    }

    #[test]
    fn a_root_on_its_way_is_before_during_or_after() {
        let rows: [(&str, Act, Progress); 4] = [
            ("nothing done", |_| Ok(()), Progress::Before),
            ("a staging folder alone", |root| fs::create_dir(root.join(STAGING)), Progress::Before),
            ("one plugin put", |root| plugin(root, "upgraded-dynamic", "2"), Progress::During),
            (
                "all done",
                |root| {
                    plugin(root, "upgraded-dynamic", "2")?;
                    plugin(root, "added-dynamic", "1")?;
                    fs::write(root.join(APP_CONFIG), "2")?;
                    fs::remove_dir_all(root.join("removed-dynamic"))
                },
                Progress::After,
            ),
        ];
        for (name, act, expected) in rows {
            assert_eq!(after(act, Gap::Never).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn each_doctored_root_is_found_out() {
        let rows: [(&str, Act, &str); 9] = [
            ("a mixed plugin", |root| fs::write(root.join("upgraded-dynamic/dist/a.js"), "2"), "dist/b.js"),
            ("a half plugin", |root| fs::remove_file(root.join("upgraded-dynamic/dist/a.js")), "dist/a.js"),
            ("a plugin without manifest", |root| fs::remove_file(root.join("kept-dynamic").join(MANIFEST)), "kept"),
            ("a file too many", |root| fs::write(root.join("kept-dynamic/dist/c.js"), ""), "dist/c.js"),
            ("a torn app-config", |root| fs::write(root.join(APP_CONFIG), ""), APP_CONFIG),
            ("no app-config", |root| fs::remove_file(root.join(APP_CONFIG)), APP_CONFIG),
            ("a second copy in a dot folder", |root| plugin(root, ".old", "1"), ".old"),
            (
                "a plugin where staging is",
                |root| {
                    fs::create_dir(root.join(STAGING))?;
                    fs::write(root.join(STAGING).join(MANIFEST), "{}")
                },
                "looks like a plugin",
            ),
            ("somebody's file", |root| fs::write(root.join("notes.txt"), ""), "of nobody"),
        ];
        for (name, act, word) in rows {
            let error = after(act, Gap::BetweenRenames).expect_err(name);
            assert!(format!("{error:#}").contains(word), "{name}: {error:#}");
        }
    }

    #[test]
    fn a_plugin_may_be_missing_only_between_two_renames() {
        let missing: Act = |root| fs::remove_dir_all(root.join("upgraded-dynamic"));
        assert_eq!(after(missing, Gap::BetweenRenames).unwrap(), Progress::During);
        assert_eq!(after(missing, Gap::Never).unwrap_err().to_string(), "`upgraded-dynamic` is missing");
        let unchanged: Act = |root| fs::remove_dir_all(root.join("kept-dynamic"));
        assert!(after(unchanged, Gap::Never).is_err());
    }

    #[test]
    fn a_root_at_rest_holds_no_staging_folder() {
        let (folder, old, _) = roots();
        let root = folder.path().join("root");
        Sight::of(&root).unwrap().expect(&old).unwrap();
        fs::create_dir(root.join(STAGING)).unwrap();
        let error = Sight::of(&root).unwrap().expect(&old).unwrap_err();
        assert!(error.to_string().contains("is left"), "{error}");
    }

    #[test]
    fn growth_is_a_longer_file_or_another_name_but_not_what_a_holder_says() {
        let grown = |act: Act| {
            let (folder, ..) = roots();
            let weight = |root: &str| Weight::of(&folder.path().join(root)).unwrap();
            act(&folder.path().join("root")).unwrap();
            weight("root").expect(&weight("old")).is_err()
        };
        assert!(!grown(|_| Ok(())));
        assert!(grown(|root| fs::write(root.join(".butler-plugins.state"), "{ }")));
        assert!(grown(|root| fs::create_dir_all(root.join(STAGING).join("run-1"))));
        assert!(grown(|root| fs::remove_dir_all(root.join("kept-dynamic"))));
        assert!(grown(|root| fs::write(root.join(".butler-plugins.lock"), "x")));
        let (folder, ..) = roots();
        let root = folder.path().join("root");
        fs::write(root.join(".butler-plugins.lock"), "one").unwrap();
        let before = Weight::of(&root).unwrap();
        fs::write(root.join(".butler-plugins.lock"), "another").unwrap();
        before.expect(&Weight::of(&root).unwrap()).unwrap();
    }
}
