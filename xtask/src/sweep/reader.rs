//! A portal that reads at full speed while versions change: it sees the one or the other, and never a mix.
//!
//! By path nobody can read a folder as one: between two of its files its name may lead elsewhere. So a plugin is opened
//! once and everything in it is read through that handle, as if it were the folder of a process. What is read belongs to
//! one version then. When files are missing, the handle's folder must have given up its name: it is the old copy, which
//! is removed after the swap, and the reader opens the name again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, bail, ensure};

use super::content::Content;
use super::scene::{Change, Ended, Scene, Version};
use super::sight::{APP_CONFIG, STAGING, Sight};
use super::{Scale, Swept};

/// Names of open files of this process, which lead to the file itself and not to where it once was.
const HANDLES: &str = "/proc/self/fd";

/// What readers saw.
#[derive(Debug, Default)]
struct Seen {
    /// Whole plugins, by version: those that only one of them has, or has so.
    old: usize,
    new: usize,
    /// Those that are alike in both.
    same: usize,
    /// Reads that were begun again, as the copy was removed under the reader.
    restarts: usize,
    /// Times that one plugin was another version than when it was read before.
    turns: usize,
    app_configs: usize,
}

/// A reader of one root.
struct Reader<'a> {
    root: &'a Path,
    old: &'a Sight,
    new: &'a Sight,
    seen: Seen,
    last: BTreeMap<String, bool>,
}

/// Upgrades and downgrades a root back and forth while somebody reads it.
pub(super) fn sweep(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let upgrades = scale.of(40, 200);
    let root = scene.root(Some(Version::Old))?;
    let [old, new] = [Version::Old, Version::New].map(|version| scene.sight(Some(version)));
    let mut reader = Reader { root: root.path(), old, new, seen: Seen::default(), last: BTreeMap::new() };
    let over = AtomicBool::new(false);
    let (read, watched, changed) = thread::scope(|scope| {
        let reading = scope.spawn(|| reader.read_until(&over));
        let watching = scope.spawn(|| watch_until(&over, root.path(), &staying(old, new)));
        let changed = change(scene, root.path(), upgrades, &mut swept);
        over.store(true, Ordering::Relaxed);
        (reading.join(), watching.join(), changed)
    });
    changed?;
    let (Ok(read), Ok(watched)) = (read, watched) else { bail!("a reader panicked") };
    let told = |why: anyhow::Error| format!("beside {upgrades} upgrades and downgrades: {why:#}");
    swept.findings.extend(read.err().map(told));
    let looks = watched.map_err(|why| swept.findings.push(told(why))).unwrap_or_default();
    let Seen { old, new, same, restarts, turns, app_configs } = reader.seen;
    let is_blind = swept.findings.is_empty() && (old == 0 || new == 0 || turns == 0);
    ensure!(!is_blind, "the reader was too slow to see both versions: {:?}", reader.seen);
    swept.tried = format!(
        "a reader at full speed during {upgrades} upgrades and downgrades: {old} times the old version whole, {new} times \
         the new one, {same} times a plugin that is alike in both, {app_configs} app-configs; {turns} changes of version \
         noticed, {restarts} reads begun again as the old copy was removed; {looks} looks at names alone"
    );
    Ok(swept)
}

fn change(scene: &Scene, root: &Path, times: usize, swept: &mut Swept) -> anyhow::Result<()> {
    for number in 0..times {
        let change = if number % 2 == 0 { Change::UPGRADE } else { Change::DOWNGRADE };
        let ended = Ended::of(&mut scene.installer(root, change.to))?;
        let judged = ended.expect_completed().and_then(|()| scene.expect(root, change.to));
        swept.take(format!("{} number {number} beside a reader", change.name()), judged);
        scene.forget_requests();
    }
    Ok(())
}

