//! A folder while it is being checked: bounded reads, links resolved in memory, findings so far.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};

use tarball::{Dir, Kind, Limits, Tree};

use crate::{CheckError, Finding, RULES, Rule};

/// Findings kept for each rule: enough to see the pattern, few enough for a terminal.
pub(crate) const FINDINGS: usize = 50;
/// Links followed before a chain counts as endless, as on Linux.
const HOPS: usize = 40;
/// Characters of a value that a message repeats.
const SHOWN: usize = 120;

/// What a plugin's folder has shown so far.
#[derive(Debug)]
pub(crate) struct Inspection<'d> {
    pub(crate) dir: &'d Dir,
    pub(crate) tree: Tree<'d>,
    pub(crate) limits: &'d Limits,
    /// Every symlink in the folder, by path, with its text.
    pub(crate) links: HashMap<String, String>,
    /// The scripts that are not in the plugin's `node_modules`, in order.
    pub(crate) scripts: Vec<String>,
    plugin: String,
    findings: Vec<Finding>,
}

/// What could be read under a path.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing, also because of a link that leads nowhere or out of the folder.
    Absent,
    /// Something else than a regular file.
    NotAFile,
    /// More bytes than were asked for.
    TooLarge,
    /// The whole file.
    Bytes(Vec<u8>),
}

/// Why a path leads to nothing inside the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// It is absolute, or has more `..` than folders before it.
    Leaves,
    /// It goes from link to link without end, or for longer than the installer would follow.
    Loops,
}

impl<'d> Inspection<'d> {
    pub(crate) fn new(plugin: &str, dir: &'d Dir, limits: &'d Limits) -> Self {
        Self {
            dir,
            tree: Tree::new(dir),
            limits,
            links: HashMap::new(),
            scripts: Vec::new(),
            plugin: plugin.to_owned(),
            findings: Vec::new(),
        }
    }

    /// Adds a finding about the plugin as a whole.
    pub(crate) fn report(&mut self, rule: &'static Rule, message: impl Into<String>) {
        self.add(rule, None, None, message.into());
    }

    /// Adds a finding about one file.
    pub(crate) fn report_at(&mut self, rule: &'static Rule, path: &str, message: impl Into<String>) {
        self.add(rule, Some(escaped(path)), None, message.into());
    }

    /// Adds a finding about one line of a file, where the line is known.
    pub(crate) fn report_line(
        &mut self,
        rule: &'static Rule,
        path: &str,
        line: Option<u32>,
        message: impl Into<String>,
    ) {
        self.add(rule, Some(escaped(path)), line, message.into());
    }

    fn add(&mut self, rule: &'static Rule, path: Option<String>, line: Option<u32>, message: String) {
        if self.findings.iter().filter(|finding| finding.rule.id == rule.id).count() < FINDINGS {
            self.findings.push(Finding { rule, plugin: self.plugin.clone(), path, line, message });
        }
    }

