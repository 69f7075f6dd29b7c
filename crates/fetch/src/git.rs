//! Checks out git repositories, by the `git` that is on PATH.

mod size;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use integrity::Blame;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use source::GitSpec;
use transport::{Clock, Deadline, Stop};

pub use self::size::CheckOutLimits;

/// How often a running git is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How many looks at git there are for one at what it wrote, which is a walk through all of it.
const LOOKS: u32 = 10;
/// How long git's words are waited for once it has ended: what it started may hold its end open and live on.
const LISTENED: Duration = Duration::from_secs(1);
/// Bytes of what git says that are kept.
const SAID: u64 = 2 * 1024;
/// What a repository may not make git do: run anything, ask anybody, go on to other servers, repositories or to this
/// machine. Where a redirect leads, git would not let us judge.
const SETTINGS: [&str; 8] = [
    "http.followRedirects=false",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.git.allow=always",
];

/// The `git` that was found.
#[derive(Debug, Clone)]
pub struct GitProgram {
    program: PathBuf,
    time: Duration,
}

/// A check-out that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitFailure {
    /// There is none on PATH.
    #[error("expected `git` on PATH to check out `{repository}`, found none")]
    Missing {
        /// The source, safe to show.
        repository: String,
    },
    /// Nobody who is trusted with that had named a repository before the process was confined.
    #[error(
        "expected the list, or a file that it includes, to name a git repository, found `{repository}` in the catalog index alone"
    )]
    Unnamed {
        /// The source, safe to show.
        repository: String,
    },
    /// It did not start.
    #[error("failed to start git for `{repository}`")]
    Start {
        /// The source, safe to show.
        repository: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("git failed to {act} `{repository}`: {said}")]
    Failed {
        /// What it was to do.
        act: &'static str,
        /// The source, safe to show.
        repository: String,
        /// The last line that it said, on one line and bounded.
        said: String,
    },
    /// It took too long.
    #[error("git was not done with `{repository}` in {seconds} s")]
    TimedOut {
        /// The source, safe to show.
        repository: String,
        /// What it was given.
        seconds: u64,
    },
    /// It wrote too much.
    #[error("expected at most {max} {what} in the check-out of `{repository}`, found more")]
    TooLarge {
        /// The source, safe to show.
        repository: String,
        /// Bytes, or files and folders.
        what: &'static str,
        /// How many there may be.
        max: u64,
    },
    /// The run was asked to stop.
    #[error("the run was stopped")]
    Stopped,
}

impl GitFailure {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Stopped => "interrupted",
            Self::TooLarge { .. } => "artifact_too_large",
            Self::Missing { .. }
            | Self::Unnamed { .. }
            | Self::Start { .. }
            | Self::Failed { .. }
            | Self::TimedOut { .. } => "git_pull_failed",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Missing { .. } | Self::Unnamed { .. } | Self::Stopped => Blame::Operator,
            Self::Start { .. } => Blame::Host,
            Self::TooLarge { .. } => Blame::Publisher,
            Self::Failed { .. } | Self::TimedOut { .. } => Blame::Network,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => {
                Some("publish the plugin to a registry, or install from an image that has git in it")
            }
            Self::Unnamed { .. } => {
                Some("list the plugin in the main file, too: an index alone may not have programs started")
            }
            Self::Failed { .. } => Some("try the same with `git fetch --depth 1 URL REF` from the pod's network"),
            Self::TooLarge { .. } => Some(
                "publish the built plugin to a registry: of a repository, what is no part of the plugin counts, too",
            ),
            Self::Start { .. } | Self::TimedOut { .. } | Self::Stopped => None,
        }
    }
}

impl GitProgram {
    /// Looks for git in the folders of `path`, as in `PATH`; one check-out may take as long as `time`.
    pub fn find(path: &OsStr, time: Duration) -> Option<Self> {
        let program = std::env::split_paths(path).map(|folder| folder.join("git")).find(|git| git.is_file())?;
        Some(Self { program, time })
    }

    /// The program.
    pub fn path(&self) -> &Path {
        &self.program
    }

    /// Where git keeps the programs that it starts in turn; `None` when it does not say.
    pub fn programs(&self) -> Option<PathBuf> {
        let said = Command::new(&self.program).arg("--exec-path").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8(said.stdout).ok()?;
        Some(PathBuf::from(text.trim_end())).filter(|path| path.is_absolute())
    }

