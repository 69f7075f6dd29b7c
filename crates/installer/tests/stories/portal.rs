//! What the chart gives the installer, a file to read and a volume to fill, and what came of a run on them.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::{Plugin, Pushed, Registry, Tree, sri};

use crate::plan::Forecast;

const INSTALLER: &str = env!("CARGO_BIN_EXE_butler-plugin-installer");
/// Longest wait for anything; what takes that long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with `dynamic-plugins.yaml`, `dynamic-plugins-root/` and whatever else a story needs.
pub(crate) struct Portal {
    folder: TempDir,
    root: PathBuf,
}

/// What a rejected plugin means for the run.
#[derive(Clone, Copy)]
pub(crate) enum OnReject {
    Abort,
    Continue,
}

impl Portal {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("dynamic-plugins-root");
        fs::create_dir(&root).unwrap();
        Self { folder, root }
    }

    /// Another pod on the same volume.
    pub(crate) fn beside(&self) -> Self {
        Self { root: self.root(), ..Self::new() }
    }

    /// A portal whose file lists these entries.
    pub(crate) fn listing(on_reject: OnReject, entries: &[String]) -> Self {
        let portal = Self::new();
        portal.list(on_reject, entries);
        portal
    }

    /// Writes the file anew; the organisation of the first entry is all that it allows.
    pub(crate) fn list(&self, on_reject: OnReject, entries: &[String]) {
        let continue_on_error = matches!(on_reject, OnReject::Continue);
        let organisation = entries.first().and_then(|entry| entry.split_inclusive("/my-org").next());
        let allowed =
            organisation.map_or("[]".to_owned(), |text| format!("[\"{}\"]", text.trim_start_matches("  - package: ")));
        let plugins = if entries.is_empty() { " []\n".to_owned() } else { format!("\n{}", entries.concat()) };
        let text = format!("continueOnError: {continue_on_error}\nallowedSources: {allowed}\nplugins:{plugins}");
        self.write("dynamic-plugins.yaml", text);
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The installer with nothing in its environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(INSTALLER);
        command
            .env_clear()
            .current_dir(self.folder.path())
            .arg("--config")
            .arg(self.path("dynamic-plugins.yaml"))
            .arg("--root")
            .arg(self.root())
            .arg("--termination-log")
            .arg(self.path("termination-log"));
        command
    }

    /// A run, which does what was said of it before.
    #[track_caller]
    pub(crate) fn install(&self) -> Run {
        let mut plan = self.command();
        plan.args(["plan", "--format=json"]);
        let forecast = Forecast::of(self, plan);
        let run = self.install_with(|command| command);
        forecast.came_true(&run);
        run
    }

    pub(crate) fn install_with(&self, change: impl FnOnce(&mut Command) -> &mut Command) -> Run {
        let mut command = self.command();
        change(&mut command);
        self.run(command)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: Command) -> Run {
        let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).output().unwrap();
        self.told(&output)
    }

    /// Starts the installer and leaves it to the test.
    pub(crate) fn start(&self, change: impl FnOnce(&mut Command) -> &mut Command) -> Running<'_> {
        let mut command = self.command();
        change(&mut command);
        let stream = |name| File::create(self.path(name)).unwrap();
        command.stdin(Stdio::null()).stdout(stream("stdout")).stderr(stream("stderr"));
        Running { portal: self, child: command.spawn().unwrap() }
    }

    /// What is on the volume.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(&self.root()).unwrap()
    }

    /// All that a run must not touch when it changes nothing: every entry but the lock, with owner and time of change.
    pub(crate) fn untouched(&self) -> Vec<String> {
        let tree = Tree::with_owners_and_times(&self.root()).unwrap();
        tree.lines().iter().filter(|line| !line.contains(" .butler-plugins.lock ")).cloned().collect()
    }

    /// What the portal's scanner sees: the folders in the root.
    pub(crate) fn plugins(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn told(&self, output: &Output) -> Run {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(self.folder.path().to_str().unwrap(), "");
        let run = Run { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        run.codes_are_explained();
        assert!(output.status.signal().is_none_or(|signal| signal == 9), "{:?}", output.status);
        run
    }
}

/// The end of a run: the folder of the portal is cut from all paths in its text.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Insists on an exit status.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "\n{}{}", self.stdout, self.stderr);
        self
    }

    /// Insists on a text in the log.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "no `{text}` in\n{}{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// What stands in the log as a reason or cause can be asked about.
    fn codes_are_explained(&self) {
        let records = self.stdout.lines().chain(self.stderr.lines()).filter(|line| line.starts_with("ts="));
        for line in records {
            for code in ["reason", "cause"].iter().filter_map(|key| field(line, key)) {
                let explained = audit::Explanation::all().find(|explained| explained.code == code);
                let whose = explained.unwrap_or_else(|| panic!("{code} is not explained: {line}")).whose;
                assert!(field(line, "blame").is_none_or(|blame| whose.contains(blame)), "{whose}: {line}");
            }
        }
    }

    /// Both streams, stdout first, with what differs from run to run made alike.
    pub(crate) fn log(&self) -> String {
        format!("{}{}", self.stdout, self.stderr).split_inclusive('\n').map(alike).collect()
    }

    /// Each record as its event, its first word that tells them apart, and its reason.
    pub(crate) fn events(&self) -> Vec<String> {
        format!("{}{}", self.stdout, self.stderr)
            .lines()
            .map(|line| {
                let package = field(line, "package").map(|package| package.rsplit('/').next().unwrap());
                let shown = [field(line, "event"), package, field(line, "name"), field(line, "reason")];
                shown.into_iter().flatten().collect::<Vec<_>>().join(" ")
            })
            .filter(|event| event != "startup")
            .collect()
    }
}

