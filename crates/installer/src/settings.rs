//! What was typed and what the environment says, as what a run is given.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use config::{Dialect, OnReject, Plan};
use fetch::{
    Access, AnswerLimits, FetchLimits, Fetcher, HelperProcess, Layers, Logins, NpmrcFileError, RegistriesFileError,
    SurroundingsError, Unreadable,
};
use install::{Caching, Limits};
use source::SourcePolicy;
use transport::{Clock, Retry, Timeouts, Transport};

use crate::cli::{AccessArgs, LimitArgs, RunArgs};
use crate::environment::Environment;
use crate::program;
use crate::sandbox::{Rules, Sandbox};

/// How this program introduces itself to servers.
const USER_AGENT: &str = concat!("butler-plugin-installer/", env!("CARGO_PKG_VERSION"));
/// How long the cache may take to answer before anything is begun. A wish to stop is heard after this.
const ANSWER: Duration = Duration::from_secs(3);

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("`CONTINUE_ON_ERROR` must be `true` or `false`, found `{found}`")]
    ContinueOnError { found: String },
    #[error("expected the cache outside of the plugin root, found `{cache}` in `{root}`")]
    CacheInRoot { cache: String, root: String },
    #[error("expected a file of its own for `{flag}`, found `{file}`, which is {whose}")]
    FileTaken { flag: &'static str, file: String, whose: &'static str },
    #[error("expected the report in a folder, found `{file}`")]
    ReportInNoFolder { file: String },
    #[error("failed to look into `{folder}`, the folder of the report")]
    ReportFolder { folder: String, source: io::Error },
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    #[error(transparent)]
    Access(#[from] fetch::AccessError),
    #[error(transparent)]
    Npmrc(#[from] NpmrcFileError),
    #[error(transparent)]
    Registries(#[from] RegistriesFileError),
}

impl SettingsError {
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Access(error) => error.reason(),
            Self::Npmrc(error) => error.reason(),
            Self::Registries(error) => error.reason(),
            Self::ContinueOnError { .. }
            | Self::CacheInRoot { .. }
            | Self::FileTaken { .. }
            | Self::ReportInNoFolder { .. }
            | Self::ReportFolder { .. }
            | Self::Surroundings(_) => "usage",
        }
    }

    pub(crate) fn hint(&self) -> String {
        let text = match self {
            Self::Access(error) => return error.hint(),
            Self::Npmrc(error) => error.hint(),
            Self::Registries(error) => error.hint(),
            Self::ContinueOnError { .. } => "leave it out to let the file decide",
            Self::CacheInRoot { .. } => "the portal scans the root: name another folder with `--cache`",
            Self::FileTaken { .. } => "it would be replaced: name another file, outside of the plugin root",
            Self::ReportInNoFolder { .. } => "name a file in a folder that nothing else depends on, with `--report`",
            Self::ReportFolder { .. } => "mount a folder there, or name another with `--report`",
            Self::Surroundings(error) => error.hint(),
        };
        text.to_owned()
    }
}

/// The stricter of what the file and the variable say; where they differ, also a sentence on it.
pub(crate) fn on_reject(plan: &Plan, environment: &Environment) -> Result<(OnReject, Option<String>), SettingsError> {
    let variable = match environment.continue_on_error.as_deref().map(str::trim) {
        None | Some("") => return Ok((plan.on_reject, None)),
        Some(text) if text.eq_ignore_ascii_case("true") => OnReject::Continue,
        Some(text) if text.eq_ignore_ascii_case("false") => OnReject::Abort,
        Some(text) => return Err(SettingsError::ContinueOnError { found: text.to_owned() }),
    };
    let stricter = plan.on_reject.stricter(variable);
    let differ = (plan.on_reject != variable).then(|| {
        let [file, variable, stricter] = [plan.on_reject, variable, stricter].map(continue_on_error);
        format!(
            "the file says `continueOnError: {file}`, CONTINUE_ON_ERROR says `{variable}`; \
             the stricter `{stricter}` holds"
        )
    });
    Ok((stricter, differ))
}

const fn continue_on_error(on_reject: OnReject) -> &'static str {
    match on_reject {
        OnReject::Continue => "true",
        OnReject::Abort => "false",
    }
}

