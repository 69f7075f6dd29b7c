//! `pin`: writes integrities into a values file.

use std::io::{Write, stderr};
use std::time::Duration;

use config::{MAX_CONFIG_BYTES, Pins};
use fetch::{FetchError, Spool, read_file};
use publish::{Address, Chain, FileMode, PinFailure, Pinned, Refresh, Replacement, pin};
use source::printable;
use transport::Stop;

use crate::cli::{Args, PinArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Status, note, print};
use crate::scratch::Scratch;
use crate::{pack, servers};

pub(crate) fn run(args: &PinArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    let name = args.file.display().to_string();
    let bytes = read_file(&args.file, MAX_CONFIG_BYTES).map_err(|error| Failure::io("read", &args.file, &error))?;
    let pins = match Pins::read(&bytes) {
        Ok(pins) => pins,
        Err(problems) => {
            // As the installer shows them, on the stream for errors.
            drop(stderr().write_all(problems.render(&name).as_bytes()));
            return Err(Failure::usage(format!("`{name}` cannot be read as a list of plugins: see above")));
        }
    };
    let fetcher = servers::fetcher(all, environment, pins.policy().clone())?;
    let scratch = Scratch::open(&environment.temporary)?;
    let refresh = if args.update { Refresh::All } else { Refresh::Missing };
    let address = if args.to_digest { Address::Digest } else { Address::AsWritten };
    let waiting = |package: &str, error: &FetchError, wait: Duration| {
        let seconds = wait.as_secs_f64();
        note(&format!("warning: {}: {}; next try in {seconds:.1} s", printable(package), Chain(error)));
    };
    let spool = || scratch.unnamed().map(Spool::new);
    let pinned = pin(&pins, &fetcher, refresh, address, &spool, &Stop::new(), &waiting)?;

    print(&pinned.diff(&name))?;
    pinned.failures.iter().for_each(|failure| tell(&name, failure));
    if !args.dry_run && !pinned.changes.is_empty() {
        write(args, &bytes, &pinned).map_err(|error| Failure::io("write", &args.file, &error))?;
    }
    let done = if args.dry_run { "would be pinned (nothing was written)" } else { "pinned" };
    let (listed, changed, failed) = (pins.entries().len(), pinned.changes.len(), pinned.failures.len());
    let kept = listed.saturating_sub(changed + failed);
    let kept = match refresh {
        Refresh::All => format!("{kept} as they were"),
        Refresh::Missing => format!("{kept} have an integrity, which was not compared (`--update` does)"),
    };
    note(&format!("{name}: {listed} listed: {changed} {done}, {failed} could not be, {kept}"));
    Ok(if pinned.is_complete() { Status::Done } else { Status::Failed })
}

fn write(args: &PinArgs, before: &[u8], pinned: &Pinned) -> std::io::Result<()> {
    let mut file = Replacement::begin(&pack::behind_links(&args.file), FileMode::Plain)?;
    file.write_all(pinned.text.as_bytes())?;
    file.commit_over(before)
}

/// An entry that was left as it was.
fn tell(file: &str, failure: &PinFailure) {
    let PinFailure { place, package, disabled, cause, .. } = failure;
    let level = if *disabled { "note" } else { "error" };
    let position = place.position();
    note(&format!("{level}[{}]: {file}:{position}: `{}`: {}", cause.reason(), printable(package), Chain(cause)));
    if let Some(hint) = cause.hint() {
        note(&format!("help: {hint}"));
    }
}
