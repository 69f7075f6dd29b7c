//! The chart's job: make the root hold what the file lists.

use audit::Event;
use config::{Dialect, Form, MAX_CONFIG_BYTES, Plan};

use crate::cli::Args;
use crate::environment::Environment;
use crate::exit::Status;
use crate::front::{Failure, Front, Session};
use crate::settings;

/// Installs, and says in the log what became of each plugin.
pub(crate) fn run(args: &Args, environment: &Environment) -> Status {
    let front = Front { args: &args.run, config: &args.config, root: &args.root, environment };
    front.run(
        |status| status,
        |session| {
            let plan = plan(&front, session)?;
            let confined = front.confine(session, Dialect::Butler, plan.policy.clone(), front.changing()?)?;
            let job = front.job(session, plan, &confined.sandbox)?;
            Ok(Some((job, confined.fetcher)))
        },
    )
}

/// Reads the file and settles what a rejection means.
pub(crate) fn plan(front: &Front<'_>, session: &mut Session) -> Result<Plan, Failure> {
    let file = front.config.display().to_string();
    let bytes =
        fetch::read_file(front.config, MAX_CONFIG_BYTES).map_err(|why| Failure::unreadable(front.config, &why))?;
    let mut plan = config::parse(&bytes).map_err(|problems| session.tell_problems(&file, &problems))?;
    // A values file may leave out what the chart adds, `allowedSources` too, and would mean another list than the portal's.
    if let Form::HelmValues { .. } = plan.form {
        let detail = format!("`{file}`: expected a list of plugins, found a Helm values file");
        let hint = "let the chart render the list from the values; `butler-plugin-installer check` reads both";
        return Err(Failure::of_operator("config_invalid", detail, Some(hint.to_owned())));
    }
    let (on_reject, differ) = settings::on_reject(&plan, front.environment)?;
    if let Some(detail) = differ {
        session.log.record(&Event::Warning {
            reason: "continue_on_error_mismatch",
            detail: &detail,
            hint: Some("set both alike"),
        });
    }
    plan.on_reject = on_reject;
    Ok(plan)
}
