//! An entry on its way into the plan.

use source::Source;

use super::asked::Asked;
use super::file::RawEntry;
use super::findings::{Finding, Findings};

/// Which files an entry stands in; the later one replaces what the earlier ones say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Level {
    /// The included files, all of them together.
    Included,
    /// The main file.
    Main,
}

/// Whether a plugin is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
}

/// An entry whose `package` is understood.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) level: Level,
    pub(super) entry: RawEntry,
    pub(super) asked: Asked,
}

/// An entry whose `package` is written out.
#[derive(Debug)]
pub(super) struct Sourced {
    pub(super) level: Level,
    pub(super) entry: RawEntry,
    pub(super) source: Source,
    /// What the file says of it.
    pub(super) asked: Asked,
    /// It means every plugin of its image, since it takes over what was included.
    pub(super) means_all: bool,
}

impl Item {
    /// Understands an entry, or says what is wrong with it.
    pub(super) fn of(level: Level, entry: RawEntry, findings: &mut Findings) -> Option<Self> {
        match Asked::parse(&entry.package.value) {
            Ok(asked) => Some(Self { level, entry, asked }),
            Err(error) => {
                let place = entry.package.place.clone();
                let finding = Finding { place, message: error.to_string(), hint: error.hint() };
                findings.problem_unless_off(entry.switch(), finding);
                None
            }
        }
    }

    /// Whether the entry itself switches its plugin off.
    pub(super) fn is_off(&self) -> bool {
        self.entry.switch() == Some(Switch::Off)
    }
}

impl RawEntry {
    /// What the entry itself says; `enabled` counts where both are written.
    pub(super) fn switch(&self) -> Option<Switch> {
        let is_on = self.enabled.as_ref().map(|enabled| enabled.value);
        let is_on = is_on.or_else(|| self.disabled.as_ref().map(|disabled| !disabled.value))?;
        Some(if is_on { Switch::On } else { Switch::Off })
    }
}
