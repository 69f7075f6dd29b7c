//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy knows.
//!
//! A rule is a function from what it looks at to its complaints; each has a test that shows it complaining.

mod docs;
mod edges;
mod reasons;
mod sources;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::{command, workspace};

/// Checks all rules and prints every complaint.
pub(crate) fn run() -> anyhow::Result<()> {
    let files = files()?;
    let mut complaints = edges::check(&edges::members(&workspace::metadata()?)?);
    for rule in [sources::check, words::check, docs::check, reasons::check] {
        complaints.extend(rule(&files));
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => println!("tidy: {} files, no complaint", files.len()),
        count => bail!("tidy: {count} complaints"),
    }
    Ok(())
}

/// A file that git keeps, or would keep: its path from the top of the workspace, and its text.
#[derive(Debug)]
struct File {
    path: String,
    text: String,
}

impl File {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    fn is_test(&self) -> bool {
        self.path.split('/').any(|component| component == "tests")
    }

    fn is_example(&self) -> bool {
        self.path.split('/').any(|component| component == "examples")
    }

    /// The lines up to the first test module.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_product = |line: &&str| line.trim_start() != "#[cfg(test)]";
        self.text.lines().take_while(is_product).enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Those lines of the product that are no comment.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.product_lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// What breaks a rule, and where.
#[derive(Debug, PartialEq)]
struct Complaint {
    path: String,
    line: Option<usize>,
    text: String,
}

impl Complaint {
    fn about(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, text: text.into() }
    }

    fn at(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::about(path, text) }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// Everything git tracks or would track. Deleted files and files that are not text are left out.
fn files() -> anyhow::Result<Vec<File>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = command::read(&mut command::program("git", &arguments))?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        let at = workspace::root().join(path);
        if !at.is_file() {
            continue;
        }
        let bytes = fs::read(&at).with_context(|| format!("could not read `{path}`"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up file for the tests of the rules.
    pub(super) fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    /// The complaints as they are printed.
    pub(super) fn shown(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn product_code_ends_at_the_first_test_module_and_skips_comments() {
        let file = file("a.rs", "//! Doc.\nfn a() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(file.product_lines().count(), 2);
        assert_eq!(file.code_lines().collect::<Vec<_>>(), [(2, "fn a() {}")]);
    }
}
