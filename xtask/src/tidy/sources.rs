//! What a source file may look like, and what code outside the binaries may touch.

use super::{Complaint, File};

/// More lines than this, tests not counted, are two modules.
const MAX_LINES: usize = 600;
/// A `main.rs` is read in a minute.
const MAX_MAIN_LINES: usize = 40;
/// An example that is longer shows that the crate is hard to use.
const MAX_EXAMPLE_LINES: usize = 60;

/// What opens a block that the tests compile.
const COMPILED_FENCES: [&str; 2] = ["```", "```no_run"];

/// The crates at the edge: they read the world, print and exit.
const AT_THE_EDGE: [&str; 4] = ["crates/installer/", "crates/publisher/", "testkit/", "xtask/"];
/// What only they may do.
const EDGE_ONLY: [&str; 7] = ["clap", "std::env", "print!", "println!", "eprint!", "eprintln!", "process::exit"];
/// Parts of `std::env` that read no environment.
const HARMLESS: [&str; 2] = ["std::env::consts", "std::env::split_paths"];

/// The crates that take values and give values.
const PURE: [&str; 4] = ["crates/audit/", "crates/config/", "crates/integrity/", "crates/source/"];
/// What they must not even name. Of `std::net`, addresses are values like others.
const IMPURE: [&str; 5] = ["std::fs", "TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs"];

/// Checks every Rust file.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let rules = [module_comment, front_page, length, module_file, allow_attribute, edge_only, pure];
    files
        .iter()
        .filter(|file| file.has_extension("rs"))
        .flat_map(|file| rules.iter().flat_map(|rule| rule(file)))
        .collect()
}

fn module_comment(file: &File) -> Vec<Complaint> {
    let missing = !file.text.starts_with("//!");
    missing.then(|| Complaint::at(&file.path, 1, "expected a module comment `//!` first")).into_iter().collect()
}

/// The front page of a library that is published shows how it is used, in Rust that the tests compile.
fn front_page(file: &File) -> Vec<Complaint> {
    let is_front_page = file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs");
    let shows_use = || {
        let page = file.text.lines().map_while(|line| line.strip_prefix("//!"));
        let fences = page.map(str::trim).filter(|line| line.starts_with("```"));
        // Each second one closes.
        fences.step_by(2).any(|fence| COMPILED_FENCES.contains(&fence))
    };
    let missing = is_front_page && !shows_use();
    let text = "expected an example on the front page, in a block that is compiled";
    missing.then(|| Complaint::at(&file.path, 1, text)).into_iter().collect()
}

fn length(file: &File) -> Vec<Complaint> {
    let (limit, lines) = match file.path.rsplit('/').next() {
        _ if file.is_test() => return Vec::new(),
        _ if file.is_example() => (MAX_EXAMPLE_LINES, file.text.lines().count()),
        Some("main.rs") => (MAX_MAIN_LINES, file.text.lines().count()),
        _ => (MAX_LINES, file.product_lines().count()),
    };
    let text = || format!("expected at most {limit} lines, tests not counted, found {lines}");
    (lines > limit).then(|| Complaint::about(&file.path, text())).into_iter().collect()
}

fn module_file(file: &File) -> Vec<Complaint> {
    let old_style = file.path.ends_with("/mod.rs");
    old_style.then(|| Complaint::about(&file.path, "name the file after its module")).into_iter().collect()
}

fn allow_attribute(file: &File) -> Vec<Complaint> {
    // In two pieces, as this file must not complain about itself.
    const OUTER: &str = concat!("#[", "allow(");
    const INNER: &str = concat!("#![", "allow(");
    let is_allowed = |line: &str| line.contains(OUTER) || line.contains(INNER);
    numbered(&file.text)
        .filter(|(_, line)| is_allowed(line))
        .map(|(number, _)| Complaint::at(&file.path, number, "use `#[expect(…, reason = \"…\")]`"))
        .collect()
}

fn edge_only(file: &File) -> Vec<Complaint> {
    if file.is_test() || file.is_example() || lies_in(file, &AT_THE_EDGE) {
        return Vec::new();
    }
    forbid(file, &EDGE_ONLY, "belongs to the binaries")
}

fn pure(file: &File) -> Vec<Complaint> {
    if file.is_test() || file.is_example() || !lies_in(file, &PURE) {
        return Vec::new();
    }
    forbid(file, &IMPURE, "does not belong into a pure crate")
}

fn forbid(file: &File, words: &[&str], why: &str) -> Vec<Complaint> {
    let find = |(number, line): (usize, &str)| {
        let line = HARMLESS.iter().fold(line.to_owned(), |line, harmless| line.replace(harmless, ""));
        let word = words.iter().find(|word| names(&line, word))?;
        Some(Complaint::at(&file.path, number, format!("`{word}` {why}")))
    };
    file.code_lines().filter_map(find).collect()
}