/// What an archive may ask of us.
pub(crate) fn limits(args: &LimitArgs) -> Limits {
    Limits {
        expanded: args.max_expanded_bytes,
        file: args.max_file_bytes,
        entries: args.max_entries,
        ratio: args.max_ratio,
        ratio_from: args.max_ratio_from_bytes,
        depth: args.max_depth.get(),
        path: args.max_path_bytes.get(),
        component: args.max_name_bytes.get(),
        extension: args.max_extension_bytes,
        extensions: args.max_extensions.get(),
        manifest: args.max_package_json_bytes,
        ..Limits::default()
    }
}

/// Where artifacts are kept; an empty path is none, as a variable may be.
///
/// A folder that is not there is no error here: whether it can be opened is seen when it is, and then it is also proved
/// that it is not in the root. Here that is for the operator, whose mistake would otherwise be a warning.
pub(crate) fn caching(args: &RunArgs, root: &Path) -> Result<Option<Caching>, SettingsError> {
    let Some(folder) = cache(args) else { return Ok(None) };
    let real_root = root.canonicalize().unwrap_or_else(|_| otherwise(root));
    let is_within = match canonical(folder) {
        Ok(cache) => cache.starts_with(real_root),
        Err(_) => [real_root, otherwise(root)].iter().any(|root| otherwise(folder).starts_with(root)),
    };
    if is_within {
        let [cache, root] = [folder, root].map(|path| path.display().to_string());
        return Err(SettingsError::CacheInRoot { cache, root });
    }
    let LimitArgs { cache_max_bytes: max_bytes, max_artifact_bytes, .. } = args.limits;
    Ok(Some(Caching { folder: folder.to_owned(), max_bytes, max_artifact_bytes }))
}

/// Where there is nothing yet, no link is in the way.
fn otherwise(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn cache(args: &RunArgs) -> Option<&Path> {
    args.cache.as_deref().filter(|folder| !folder.as_os_str().is_empty())
}

/// The cache, if it is there. What is not there or does not answer needs no rule: whoever opens it says so.
pub(crate) fn reachable_cache(args: &RunArgs) -> Option<PathBuf> {
    cache(args).filter(|folder| canonical(folder).is_ok()).map(Path::to_owned)
}

/// A file to be written; an empty path is none, as a variable may be.
pub(crate) fn file(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path).filter(|file| !file.as_os_str().is_empty())
}

/// Makes sure that the report and the metrics replace nothing that is the root's, the list, or each other.
pub(crate) fn refuse_taken_files(args: &RunArgs, config: &Path, root: &Path) -> Result<(), SettingsError> {
    let real = |path: &Path| canonical(path).unwrap_or_else(|_| otherwise(path));
    // A link is replaced itself, and what it leads to is not touched.
    let place_of = |file: &Path| {
        let folder = file.parent().unwrap_or(file);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        real(folder).join(file.file_name().unwrap_or_default())
    };
    report_folder(args)?;
    let mut taken = Vec::new();
    for (flag, whose, file) in [
        ("--report", "the file of `--report`", file(args.report.as_ref())),
        ("--metrics-file", "the file of `--metrics-file`", file(args.metrics_file.as_ref())),
    ] {
        let Some(file) = file else { continue };
        if taken.is_empty() {
            taken = vec![(place_of(config), "the list of plugins"), (real(config), "the list of plugins")];
        }
        let place = place_of(file);
        let by_another = taken.iter().find(|(taken, _)| *taken == place).map(|(_, whose)| *whose);
        if let Some(whose) = by_another.or_else(|| place.starts_with(real(root)).then_some("in the plugin root")) {
            return Err(SettingsError::FileTaken { flag, file: file.display().to_string(), whose });
        }
        taken.push((place, whose));
    }
    Ok(())
}

/// The folder of the report, if there is to be one.
pub(crate) fn report_folder(args: &RunArgs) -> Result<Option<PathBuf>, SettingsError> {
    file(args.report.as_ref()).map(folder_of).transpose()
}

/// The folder of the metrics. Where it cannot be had, no run fails for it: whoever writes the file says so.
pub(crate) fn metrics_folder(args: &RunArgs) -> Option<PathBuf> {
    file(args.metrics_file.as_ref()).and_then(|file| folder_of(file).ok())
}

