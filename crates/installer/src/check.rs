//! `check`: what a run would say to a file, for a pull request's CI.

use std::sync::Arc;

use audit::Blame;
use config::{Entry, Form, MAX_CONFIG_BYTES, Plan, Problem, Problems, Request, Warning};
use fetch::{Fetcher, Probe};
use install::Chain;
use serde_json::{Value, json};
use source::{Source, SourcePolicy, printable};
use transport::{Stop, SystemClock};

use crate::cli::{Args, CheckArgs, Dialect, ReportFormat};
use crate::environment::Environment;
use crate::exit::Status;
use crate::report::{print, print_text};
use crate::rhdh;
use crate::sandbox::Rules;
use crate::settings;

/// What is said about one entry.
struct Finding {
    package: String,
    verdict: Verdict,
}

enum Verdict {
    Disabled,
    Fine { known: Option<String> },
    Rejected { why: Why, problem: Problem },
}

/// What the log would say of a rejection, beside its text.
struct Why {
    reason: &'static str,
    cause: Option<&'static str>,
    blame: Blame,
}

/// Parses, admits, asks if wanted, and reports on standard output.
pub(crate) fn run(args: &Args, check: &CheckArgs, environment: &Environment) -> Status {
    let path = check.file.as_ref().unwrap_or(&args.config);
    let file = path.display().to_string();
    let report = Report { file: &file, format: check.format };
    let bytes = match fetch::read_file(path, MAX_CONFIG_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => {
            return report.failed("config_unreadable", &Chain(&error).to_string(), settings::list_hint(&error));
        }
    };
    let read = match args.run.dialect {
        Dialect::Butler => Ok(config::parse(&bytes).map(|plan| (plan, Vec::new()))),
        Dialect::Rhdh => rhdh::read(path, &bytes, environment),
    };
    let (plan, warnings) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(problems)) => return report.problems(&problems),
        Err(failure) => return report.failed(failure.reason, &failure.detail, failure.hint.as_deref()),
    };
    let fetcher = if check.online {
        let clock = Arc::new(SystemClock::start());
        match settings::fetcher(&args.run, environment, plan.dialect, plan.policy.clone(), clock, Rules::default()) {
            Ok((fetcher, _)) => Some(fetcher),
            Err(error) => return report.failed(error.reason(), &Chain(&error).to_string(), Some(&error.hint())),
        }
    } else {
        None
    };
    let Plan { policy, entries, form, .. } = plan;
    let findings: Vec<_> =
        entries.into_iter().map(|entry| Finding::of(entry, &bytes, &policy, fetcher.as_ref())).collect();
    report.findings(&findings, &warnings, &policy, &form)
}

impl Finding {
    fn of(entry: Entry, file: &[u8], policy: &SourcePolicy, fetcher: Option<&Fetcher>) -> Self {
        let Entry { package, place, request, .. } = entry;
        let verdict = match request {
            Request::Disabled => Verdict::Disabled,
            Request::Wanted(wanted) => match wanted.admit(policy) {
                Err(error) => Verdict::Rejected {
                    why: Why { reason: error.reason(), cause: None, blame: error.blame() },
                    problem: place.problem(&error, file),
                },
                Ok(admitted) => match fetcher
                    .filter(|_| is_asked_for(admitted.source.subject()))
                    .map(|fetcher| fetcher.probe(&admitted.source, &Stop::new()))
                {
                    None => Verdict::Fine { known: None },
                    Some(Ok(probe)) => Verdict::found(&probe),
                    Some(Err(error)) => Verdict::Rejected {
                        why: Why { reason: error.reason(), cause: error.cause(), blame: error.blame() },
                        problem: place.package_problem(Chain(&error).to_string(), error.hint(), file),
                    },
                },
            },
        };
        Self { package, verdict }
    }
}

/// Whether there is a server that says what it has without handing it over.
const fn is_asked_for(source: &Source) -> bool {
    match source {
        Source::Oci(_) | Source::Https(_) | Source::Npm(_) => true,
        Source::Git(_) | Source::Local(_) => false,
    }
}

impl Verdict {
    fn found(probe: &Probe) -> Self {
        let size = probe.size.map(|bytes| format!("{bytes} bytes"));
        let manifest = probe.manifest.map(|digest| digest.to_string());
        let known: Vec<_> = manifest.into_iter().chain(size).collect();
        Self::Fine { known: Some(known.join(", ")) }
    }
}

