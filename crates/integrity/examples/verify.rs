//! Whether a file is the promised one: `cargo run --example verify FILE sha512-…`
//!
//! The exit status is 0 if it is, 1 if it is not or cannot be read, and 2 for a wrong command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program, and talks to whoever runs it")]

use std::error::Error;
use std::fs::File;
use std::io;
use std::process::ExitCode;

use integrity::{Chain, HashingWriter, Integrity, Verified};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, pinned] = arguments.as_slice() else {
        eprintln!("usage: verify FILE INTEGRITY");
        return ExitCode::from(2);
    };
    match verify(file, pinned) {
        Ok(artifact) => {
            println!("{file}: {} bytes, the promised ones", artifact.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{file}: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Hashes the file. With a spool instead of the sink, what is returned could be read, too.
fn verify(file: &str, pinned: &str) -> Result<Verified<io::Sink>, Box<dyn Error>> {
    let pinned = Integrity::parse(pinned)?;
    let mut sink = HashingWriter::new(io::sink());
    io::copy(&mut File::open(file)?, &mut sink)?;
    Ok(sink.finish().verify(&pinned)?)
}
