//! `ref://name` and `{{inherit}}`: entries of the main file that take over what was included.
//!
//! Both go by the last component of an image; registry and namespace are those of the included plugin, so that a list
//! that was mirrored needs no change in the main file.

use std::collections::HashMap;

use source::{OciReference, PluginPath, Source};

use super::asked::Asked;
use super::findings::{Finding, Findings};
use super::item::{Item, Level, Sourced, Switch};
use super::place::Place;

/// Plugins that a message names.
const MAX_NAMED: usize = 6;

/// Whether what was included is known as a whole; else nothing is said of what is missing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Included {
    Whole,
    InPart,
}

/// Writes out what every entry asks for; those for which that fails are left out.
pub(super) fn resolve(items: Vec<Item>, included: Included, findings: &mut Findings) -> Vec<Sourced> {
    check_names(&items, findings);
    let catalogue = Catalogue::of(&items);
    let resolved: Vec<_> = items.iter().map(|item| catalogue.resolve(item, included, findings)).collect();
    let sourced = |(item, resolved): (Item, Option<(Source, bool)>)| {
        let (source, means_all) = resolved?;
        Some(Sourced { level: item.level, entry: item.entry, source, means_all })
    };
    items.into_iter().zip(resolved).filter_map(sourced).collect()
}

/// Finds different images under one name at one level. Entries that are switched off confuse nobody.
fn check_names(items: &[Item], findings: &mut Findings) {
    let mut first: HashMap<(Level, &str), (String, &Place)> = HashMap::new();
    for Item { level, entry, asked } in items.iter().filter(|item| item.entry.switch() != Some(Switch::Off)) {
        let Some(reference) = asked.image() else { continue };
        let (name, image) = (reference.image_name(), reference.image());
        let (first, place) = first.entry((*level, name)).or_insert_with(|| (image.clone(), &entry.place));
        if *first != image {
            let place_of_first = place.to_string();
            findings.problem(Finding::new(
                &entry.package.place,
                format!("`{image}` and `{first}` at {place_of_first} both resolve to the plugin name `{name}`"),
                "keep one of them: the last component of an image must identify it, among the included files and in the main file",
            ));
        }
    }
}

/// The images of the included files, by name.
struct Catalogue<'a>(HashMap<&'a str, Named<'a>>);

#[derive(Default)]
struct Named<'a> {
    first: Option<&'a OciReference>,
    all: Choices<'a>,
    by_path: HashMap<&'a PluginPath, Choices<'a>>,
}

/// Included plugins that could be meant; those that are switched on count for more.
#[derive(Default)]
struct Choices<'a> {
    on: Different<'a>,
    off: Different<'a>,
}

/// References, none like the first but the first.
#[derive(Default)]
struct Different<'a> {
    references: Vec<&'a OciReference>,
    images_differ: bool,
    versions_differ: bool,
}

impl<'a> Different<'a> {
    fn add(&mut self, reference: &'a OciReference) {
        if let Some(&first) = self.references.first() {
            if first == reference {
                return;
            }
            self.images_differ |= first.image() != reference.image();
            self.versions_differ |= first.version() != reference.version();
        }
        self.references.push(reference);
    }
}

impl<'a> Choices<'a> {
    fn add(&mut self, switch: Option<Switch>, reference: &'a OciReference) {
        match switch {
            Some(Switch::Off) => self.off.add(reference),
            Some(Switch::On) | None => self.on.add(reference),
        }
    }

    const fn preferred(&self) -> &Different<'a> {
        if self.on.references.is_empty() { &self.off } else { &self.on }
    }
}

/// Why nothing is inherited.
enum Unresolved<'a> {
    Nothing,
    Several(&'a Different<'a>),
}

impl<'a> Catalogue<'a> {
    fn of(items: &'a [Item]) -> Self {
        let mut by_name: HashMap<&str, Named<'_>> = HashMap::new();
        for Item { entry, asked, .. } in items.iter().filter(|item| item.level == Level::Included) {
            let Asked::Source(Source::Oci(reference)) = asked else { continue };
            let named = by_name.entry(reference.image_name()).or_default();
            named.first.get_or_insert(reference);
            named.all.add(entry.switch(), reference);
            if let Some(path) = reference.plugin_path() {
                named.by_path.entry(path).or_default().add(entry.switch(), reference);
            }
        }
        Self(by_name)
    }

