//! `integrity`: what an operator would pin.

use std::io;
use std::path::Path;

use publish::{Chain, Integrity, hash_file};

use crate::cli::{Args, IntegrityArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Status, print};
use crate::input;
use crate::scratch::Scratch;

pub(crate) fn run(args: &IntegrityArgs, all: &Args, environment: &Environment) -> Result<Status, Failure> {
    let expected = args.check.as_deref().map(Integrity::parse).transpose();
    let expected =
        expected.map_err(|error| Failure { hint: Some(error.hint()), ..Failure::usage(Chain(&error).to_string()) })?;
    let found = if input::is_remote(&args.artifact) {
        let scratch = Scratch::open(&environment.temporary)?;
        input::fetch(&args.artifact, scratch.file()?, all, environment)?.integrity()
    } else {
        let path = Path::new(&args.artifact);
        let hashed = hash_file(&input::open(path)?, io::sink());
        hashed.map_err(|error| Failure::from(error).about(&args.artifact))?.integrity()
    };
    match expected {
        Some(expected) if expected != found => Err(Failure::new(
            "integrity_mismatch",
            audit::Blame::Publisher,
            format!("`{}`: expected `{expected}`, found `{found}`", source::redact(&args.artifact)),
        )
        .hint("it is another version, or somebody changed it: ask its publisher before you pin what was found")),
        _ => {
            print(&format!("{found}\n"))?;
            Ok(Status::Done)
        }
    }
}
