//! The stage of every sweep: a registry with two versions of some plugins, and roots that hold one of them.
//!
//! What a plugin has to look like is learnt from GNU tar, and what a root has to weigh from runs that nobody disturbed.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use testkit::{Plugin, Registry, Tarball};

use super::content::Content;
use super::sight::{self, APP_CONFIG, Sight, Weight};

/// A folder in memory, when the machine has one.
const MEMORY_FOLDER: &str = "/dev/shm";
/// The ending of lists that go on without what is rejected.
const FORGIVING: &str = "forgiving.yaml";
/// Files of the largest plugin.
const MANY: usize = 100;

/// A registry, two lists of plugins in it, and a folder for roots.
pub(super) struct Scene {
    installer: PathBuf,
    registry: Registry,
    old: Edition,
    new: Edition,
    folder: TempDir,
}

/// One of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Old,
    New,
}

/// What a run is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// What the root holds before, if anything.
    pub(super) from: Option<Version>,
    pub(super) to: Version,
}

/// A list, and what a root is like after an undisturbed run with it.
struct Edition {
    list: PathBuf,
    root: PathBuf,
    sight: Sight,
    weight: Weight,
}

/// A run that ended, in whichever way.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Both streams.
    pub(super) log: String,
}

impl Change {
    /// The first run on an empty root.
    pub(super) const INSTALL: Self = Self { from: None, to: Version::Old };
    /// One plugin in another version, one added, one removed, one as it was; other settings.
    pub(super) const UPGRADE: Self = Self { from: Some(Version::Old), to: Version::New };
    /// The way back.
    pub(super) const DOWNGRADE: Self = Self { from: Some(Version::New), to: Version::Old };

    /// In one word, for reports.
    pub(super) const fn name(self) -> &'static str {
        match (self.from, self.to) {
            (None, _) => "install",
            (Some(_), Version::New) => "upgrade",
            (Some(_), Version::Old) => "downgrade",
        }
    }
}

impl Scene {
    /// A scene whose roots lie in memory, or on disk where there is no such folder.
    pub(super) fn in_memory(installer: &Path) -> anyhow::Result<Self> {
        let memory = Path::new(MEMORY_FOLDER);
        let temporary = std::env::temp_dir();
        Self::within(installer, if memory.is_dir() { memory } else { &temporary })
    }

    /// A scene whose roots lie on the file system of `place`.
    pub(super) fn within(installer: &Path, place: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sweep-").tempdir_in(place);
        let folder = folder.context("could not create a folder for roots")?;
        let registry = Registry::start();
        let edition = |name: &str| Edition {
            list: folder.path().join(format!("{name}.yaml")),
            root: folder.path().join(name),
            sight: Sight::default(),
            weight: Weight::default(),
        };
        let (old, new) = (edition("old"), edition("new"));
        let mut scene = Self { installer: installer.to_owned(), registry, old, new, folder };
        scene.publish(Version::Old)?;
        scene.publish(Version::New)?;
        scene.rehearse()?;
        Ok(scene)
    }

    /// The folder that roots are made in.
    pub(super) fn place(&self) -> &Path {
        self.folder.path()
    }

    /// The program that is judged.
    pub(super) fn program(&self) -> &Path {
        &self.installer
    }

    /// A new root that holds this version, or nothing.
    pub(super) fn root(&self, holds: Option<Version>) -> anyhow::Result<TempDir> {
        let root = tempfile::Builder::new().prefix("root-").tempdir_in(self.folder.path())?;
        if let Some(version) = holds {
            let from = self.edition(version).root.join(".");
            let copied = Command::new("cp").arg("--archive").arg(from).arg(root.path()).status()?;
            ensure!(copied.success(), "could not copy a root");
        }
        Ok(root)
    }

    /// The installer's command line that brings a root to this version.
    pub(super) fn installer(&self, root: &Path, to: Version) -> Command {
        self.installer_with(&self.edition(to).list, root)
    }

    /// The same with a list that lets the others be installed when one plugin is rejected.
    pub(super) fn forgiving_installer(&self, root: &Path, to: Version) -> Command {
        self.installer_with(&self.edition(to).list.with_extension(FORGIVING), root)
    }

