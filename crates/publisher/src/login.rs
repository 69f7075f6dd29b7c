//! `login` and `logout`: who one is at a registry, where Docker's clients look for it.

use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};

use fetch::{HelperProcess, LOGINS_LIMIT, Logins, Unreadable, read_file};
use oci::{Client, Credentials, LoginFile, LoginPlace, Removed};
use publish::{Chain, Dir, FileMode, Replacement};
use source::Authority;
use transport::{Deadline, Patience, Secret, Stop, SystemClock};

use crate::cli::{Args, LoginArgs, LogoutArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Status, note};
use crate::{input, pack, servers, terminal};

/// How often a file that others write to is tried again.
const TRIES: u32 = 20;
/// Longest time for the registry's answer.
const LONGEST: std::time::Duration = std::time::Duration::from_mins(2);

pub(crate) fn log_in(args: &LoginArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    let registry = registry(&args.registry)?;
    if args.username.is_empty() || args.username.contains(':') || args.username.chars().any(char::is_control) {
        return Err(Failure::usage("expected a user name without `:` and control characters"));
    }
    let logins = servers::logins(&all.servers, environment);
    let path = config_file(&logins)?;
    // A file that cannot be used is told before anybody types a password.
    read(&path)?;
    let password =
        if args.password_stdin { input::secret_from_stdin("password")? } else { ask(&args.username, &registry)? };

    let credentials = Credentials::only(&registry, &args.username, &password);
    let client = Client::new(servers::transport(all, environment)?, credentials, logins.realms()?);
    let (clock, stop) = (SystemClock::start(), Stop::new());
    let patience = Patience::new(&clock, Deadline::after(&clock, LONGEST), &stop);
    servers::retry(all).run(patience, &|_, _| (), || client.log_in(&registry, patience)).map_err(|error| Failure {
        hint: error.hint(),
        ..Failure::new("login_failed", error.blame(), Chain(&error).to_string())
    })?;

    let kept = match read(&path)?.1.place(&registry) {
        LoginPlace::File => {
            change(&path, |file| file.insert(&registry, &args.username, &password))?;
            format!("in `{}`, where everyone who may read the file may read the password", path.display())
        }
        LoginPlace::Helper { helper, server } => {
            helpers(&logins)
                .store(&helper, &server, &args.username, &password)
                .map_err(|error| helper_failed(&error))?;
            change(&path, |file| _ = file.remove(&registry))?;
            format!("with `docker-credential-{helper}`")
        }
    };
    note(&format!("`{registry}` takes the login of `{}`; it is kept {kept}", args.username));
    Ok(Status::Done)
}

pub(crate) fn log_out(args: &LogoutArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    let registry = registry(&args.registry)?;
    let logins = servers::logins(&all.servers, environment);
    let path = config_file(&logins)?;
    let mut removed = Removed::Nothing;
    change(&path, |file| removed = file.remove(&registry))?;
    match removed {
        Removed::Login => note(&format!("removed the login for `{registry}` from `{}`", path.display())),
        Removed::Nothing => note(&format!("there is no login for `{registry}` in `{}`", path.display())),
    }
    if let LoginPlace::Helper { helper, server } = read(&path)?.1.place(&registry) {
        helpers(&logins).erase(&helper, &server).map_err(|error| helper_failed(&error))?;
        note(&format!("`docker-credential-{helper}` was told to forget the login for `{registry}`"));
    }
    Ok(Status::Done)
}

fn registry(text: &str) -> Result<Authority, Failure> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("oci://")).unwrap_or(text);
    Authority::parse(host.trim_end_matches('/')).map_err(|fault| {
        Failure::usage(format!("expected a registry's host and port, found `{}`: {fault}", source::redact(text)))
            .hint("as in `registry.example.com` or `localhost:5000`, without a repository")
    })
}

fn config_file(logins: &Logins) -> Result<PathBuf, Failure> {
    let path = logins.config_file().ok_or_else(|| {
        Failure::usage("there is no place for a login")
            .hint("set HOME or DOCKER_CONFIG, or name a file with `--registry-auth-file`")
    })?;
    let path = std::path::absolute(&path).map_err(|error| Failure::io("find", &path, &error))?;
    Ok(pack::behind_links(&path))
}

/// The file as it is, and what it says.
fn read(path: &Path) -> Result<(Vec<u8>, LoginFile), Failure> {
    let json = match read_file(path, LOGINS_LIMIT) {
        Ok(json) => json,
        Err(Unreadable::Absent) => Vec::new(),
        Err(error) => return Err(Failure::io("read", path, &error)),
    };
    let file = LoginFile::parse(&json).map_err(|error| {
        let text = format!("`{}`: {}", path.display(), Chain(&error));
        Failure { hint: Some(error.hint()), ..Failure::usage(text) }
    })?;
    Ok((json, file))
}

/// Changes the file in one step. What somebody else writes meanwhile is read, and changed as well.
fn change(path: &Path, mut change: impl FnMut(&mut LoginFile)) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        let (before, mut file) = read(path)?;
        change(&mut file);
        match write(path, &before, &file) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && tries < TRIES => tries += 1,
            written => return written.map_err(|error| Failure::io("write", path, &error)),
        }
    }
}

/// A new file, and new folders for it, are for this user only.
fn write(path: &Path, before: &[u8], file: &LoginFile) -> io::Result<()> {
    let text = file.to_json();
    if text.as_bytes() == before || (before.is_empty() && text.trim() == "{}") {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut replacement = Replacement::begin(path, FileMode::Private)?;
    replacement.write_all(text.as_bytes())?;
    replacement.commit_over(before)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    make_folder(parent)?;
    match Dir::open(&parent.canonicalize()?)?.create_private_dir(name) {
        // Somebody else logs in at the same time.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn helpers(logins: &Logins) -> HelperProcess {
    HelperProcess::on(logins.helper_path.clone())
}

fn helper_failed(error: &oci::HelperError) -> Failure {
    Failure::new("login_failed", audit::Blame::Operator, Chain(error).to_string())
        .hint("run the helper by hand, or take its name out of `config.json`")
}

/// Asks for a password at the terminal, which does not show it, and is left as it was by whatever ends this.
fn ask(user: &str, registry: &Authority) -> Result<Secret, Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::usage("expected a terminal to ask for the password at, or `--password-stdin`")
            .hint("as in `… login --username NAME --password-stdin < FILE`"));
    }
    let unusable = |error: std::io::Error| Failure::usage(format!("failed to ask for the password: {error}"));
    let hidden = terminal::hide_input().map_err(unusable)?;
    drop(write!(stderr(), "password or token of {} at {registry}: ", source::printable(user)));
    let mut line = String::new();
    let read = stdin().read_line(&mut line);
    drop(hidden);
    drop(writeln!(stderr()));
    read.map_err(unusable)?;
    input::secret(&line, "password")
}
