//! That the documents hang together: decision records are numbered and listed, local links lead somewhere.

use std::collections::BTreeSet;

use super::{Complaint, File};

const DECISIONS: &str = "docs/decisions/";
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// Checks the documents against each other and against the other files.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    [numbers, listed, links].iter().flat_map(|rule| rule(files)).collect()
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
}
