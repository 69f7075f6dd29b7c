//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are the help that an author reads in a terminal")]

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};

/// Packs, checks and publishes plugins of a Backstage portal, and pins what a portal lists.
///
/// From dist-dynamic/, as `rhdh-cli plugin export` leaves it, to the block for the portal's values:
///
///   butler-plugin-publisher check dist-dynamic
///   butler-plugin-publisher login registry.example.com --username me
///   butler-plugin-publisher push dist-dynamic oci://registry.example.com/acme/hello:1.2.3
#[derive(Debug, Parser)]
#[command(name = "butler-plugin-publisher", version, verbatim_doc_comment, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) servers: ServerArgs,
}

/// Who we are to servers, and whom we trust.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registries and servers")]
pub(crate) struct ServerArgs {
    /// Registry logins in Docker's format; else config.json in $DOCKER_CONFIG or $HOME/.docker
    #[arg(long, global = true, value_name = "FILE", env = "REGISTRY_AUTH_FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) registry_auth_file: Option<PathBuf>,

    /// Logins of https servers in netrc's format
    #[arg(long, global = true, value_name = "FILE", env = "NETRC", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) netrc: Option<PathBuf>,

    /// A token server that may see the registry's login although it has another host (repeatable)
    #[arg(long, global = true, value_name = "REGISTRY=HOST", value_delimiter = ',')]
    pub(crate) token_realm: Vec<String>,

    /// CA certificates (PEM) trusted besides the system's (repeatable)
    #[arg(long, global = true, value_name = "FILE", value_delimiter = ',')]
    pub(crate) ca_file: Vec<PathBuf>,

    /// Tries for each request, the first included
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) tries: u32,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what a portal would not take, or not run, of a plugin
    Check(CheckArgs),
    /// Make a tarball of a plugin's folder, always the same one, and print its integrity
    Pack(PackArgs),
    /// Publish a plugin, and print the block for a portal's values
    Push(Box<PushArgs>),
    /// Print the integrity of a file or of something published
    Integrity(IntegrityArgs),
    /// Write integrities into a portal's values file, in place
    Pin(PinArgs),
    /// Keep a registry's login in config.json, or with its credential helper
    Login(LoginArgs),
    /// Forget a registry's login
    Logout(LogoutArgs),
}

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Folders, tarballs, or references (oci://…, https://…)
    #[arg(value_name = "PLUGIN", default_value = "dist-dynamic")]
    pub(crate) plugins: Vec<String>,

    /// Let warnings fail, too
    #[arg(long)]
    pub(crate) deny_warnings: bool,

    /// Form of the report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// The flags of `pack`.
#[derive(Debug, clap::Args)]
pub(crate) struct PackArgs {
    /// The folder that the export left
    #[arg(value_name = "DIST_DYNAMIC", default_value = "dist-dynamic")]
    pub(crate) folder: PathBuf,

    /// The tarball
    #[arg(short, long, value_name = "FILE", default_value = "package.tgz")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) packing: PackingArgs,
}

/// How folders are packed.
#[derive(Debug, clap::Args)]
pub(crate) struct PackingArgs {
    /// Pack .env, .npmrc, private keys and the like, too: everyone who may read the artifact may read them
    #[arg(long)]
    pub(crate) allow_secret_files: bool,

    /// Threads that compress; the bytes are the same for any number [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}

/// The flags of `push`.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// A plugin's folder or tarball; with --layout image one folder or several
    #[arg(value_name = "PLUGIN", required = true)]
    pub(crate) plugins: Vec<PathBuf>,

    /// oci://registry/repository[:tag[,tag…]], or the https:// URL of an artifact server; without any tag, the
    /// plugin's version is the tag
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,

    /// One more tag (repeatable)
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,

    /// One more tag, which may move from another artifact to this one: latest and the like (repeatable)
    #[arg(long, value_name = "TAG")]
    pub(crate) move_tag: Vec<String>,

    /// package: one plugin as Butler Portal takes it; image: plugins in an image as Red Hat Developer Hub takes them
    #[arg(long, value_enum, default_value = "package")]
    pub(crate) layout: Layout,

    /// Replace tags, or a file, that are there with other bytes: every portal that relies on them is affected
    #[arg(long)]
    pub(crate) force: bool,

    /// The address of the sources [default: git's remote, else package.json's repository]
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,

    /// The revision of the sources [default: git's]
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,

    /// What is printed on standard output
    #[arg(long, value_enum, default_value = "yaml")]
    pub(crate) output: HandoverFormat,

    #[command(flatten)]
    pub(crate) packing: PackingArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) server: ArtifactServerArgs,
}

