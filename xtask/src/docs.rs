//! `cargo xtask docs`: what is written from the code: reference pages, a picture of the demo, man pages, completions; and
//! the site.

// The command lines of the programs, as they are: a binary has no other way to be asked.
#[path = "../../crates/installer/src/cli.rs"]
mod installer;
#[path = "../../crates/installer/src/metrics/metric.rs"]
mod metric;
#[path = "../../crates/publisher/src/cli.rs"]
mod publisher;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Command, CommandFactory as _, ValueEnum as _};
use clap_complete::{Generator as _, Shell};

use crate::{demo, libraries, picture, site, workspace};

/// Where the reference is that git keeps.
const REFERENCE: &str = "docs/reference";
const PICTURE: &str = "docs/demo.svg";

/// What to do with the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Write them.
    Write,
    /// Complain about those that are not what would be written.
    Check,
}

/// Writes or checks the pages, and builds the site of all documents. Man pages and completions go to `target/docs/`, where
/// a package takes them from.
pub(crate) fn run(what: Pages) -> anyhow::Result<()> {
    let programs = [installer::command(), installer::rhdh_command(), publisher::Args::command()];
    let mut pages = vec![
        (format!("{REFERENCE}/rules.md"), contract::rules_page()),
        (format!("{REFERENCE}/reasons.md"), audit::reasons_page()),
        (format!("{REFERENCE}/metrics.md"), metrics_page()),
        (format!("{REFERENCE}/dynamic-plugins.schema.json"), config::schema(config::Dialect::Butler)),
        (format!("{REFERENCE}/dynamic-plugins.rhdh.schema.json"), config::schema(config::Dialect::Rhdh)),
        (PICTURE.to_owned(), picture::svg(&demo::record()?)),
    ];
    pages.extend(libraries::pages()?);
    pages.extend(programs.iter().map(|program| (format!("{REFERENCE}/{}.md", short(program)), page(program))));
    match what {
        Pages::Write => {
            for (name, text) in &pages {
                write(&workspace::root().join(name), text.as_bytes())?;
            }
            programs.into_iter().try_for_each(package)?;
        }
        Pages::Check => check(&pages)?,
    }
    site::build()
}

fn check(pages: &[(String, String)]) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (name, text) in pages {
        let kept = fs::read_to_string(workspace::root().join(name)).unwrap_or_default();
        if kept != *text {
            println!("{name}:\n{}", difference(&kept, text));
            stale.push(name.as_str());
        }
    }
    match stale.as_slice() {
        [] => Ok(()),
        _ => bail!("`cargo xtask docs` writes these pages otherwise: {}", stale.join(", ")),
    }
}

/// The lines that only one of two texts has.
fn difference(kept: &str, wanted: &str) -> String {
    let only = |sign, one: &str, other: &str| {
        let others: HashSet<_> = other.lines().collect();
        one.lines().filter(|line| !others.contains(line)).map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only('-', kept, wanted), only('+', wanted, kept)].concat().join("\n")
}

/// `installer` of `butler-plugin-installer`.
fn short(program: &Command) -> &str {
    program.get_name().trim_start_matches("butler-plugin-")
}

/// What the file of metrics has.
fn metrics_page() -> String {
    let mut text = METRICS.to_owned();
    for metric in metric::Metric::ALL {
        let (name, label, help) = metric.about();
        let label = label.map_or_else(|| "–".to_owned(), |label| format!("`{label}`"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {label} | {help} |");
    }
    let outcomes = metric::OUTCOMES.map(|outcome| format!("`{outcome}`")).join(", ");
    let _ = write!(text, "\nEvery file has all values of `outcome`: {outcomes}. They are the words of the log.\n");
    text
}

const METRICS: &str = "\
# The metrics

`--metrics-file FILE` (`BUTLER_PLUGINS_METRICS_FILE`) writes how a run went in Prometheus' text format, in both dialects:
after each run, those that failed as well, in one step. The [guide](../guides/inspect.md#metrics) says how they are
collected. All are gauges about the last run, and all have the label `root`, the path of the plugin root. Names and labels
stay; others may be added. This page is written by `cargo xtask docs`.

| metric | label | what it says |
| --- | --- | --- |
";

/// All help texts of a program.
fn page(program: &Command) -> String {
    let mut program = program.clone();
    program.build();
    let name = program.get_name().to_owned();
    let mut text = format!(
        "# `{name}`\n\nEvery flag of every command, as `--help` shows them. This page is written by `cargo xtask docs`.\n"
    );
    add_help(&mut text, &name, &mut program);
    text
}

fn add_help(text: &mut String, title: &str, command: &mut Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## `{title}`\n\n```text\n{}\n```\n", lines.join("\n"));
    for inner in command.get_subcommands_mut() {
        let title = format!("{title} {}", inner.get_name());
        add_help(text, &title, inner);
    }
}

/// A man page for the program and each of its commands, and completions for every shell.
fn package(program: Command) -> anyhow::Result<()> {
    let mut program = program.disable_help_subcommand(true);
    let folder = workspace::target()?.join("docs");
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    }
    let name = program.get_name().to_owned();
    for shell in Shell::value_variants() {
        write(&completions.join(shell.file_name(&name)), completion(*shell, &mut program).as_bytes())?;
    }
    clap_mangen::generate_to(program, &man).with_context(|| format!("could not write the man pages of `{name}`"))?;
    println!("man pages and completions of {name}: {}", folder.display());
    Ok(())
}

/// The completions for one shell.
fn completion(shell: Shell, program: &mut Command) -> String {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, program, &name, &mut text);
    let text = String::from_utf8_lossy(&text);
    // The generator takes the hyphens of a program's name for subcommands where it answers, though not where it asks.
    text.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a page lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    fs::write(path, bytes).with_context(|| format!("could not write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_completes_the_flags_of_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("completions.bash");
        fs::write(&script, completion(Shell::Bash, &mut publisher::Args::command())).unwrap();
        let ask = "source \"$0\"; COMP_WORDS=(butler-plugin-publisher pin --u); COMP_CWORD=2; \
                   _butler__plugin__publisher butler-plugin-publisher --u pin; echo \"${COMPREPLY[@]}\"";
        let answer = std::process::Command::new("bash").args(["-c", ask]).arg(&script).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "--update", "{answer:?}");
    }

    #[test]
    fn a_stale_page_shows_the_lines_that_only_one_side_has() {
        assert_eq!(difference("a\nb\nc\n", "a\nc\nd\n"), "- b\n+ d");
    }

    #[test]
    fn definitions_are_sound() {
        installer::command().debug_assert();
        installer::rhdh_command().debug_assert();
        publisher::Args::command().debug_assert();
    }

    #[test]
    fn pages_show_every_command_and_no_hidden_flag() {
        let page = page(&publisher::Args::command());
        for command in publisher::Args::command().get_subcommands() {
            assert!(page.contains(&format!("## `butler-plugin-publisher {}`", command.get_name())), "{page}");
        }
        assert!(!page.contains("--password "), "{page}");
    }
}
