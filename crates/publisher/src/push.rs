//! `push`: publishes, and prints what an operator needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oci::{Client, Credentials};
use publish::{
    Draft, Existing, How, Level, Packed, Packing, Plugin, Progress, Provenance, Published, PushOptions, Registry,
    Server, Target, check,
};
use source::{HttpsUrl, OciReference, Source};
use transport::{Deadline, Patience, Stop, SystemClock};

use crate::cli::{self, Args, Form, HandoverFormat, PushArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Status, note, print};
use crate::progress::Bar;
use crate::scratch::Scratch;
use crate::{git, input, pack, servers};

/// Longest time for a whole push.
const LONGEST: Duration = Duration::from_hours(2);
/// The last second of the year 9999, after which RFC 3339 has no form.
const LAST_SECOND: u64 = 253_402_300_799;

pub(crate) fn run(args: &PushArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    check_flags(args)?;
    let created = environment.source_date_epoch.as_deref().map(created).transpose()?;
    let source = args.source.as_deref().map(typed_source).transpose()?;
    let scratch = Scratch::open(&environment.temporary)?;
    let packing = pack::packing(&args.packing);
    let material = Material::open(args, &packing, &scratch)?;
    let place = Place::parse(args, material.plugins())?;
    material.warn_of_findings(args, &packing)?;
    let checkout = material.checkout(args);
    let packed = material.packed(&packing, &scratch)?;
    let repository = packed.plugins().first().and_then(|plugin| git::browsable(plugin.repository()?));
    let provenance = Provenance {
        source: source.or(checkout.source).or(repository),
        revision: args.revision.clone().or(checkout.revision),
        created,
    };
    let (clock, stop) = (SystemClock::start(), Stop::new());
    let patience = Patience::new(&clock, Deadline::after(&clock, LONGEST), &stop);
    let progress: Arc<dyn Progress> = Arc::new(Bar::default());
    let delivery = Delivery { args, all, environment, packed: &packed, progress: &progress, patience };
    let published = match place {
        Place::Registry(target) => delivery.to_registry(&target, &provenance)?,
        Place::Server(url) => Published { source: provenance.source, ..delivery.to_server(&url)? },
    };
    published.remarks.iter().for_each(|remark| note(&format!("warning: {remark}")));
    print(&match args.output {
        HandoverFormat::Yaml => published.to_yaml(),
        HandoverFormat::Json => format!("{:#}\n", published.to_json()),
    })?;
    Ok(Status::Done)
}

fn is_server(args: &PushArgs) -> bool {
    args.reference.starts_with("https://")
}

/// Refuses flags that mean nothing for the reference, and values that are none.
fn check_flags(args: &PushArgs) -> Result<(), Failure> {
    if args.plugins.iter().any(|plugin| plugin.to_str().is_some_and(input::is_remote)) {
        return Err(Failure::usage("expected folders or a tarball first, and the reference last"));
    }
    if let Some(repository) = &args.registry.mount_from {
        let reference = OciReference::parse(&format!("registry.example.com/{repository}:tag"));
        if !reference.is_ok_and(|reference| reference.repository() == repository) {
            return Err(Failure::usage(format!("`--mount-from` must be a repository, found `{repository}`"))
                .hint("as in `my-org/hello`, without registry and tag"));
        }
    }
    if !is_server(args) {
        if args.server.token_file.is_some() || args.server.token_stdin {
            return Err(Failure::usage("`--token-file` and `--token-stdin` are for https artifact servers")
                .hint("keep a registry's login with `login`, or give `--username` and `--password-stdin`"));
        }
        return Ok(());
    }
    let for_registries = [
        ("--tag", !args.tag.is_empty()),
        ("--move-tag", !args.move_tag.is_empty()),
        ("--layout image", args.layout == cli::Layout::Image),
        ("--mount-from", args.registry.mount_from.is_some()),
        ("--chunk-size", args.registry.chunk_size.is_some()),
        ("--username", args.registry.username.is_some()),
    ];
    match for_registries.iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Failure::usage(format!("`{flag}` is for registries (`oci://…`), not for https servers")))
        }
        None => Ok(()),
    }
}

/// `SOURCE_DATE_EPOCH` as RFC 3339.
fn created(epoch: &str) -> Result<String, Failure> {
    match epoch.parse().ok().filter(|seconds| *seconds <= LAST_SECOND) {
        Some(seconds) => Ok(audit::rfc3339(std::time::UNIX_EPOCH + Duration::from_secs(seconds))),
        None => Err(Failure::usage(format!("`SOURCE_DATE_EPOCH` must be a number of seconds, found `{epoch}`"))),
    }
}

/// What `--source` says, without a login that stands in it.
fn typed_source(address: &str) -> Result<String, Failure> {
    git::browsable(address).ok_or_else(|| {
        Failure::usage(format!("`--source` must be the address of a repository, found `{}`", source::redact(address)))
            .hint("as in `https://github.com/my-org/hello`")
    })
}

