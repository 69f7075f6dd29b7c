//! That the documents hang together: decision records are numbered and listed, every page is in the summary, local links
//! lead somewhere, and the tests that answer a threat exist.

use std::collections::{BTreeMap, BTreeSet};

use super::{Complaint, File};
use crate::links::{anchors, is_local, prose, resolve, targets};

const DECISIONS: &str = "docs/decisions/";
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const SUMMARY: &str = "docs/SUMMARY.md";
const THREATS: &str = "docs/threats.md";

/// Checks the documents against each other and against the other files.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    [numbers, listed, summarised, links, tests_of_threats].iter().flat_map(|rule| rule(files)).collect()
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

/// A page that the summary does not list is not in the site.
fn summarised(files: &[File]) -> Vec<Complaint> {
    let Some(summary) = files.iter().find(|file| file.path == SUMMARY) else { return Vec::new() };
    let listed: BTreeSet<_> = targets(&summary.text).map(|target| resolve(SUMMARY, target)).collect();
    let is_missing = |file: &&File| file.path.starts_with("docs/") && file.has_extension("md") && file.path != SUMMARY;
    files
        .iter()
        .filter(is_missing)
        .filter(|file| !listed.contains(&file.path))
        .map(|file| Complaint::about(SUMMARY, format!("expected a link to the page `{}`", file.path)))
        .collect()
}

fn links(files: &[File]) -> Vec<Complaint> {
    let mut places = BTreeMap::new();
    for file in files {
        let headings = if file.has_extension("md") { anchors(&file.text) } else { BTreeSet::new() };
        places.extend(file.path.match_indices('/').map(|(at, _)| (&file.path[..at], BTreeSet::new())));
        places.insert(file.path.as_str(), headings);
    }
    files.iter().filter(|file| file.has_extension("md")).flat_map(|file| broken_links(file, &places)).collect()
}

/// Complains about links to no place, or to no heading of a page.
fn broken_links(file: &File, places: &BTreeMap<&str, BTreeSet<String>>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in prose(&file.text) {
        for target in targets(line).filter(|target| is_local(target) || target.starts_with('#')) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { file.path.clone() } else { resolve(&file.path, path) };
            let place = places.get(path.as_str());
            if place.is_none_or(|headings| !heading.is_empty() && !headings.contains(heading)) {
                complaints.push(Complaint::at(&file.path, number, format!("nothing lies at `{target}`")));
            }
        }
    }
    complaints
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
    fn a_page_that_the_summary_does_not_list_is_a_complaint() {
        let pages = ["docs/a.md", "docs/b/c.md", "README.md"].map(|path| file(path, ""));
        let mut files: Vec<_> = pages.into_iter().chain([file(SUMMARY, "- [A](a.md)\n")]).collect();
        assert_eq!(shown(&check(&files)), ["docs/SUMMARY.md: expected a link to the page `docs/b/c.md`"]);
        files.last_mut().unwrap().text += "  - [C](b/c.md)\n";
        assert_eq!(check(&files), []);
    }

    #[test]
    fn only_local_links_that_lead_nowhere_are_complaints() {
        let rows = [
            ("file beside it", "[x](b.md)", true),
            ("with a heading", "[x](b.md#part)", true),
            ("with a heading that is not there", "[x](b.md#parts)", false),
            ("in a block of code", "```text\n[x](c.md)\n```", true),
            ("folder", "[x](../crates/) and [y](../crates/oci)", true),
            ("heading here", "[x](#here)", true),
            ("no heading here", "[x](#part)", false),
            ("elsewhere", "[x](https://example.com/a)", true),
            ("missing", "[x](c.md)", false),
            ("missing, with a title", "[x](c.md \"title\")", false),
        ];
        for (name, text, good) in rows {
            let files = [
                file("docs/a.md", &format!("# Here\n{text}")),
                file("docs/b.md", "## Part\n"),
                file("crates/oci/Cargo.toml", ""),
            ];
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
