//! What is wrong with a file, for those who have to mend it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use integrity::Blame;

use crate::excerpt::{Excerpt, clean, lines};
use crate::node::{Position, Span};

/// Problems that are shown one by one; the rest is counted.
pub const MAX_PROBLEMS: usize = 50;

/// Everything that is wrong with a file, in the file's order; at least one problem.
#[derive(Debug, Clone)]
pub struct Problems {
    shown: Vec<Problem>,
    more: usize,
    warnings: Vec<Warning>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Problem {
    /// The file, where several are read.
    pub file: Option<Arc<str>>,
    /// Where it is.
    pub position: Position,
    /// How many characters it spans, within its line.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    excerpt: Option<Excerpt>,
}

/// Something in a file that is read otherwise than it is written, or not at all.
#[derive(Debug, Clone)]
pub struct Warning(Problem);

impl Problems {
    pub(crate) fn of(mut faults: Vec<Fault>, text: &str) -> Self {
        faults.sort_by_key(|fault| fault.span.position);
        let more = faults.len().saturating_sub(MAX_PROBLEMS);
        faults.truncate(MAX_PROBLEMS);
        let shown = faults.into_iter().map(|fault| fault.shown(text)).collect();
        Self { shown, more, warnings: Vec::new() }
    }

    /// Keeps the first problems and counts the rest, which is not even made.
    pub(crate) fn gathered(mut problems: impl ExactSizeIterator<Item = Problem>) -> Option<Self> {
        let shown: Vec<_> = problems.by_ref().take(MAX_PROBLEMS).collect();
        let more = problems.len();
        if shown.is_empty() { None } else { Some(Self { shown, more, warnings: Vec::new() }) }
    }

    pub(crate) fn in_file(mut self, name: &Arc<str>) -> Self {
        self.shown = self.shown.into_iter().map(|problem| problem.in_file(name)).collect();
        self
    }

    /// Adds the problems of another file.
    pub fn join(&mut self, others: Self) {
        self.shown.extend(others.shown);
        self.more += others.more + self.shown.len().saturating_sub(MAX_PROBLEMS);
        self.shown.truncate(MAX_PROBLEMS);
    }

    /// The first [`MAX_PROBLEMS`] problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.shown.iter()
    }

    pub(crate) fn beside(self, warnings: Vec<Warning>) -> Self {
        Self { warnings, ..self }
    }

    /// What is to be known besides, as far as the files could be read.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many problems there are, those not kept included.
    pub const fn count(&self) -> usize {
        self.shown.len() + self.more
    }

    /// The problems as a person reads them: message, place, source line, hint. A problem that knows its file is shown
    /// there, any other one in `file`.
    pub fn render(&self, file: &str) -> String {
        let mut page = String::new();
        for problem in &self.shown {
            problem.render_into("error", file, &mut page);
        }
        if self.more > 0 {
            line(&mut page, format_args!("error: and {} more problems", self.more));
        }
        page
    }

    /// The first problem and how many follow, on one line.
    pub fn summary(&self) -> String {
        let Some(first) = self.shown.first() else { return String::new() };
        let Position { line, column } = first.position;
        let summary = match &first.file {
            Some(file) => format!("line {line}, column {column} of `{}`: {}", clean(file), first.message),
            None => format!("line {line}, column {column}: {}", first.message),
        };
        match self.count() - 1 {
            0 => summary,
            1 => format!("{summary}; and 1 more problem"),
            more => format!("{summary}; and {more} more problems"),
        }
    }

    /// What to do about the first problem.
    pub fn hint(&self) -> Option<&str> {
        self.shown.first().and_then(|problem| problem.hint.as_deref())
    }

    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "config_invalid"
    }

    /// Whose move it is: the file is the operator's.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { shown: vec![problem], more: 0, warnings: Vec::new() }
    }
}

