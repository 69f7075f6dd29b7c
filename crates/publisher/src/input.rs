//! What was typed as an artifact, a folder or a secret.

use std::fs::File;
use std::io::{self, Read, stdin};
use std::path::Path;

use audit::Blame;
use fetch::{Fetched, Spool, read_file};
use publish::{Chain, Dir};
use source::{Source, SourcePolicy};
use transport::{Secret, Stop};

use crate::cli::Args;
use crate::environment::Environment;
use crate::failure::{Failure, note};
use crate::servers;

/// Most bytes of a password or token.
const SECRET_LIMIT: u64 = 64 * 1024;

/// Whether a text names something on a server.
pub(crate) fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("oci:") || text.starts_with("https:")
}

/// Opens a file, which may be reached through a link.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    let opened = File::open(path).map_err(|error| {
        let blame = if error.kind() == io::ErrorKind::NotFound { Blame::Operator } else { Blame::Host };
        Failure { blame, ..Failure::io("open", path, &error) }
    })?;
    Ok(opened)
}

/// Opens a folder, which may be reached through a link.
pub(crate) fn open_folder(path: &Path) -> Result<Dir, Failure> {
    let hint = match path.file_name().and_then(|name| name.to_str()) {
        Some("dist-dynamic") => "make it with `rhdh-cli plugin export` in the plugin's folder",
        _ => "name the folder that `rhdh-cli plugin export` makes, mostly `dist-dynamic`",
    };
    path.canonicalize().and_then(|path| Dir::open(&path)).map_err(|error| {
        let blame = if error.kind() == io::ErrorKind::PermissionDenied { Blame::Host } else { Blame::Operator };
        Failure { blame, ..Failure::io("open", path, &error) }.hint(hint)
    })
}

/// Fetches what a reference names, as the one who typed it allows.
pub(crate) fn fetch(text: &str, spool: File, args: &Args, environment: &Environment) -> Result<Fetched, Failure> {
    let policy = SourcePolicy::permissive();
    let source = Source::parse(text)?;
    let fetcher = servers::fetcher(args, environment, policy.clone())?;
    let allowed = policy.admit(source).map_err(|error| Failure::usage(Chain(&error).to_string()))?;
    let waiting = |error: &fetch::FetchError, wait: std::time::Duration| {
        note(&format!("warning: {}; next try in {:.1} s", Chain(error), wait.as_secs_f64()));
    };
    Ok(fetcher.fetch(&allowed, Spool::new(spool), &Stop::new(), &waiting)?)
}

/// A secret from standard input, without the newline at its end.
pub(crate) fn secret_from_stdin(what: &str) -> Result<Secret, Failure> {
    let mut text = String::new();
    stdin()
        .lock()
        .take(SECRET_LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("failed to read the {what} from standard input: {error}")))?;
    secret(&text, what)
}

/// A secret from a file, without the newline at its end.
pub(crate) fn secret_from_file(path: &Path, what: &str) -> Result<Secret, Failure> {
    let bytes = read_file(path, 64 * 1024)
        .map_err(|error| Failure::usage(format!("failed to read `{}`: {}", path.display(), Chain(&error))))?;
    secret(&String::from_utf8_lossy(&bytes), what)
}

/// A text that can stand in a header.
pub(crate) fn secret(text: &str, what: &str) -> Result<Secret, Failure> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Failure::usage(format!("expected one line with the {what}, found none or more")));
    }
    Ok(Secret::new(text.to_owned()))
}
