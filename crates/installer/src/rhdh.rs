//! The front that Red Hat Developer Hub's installer has: its command line, its variables, its log, its ends.
//!
//! What is behind it is ours: nothing on the root changes unless all of it does, and a run that was terminated did not
//! succeed.

mod catalog;
mod includes;
mod planning;
mod variables;

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, absolute};
use std::thread::available_parallelism;

use audit::{Blame, Event, NoteShape, Progress};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches as _};
use config::rhdh::Planning;
use config::{MAX_CONFIG_BYTES, Plan, Problems, Warning};
use fetch::Unreadable;
use install::{Job, Root};
use transport::Stop;

pub(crate) use self::variables::Variables;

use self::planning::Planned;
use self::variables::Wishes;
use crate::cli::{self, ReportFormat, RhdhArgs, RunArgs};
use crate::dialect::behind_dialect;
use crate::environment::Environment;
use crate::exit::Status;
use crate::front::{Begun, Failure, Front, Session};
use crate::sandbox::Rules;
use crate::{plan, usage};

/// The one command of that installer, which its start script always names.
const COMMAND: &str = "install";

/// Installs as that installer is asked to, and ends as it does; only a run that was terminated ends as one.
pub(crate) fn run(mut arguments: Vec<OsString>, environment: &Environment) -> Status {
    let first = behind_dialect(&arguments);
    if arguments.get(first).is_some_and(|argument| argument == COMMAND) {
        arguments.remove(first);
    }
    let is_plan = arguments.get(first).is_some_and(|argument| argument == cli::RHDH_PLAN);
    if is_plan {
        arguments[1..=first].rotate_right(1);
    }
    let mut wishes = environment.rhdh.wishes();
    let parsed = cli::rhdh_command().try_get_matches_from(arguments).and_then(|matches| {
        let plan = matches.subcommand_matches(cli::RHDH_PLAN);
        if plan.is_some() && !is_plan {
            let told = "the command `plan` comes first; for a folder of that name write `./plan`";
            return Err(cli::rhdh_command().error(ErrorKind::ArgumentConflict, told));
        }
        let format = plan.and_then(|plan| plan.get_one::<ReportFormat>("format").copied());
        let matches = plan.unwrap_or(&matches);
        let mut args = RhdhArgs::from_arg_matches(matches)?;
        grant(&mut args.run, matches, &wishes);
        let must_exist = matches.value_source("config") != Some(ValueSource::DefaultValue);
        Ok((args, must_exist, format))
    });
    let (args, must_exist, format) = match parsed {
        Ok(args) => args,
        Err(error) => return usage::misused_rhdh(&error),
    };
    let config = absolute(&args.config).unwrap_or(args.config);
    let front = Front { args: &args.run, config: &config, root: &args.root, environment };
    if let Some(format) = format {
        return plan::report(&front, format, |session| foresee(&front, session, &mut wishes, must_exist));
    }
    let ends_as = |status| match status {
        Status::Usage | Status::Root => Status::Rejected,
        status => status,
    };
    front.run(ends_as, |session| prepare(&front, session, &wishes, must_exist))
}

/// What a list and the files beside it ask for, and what they are warned about. No catalog index is asked for, so an
/// included file stands for itself.
pub(crate) fn read(
    file: &Path,
    bytes: &[u8],
    environment: &Environment,
) -> Result<Result<(Plan, Vec<Warning>), Problems>, Failure> {
    let missing_integrity = environment.rhdh.wishes().missing_integrity;
    let mut planning = Planning::begin(&file.display().to_string(), bytes, missing_integrity);
    let folder = file.parent().unwrap_or(file);
    let includes = includes::read(folder, planning.includes(), None, planning.room(), &Stop::new())?;
    for include in includes.files {
        planning.supply(include);
    }
    Ok(planning.finish().map(|planned| (planned.plan, planned.warnings)))
}

/// A flag, or a variable of ours, wins over theirs, and theirs over the default.
fn grant(args: &mut RunArgs, matches: &ArgMatches, wishes: &Wishes) {
    let unsaid = |name: &str| matches.value_source(name) == Some(ValueSource::DefaultValue);
    if let Some(jobs) = wishes.jobs.filter(|_| unsaid("jobs")) {
        args.jobs = jobs;
    }
    if let Some(bytes) = wishes.max_file_bytes.filter(|_| unsaid("max_file_bytes")) {
        args.limits.max_file_bytes = bytes;
    }
    if let Some(wait) = wishes.lock_timeout.filter(|_| unsaid("lock_timeout")) {
        args.limits.lock_timeout = wait;
    }
    args.access.ca_file.extend(wishes.ca_file.clone());
}

/// What there is to do: nothing where there is no list, though the portal then finds an empty file.
fn prepare(
    front: &Front<'_>,
    session: &mut Session,
    wishes: &Wishes,
    must_exist: bool,
) -> Result<Option<Begun>, Failure> {
    let cpus = available_parallelism().map_or(1, usize::from);
    note(session, NoteShape::Heading, &format!("Workers: {} (CPUs: {cpus})", front.args.jobs));
    note(session, NoteShape::Heading, &format!("Config file: {}", front.config.display()));
    tell_remarks(session, wishes);
    make_folder(front.root, "the plugin root")?;
    match begin(front.config, wishes, must_exist)? {
        Ok(planning) => job(front, session, planning, wishes, front.changing()?).map(Some),
        Err(told) => nothing(front.root, session, &told),
    }
}

