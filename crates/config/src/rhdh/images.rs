//! References without a plugin path: which plugins of their image they mean, and which images they switch off.
//!
//! No registry is asked. Where the other entries leave it open, the reference stays without a path, and the image's own
//! list decides when it is fetched.

use std::collections::{HashMap, HashSet};

use source::{PluginPath, Source};

use super::findings::{Finding, Findings};
use super::item::{Sourced, Switch};
use super::resolve::listed;

/// Images that are switched off whole.
pub(super) type Off = HashSet<String>;

/// Gives references their path where the other entries leave one only, and says which images are off.
pub(super) fn settle(items: &mut [Sourced], findings: &mut Findings) -> Off {
    let mut off = Off::new();
    let mut meant = Vec::new();
    for (image, entries) in by_image(items) {
        let entries: Vec<_> = entries.into_iter().map(|index| (index, &items[index])).collect();
        let (with, without): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, item)| path(item).is_some());
        let Some((_, last)) = without.last() else { continue };
        let paths = distinct_paths(with.iter().map(|(_, item)| *item));
        let own = last_switch(without.iter().map(|(_, item)| *item));
        let is_off = match &*paths {
            [] => own == Some(Switch::Off),
            [only] => {
                meant.extend(without.iter().map(|(index, _)| (*index, only.clone())));
                let is_outranked = with.iter().any(|(_, item)| item.level > last.level);
                let any = last_switch(entries.iter().map(|(_, item)| *item));
                any == Some(Switch::Off) || (own == Some(Switch::Off) && !is_outranked)
            }
            [_, ..] => {
                for (_, item) in without.iter().filter(|(_, item)| !item.means_all) {
                    findings.problem_unless_off(item.entry.switch().or(own), ambiguous(item, &paths));
                }
                own == Some(Switch::Off)
            }
        };
        if is_off {
            let overruled = |item: &Sourced| item.level >= last.level && item.entry.switch() == Some(Switch::On);
            for (_, item) in with.iter().filter(|(_, item)| overruled(item)) {
                findings.warning(switched_off(item, last));
            }
            off.insert(image);
        }
    }
    for item in items.iter().filter(|item| is_off(&item.source, &off)) {
        findings.heading(&format!("Disabling OCI plugin {}", item.source));
    }
    for (index, path) in meant {
        if let Source::Oci(reference) = &mut items[index].source {
            *reference = reference.with_plugin_path(Some(path));
        }
    }
    off
}

/// Whether the whole image is off.
pub(super) fn is_off(source: &Source, off: &Off) -> bool {
    matches!(source, Source::Oci(reference) if !off.is_empty() && off.contains(&reference.image()))
}

/// The entries of every image, in the order the images come first.
fn by_image(items: &[Sourced]) -> Vec<(String, Vec<usize>)> {
    let mut images: Vec<(String, Vec<usize>)> = Vec::new();
    let mut slots = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let Source::Oci(reference) = &item.source else { continue };
        let slot = *slots.entry(reference.image()).or_insert_with_key(|image| {
            images.push((image.clone(), Vec::new()));
            images.len() - 1
        });
        images[slot].1.push(index);
    }
    images
}

fn path(item: &Sourced) -> Option<&PluginPath> {
    match &item.source {
        Source::Oci(reference) => reference.plugin_path(),
        _ => None,
    }
}

fn distinct_paths<'a>(items: impl Iterator<Item = &'a Sourced>) -> Vec<PluginPath> {
    let mut seen = HashSet::new();
    items.filter_map(path).filter(|path| seen.insert(*path)).cloned().collect()
}

/// What was said last, which is said at the highest level.
fn last_switch<'a>(items: impl Iterator<Item = &'a Sourced>) -> Option<Switch> {
    items.filter_map(|item| item.entry.switch()).last()
}

fn ambiguous(item: &Sourced, paths: &[PluginPath]) -> Finding {
    let message = format!("ambiguous path-less reference `{}`: it may mean {}", item.asked, listed(paths.iter()));
    Finding::new(&item.entry.package.place, message, "write `!` and one of these plugin paths behind it")
}

fn switched_off(item: &Sourced, by: &Sourced) -> Finding {
    let place = &by.entry.package.place;
    let message = format!("`{}` is not installed: the entry at {place} switches off all of its image", item.asked);
    Finding::new(&item.entry.package.place, message, "write `!` and a plugin path in that entry, or remove it")
}
