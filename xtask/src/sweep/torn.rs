//! What a power cut, a bad disk or a hand leaves: the next start names every damaged plugin, and heals all of it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::content::Content;
use super::random::{COMMIT, When, duration, killed, moment};
use super::scene::{Change, Ended, Scene, Version};
use super::sight::{self, APP_CONFIG, LOCK, MANIFEST, STAGING, STATE};
use super::{Scale, Swept};
use crate::bench::noise::Xorshift;

/// Most things that are damaged at once.
const AT_ONCE: usize = 5;

/// A way to damage one file.
type Way = (&'static str, fn(&Path, &mut Xorshift) -> io::Result<()>);

/// What becomes of files whose data was not on stable storage yet, and of any file in anybody's hands.
const TORN: [Way; 4] = [
    ("cut", |file, random| File::options().write(true).open(file)?.set_len(random.below(len(file)?) as u64)),
    ("zeroed", |file, _| fs::write(file, vec![0; len(file)?])),
    ("changed by a byte", |file, random| {
        let at = random.below(len(file)?);
        let mut bytes = fs::read(file)?;
        bytes[at] ^= 1 << random.below(8);
        fs::write(file, bytes)
    }),
    ("gone", |file, _| fs::remove_file(file)),
];

/// What only happens to plugins.
const HANDLED: [Way; 10] = [
    ("longer by a byte", |file, _| OpenOptions::new().write(true).open(file)?.write_all_at(b"\0", len(file)? as u64)),
    ("of mode 000", |file, _| fs::set_permissions(file, Permissions::from_mode(0o000))),
    ("of mode 0600", |file, _| fs::set_permissions(file, Permissions::from_mode(0o600))),
    ("executable or no longer", |file, _| {
        let mode = fs::metadata(file)?.permissions().mode() ^ 0o111;
        fs::set_permissions(file, Permissions::from_mode(mode))
    }),
    ("beside a new file", |file, _| fs::write(file.with_extension("new"), "")),
    ("beside a new folder", |file, _| fs::create_dir(file.with_extension("folder"))),
    ("in a folder of mode 0700", |file, _| {
        fs::set_permissions(file.parent().unwrap_or(file), Permissions::from_mode(0o700))
    }),
    ("a symlink to a copy of itself", |file, _| {
        let copy = file.with_extension("copy");
        fs::rename(file, &copy)?;
        symlink(copy, file)
    }),
    ("a folder", |file, _| fs::remove_file(file).and_then(|()| fs::create_dir(file))),
    ("in a folder that is a file", |file, _| {
        // The plugin's own folder stays one: what else is there belongs to somebody.
        let folder = file.parent().unwrap_or(file);
        if folder.join(MANIFEST).exists() {
            return fs::remove_file(file);
        }
        fs::remove_dir_all(folder).and_then(|()| fs::write(folder, ""))
    }),
];

/// What was damaged in one round.
#[derive(Default)]
struct Damage {
    /// Folders of plugins.
    plugins: BTreeSet<String>,
    is_state: bool,
    /// Each file and what became of it.
    told: Vec<String>,
}

/// Damages roots, several things at once, and starts the installer once on each.
pub(super) fn sweep(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let mut random = Xorshift::new(4);
    let (rounds, mut things, mut plugins, mut states, mut removed) = (scale.of(40, 300), 0, 0, 0, 0);
    for round in 0..rounds {
        let root = scene.root(Some(Version::New))?;
        let damage = Damage::to(root.path(), scene, &mut random)?;
        things += damage.told.len();
        plugins += damage.plugins.len();
        states += usize::from(damage.is_state);
        let judged = healed(scene, root.path(), &damage);
        removed += swept.take(format!("round {round}: {}", damage.told.join(", ")), judged).unwrap_or_default();
        scene.forget_requests();
    }
    swept.tried = format!(
        "files cut, zeroed, changed, gone or of another kind in {rounds} rounds: {things} things in {plugins} plugins, \
         in the app-config, and {states} times in the state; {removed} folders of which neither it nor a manifest \
         says any more whose they are were named, and removed by hand"
    );
    Ok(swept)
}

/// Cuts the power of upgrades: they are killed, and of whatever lies on the root then, staged or visible, some is torn.
pub(super) fn power_cuts(scene: &Scene, scale: Scale) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let mut random = Xorshift::new(8);
    let span = duration(scene, Change::UPGRADE)?;
    let (rounds, mut things, mut staged, mut removed) = (scale.of(40, 300), 0, 0, 0);
    for round in 0..rounds {
        let root = scene.root(Some(Version::Old))?;
        let when = match round % 2 {
            0 => When::After(moment(&mut random, span)),
            _ => When::Visible(moment(&mut random, COMMIT)),
        };
        killed(&mut scene.installer(root.path(), Version::New), root.path(), when)?;
        let damage = Damage::anywhere(root.path(), &mut random)?;
        things += damage.told.len();
        staged += damage.told.iter().filter(|told| told.contains(STAGING)).count();
        let judged = healed(scene, root.path(), &damage);
        removed += swept.take(format!("round {round}: {}", damage.told.join(", ")), judged).unwrap_or_default();
        scene.forget_requests();
    }
    swept.tried = format!(
        "upgrades killed at a random time or in their commit, and then {things} files cut, zeroed, changed or gone, \
         {staged} of them staged ones; {removed} folders of which no state says any more whose they are were named, and \
         removed by hand"
    );
    Ok(swept)
}