/// An installer at work; it is killed when the test lets go of it.
pub(crate) struct Running<'a> {
    portal: &'a Portal,
    child: Child,
}

impl Running<'_> {
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.portal.path("stdout")).unwrap()
    }

    /// Sends a signal by its name, as `kill` has it, unless the end came first.
    pub(crate) fn signal(&mut self, name: &str) {
        if !self.has_ended() {
            let kill = format!("kill -{name} {}", self.child.id());
            assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Run {
        wait_until("the installer ends", || self.has_ended());
        let read = |name| fs::read(self.portal.path(name)).unwrap();
        let status = self.child.wait().unwrap();
        self.portal.told(&Output { status, stdout: read("stdout"), stderr: read("stderr") })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for something that only another process can bring about.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Publishes a small backend plugin as `my-org/<name>`, its version as the tag.
pub(crate) fn publish(registry: &Registry, name: &str, version: &str) -> Pushed {
    let code = format!("module.exports = '{name} {version}';\n");
    let plugin = Plugin::backend(name).version(version).file("dist/index.cjs.js", code);
    registry.push(&format!("my-org/{name}"), version, &plugin.tarball())
}

/// An entry of the list.
pub(crate) fn entry(pushed: &Pushed) -> String {
    format!("  - package: {}\n    integrity: {}\n", pushed.reference, pushed.integrity)
}

/// An entry that promises other bytes than there are.
pub(crate) fn wrong_entry(pushed: &Pushed) -> String {
    entry(&Pushed { integrity: sri(b"other bytes"), ..pushed.clone() })
}

/// A file below a folder, read.
pub(crate) fn text_of(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Copies a file or folder with all that belongs to it.
///
/// In another process: a program that this one has open for writing while it starts a third cannot be started itself.
pub(crate) fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("--archive").arg(from).arg(to).status().unwrap().success());
}

/// The value of a key in a logfmt line, up to the next space.
pub(crate) fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// A line without time, port, digests, counts of bytes and milliseconds, and what depends on the kernel.
fn alike(line: &str) -> String {
    let blank = |word: &str| {
        let (key, value) = word.split_once('=')?;
        matches!(key, "ts" | "bytes" | "duration_ms" | "sandbox").then(|| {
            let end = if value.ends_with('\n') { "\n" } else { "" };
            format!("{key}=…{end}")
        })
    };
    let mut words: Vec<_> = line.split(' ').map(|word| blank(word).unwrap_or_else(|| word.to_owned())).collect();
    for at in 1..words.len() {
        if words[at] == "bytes" {
            words[at - 1] = "…".to_owned();
        }
    }
    let line = shorten(&words.join(" "), "127.0.0.1:", |c| c.is_ascii_digit());
    let line = shorten(&line, "sha256:", |c| c.is_ascii_hexdigit());
    shorten(&line, "sha512-", |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
}

/// Cuts what follows each `start` and belongs to it.
fn shorten(text: &str, start: &str, belongs: fn(char) -> bool) -> String {
    let mut pieces = text.split(start);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| format!("{text}{start}…{}", piece.trim_start_matches(belongs)))
}
