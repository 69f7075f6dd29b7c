//! One run of the installer, and all that can be seen of it.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::{Request, Tree};

use crate::case::{Case, ConfigFile, Listing, Watch};
use crate::launch::{CAN_BECOME_OTHERS, Fate, Launch, Mounts, Other, Running, User, mount, wait_until};

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
    /// All system calls that were traced.
    pub(crate) calls: Vec<String>,
    pub(crate) peak_kib: Option<u64>,
    /// The runs before this one that began with the same file.
    pub(crate) earlier: Vec<Earlier>,
    /// The runs beside this one.
    pub(crate) others: Vec<Told>,
    /// How long the run went on after a signal.
    pub(crate) stopped_after: Option<Duration>,
    bench: Bench,
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run before the one that is judged.
pub(crate) struct Earlier {
    pub(crate) told: Told,
    pub(crate) before: Trees,
    pub(crate) after: Trees,
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
        self.bench.root().join(name)
    }

    /// Runs the installer once more, with nothing in its way.
    pub(crate) fn again(&self, flags: &'static [&'static str]) -> Told {
        self.bench.install(&Launch { flags, ..Launch::default() }, Streams::Captured, None).told
    }
}

impl Told {
    pub(crate) fn was_killed(&self) -> bool {
        self.status == Some(KILLED)
    }
}

impl From<Output> for Told {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self {
            // `timeout` does not outlive the signal that it kills with.
            status: status.code().or(status.signal().map(|signal| 128 + signal)),
            stdout: String::from_utf8(stdout).expect("the log is UTF-8"),
            stderr: String::from_utf8(stderr).expect("the log is UTF-8"),
        }
    }
}

/// Runs the installer on a case.
pub(crate) fn run(case: &Case, mode: Mode, streams: Streams) -> Seen {
    let bench = Bench::new(case);
    if let Some(before) = &case.before {
        bench.write(&ConfigFile::Listing(before.clone()), mode);
        let Ended { told, .. } = bench.install(&Launch::default(), Streams::Captured, None);
        assert_eq!(told.status, Some(0), "the good copy could not be installed: {}", told.stderr);
    }
    if let Some(arrange) = &case.arrange {
        arrange(&bench.root());
    }
    bench.write(&case.file, mode);
    let earlier = case.earlier.iter().map(|launch| {
        case.net.forget();
        let before = bench.trees();
        let Ended { told, .. } = bench.install(launch, Streams::Captured, None);
        Earlier { told, before, after: bench.trees() }
    });
    let earlier = earlier.collect();
    if let Some(later) = &case.later {
        bench.write(&ConfigFile::Listing(later.clone()), mode);
    }
    case.net.forget();
    let others = case.others.as_ref().map(|others| {
        let running: Vec<_> = (0..others.count).map(|_| Other::start(&mut bench.beside(&others.launch))).collect();
        wait_until(&*others.ready);
        if others.fate == Fate::Stopped {
            running.iter().for_each(Other::stop);
        }
        (running, others.fate)
    });
    let before = bench.trees();
    let Ended { told: Told { status, stdout, stderr }, stopped_after } =
        bench.install(&case.launch, streams, case.watch.as_ref());
    let others = match others {
        Some((running, Fate::Awaited)) => running.into_iter().map(|other| Told::from(other.end())).collect(),
        Some((_, Fate::Stopped)) | None => Vec::new(),
    };
    let after = bench.trees();
    Seen {
        mode,
        streams,
        status,
        stdout,
        stderr,
        left_behind: bench.left_behind(),
        before,
        after,
        asked: case.net.asked(),
        requests: case.net.requests(),
        sockets: bench.sockets(),
        calls: bench.note("trace").lines().map(str::to_owned).collect(),
        peak_kib: bench.note("peak").trim().parse().ok(),
        earlier,
        others,
        stopped_after,
        bench,
    }
}

/// The end of a run, and how long it went on after a signal.
struct Ended {
    told: Told,
    stopped_after: Option<Duration>,
}