/// Whether the line holds the word, and not as the end of a longer one.
fn names(line: &str, word: &str) -> bool {
    let is_start = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| is_start(at))
}

fn lies_in(file: &File, folders: &[&str]) -> bool {
    folders.iter().any(|folder| file.path.starts_with(folder))
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, shown};
    use super::*;

    #[test]
    fn each_rule_complains_about_its_own_case() {
        let long = "//! Doc.\n".to_owned() + &"//\n".repeat(MAX_LINES);
        let long_tests = "//! Doc.\n#[cfg(test)]\n".to_owned() + &"//\n".repeat(MAX_LINES);
        let doc = |rest: &str| format!("//! Doc.\n{rest}\n");
        let page = |fence: &str| doc(&format!("//! {fence}\n//! let a = 1;\n//! ```"));
        let attribute = |open: &str| doc(&(open.to_owned() + "allow(dead_code)]"));
        let rows = [
            ("plain", "crates/oci/src/a.rs", doc("fn f() {}"), None),
            ("front page", "crates/oci/src/lib.rs", page("```"), None),
            ("front page without a network", "crates/oci/src/lib.rs", page("```no_run"), None),
            ("front page that shows nothing", "crates/oci/src/lib.rs", doc(""), Some("lib.rs:1: expected an example")),
            ("front page in prose", "crates/oci/src/lib.rs", page("```text"), Some("expected an example")),
            (
                "front page that nobody compiles",
                "crates/oci/src/lib.rs",
                page("```ignore"),
                Some("expected an example"),
            ),
            ("front page of tests", "testkit/src/lib.rs", doc(""), None),
            ("no comment", "crates/oci/tests/a.rs", "fn f() {}".into(), Some("a.rs:1: expected a module comment")),
            ("too long", "crates/oci/src/a.rs", long, Some("expected at most 600 lines, tests not counted, found 601")),
            ("long tests", "crates/oci/src/a.rs", long_tests, None),
            ("long example", "crates/oci/examples/a.rs", doc(&"//\n".repeat(60)), Some("at most 60 lines")),
            ("example", "crates/source/examples/a.rs", doc("use std::fs;\nfn main() { println!() }"), None),
            ("long main", "xtask/src/main.rs", doc(&"//\n".repeat(40)), Some("at most 40 lines")),
            ("mod.rs", "crates/oci/src/a/mod.rs", doc(""), Some("name the file after its module")),
            ("allow", "crates/oci/src/a.rs", attribute("#["), Some("a.rs:2: use `#[expect(")),
            ("allow in a crate", "crates/oci/tests/a.rs", attribute("#!["), Some("a.rs:2: use `#[expect(")),
            ("prints", "crates/oci/src/a.rs", doc("fn f() { println!() }"), Some("`println!` belongs")),
            ("prints an error", "crates/oci/src/a.rs", doc("fn f() { eprintln!() }"), Some("`eprintln!` belongs")),
            ("prints at the edge", "testkit/src/a.rs", doc("fn f() { println!() }"), None),
            ("prints in its test", "crates/oci/src/a.rs", doc("#[cfg(test)]\nfn f() { println!() }"), None),
            ("prints in an example", "crates/oci/src/a.rs", doc("/// println!()"), None),
            ("environment", "crates/fetch/src/a.rs", doc("use std::env;"), Some("`std::env` belongs")),
            ("constant", "crates/oci/src/a.rs", doc("std::env::consts::ARCH"), None),
            ("address", "crates/source/src/a.rs", doc("use std::net::IpAddr;"), None),
            ("exit", "crates/fetch/src/a.rs", doc("std::process::exit(1)"), Some("`process::exit` belongs")),
            ("file", "crates/config/src/a.rs", doc("use std::fs;"), Some("`std::fs` does not belong")),
            (
                "socket",
                "crates/source/src/a.rs",
                doc("use std::net::{IpAddr, UdpSocket};"),
                Some("`UdpSocket` does not belong"),
            ),
            ("file elsewhere", "crates/install/src/a.rs", doc("use std::fs::File;"), None),
        ];
        for (name, path, text, wanted) in rows {
            let found = shown(&check(&[file(path, &text)]));
            match wanted {
                None => assert!(found.is_empty(), "{name}: {found:?}"),
                Some(part) => assert!(found.len() == 1 && found[0].contains(part), "{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_word_inside_a_longer_one_is_no_word() {
        assert!(names("use clap::Parser;", "clap"));
        assert!(!names("thunderclap()", "clap"));
    }
}
