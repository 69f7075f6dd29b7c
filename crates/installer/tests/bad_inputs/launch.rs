//! How the installer is started, what is done to it while it runs, and who else is at work on the volume.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Longest wait for anything that another process brings about.
const PATIENCE: Duration = Duration::from_secs(8);

/// What happens beside a run; it may look, and it may send signals.
pub(crate) type During = Box<dyn Fn(&Running<'_>) + Sync>;

/// What is special about a start of the installer.
#[derive(Default)]
pub(crate) struct Launch {
    /// What a shell does before it becomes the installer.
    pub(crate) shell: &'static str,
    /// What `strace` does to system calls, as its option `--inject` has it.
    pub(crate) faults: Vec<String>,
    /// System calls that are noted.
    pub(crate) noted: &'static [&'static str],
    /// Flags besides the case's own.
    pub(crate) flags: &'static [&'static str],
    pub(crate) during: Option<During>,
}

/// Whom the installer runs as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The volume's group, as `fsGroup` says it.
    pub(crate) volume: u32,
}

/// Installers that are at work on the same root already.
pub(crate) struct Others {
    pub(crate) count: usize,
    pub(crate) launch: Launch,
    /// When the run that is judged may begin.
    pub(crate) ready: Box<dyn Fn() -> bool>,
    pub(crate) fate: Fate,
}

/// What becomes of the other installers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They come to their end.
    Awaited,
    /// They hang, and are killed after the run that is judged.
    Stopped,
}

impl Launch {
    /// A start with these faults.
    pub(crate) fn with_faults(faults: &[&str]) -> Self {
        Self { faults: faults.iter().map(|fault| (*fault).to_owned()).collect(), ..Self::default() }
    }

    /// A start beside which this happens.
    pub(crate) fn beside(during: impl Fn(&Running<'_>) + Sync + 'static) -> Self {
        Self { during: Some(Box::new(during)), ..Self::default() }
    }

    /// The options of `strace` for this start.
    pub(crate) fn tracing(&self) -> Vec<String> {
        let calls = self.faults.iter().map(|fault| fault.split(':').next().unwrap_or_default());
        let calls: Vec<_> = ["%network"].into_iter().chain(calls).chain(self.noted.iter().copied()).collect();
        let mut options = vec![format!("--trace={}", calls.join(","))];
        options.extend(self.faults.iter().map(|fault| format!("--inject={fault}")));
        // A filter makes `strace` overlook the calls at which a signal is due.
        if self.faults.is_empty() {
            options.push("--seccomp-bpf".to_owned());
        }
        if !self.noted.is_empty() {
            options.push("--decode-fds=path".to_owned());
        }
        options
    }
}

impl User {
    /// The words that come before a command of this user's.
    pub(crate) fn words(self) -> Vec<String> {
        let Self { uid, gid, volume } = self;
        let ids = [format!("--reuid={uid}"), format!("--regid={gid}"), format!("--groups={volume}")];
        let rest = ["--inh-caps=-all", "--no-new-privs"].map(str::to_owned);
        ["setpriv".to_owned()].into_iter().chain(ids).chain(rest).collect()
    }
}

/// A run that is under way.
pub(crate) struct Running<'a> {
    pub(crate) root: &'a Path,
    /// Where the installer's process says its number.
    pub(crate) pid: &'a Path,
    pub(crate) ended: &'a AtomicBool,
    pub(crate) signalled: &'a Mutex<Option<Instant>>,
}

impl Running<'_> {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until something is so, or the run is over.
    pub(crate) fn wait_until(&self, is_so: impl Fn() -> bool) {
        wait_until(|| self.has_ended() || is_so());
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = || fs::read_to_string(self.pid).unwrap_or_default();
        self.wait_until(|| pid().ends_with('\n'));
        self.signalled.lock().unwrap().get_or_insert_with(Instant::now);
        // It may have come to its end by now.
        let _ = kill(name, pid().trim());
    }
}

/// Another installer at work; it is killed when the test lets go of it.
pub(crate) struct Other(Option<Child>);

impl Other {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().expect("the installer starts")))
    }

    /// Stops it without ending it.
    pub(crate) fn stop(&self) {
        let pid = self.0.as_ref().expect("it runs").id().to_string();
        assert!(kill("STOP", &pid), "another installer could not be stopped");
    }

    /// Its end, with all that it said.
    pub(crate) fn end(mut self) -> Output {
        self.0.take().expect("it runs").wait_with_output().expect("its streams are pipes")
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A file system mounted on the root; gone with this value.
pub(crate) struct Mounts(pub(crate) PathBuf);

impl Drop for Mounts {
    fn drop(&mut self) {
        let root = format!(" {} ", self.0.display());
        while fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| mounts.contains(&root)) {
            if !succeeds("umount", &["--lazy", &self.0.display().to_string()]) {
                return;
            }
        }
    }
}

/// Mounts something on a folder.
pub(crate) fn mount(kind: &str, options: &str, on: &Path) -> bool {
    succeeds("mount", &["-t", kind, "-o", options, kind, &on.display().to_string()])
}

/// Whether file systems can be mounted here.
pub(crate) static CAN_MOUNT: LazyLock<bool> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let _gone_at_the_end = Mounts(folder.path().to_owned());
    let can = mount("tmpfs", "size=1m", folder.path());
    if !can {
        println!("nothing can be mounted here: full and read-only volumes are made up by faults in system calls");
    }
    can
});

/// Whether the installer can be run as somebody else.
pub(crate) static CAN_BECOME_OTHERS: LazyLock<bool> = LazyLock::new(|| {
    let can = succeeds("setpriv", &["--reuid=65532", "--regid=65532", "--groups=2000", "true"]);
    if !can {
        println!("nobody else can be impersonated here: the rows about users are run as the user of the test");
    }
    can
});

fn succeeds(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn kill(signal: &str, pid: &str) -> bool {
    succeeds("sh", &["-c", &format!("kill -{signal} {pid}")])
}

pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(1));
    }
}
