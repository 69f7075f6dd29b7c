//! What an installation is in every dialect: a log, a clock, a wish to stop, a job, and how it ends.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use audit::{Blame, Event, Format, Level, Log, more_failed};
use config::{Dialect, Plan, Problems};
use fetch::{Fetcher, Unreadable};
use install::{Belief, Chain, InventoryError, Job, Local, Locking, Rejected, RootError, RunError};
use signal_hook::consts::{SIGINT, SIGTERM};
use source::SourcePolicy;
use transport::{Clock, Stop, SystemClock};

use crate::cli::{LogFormat, LogLevel, RunArgs};
use crate::environment::Environment;
use crate::exit::Status;
use crate::metrics::Meter;
use crate::report_file::ReportFile;
use crate::sandbox::{Rules, Sandbox};
use crate::settings::{self, SettingsError};
use crate::termination::TerminationLog;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a run is given, and what asks the network for it.
pub(crate) type Begun = (Job, Arc<Fetcher>);

/// Why nothing was begun.
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    pub(crate) hint: Option<String>,
    pub(crate) blame: Blame,
}

/// What was typed, and where.
pub(crate) struct Front<'a> {
    pub(crate) args: &'a RunArgs,
    pub(crate) config: &'a Path,
    pub(crate) root: &'a Path,
    pub(crate) environment: &'a Environment,
}

/// A run that is being prepared.
pub(crate) struct Session {
    pub(crate) log: Log,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
}

/// What talks to servers, in a process that is confined.
pub(crate) struct Confined {
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) sandbox: Sandbox,
}

impl Front<'_> {
    /// Installs what `prepare` finds to do, if anything, and says in the log what became of each plugin.
    pub(crate) fn run(
        &self,
        ends_as: fn(Status) -> Status,
        prepare: impl FnOnce(&mut Session) -> Result<Option<Begun>, Failure>,
    ) -> Status {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let checked = self.check_files();
        let metrics_file = settings::file(self.args.metrics_file.as_ref()).filter(|_| checked.is_ok());
        let meter = metrics_file.map(|file| Meter::start(file, self.root, &clock));
        let log = open_log(self.args.log_format, self.args.log_level);
        let log = match &meter {
            Some(meter) => log.watched(meter.watch()),
            None => log,
        };
        // Before the process is confined.
        let termination_log = TerminationLog::open(&self.args.termination_log);
        let signals = Signals::watch();
        let mut session = Session { log, clock, stop: signals.stop.clone() };
        let prepared = checked.and_then(|()| prepare(&mut session));
        let fetcher = prepared.as_ref().ok().and_then(|begun| Some(Arc::clone(&begun.as_ref()?.1)));
        let status = ends_as(self.carry_out(prepared, &mut session.log, (&termination_log, &signals)));
        if let Some(meter) = meter {
            meter.write(fetcher.map_or(0, |fetcher| fetcher.received()), status, &mut session.log);
        }
        status
    }

    fn carry_out(
        &self,
        prepared: Result<Option<Begun>, Failure>,
        log: &mut Log,
        (termination_log, signals): (&TerminationLog, &Signals),
    ) -> Status {
        let last_words = |reason: &str, detail: &str, hint: Option<&str>| termination_log.leave(reason, detail, hint);
        let begun = match prepared {
            Ok(begun) => begun,
            Err(Failure { reason, detail, hint, blame }) => {
                log.record(&Event::Fatal { reason, detail: &detail, hint: hint.as_deref(), blame, others: 0 });
                last_words(reason, &detail, hint.as_deref());
                return signals.status_of(reason, Status::Usage);
            }
        };
        let report_file = settings::file(self.args.report.as_ref()).map(|path| ReportFile::open(path, self.root));
        let rejected = |rejected: &Rejected| {
            let detail = format!("plugin `{}`: {}{}", rejected.package, rejected.detail, more_failed(rejected.others));
            last_words(rejected.reason, &detail, rejected.hint.as_deref());
        };
        let result = begun.map(|(job, fetcher)| install::run(job, &fetcher, log)).transpose();
        match result {
            Ok(report) => {
                report.and_then(|report| report.first_rejected).iter().for_each(rejected);
                if let Some(file) = report_file {
                    file.write(log);
                }
                Status::Completed
            }
            Err(error) => {
                match &error {
                    RunError::Rejected(why) => rejected(why),
                    _ => last_words(error.reason(), &Chain(&error).to_string(), error.hint().as_deref()),
                }
                let status = match error {
                    RunError::Root(_) | RunError::Commit { .. } => Status::Root,
                    _ => Status::Rejected,
                };
                signals.status_of(error.reason(), status)
            }
        }
    }

    /// Makes sure that what is written beside the root takes nothing else's place.
    pub(crate) fn check_files(&self) -> Result<(), Failure> {
        Ok(settings::refuse_taken_files(self.args, self.config, self.root)?)
    }

    /// What a run changes.
    pub(crate) fn changing(&self) -> Result<Rules, Failure> {
        Ok(Rules {
            changed: vec![self.root.to_owned()],
            cache: settings::reachable_cache(self.args),
            replaced: settings::report_folder(self.args)?
                .into_iter()
                .chain(settings::metrics_folder(self.args))
                .collect(),
            ..Rules::default()
        })
    }

    /// What asks the network, in a process that is confined to what `rules` name.
    pub(crate) fn confine(
        &self,
        session: &mut Session,
        dialect: Dialect,
        policy: SourcePolicy,
        rules: Rules,
    ) -> Result<Confined, Failure> {
        let clock = Arc::clone(&session.clock);
        let (fetcher, sandbox) = settings::fetcher(self.args, self.environment, dialect, policy, clock, rules)?;
        sandbox.tell(&mut session.log);
        Ok(Confined { fetcher: Arc::new(fetcher), sandbox })
    }

    /// All that a run needs besides the network and the log.
    pub(crate) fn job(&self, session: &Session, plan: Plan, sandbox: &Sandbox) -> Result<Job, Failure> {
        let pod = self.environment.hostname.as_deref().unwrap_or("an unnamed host");
        let since = audit::rfc3339(session.clock.now());
        Ok(Job {
            plan,
            config_file: self.config.display().to_string(),
            root: self.root.to_owned(),
            jobs: self.args.jobs,
            limits: settings::limits(&self.args.limits),
            caching: settings::caching(self.args, self.root)?,
            local: Local::default(),
            index: None,
            belief: if self.args.trust_state { Belief::State } else { Belief::Content },
            locking: Locking {
                holder: format!("{pod} (process {}, since {since})", std::process::id()),
                timeout: self.args.limits.lock_timeout,
            },
            clock: Arc::clone(&session.clock),
            stop: session.stop.clone(),
            version: VERSION,
            sandbox: sandbox.to_string(),
        })
    }
}