    /// The source of an entry, and whether it means all plugins of its image.
    fn resolve(&self, item: &Item, included: Included, findings: &mut Findings) -> Option<(Source, bool)> {
        match &item.asked {
            Asked::Source(source) => Some((source.clone(), false)),
            Asked::ByName(_) | Asked::Inherit(_) if item.level == Level::Included => {
                findings.problem(Finding::new(
                    &item.entry.package.place,
                    format!("`{}` stands in an included file, which has nothing to take over", item.asked),
                    "write the reference out, or move the entry into the main file",
                ));
                None
            }
            Asked::ByName(name) => self.by_name(name, item, included, findings).map(|source| (source, false)),
            Asked::Inherit(asked) => self.inherit(asked, item, included, findings),
        }
    }

    fn by_name(&self, name: &str, item: &Item, included: Included, findings: &mut Findings) -> Option<Source> {
        let place = &item.entry.package.place;
        if name.is_empty() {
            let hint = "write the last component of an included image behind it";
            findings.problem(Finding::new(place, "invalid `ref://` reference: empty plugin name", hint));
            return None;
        }
        let found = self.0.get(name).and_then(|named| named.first);
        if found.is_none() && included == Included::Whole {
            findings.problem(Finding::new(
                place,
                format!("cannot resolve `{}`: no included plugin has that name", item.asked),
                "write the last component of an included `oci://` image, without version and plugin path",
            ));
        }
        found.cloned().map(Source::Oci)
    }

    fn inherit(
        &self,
        asked: &OciReference,
        item: &Item,
        included: Included,
        findings: &mut Findings,
    ) -> Option<(Source, bool)> {
        let is_off = item.entry.switch() == Some(Switch::Off);
        let place = &item.entry.package.place;
        match self.choose(asked, is_off) {
            Ok(reference) => {
                findings.step(format!("Resolved {{{{inherit}}}} plugin '{}' to '{reference}'", item.asked));
                if let (None, Some(path)) = (asked.plugin_path(), reference.plugin_path()) {
                    findings.step(format!(
                        "Inheriting version `{}` and plugin path `{path}` for {}",
                        reference.version(),
                        reference.image()
                    ));
                }
                let means_all = is_off && asked.plugin_path().is_none();
                Some((Source::Oci(reference), means_all))
            }
            Err(Unresolved::Nothing) => {
                if included == Included::Whole {
                    let name = asked.image_name();
                    let message = format!(
                        "cannot use {{{{inherit}}}} for `{}`: no included plugin is named `{name}`",
                        asked.image()
                    );
                    let finding =
                        Finding::new(place, message, "write the version out, or include the file that has it");
                    // Nothing that was included can be on then, unless a path says that one thing was meant.
                    let switch = item.entry.switch().filter(|_| asked.plugin_path().is_none());
                    findings.problem_unless_off(switch, finding);
                }
                None
            }
            Err(Unresolved::Several(choices)) => {
                let hint = if choices.images_differ || choices.versions_differ {
                    "write the image and its version out".to_owned()
                } else {
                    format!("write `{}:{{{{inherit}}}}!` and one of the plugin paths", asked.image())
                };
                let message = format!(
                    "cannot use {{{{inherit}}}} for `{}`: it may mean {}",
                    asked.image(),
                    listed(choices.references.iter())
                );
                findings.problem(Finding::new(place, message, hint));
                None
            }
        }
    }

    fn choose(&self, asked: &OciReference, is_off: bool) -> Result<OciReference, Unresolved<'_>> {
        let named = self.0.get(asked.image_name()).ok_or(Unresolved::Nothing)?;
        let path = asked.plugin_path();
        let same_path = path.and_then(|path| named.by_path.get(path));
        let choices = same_path.unwrap_or(&named.all).preferred();
        let first = *choices.references.first().ok_or(Unresolved::Nothing)?;
        let is_one = match path {
            _ if choices.images_differ => false,
            _ if is_off => true,
            Some(_) => !choices.versions_differ,
            None => choices.references.len() == 1,
        };
        if !is_one {
            return Err(Unresolved::Several(choices));
        }
        // Who switches off without a path means whatever the image holds.
        let keeps_path = path.is_none() && !is_off;
        Ok(if keeps_path { first.clone() } else { first.with_plugin_path(path.cloned()) })
    }
}

/// Some things by name, the rest counted.
pub(super) fn listed<T: std::fmt::Display>(things: impl ExactSizeIterator<Item = T>) -> String {
    let mut things = things;
    let named: Vec<_> = things.by_ref().take(MAX_NAMED).map(|thing| format!("`{thing}`")).collect();
    match things.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
