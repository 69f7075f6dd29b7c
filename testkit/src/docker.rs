//! Debian's `docker-registry`: a registry that is not ours.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use crate::Ca;

const PROGRAM: &str = "docker-registry";
/// How long it may take to start; on a loaded machine it is a second.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// [`DockerRegistry::PASSWORD`] under bcrypt, at its lowest cost.
const PASSWORD_HASH: &str = "$2b$04$GrJHp/yQAOGFDrZy81SVg.mkNFRsPxa8nK1TcTEKRjIHxoWOg0Bhe";

/// The `docker-registry` program of the Debian package of that name, on a free loopback port until it is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    process: Child,
    log: Option<JoinHandle<()>>,
    host: String,
    _folder: TempDir,
}

impl DockerRegistry {
    /// The one user of a locked registry.
    pub const USER: &str = "robot$project+name";
    /// That user's password.
    pub const PASSWORD: &str = "correct horse";

    /// Whether the program is on PATH.
    pub fn available() -> bool {
        Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Starts it over plain http, open to everyone.
    pub fn open() -> Self {
        Self::start(tempfile::tempdir().expect("a temporary folder can be made"), "", "")
    }

    /// Starts it over TLS under this authority, for [`USER`](Self::USER) only (HTTP basic).
    pub fn locked(ca: &Ca) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let leaf = ca.leaf(&[]);
        let at = |name: &str| folder.path().join(name).display().to_string();
        write_new(folder.path(), "certificate.pem", &leaf.certificate);
        write_new(folder.path(), "key.pem", &leaf.key);
        write_new(folder.path(), "htpasswd", &format!("{}:{PASSWORD_HASH}\n", Self::USER));
        let tls = format!("  tls:\n    certificate: {}\n    key: {}\n", at("certificate.pem"), at("key.pem"));
        let auth = format!("auth:\n  htpasswd:\n    realm: testkit\n    path: {}\n", at("htpasswd"));
        Self::start(folder, &tls, &auth)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn start(folder: TempDir, tls: &str, auth: &str) -> Self {
        let storage = folder.path().join("storage");
        let config = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: 127.0.0.1:0\n  secret: made\n{tls}{auth}",
            storage.display()
        );
        write_new(folder.path(), "config.yml", &config);
        let mut process = Command::new(PROGRAM)
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`docker-registry` is on PATH; `apt-get install docker-registry` puts it there");
        let stderr = process.stderr.take().expect("stderr is piped");
        let (tell, told) = mpsc::channel();
        let log = thread::spawn(move || follow(stderr, &tell));
        // From here on a panic in this function kills the process, too.
        let mut registry = Self { process, log: Some(log), host: String::new(), _folder: folder };
        let mut seen = Vec::new();
        while registry.host.is_empty() {
            match told.recv_timeout(START_DEADLINE) {
                Ok(line) => {
                    registry.host = port_in(&line).map(|port| format!("127.0.0.1:{port}")).unwrap_or_default();
                    seen.push(line);
                }
                Err(error) => panic!("`docker-registry` did not start ({error}):\n{}", seen.join("\n")),
            }
        }
        registry
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(self.log.take().map(JoinHandle::join));
    }
}

/// Reads the log to its end, so that the program never waits for a reader.
fn follow(stderr: ChildStderr, tell: &mpsc::Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(io::Result::ok) {
        // Once the port is known nobody listens any more.
        drop(tell.send(line));
    }
}

/// The port in the line that says that it listens; by then connections are accepted.
fn port_in(line: &str) -> Option<u16> {
    let digits = line.split_once("listening on 127.0.0.1:")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

fn write_new(folder: &Path, name: &str, content: &str) {
    let file = OpenOptions::new().write(true).create_new(true).open(folder.join(name));
    file.and_then(|mut file| file.write_all(content.as_bytes())).expect("the temporary folder is writable");
}
