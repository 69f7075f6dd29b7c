//! The files, as one plan.

use std::path::{Path, PathBuf, absolute};

use audit::{Event, NoteShape};
use config::rhdh::{Include, Mark, Planning};
use config::{Dialect, Plan, Warning};
use fetch::GitProgram;
use install::{Git, IndexMemory, Local};

use super::includes::Includes;
use super::variables::Wishes;
use super::{catalog, includes, note};
use crate::environment::Environment;
use crate::front::{Confined, Failure, Front, Session};
use crate::program;
use crate::sandbox::Rules;

/// What there is to do, and with what.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) local: Local,
    /// What is to be remembered of the catalog index.
    pub(super) index: Option<IndexMemory>,
    pub(super) confined: Confined,
}

/// Reads what the list includes, confines the process to what is left to do, has the catalog indexes brought, and plans.
pub(super) fn plan(
    front: &Front<'_>,
    session: &mut Session,
    mut planning: Planning,
    wishes: &Wishes,
    mut rules: Rules,
) -> Result<Planned, Failure> {
    let file = front.config.display().to_string();
    let folder = front.config.parent().unwrap_or(front.config);
    let Includes { mut files, of_index } =
        includes::read(folder, planning.includes(), wishes.catalog.index.as_deref(), planning.room(), &session.stop)?;
    let entities = catalog::folder(&wishes.catalog)?;
    let names_git = planning.names_git() || files.iter().any(Include::names_git);
    let here = Path::new(".");
    let working_folder = absolute(here).unwrap_or_else(|_| here.to_owned());
    let local = Local { folder: working_folder, git: git(front, names_git) };
    rules.read.push(local.folder.clone());
    if let Git::Found(git) = &local.git {
        rules.programs.extend(git_programs(git, front.environment));
    }
    rules.changed.extend(entities.clone());
    // Nobody is asked for anything on behalf of a list that is wrong, and says what is wrong with it below.
    let policy = planning.policy().cloned();
    let confined = front.confine(session, Dialect::Rhdh, policy.clone().unwrap_or_default(), rules)?;
    let mut index = None;
    if let (Some(policy), Some(entities)) = (&policy, &entities) {
        let at = (&confined.fetcher, &**entities);
        if let Some(mut defaults) = catalog::bring(front, session, &wishes.catalog, policy, at)? {
            index = defaults.memory.take();
            if let Some(place) = of_index {
                files[place] = Include::read(&defaults.shown_as, Some(&defaults.yaml));
            }
        }
    }
    for file in files {
        planning.supply(file);
    }
    let config::rhdh::Planned { plan, notes, warnings, .. } = planning.finish().map_err(|problems| {
        tell(session, problems.warnings());
        session.tell_problems(&file, &problems)
    })?;
    for line in &notes {
        let shape = match line.mark {
            Mark::Heading => NoteShape::Heading,
            Mark::Plain => NoteShape::Plain,
        };
        note(session, shape, &line.text);
    }
    tell(session, &warnings);
    Ok(Planned { plan, local, index, confined })
}

/// The git of this system, where a file of the operator asks for it. A catalog index is read by a process that is
/// confined already, and does not decide what may be started.
fn git(front: &Front<'_>, names_git: bool) -> Git {
    if !names_git {
        return Git::Unwanted;
    }
    let found =
        (front.environment.variable)("PATH").and_then(|path| GitProgram::find(&path, front.args.limits.plugin_timeout));
    found.map_or(Git::Missing, Git::Found)
}

/// What is started for a repository.
fn git_programs(git: &GitProgram, environment: &Environment) -> Vec<PathBuf> {
    let path = (environment.variable)("PATH").unwrap_or_default();
    let own = program::needed_by(git.path(), &path);
    let shells = ["sh", "ssh"].iter().filter_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
    });
    let shells: Vec<_> = shells.flat_map(|program| program::needed_by(&program, &path)).collect();
    own.into_iter().chain(git.programs()).chain(shells).collect()
}

fn tell(session: &mut Session, warnings: &[Warning]) {
    for problem in warnings.iter().map(Warning::as_problem) {
        let file = problem.file.as_deref().unwrap_or_default();
        let hint = problem.hint.as_deref().map_or_else(String::new, |hint| format!("{hint}; "));
        // Clients match the message as a line of its own.
        let hint = format!("{hint}see {file}:{}", problem.position);
        session.log.record(&Event::Warning { reason: "config", detail: &problem.message, hint: Some(&hint) });
    }
}