/// One start heals everything. Answers how many folders a hand had to remove: those that nobody lists any more or whose
/// own manifest is torn, when the state is, too. Nothing says whose they are then, and the log names them.
fn healed(scene: &Scene, root: &Path, damage: &Damage) -> anyhow::Result<usize> {
    let mut removed = 0;
    let ended = loop {
        let before = sight::all_but_locks(root)?;
        let ended = Ended::of(scene.installer(root, Version::New).arg("--lock-timeout=0"))?;
        let Some(folder) = conflict(&ended) else { break ended };
        let is_whole = |version| is_whole(&root.join(folder), &scene.reference(version).join(folder));
        let is_lost = !is_whole(Version::Old)? && !is_whole(Version::New)?;
        ensure!(damage.is_state && is_lost, "`{folder}` was refused, and it could be told whose it is:\n{}", ended.log);
        // What a killed run had staged may be cleared.
        let difference = before.without(STAGING).difference(&sight::all_but_locks(root)?);
        ensure!(difference.is_none(), "the run was refused, and something has changed: {difference:?}");
        fs::remove_dir_all(root.join(folder))?;
        removed += 1;
    };
    ended.expect_completed()?;
    for folder in scene.sight(Some(Version::Old)).plugins.keys().filter(|folder| root.join(folder).exists()) {
        let is_unlisted = !scene.sight(Some(Version::New)).plugins.contains_key(folder);
        if is_unlisted && damage.is_state && ended.says(&format!("reason=folder_left detail=\"`{folder}`")) {
            fs::remove_dir_all(root.join(folder))?;
            removed += 1;
        }
    }
    scene.expect(root, Version::New)?;
    for plugin in &damage.plugins {
        ensure!(damage.is_named(plugin, &ended), "the log names no damage of `{plugin}`:\n{}", ended.log);
    }
    scene.rest(root, Version::New)?;
    Ok(removed)
}

/// Whether a plugin's manifest is a file as it was installed.
fn is_whole(folder: &Path, installed: &Path) -> anyhow::Result<bool> {
    let [here, wanted] = [folder, installed].map(|folder| folder.join(MANIFEST));
    let are_files = [&here, &wanted].iter().all(|file| file.symlink_metadata().is_ok_and(|meta| meta.is_file()));
    Ok(are_files && fs::read(here)? == fs::read(wanted)?)
}

/// The folder that a run would not replace.
fn conflict(ended: &Ended) -> Option<&str> {
    let record = ended.log.lines().find(|record| record.contains(" reason=destination_conflict "))?;
    record.split_once("the destination `")?.1.split('`').next()
}