/// What a run would do, with nothing changed but a folder for temporary files, which is there as long as an index is read.
fn foresee(
    front: &Front<'_>,
    session: &mut Session,
    wishes: &mut Wishes,
    must_exist: bool,
) -> Result<Option<plan::Planned>, Failure> {
    tell_remarks(session, wishes);
    let planning = match begin(front.config, wishes, must_exist)? {
        Ok(planning) => planning,
        Err(told) => {
            session.log.record(&Event::Warning { reason: "nothing_listed", detail: &told, hint: None });
            return Ok(None);
        }
    };
    // Entities alone decide nothing.
    wishes.catalog.extra.clear();
    let name = format!(".butler-plugins-{:016x}", RandomState::new().build_hasher().finish());
    let scratch = wishes.temporary.join(name);
    wishes.catalog.entities.clone_from(&scratch);
    let rules = Rules { emptied: Some(wishes.temporary.clone()), ..Rules::reading(front.root) };
    let begun = job(front, session, planning, wishes, rules);
    if wishes.catalog.index.is_some() {
        remove_folder(&scratch);
    }
    begun.map(|(job, fetcher)| Some((job, Some(fetcher))))
}

fn tell_remarks(session: &mut Session, wishes: &Wishes) {
    for remark in &wishes.remarks {
        session.log.record(&Event::Warning { reason: remark.reason, detail: &remark.detail, hint: remark.hint });
    }
}

/// Reads the list; where there is none, or an empty one, this is said.
fn begin(file: &Path, wishes: &Wishes, must_exist: bool) -> Result<Result<Planning, String>, Failure> {
    let bytes = match fetch::read_file(file, MAX_CONFIG_BYTES) {
        Ok(bytes) => bytes,
        // The original knows one list; another was meant to be there.
        Err(Unreadable::Absent) if !must_exist => {
            let name = file.file_name().unwrap_or_default().display();
            return Ok(Err(format!("No {name} found at {}. Skipping.", file.display())));
        }
        Err(why) => return Err(Failure::unreadable(file, &why)),
    };
    let planning = Planning::begin(&file.display().to_string(), &bytes, wishes.missing_integrity);
    Ok(if planning.is_empty() { Err(format!("{} is empty. Skipping.", file.display())) } else { Ok(planning) })
}

fn job(
    front: &Front<'_>,
    session: &mut Session,
    planning: Planning,
    wishes: &Wishes,
    rules: Rules,
) -> Result<Begun, Failure> {
    let Planned { plan, local, index, confined } = planning::plan(front, session, planning, wishes, rules)?;
    let job = front.job(session, plan, &confined.sandbox)?;
    Ok((Job { local, index, ..job }, confined.fetcher))
}

/// Leaves the plugins that are installed as they are, and an empty file for the portal.
fn nothing<T>(root: &Path, session: &mut Session, told: &str) -> Result<Option<T>, Failure> {
    note(session, NoteShape::Plain, told);
    Root::open(root).and_then(|root| root.write_empty_app_config())?;
    Ok(None)
}

fn note(session: &mut Session, shape: NoteShape, detail: &str) {
    session.log.record(&Event::Progress(Progress::Note { shape, detail }));
}

#[expect(clippy::disallowed_methods, reason = "the operator names the folder, and there is no handle to it yet")]
fn make_folder(path: &Path, what: &'static str) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|source| host(&format!("make {what}"), path, &source))
}

#[expect(clippy::disallowed_methods, reason = "this program has made the folder, and named it")]
fn remove_folder(path: &Path) {
    // What stays lies where temporary files lie.
    drop(fs::remove_dir_all(path));
}

fn host(act: &str, path: &Path, source: &io::Error) -> Failure {
    let (detail, blame) = (format!("failed to {act} `{}`: {source}", path.display()), Blame::Host);
    Failure { reason: "root_unwritable", detail, hint: Some(WRITABLE.to_owned()), blame }
}

const WRITABLE: &str = "mount a volume there that the container's user may write to";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_or_variable_of_ours_wins_over_theirs_and_theirs_over_the_default() {
        let set = |name: &str| match name {
            "DYNAMIC_PLUGINS_WORKERS" => Some("3".into()),
            "MAX_ENTRY_SIZE" => Some("1000".into()),
            "DYNAMIC_PLUGINS_LOCK_TIMEOUT_MS" => Some("1500".into()),
            _ => None,
        };
        let milliseconds = std::time::Duration::from_millis;
        for (row, variables, flags, expected) in [
            ("neither", Variables::default(), vec![], (8, 40_000_000, milliseconds(600_000))),
            ("theirs", Variables::read(set), vec![], (3, 1000, milliseconds(1500))),
            (
                "both",
                Variables::read(set),
                vec!["--jobs=5", "--max-file-bytes=1MiB", "--lock-timeout=7s"],
                (5, 1 << 20, milliseconds(7000)),
            ),
        ] {
            let arguments = ["install-dynamic-plugins", "/root"].into_iter().chain(flags);
            let matches = cli::rhdh_command().get_matches_from(arguments);
            let mut args = RhdhArgs::from_arg_matches(&matches).unwrap();
            grant(&mut args.run, &matches, &variables.wishes());
            let RunArgs { jobs, limits, .. } = args.run;
            assert_eq!((jobs.get(), limits.max_file_bytes, limits.lock_timeout), expected, "{row}");
        }
    }
}
