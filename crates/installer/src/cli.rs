//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are the help that an operator reads in a terminal")]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, OsStringValueParser, TypedValueParser};
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::units;

/// Where Kubernetes looks for a container's last message.
pub(crate) const TERMINATION_LOG: &str = "/dev/termination-log";

/// The variable that stands for `--dialect`.
pub(crate) const DIALECT_VARIABLE: &str = "DYNAMIC_PLUGINS_DIALECT";

/// Installs the plugins of a Backstage portal: only from allowed sources, only with the promised
/// bytes, all at once or not at all.
///
/// Without a command it does what the chart's initContainer needs: reads --config, and makes --root
/// hold the plugins listed there.
#[derive(Debug, Parser)]
#[command(name = "butler-plugin-installer", version, verbatim_doc_comment, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The plugin list
    #[arg(long, value_name = "FILE", env = "BUTLER_PLUGINS_CONFIG", hide_env_values = true)]
    #[arg(default_value = "/etc/butler-portal/dynamic-plugins.yaml")]
    pub(crate) config: PathBuf,

    /// The folder that the portal scans; it must exist and be writable
    #[arg(long, value_name = "DIR", env = "BUTLER_PLUGINS_ROOT", hide_env_values = true)]
    #[arg(default_value = "/dynamic-plugins-root")]
    pub(crate) root: PathBuf,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Makes ROOT hold the plugins that ./dynamic-plugins.yaml and its includes list, as Red Hat Developer
/// Hub's installer does: only with the promised bytes, all at once or not at all.
#[derive(Debug, Parser)]
#[command(name = "install-dynamic-plugins", bin_name = "install-dynamic-plugins", version, verbatim_doc_comment, after_help = RHDH_AFTER_HELP)]
pub(crate) struct RhdhArgs {
    /// The folder that the portal scans; it is made if it is missing
    #[arg(value_parser = no_command)]
    pub(crate) root: PathBuf,

    /// The plugin list
    #[arg(long, value_name = "FILE", env = "BUTLER_PLUGINS_CONFIG", hide_env_values = true)]
    #[arg(default_value = "dynamic-plugins.yaml")]
    pub(crate) config: PathBuf,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The flags of an installation, whatever the file's dialect.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Whose command line, files and variables these are; a program named install-dynamic-plugins is RHDH's
    #[arg(long, global = true, value_name = "DIALECT", env = DIALECT_VARIABLE, hide_env_values = true)]
    #[arg(value_enum, default_value = "butler")]
    pub(crate) dialect: Dialect,

    /// Plugins worked on at once
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_JOBS", hide_env_values = true, default_value = "8")]
    #[arg(value_parser = units::count)]
    pub(crate) jobs: NonZeroUsize,

    /// Believe what a run with this flag wrote, without reading the installed files again; files are synced for it
    #[arg(long, env = "BUTLER_PLUGINS_TRUST_STATE", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) trust_state: bool,

    /// A folder of artifacts for other roots and later runs; it must exist, and installers may share it
    #[arg(long, value_name = "DIR", env = "BUTLER_PLUGINS_CACHE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) cache: Option<PathBuf>,

    /// A file that is told what is installed, as JSON, after each run that completes; its folder must exist
    #[arg(long, value_name = "FILE", env = "BUTLER_PLUGINS_REPORT", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) report: Option<PathBuf>,

    /// A file that is told how each run went, in Prometheus' text format, those that failed as well; its folder must exist
    #[arg(long, value_name = "FILE", env = "BUTLER_PLUGINS_METRICS_FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) metrics_file: Option<PathBuf>,

    /// Least level written to the log
    #[arg(long, value_name = "LEVEL", env = "BUTLER_PLUGINS_LOG_LEVEL", hide_env_values = true)]
    #[arg(value_enum, default_value = "info")]
    pub(crate) log_level: LogLevel,

    /// Form of the log
    #[arg(long, value_name = "FORMAT", env = "BUTLER_PLUGINS_LOG_FORMAT", hide_env_values = true)]
    #[arg(value_enum, default_value = "logfmt")]
    pub(crate) log_format: LogFormat,

