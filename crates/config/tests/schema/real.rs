//! Files that people have, and what people do to them.

use std::fs;
use std::ops::Range;
use std::path::Path;

use config::Dialect;

use crate::{Case, judge, read};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
/// What a list that names it is made for.
const DEFAULT: &str = "real-configs/rhdh/dynamic-plugins.default.yaml";
/// It needs a later default list than ours.
const UNRESOLVED: &str = "real-configs/rhdh/rhdh-local.yaml";

/// How a file is broken: at the first line that has a text.
#[derive(Clone, Copy)]
enum Edit {
    /// The text becomes another one.
    Replace(&'static str, &'static str),
    /// The line is there twice.
    Double(&'static str),
    /// The line is gone, and its entry is at fault.
    Remove(&'static str),
}

use Edit::{Double, Remove, Replace};

/// What somebody did, how, what is said of it in that line, and whether the schema sees it, too.
type Row = (&'static str, Edit, &'static str, bool);

const BUTLER: &[Row] = &[
    ("typo in the key of a plugin", Replace("package: ", "packge: "), "unknown key `packge`", true),
    ("typo in the key that pins", Replace("integrity: ", "integrty: "), "unknown key `integrty`", true),
    ("typo in the key that allows", Replace("allowedSources:", "allowedSource:"), "unknown key `allowedSource`", true),
    ("typo in the key of the list", Replace("plugins:", "plugin:"), "unknown key `plugin`", true),
    ("no integrity", Remove("integrity: "), "expected `integrity` in the entry, found none", true),
    ("integrity as hex", Replace("integrity: sha512-", "integrity: sha512:"), "integrity must be `sha512-` and", true),
    ("weaker integrity", Replace("integrity: sha512-", "integrity: sha256-"), "integrity must use `sha512`", true),
    ("integrity cut off", Replace("==", ""), "integrity must be `sha512-` and", true),
    ("no version", Replace(":hello-dynamic-0.5.1", ""), "package `oci://", true),
    ("http", Replace("package: oci://", "package: http://"), "package must start with `oci://`", true),
    ("no scheme", Replace("package: oci://", "package: "), "package must start with `oci://`", true),
    ("prefix without scheme", Replace("- oci://ghcr.io/", "- ghcr.io/"), "`ghcr.io/", true),
    ("prefix with wildcard", Replace("- oci://ghcr.io/", "- oci://*.io/"), "`oci://*.io/", true),
    (
        "source not allowed",
        Replace("package: oci://ghcr.io/", "package: oci://ghcr.example.com/"),
        "source `oci",
        false,
    ),
    (
        "allowed list lost",
        Replace("allowedSources: []", "allowedSources:"),
        "expected a list for `allowedSources`",
        true,
    ),
    ("word for a boolean", Replace("continueOnError: false", "continueOnError: no"), "expected a boolean", true),
    ("quoted boolean", Replace("enabled: true", "enabled: 'true'"), "expected a boolean for `enabled`", true),
    ("number for a tag", Replace("tag: \"0.1.0\"", "tag: 0.1"), "expected a string for `tag`", true),
    ("text for a list", Replace("plugins: []", "plugins: oci://x"), "expected a list for `plugins`", true),
    ("key twice", Double("integrity: "), "duplicate key `integrity`", true),
    ("list twice", Double("allowedSources: []"), "duplicate key `allowedSources`", true),
    ("tab", Replace("  plugins:", "\tplugins:"), "not valid YAML: ", true),
    ("anchor", Replace("allowedSources: []", "x-a: [&a 1, *a]"), "YAML aliases are not supported", false),
    ("text behind a quote", Replace("integrity: ", "integrity: \"x\" "), "not valid YAML: ", true),
];

const RHDH: &[Row] = &[
    ("typo in the key of a plugin", Replace("package: ", "packge: "), "expected `package` in the entry", true),
    ("typo in the key that disables", Replace("disabled: ", "disabld: "), "unknown key `disabld`", false),
    ("verb for a switch", Replace("enabled: true", "enable: true"), "unknown key `enable`", true),
    ("misspelt integrity", Replace("integrity: ", "integrety: "), "unknown key `integrety`", false),
    ("no integrity", Remove("integrity: "), "expected `integrity` for", false),
    ("integrity as hex", Replace("integrity: sha512-", "integrity: sha512:"), "integrity", true),
    ("no boolean", Replace("disabled: false", "disabled: maybe"), "expected a boolean for `disabled`", true),
    ("number for a boolean", Replace("enabled: true", "enabled: 1"), "expected a boolean for `enabled`", true),
    ("path from above", Replace("package: ./", "package: ../"), "package `../", true),
    ("absolute path", Replace("package: ./", "package: /opt/"), "package `/opt/", true),
    ("no version", Replace(":{{inherit}}", ""), "package `oci://", true),
    ("another scheme", Replace("package: oci://", "package: docker://"), "package `docker://", true),
    ("plain http", Replace("package: ./", "package: http://a.example.com/"), "package `http://", true),
    ("key twice", Double("disabled: "), "duplicate key `disabled`", true),
    ("list twice", Double("plugins: []"), "duplicate key `plugins`", true),
    ("text for a list", Replace("plugins: []", "plugins: ./a"), "expected a list for `plugins`", true),
    ("text for a fragment", Replace("enabled: true", "pluginConfig: x"), "expected a mapping", true),
    ("tab", Replace("  - package", "\t- package"), "not valid YAML", true),
    ("tag", Replace("disabled: ", "disabled: !env "), "a YAML tag does not fit here", true),
    ("anchor that is not there", Replace("disabled: ", "disabled: *off "), "not valid YAML", true),
];

impl Edit {
    /// The broken file, and the line where it is broken. Nothing where the file has no such text.
    fn apply(self, text: &str) -> Option<(String, usize)> {
        let (Replace(sought, _) | Double(sought) | Remove(sought)) = self;
        let block = block(text);
        let at = text.lines().enumerate().position(|(at, line)| block.contains(&at) && line.contains(sought))?;
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let line = match self {
            Replace(from, to) => {
                lines[at] = lines[at].replacen(from, to, 1);
                at + 1
            }
            Double(_) => {
                lines.insert(at, lines[at].clone());
                at + 2
            }
            Remove(_) => {
                lines.remove(at);
                lines[..at].iter().rposition(|line| line.contains("package: "))? + 1
            }
        };
        Some((lines.join("\n") + "\n", line))
    }
}

/// The lines of a file that are the installer's: all of them, or those below `global.dynamic`.
fn block(text: &str) -> Range<usize> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let Some(start) = text.lines().position(|line| line == "  dynamic:") else { return 0..usize::MAX };
    let end = text.lines().skip(start + 1).position(|line| depth(line) <= 2);
    start..end.map_or(usize::MAX, |end| start + 1 + end)
}

fn files(folder: &str, dialect: Dialect) -> Vec<Case> {
    let mut paths: Vec<_> =
        fs::read_dir(Path::new(FIXTURES).join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.strip_prefix(FIXTURES).unwrap().display().to_string();
    paths.iter().map(|path| Case::new(&name(path), dialect, fs::read_to_string(path).unwrap())).collect()
}

fn all() -> Vec<Case> {
    let mut files = [files("real-configs/butler", Dialect::Butler), files("real-configs/rhdh", Dialect::Rhdh)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    files.retain(|file| file.name != UNRESOLVED);
    assert!(files.len() >= 17, "{}", files.len());
    files
}

fn default_list() -> Vec<u8> {
    fs::read(Path::new(FIXTURES).join(DEFAULT)).unwrap()
}

#[test]
fn real_files_are_right() {
    let (files, default) = (all(), default_list());
    for (file, answer) in files.iter().zip(judge(&files)) {
        assert_eq!(answer, None, "{}", file.name);
        assert_eq!(read(file.dialect, &file.text, Some(&default)), Ok(()), "{}", file.name);
    }
}

#[test]
fn broken_ones_are_told_with_their_line() {
    let (files, default) = (all(), default_list());
    for (dialect, rows) in [(Dialect::Butler, BUTLER), (Dialect::Rhdh, RHDH)] {
        let mut broken = Vec::new();
        for row in rows {
            let of_dialect = files.iter().filter(|file| file.dialect == dialect);
            let before = broken.len();
            broken.extend(of_dialect.filter_map(|file| {
                let (text, line) = row.1.apply(&file.text)?;
                Some((row, line, Case::new(&format!("{} in {}", row.0, file.name), dialect, text)))
            }));
            assert!(broken.len() > before, "no file has what `{}` breaks", row.0);
        }
        let (told, cases): (Vec<_>, Vec<_>) = broken.into_iter().map(|(row, line, case)| ((row, line), case)).unzip();
        for ((((_, _, said, is_known), line), case), answer) in told.iter().zip(&cases).zip(judge(&cases)) {
            let problems = read(dialect, &case.text, Some(&default)).expect_err(&case.name);
            let is_told = problems.iter().any(|(at, message)| *at as usize == *line && message.starts_with(said));
            assert!(is_told, "{}: line {line}: {problems:?}", case.name);
            assert_eq!(answer.is_some(), *is_known, "{}: {answer:?}", case.name);
        }
    }
}

#[test]
fn reference_that_the_default_list_cannot_resolve_is_told() {
    let text = fs::read_to_string(Path::new(FIXTURES).join(UNRESOLVED)).unwrap();
    let problems = read(Dialect::Rhdh, &text, Some(&default_list())).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [23, 25], "{problems:?}");
}
