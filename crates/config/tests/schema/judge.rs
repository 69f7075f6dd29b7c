//! What an editor would say: another reader of YAML, and a validator that knows nothing of ours.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use config::{Dialect, schema};
use serde_json::{Value, json};

use crate::Case;

/// The first thing that is wrong with each file, if anything is.
pub(crate) fn judge(cases: &[Case]) -> Vec<Option<String>> {
    let name = |dialect| match dialect {
        Dialect::Butler => "butler",
        Dialect::Rhdh => "rhdh",
    };
    let schemas: serde_json::Map<_, _> = [Dialect::Butler, Dialect::Rhdh]
        .into_iter()
        .map(|dialect| (name(dialect).to_owned(), serde_json::from_str(&schema(dialect)).unwrap()))
        .collect();
    let files: Vec<_> = cases.iter().map(|case| (name(case.dialect), case.text.as_str())).collect();
    let asked = json!({ "schemas": Value::Object(schemas), "files": files }).to_string();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/judge.py");
    let mut python = Command::new(python());
    let mut child = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Option<String>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// Where `cargo xtask test` put the validator.
fn python() -> PathBuf {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures/schema/bin/python3");
    assert!(python.is_file(), "`cargo xtask fixtures` puts the validator there: `{}`", python.display());
    python
}
