//! Rules about `dynamicPluginsExports`, by which a frontend tells the portal what to mount.

use std::collections::BTreeMap;

use crate::inspection::{Inspection, line_at, quoted};
use crate::scan::{self, Coverage};
use crate::script::{code, literals, names, words};
use crate::{CheckError, rules};

const EXPORT: &str = "dynamicPluginsExports";
/// The lists in it, and the keys of their entries that claim another export.
const LISTS: [&str; 2] = ["dynamicRoutes", "menuItems"];
const KEYS: [&str; 2] = ["importName", "iconImportName"];
/// Claimed names that are looked for, as each is in every script.
const CLAIMS: usize = 64;
/// Bytes of the longest one.
const CLAIM: usize = 256;

/// What the scripts of a bundle say about `dynamicPluginsExports`.
#[derive(Debug, Default)]
pub(crate) struct PluginExports {
    is_named: bool,
    claims: BTreeMap<String, Place>,
}

/// Where a name is claimed.
#[derive(Debug)]
struct Place {
    path: String,
    line: Option<u32>,
}

impl PluginExports {
    /// Takes in one script.
    pub(crate) fn read(&mut self, path: &str, text: &str) {
        self.is_named |= text.contains(EXPORT);
        if LISTS.iter().all(|list| words(text, list).next().is_none()) {
            return;
        }
        for (start, piece) in code(text) {
            for (at, name) in KEYS.into_iter().flat_map(|key| literals(piece, key)) {
                if self.claims.len() < CLAIMS && name.len() <= CLAIM && !self.claims.contains_key(name) {
                    let place = Place { path: path.to_owned(), line: line_at(text, start + at) };
                    self.claims.insert(name.to_owned(), place);
                }
            }
        }
    }

    /// Compares what is claimed with the names in all scripts, after each was taken in.
    pub(crate) fn judge(mut self, inspection: &mut Inspection<'_>, coverage: Coverage) -> Result<(), CheckError> {
        // What a link in `dist` leads to was not read.
        if coverage == Coverage::Part || inspection.links.keys().any(|path| path == "dist" || is_in_dist(path)) {
            return Ok(());
        }
        if !self.is_named {
            let message = format!("expected a script in `dist` that exports `{EXPORT}`, found the name in none");
            inspection.report(&rules::PLUGIN_EXPORTS_MISSING, message);
            return Ok(());
        }
        if !self.claims.is_empty() {
            scan::scripts(inspection, is_in_dist, |_, _, text| {
                self.claims.retain(|name, _| !names(text, name));
                Ok(())
            })?;
        }
        for (name, Place { path, line }) in self.claims {
            let message = format!("expected an export {}, found no such name in `dist`", quoted(&name));
            inspection.report_line(&rules::EXPORTS_UNKNOWN, &path, line, message);
        }
        Ok(())
    }
}

/// Whether a path is one of what the browser can ask for.
pub(crate) fn is_in_dist(path: &str) -> bool {
    path.starts_with("dist/")
}
