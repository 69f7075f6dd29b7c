//! The documents as a site, by mdBook: the pages that `docs/SUMMARY.md` lists, the README as the first of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::command::{self, cargo};
use crate::links::{is_local, prose, resolve, targets};
use crate::workspace;

const SUMMARY: &str = "docs/SUMMARY.md";
const MDBOOK: &str = "mdbook@0.5.4";
/// Where a reader of the site finds what is no page of it.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/HEAD/");

/// Builds the site into `target/book`. A warning of mdBook or a link that leads nowhere is a failure.
pub(crate) fn build() -> anyhow::Result<()> {
    if !command::is_installed("mdbook") {
        println!("mdbook is missing: installing it takes about two minutes");
        command::run(&mut cargo(&["install", MDBOOK, "--locked", "--no-default-features", "--features", "search"]))?;
    }
    let (sources, book) = (workspace::target()?.join("site"), workspace::target()?.join("book"));
    for folder in [&sources, &book] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
        }
    }
    stage(&sources)?;
    let mut mdbook = command::program("mdbook", &["build", "--dest-dir"]);
    let run = mdbook.arg(&book).arg(&sources).output().context("could not start `mdbook`")?;
    let said = String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.success() && !["WARN", "ERROR"].iter().any(|word| said.contains(word)), "mdbook:\n{said}");
    let dead = dead_links(&book)?;
    ensure!(dead.is_empty(), "dead links in the site:\n{}", dead.join("\n"));
    println!("the site: {}", book.join("index.html").display());
    Ok(())
}

/// Copies the pages to where they are built. They lie there as they lie here, so that links between them hold; what
/// else they link to is in the repository.
fn stage(folder: &Path) -> anyhow::Result<()> {
    let read = |path: &str| {
        fs::read_to_string(workspace::root().join(path)).with_context(|| format!("could not read `{path}`"))
    };
    let summary = read(SUMMARY)?;
    let pages: BTreeSet<_> = summary.lines().flat_map(targets).map(|target| resolve(SUMMARY, target)).collect();
    let mut files = BTreeMap::from([(
        "src/SUMMARY.md".to_owned(),
        relocated(&summary, |target| in_book(&resolve(SUMMARY, target))),
    )]);
    for page in &pages {
        let text = relocated(&read(page)?, |target| {
            let (path, heading) = target.split_at(target.find('#').unwrap_or(target.len()));
            let path = resolve(page, path);
            if pages.contains(&path) || is_picture(&path) {
                in_book(target)
            } else {
                format!("{REPOSITORY}{path}{heading}")
            }
        });
        for picture in prose(&text).flat_map(|(_, line)| targets(line)).filter(|target| is_picture(target)) {
            let picture = resolve(page, picture);
            files.insert(format!("src/{picture}"), read(&picture)?);
        }
        files.insert(format!("src/{}", in_book(page)), text);
    }
    files.insert("book.toml".to_owned(), read("docs/book.toml")?);
    for (name, text) in files {
        let path = folder.join(name);
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    Ok(())
}

/// mdBook makes `index.html` of a `README.md`, and does not tell the links to it.
fn in_book(path: &str) -> String {
    path.replace("README.md", "index.md")
}

/// The text with other targets in the links to files.
fn relocated(text: &str, place: impl Fn(&str) -> String) -> String {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for (number, line) in prose(text) {
        for target in targets(line).filter(|target| is_local(target)) {
            lines[number - 1] = lines[number - 1].replace(&format!("]({target}"), &format!("]({}", place(target)));
        }
    }
    lines.join("\n") + "\n"
}

fn is_picture(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "svg")
}

/// Links between the pages of a built site that lead to no page, or to no heading of it.
fn dead_links(book: &Path) -> anyhow::Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(book.join(&folder)).context("could not list the site")? {
            let entry = entry.context("could not list the site")?;
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
                continue;
            }
            let text = if path.extension().is_some_and(|extension| extension == "html") {
                fs::read_to_string(entry.path()).with_context(|| format!("could not read `{}`", path.display()))?
            } else {
                String::new()
            };
            pages.insert(path.display().to_string(), text);
        }
    }
    let Some(_) = pages.get("index.html") else { bail!("the site has no first page") };
    let mut dead = Vec::new();
    for (page, text) in &pages {
        // The page for what is not found has absolute links.
        for target in
            text.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next()).filter(|_| page != "404.html")
        {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { page.clone() } else { resolve(page, path) };
            let leads =
                pages.get(&path).is_some_and(|text| heading.is_empty() || text.contains(&format!("id=\"{heading}\"")));
            if (is_local(target) || target.starts_with('#')) && !leads {
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    Ok(dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_relocated_and_code_is_left_alone() {
        let text = "[a](b.md) and [c](https://example.com) [d](#here)\n```text\n[a](b.md)\n```\n";
        assert_eq!(
            relocated(text, |target| format!("x/{target}")),
            "[a](x/b.md) and [c](https://example.com) [d](#here)\n```text\n[a](b.md)\n```\n"
        );
    }

    #[test]
    fn a_dead_link_in_the_site_is_found() {
        let book = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(book.path().join(name), text).unwrap();
        write(
            "index.html",
            "<a href=\"a.html#one\"> <a href=\"a.html#two\"> <a href=\"b.html\"> <a href=\"https://x.y\">",
        );
        write("a.html", "<h1 id=\"one\"> <a href=\"#one\"> <a href=\"#two\">");
        assert_eq!(dead_links(book.path()).unwrap(), ["a.html: #two", "index.html: a.html#two", "index.html: b.html"]);
    }
}