/// How a registry takes an artifact.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For registries")]
pub(crate) struct RegistryArgs {
    /// A repository of the same registry that may hold the artifact already: taken from there without an upload
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) mount_from: Option<String>,

    /// Upload in pieces of this size, where a proxy takes no large request (a number of bytes, or with KiB or MiB)
    #[arg(long, value_name = "BYTES", value_parser = chunk_size)]
    pub(crate) chunk_size: Option<NonZeroU64>,

    /// Log in with this name instead of what config.json says
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub(crate) username: Option<String>,

    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}

/// How an https server takes a file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For https artifact servers")]
pub(crate) struct ArtifactServerArgs {
    /// PUT the file to the URL, or POST it there in a multipart form
    #[arg(long, value_enum, default_value = "put")]
    pub(crate) form: Form,

    /// The field of the multipart form that takes the file
    #[arg(long, value_name = "NAME", default_value = "file", value_parser = field_name)]
    pub(crate) field: String,

    /// A file that holds the bearer token
    #[arg(long, value_name = "FILE", conflicts_with = "token_stdin")]
    pub(crate) token_file: Option<PathBuf>,

    /// Read the bearer token from standard input
    #[arg(long, conflicts_with = "password_stdin")]
    pub(crate) token_stdin: bool,
}

/// The flags of `integrity`.
#[derive(Debug, clap::Args)]
pub(crate) struct IntegrityArgs {
    /// A file, oci://… or https://…
    #[arg(value_name = "ARTIFACT")]
    pub(crate) artifact: String,

    /// Fail unless it is this one
    #[arg(long, value_name = "INTEGRITY")]
    pub(crate) check: Option<String>,
}

/// The flags of `pin`.
#[derive(Debug, clap::Args)]
pub(crate) struct PinArgs {
    /// A Helm values file with a dynamicPlugins block, or a dynamic-plugins.yaml
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Also look up again what has an integrity, and write the one it has now
    #[arg(long)]
    pub(crate) update: bool,

    /// Add @sha256:… to references of registries, so that a moved tag changes nothing
    #[arg(long)]
    pub(crate) to_digest: bool,

    /// Only print the difference
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The flags of `login`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// The registry's host, and port where it has one
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,

    /// The user's, robot's or token's name
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: String,

    /// Read the password from standard input, without asking
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// The flags of `logout`.
#[derive(Debug, clap::Args)]
pub(crate) struct LogoutArgs {
    /// The registry's host, and port where it has one
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    Sarif,
}

/// Forms of what an author hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandoverFormat {
    Yaml,
    Json,
}

/// Kinds of artifacts in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    Package,
    Image,
}

/// Ways to hand over a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Put,
    Multipart,
}

fn chunk_size(text: &str) -> Result<NonZeroU64, String> {
    let wrong = || format!("expected a number of bytes or one with KiB or MiB, found `{text}`");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).and_then(NonZeroU64::new).ok_or_else(wrong)
}

fn field_name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let is_name = !text.is_empty() && text.bytes().all(plain);
    if is_name { Ok(text.to_owned()) } else { Err("expected letters, digits, `-`, `_` and `.`".to_owned()) }
}

/// A path that may be empty, as a variable of the environment may be.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

const AFTER_HELP: &str = "\
Environment:
  SOURCE_DATE_EPOCH            when the artifact was made, in seconds; told in the manifest, and nothing else is
  TMPDIR                       where artifacts wait and are unpacked for a check
  HTTPS_PROXY, NO_PROXY        proxy for all but the hosts, suffixes and networks named
  SSL_CERT_FILE, SSL_CERT_DIR  CA certificates instead of the system's

Exit status:
  0  done
  1  refused or failed: findings, another integrity, an existing tag, a server's answer
  2  the command line or the environment is wrong
  129, 130, 143  hung up, interrupted, terminated";