impl Session {
    /// Tells what is wrong in a file, place by place, and sums it up.
    pub(crate) fn tell_problems(&mut self, file: &str, problems: &Problems) -> Failure {
        for problem in problems.iter() {
            self.log.record(&Event::ConfigProblem {
                config_file: problem.file.as_deref().unwrap_or(file),
                line: problem.position.line,
                column: problem.position.column,
                detail: &problem.message,
                source_line: problem.source_line(),
                hint: problem.hint.as_deref(),
            });
        }
        let hint = problems.hint().map(str::to_owned);
        let summary = problems.summary();
        let detail = match problems.iter().next() {
            // Its summary names the file.
            Some(first) if first.file.is_some() => summary,
            _ => format!("`{file}`: {summary}"),
        };
        Failure::of_operator(problems.reason(), detail, hint)
    }
}

impl Failure {
    /// Something wrong with a file, the command line or the environment.
    pub(crate) const fn of_operator(reason: &'static str, detail: String, hint: Option<String>) -> Self {
        Self { reason, detail, hint, blame: Blame::Operator }
    }

    /// A list of plugins that cannot be read.
    pub(crate) fn unreadable(file: &Path, why: &Unreadable) -> Self {
        let detail = format!("failed to read `{}`: {}", file.display(), Chain(why));
        Self::of_operator("config_unreadable", detail, settings::list_hint(why).map(str::to_owned))
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::of_operator(error.reason(), Chain(&error).to_string(), Some(error.hint()))
    }
}

impl From<InventoryError> for Failure {
    fn from(error: InventoryError) -> Self {
        let (reason, hint, blame) = (error.reason(), error.hint(), error.blame());
        Self { reason, detail: Chain(&error).to_string(), hint, blame }
    }
}

impl From<RootError> for Failure {
    fn from(error: RootError) -> Self {
        let (reason, hint, blame) = (error.reason(), error.hint(), error.blame());
        Self { reason, detail: Chain(&error).to_string(), hint, blame }
    }
}

pub(crate) fn open_log(format: LogFormat, level: LogLevel) -> Log {
    let format = match format {
        LogFormat::Logfmt => Format::Logfmt,
        LogFormat::Json => Format::Json,
        LogFormat::Rhdh => Format::Rhdh,
    };
    let level = match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    Log::new(format, level, now, io::stdout(), io::stderr())
}

/// A log that leaves standard output to a report.
pub(crate) fn open_log_beside_a_report() -> Log {
    Log::new(Format::Logfmt, Level::Warn, now, io::stderr(), io::stderr())
}

#[expect(clippy::disallowed_methods, reason = "the log's clock enters here")]
fn now() -> SystemTime {
    SystemTime::now()
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

    /// How a run ends that failed for this reason, and would end like this if it was not stopped.
    fn status_of(&self, reason: &str, otherwise: Status) -> Status {
        if !self.stop.is_asked() || reason != "interrupted" {
            otherwise
        } else if self.received.load(Ordering::Relaxed) == Status::Interrupted as usize {
            Status::Interrupted
        } else {
            Status::Terminated
        }
    }
}
