//! Runs Docker's credential helpers (`docker-credential-<name> get|store|erase`).

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use oci::{CredentialHelper, HelperError};
use serde_json::json;
use transport::Secret;

/// Most bytes of a helper's answer.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// Longest time for an answer; cloud helpers ask a service of their own.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a helper that has answered is looked at, until it has ended.
const POLL: Duration = Duration::from_millis(5);
/// What helpers print on failure when they know no credentials for the server.
const NOT_FOUND: &str = "credentials not found";

/// Finds helpers on a PATH and runs them with the environment of this process, which cloud helpers need.
#[derive(Debug, Clone)]
pub struct HelperProcess {
    path: OsString,
    patience: Duration,
}

impl HelperProcess {
    /// Helpers found in the folders of `path`, as in `PATH`.
    pub const fn on(path: OsString) -> Self {
        Self { path, patience: PATIENCE }
    }

    /// Where the program of this short name is, if it is anywhere.
    pub fn find(&self, helper: &str) -> Option<PathBuf> {
        let name = format!("docker-credential-{helper}");
        std::env::split_paths(&self.path).map(|folder| folder.join(&name)).find(|program| program.is_file())
    }

    /// Hands a login to a helper (`docker-credential-<name> store`).
    ///
    /// # Errors
    /// When the helper cannot be run or fails.
    pub fn store(&self, helper: &str, server: &str, user: &str, secret: &Secret) -> Result<(), HelperError> {
        let login = json!({ "ServerURL": server, "Username": user, "Secret": secret.expose() });
        self.run(helper, "store", login.to_string().as_bytes())?.succeeded(helper).map(drop)
    }

    /// Has a helper forget a login (`docker-credential-<name> erase`).
    ///
    /// # Errors
    /// When the helper cannot be run or fails.
    pub fn erase(&self, helper: &str, server: &str) -> Result<(), HelperError> {
        self.run(helper, "erase", server.as_bytes())?.succeeded(helper).map(drop)
    }

    fn run(&self, helper: &str, verb: &str, input: &[u8]) -> Result<Ended, HelperError> {
        let failed = |said: String| HelperError::Failed { helper: helper.to_owned(), said };
        let program = self.find(helper).ok_or_else(|| HelperError::Missing { helper: helper.to_owned() })?;
        let mut child = Command::new(program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let deadline = Instant::now() + self.patience;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its question shows it by its answer.
            let _ = stdin.write_all(input);
        }
        let (sender, answers) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                let mut answer = Vec::new();
                let read = stdout.take(ANSWER_LIMIT).read_to_end(&mut answer).map(|_| answer);
                // Nobody waits any more when the helper took too long.
                let _ = sender.send(read);
            });
        }
        let answer = answers.recv_timeout(self.patience).ok();
        let status = wait_until(deadline, &mut child).map_err(|error| failed(error.to_string()))?;
        let (Some(answer), Some(status)) = (answer, status) else {
            // It is gone already, or goes now; its status says nothing.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(failed(format!("not done in {} seconds", self.patience.as_secs())));
        };
        Ok(Ended { answer: answer.map_err(|error| failed(error.to_string()))?, status })
    }
}

/// A helper that has ended in time.
struct Ended {
    answer: Vec<u8>,
    status: ExitStatus,
}

impl Ended {
    fn succeeded(self, helper: &str) -> Result<Vec<u8>, HelperError> {
        if self.status.success() {
            return Ok(self.answer);
        }
        Err(HelperError::Failed { helper: helper.to_owned(), said: self.status.to_string() })
    }
}

impl CredentialHelper for HelperProcess {
    fn ask(&self, helper: &str, server: &str) -> Result<Option<Vec<u8>>, HelperError> {
        let ended = self.run(helper, "get", server.as_bytes())?;
        if !ended.status.success() && String::from_utf8_lossy(&ended.answer).contains(NOT_FOUND) {
            return Ok(None);
        }
        ended.succeeded(helper).map(Some)
    }
}

/// Waits for the end of a program, but not for ever: it may have closed its output and live on.
fn wait_until(deadline: Instant, child: &mut Child) -> io::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a helper `made` of this script.
    fn folder_with(script: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("docker-credential-made");
        // A program that another thread's child still holds open for writing cannot be run: another process writes it.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
        assert!(Command::new("sh").args(["-c", write, "sh", script]).arg(file).status().unwrap().success());
        folder
    }

    /// What a helper with this script says within so many milliseconds.
    fn said(script: &str, patience: u64) -> Result<Option<Vec<u8>>, HelperError> {
        let folder = folder_with(script);
        let patience = Duration::from_millis(patience);
        HelperProcess { path: folder.path().as_os_str().to_owned(), patience }.ask("made", "registry.example.com")
    }

    #[test]
    fn helper_is_handed_a_login_on_its_input() {
        let folder = folder_with(r#"test "$1" = store && cat | grep -q '"Secret":"p\\"w"'"#);
        let helper = HelperProcess::on(folder.path().as_os_str().to_owned());
        helper.store("made", "r.example.com", "u", &Secret::new("p\"w".to_owned())).unwrap();
        let error = helper.erase("made", "r.example.com").unwrap_err();
        assert!(matches!(error, HelperError::Failed { .. }), "{error}");
    }

    #[test]
    fn helper_that_does_not_end_is_ended() {
        for (name, script) in [
            ("silent", "exec sleep 600"),
            ("silent from now on", "printf answer; exec sleep 600"),
            ("done with its answer only", "printf answer; exec >&-; exec sleep 600"),
        ] {
            let started = Instant::now();
            let error = said(script, 300).unwrap_err();
            assert!(error.to_string().contains("not done in"), "{name}: {error}");
            assert!(started.elapsed() < Duration::from_mins(1), "{name}");
        }
        assert_eq!(said("printf answer", 60_000).unwrap().unwrap(), b"answer");
    }
}
