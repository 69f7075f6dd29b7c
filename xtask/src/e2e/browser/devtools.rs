//! A headless Chromium, told what to do in its `DevTools` protocol over two pipes: JSON texts, each ended
//! by a zero byte.
//!
//! The command line alone can print a document or draw it, once each, after a time that one has to guess. Here the page
//! itself says when it is ready. Pipes need no port that another process could take or open.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::iter;
use std::mem;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::e2e::process;

/// For a browser in a container, run by root, that talks to nobody but the page.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1000,700",
    "--enable-logging=stderr",
    "--remote-debugging-pipe",
];
/// Chromium reads from descriptor 3 and writes to 4. A shell moves what a child can be given there, and is then replaced
/// by Chromium, whose process id is the child's.
const LAUNCH: &str = r#"exec chromium "$@" 3<&0 4>&1 </dev/null >&2"#;
/// No message may be longer: a picture of the page is the longest one.
const MAX_MESSAGE: u64 = 64 * 1024 * 1024;
/// How long Chromium's other processes may outlive the first one.
const FAREWELL: Duration = Duration::from_secs(5);
/// How much of what Chromium and the page complained about is told.
const TAIL_LINES: usize = 20;
/// What Chromium writes many lines about on a machine without a desktop.
const NOISE: &str = ":dbus/";

/// A running browser; it is stopped when dropped.
pub(super) struct Chromium {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// What Chromium and the page complain about, by lines. It ends with the last of Chromium's processes.
    log: Receiver<String>,
    /// What happened while something else was waited for.
    events: Vec<Value>,
    last_id: u64,
    until: Instant,
    /// Holds its profile and what it leaves; removed last, when nobody is left to write there.
    _home: TempDir,
}

impl Chromium {
    /// Starts one with an empty profile. Whatever it is asked, it has answered before the time is over.
    pub(super) fn start(time: Duration) -> anyhow::Result<Self> {
        let home = tempfile::tempdir().context("could not create a folder for the browser's profile")?;
        let mut process = process::stranger("sh", home.path())
            .args(["-c", LAUNCH, "sh"])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .env("TMPDIR", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("could not start chromium")?;
        let commands = process.stdin.take().expect("a pipe");
        let messages = messages_from(process.stdout.take().expect("a pipe"));
        let log = lines_from(process.stderr.take().expect("a pipe"));
        let until = Instant::now() + time;
        Ok(Self { process, commands, messages, log, events: Vec::new(), last_id: 0, until, _home: home })
    }

    /// Opens an empty tab, and returns the name of the session that speaks to it.
    pub(super) fn open_tab(&mut self) -> anyhow::Result<String> {
        let tab = self.call("", "Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attached =
            self.call("", "Target.attachToTarget", &json!({ "targetId": tab["targetId"], "flatten": true }))?;
        attached["sessionId"].as_str().map(str::to_owned).context("chromium named no session")
    }

    /// Has a command of the protocol done, and returns its result. The browser's own session has no name.
    pub(super) fn call(&mut self, session: &str, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": params });
        if !session.is_empty() {
            command["sessionId"] = session.into();
        }
        let told = self.commands.write_all(format!("{command}\0").as_bytes());
        told.map_err(Into::into).and_then(|()| self.answer()).with_context(|| format!("chromium did not do `{method}`"))
    }

    /// Waits until an event has happened, or notices that it has. What happened before is forgotten.
    pub(super) fn wait_for(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let mut happened = mem::take(&mut self.events).into_iter();
        loop {
            let event = match happened.next() {
                Some(event) => event,
                None => self.message().with_context(|| format!("chromium did not tell `{name}`"))?,
            };
            if event["method"] == name && is_it(&event["params"]) {
                return Ok(());
            }
        }
    }

    /// Stops it, and returns the end of its log, as the end of a sentence.
    pub(super) fn last_words(&mut self) -> String {
        let mut lines = self.stop();
        lines.retain(|line| !line.contains(NOISE));
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        if tail.is_empty() { String::new() } else { format!("; chromium's log ends in:\n{}", tail.join("\n")) }
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        loop {
            let mut message = self.message()?;
            if message["id"] == self.last_id {
                return match message["error"]["message"].as_str() {
                    Some(error) => bail!("{error}"),
                    None => Ok(message["result"].take()),
                };
            }
            self.events.push(message);
        }
    }

    fn message(&self) -> anyhow::Result<Value> {
        match self.messages.recv_timeout(self.until.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("its time is over"),
            Err(RecvTimeoutError::Disconnected) => bail!("it has ended"),
        }
    }

    /// Stops it, and returns what nobody has read of its log.
    fn stop(&mut self) -> Vec<String> {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Its other processes end when they miss it.
        iter::from_fn(|| self.log.recv_timeout(FAREWELL).ok()).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads messages until Chromium ends or says what is none.
fn messages_from(stdout: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut text = Vec::new();
        while stdout.by_ref().take(MAX_MESSAGE).read_until(0, &mut text).is_ok() && text.pop() == Some(0) {
            let Ok(message) = serde_json::from_slice(&text) else { break };
            if sender.send(message).is_err() {
                break;
            }
            text.clear();
        }
    });
    receiver
}

/// Reads lines until nobody is left to write any.
fn lines_from(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // To the end, also when nobody listens: a full pipe would stop Chromium.
        BufReader::new(stderr).split(b'\n').map_while(Result::ok).for_each(|line| {
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        });
    });
    receiver
}
