//! `push`: publishes, and prints what an operator needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oci::{Client, Credentials};
use publish::{
    Draft, Existing, How, Limits, Packed, Progress, Provenance, Published, PushOptions, Registry, Server, Target,
};
use source::{HttpsUrl, Source};
use transport::{Deadline, Patience, Stop, SystemClock};

use crate::cli::{self, Args, Form, HandoverFormat, PushArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Status, note, print};
use crate::progress::Bar;
use crate::scratch::Scratch;
use crate::{git, input, pack, servers};

/// Longest time for a whole push.
const LONGEST: Duration = Duration::from_hours(2);

pub(crate) fn run(args: &PushArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    let place = Place::parse(args)?;
    let created = environment.source_date_epoch.as_deref().map(created).transpose()?;
    let scratch = Scratch::open(&environment.temporary)?;
    let packed = packed(args, &scratch)?;
    let provenance = provenance(args, &packed, created);
    let (clock, stop) = (SystemClock::start(), Stop::new());
    let patience = Patience::new(&clock, Deadline::after(&clock, LONGEST), &stop);
    let progress: Arc<dyn Progress> = Arc::new(Bar::default());
    let delivery = Delivery { args, all, environment, packed: &packed, progress: &progress, patience };
    let published = match place {
        Place::Registry => delivery.to_registry(&provenance)?,
        Place::Server(url) => Published { source: provenance.source, ..delivery.to_server(&url)? },
    };
    print(&match args.output {
        HandoverFormat::Yaml => published.to_yaml(),
        HandoverFormat::Json => format!("{:#}\n", published.to_json()),
    });
    Ok(Status::Done)
}

/// Where an artifact goes.
enum Place {
    Registry,
    Server(HttpsUrl),
}

impl Place {
    /// Tells the two apart, and refuses flags that mean nothing there.
    fn parse(args: &PushArgs) -> Result<Self, Failure> {
        if !args.reference.starts_with("https://") {
            if args.server.token_file.is_some() || args.server.token_stdin {
                return Err(Failure::usage("`--token-file` and `--token-stdin` are for https artifact servers")
                    .hint("keep a registry's login with `login`, or give `--username` and `--password-stdin`"));
            }
            return Ok(Self::Registry);
        }
        let for_registries = [
            ("--tag", !args.tag.is_empty()),
            ("--layout image", args.layout == cli::Layout::Image),
            ("--mount-from", args.registry.mount_from.is_some()),
            ("--chunk-size", args.registry.chunk_size.is_some()),
            ("--username", args.registry.username.is_some()),
        ];
        if let Some((flag, _)) = for_registries.iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!("`{flag}` is for registries (`oci://…`), not for https servers")));
        }
        match Source::parse(&args.reference)? {
            Source::Https(url) => Ok(Self::Server(url)),
            Source::Oci(_) => Ok(Self::Registry),
        }
    }
}

/// Packs folders, or takes a tarball that was packed before.
fn packed(args: &PushArgs, scratch: &Scratch) -> Result<Packed, Failure> {
    let packing = pack::packing(&args.packing);
    let about = |path: &Path| path.display().to_string();
    let draft = match (args.layout, args.plugins.as_slice()) {
        (cli::Layout::Package, [path]) if path.is_file() => {
            let packed = Packed::from_tarball(&input::open(path)?, scratch.dir(), &packing.limits);
            return packed.map_err(|error| Failure::from(error).about(&about(path)));
        }
        (cli::Layout::Package, [path]) => Draft::package(input::open_folder(path)?, &packing.limits)
            .map_err(|error| Failure::from(error).about(&about(path)))?,
        (cli::Layout::Package, _) => {
            return Err(Failure::usage(format!("expected one plugin, found {}", args.plugins.len()))
                .hint("push each for itself, or all in one image with `--layout image`"));
        }
        (cli::Layout::Image, paths) => image(paths, &packing.limits)?,
    };
    let packed = Packed::from_draft(&draft, scratch.file()?, &packing)?;
    note(&format!("packed {} as {} bytes, {}", plugins(&packed), packed.len(), packed.integrity()));
    Ok(packed)
}