/// Where a report goes and how it looks.
struct Report<'a> {
    file: &'a str,
    format: ReportFormat,
}

impl Report<'_> {
    fn failed(&self, reason: &str, detail: &str, hint: Option<&str>) -> Status {
        match self.format {
            ReportFormat::Json => {
                print(&json!({ "file": self.file, "valid": false, "reason": reason, "detail": detail, "hint": hint }));
            }
            ReportFormat::Text => {
                let hint = hint.map(|hint| format!("help: {hint}\n")).unwrap_or_default();
                print_text(&format!("error: {}: {detail} [{reason}]\n{hint}", self.file));
            }
        }
        Status::Usage
    }

    fn problems(&self, problems: &Problems) -> Status {
        match self.format {
            ReportFormat::Text => print_text(&problems.render(self.file)),
            ReportFormat::Json => {
                let list: Vec<Value> = problems.iter().map(|problem| self.to_json(problem)).collect();
                print(&json!({
                    "file": self.file,
                    "valid": false,
                    "reason": problems.reason(),
                    "problem_count": problems.count(),
                    "problems": list,
                }));
            }
        }
        Status::Usage
    }

    fn findings(&self, findings: &[Finding], warnings: &[Warning], policy: &SourcePolicy, form: &Form) -> Status {
        let rejected = findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Rejected { .. })).count();
        match self.format {
            ReportFormat::Text => {
                let warnings: String = warnings.iter().map(Warning::render).collect();
                print_text(&(warnings + &self.page(findings, policy, form, rejected)));
            }
            ReportFormat::Json => print(&json!({
                "file": self.file,
                "valid": true,
                "permissive": policy.is_permissive(),
                "rejected": rejected,
                "warnings": warnings.iter().map(|warning| self.to_json(warning.as_problem())).collect::<Vec<_>>(),
                "plugins": findings.iter().map(|finding| self.finding_to_json(finding)).collect::<Vec<_>>(),
            })),
        }
        if rejected == 0 { Status::Completed } else { Status::Rejected }
    }

    fn page(&self, findings: &[Finding], policy: &SourcePolicy, form: &Form, rejected: usize) -> String {
        let mut lines: Vec<String> = findings.iter().map(|finding| finding.describe(self.file)).collect();
        if policy.is_permissive() {
            lines.push("warning: `allowedSources` is not set: every source is accepted".to_owned());
        }
        if matches!(form, Form::HelmValues { enabled: false, .. }) {
            lines.push("note: `dynamicPlugins.enabled` is false: nothing would be installed".to_owned());
        }
        lines.push(format!("{}: {} listed, {rejected} would be rejected\n", self.file, findings.len()));
        lines.join("\n")
    }

    fn finding_to_json(&self, finding: &Finding) -> Value {
        let Finding { package, verdict } = finding;
        match verdict {
            Verdict::Disabled => json!({ "package": package, "status": "disabled" }),
            Verdict::Fine { known } => json!({ "package": package, "status": "ok", "found": known }),
            Verdict::Rejected { why, problem } => {
                let mut value = self.to_json(problem);
                value["package"] = json!(package);
                value["status"] = json!("rejected");
                value["reason"] = json!(why.reason);
                value["cause"] = json!(why.cause);
                value["blame"] = json!(why.blame.name());
                value
            }
        }
    }

    fn to_json(&self, problem: &Problem) -> Value {
        json!({
            "file": problem.file.as_deref().unwrap_or(self.file),
            "line": problem.position.line,
            "column": problem.position.column,
            "length": problem.length,
            "message": problem.message,
            "hint": problem.hint,
        })
    }
}

impl Finding {
    fn describe(&self, file: &str) -> String {
        let package = printable(&self.package);
        match &self.verdict {
            Verdict::Disabled => format!("disabled: {package}"),
            Verdict::Fine { known: None } => format!("ok: {package}"),
            Verdict::Fine { known: Some(known) } => format!("ok: {package} ({known})"),
            Verdict::Rejected { why, problem } => {
                let page = problem.render(file);
                page.trim_end().replacen("error:", &format!("error[{}]:", why.reason), 1) + "\n"
            }
        }
    }
}
