//! The chart's job: make the root hold what the file lists.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use audit::{Blame, Event, Format, Level, Log};
use config::{Form, MAX_CONFIG_BYTES, Plan};
use install::{Belief, Caching, Chain, Job, Local, Locking, Rejected, RunError};
use signal_hook::consts::{SIGINT, SIGTERM};
use transport::{Clock, Stop, SystemClock};

use crate::cli::{Args, LogFormat, LogLevel};
use crate::environment::Environment;
use crate::exit::Status;
use crate::sandbox::Sandbox;
use crate::settings::{self, SettingsError};
use crate::termination::TerminationLog;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why nothing was begun.
struct Failure {
    reason: &'static str,
    detail: String,
    hint: Option<String>,
}

/// Installs, and says in the log what became of each plugin.
pub(crate) fn run(args: &Args, environment: &Environment) -> Status {
    let mut log = open_log(args.log_format, args.log_level);
    let termination_log = TerminationLog::open(&args.termination_log);
    let last_words = |reason: &str, detail: &str, hint: Option<&str>| termination_log.leave(reason, detail, hint);
    let signals = Signals::watch();
    let started = prepare(args, environment, &mut log).and_then(|(plan, clock)| {
        let caching = settings::caching(args)?;
        let (policy, root) = (plan.policy.clone(), Some(&*args.root));
        let (fetcher, sandbox) = settings::fetcher(args, environment, policy, Arc::clone(&clock), root)?;
        sandbox.tell(&mut log);
        let job = job(args, environment, plan, caching, clock, &signals.stop, &sandbox);
        Ok((job, Arc::new(fetcher)))
    });
    let (job, fetcher) = match started {
        Ok(started) => started,
        Err(Failure { reason, detail, hint }) => {
            // What is wrong before anything was begun is the file, the command line or the environment.
            let blame = Blame::Operator;
            log.record(&Event::Fatal { reason, detail: &detail, hint: hint.as_deref(), blame });
            last_words(reason, &detail, hint.as_deref());
            return Status::Usage;
        }
    };
    let rejected = |rejected: &Rejected| {
        let detail = format!("plugin `{}`: {}", rejected.package, rejected.detail);
        last_words(rejected.reason, &detail, rejected.hint.as_deref());
    };
    match install::run(job, &fetcher, &mut log) {
        Ok(report) => {
            report.first_rejected.iter().for_each(rejected);
            Status::Completed
        }
        Err(error) => {
            match &error {
                RunError::Rejected(why) => rejected(why),
                _ => last_words(error.reason(), &Chain(&error).to_string(), error.hint().as_deref()),
            }
            signals.status_of(&error)
        }
    }
}

pub(crate) fn open_log(format: LogFormat, level: LogLevel) -> Log {
    let format = match format {
        LogFormat::Logfmt => Format::Logfmt,
        LogFormat::Json => Format::Json,
    };
    let level = match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    Log::new(format, level, now, io::stdout(), io::stderr())
}

#[expect(clippy::disallowed_methods, reason = "the log's clock enters here")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Reads the file and settles what a rejection means.
fn prepare(args: &Args, environment: &Environment, log: &mut Log) -> Result<(Plan, Arc<dyn Clock>), Failure> {
    let file = args.config.display().to_string();
    let bytes = fetch::read_file(&args.config, MAX_CONFIG_BYTES).map_err(|why| Failure {
        reason: "config_unreadable",
        detail: format!("failed to read `{file}`: {}", Chain(&why)),
        hint: settings::list_hint(&why).map(str::to_owned),
    })?;
    let mut plan = config::parse(&bytes).map_err(|problems| {
        for problem in problems.iter() {
            log.record(&Event::ConfigProblem {
                config_file: &file,
                line: problem.position.line,
                column: problem.position.column,
                detail: &problem.message,
                source_line: problem.source_line(),
                hint: problem.hint.as_deref(),
            });
        }
        let hint = problems.hint().map(str::to_owned);
        Failure { reason: problems.reason(), detail: format!("`{file}`: {}", problems.summary()), hint }
    })?;
    // A values file may leave out what the chart adds, `allowedSources` too, and would mean another list than the portal's.
    if let Form::HelmValues { .. } = plan.form {
        return Err(Failure {
            reason: "config_invalid",
            detail: format!("`{file}`: expected a list of plugins, found a Helm values file"),
            hint: Some(
                "let the chart render the list from the values; `butler-plugin-installer check` reads both".to_owned(),
            ),
        });
    }
    let (on_reject, differ) = settings::on_reject(&plan, environment)?;
    if let Some(detail) = differ {
        log.record(&Event::Warning {
            reason: "continue_on_error_mismatch",
            detail: &detail,
            hint: Some("set both alike"),
        });
    }
    plan.on_reject = on_reject;
    Ok((plan, Arc::new(SystemClock::start())))
}

fn job(
    args: &Args,
    environment: &Environment,
    plan: Plan,
    caching: Option<Caching>,
    clock: Arc<dyn Clock>,
    stop: &Stop,
    sandbox: &Sandbox,
) -> Job {
    let pod = environment.hostname.as_deref().unwrap_or("an unnamed host");
    let since = audit::rfc3339(clock.now());
    Job {
        plan,
        config_file: args.config.display().to_string(),
        root: args.root.clone(),
        jobs: args.jobs,
        limits: settings::limits(&args.limits),
        caching,
        local: Local::default(),
        belief: if args.trust_state { Belief::State } else { Belief::Content },
        locking: Locking {
            holder: format!("{pod} (process {}, since {since})", std::process::id()),
            timeout: args.limits.lock_timeout,
        },
        clock,
        stop: stop.clone(),
        version: VERSION,
        sandbox: sandbox.to_string(),
    }
}

/// TERM and INT, as a wish to stop and as the status to end with.
struct Signals {
    stop: Stop,
    received: Arc<AtomicUsize>,
}

impl Signals {
    fn watch() -> Self {
        let signals = Self { stop: Stop::new(), received: Arc::new(AtomicUsize::new(0)) };
        for (signal, status) in [(SIGTERM, Status::Terminated), (SIGINT, Status::Interrupted)] {
            let received = Arc::clone(&signals.received);
            // Without a handler the signal ends the process at once, which the next run copes with.
            drop(signal_hook::flag::register_usize(signal, received, status as usize));
            drop(signal_hook::flag::register(signal, signals.stop.flag()));
        }
        signals
    }

    fn status_of(&self, error: &RunError) -> Status {
        match error {
            _ if self.stop.is_asked() && error.reason() == "interrupted" => {
                if self.received.load(Ordering::Relaxed) == Status::Interrupted as usize {
                    Status::Interrupted
                } else {
                    Status::Terminated
                }
            }
            RunError::Root(_) | RunError::Commit { .. } => Status::Root,
            _ => Status::Rejected,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self { reason: error.reason(), detail: Chain(&error).to_string(), hint: Some(error.hint()) }
    }
}
