//! A plugin's tarball into a folder, safely: `cargo run --example unpack TARBALL sha512-… FOLDER`
//!
//! The plugin gets a folder of its own below `FOLDER`, whole or not at all; one run at a time. The exit status is 0 if it is
//! there, 1 if not, and 2 for a wrong command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program, and talks to whoever runs it")]

use std::{error::Error, fs::File, io, io::Read as _, path::Path, process::ExitCode};

use integrity::{Chain, HashingWriter, Integrity};
use tarball::{Destination, Dir, Layout, Limits, Record, Written, unpack};

/// Where the plugin is until it is whole: one level deeper than a portal looks for plugins.
const STAGING: (&str, &str) = (".unpacking", "plugin");
/// What is larger is no plugin.
const MAX_TARBALL_BYTES: u64 = 64 * 1024 * 1024;

/// Who wants to look at the plugin again later notes each file and its digest here.
struct NoRecord;
impl Record for NoRecord {
    fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [tarball, pinned, folder] = arguments.as_slice() else {
        eprintln!("usage: unpack TARBALL INTEGRITY FOLDER");
        return ExitCode::from(2);
    };
    let placed = place(tarball, pinned, folder);
    match &placed {
        Ok(destination) => println!("{folder}/{destination}"),
        Err(error) => eprintln!("{tarball}: {}", Chain(&**error)),
    }
    ExitCode::from(u8::from(placed.is_err()))
}

fn place(tarball: &str, pinned: &str, folder: &str) -> Result<Destination, Box<dyn Error>> {
    let pinned = Integrity::parse(pinned)?;
    let root = Dir::open(Path::new(folder)).map_err(|error| format!("folder `{folder}`: {error}"))?;
    // What is hashed is what is unpacked: a file without a name, which nobody else can open.
    let mut spool = HashingWriter::new(root.unnamed_file()?);
    if io::copy(&mut File::open(tarball)?.take(MAX_TARBALL_BYTES + 1), &mut spool)? > MAX_TARBALL_BYTES {
        return Err(format!("expected at most {MAX_TARBALL_BYTES} bytes").into());
    }
    let mut artifact = spool.finish().verify(&pinned)?;
    // A run that was killed left its own.
    root.remove_tree(STAGING.0)?;
    let area = root.create_dir(STAGING.0)?;
    let staging = area.create_dir(STAGING.1)?;
    let unpacked = unpack(&mut artifact, &Layout::Package, &staging, &Limits::default(), &mut NoRecord);
    let placed = unpacked.map_err(Box::from).and_then(|plugin| {
        let destination = plugin.manifest().name().destination();
        let placed = area.rename_noreplace(STAGING.1, &root, destination.as_str());
        Ok(placed.map(|()| destination.clone()).map_err(|error| format!("folder `{folder}/{destination}`: {error}"))?)
    });
    root.remove_tree(STAGING.0)?;
    placed
}