    /// The file in which Kubernetes looks for a last message
    #[arg(long, value_name = "FILE", env = "BUTLER_PLUGINS_TERMINATION_LOG", hide_env_values = true)]
    #[arg(default_value = TERMINATION_LOG)]
    pub(crate) termination_log: PathBuf,

    /// Let credential helpers start other programs and write files: the kernel confines nothing
    #[arg(long, global = true, env = "BUTLER_PLUGINS_WITHOUT_SANDBOX", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) without_sandbox: bool,

    #[command(flatten)]
    pub(crate) access: AccessArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Who we are to servers, and whom we trust.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registries and servers")]
pub(crate) struct AccessArgs {
    /// Registry logins in Docker's format; else config.json in $DOCKER_CONFIG or $HOME/.docker
    #[arg(long, global = true, value_name = "FILE", env = "REGISTRY_AUTH_FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) registry_auth_file: Option<PathBuf>,

    /// Logins of https servers in netrc's format
    #[arg(long, global = true, value_name = "FILE", env = "NETRC", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) netrc: Option<PathBuf>,

    /// A token server that may see the registry's login although it has another host (repeatable)
    #[arg(
        long,
        global = true,
        value_name = "REGISTRY=HOST",
        env = "BUTLER_PLUGINS_TOKEN_REALMS",
        hide_env_values = true
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) token_realm: Vec<String>,

    /// CA certificates (PEM) trusted besides the system's (repeatable)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BUTLER_PLUGINS_CA_FILE",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) ca_file: Vec<PathBuf>,
}

/// How much time and space a run may take.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Longest wait for another installer on the same root
    #[arg(long, value_name = "TIME", env = "BUTLER_PLUGINS_LOCK_TIMEOUT", hide_env_values = true)]
    #[arg(value_parser = units::time, default_value = "10m")]
    pub(crate) lock_timeout: Duration,

    /// Longest time for one plugin, all tries together, whatever its server does
    #[arg(long, value_name = "TIME", env = "BUTLER_PLUGINS_PLUGIN_TIMEOUT", hide_env_values = true)]
    #[arg(value_parser = units::time, default_value = "15m")]
    pub(crate) plugin_timeout: Duration,

    /// Longest time in which a transfer may bring less than 1 KiB/s
    #[arg(long, value_name = "TIME", env = "BUTLER_PLUGINS_STALL_TIMEOUT", hide_env_values = true)]
    #[arg(value_parser = units::time, default_value = "30s")]
    pub(crate) stall_timeout: Duration,

    /// Most bytes in the cache; what was not used for the longest time makes room
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_CACHE_MAX_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "2GiB")]
    pub(crate) cache_max_bytes: u64,

    /// Tries for each request, the first included
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_TRIES", hide_env_values = true, default_value = "5")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) tries: u32,

    /// Largest artifact, compressed
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_ARTIFACT_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "512MiB")]
    pub(crate) max_artifact_bytes: u64,

    /// Largest manifest or index of a registry
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_MANIFEST_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "4MiB", hide_short_help = true)]
    pub(crate) max_manifest_bytes: u64,

    /// Largest token answer, and most that is read of an answer that is an error
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_TOKEN_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "64KiB", hide_short_help = true)]
    pub(crate) max_token_bytes: u64,

    /// Largest plugin, unpacked
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_EXPANDED_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "2GiB")]
    pub(crate) max_expanded_bytes: u64,

    /// Largest single file
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_FILE_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "512MiB")]
    pub(crate) max_file_bytes: u64,

    /// Most entries of one archive
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_MAX_ENTRIES", hide_env_values = true)]
    #[arg(default_value = "100000")]
    pub(crate) max_entries: u64,

    /// Highest compression ratio, looked at once --max-ratio-from-bytes are unpacked
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_MAX_RATIO", hide_env_values = true, default_value = "200")]
    pub(crate) max_ratio: u64,

    /// Expanded bytes that are accepted whatever the ratio
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_RATIO_FROM_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "64MiB", hide_short_help = true)]
    pub(crate) max_ratio_from_bytes: u64,

    /// Most components of a path, the top folder included
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_MAX_DEPTH", hide_env_values = true)]
    #[arg(value_parser = units::count, default_value = "64", hide_short_help = true)]
    pub(crate) max_depth: NonZeroUsize,

    /// Longest path in an archive, and longest target of a symlink
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_MAX_PATH_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::count, default_value = "1024", hide_short_help = true)]
    pub(crate) max_path_bytes: NonZeroUsize,

    /// Longest name of a file or folder
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_MAX_NAME_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::count, default_value = "255", hide_short_help = true)]
    pub(crate) max_name_bytes: NonZeroUsize,

    /// Largest PAX header or GNU long name
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_EXTENSION_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "64KiB", hide_short_help = true)]
    pub(crate) max_extension_bytes: u64,

    /// Most PAX headers and GNU long names in front of one entry
    #[arg(long, value_name = "N", env = "BUTLER_PLUGINS_MAX_EXTENSIONS", hide_env_values = true)]
    #[arg(value_parser = units::count, default_value = "3", hide_short_help = true)]
    pub(crate) max_extensions: NonZeroUsize,

    /// Largest package.json
    #[arg(long, value_name = "BYTES", env = "BUTLER_PLUGINS_MAX_PACKAGE_JSON_BYTES", hide_env_values = true)]
    #[arg(value_parser = units::bytes, default_value = "1MiB", hide_short_help = true)]
    pub(crate) max_package_json_bytes: u64,
}

