//! A plugin's tarball into a folder, safely: `cargo run --example unpack TARBALL sha512-… FOLDER`
//!
//! The plugin gets a folder of its own below `FOLDER`, whole or not at all. The exit status is 0 if it is there, 1 if
//! not, and 2 for a wrong command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program, and talks to whoever runs it")]

use std::{error::Error, fs::File, io, path::Path, process::ExitCode};

use integrity::{Chain, HashingWriter, Integrity};
use tarball::{Destination, Dir, Layout, Limits, Record, Written, unpack};

/// Where the plugin is until it is whole.
const STAGING: &str = ".unpacking";

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
    match place(tarball, pinned, folder) {
        Ok(destination) => {
            println!("{folder}/{destination}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{tarball}: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn place(tarball: &str, pinned: &str, folder: &str) -> Result<Destination, Box<dyn Error>> {
    let pinned = Integrity::parse(pinned)?;
    let root = Dir::open(Path::new(folder)).map_err(|error| format!("folder `{folder}`: {error}"))?;
    // What is hashed is what is unpacked: a file without a name, which nobody else can open.
    let mut spool = HashingWriter::new(root.unnamed_file()?);
    io::copy(&mut File::open(tarball)?, &mut spool)?;
    let mut artifact = spool.finish().verify(&pinned)?;

    let staging = root.create_dir(STAGING)?;
    let placed = unpack(&mut artifact, &Layout::Package, &staging, &Limits::default(), &mut NoRecord)
        .map_err(Box::<dyn Error>::from)
        .and_then(|plugin| {
            let destination = plugin.manifest().name().destination();
            root.rename_noreplace(STAGING, &root, destination.as_str())?;
            Ok(destination)
        });
    root.remove_tree(STAGING)?;
    placed
}
