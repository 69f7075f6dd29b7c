//! Whose command line this is, and what it asks for.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{FromArgMatches as _, ValueEnum as _};

use crate::cli::{self, Args, COMMANDS, Command, Dialect};
use crate::environment::Environment;
use crate::exit::Status;
use crate::report::print_text;
use crate::{check, explain, list, plan, rhdh, run, usage, verify};

/// The name by which RHDH's charts and images call its installer.
const RHDH_NAME: &str = "install-dynamic-plugins";

/// Reads the command line, program name included, and does what it asks for.
pub(crate) fn run(arguments: Vec<OsString>, environment: &Environment) -> Status {
    match dialect(&arguments, environment.dialect.as_deref()) {
        Dialect::Rhdh => rhdh::run(arguments, environment),
        Dialect::Butler => butler(arguments, environment),
    }
}

fn butler(arguments: Vec<OsString>, environment: &Environment) -> Status {
    let parsed = cli::command().try_get_matches_from(arguments);
    let mut args = match parsed.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => return usage::misused(&error),
    };
    match args.command.take() {
        None => run::run(&args, environment),
        Some(Command::Plan(plan)) => plan::run(args, plan, environment),
        Some(Command::Check(check)) => check::run(&args, &check, environment),
        Some(Command::List(list)) => list::run(&args, &list),
        Some(Command::Explain(explain)) => explain::run(&explain),
        Some(Command::Schema) => {
            print_text(&config::schema(args.run.dialect.into()));
            Status::Completed
        }
        Some(Command::Verify(verify)) => verify::run(&args, &verify),
    }
}

/// A flag wins over the variable, which wins over the program's name. What is no dialect is left to the command line to
/// complain about.
fn dialect(arguments: &[OsString], variable: Option<&str>) -> Dialect {
    let program = arguments.first().and_then(|program| Path::new(program).file_name());
    let by_name = if program == Some(OsStr::new(RHDH_NAME)) { Dialect::Rhdh } else { Dialect::Butler };
    // The commands are ours, whatever the dialect of what they look at.
    let is_command = |first: &OsString| COMMANDS.iter().any(|command| first == command);
    if by_name == Dialect::Butler && arguments.get(behind_dialect(arguments)).is_some_and(is_command) {
        return Dialect::Butler;
    }
    if let Some(dialect) = flag(arguments).as_deref().and_then(named) {
        return dialect;
    }
    variable.and_then(named).unwrap_or(by_name)
}

fn named(text: &str) -> Option<Dialect> {
    Dialect::from_str(text, false).ok()
}

/// The value of the last `--dialect`.
fn flag(arguments: &[OsString]) -> Option<String> {
    let mut found = None;
    let mut rest = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(argument) = rest.next().filter(|argument| argument != "--") {
        if argument == "--dialect" {
            found = rest.next().map(String::from);
        } else if let Some(value) = argument.strip_prefix("--dialect=") {
            found = Some(value.to_owned());
        }
    }
    found
}

/// The first argument that is not there to choose the dialect.
pub(crate) fn behind_dialect(arguments: &[OsString]) -> usize {
    let mut at = 1;
    loop {
        match arguments.get(at).map(|argument| argument.to_string_lossy()) {
            Some(argument) if argument == "--dialect" => at += 2,
            Some(argument) if argument.starts_with("--dialect=") => at += 1,
            _ => return at,
        }
    }
}

impl From<Dialect> for config::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Butler => Self::Butler,
            Dialect::Rhdh => Self::Rhdh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_wins_over_variable_and_variable_over_name() {
        for (arguments, variable, expected) in [
            ("butler-plugin-installer", None, Dialect::Butler),
            ("", None, Dialect::Butler),
            ("/usr/bin/install-dynamic-plugins /root", None, Dialect::Rhdh),
            ("install-dynamic-plugins.sh /root", None, Dialect::Butler),
            ("butler-plugin-installer /root", Some("rhdh"), Dialect::Rhdh),
            ("install-dynamic-plugins --root /root", Some("butler"), Dialect::Butler),
            ("install-dynamic-plugins --dialect butler", Some("rhdh"), Dialect::Butler),
            ("butler-plugin-installer /root --dialect=rhdh", Some("butler"), Dialect::Rhdh),
            ("butler-plugin-installer -- --dialect=rhdh", None, Dialect::Butler),
            ("butler-plugin-installer --dialect", None, Dialect::Butler),
            ("install-dynamic-plugins /root --dialect=redhat", None, Dialect::Rhdh),
            ("butler-plugin-installer /root --dialect=redhat", Some("rhdh"), Dialect::Rhdh),
            ("butler-plugin-installer", Some("redhat"), Dialect::Butler),
            ("butler-plugin-installer verify", Some("rhdh"), Dialect::Butler),
            ("butler-plugin-installer --dialect rhdh check", None, Dialect::Butler),
            ("butler-plugin-installer check --dialect=rhdh", None, Dialect::Butler),
            ("install-dynamic-plugins verify", None, Dialect::Rhdh),
        ] {
            let list: Vec<_> = arguments.split_whitespace().map(OsString::from).collect();
            assert_eq!(dialect(&list, variable), expected, "{arguments} {variable:?}");
        }
    }
}