/// What to do instead of installing.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a plugin list or a chart's values file, without touching the root
    Check(CheckArgs),
    /// Say what a run would do on the root, without doing it; no plugin is fetched, and nothing there changes
    Plan(PlanArgs),
    /// Say what is installed on the root, as it is recorded there; nothing is written, and no lock is taken
    List(RootArgs),
    /// Hash everything on the root again and name each file that is changed, missing or extra; nothing is written
    Verify(RootArgs),
    /// Say what a reason or cause of the log means, whose move it is and what to do; without one, list them all
    Explain(ExplainArgs),
    /// Print the JSON schema of a plugin list, by itself or in a chart's values file, for editors
    Schema,
}

/// Commands that ask no server, and whether they are told a dialect.
const WITHOUT_SERVERS: [(&str, bool); 5] =
    [("plan", true), ("list", false), ("verify", false), ("explain", false), ("schema", true)];

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// A dynamic-plugins.yaml, or a Helm values file with a dynamicPlugins block, RHDH's with global.dynamic
    /// [default: --config]
    pub(crate) file: Option<PathBuf>,

    /// Also ask each source whether it is there and may be read
    #[arg(long)]
    pub(crate) online: bool,

    /// Form of the report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// The flags of `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// The plugin list [default: --config]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The folder that the portal scans; it may be mounted read-only [default: --root]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    /// Say it of a run with this flag
    #[arg(long)]
    pub(crate) trust_state: bool,

    /// Form of the report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// What `explain` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The value of `reason=` or `cause=`, or a whole line of the log in single quotes
    #[arg(trailing_var_arg = true)]
    pub(crate) reason: Vec<String>,
}

/// The flags of `list` and `verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct RootArgs {
    /// The folder that the portal scans; it may be mounted read-only [default: --root]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    /// Form of the report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// Forms of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
    Rhdh,
}

/// Whose command line, files and variables are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    Butler,
    Rhdh,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
}

/// What only our own command line knows, whatever the file's dialect.
pub(crate) const COMMANDS: [&str; 5] = ["check", "list", "verify", "explain", "schema"];

/// The command of ours that the other command line has as well.
pub(crate) const RHDH_PLAN: &str = "plan";
const RHDH_USAGE: &str =
    "install-dynamic-plugins [OPTIONS] <ROOT>\n       install-dynamic-plugins plan [OPTIONS] <ROOT>";
const RHDH_PLAN_ABOUT: &str = "Say what a run would do on the root, without doing it: nothing is written there";
/// What only a run is asked for.
const RHDH_UNPLANNED: [&str; 8] =
    ["jobs", "cache", "report", "metrics_file", "log_level", "log_format", "termination_log", "lock_timeout"];

/// A root, unless somebody meant one of our commands: it would be made, and filled.
fn no_command(text: &str) -> Result<PathBuf, String> {
    if COMMANDS.contains(&text) {
        return Err(format!(
            "for the command write `butler-plugin-installer {text}`, for a folder of that name `./{text}`"
        ));
    }
    Ok(PathBuf::from(text))
}