    pub(crate) fn has(&self, rule: &Rule) -> bool {
        self.findings.iter().any(|finding| finding.rule.id == rule.id)
    }

    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        let rank = |rule: &Rule| RULES.iter().position(|other| other.id == rule.id);
        self.findings.sort_by(|a, b| (rank(a.rule), &a.path, a.line).cmp(&(rank(b.rule), &b.path, b.line)));
        self.findings
    }

    /// Where `target` leads from the folder `from`.
    pub(crate) fn locate(&self, from: &str, target: &str) -> Result<String, Stray> {
        let mut steps = self.limits.symlink_steps;
        self.resolve(from, target, &mut steps)
    }

    /// Walks `target` from the folder `from` through the links that were found, without the file system and in at most
    /// so many steps.
    pub(crate) fn resolve(&self, from: &str, target: &str, steps: &mut u64) -> Result<String, Stray> {
        let mut at: Vec<&str> = from.split('/').filter(|name| !name.is_empty()).collect();
        let mut ahead: Vec<&str> = target.rsplit('/').collect();
        if target.starts_with('/') {
            return Err(Stray::Leaves);
        }
        let mut hops = 0;
        while let Some(name) = ahead.pop() {
            *steps = steps.checked_sub(1).ok_or(Stray::Loops)?;
            match name {
                "" | "." => continue,
                ".." => {
                    at.pop().ok_or(Stray::Leaves)?;
                    continue;
                }
                name => at.push(name),
            }
            // Most plugins have no link at all, and need no path joined for each component.
            let link = if self.links.is_empty() { None } else { self.links.get(&at.join("/")) };
            if let Some(text) = link {
                hops += 1;
                if hops > HOPS {
                    return Err(Stray::Loops);
                }
                if text.starts_with('/') {
                    return Err(Stray::Leaves);
                }
                at.pop();
                ahead.extend(text.rsplit('/'));
            }
        }
        Ok(at.join("/"))
    }

    /// What `path` stands for, links inside the folder followed.
    pub(crate) fn kind(&mut self, path: &str) -> Result<Option<Kind>, CheckError> {
        let Ok(path) = self.locate("", path) else { return Ok(None) };
        let Some((parent, name)) = path.rsplit_once('/').or((!path.is_empty()).then_some(("", &*path))) else {
            return Ok(Some(Kind::Directory));
        };
        let kind = self.tree.dir(parent).and_then(|dir| dir.kind(name));
        absent_is_none(kind).map(Option::flatten).map_err(|source| failed("look up", &path, source))
    }

    /// Opens the regular file at `path`, links inside the folder followed.
    pub(crate) fn open(&mut self, path: &str) -> Result<Option<File>, CheckError> {
        let Ok(path) = self.locate("", path) else { return Ok(None) };
        absent_is_none(self.tree.open_file(&path)).map_err(|source| failed("open", &path, source))
    }

    /// Reads the regular file at `path`, if it has at most `max` bytes.
    pub(crate) fn read(&mut self, path: &str, max: u64) -> Result<Content, CheckError> {
        match self.kind(path)? {
            None => return Ok(Content::Absent),
            Some(Kind::File) => {}
            Some(Kind::Directory | Kind::Symlink | Kind::Special) => return Ok(Content::NotAFile),
        }
        let Some(file) = self.open(path)? else { return Ok(Content::Absent) };
        let mut bytes = Vec::new();
        file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| failed("read", path, source))?;
        Ok(if bytes.len() as u64 > max { Content::TooLarge } else { Content::Bytes(bytes) })
    }
}

/// An error of the file system, with what was attempted.
pub(crate) fn failed(doing: &'static str, path: &str, source: io::Error) -> CheckError {
    CheckError::Io { doing, path: escaped(path), source }
}

/// A value from outside, escaped, cut and between backticks.
pub(crate) fn quoted(value: &str) -> String {
    let mut shown = printable(value);
    let head: String = shown.by_ref().take(SHOWN).collect();
    format!("`{head}{}`", if shown.next().is_some() { "…" } else { "" })
}

/// The line of a byte offset, counted from 1.
pub(crate) fn line_at(text: &str, offset: usize) -> Option<u32> {
    let before = text.as_bytes().get(..offset)?;
    u32::try_from(before.split(|byte| *byte == b'\n').count()).ok()
}

/// What follows the last dot of a file name; the whole path where there is none.
pub(crate) fn extension(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The bytes as text, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// A path whole, with everything unprintable escaped.
fn escaped(path: &str) -> String {
    printable(path).collect()
}

/// The text with everything unprintable escaped, and quotes as they are.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|char| {
        let quote = matches!(char, '\'' | '"');
        quote.then_some(char).into_iter().chain((!quote).then(|| char.escape_debug()).into_iter().flatten())
    })
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename => Ok(None),
            _ => Err(error),
        },
    }
}