impl Reader<'_> {
    fn read_until(&mut self, over: &AtomicBool) -> anyhow::Result<()> {
        while !over.load(Ordering::Relaxed) {
            self.read_all()?;
        }
        Ok(())
    }

    /// One look of a scanner at everything.
    fn read_all(&mut self) -> anyhow::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        let [old, new] = [self.old, self.new];
        for name in staying(old, new) {
            ensure!(names.iter().any(|found| found == name), "`{name}` was missing from a listing of the root");
        }
        for name in names.iter().filter(|name| *name != STAGING) {
            if old.plugins.contains_key(name) || new.plugins.contains_key(name) {
                self.read_plugin(name).with_context(|| format!("`{name}`"))?;
            }
        }
        let app_config = fs::read(self.root.join(APP_CONFIG)).context("the app-config was missing")?;
        ensure!([&old.app_config, &new.app_config].contains(&&Some(app_config)), "the app-config was torn");
        self.seen.app_configs += 1;
        Ok(())
    }

    /// Reads a plugin through one handle, again until it is whole.
    fn read_plugin(&mut self, name: &str) -> anyhow::Result<()> {
        let [old, new] = [self.old, self.new].map(|sight| sight.plugins.get(name));
        let path = self.root.join(name);
        loop {
            let handle = match File::open(&path) {
                Ok(handle) => handle,
                // Only one of the versions has it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && (old.is_none() || new.is_none()) => {
                    return Ok(());
                }
                Err(error) => return Err(error).context("it was missing"),
            };
            let (found, complete) = Content::through(&PathBuf::from(HANDLES).join(handle.as_raw_fd().to_string()));
            let (is_old, is_new) = (old == Some(&found), new == Some(&found));
            if complete.is_ok() && (is_old || is_new) {
                self.count(name, is_old, is_new);
                return Ok(());
            }
            let is_part = [old, new].into_iter().flatten().any(|version| found.is_part_of(version));
            ensure!(is_part, "it was a mix: {}", differences(old, new, &found));
            ensure!(has_lost_its_name(&handle, &path)?, "it was half: {}", differences(old, new, &found));
            self.seen.restarts += 1;
        }
    }

    fn count(&mut self, name: &str, is_old: bool, is_new: bool) {
        match (is_old, is_new) {
            (true, true) => self.seen.same += 1,
            (true, false) => self.seen.old += 1,
            _ => self.seen.new += 1,
        }
        if is_old != is_new {
            let before = self.last.insert(name.to_owned(), is_new);
            self.seen.turns += usize::from(before.is_some_and(|before| before != is_new));
        }
    }
}

/// Names that are there before, after, and at every moment between.
fn staying<'a>(old: &'a Sight, new: &Sight) -> Vec<&'a str> {
    let plugins = old.plugins.keys().filter(|name| new.plugins.contains_key(*name));
    plugins.map(String::as_str).chain([APP_CONFIG]).collect()
}

/// Looks at names and at nothing else, as reading takes longer than a name may be missing. Answers how often.
fn watch_until(over: &AtomicBool, root: &Path, names: &[&str]) -> anyhow::Result<usize> {
    let paths: Vec<_> = names.iter().map(|name| root.join(name)).collect();
    let mut looks = 0;
    while !over.load(Ordering::Relaxed) {
        for path in &paths {
            fs::symlink_metadata(path).with_context(|| format!("`{}` was missing for a moment", path.display()))?;
            looks += 1;
        }
    }
    Ok(looks)
}

/// Whether a name leads elsewhere by now, or nowhere.
fn has_lost_its_name(handle: &File, path: &Path) -> io::Result<bool> {
    let inode = handle.metadata()?.ino();
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(meta.ino() != inode),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn differences(old: Option<&Content>, new: Option<&Content>, found: &Content) -> String {
    let differences: Vec<_> = [old, new].into_iter().flatten().filter_map(|one| one.difference(found)).collect();
    differences.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "many-dynamic";

    fn write(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in ["package.json", "a.js", "b.js"] {
            fs::write(folder.join(name), version).unwrap();
        }
    }

    /// Lets a reader look once at a root that was made so.
    fn look(make: fn(&Path)) -> anyhow::Result<Seen> {
        let folder = tempfile::tempdir().unwrap();
        let sights = ["1", "2"].map(|version| {
            let root = folder.path().join(version);
            write(&root.join(NAME), version);
            fs::write(root.join(APP_CONFIG), version).unwrap();
            Sight::of(&root).unwrap()
        });
        let root = folder.path().join("root");
        write(&root.join(NAME), "1");
        fs::write(root.join(APP_CONFIG), "1").unwrap();
        make(&root);
        let [old, new] = &sights;
        let mut reader = Reader { root: &root, old, new, seen: Seen::default(), last: BTreeMap::new() };
        reader.read_all().map(|()| reader.seen)
    }

    #[test]
    fn a_reader_takes_both_versions_and_no_mix_no_half_and_no_gap() {
        type Make = fn(&Path);
        assert_eq!(look(|_| ()).unwrap().old, 1);
        assert_eq!(look(|root| write(&root.join(NAME), "2")).unwrap().new, 1);
        let rows: [(&str, Make); 5] = [
            ("it was a mix", |root| fs::write(root.join(NAME).join("a.js"), "2").unwrap()),
            ("it was half", |root| fs::remove_file(root.join(NAME).join("a.js")).unwrap()),
            ("missing from a listing", |root| fs::remove_dir_all(root.join(NAME)).unwrap()),
            ("missing from a listing", |root| fs::remove_file(root.join(APP_CONFIG)).unwrap()),
            ("torn", |root| fs::write(root.join(APP_CONFIG), "").unwrap()),
        ];
        for (expected, make) in rows {
            let error = look(make).expect_err(expected);
            assert!(format!("{error:#}").contains(expected), "{expected}: {error:#}");
        }
    }

    #[test]
    fn a_handle_notices_that_its_folder_gave_up_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        write(&here, "1");
        let handle = File::open(&here).unwrap();
        assert!(!has_lost_its_name(&handle, &here).unwrap());
        fs::rename(&here, &there).unwrap();
        assert!(has_lost_its_name(&handle, &here).unwrap());
        write(&here, "2");
        assert!(has_lost_its_name(&handle, &here).unwrap());
    }
}