/// A folder that is watched, and another for what the watching needs.
struct Bench {
    /// Given back before the folder they lie in is removed.
    _mounts: Mounts,
    watched: TempDir,
    notes: TempDir,
    environment: Vec<(&'static str, String)>,
    flags: &'static [&'static str],
    user: Option<User>,
    binary: PathBuf,
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
        let mounts = Mounts(watched.path().join("volume/plugins"));
        if let Some(options) = case.tmpfs {
            assert!(mount("tmpfs", options, &mounts.0), "a tmpfs with `{options}` cannot be mounted");
        }
        let user = case.user.filter(|_| *CAN_BECOME_OTHERS);
        let mut binary = PathBuf::from(env!("CARGO_BIN_EXE_butler-plugin-installer"));
        if let Some(user) = user {
            // In another process: a program that a thread's child still holds open for writing cannot be run.
            let copied = notes.path().join("installer");
            assert!(Command::new("cp").args([&binary, &copied]).status().unwrap().success());
            binary = copied;
            chown(&mounts.0, None, Some(user.volume)).unwrap();
            let modes = [(watched.path(), 0o755), (notes.path(), 0o777), (&*mounts.0, 0o2775)];
            for (path, mode) in modes.into_iter().chain([(&*notes.path().join("termination-log"), 0o666)]) {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
        }
        Self { _mounts: mounts, watched, notes, environment, flags: case.flags, user, binary }
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
            ConfigFile::Mounted(listing) => mount_file(&config, listing, mode).unwrap(),
        }
    }

    /// Runs it under a deadline, its memory measured and its sockets traced.
    fn install(&self, launch: &Launch, streams: Streams, watch: Option<&Watch>) -> Ended {
        let mut line: Vec<String> = ["timeout", "--signal=KILL", DEADLINE].map(str::to_owned).to_vec();
        line.extend(["time", "--quiet", "--format=%M", "--output"].map(str::to_owned));
        line.push(self.path_of_note("peak"));
        line.extend(self.words(launch, streams, Some(&self.path_of_note("trace"))));
        let mut command = self.command(&line);
        if streams == Streams::NoReader {
            let (reader, writer) = io::pipe().unwrap();
            command.stdout(writer);
            drop(reader);
        }
        drop(fs::remove_file(self.path_of_note("pid")));
        let (ended, signalled) = (AtomicBool::new(false), Mutex::new(None::<Instant>));
        let output = thread::scope(|scope| {
            if let Some(during) = &launch.during {
                let (ended, signalled) = (&ended, &signalled);
                scope.spawn(move || {
                    let (root, pid) = (self.root(), PathBuf::from(self.path_of_note("pid")));
                    during(&Running { root: &root, pid: &pid, ended, signalled });
                });
            }
            let output = match watch {
                Some(watch) => watched_output(&mut command, watch),
                None => command.output(),
            };
            ended.store(true, Ordering::SeqCst);
            output
        });
        let stopped_after = signalled.into_inner().unwrap().map(|at| at.elapsed());
        Ended { told: output.expect("`timeout` and `time` are installed").into(), stopped_after }
    }

    /// Another installer on the same root.
    fn beside(&self, launch: &Launch) -> Command {
        // A tracer would stand between the test and the installer that it stops.
        let trace = (!launch.faults.is_empty()).then_some("/dev/null");
        self.command(&self.words(launch, Streams::Captured, trace))
    }

    fn command(&self, line: &[String]) -> Command {
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.current_dir(self.watched.path().join("work")).stdin(Stdio::null());
        command
    }

    /// The installer, and what stands before it.
    fn words(&self, launch: &Launch, streams: Streams, trace: Option<&str>) -> Vec<String> {
        // First, since what it asks of the system is none of the installer's doing.
        let mut line: Vec<String> = self.user.into_iter().flat_map(User::words).collect();
        if let Some(trace) = trace.filter(|_| *CAN_TRACE) {
            line.extend(["strace", "--follow-forks", "--quiet=all", "--output", trace].map(str::to_owned));
            line.extend(launch.tracing());
        }
        if launch.during.is_some() {
            line.extend(["sh", "-c", r#"echo $$ > "$0"; exec "$@""#].map(str::to_owned));
            line.push(self.path_of_note("pid"));
        }
        let redirected = match streams {
            Streams::Captured | Streams::NoReader => "",
            Streams::Full => ">/dev/full",
            Streams::Closed => ">&-",
        };
        if !launch.shell.is_empty() || !redirected.is_empty() {
            let script = format!("{}\nexec \"$0\" \"$@\" {redirected}", launch.shell);
            line.extend(["sh".to_owned(), "-c".to_owned(), script]);
        }
        line.push(self.binary.display().to_string());
        let (config, root) = (self.config().display().to_string(), self.root().display().to_string());
        let termination_log = self.path_of_note("termination-log");
        let files = ["--config", &config, "--root", &root, "--termination-log", &termination_log];
        line.extend(files.iter().chain(self.flags).chain(launch.flags).map(|word| (*word).to_owned()));
        line
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
fn mount_file(config: &Path, listing: &Listing, mode: Mode) -> io::Result<()> {
    let folder = config.parent().expect("the file is in a folder");
    fs::create_dir(folder.join("..2026_01_02"))?;
    fs::write(folder.join("..2026_01_02/dynamic-plugins.yaml"), listing.text(mode))?;
    symlink("..2026_01_02", folder.join("..data"))?;
    symlink("..data/dynamic-plugins.yaml", config)
}
