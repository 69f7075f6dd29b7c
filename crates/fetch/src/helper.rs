//! Runs Docker's credential helpers (`docker-credential-<name> get`).

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use oci::{CredentialHelper, HelperError};

/// Most bytes of a helper's answer.
const ANSWER_LIMIT: u64 = 64 * 1024;
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
        let mut answer = Vec::new();
        let read = match child.stdout.take() {
            Some(stdout) => stdout.take(ANSWER_LIMIT).read_to_end(&mut answer),
            None => Ok(0),
        };
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        read.map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(Some(answer));
        }
        if String::from_utf8_lossy(&answer).contains(NOT_FOUND) {
            return Ok(None);
        }
        Err(failed(status.to_string()))
    }
}