/// A path that may be empty, as a variable of the environment may be.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The command line as it is shown: flags are hidden where they mean nothing.
pub(crate) fn command() -> clap::Command {
    let command = Args::command();
    let global = command.get_arguments().filter(|argument| argument.is_global_set());
    let hidden: Vec<_> = global.map(|argument| argument.clone().hide(true)).collect();
    let hide = |command: clap::Command, (name, has_dialect): (&str, bool)| {
        let hidden = hidden.iter().filter(|argument| !(has_dialect && argument.get_id() == "dialect"));
        command.mut_subcommand(name, |inner| inner.args(hidden))
    };
    WITHOUT_SERVERS.into_iter().fold(command, hide)
}

/// The command line of RHDH's installer, with other defaults where that has others.
pub(crate) fn rhdh_command() -> clap::Command {
    let defaults = [("dialect", "rhdh"), ("log_format", "rhdh"), ("max_file_bytes", "40000000")];
    let command = defaults.into_iter().fold(RhdhArgs::command(), |command, (name, value)| {
        command.mut_arg(name, |argument| argument.default_value(value))
    });
    let format = <PlanArgs as clap::Args>::augment_args(clap::Command::default());
    let format = format.get_arguments().find(|argument| argument.get_id() == "format").cloned();
    let plan = command
        .clone()
        .name(RHDH_PLAN)
        .bin_name("install-dynamic-plugins plan")
        .about(RHDH_PLAN_ABOUT)
        .after_help("")
        .args(format);
    let plan = RHDH_UNPLANNED.into_iter().fold(plan, |plan, name| plan.mut_arg(name, |argument| argument.hide(true)));
    command.subcommand(plan).override_usage(RHDH_USAGE).subcommand_negates_reqs(true).disable_help_subcommand(true)
}

const AFTER_HELP: &str = "\
Environment:
  CONTINUE_ON_ERROR            true or false, as in the file; the stricter of the two (false) wins
  HTTPS_PROXY, NO_PROXY        proxy for all but the hosts, suffixes and networks named
  SSL_CERT_FILE, SSL_CERT_DIR  CA certificates instead of the system's

Exit status:
  0    completed (with continueOnError: true also when plugins were rejected)
  1    a plugin was rejected and nothing was changed; a file is not as it was installed (verify)
  2    the command line, the environment or the file is wrong
  3    the root cannot be used, or was locked for too long; nothing can be said of it (list, verify)
  130  interrupted    143  terminated";

const RHDH_AFTER_HELP: &str = "\
Environment, where no flag above says otherwise:
  DYNAMIC_PLUGINS_WORKERS          plugins worked on at once, or auto; the larger of this
  DYNAMIC_PLUGINS_NPM_WORKERS      and this
  DYNAMIC_PLUGINS_LOCK_TIMEOUT_MS  longest wait for another installer on the same root
  MAX_ENTRY_SIZE                   largest single file, in bytes
  SKIP_INTEGRITY_CHECK             true: install unchecked what has no integrity (a danger)
  CATALOG_INDEX_IMAGE              image with a dynamic-plugins.default.yaml, which is
                                   read in place of the include of that name
  EXTRA_CATALOG_INDEX_IMAGES       images with more catalog entities: [NAME=]REFERENCE,…
  CATALOG_ENTITIES_EXTRACT_DIR     where entities go [default: extensions in $TMPDIR]
  XDG_RUNTIME_DIR, HOME            where containers/auth.json and .config/containers/auth.json
                                   are looked for before config.json
  CONTAINERS_REGISTRIES_CONF       mirrors [default: registries.conf in
                                   $HOME/.config/containers, else in /etc/containers]
  NPM_CONFIG_USERCONFIG            npm's configuration [default: .npmrc in $HOME]
  NPM_CONFIG_REGISTRY              npm's registry, whatever that file says
  NODE_EXTRA_CA_CERTS              one more file as for --ca-file
  HTTPS_PROXY, NO_PROXY            proxy for all but the hosts, suffixes and networks named
  SSL_CERT_FILE, SSL_CERT_DIR      CA certificates instead of the system's

Exit status:
  0    completed, or there is no list
  1    anything else
  130  interrupted    143  terminated";
