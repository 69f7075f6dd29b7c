//! `ref://name` and `{{inherit}}`: entries of the main file that take over what was included.
//!
//! Both go by the last component of an image; registry and namespace are those of the included plugin, so that a list
//! that was mirrored needs no change in the main file.

use std::collections::HashMap;

use source::{OciReference, PluginPath, Source, redact};

use super::asked::Asked;
use super::findings::{Finding, Findings};
use super::item::{Item, Level, Sourced, Switch};
use super::place::Place;

/// Plugins that a message names.
const MAX_NAMED: usize = 6;

/// Whether what was included is known as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Included {
    Whole,
    /// A file is not there.
    Without(String),
    /// A file is wrong. Nothing is said of what may stand in it.
    InPart,
}

/// Writes out what every entry asks for; those for which that fails are left out.
pub(super) fn resolve(items: Vec<Item>, included: &Included, findings: &mut Findings) -> Vec<Sourced> {
    check_names(&items, findings);
    let catalogue = Catalogue::of(&items);
    let found: Vec<_> = items
        .iter()
        .map(|item| match catalogue.find(item) {
            Ok(source) => {
                tell(&item.asked, &source, findings);
                Some(source)
            }
            Err(unresolved) => {
                unresolved.tell(item, included, findings);
                None
            }
        })
        .collect();
    let sourced = |(item, source): (Item, Option<Source>)| {
        let means_all = item.is_off() && matches!(&item.asked, Asked::Inherit(asked) if asked.plugin_path().is_none());
        Some(Sourced { level: item.level, entry: item.entry, source: source?, asked: item.asked, means_all })
    };
    items.into_iter().zip(found).filter_map(sourced).collect()
}

fn tell(asked: &Asked, found: &Source, findings: &mut Findings) {
    let (Asked::Inherit(inherit), Source::Oci(reference)) = (asked, found) else { return };
    findings.heading(&format!("Resolved {{{{inherit}}}} plugin '{asked}' to '{reference}'"));
    if let (None, Some(path)) = (inherit.plugin_path(), reference.plugin_path()) {
        let (version, image) = (reference.version(), reference.image());
        findings.heading(&format!("Inheriting version `{version}` and plugin path `{path}` for {image}"));
    }
}

/// Finds different images under one name at one level. Entries that are switched off confuse nobody.
fn check_names(items: &[Item], findings: &mut Findings) {
    let mut first: HashMap<(Level, &str), (String, &Place)> = HashMap::new();
    for Item { level, entry, asked } in items.iter().filter(|item| !item.is_off()) {
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

/// Why an entry takes over nothing.
enum Unresolved<'a> {
    /// It was included itself.
    NotInMain,
    NoName,
    /// A name with a plugin path behind it, of which a name leaves no choice.
    Path(&'a str),
    Missing,
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

    fn find<'s>(&'s self, item: &'s Item) -> Result<Source, Unresolved<'s>> {
        match &item.asked {
            Asked::Source(source) => Ok(source.clone()),
            Asked::ByName(_) | Asked::Inherit(_) if item.level == Level::Included => Err(Unresolved::NotInMain),
            Asked::ByName(name) if name.is_empty() || name.starts_with('!') => Err(Unresolved::NoName),
            Asked::ByName(name) if name.contains('!') => Err(Unresolved::Path(name)),
            Asked::ByName(name) => {
                let first = self.0.get(name.as_str()).and_then(|named| named.first);
                first.cloned().map(Source::Oci).ok_or(Unresolved::Missing)
            }
            Asked::Inherit(asked) => self.choose(asked, item.is_off()).map(Source::Oci),
        }
    }

    fn choose(&self, asked: &OciReference, is_off: bool) -> Result<OciReference, Unresolved<'_>> {
        let named = self.0.get(asked.image_name()).ok_or(Unresolved::Missing)?;
        let path = asked.plugin_path();
        let same_path = path.and_then(|path| named.by_path.get(path));
        let choices = same_path.unwrap_or(&named.all).preferred();
        let first = *choices.references.first().ok_or(Unresolved::Missing)?;
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

impl Unresolved<'_> {
    fn tell(&self, item: &Item, included: &Included, findings: &mut Findings) {
        let place = &item.entry.package.place;
        match (self, included) {
            (Self::NotInMain, _) => findings.problem(Finding::new(
                place,
                format!("`{}` stands in an included file, which has nothing to take over", item.asked),
                "write the reference out, or move the entry into the main file",
            )),
            (Self::NoName, _) => findings.problem(Finding::new(
                place,
                "invalid `ref://` reference: empty plugin name",
                "write the last component of an included image behind it",
            )),
            (Self::Path(written), _) => {
                // A secret may hold the mark itself, so it is cut before the text is.
                let shown = redact(written);
                let (name, path) = shown.split_once('!').unwrap_or(("NAME", "PATH"));
                let message = format!("cannot resolve `{}`: `ref://` takes no `!path`", item.asked);
                let hint = format!("write `oci://HOST/…/{name}:{{{{inherit}}}}!{path}`");
                findings.problem(Finding::new(place, message, hint));
            }
            (Self::Several(choices), _) => {
                let message =
                    format!("cannot resolve `{}`: it may mean {}", item.asked, listed(choices.references.iter()));
                let hint = if choices.images_differ || choices.versions_differ {
                    "write the image and its version out"
                } else {
                    "write `!` and one of these plugin paths behind it"
                };
                findings.problem(Finding::new(place, message, hint));
            }
            (Self::Missing, Included::InPart) => {}
            (Self::Missing, Included::Whole | Included::Without(_)) => {
                let message = format!("cannot resolve `{}`: no included plugin has that name", item.asked);
                let hint = match included {
                    Included::Without(file) => format!("`{file}` is not there; add it, or write the reference out"),
                    Included::Whole | Included::InPart => "use the last component of an included image".to_owned(),
                };
                let finding = Finding::new(place, message, hint);
                match &item.asked {
                    // What is not there is off already; a path says that something certain was meant.
                    Asked::Inherit(asked) if asked.plugin_path().is_none() && item.is_off() => {
                        findings.warning(finding);
                    }
                    _ => findings.problem(finding),
                }
            }
        }
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