impl Damage {
    fn to(root: &Path, scene: &Scene, random: &mut Xorshift) -> anyhow::Result<Self> {
        let mut damage = Self::default();
        let sight = scene.sight(Some(Version::New));
        let folders: Vec<_> = sight.plugins.keys().collect();
        for _ in 0..=random.below(AT_ONCE) {
            let kind = random.below(8);
            let (file, (name, act)) = match kind {
                0 => (STATE.to_owned(), TORN[random.below(TORN.len())]),
                1 => (APP_CONFIG.to_owned(), TORN[random.below(TORN.len())]),
                _ => {
                    let folder = folders[random.below(folders.len())];
                    let files: Vec<_> = sight.plugins[folder].files().collect();
                    let ways = [TORN.as_slice(), &HANDLED].concat();
                    (format!("{folder}/{}", files[random.below(files.len())]), ways[random.below(ways.len())])
                }
            };
            // Somebody was here before, and left nothing to damage.
            if !root.join(&file).symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0) {
                continue;
            }
            act(&root.join(&file), random).with_context(|| format!("could not make `{file}` {name}"))?;
            damage.told.push(format!("`{file}` {name}"));
            damage.is_state |= kind == 0;
            if kind > 1 {
                damage.plugins.extend(file.split_once('/').map(|(folder, _)| folder.to_owned()));
            }
        }
        Ok(damage)
    }

    /// Damages what a root holds, whatever that is; whose it was is not told.
    fn anywhere(root: &Path, random: &mut Xorshift) -> anyhow::Result<Self> {
        let mut damage = Self::default();
        for _ in 0..=random.below(AT_ONCE) {
            let content = Content::of(root)?;
            let files: Vec<_> = content.files().filter(|file| !file.starts_with(LOCK)).collect();
            let is_state = random.below(8) == 0;
            let file = if is_state { STATE } else { files[random.below(files.len())] };
            let (name, act) = TORN[random.below(TORN.len())];
            if !root.join(file).symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0) {
                continue;
            }
            act(&root.join(file), random).with_context(|| format!("could not make `{file}` {name}"))?;
            damage.is_state |= file == STATE;
            damage.told.push(format!("`{file}` {name}"));
        }
        Ok(damage)
    }

    /// Whether some record says that this plugin was not as it should be: its files, or the state that lists them.
    fn is_named(&self, folder: &str, ended: &Ended) -> bool {
        let package = format!("/my-org/{}:", folder.trim_end_matches("-dynamic"));
        ended.log.lines().filter(|record| record.contains(&package)).any(|record| {
            record.contains(" reason=files_changed ") || self.is_state && record.contains(" event=plugin_installed ")
        })
    }
}

/// Never zero, as only files that hold something are damaged.
fn len(file: &Path) -> io::Result<usize> {
    Ok(usize::try_from(fs::metadata(file)?.len()).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    fn ended(log: &str) -> Ended {
        Ended { status: ExitStatus::default(), log: log.to_owned() }
    }

    #[test]
    fn a_refused_folder_is_read_from_its_record_and_from_no_other() {
        let record = "event=plugin_rejected package=oci://r/my-org/many:1 reason=destination_conflict \
                      detail=\"the destination `many-dynamic` is taken: it is a folder\"";
        assert_eq!(conflict(&ended(record)), Some("many-dynamic"));
        assert_eq!(conflict(&ended(&record.replace("destination_conflict", "io_error"))), None);
    }

    #[test]
    fn damage_is_named_for_the_plugin_itself_or_by_its_new_copy_when_the_state_is_lost() {
        let changed = "event=warning reason=files_changed detail=\"… `oci://r/my-org/many:1` is fetched anew\"";
        let installed = "ts=… event=plugin_installed package=oci://r/my-org/many:1 integrity=…";
        for (log, is_state, expected) in [
            (changed, false, true),
            (changed, true, true),
            (&*changed.replace("many", "more"), false, false),
            (installed, false, false),
            (installed, true, true),
        ] {
            let damage = Damage { is_state, ..Damage::default() };
            assert_eq!(damage.is_named("many-dynamic", &ended(log)), expected, "{log}");
        }
    }

    #[test]
    fn a_manifest_that_was_touched_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let [here, wanted] = ["here", "wanted"].map(|name| folder.path().join(name));
        for folder in [&here, &wanted] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(MANIFEST), "{}").unwrap();
        }
        assert!(is_whole(&here, &wanted).unwrap());
        fs::write(here.join(MANIFEST), "{").unwrap();
        assert!(!is_whole(&here, &wanted).unwrap());
        fs::remove_file(here.join(MANIFEST)).unwrap();
        symlink(wanted.join(MANIFEST), here.join(MANIFEST)).unwrap();
        assert!(!is_whole(&here, &wanted).unwrap());
    }
}
