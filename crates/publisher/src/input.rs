//! What was typed as an artifact, a folder or a secret.

use std::fs::File;
use std::io::{self, Read, stdin};
use std::path::Path;

use audit::Blame;
use fetch::{Fetched, Spool, read_file};
use publish::{Chain, Dir, FileError};
use source::{Source, SourcePolicy};
use transport::{Secret, Stop};

use crate::cli::Args;
use crate::environment::Environment;
use crate::failure::{Failure, warn_of_retry};
use crate::servers;

/// Most bytes of a password or token.
const SECRET_LIMIT: usize = 64 * 1024;

/// Whether a text names something on a server.
pub(crate) fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("oci:") || text.starts_with("https:")
}

/// Opens a file, which may be reached through a link.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| {
        let blame = if error.kind() == io::ErrorKind::NotFound { Blame::Operator } else { Blame::Host };
        Failure { blame, ..Failure::io("open", path, &error) }
    };
    let looks_remote = path.to_str().is_some_and(|text| text.contains('/') && text.contains(':'));
    let found = path.metadata().map_err(|error| {
        let hint =
            looks_remote.then_some("what is in a registry begins with `oci://`, what is on a server with `https://`");
        failed(error).hint(hint)
    })?;
    // Opening a pipe would wait for whoever writes to it.
    if !found.is_file() {
        return Err(Failure::from(FileError::NotAFile).about(&path.display().to_string()));
    }
    File::open(path).map_err(failed)
}

/// Opens a folder, which may be reached through a link.
pub(crate) fn open_folder(path: &Path) -> Result<Dir, Failure> {
    let hint = match path.file_name().and_then(|name| name.to_str()) {
        _ if path.is_file() => "this is a file, perhaps packed already; the folder it was packed from is needed here",
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
    Ok(fetcher.fetch(&allowed, Spool::new(spool), &Stop::new(), &|error, wait| warn_of_retry(error, wait))?)
}

/// A secret from standard input, without the newline at its end.
pub(crate) fn secret_from_stdin(what: &str) -> Result<Secret, Failure> {
    let mut text = String::new();
    stdin()
        .lock()
        .take(SECRET_LIMIT as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("failed to read the {what} from standard input: {error}")))?;
    secret(&text, what)
}

/// A secret from a file, without the newline at its end.
pub(crate) fn secret_from_file(path: &Path, what: &str) -> Result<Secret, Failure> {
    let bytes = read_file(path, SECRET_LIMIT)
        .map_err(|error| Failure::usage(format!("failed to read `{}`: {}", path.display(), Chain(&error))))?;
    secret(&String::from_utf8_lossy(&bytes), what)
}

/// A text that can stand in a header.
pub(crate) fn secret(text: &str, what: &str) -> Result<Secret, Failure> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::usage(format!("the {what} is empty")));
    }
    if text.len() > SECRET_LIMIT || text.chars().any(char::is_control) {
        return Err(Failure::usage(format!("expected one line with the {what}, found more, or control characters")));
    }
    Ok(Secret::new(text.to_owned()))
}
