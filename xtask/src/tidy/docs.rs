//! That the documents hang together: decision records are numbered and listed, local links lead somewhere, and the tests
//! that answer a threat exist.

use std::collections::BTreeSet;

use super::{Complaint, File};

const DECISIONS: &str = "docs/decisions/";
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const THREATS: &str = "docs/threats.md";

/// Checks the documents against each other and against the other files.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    [numbers, listed, links, tests_of_threats].iter().flat_map(|rule| rule(files)).collect()
}

/// The file names of the decision records, in order.
fn decisions(files: &[File]) -> BTreeSet<&str> {
    files.iter().filter_map(|file| file.path.strip_prefix(DECISIONS)).collect()
}

fn numbers(files: &[File]) -> Vec<Complaint> {
    let is_wrong = |(expected, name): &(usize, &str)| !name.starts_with(&format!("{expected:04}-"));
    let complaint = |(expected, name): (usize, &str)| {
        Complaint::about(&format!("{DECISIONS}{name}"), format!("expected number {expected:04}"))
    };
    (1..).zip(decisions(files)).find(is_wrong).map(complaint).into_iter().collect()
}

fn listed(files: &[File]) -> Vec<Complaint> {
    let list = files.iter().find(|file| file.path == ARCHITECTURE).map_or("", |file| file.text.as_str());
    decisions(files)
        .into_iter()
        .filter(|name| !list.contains(&format!("](decisions/{name})")))
        .map(|name| Complaint::about(ARCHITECTURE, format!("expected a link to the decision `{name}`")))
        .collect()
}

fn links(files: &[File]) -> Vec<Complaint> {
    let mut places = BTreeSet::new();
    for file in files {
        places.insert(file.path.as_str());
        places.extend(file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
    }
    files.iter().filter(|file| file.has_extension("md")).flat_map(|file| broken_links(file, &places)).collect()
}

fn broken_links(file: &File, places: &BTreeSet<&str>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for target in targets(line).filter(|target| is_local(target)) {
            let path = target.split('#').next().unwrap_or_default();
            if !places.contains(resolve(&file.path, path).as_str()) {
                complaints.push(Complaint::at(&file.path, index + 1, format!("nothing lies at `{target}`")));
            }
        }
    }
    complaints
}

/// What the inline links `[text](target)` of a line point to.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

fn is_local(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// The path from the top of the workspace that a link in `file` means.
fn resolve(file: &str, target: &str) -> String {
    let mut path: Vec<_> = file.split('/').collect();
    path.pop();
    for component in target.trim_end_matches('/').split('/') {
        match component {
            "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}

/// A test stands there as `file: name`; those of the same file may follow by name alone.
fn tests_of_threats(files: &[File]) -> Vec<Complaint> {
    let Some(threats) = files.iter().find(|file| file.path == THREATS) else { return Vec::new() };
    let mut complaints = Vec::new();
    for (index, line) in threats.text.lines().enumerate() {
        let mut place = None;
        for code in line.split('`').skip(1).step_by(2) {
            let name = match code.split_once(".rs: ") {
                Some((path, name)) => {
                    place = Some(format!("{path}.rs"));
                    name
                }
                None => code,
            };
            let names_a_test =
                name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b));
            let Some(place) = place.as_deref().filter(|_| names_a_test) else { continue };
            let is_there = |file: &File| {
                file.path.strip_prefix("crates/").unwrap_or(&file.path) == place
                    && file.text.contains(&format!("fn {name}("))
            };
            if !files.iter().any(is_there) {
                complaints.push(Complaint::at(THREATS, index + 1, format!("there is no test `{name}` in `{place}`")));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, shown};
    use super::*;

    fn house(decisions: &[&str], architecture: &str) -> Vec<File> {
        let records = decisions.iter().map(|name| file(&format!("{DECISIONS}{name}"), "# Title\n"));
        records.chain([file(ARCHITECTURE, architecture)]).collect()
    }

    #[test]
    fn a_gap_between_decisions_is_a_complaint() {
        let both = "[a](decisions/0001-a.md) [b](decisions/0003-b.md)";
        assert_eq!(
            shown(&check(&house(&["0001-a.md", "0003-b.md"], both))),
            ["docs/decisions/0003-b.md: expected number 0002"]
        );
    }

    #[test]
    fn a_decision_that_the_architecture_does_not_list_is_a_complaint() {
        let found = shown(&check(&house(&["0001-a.md", "0002-b.md"], "[a](decisions/0001-a.md)")));
        assert_eq!(found, ["docs/ARCHITECTURE.md: expected a link to the decision `0002-b.md`"]);
    }

    #[test]
    fn only_local_links_that_lead_nowhere_are_complaints() {
        let rows = [
            ("file beside it", "[x](b.md)", true),
            ("with a heading", "[x](b.md#part)", true),
            ("folder", "[x](../crates/) and [y](../crates/oci)", true),
            ("heading here", "[x](#part)", true),
            ("elsewhere", "[x](https://example.com/a)", true),
            ("missing", "[x](c.md)", false),
            ("missing, with a title", "[x](c.md \"title\")", false),
        ];
        for (name, text, good) in rows {
            let files = [file("docs/a.md", text), file("docs/b.md", ""), file("crates/oci/Cargo.toml", "")];
            assert_eq!(check(&files).is_empty(), good, "{name}");
        }
    }

    #[test]
    fn a_threat_whose_test_is_gone_is_a_complaint() {
        let tests = file("crates/oci/tests/a.rs", "fn lies_are_not_believed() {}\nfn others_are_told() {}\n");
        for (text, complaint) in [
            ("| x | `oci/tests/a.rs: lies_are_not_believed`, `others_are_told` |", None),
            ("| `Verified`, `some_word` | `oci/tests/a.rs: lies_are_not_believed` |", None),
            ("`oci/tests/a.rs: lies_are_told`", Some("there is no test `lies_are_told` in `oci/tests/a.rs`")),
            ("`oci/tests/b.rs: others_are_told`", Some("there is no test `others_are_told` in `oci/tests/b.rs`")),
            (
                "`oci/tests/a.rs: others_are_told`, `lies_are_told`",
                Some("there is no test `lies_are_told` in `oci/tests/a.rs`"),
            ),
        ] {
            let found = shown(&check(&[file(ARCHITECTURE, ""), file(THREATS, text), file(&tests.path, &tests.text)]));
            let expected: Vec<_> = complaint.map(|text| format!("docs/threats.md:1: {text}")).into_iter().collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
