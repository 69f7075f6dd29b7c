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
    for (image, entries) in by_image(items) {
        let (without, with): (Vec<usize>, Vec<usize>) =
            entries.iter().copied().partition(|&index| path(&items[index]).is_none());
        let Some(&last) = without.last() else { continue };
        let paths = distinct_paths(with.iter().map(|&index| &items[index]));
        let own = last_switch(without.iter().map(|&index| &items[index]));
        let is_off = match &*paths {
            [] => own == Some(Switch::Off),
            [only] => {
                for &index in &without {
                    if let Source::Oci(reference) = &mut items[index].source {
                        *reference = reference.with_plugin_path(Some(only.clone()));
                    }
                }
                let outranked = with.last().is_some_and(|&index| items[index].level > items[last].level);
                let all = last_switch(entries.iter().map(|&index| &items[index]));
                all == Some(Switch::Off) || (own == Some(Switch::Off) && !outranked)
            }
            [_, ..] => {
                for &index in &without {
                    let item = &items[index];
                    if !item.means_all {
                        let switch = item.entry.switch().or(own);
                        findings.problem_unless_off(switch, ambiguous(item, &paths));
                    }
                }
                own == Some(Switch::Off)
            }
        };
        if is_off {
            off.insert(image);
        }
    }
    for item in items.iter().filter(|item| is_off(&item.source, &off)) {
        findings.step(format!("Disabling OCI plugin {}", item.source));
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
    let message = format!("ambiguous path-less reference `{}`: it may mean {}", item.source, listed(paths.iter()));
    Finding::new(&item.entry.package.place, message, "write `!` and one of these plugin paths behind it")
}