impl Problem {
    /// What is marked and the key before it, without what may be secret; `None` where it cannot be shown.
    pub fn source_line(&self) -> Option<&str> {
        self.excerpt.as_ref().map(|excerpt| excerpt.text.as_str())
    }

    /// The problem as a person reads it: message, place, source line, hint, and an empty line. It is shown in its own
    /// file, if it knows that one.
    pub fn render(&self, file: &str) -> String {
        let mut page = String::new();
        self.render_into("error", file, &mut page);
        page
    }

    pub(crate) fn in_file(self, name: &Arc<str>) -> Self {
        Self { file: Some(Arc::clone(name)), ..self }
    }

    pub(crate) fn at(span: Span, message: String, hint: Option<String>, file: &[u8]) -> Self {
        let text = String::from_utf8_lossy(file);
        let fault = Fault::new(span, message);
        match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
        .shown(text.strip_prefix('\u{feff}').unwrap_or(&text))
    }

    fn render_into(&self, level: &str, file: &str, page: &mut String) {
        line(page, format_args!("{level}: {}", self.message));
        let file = clean(self.file.as_deref().unwrap_or(file));
        let number = self.position.line.to_string();
        let gutter = " ".repeat(number.len());
        line(page, format_args!("{gutter}--> {file}:{}", self.position));
        if let Some(Excerpt { text, before, marked }) = &self.excerpt {
            line(page, format_args!("{gutter} |"));
            line(page, format_args!("{number} | {text}"));
            line(page, format_args!("{gutter} | {}{}", " ".repeat(*before), "^".repeat(*marked)));
        }
        if let Some(hint) = &self.hint {
            line(page, format_args!("help: {hint}"));
        }
        page.push('\n');
    }
}

impl Warning {
    pub(crate) const fn new(problem: Problem) -> Self {
        Self(problem)
    }

    /// The warnings about a file, in its order; the last one of very many counts those that are not kept.
    pub(crate) fn of(mut faults: Vec<Fault>, text: &str, name: &Arc<str>) -> Vec<Self> {
        faults.sort_by_key(|fault| fault.span.position);
        let more = faults.len().saturating_sub(MAX_PROBLEMS);
        if more > 0 {
            let rest = Fault::new(faults[MAX_PROBLEMS].span.start(), format!("and {more} more warnings from here on"));
            faults.truncate(MAX_PROBLEMS);
            faults.push(rest.hidden());
        }
        faults.into_iter().map(|fault| Self(fault.shown(text).in_file(name))).collect()
    }

    /// What it is about: place, message and hint.
    pub const fn as_problem(&self) -> &Problem {
        &self.0
    }

    /// The warning as a person reads it: message, place, source line, hint, and an empty line.
    pub fn render(&self) -> String {
        let mut page = String::new();
        self.0.render_into("warning", "", &mut page);
        page
    }
}

fn line(page: &mut String, text: fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes all text");
}

/// A problem that does not know the source text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    message: String,
    hint: Option<String>,
    hidden: bool,
}

impl Fault {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None, hidden: false }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Keeps what is marked out of the excerpt: it may be a secret.
    pub(crate) fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Takes out what is said of the same place again: the content of an anchor is read once for each alias.
    pub(crate) fn once(faults: &mut Vec<Self>) {
        faults.sort_by(|a, b| (a.span.position, &a.message).cmp(&(b.span.position, &b.message)));
        faults.dedup();
    }

    pub(crate) fn shown(self, text: &str) -> Problem {
        let Self { span, message, hint, hidden } = self;
        let length = span.end.saturating_sub(span.start);
        let line = lines(text).nth((span.position.line as usize).saturating_sub(1));
        let found = line.map(|line| Excerpt::of(line, span.position.column, length, hidden));
        let (length, excerpt) = match found {
            Some((length, excerpt)) => (length, excerpt),
            None => (1, None),
        };
        Problem {
            file: None,
            position: span.position,
            length,
            message: clean(&message),
            hint: hint.map(|hint| clean(&hint)),
            excerpt,
        }
    }
}
