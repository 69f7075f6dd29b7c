//! `check`: what a portal would not take, or not run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use publish::{Checked, Finding, Level, Limits, OpenError, Opened, check, collisions, rejected, to_json, to_sarif};
use source::printable;

use crate::cli::{Args, CheckArgs, ReportFormat};
use crate::environment::Environment;
use crate::failure::{Failure, Status, print};
use crate::input;
use crate::scratch::Scratch;

pub(crate) fn run(args: &CheckArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    let mut checked = Vec::new();
    let mut failures = Vec::new();
    for plugin in &args.plugins {
        let name = source::redact(plugin);
        match look_into(plugin, &name, all, environment) {
            Ok(found) => checked.push(found),
            Err(failure) => failures.push(failure.about(&name)),
        }
    }
    let mut findings: Vec<Finding> = checked.iter().flat_map(Checked::findings).cloned().collect();
    findings.extend(collisions(&checked));
    for failure in &failures {
        failure.tell();
    }
    print(&match args.format {
        ReportFormat::Text => page(&checked, &findings),
        ReportFormat::Json => to_json(&findings),
        ReportFormat::Sarif => to_sarif(&findings, env!("CARGO_PKG_VERSION")),
    })?;
    let fails = |finding: &Finding| args.deny_warnings || finding.rule.level == Level::Error;
    let status = if findings.iter().any(fails) { Status::Failed } else { Status::Done };
    Ok(failures.iter().map(|failure| failure.status).fold(status, Status::max))
}

fn look_into(plugin: &str, name: &str, all: &Args, environment: &Environment) -> Result<Checked, Failure> {
    let limits = Limits::default();
    let path = Path::new(plugin);
    if !input::is_remote(plugin) && !path.is_file() {
        return Ok(check(name, &input::open_folder(path)?, &limits)?);
    }
    let scratch = Scratch::open(&environment.temporary)?;
    let opened = if input::is_remote(plugin) {
        Opened::fetched(input::fetch(plugin, scratch.file()?, all, environment)?, scratch.dir(), &limits)
    } else {
        Opened::tarball(&input::open(path)?, scratch.dir(), &limits)
    };
    match opened {
        Ok(opened) => Ok(check(name, opened.dir(), &limits)?),
        Err(OpenError::Unpack { source }) => match rejected(name, &source) {
            Some(checked) => Ok(checked),
            None => Err(OpenError::Unpack { source }.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// One paragraph for each finding, one line for each plugin.
fn page(checked: &[Checked], findings: &[Finding]) -> String {
    let mut page = String::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for finding in findings {
        let Finding { rule, plugin, path, line, message, .. } = finding;
        let (errors, warnings) = counts.entry(plugin).or_default();
        *(if rule.level == Level::Error { errors } else { warnings }) += 1;
        let place = path.as_ref().map(|path| format!("/{path}")).unwrap_or_default();
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{}[{}]: {}{place}{line}: {message}", rule.level.name(), rule.id, printable(plugin));
        let _ = writeln!(page, "  why:  {}\n  help: {}\n", rule.why, rule.fix);
    }
    for plugin in checked {
        let (errors, warnings) = counts.get(plugin.plugin()).copied().unwrap_or_default();
        let place = plugin.destination().map(|place| format!(", installs as `{place}`")).unwrap_or_default();
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        let _ = writeln!(page, "{}: {errors}, {warnings}{place}", printable(plugin.plugin()));
    }
    page
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