    /// Checks the source's commit out into the empty folder `into`; its `.git` is there afterwards.
    ///
    /// # Errors
    /// When git says that it failed; the end of time; too much written; a wish to stop. Nothing that it started runs on.
    pub fn check_out(
        &self,
        spec: &GitSpec,
        into: &Path,
        limits: &CheckOutLimits,
        (clock, stop): (&dyn Clock, &Stop),
    ) -> Result<(), GitFailure> {
        let deadline = Deadline::after(clock, self.time);
        let url = spec.url();
        let steps: [(&'static str, Vec<&str>); 3] = [
            ("make a repository for", vec!["init", "--quiet", "--template="]),
            (
                "fetch",
                vec!["fetch", "--quiet", "--depth=1", "--no-tags", "--", &url, spec.reference().unwrap_or("HEAD")],
            ),
            ("check out", vec!["checkout", "--quiet", "--detach", "FETCH_HEAD"]),
        ];
        for (act, arguments) in steps {
            self.run(act, spec, (into, limits), &arguments, (clock, deadline, stop))?;
        }
        Ok(())
    }

    fn run(
        &self,
        act: &'static str,
        spec: &GitSpec,
        (into, limits): (&Path, &CheckOutLimits),
        arguments: &[&str],
        (clock, deadline, stop): (&dyn Clock, Deadline, &Stop),
    ) -> Result<(), GitFailure> {
        let repository = spec.to_string();
        let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
        let mut child = Command::new(&self.program)
            .args(settings)
            .args(arguments)
            .current_dir(into)
            .envs([("GIT_TERMINAL_PROMPT", "0"), ("GIT_ASKPASS", ""), ("GIT_LFS_SKIP_SMUDGE", "1"), ("LC_ALL", "C")])
            .env("GIT_SSH_COMMAND", OsString::from("ssh -oBatchMode=yes"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // It starts what talks to the server, which is to end with it.
            .process_group(0)
            .spawn()
            .map_err(|source| GitFailure::Start { repository: repository.clone(), source })?;
        let (speaker, words) = channel();
        if let Some(stderr) = child.stderr.take() {
            // Who does not listen any more misses nothing.
            thread::spawn(move || drop(speaker.send(last_words(stderr))));
        }
        let ended = self.watch(&child, &repository, (into, limits), (clock, deadline, stop));
        // Not before this may its number, which is the group's, become another's.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let status = child.wait();
        ended?;
        limits.hold(into, &repository)?;
        let status = status.map_err(|source| GitFailure::Start { repository: repository.clone(), source })?;
        if status.success() {
            return Ok(());
        }
        let said = words.recv_timeout(LISTENED).unwrap_or_default();
        let said = if said.is_empty() { status.to_string() } else { said };
        Err(GitFailure::Failed { act, repository, said })
    }

    /// Waits for its end, or for the first reason to end it. Its number stays its own.
    fn watch(
        &self,
        child: &Child,
        repository: &str,
        (into, limits): (&Path, &CheckOutLimits),
        (clock, deadline, stop): (&dyn Clock, Deadline, &Stop),
    ) -> Result<(), GitFailure> {
        let repository = repository.to_owned();
        for look in 1_u32.. {
            if has_ended(child).map_err(|source| GitFailure::Start { repository: repository.clone(), source })? {
                break;
            }
            if stop.is_asked() {
                return Err(GitFailure::Stopped);
            }
            if deadline.left(clock).is_zero() {
                return Err(GitFailure::TimedOut { repository, seconds: self.time.as_secs() });
            }
            if look % LOOKS == 0 {
                limits.hold(into, &repository)?;
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

fn has_ended(child: &Child) -> io::Result<bool> {
    let leaving_it = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(Pid::from_child(child)), leaving_it)?.is_some())
}

/// The last line, which is where git says what was wrong. What git repeats of a URL has no password: none is passed.
fn last_words(stderr: impl Read) -> String {
    let mut said = Vec::new();
    let mut stderr = stderr.take(1 << 20);
    // What cannot be read is not repeated.
    drop(stderr.read_to_end(&mut said));
    let from = said.len().saturating_sub(usize::try_from(SAID).unwrap_or(usize::MAX));
    let text = String::from_utf8_lossy(&said[from..]).into_owned();
    source::printable(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use transport::SystemClock;

    const LIMITS: CheckOutLimits = CheckOutLimits { bytes: 10_000, entries: 10 };

    /// A made-up git that does what a script says.
    fn git(script: &str) -> (tempfile::TempDir, GitProgram) {
        let folder = tempfile::tempdir().unwrap();
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
        let file = folder.path().join("git");
        assert!(Command::new("sh").args(["-c", write, "sh", script]).arg(file).status().unwrap().success());
        let git = GitProgram::find(folder.path().as_os_str(), Duration::from_millis(500)).unwrap();
        (folder, git)
    }

    fn check_out(script: &str, stop: &Stop) -> Result<(), GitFailure> {
        let (folder, git) = git(script);
        let source::Source::Git(spec) = source::Source::parse_rhdh("github:u/r#v1").unwrap() else { panic!() };
        git.check_out(&spec, folder.path(), &LIMITS, (&SystemClock::start(), stop))
    }

    #[test]
    fn what_git_says_is_repeated_by_its_last_line() {
        let error = check_out("echo one >&2; printf 'fatal: \\033[1mno such ref\\n\\n' >&2; exit 128", &Stop::new());
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("git failed to make a repository for `github:u/r#v1`: fatal: "), "{text}");
        assert!(text.ends_with("no such ref") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn git_is_ended_after_its_time_and_on_a_wish_to_stop() {
        let error = check_out("exec sleep 600", &Stop::new()).unwrap_err();
        assert!(matches!(error, GitFailure::TimedOut { .. }), "{error}");
        let stop = Stop::new();
        stop.ask();
        let error = check_out("exec sleep 600", &stop).unwrap_err();
        assert!(matches!(error, GitFailure::Stopped), "{error}");
    }

    #[test]
    fn git_that_has_failed_is_not_waited_for_because_of_what_left_its_group() {
        let error = check_out("setsid sleep 20 & sleep .2; echo lost >&2; exit 128", &Stop::new()).unwrap_err();
        assert_eq!(error.to_string(), "git failed to make a repository for `github:u/r#v1`: exit status: 128");
    }

    #[test]
    fn what_git_started_ends_with_it() {
        for end in ["exit 128", "sleep 600"] {
            let log = tempfile::tempdir().unwrap();
            let fifo = log.path().join("fifo");
            assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
            let reader = fifo.clone();
            // Ends once the last that writes is gone.
            let listening = thread::spawn(move || std::fs::read(reader).unwrap());
            let script = format!("exec 3> '{}'; echo started >&3; sleep 600 & {end}", fifo.display());
            check_out(&script, &Stop::new()).unwrap_err();
            assert_eq!(listening.join().unwrap(), b"started\n", "{end}");
        }
    }

    #[test]
    fn git_that_writes_too_much_is_ended_while_it_runs_and_refused_when_it_is_done() {
        for (script, what) in [
            ("head -c 10001 /dev/zero > big", Some("bytes")),
            ("head -c 10001 /dev/zero > big; exec sleep 600", Some("bytes")),
            ("mkdir -p a/b/c && touch a/b/c/1 a/b/c/2 a/b/c/3 a/4 a/5 a/6 a/7", Some("files and folders")),
            ("mkdir -p a/b/c && touch a/b/c/1 a/b/c/2 a/b/c/3 a/4 a/5 a/6", None),
            ("ln -sfn / root", None),
        ] {
            let found = match check_out(script, &Stop::new()) {
                Ok(()) => None,
                Err(GitFailure::TooLarge { what, .. }) => Some(what),
                Err(error) => panic!("{script}: {error}"),
            };
            assert_eq!(found, what, "{script}");
        }
    }

    #[test]
    fn a_repository_is_fetched_shallow_by_its_reference_and_with_nothing_to_run() {
        let log = tempfile::tempdir().unwrap();
        let file = log.path().join("log");
        check_out(&format!("echo \"$@\" >> {}", file.display()), &Stop::new()).unwrap();
        let said = std::fs::read_to_string(file).unwrap();
        let fetch = said.lines().nth(1).unwrap();
        assert!(fetch.ends_with("fetch --quiet --depth=1 --no-tags -- https://github.com/u/r.git v1"), "{fetch}");
        for line in said.lines() {
            for setting in ["core.hooksPath=/dev/null", "protocol.allow=never", "http.followRedirects=false"] {
                assert!(line.contains(&format!("-c {setting} ")), "{line}");
            }
        }
    }
}
