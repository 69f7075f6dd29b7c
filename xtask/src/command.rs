//! Running other programs: shown before, checked after.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use crate::workspace;

/// A program to be run at the top of the workspace.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(workspace::root());
    command
}

/// The cargo that runs this tool.
///
/// It is not told what cargo told this tool about its own package: build scripts that look at such variables would run
/// again, and what depends on them would be built again, each time the workspace is built by hand in between.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments);
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        cargo.env_remove(name);
    }
    cargo
}

/// Shows the command, runs it on the caller's terminal, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed with {status}", shown(command));
    }
    Ok(())
}

/// Runs the command and returns what it printed; its standard error goes to the terminal.
pub(crate) fn read(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, .. } =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed with {status}", shown(command));
    }
    String::from_utf8(stdout).with_context(|| format!("`{}` printed something that is not UTF-8", shown(command)))
}

/// Copies what is in a folder, with links and modes.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(program("cp", &["--archive", "--no-target-directory"]).arg(from).arg(to))
}

/// Whether a program of this name can be started, whatever it then answers.
pub(crate) fn is_installed(name: &str) -> bool {
    let answer =
        Command::new(name).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    !matches!(answer, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Whether cargo has this subcommand (`cargo NAME --version` works).
pub(crate) fn has_subcommand(name: &str) -> bool {
    cargo(&[name, "--version"]).output().is_ok_and(|answer| answer.status.success())
}

fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| Some(format!("{}={}", text(name), text(value?))));
    let name = command.get_program();
    let name = Path::new(name).file_name().unwrap_or(name);
    variables.chain([text(name)]).chain(command.get_args().map(text)).collect::<Vec<_>>().join(" ")
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_arguments() {
        let error = run(&mut program("false", &["now"])).unwrap_err();
        assert_eq!(error.to_string(), "`false now` failed with exit status: 1");
    }

    #[test]
    fn a_missing_program_is_not_installed() {
        assert!(is_installed("cargo"));
        assert!(!is_installed("no-such-program-anywhere"));
    }
}
