//! Entries for one plugin, as one.

use std::collections::HashMap;

use source::Source;

use super::file::PullPolicy;
use super::findings::{Finding, Findings};
use super::images::{Off, is_off};
use super::item::{Level, Sourced, Switch};
use super::note::Note;
use super::place::{Place, Written};
use crate::Fragment;

/// A plugin as all files together have it.
#[derive(Debug)]
pub(super) struct Merged {
    level: Level,
    /// Where the plugin was written last.
    pub(super) place: Place,
    pub(super) source: Written<Source>,
    pub(super) switch: Option<Switch>,
    pub(super) integrity: Option<Written<String>>,
    pub(super) pull_policy: Option<PullPolicy>,
    pub(super) is_forced: bool,
    pub(super) plugin_config: Option<Fragment>,
}

/// Merges entries: whatever the main file says replaces what was included, value for value.
pub(super) fn merge(items: Vec<Sourced>, off: &Off, findings: &mut Findings) -> Vec<Merged> {
    let mut merged: Vec<Merged> = Vec::new();
    let mut slots: HashMap<String, usize> = HashMap::new();
    for item in items {
        let is_silent = is_off(&item.source, off);
        let key = key(&item.source);
        let Some(&slot) = slots.get(&key) else {
            if !is_silent {
                findings.heading(&format!("Adding new dynamic plugin configuration for {}", versioned(&item.source)));
            }
            slots.insert(key, merged.len());
            merged.push(item.into());
            continue;
        };
        let earlier = &mut merged[slot];
        if earlier.level == item.level {
            let finding = duplicate(&item, &earlier.place);
            let switch = if is_silent { Some(Switch::Off) } else { item.entry.switch() };
            match item.source {
                // Of an image, one word against it is enough.
                Source::Oci(_) => {
                    findings.problem_unless_off(switch, finding);
                    earlier.switch = switch;
                }
                Source::Https(_) | Source::Npm(_) | Source::Git(_) | Source::Local(_) => findings.problem(finding),
            }
            continue;
        }
        if !is_silent {
            tell_override(&earlier.source.value, &item.source, findings);
        }
        earlier.replace(item);
    }
    merged
}

impl From<Sourced> for Merged {
    fn from(item: Sourced) -> Self {
        let switch = item.entry.switch();
        let Sourced { level, entry, source, .. } = item;
        Self {
            level,
            place: entry.place,
            source: Written { value: source, place: entry.package.place },
            switch,
            integrity: entry.integrity,
            pull_policy: entry.pull_policy.map(|written| written.value),
            is_forced: entry.force_download.is_some_and(|written| written.value),
            plugin_config: entry.plugin_config,
        }
    }
}

impl Merged {
    fn replace(&mut self, later: Sourced) {
        let is_forced = later.entry.force_download.as_ref().map_or(self.is_forced, |written| written.value);
        let later = Self::from(later);
        self.level = later.level;
        self.place = later.place;
        self.source = later.source;
        self.switch = later.switch.or(self.switch);
        self.integrity = later.integrity.or_else(|| self.integrity.take());
        self.pull_policy = later.pull_policy.or(self.pull_policy);
        self.is_forced = is_forced;
        self.plugin_config = later.plugin_config.or_else(|| self.plugin_config.take());
    }
}

/// What identifies a plugin, whatever its version.
fn key(source: &Source) -> String {
    match source {
        Source::Oci(reference) => match reference.plugin_path() {
            Some(path) => format!("{}:!{path}", reference.image()),
            None => reference.image(),
        },
        Source::Https(url) => url.with_query(),
        Source::Npm(spec) => spec.key(),
        Source::Git(spec) => spec.key(),
        Source::Local(path) => path.key(),
    }
}

/// The key, fit for logs, behind the version where there is one apart from it.
fn versioned(source: &Source) -> String {
    match source {
        Source::Oci(reference) => format!("version `{}` of {}", reference.version(), key(source)),
        Source::Https(url) => url.to_string(),
        Source::Npm(_) | Source::Git(_) | Source::Local(_) => key(source),
    }
}

fn tell_override(earlier: &Source, later: &Source, findings: &mut Findings) {
    let shown = if matches!(later, Source::Https(_)) { later.to_string() } else { key(later) };
    findings.heading(&format!("Overriding dynamic plugin configuration {shown}"));
    if let (Source::Oci(earlier), Source::Oci(later)) = (earlier, later)
        && earlier.version() != later.version()
    {
        let (from, to) = (earlier.version(), later.version());
        findings.notes.push(Note::plain(&format!("INFO: Overriding version for {shown} from `{from}` to `{to}`")));
    }
}

fn duplicate(item: &Sourced, earlier: &Place) -> Finding {
    Finding::new(
        &item.entry.package.place,
        format!("duplicate plugin configuration for `{}`, which stands at {earlier} already", item.asked),
        "keep one of the two entries",
    )
}
