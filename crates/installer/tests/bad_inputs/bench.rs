//! One run of the installer, and all that can be seen of it.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;

use tempfile::TempDir;
use testkit::{Request, Tree};

use crate::case::{Case, ConfigFile, Listing, Watch};

/// Seconds after which a run is killed.
const DEADLINE: &str = "10";
/// How `timeout` ends when it had to kill.
const KILLED: i32 = 137;
/// Files that the installer keeps for itself on the root.
const OWN_FILES: [&str; 2] = [".butler-plugins.lock", ".butler-plugins.state"];

/// What a rejection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    FailClosed,
    FailOpen,
}

/// Where the installer's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    Captured,
    /// A pipe that nobody reads any more.
    NoReader,
    /// Always full.
    Full,
    /// Not open at all.
    Closed,
}

/// What was seen.
pub(crate) struct Seen {
    pub(crate) mode: Mode,
    pub(crate) streams: Streams,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What is left for Kubernetes, and the installer's own notes on the root.
    pub(crate) left_behind: String,
    pub(crate) before: Trees,
    pub(crate) after: Trees,
    pub(crate) asked: Vec<String>,
    /// All requests that reached a server, the proxy too.
    pub(crate) requests: Vec<Request>,
    /// System calls that make or use a socket; none where they cannot be traced.
    pub(crate) sockets: Vec<String>,
    pub(crate) peak_kib: Option<u64>,
    watched: TempDir,
}

/// Everything around the installer, with owners and times.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trees {
    /// All but the root.
    pub(crate) outside: Vec<String>,
    /// What a portal could see on the root.
    pub(crate) visible: Vec<String>,
    /// What is left of the installer's work on the root.
    pub(crate) staging: Vec<String>,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailClosed => "fail-closed",
            Self::FailOpen => "fail-open",
        })
    }
}

impl Mode {
    pub(crate) const BOTH: [Self; 2] = [Self::FailClosed, Self::FailOpen];
}

impl Seen {
    pub(crate) fn was_killed(&self) -> bool {
        self.status == Some(KILLED)
    }

    /// A path on the root.
    pub(crate) fn on_root(&self, name: &str) -> PathBuf {
        self.watched.path().join("volume/plugins").join(name)
    }
}

/// Runs the installer on a case.
pub(crate) fn run(case: &Case, mode: Mode, streams: Streams) -> Seen {
    let bench = Bench::new(case);
    if let Some(before) = &case.before {
        bench.write(&ConfigFile::Listing(before.clone()), mode);
        let output = bench.install(case, Streams::Captured);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the good copy could not be installed: {said}");
    }
    if let Some(arrange) = case.arrange {
        arrange(&bench.root());
    }
    bench.write(&case.file, mode);
    case.net.forget();
    let before = bench.trees();
    let Output { status, stdout, stderr } = bench.install(case, streams);
    let after = bench.trees();
    Seen {
        mode,
        streams,
        // `timeout` does not outlive the signal that it kills with.
        status: status.code().or(status.signal().map(|signal| 128 + signal)),
        stdout: String::from_utf8(stdout).expect("the log is UTF-8"),
        stderr: String::from_utf8(stderr).expect("the log is UTF-8"),
        left_behind: bench.left_behind(),
        before,
        after,
        asked: case.net.asked(),
        requests: case.net.requests(),
        sockets: bench.sockets(),
        peak_kib: bench.note("peak").trim().parse().ok(),
        watched: bench.watched,
    }
}