fn folder_of(file: &Path) -> Result<PathBuf, SettingsError> {
    let folder = match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(SettingsError::ReportInNoFolder { file: file.display().to_string() }),
    };
    let unusable = |source| SettingsError::ReportFolder { folder: folder.display().to_string(), source };
    let folder = folder.canonicalize().and_then(|folder| folder.read_dir().map(|_| folder)).map_err(unusable)?;
    // All below that folder could be written otherwise, and that would be everything.
    if folder.parent().is_none() || file.file_name().is_none() {
        return Err(SettingsError::ReportInNoFolder { file: file.display().to_string() });
    }
    Ok(folder)
}

/// Where a folder is that may be on a volume whose server is gone: then nobody comes back who asked for it.
fn canonical(folder: &Path) -> io::Result<PathBuf> {
    let (sender, answer) = channel();
    let folder = folder.to_owned();
    // It is left behind, and then nobody listens.
    std::thread::Builder::new().spawn(move || drop(sender.send(folder.canonicalize())))?;
    answer.recv_timeout(ANSWER).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What to do about a plugin list that cannot be read.
pub(crate) const fn list_hint(error: &Unreadable) -> Option<&'static str> {
    match error {
        Unreadable::Absent => Some("mount the ConfigMap there, or name the file with `--config`"),
        Unreadable::Directory => Some("name the file in it with `--config`"),
        Unreadable::Denied(_) => Some("let the container's user read the file"),
        _ => None,
    }
}

/// Everything that asks the network. The process is confined when it is there, to what `rules` say and to starting the
/// credential helpers.
pub(crate) fn fetcher(
    args: &RunArgs,
    environment: &Environment,
    dialect: Dialect,
    policy: SourcePolicy,
    clock: Arc<dyn Clock>,
    rules: Rules,
) -> Result<(Fetcher, Sandbox), SettingsError> {
    let timeouts = Timeouts { read: args.limits.stall_timeout, ..Timeouts::default() };
    let limits = FetchLimits {
        artifact_bytes: args.limits.max_artifact_bytes,
        answers: AnswerLimits {
            manifest_bytes: in_memory(args.limits.max_manifest_bytes),
            token_bytes: in_memory(args.limits.max_token_bytes),
        },
        plugin_time: args.limits.plugin_timeout,
        stall_time: args.limits.stall_timeout,
        ..FetchLimits::default()
    };
    let retry = Retry { tries: args.limits.tries, ..Retry::default() };
    let logins = logins(&args.access, environment, dialect);
    let mut access = logins.open()?;
    let (servers, ca_files) = (&environment.servers, &args.access.ca_file);
    let transport: Arc<dyn Transport> = match dialect {
        Dialect::Butler => Arc::new(servers.client(USER_AGENT, ca_files, timeouts)?),
        Dialect::Rhdh => {
            let variable = |name: &str| (environment.variable)(name)?.into_string().ok();
            access.npmrc = servers.npmrc(variable)?;
            access.registries = servers.registries()?;
            access.layers = Layers::Several;
            Arc::new(servers.client_of_hosts(USER_AGENT, ca_files, &access.npmrc, timeouts)?)
        }
    };
    let sandbox = if args.without_sandbox {
        Sandbox::Declined
    } else {
        let helpers = programs(&access, &logins.helper_path);
        Rules { programs: [rules.programs, helpers].concat(), ..rules }.enforce()
    };
    Ok((Fetcher::new(transport, clock, policy, access, limits, retry), sandbox))
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The credential helpers that `config.json` names, with all that it takes to start them.
fn programs(access: &Access, path: &OsStr) -> Vec<PathBuf> {
    let on_path = HelperProcess::on(path.to_owned());
    let helpers = access.credentials.helpers().filter_map(|helper| on_path.find(helper));
    helpers.flat_map(|helper| program::needed_by(&helper, path)).collect()
}

fn logins(args: &AccessArgs, environment: &Environment, dialect: Dialect) -> Logins {
    let customary = match dialect {
        Dialect::Butler => environment.servers.logins(),
        Dialect::Rhdh => environment.servers.containers_logins(),
    };
    Logins {
        registry_auth_file: args.registry_auth_file.clone(),
        netrc: args.netrc.clone(),
        token_realms: args.token_realm.clone(),
        ..customary
    }
}
