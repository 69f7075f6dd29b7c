//! `plan`: what a run would do on the root, with nothing changed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use audit::Blame;
use config::Dialect;
use fetch::Fetcher;
use install::{Act, Certainty, Forecast, Foreseen, InstalledPlugin, Job};
use serde_json::{Value, json};
use source::printable;
use transport::{Stop, SystemClock};

use crate::cli::{Args, PlanArgs, ReportFormat};
use crate::environment::Environment;
use crate::exit::Status;
use crate::front::{self, Failure, Front, Session};
use crate::list::plugin_to_json;
use crate::report::{self, print, print_text, table, text_of, untold};
use crate::run;
use crate::sandbox::Rules;

/// What a table with a `?` in it does not promise.
const OPEN: &str = "note: `?`: it depends on the name in an artifact that nobody has fetched; should that be another \
                    plugin's, one of the two is rejected\n";

/// What a run would be given, and who is asked what sources lead to, if anybody is.
pub(crate) type Planned = (Job, Option<Arc<Fetcher>>);

/// Columns of the table.
const HEAD: [&str; 3] = ["ACTION", "DESTINATION", "PACKAGE"];
/// Everything that is done, in the order in which it is counted.
const ACTS: [Act; 8] =
    [Act::Install, Act::Replace, Act::Refetch, Act::Adopt, Act::Unchanged, Act::Skip, Act::Reject, Act::Remove];

/// Says it for the chart's command line: all plugins of that list are pinned, so that nobody is asked.
pub(crate) fn run(mut args: Args, plan: PlanArgs, environment: &Environment) -> Status {
    args.run.trust_state |= plan.trust_state;
    let (config, root) = (plan.config.unwrap_or(args.config), plan.root.unwrap_or(args.root));
    let front = Front { args: &args.run, config: &config, root: &root, environment };
    report(&front, plan.format, |session| {
        let plan = run::plan(&front, session)?;
        // Nobody is asked, but a run could not be if the settings are wrong.
        let confined = front.confine(session, Dialect::Butler, plan.policy.clone(), Rules::reading(&root))?;
        Ok(Some((front.job(session, plan, &confined.sandbox)?, None)))
    })
}

/// Says what a run of what `prepare` finds would do, on standard output; warnings go to the other stream.
pub(crate) fn report(
    front: &Front<'_>,
    format: ReportFormat,
    prepare: impl FnOnce(&mut Session) -> Result<Option<Planned>, Failure>,
) -> Status {
    report::end_on_signals();
    let log = front::open_log_beside_a_report();
    let checked = front.check_files();
    let prepared =
        checked.and_then(|()| prepare(&mut Session { log, clock: Arc::new(SystemClock::start()), stop: Stop::new() }));
    tell(front.root, format, prepared)
}

fn tell(root: &Path, format: ReportFormat, prepared: Result<Option<Planned>, Failure>) -> Status {
    let failed = |status, failure: &Failure| {
        untold(root, format, failure);
        status
    };
    let forecast = match prepared {
        Err(failure) => return failed(Status::Usage, &failure),
        Ok(None) => Ok(Forecast::default()),
        Ok(Some((job, fetcher))) => install::forecast(job, fetcher.as_deref()),
    };
    match forecast {
        Err(error) => failed(Status::Root, &error.into()),
        Ok(forecast) => {
            match format {
                ReportFormat::Text => print_text(&page(root, &forecast)),
                ReportFormat::Json => print(&to_json(root, &forecast)),
            }
            if forecast.count(Act::Reject) == 0 { Status::Completed } else { Status::Rejected }
        }
    }
}

fn to_json(root: &Path, forecast: &Forecast) -> Value {
    let counts = ACTS.map(|act| (act.name().to_owned(), json!(forecast.count(act))));
    json!({
        "root": text_of(root),
        "plugins": forecast.plugins.iter().map(foreseen_to_json).collect::<Vec<_>>(),
        "counts": Value::Object(counts.into_iter().collect()),
        "remarks": forecast.remarks.iter().map(|remark| json!({ "reason": remark.reason, "detail": remark.detail })).collect::<Vec<_>>(),
    })
}

fn foreseen_to_json(plugin: &Foreseen) -> Value {
    let reason = plugin.reason.as_ref();
    json!({
        "action": plugin.act.name(),
        "package": plugin.package,
        "dest": plugin.dest,
        "certain": plugin.certainty == Certainty::Known,
        "integrity": plugin.integrity,
        "manifest": plugin.manifest,
        "installed": plugin.installed.as_ref().map(plugin_to_json),
        "reason": reason.map(|reason| reason.code),
        "detail": reason.map(|reason| &reason.detail),
        "hint": reason.and_then(|reason| reason.hint.as_ref()),
        "blame": reason.and_then(|reason| reason.blame).map(Blame::name),
        "file": plugin.file,
        "line": plugin.line,
    })
}

fn page(root: &Path, forecast: &Forecast) -> String {
    let rows: Vec<_> = forecast.plugins.iter().map(row).collect();
    let mut page = if rows.is_empty() { String::new() } else { table(&HEAD, &rows) };
    for remark in &forecast.remarks {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "note: {} [{}]", printable(&remark.detail), remark.reason);
    }
    if forecast.plugins.iter().any(|plugin| plugin.certainty == Certainty::Assumed) {
        page += OPEN;
    }
    let counts = ACTS.iter().map(|act| (act.name(), forecast.count(*act))).filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    let counts = if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(", ") };
    page + &format!("{}: {counts}\n", printable(&text_of(root)))
}

fn row(plugin: &Foreseen) -> Vec<String> {
    let mark = if plugin.certainty == Certainty::Assumed { "?" } else { "" };
    let dest = plugin.dest.as_deref().map(printable).unwrap_or_default();
    let dest = if dest.is_empty() && mark.is_empty() { "-".to_owned() } else { dest + mark };
    let package = match (&plugin.installed, plugin.act) {
        (Some(InstalledPlugin { version, source, .. }), Act::Replace) if *source != plugin.package => {
            format!("{} (now {}, from {})", printable(&plugin.package), printable(version), printable(source))
        }
        (Some(InstalledPlugin { version, .. }), _) => {
            format!("{} ({})", printable(&plugin.package), printable(version))
        }
        (None, _) => printable(&plugin.package),
    };
    let why = match &plugin.reason {
        Some(reason) => format!(": {}: {}", reason.code, printable(&reason.detail)),
        None => String::new(),
    };
    vec![plugin.act.name().to_owned(), dest, package + &why]
}
