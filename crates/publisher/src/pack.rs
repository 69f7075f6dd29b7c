//! `pack`: a folder becomes a tarball.

use std::io::{self, BufWriter};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use publish::{Draft, FileMode, Limits, Offences, Packing, Replacement, SecretFiles};

use crate::cli::{PackArgs, PackingArgs};
use crate::failure::{Failure, Status, note, print};
use crate::input;

pub(crate) fn run(args: &PackArgs) -> Result<Status, Failure> {
    let packing = packing(&args.packing);
    let draft = Draft::package(input::open_folder(&args.folder)?, &packing.limits)
        .map_err(|error| Failure::from(error).about(&args.folder.display().to_string()))?;
    if args.output.as_os_str() == "-" {
        return Err(Failure::usage("standard output is for the integrity").hint("name a file with `--output`"));
    }
    let output = behind_links(&args.output);
    refuse_inside(&args.folder, &output)?;
    let unwritable = |error: io::Error| Failure::io("write", &args.output, &error);
    let file = Replacement::begin(&output, FileMode::Plain).map_err(unwritable)?;
    let packed = draft.pack(BufWriter::new(file), &packing)?;
    let integrity = packed.integrity();
    warn_of_secrets(packed.secrets());
    let (entries, unpacked, len) = (packed.entries(), packed.unpacked_len(), packed.len());
    let file = packed.into_inner().into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.commit().map_err(unwritable)?;
    note(&format!("packed {entries} entries, {unpacked} bytes, as {len} bytes into `{}`", args.output.display()));
    print(&format!("{integrity}\n"))?;
    Ok(Status::Done)
}

/// Says which dangers were taken.
pub(crate) fn warn_of_secrets(secrets: &Offences) {
    if secrets.count() > 0 {
        let named: Vec<_> = secrets.named().map(|(path, _)| path).collect();
        let more = secrets.count().saturating_sub(named.len() as u64);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        note(&format!("warning: with files that look secret (--allow-secret-files): {}{more}", named.join(", ")));
    }
}

/// A tarball in the folder would be in the next tarball.
fn refuse_inside(folder: &Path, output: &Path) -> Result<(), Failure> {
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), parent.canonicalize()) {
        (Ok(folder), Ok(parent)) if parent.starts_with(&folder) => {
            Err(Failure::usage(format!("`{}` would lie in the folder that is packed", output.display()))
                .hint("name a file elsewhere with `--output`"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn packing(args: &PackingArgs) -> Packing {
    let secret_files = if args.allow_secret_files { SecretFiles::Allow } else { SecretFiles::Refuse };
    let threads = args.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    Packing { limits: Limits::default(), secret_files, threads }
}

/// Where a file that may be a link really is: the link stays, what it points to is replaced.
pub(crate) fn behind_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
