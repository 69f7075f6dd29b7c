//! How the program ends, and what it says when it does not do what it was asked.

use std::env::args_os;
use std::ffi::OsString;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use audit::Blame;
use clap::error::{ContextKind, ContextValue};
use publish::Chain;

use crate::{input, signals};

/// Exit status, a contract with scripts and CI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Done.
    Done = 0,
    /// Refused or failed.
    Failed = 1,
    /// The command line or the environment is wrong.
    Usage = 2,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Why the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) reason: &'static str,
    pub(crate) text: String,
    pub(crate) blame: Blame,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(reason: &'static str, blame: Blame, text: impl Into<String>) -> Self {
        Self { status: Status::Failed, reason, text: text.into(), blame, hint: None }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { status: Status::Usage, ..Self::new("usage", Blame::Operator, text) }
    }

    /// A file that could not be read or written.
    pub(crate) fn io(act: &str, path: &std::path::Path, error: &dyn std::error::Error) -> Self {
        let path = source::redact(&path.display().to_string());
        Self::new("io_error", Blame::Host, format!("failed to {act} `{path}`: {}", Chain(error)))
    }

    /// The same with something to do.
    pub(crate) fn hint(self, hint: impl Into<Option<&'static str>>) -> Self {
        Self { hint: hint.into().map(str::to_owned), ..self }
    }

    /// The same, with what it happened to before the words.
    pub(crate) fn about(self, subject: &str) -> Self {
        Self { text: format!("{subject}: {}", self.text), ..self }
    }

    /// Says it on standard error.
    pub(crate) fn tell(&self) -> Status {
        let Self { status, reason, text, blame, hint } = self;
        if signals::is_ending() {
            return *status;
        }
        note(&format!("error[{reason}]: {text}"));
        if let Some(hint) = hint {
            note(&format!("help: {hint}"));
        }
        if *status != Status::Usage {
            note(&format!("whose move: {}", whose(*blame)));
        }
        *status
    }
}

/// How an argument begins that has a secret in it.
const SECRETS: [&str; 3] = ["--password=", "--password-stdin=", "--token-stdin="];

/// Refuses a password among what was typed, under the names that other clients give it.
pub(crate) fn typed_password(mut arguments: impl Iterator<Item = OsString>) -> Option<Failure> {
    let is_password = |argument: OsString| {
        let text = argument.to_string_lossy();
        matches!(&*text, "-p" | "--password") || SECRETS.iter().any(|flag| text.starts_with(flag))
    };
    arguments.any(is_password).then(|| {
        Failure::usage("a password on the command line can be read by every user of this machine")
            .hint("keep the login with `login`, or pipe the password into `--password-stdin`")
    })
}

/// Tells what is wrong with a command line, in clap's words, and ends the program.
pub(crate) fn misused(mut error: clap::Error) -> ! {
    let only = |name: &str| ContextValue::Strings(vec![name.to_owned()]);
    let is_remote = |argument: OsString| argument.to_str().is_some_and(input::is_remote);
    // Where one of the two is given, clap takes it for the last; but a path is no reference.
    if error.get(ContextKind::InvalidArg) == Some(&only("<PLUGIN>...")) && !args_os().any(is_remote) {
        error.insert(ContextKind::InvalidArg, only("<REFERENCE>"));
    }
    error.exit()
}

/// A party, in words that say who it is from here.
const fn whose(blame: Blame) -> &'static str {
    match blame {
        Blame::Operator => "operator (whoever sets up this call: logins, flags, certificates)",
        Blame::Publisher => "publisher (whoever builds the plugin)",
        Blame::Network => "network or server (trying again later may help)",
        Blame::Host => "host (this machine)",
        Blame::Bug => "nobody's but ours: this is a bug",
    }
}

/// Says one line on standard error. What plugins, registries and servers say may be in it: nothing of that moves a
/// cursor, and no line begins but ours.
pub(crate) fn note(text: &str) {
    // A note that nobody reads is none.
    drop(writeln!(stderr(), "{}", source::printable(text)));
}

/// Says that something failed and is tried again.
pub(crate) fn warn_of_retry(error: &dyn std::error::Error, wait: Duration) {
    note(&format!("warning: {}; next try in {:.1} s", Chain(error), wait.as_secs_f64()));
}

/// Writes a result on standard output. A reader that went away (`… | head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new("io_error", Blame::Host, format!("failed to write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Errors that know their reason code, whose move they are, and mostly what to do.
macro_rules! failures {
    ($($error:ty),+ $(,)?) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let status = if error.reason() == "usage" { Status::Usage } else { Status::Failed };
                let failure = Self::new(error.reason(), error.blame(), Chain(&error).to_string());
                Self { status, hint: error.hint().map(Into::into), ..failure }
            }
        }
    )+ };
}

failures! {
    fetch::FetchError,
    publish::CheckError,
    publish::FileError,
    publish::OpenError,
    publish::PackError,
    publish::PackedError,
    publish::PinError,
    publish::PushError,
    publish::TargetError,
    publish::UploadError,
}

impl From<fetch::AccessError> for Failure {
    fn from(error: fetch::AccessError) -> Self {
        Self { hint: Some(error.hint()), ..Self::usage(Chain(&error).to_string()) }
    }
}

impl From<fetch::SurroundingsError> for Failure {
    fn from(error: fetch::SurroundingsError) -> Self {
        Self::usage(Chain(&error).to_string()).hint(error.hint())
    }
}

impl From<source::SourceError> for Failure {
    fn from(error: source::SourceError) -> Self {
        Self { hint: error.hint(), ..Self::usage(Chain(&error).to_string()) }
    }
}
