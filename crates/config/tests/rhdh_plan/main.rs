//! Several files of the rhdh dialect, as one plan.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod entries;
mod images;
mod merge;
mod placeholders;
mod planning;

use config::rhdh::{Include, Mark, MissingIntegrity, Note, Planned, Planning};
use config::{Admitted, Plan, Problems, Request};

const SRI: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
const MAIN: &str = "dynamic-plugins.yaml";

/// One row of a table: its name, the lines below `plugins:` of an included file and of the main one, and what each
/// entry of the plan is, or what is said against it.
type Row<'a> = (&'a str, &'a str, &'a str, Result<&'a [&'a str], &'a str>);

fn begin(main: &str) -> Planning {
    Planning::begin(MAIN, main.as_bytes(), MissingIntegrity::IsRefused)
}

/// Plans with included files, each by name and text.
fn plan_of(mut planning: Planning, included: &[(&str, &str)]) -> Result<Planned, Problems> {
    while let Some(path) = planning.needs() {
        let path = path.to_owned();
        let text = included.iter().find(|(name, _)| *name == path).map(|(_, text)| text.as_bytes());
        planning.supply(Include::read(&path, text));
    }
    planning.finish()
}

/// Plans with one included file; both are what stands below `plugins:`.
fn plan(included: &str, main: &str) -> Result<Planned, Problems> {
    let main = format!("includes: [default.yaml]\nplugins:\n{main}\n");
    plan_of(begin(&main), &[("default.yaml", &format!("plugins:\n{included}\n"))])
}

fn planned(included: &str, main: &str) -> Planned {
    plan(included, main).unwrap_or_else(|problems| panic!("{}", problems.render("")))
}

/// `on` or `off`, and the package.
fn outcomes(plan: &Plan) -> Vec<String> {
    let shown = |request: &Request| if matches!(request, Request::Disabled) { "off" } else { "on" };
    plan.entries.iter().map(|entry| format!("{} {}", shown(&entry.request), entry.package)).collect()
}

/// Every entry that is wanted.
fn admitted(plan: Plan) -> Vec<Admitted> {
    let Plan { policy, entries, .. } = plan;
    let wanted = entries.into_iter().filter_map(|entry| match entry.request {
        Request::Wanted(wanted) => Some(*wanted),
        Request::Disabled => None,
    });
    wanted.map(|wanted| wanted.admit(&policy).unwrap()).collect()
}

fn complaints(problems: &Problems) -> Vec<String> {
    let shown = |problem: &config::Problem| {
        format!("{}:{} {}", problem.file.as_deref().unwrap_or_default(), problem.position, problem.message)
    };
    problems.iter().map(shown).collect()
}

fn warnings(planned: &Planned) -> Vec<String> {
    let shown = |warning: &config::Warning| {
        let problem = warning.as_problem();
        format!("{}:{} {}", problem.file.as_deref().unwrap_or_default(), problem.position, problem.message)
    };
    planned.warnings.iter().map(shown).collect()
}

fn notes(planned: &Planned) -> Vec<String> {
    let shown = |note: &Note| match note.mark {
        Mark::Heading => format!("======= {}", note.text),
        Mark::Plain => note.text.clone(),
    };
    planned.notes.iter().map(shown).collect()
}

fn check(rows: &[Row<'_>]) {
    for (name, included, main, expected) in rows {
        match (plan(included, main), expected) {
            (Ok(planned), Ok(expected)) => assert_eq!(outcomes(&planned.plan), *expected, "{name}"),
            (Err(problems), Err(expected)) => {
                assert_eq!(problems.count(), 1, "{name}: {}", problems.render(""));
                let message = &problems.iter().next().unwrap().message;
                assert!(message.contains(expected), "{name}: {message}");
            }
            (Ok(planned), Err(_)) => panic!("{name}: {:?}", outcomes(&planned.plan)),
            (Err(problems), Ok(_)) => panic!("{name}: {}", problems.render("")),
        }
    }
}