/// What was named to be published.
enum Material {
    /// Packed before.
    Tarball(Box<Packed>),
    /// Folders still to be packed.
    Folders(Draft),
}

impl Material {
    fn open(args: &PushArgs, packing: &Packing, scratch: &Scratch) -> Result<Self, Failure> {
        let about = |path: &Path| path.display().to_string();
        let limits = &packing.limits;
        match (args.layout, args.plugins.as_slice()) {
            (cli::Layout::Package, [path]) if path.is_file() => {
                Packed::from_tarball(&input::open(path)?, scratch.dir(), packing)
                    .map(|packed| Self::Tarball(Box::new(packed)))
                    .map_err(|error| Failure::from(error).about(&about(path)))
            }
            (cli::Layout::Package, [path]) => {
                if path.join("dist-dynamic").is_dir() {
                    note(&format!("warning: `{}` holds a `dist-dynamic`: is that what was meant?", path.display()));
                }
                Draft::package(input::open_folder(path)?, limits)
                    .map(Self::Folders)
                    .map_err(|error| Failure::from(error).about(&about(path)))
            }
            (cli::Layout::Package, _) => {
                Err(Failure::usage(format!("expected one plugin, found {}", args.plugins.len()))
                    .hint("push each for itself, or all in one image with `--layout image`"))
            }
            (cli::Layout::Image, paths) => {
                let folders: Result<_, _> = paths.iter().map(|path| input::open_folder(path)).collect();
                Ok(Self::Folders(Draft::image(folders?, limits)?))
            }
        }
    }

    fn plugins(&self) -> &[Plugin] {
        match self {
            Self::Tarball(packed) => packed.plugins(),
            Self::Folders(draft) => draft.plugins(),
        }
    }

    /// A portal decides what it runs, and its rules may change: findings do not keep a plugin from being published.
    fn warn_of_findings(&self, args: &PushArgs, packing: &Packing) -> Result<(), Failure> {
        let Self::Folders(_) = self else { return Ok(()) };
        for path in &args.plugins {
            let name = path.display().to_string();
            let checked = check(&name, &input::open_folder(path)?, &packing.limits)?;
            let errors = checked.findings().iter().filter(|finding| finding.rule.level == Level::Error);
            let mut rules: Vec<_> = errors.map(|finding| finding.rule.id).collect();
            rules.dedup();
            if !rules.is_empty() {
                note(&format!(
                    "warning: a portal would not take or run `{name}` ({}): see `butler-plugin-publisher check {name}`",
                    rules.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// What git says about a folder; a tarball may lie anywhere.
    fn checkout(&self, args: &PushArgs) -> git::Checkout {
        match (self, args.plugins.first().and_then(|path| path.canonicalize().ok())) {
            (Self::Folders(_), Some(folder)) => git::Checkout::of(&folder),
            _ => git::Checkout::default(),
        }
    }

    fn packed(self, packing: &Packing, scratch: &Scratch) -> Result<Packed, Failure> {
        let packed = match self {
            Self::Tarball(packed) => *packed,
            Self::Folders(draft) => Packed::from_draft(&draft, scratch.file()?, packing)?,
        };
        let name = |plugin: &Plugin| format!("{} {}", plugin.name(), plugin.version());
        let names: Vec<_> = packed.plugins().iter().map(name).collect();
        note(&format!("{}: {} bytes, {}", names.join(", "), packed.len(), packed.integrity()));
        pack::warn_of_secrets(packed.secrets());
        Ok(packed)
    }
}

/// Where an artifact goes.
enum Place {
    Registry(Target),
    Server(HttpsUrl),
}

impl Place {
    fn parse(args: &PushArgs, plugins: &[Plugin]) -> Result<Self, Failure> {
        if is_server(args)
            && let Source::Https(url) = Source::parse(&args.reference)?
        {
            return Ok(Self::Server(url));
        }
        let version = || match plugins {
            [plugin] => Ok(plugin.version().to_owned()),
            _ => Err("the image holds several plugins".to_owned()),
        };
        Ok(Self::Registry(Target::parse(&args.reference, &args.tag, &args.move_tag, version)?))
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

    fn to_registry(&self, target: &Target, provenance: &Provenance) -> Result<Published, Failure> {
        let Self { args, all, environment, packed, .. } = *self;
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
        let (published, how) = registry.push(packed, target, provenance, &options, self.progress, self.patience)?;
        let how = match how {
            How::Existed => "the artifact was there already",
            How::Mounted => "the artifact was taken over from the other repository",
            How::Sent => "sent",
        };
        let digest = published.digest.map(|digest| digest.to_string()).unwrap_or_default();
        for reference in published.references.iter().filter(|reference| !published.written.contains(reference)) {
            note(&format!("unchanged {reference}"));
        }
        note(&format!("digest {digest} ({how})"));
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
        let done = if published.written.is_empty() { "unchanged" } else { "uploaded" };
        note(&format!("{done} {}", published.references.join(", ")));
        Ok(published)
    }
}