/// A folder that is watched, and another for what the watching needs.
struct Bench {
    watched: TempDir,
    notes: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Bench {
    fn new(case: &Case) -> Self {
        let memory = Path::new("/dev/shm");
        let watched =
            if case.in_memory && memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let watched = watched.unwrap();
        let notes = tempfile::tempdir().unwrap();
        let at = |path: &str| watched.path().join(path).display().to_string();
        for folder in ["volume/plugins", "volume/elsewhere", "home/.docker", "tmp", "etc", "work"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("volume/elsewhere/canary"), "alive").unwrap();
        fs::write(notes.path().join("ca.pem"), case.net.world.ca().pem()).unwrap();
        fs::write(notes.path().join("termination-log"), "").unwrap();
        let mut environment = vec![
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("HOME", at("home")),
            ("TMPDIR", at("tmp")),
            ("HTTPS_PROXY", case.net.proxy.url()),
            ("SSL_CERT_FILE", notes.path().join("ca.pem").display().to_string()),
            ("BUTLER_PLUGINS_LOG_LEVEL", "debug".to_owned()),
            // One retry is what most rows need; the pauses before more of them are others' tests.
            ("BUTLER_PLUGINS_TRIES", "2".to_owned()),
        ];
        if let Some((docker_config, netrc)) = &case.logins {
            fs::write(at("home/.docker/config.json"), docker_config).unwrap();
            fs::write(at("home/.netrc"), netrc).unwrap();
            environment.push(("NETRC", at("home/.netrc")));
        }
        environment.extend(case.environment.iter().cloned());
        Self { watched, notes, environment }
    }

    fn root(&self) -> PathBuf {
        self.watched.path().join("volume/plugins")
    }

    fn config(&self) -> PathBuf {
        self.watched.path().join("etc/dynamic-plugins.yaml")
    }

    fn write(&self, file: &ConfigFile, mode: Mode) {
        let config = self.config();
        match file {
            ConfigFile::Listing(listing) => fs::write(config, listing.text(mode)).unwrap(),
            ConfigFile::Bytes(bytes) => fs::write(config, bytes).unwrap(),
            ConfigFile::Absent => {}
            ConfigFile::Directory => fs::create_dir(config).unwrap(),
            ConfigFile::Mounted(listing) => mount(&config, listing, mode).unwrap(),
        }
    }

    /// Runs it under a deadline, its memory measured and its sockets traced.
    fn install(&self, case: &Case, streams: Streams) -> Output {
        let mut line: Vec<&str> = vec!["timeout", "--signal=KILL", DEADLINE];
        let (peak, trace) = (self.path_of_note("peak"), self.path_of_note("trace"));
        line.extend(["time", "--quiet", "--format=%M", "--output", &peak]);
        if *CAN_TRACE {
            line.extend([
                "strace",
                "--seccomp-bpf",
                "--follow-forks",
                "--quiet=all",
                "--trace=%network",
                "--output",
                &trace,
            ]);
        }
        let redirected = match streams {
            Streams::Captured | Streams::NoReader => None,
            Streams::Full => Some(r#"exec "$0" "$@" >/dev/full"#),
            Streams::Closed => Some(r#"exec "$0" "$@" >&-"#),
        };
        line.extend(redirected.iter().flat_map(|script| ["sh", "-c", script]));
        let (config, root) = (self.config().display().to_string(), self.root().display().to_string());
        let termination_log = self.path_of_note("termination-log");
        line.push(env!("CARGO_BIN_EXE_butler-plugin-installer"));
        line.extend(["--config", &config, "--root", &root, "--termination-log", &termination_log]);
        line.extend(case.flags);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).env_clear().envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.current_dir(self.watched.path().join("work")).stdin(Stdio::null());
        if streams == Streams::NoReader {
            let (reader, writer) = io::pipe().unwrap();
            command.stdout(writer);
            drop(reader);
        }
        let output = match &case.watch {
            Some(watch) => watched_output(&mut command, watch),
            None => command.output(),
        };
        output.expect("`timeout` and `time` are installed")
    }

    fn trees(&self) -> Trees {
        let tree = Tree::with_owners_and_times(self.watched.path()).unwrap();
        let mut trees = Trees { outside: Vec::new(), visible: Vec::new(), staging: Vec::new() };
        for line in tree.lines() {
            let path = line.splitn(3, ' ').nth(2).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            match path.strip_prefix("volume/plugins") {
                None => trees.outside.push(line.clone()),
                // The root's own time of change says only that something was staged there.
                Some("") => {}
                Some(path) if OWN_FILES.contains(&path.trim_start_matches('/')) => {}
                Some(path) if path.starts_with("/.butler-plugins") => trees.staging.push(line.clone()),
                Some(_) => trees.visible.push(line.clone()),
            }
        }
        trees
    }

    fn left_behind(&self) -> String {
        let own = OWN_FILES.iter().filter_map(|name| fs::read_to_string(self.root().join(name)).ok());
        own.chain([self.note("termination-log")]).collect::<Vec<_>>().join("\n")
    }

    fn sockets(&self) -> Vec<String> {
        let trace = self.note("trace");
        let calls = trace.lines().filter(|line| line.contains("socket(") || line.contains("connect("));
        calls.map(str::to_owned).collect()
    }

    fn path_of_note(&self, name: &str) -> String {
        self.notes.path().join(name).display().to_string()
    }

    fn note(&self, name: &str) -> String {
        fs::read_to_string(self.path_of_note(name)).unwrap_or_default()
    }
}

/// Runs a command and shows each line of its output as soon as it is written.
fn watched_output(command: &mut Command, watch: &Watch) -> io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().expect("the stream is a pipe")).lines();
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut stdout = String::new();
            for line in lines {
                let line = line?;
                watch(&line);
                stdout.extend([&line, "\n"]);
            }
            Ok::<_, io::Error>(stdout.into_bytes())
        });
        let output = child.wait_with_output()?;
        let stdout = reading.join().expect("watching does not panic")?;
        Ok(Output { stdout, ..output })
    })
}

/// Whether `strace` is installed and may trace here; without it the proxy alone sees who is asked.
pub(crate) static CAN_TRACE: LazyLock<bool> = LazyLock::new(|| {
    let traced = Command::new("strace").args(["--output=/dev/null", "true"]).output();
    traced.is_ok_and(|output| output.status.success())
});

/// Writes a file as the kubelet mounts it: a link to `..data`, which is a link to a dated folder.
fn mount(config: &Path, listing: &Listing, mode: Mode) -> io::Result<()> {
    let folder = config.parent().expect("the file is in a folder");
    fs::create_dir(folder.join("..2026_01_02"))?;
    fs::write(folder.join("..2026_01_02/dynamic-plugins.yaml"), listing.text(mode))?;
    symlink("..2026_01_02", folder.join("..data"))?;
    symlink("..data/dynamic-plugins.yaml", config)
}
