//! What planning finds out, beside the plan.

use super::item::{Item, Switch};
use super::note::Note;
use super::place::Place;
use crate::{MAX_PROBLEMS, Problems, Warning};

/// Problems, warnings and notes, in the order they are found.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    problems: Vec<Finding>,
    warnings: Vec<Finding>,
    pub(super) notes: Vec<Note>,
}

/// What is wrong, or to be known; it is shown with its line only when it is among the first.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn new(place: &Place, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), hint: Some(hint.into()) }
    }
}

impl Findings {
    pub(super) fn problem(&mut self, finding: Finding) {
        self.problems.push(finding);
    }

    /// Whether nothing is wrong so far.
    pub(super) const fn are_harmless(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn warning(&mut self, finding: Finding) {
        self.warnings.push(finding);
    }

    /// A problem of what is to be installed is worth no more than a warning where nothing is.
    pub(super) fn problem_unless_off(&mut self, switch: Option<Switch>, finding: Finding) {
        match switch {
            Some(Switch::Off) => self.warning(finding),
            Some(Switch::On) | None => self.problem(finding),
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.notes.push(Note::heading(text));
    }

    /// The deprecation of `disabled`, with what to write instead.
    pub(super) fn deprecated(&mut self, item: &Item) {
        if let Some(disabled) = &item.entry.disabled {
            let (found, instead) = (disabled.value, !disabled.value);
            self.notes.push(Note::plain(&format!(
                "WARNING: `disabled` is deprecated: write `enabled: {instead}` in place of `disabled: {found}` for {} ({})",
                item.asked, disabled.place
            )));
        }
    }

    /// Warnings, notes, and the problems with those that were `read`, where there are any.
    pub(super) fn settle(mut self, read: Option<Problems>) -> (Vec<Warning>, Vec<Note>, Option<Problems>) {
        for findings in [&mut self.problems, &mut self.warnings] {
            findings.sort_by(|a, b| a.place.order(&b.place));
        }
        let shown = self.problems.iter().map(|finding| finding.place.problem(&*finding.message, finding.hint.clone()));
        let problems = match (read, Problems::gathered(shown)) {
            (Some(mut problems), Some(others)) => {
                problems.join(others);
                Some(problems)
            }
            (read, others) => read.or(others),
        };
        (Self::shown(&self.warnings), self.notes, problems)
    }

    fn shown(warnings: &[Finding]) -> Vec<Warning> {
        let (shown, rest) = warnings.split_at(warnings.len().min(MAX_PROBLEMS));
        let more = rest.first().map(|first| first.place.warning(format!("and {} more warnings", rest.len()), None));
        shown.iter().map(|finding| finding.place.warning(&*finding.message, finding.hint.clone())).chain(more).collect()
    }
}
