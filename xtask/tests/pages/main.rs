//! Every command that a page shows is run as it stands there, and prints what stands below it.
//!
//! What a page has to do so that its commands can be run:
//!
//! - A block of the language `console` is run line by line: `$ ` starts a command, `> ` right below continues it, and
//!   everything else is what it prints; nothing below a command means that its output may be anything. `…` stands for
//!   any characters of a line, a line of `…` alone for any lines, and times are equal to each other.
//! - All commands of a page run in one shell, one after the other, in a folder of their own ([`desk`]). Each has to
//!   succeed, unless `<!-- ends with 1 -->` stands above the block: the status of its last command.
//! - A block in another language whose first line is `# NAME` with a file's name is written to that file. One that
//!   begins with `dynamicPlugins:` is `values.yaml`, one with a key of a list is `dynamic-plugins.yaml`. Lists are
//!   checked, below `<!-- rhdh -->` in that dialect.
//! - Commands in a block of another language, `sh` for one, are a fault.
//! - `<!-- not run: REASON -->` above a block excepts it. Those are counted below, so that none is added unseen.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

mod desk;
mod page;
mod session;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use desk::Desk;
use page::Page;

/// Blocks that are not run: page, and the first command.
const NOT_RUN: [(&str, &str); 4] = [
    (
        "docs/guides/credentials.md",
        "aws ecr get-login-password | butler-plugin-publisher login 123456789012.dkr.ecr.eu-west-1.amazonaws.com --username AWS --password-stdin",
    ),
    ("docs/guides/release.md", "sha256sum --check --ignore-missing SHA256SUMS"),
    (
        "docs/guides/release.md",
        "skopeo inspect --format '{{.Digest}}' docker://registry.example.com/my-org/butler-portal-plugin-installer:0.1.0",
    ),
    ("docs/guides/release.md", "cargo xtask dist"),
];
/// Pages that are worked on at once.
const WORKERS: usize = 2;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The front page, and every page of the documents on which there is something to do.
fn pages() -> Vec<Page> {
    let mut pages = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(workspace().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if Path::new(&path).extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    let read = |path: String| Page::parse(&path, &fs::read_to_string(workspace().join(&path)).unwrap());
    pages.into_iter().map(read).filter(Page::asks).collect()
}

#[test]
fn every_command_of_every_page_does_what_the_page_says() {
    let pages = pages();
    for known in ["README.md", "docs/guides/publish.md", "docs/quickstart.md"] {
        assert!(pages.iter().any(|page| page.path == known), "`{known}` has no commands");
    }
    let (left, complaints) = (Mutex::new(pages.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(page) = next() {
                    let found = session::run(page, &Desk::new());
                    complaints.lock().unwrap().extend(found);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n\n"));
}

#[test]
fn what_is_not_run_is_known() {
    let pages = pages();
    let excepted: Vec<_> = pages.iter().flat_map(Page::not_run).collect();
    assert_eq!(excepted, NOT_RUN, "blocks that are not run");
}

/// A page that says what is not so fails, and its complaint names the line.
#[test]
fn stale_pages_are_found() {
    let rows = [
        ("a flag that is gone", "```console\n$ butler-plugin-installer check --gone values.yaml\n```", "made.md:2: "),
        ("a command that is gone", "```console\n$ butler-plugin-publisher publish\n```", "made.md:2: "),
        ("a program that is not there", "```console\n$ no-such-program\n```", "ended with 127"),
        ("other output", "```console\n$ echo one\ntwo\n```", "printed\none\n"),
        ("output that is too short", "```console\n$ echo one\none\ntwo\n```", "printed\none\n"),
        ("another status", "<!-- ends with 3 -->\n```console\n$ true\n```", "expected it to end with 3"),
        ("a task that is gone", "```console\n$ cargo xtask no-such-task\n```", "ended with 2"),
        ("a flag of a task that is gone", "```console\n$ cargo xtask docs --gone\n```", "ended with 2"),
        ("a package that is gone", "```console\n$ cargo build --package no-such-package\n```", "ended with 1"),
        (
            "a list of another form",
            "```yaml\ndynamicPlugins:\n  plugin: []\n```\n```console\n$ true\n```",
            "made.md:1: ",
        ),
        (
            "an rhdh list",
            "<!-- rhdh -->\n```yaml\nplugins: [{ package: 'npm:' }]\n```\n```console\n$ true\n```",
            "made.md:2: ",
        ),
        ("a verb of kubectl that is none", "```console\n$ kubectl aply -f x\n```", "ended with 1"),
        ("a shell's syntax", "```console\n$ echo one\n$ if\n```", "made.md:3: "),
        ("commands that escape", "```sh\necho one\n```\n```console\n$ true\n```", "made.md:1: "),
        ("half a block", "```console\n$ true", "has no end"),
    ];
    for (name, text, complaint) in rows {
        let found = session::run(&Page::parse("made.md", text), &Desk::new());
        assert!(found.iter().any(|found| found.contains(complaint)), "{name}: {found:?}");
    }
}

#[test]
fn good_pages_are_no_complaint() {
    let rows = [
        ("wildcards", "```console\n$ printf 'a1b\\nx\\ny\\nend\\n'\na…b\n…\nend\n```"),
        ("times", "```console\n$ echo at 2026-01-02T03:04:05Z\nat 2020-10-10T10:10:10Z\n```"),
        ("a command on two lines", "```console\n$ cat <<END\n> hello\n> END\nhello\n```"),
        (
            "one shell for all",
            "```console\n$ cd /; X=1\n```\n- in a list:\n\n  ```console\n  $ echo $PWD$X\n  /1\n  ```",
        ),
        ("a status", "<!-- ends with 1 -->\n\n```console\n$ true\n$ false\n```"),
        ("a file", "```ini\n# some.conf\nkey=value\n```\n```console\n$ tail -n 1 some.conf\nkey=value\n```"),
        ("an exception", "<!-- not run: made up -->\n```console\n$ no-such-program\n```"),
    ];
    for (name, text) in rows {
        let found = session::run(&Page::parse("made.md", text), &Desk::new());
        assert!(found.is_empty(), "{name}: {found:?}");
    }
    let excepted = Page::parse("made.md", rows.last().unwrap().1);
    assert_eq!(excepted.not_run().collect::<Vec<_>>(), [("made.md", "no-such-program")]);
}