    fn installer_with(&self, list: &Path, root: &Path) -> Command {
        let mut command = Command::new(&self.installer);
        command.env_clear().arg("--config").arg(list).arg("--root").arg(root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What is visible on a root that holds this version, or nothing.
    pub(super) fn sight(&self, holds: Option<Version>) -> &Sight {
        static NOTHING: Sight = Sight::NOTHING;
        holds.map_or(&NOTHING, |version| &self.edition(version).sight)
    }

    /// The judged run after whatever happened to a root: at once, complete, and nothing is left of what was before.
    ///
    /// # Errors
    /// Any of it is not so.
    pub(super) fn heal(&self, root: &Path, to: Version) -> anyhow::Result<Ended> {
        let ended = Ended::of(self.installer(root, to).arg("--lock-timeout=0"))?;
        ended.expect_completed().context("the next run")?;
        ensure!(!ended.says("reason=lock_wait"), "the next run waited for a lock:\n{}", ended.log);
        self.expect(root, to).context("after the next run")?;
        Ok(ended)
    }

    /// One run more: it finds everything as it shall be.
    ///
    /// Who asked the registry is not looked at here: what a killed run had asked may arrive this late.
    ///
    /// # Errors
    /// It does not, or it changes something.
    pub(super) fn rest(&self, root: &Path, to: Version) -> anyhow::Result<()> {
        let ended = Ended::of(self.installer(root, to).arg("--lock-timeout=0"))?;
        ended.expect_completed().context("the run after that")?;
        ensure!(ended.says("event=completed installed=0 "), "expected nothing to be installed again:\n{}", ended.log);
        self.expect(root, to).context("after one run more")
    }

    /// Holds a root at rest against what an undisturbed run leaves: what is visible, and what is hidden.
    ///
    /// # Errors
    /// Something is different.
    pub(super) fn expect(&self, root: &Path, holds: Version) -> anyhow::Result<()> {
        let edition = self.edition(holds);
        Sight::of(root)?.expect(&edition.sight)?;
        Weight::of(root)?.expect(&edition.weight)
    }

    /// A root that holds this version, or nothing, byte for byte.
    pub(super) fn hidden(&self, holds: Option<Version>) -> io::Result<Content> {
        holds.map_or_else(|| Ok(Content::default()), |version| sight::all_but_locks(self.reference(version)))
    }

    /// A root that was brought to this version by an undisturbed run, to be looked at.
    pub(super) fn reference(&self, version: Version) -> &Path {
        &self.edition(version).root
    }

    /// Forgets what the registry was asked so far, which otherwise grows with every run.
    pub(super) fn forget_requests(&self) {
        self.registry.recorder().clear();
    }

    const fn edition(&self, version: Version) -> &Edition {
        match version {
            Version::Old => &self.old,
            Version::New => &self.new,
        }
    }

    /// Pushes a version's plugins, and writes its list.
    fn publish(&mut self, version: Version) -> anyhow::Result<()> {
        let scratch = self.folder.path().join("scratch");
        let mut list = String::from("plugins:\n");
        let mut sight = Sight::default();
        for (name, number, archive, settings) in plugins(version) {
            let bytes = archive.gzip();
            let pushed = self.registry.push(&format!("my-org/{name}"), &number, &bytes);
            writeln!(list, "  - package: {}\n    integrity: {}", pushed.reference, pushed.integrity)?;
            if let Some(title) = settings {
                writeln!(list, "    pluginConfig: {{ {name}: {{ title: \"{title}\" }} }}")?;
            }
            sight.plugins.insert(format!("{name}-dynamic"), unpacked(&bytes, &scratch)?);
        }
        let edition = match version {
            Version::Old => &mut self.old,
            Version::New => &mut self.new,
        };
        edition.sight = sight;
        let forgiving = edition.list.with_extension(FORGIVING);
        fs::write(&forgiving, format!("continueOnError: true\n{list}"))?;
        fs::write(&edition.list, list).with_context(|| format!("could not write `{}`", edition.list.display()))
    }

    /// Learns from undisturbed runs what a root weighs, and what the settings look like.
    fn rehearse(&mut self) -> anyhow::Result<()> {
        for version in [Version::Old, Version::New] {
            let edition = self.edition(version);
            fs::create_dir(&edition.root)?;
            Ended::of(&mut self.installer(&edition.root, version))?.expect_completed().context("the first run")?;
            let app_config = fs::read(edition.root.join(APP_CONFIG)).context("the first run wrote no app-config")?;
            let weight = Weight::of(&edition.root)?;
            let edition = match version {
                Version::Old => &mut self.old,
                Version::New => &mut self.new,
            };
            edition.sight.app_config = Some(app_config);
            edition.weight = weight;
            self.expect(&self.edition(version).root, version).context("after the first run")?;
        }
        ensure!(self.old.sight.app_config != self.new.sight.app_config, "both versions have the same settings");
        for change in [Change::UPGRADE, Change::DOWNGRADE] {
            let root = self.root(change.from)?;
            Ended::of(&mut self.installer(root.path(), change.to))?.expect_completed()?;
            self.expect(root.path(), change.to).with_context(|| format!("after an undisturbed {}", change.name()))?;
            self.forget_requests();
            self.rest(root.path(), change.to)?;
            let asked = self.registry.recorder().requests();
            ensure!(asked.is_empty(), "a run with nothing to do asked the registry: {asked:?}");
        }
        Ok(())
    }
}

impl Ended {
    /// Runs a command to its end.
    pub(super) fn of(command: &mut Command) -> anyhow::Result<Self> {
        Self::after(command.spawn().context("could not start the installer")?)
    }

    /// Waits for a run that was started.
    pub(super) fn after(child: std::process::Child) -> anyhow::Result<Self> {
        let output = child.wait_with_output().context("could not wait for the installer")?;
        let log = [output.stdout, output.stderr].concat();
        Ok(Self { status: output.status, log: String::from_utf8_lossy(&log).into_owned() })
    }

    /// Whether the log has this text.
    pub(super) fn says(&self, text: &str) -> bool {
        self.log.contains(text)
    }

    /// # Errors
    /// The run did not complete.
    pub(super) fn expect_completed(&self) -> anyhow::Result<()> {
        let Self { status, log } = self;
        ensure!(status.success() && self.says("event=completed "), "expected a completed run, found {status}:\n{log}");
        Ok(())
    }
}

/// Name, version, bytes, and a title for its settings.
type Listed = (&'static str, String, Tarball, Option<&'static str>);

fn plugins(version: Version) -> Vec<Listed> {
    let listed =
        |name, number: &str, plugin: Plugin, title| (name, number.to_owned(), plugin.version(number).archive(), title);
    let kept = listed("kept", "1.0.0", Plugin::frontend("kept"), Some("kept"));
    match version {
        Version::Old => vec![
            ("many", "1.0.0".to_owned(), many(1), Some("one")),
            kept,
            listed("removed", "1.0.0", Plugin::backend("removed"), None),
        ],
        Version::New => vec![
            ("many", "2.0.0".to_owned(), many(2), Some("two")),
            kept,
            listed("added", "1.0.0", Plugin::backend("added"), None),
        ],
    }
}

/// A plugin of many files: each differs between two versions, a few names as well, and so does a link's target.
fn many(version: usize) -> Tarball {
    let plugin = (0..MANY).fold(Plugin::backend("many").version(&format!("{version}.0.0")), |plugin, number| {
        // A tenth of them goes with each version.
        let name = if number % 10 == 0 { format!("only-{version}-{number:02}") } else { format!("file-{number:02}") };
        let text = format!("// version {version}, file {number}\n").repeat(1 + number * 7 % 60);
        plugin.file(&format!("dist/part-{}/{name}.js", number % 4), text)
    });
    plugin
        .archive()
        .executable("package/bin/run", format!("#!/bin/sh\necho {version}\n"))
        .symlink("package/current.js", format!("dist/part-1/file-{:02}.js", 4 * version + 1))
}

/// What GNU tar makes of a plugin.
fn unpacked(tarball: &[u8], scratch: &Path) -> anyhow::Result<Content> {
    fs::create_dir(scratch)?;
    let packed = scratch.join("package.tgz");
    let folder = scratch.join("folder");
    fs::write(&packed, tarball)?;
    fs::create_dir(&folder)?;
    let mut tar = Command::new("sh");
    tar.args([
        "-c",
        "umask 022 && exec tar --extract --gzip --strip-components=1 --file \"$1\" --directory \"$2\"",
        "sh",
    ]);
    ensure!(tar.arg(&packed).arg(&folder).status()?.success(), "tar could not unpack a plugin");
    let content = Content::of(&folder)?;
    fs::remove_dir_all(scratch)?;
    Ok(content)
}
