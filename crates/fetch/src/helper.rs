//! Runs Docker's credential helpers (`docker-credential-<name> get`).

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use oci::{CredentialHelper, HelperError};

/// Most bytes of a helper's answer.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// Longest time for an answer; cloud helpers ask a service of their own.
const PATIENCE: Duration = Duration::from_secs(30);
/// What helpers print on failure when they know no credentials for the server.
const NOT_FOUND: &str = "credentials not found";

/// Finds helpers on a PATH and runs them with the environment of this process, which cloud helpers need.
#[derive(Debug, Clone)]
pub struct HelperProcess {
    path: OsString,
}

impl HelperProcess {
    /// Helpers found in the folders of `path`, as in `PATH`.
    pub const fn on(path: OsString) -> Self {
        Self { path }
    }

    fn find(&self, helper: &str) -> Option<PathBuf> {
        let name = format!("docker-credential-{helper}");
        std::env::split_paths(&self.path).map(|folder| folder.join(&name)).find(|program| program.is_file())
    }
}

impl CredentialHelper for HelperProcess {
    fn ask(&self, helper: &str, server: &str) -> Result<Option<Vec<u8>>, HelperError> {
        let failed = |said: String| HelperError::Failed { helper: helper.to_owned(), said };
        let program = self.find(helper).ok_or_else(|| HelperError::Missing { helper: helper.to_owned() })?;
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its question shows it by its answer.
            let _ = stdin.write_all(server.as_bytes());
        }
        let (sender, answers) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut answer = Vec::new();
                let read = stdout.take(ANSWER_LIMIT).read_to_end(&mut answer).map(|_| answer);
                // Nobody waits any more when the helper took too long.
                let _ = sender.send(read);
            });
        }
        let Ok(answer) = answers.recv_timeout(PATIENCE) else {
            // It is gone already, or goes now; its status says nothing.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(failed(format!("no answer in {} seconds", PATIENCE.as_secs())));
        };
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(Some(answer));
        }
        if String::from_utf8_lossy(&answer).contains(NOT_FOUND) {
            return Ok(None);
        }
        Err(failed(status.to_string()))
    }
}