fn image(paths: &[PathBuf], limits: &Limits) -> Result<Draft, Failure> {
    let folders: Result<_, _> = paths.iter().map(|path| input::open_folder(path)).collect();
    Ok(Draft::image(folders?, limits)?)
}

fn plugins(packed: &Packed) -> String {
    let names: Vec<_> =
        packed.plugins().iter().map(|plugin| format!("{} {}", plugin.name(), plugin.version())).collect();
    names.join(", ")
}

/// What is said about the sources: what was typed, else what git or `package.json` says.
fn provenance(args: &PushArgs, packed: &Packed, created: Option<String>) -> Provenance {
    let folder = args.plugins.first().and_then(|path| path.canonicalize().ok());
    let folder = folder.and_then(|path| if path.is_dir() { Some(path) } else { path.parent().map(Path::to_owned) });
    let repository = || packed.plugins().first().and_then(|plugin| git::browsable(plugin.repository()?));
    let git = folder.map(|folder| git::Checkout::of(&folder)).unwrap_or_default();
    Provenance {
        source: args.source.clone().or(git.source).or_else(repository),
        revision: args.revision.clone().or(git.revision),
        created,
    }
}

/// `SOURCE_DATE_EPOCH` as RFC 3339.
fn created(epoch: &str) -> Result<String, Failure> {
    let time = epoch.parse().ok().and_then(|seconds| std::time::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    match time {
        Some(time) => Ok(audit::rfc3339(time)),
        None => Err(Failure::usage(format!("`SOURCE_DATE_EPOCH` must be a number of seconds, found `{epoch}`"))),
    }
}

/// A packed artifact on its way to wherever it was to go.
struct Delivery<'a> {
    args: &'a PushArgs,
    all: &'a Args,
    environment: &'a Environment,
    packed: &'a Packed,
    progress: &'a Arc<dyn Progress>,
    patience: Patience<'a>,
}

impl Delivery<'_> {
    fn existing(&self) -> Existing {
        if self.args.force { Existing::Replace } else { Existing::Refuse }
    }

    fn to_registry(&self, provenance: &Provenance) -> Result<Published, Failure> {
        let Self { args, all, environment, packed, .. } = *self;
        let version = || match packed.plugins() {
            [plugin] => Ok(plugin.version().to_owned()),
            _ => Err("the image holds several plugins".to_owned()),
        };
        let target = Target::parse(&args.reference, &args.tag, version)?;
        let access = servers::logins(&all.servers, environment).open()?;
        let credentials = match &args.registry.username {
            Some(user) => Credentials::only(target.first().registry(), user, &input::secret_from_stdin("password")?),
            None => access.credentials,
        };
        let client = Client::new(servers::transport(all, environment)?, credentials, access.realms);
        let registry = Registry { client, retry: servers::retry(all) };
        let options = PushOptions {
            existing: self.existing(),
            chunk: args.registry.chunk_size,
            mount_from: args.registry.mount_from.clone(),
        };
        let (published, how) = registry.push(packed, &target, provenance, &options, self.progress, self.patience)?;
        let how = match how {
            How::Existed => "the artifact was there already",
            How::Mounted => "the artifact was taken over from the other repository",
            How::Sent => "sent",
        };
        let digest = published.digest.map(|digest| digest.to_string()).unwrap_or_default();
        note(&format!("pushed {} ({how})\ndigest {digest}", published.references.join(", ")));
        Ok(published)
    }

    fn to_server(&self, url: &HttpsUrl) -> Result<Published, Failure> {
        let Self { args, all, environment, .. } = *self;
        let token = match (&args.server.token_file, args.server.token_stdin) {
            (Some(path), _) => Some(input::secret_from_file(path, "token")?),
            (None, true) => Some(input::secret_from_stdin("token")?),
            (None, false) => None,
        };
        let form = match args.server.form {
            Form::Put => publish::Form::Put,
            Form::Multipart => publish::Form::Multipart { field: args.server.field.clone() },
        };
        let server = Server { transport: servers::transport(all, environment)?, retry: servers::retry(all), token };
        let published = server.upload(self.packed, url, &form, self.existing(), self.progress, self.patience)?;
        note(&format!("uploaded {}", published.references.join(", ")));
        Ok(published)
    }
}
