//! The schema says of a file what the reader says of it, as far as one can say it without the other's knowledge.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod judge;
#[path = "../tables/lists.rs"]
mod lists;
#[path = "../tables/mistakes.rs"]
mod mistakes;
#[path = "../tables/outcomes.rs"]
mod outcomes;
mod packages;
mod real;

use config::rhdh::{Include, MissingIntegrity, Planning};
use config::{Dialect, Problems, Request};

use judge::judge;

/// A file, and what it is about.
struct Case {
    name: String,
    dialect: Dialect,
    text: String,
}

impl Case {
    fn new(name: &str, dialect: Dialect, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), dialect, text: text.into() }
    }
}

/// What the reader says of a file that has none beside it but `include`: the lines of the problems, and the problems.
fn read(dialect: Dialect, text: &str, include: Option<&[u8]>) -> Result<(), Vec<(u32, String)>> {
    let told = |problems: Problems| -> Vec<_> {
        problems.iter().map(|problem| (problem.position.line, problem.message.clone())).collect()
    };
    let plan = match dialect {
        Dialect::Butler => config::parse(text.as_bytes()).map_err(told)?,
        Dialect::Rhdh => {
            let mut planning = Planning::begin("main", text.as_bytes(), MissingIntegrity::IsRefused);
            while let Some(path) = planning.needs() {
                let path = path.to_owned();
                let is_default = path.ends_with("dynamic-plugins.default.yaml");
                planning.supply(Include::read(&path, include.filter(|_| is_default)));
            }
            planning.finish().map_err(told)?.plan
        }
    };
    let mut rejected = Vec::new();
    for entry in plan.entries {
        let Request::Wanted(wanted) = entry.request else { continue };
        if let Err(error) = wanted.admit(&plan.policy) {
            rejected.push((entry.place.problem(&error, text.as_bytes()).position.line, error.to_string()));
        }
    }
    if rejected.is_empty() { Ok(()) } else { Err(rejected) }
}

/// What is wrong with a file that no schema, or not this one, can know.
const BEYOND: &[&str] = &[
    "alias",
    "merge key",
    "block is an alias",
    "misspelt sources",
    "misspelt integrity",
    "misspelt switch",
    "two merges",
];

#[test]
fn schema_takes_what_the_reader_takes_and_little_more() {
    let mut cases = Vec::new();
    for (name, text, _) in mistakes::MISTAKES {
        cases.push(Case::new(name, Dialect::Butler, *text));
    }
    for (entry, _) in outcomes::entries() {
        cases.push(Case::new(&entry, Dialect::Butler, outcomes::in_file(&entry)));
    }
    for (name, text, _) in lists::mistakes().into_iter().chain(lists::oddities()) {
        cases.push(Case::new(name, Dialect::Rhdh, text));
    }
    for text in ["", "{}\n", "null\n", "x-mine: {a: 1}\n", "plugins:\n", "allowedSources: []\n", "- a\n", "a\n"] {
        cases.extend([Dialect::Butler, Dialect::Rhdh].map(|dialect| Case::new(text, dialect, text)));
    }
    let answers = judge(&cases);
    let mut milder = Vec::new();
    for (case, answer) in cases.iter().zip(answers) {
        match (read(case.dialect, &case.text, None), answer) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(complaint)) => panic!("the schema is stricter: {}: {complaint}\n{}", case.name, case.text),
            (Err(_), None) => milder.push(case.name.as_str()),
        }
    }
    assert_eq!(milder, BEYOND);
}
