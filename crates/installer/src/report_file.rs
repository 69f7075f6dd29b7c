//! `--report`: what is installed, for machines, after each run that completes.
//!
//! A run that fails changes nothing on the root, so that what the one before it reported stays true.

use std::path::Path;

use audit::{Event, Log};
use install::{Chain, InstalledPlugin, Inventory, InventoryError};
use serde_json::{Value, json};

use crate::list;
use crate::replace::replace;

/// A report that is still to be written.
pub(crate) struct ReportFile<'a> {
    file: &'a Path,
    root: &'a Path,
    /// What was installed when the run began.
    before: Vec<InstalledPlugin>,
}

impl<'a> ReportFile<'a> {
    /// Looks at the root before the run.
    pub(crate) fn open(file: &'a Path, root: &'a Path) -> Self {
        // What cannot be read of it, the run says or mends.
        let before = Inventory::read(root).map(|inventory| inventory.plugins).unwrap_or_default();
        Self { file, root, before }
    }

    /// Looks at the root again and writes the file. The plugins are visible by now, so that a failure is a warning.
    pub(crate) fn write(&self, log: &mut Log) {
        let result = self.page().map_err(|error| Chain(&error).to_string()).and_then(|page| {
            let page = format!("{page:#}\n");
            replace(self.file, page.as_bytes()).map_err(|error| error.to_string())
        });
        if let Err(why) = result {
            let detail = format!("failed to write the report `{}`: {why}", self.file.display());
            let hint = Some("the plugins are installed; `list` says what the report would");
            log.record(&Event::Warning { reason: "report_failed", detail: &detail, hint });
        }
    }

    fn page(&self) -> Result<Value, InventoryError> {
        let inventory = Inventory::read(self.root)?;
        let mut page = list::to_json(self.root, &inventory);
        let plugins = page["plugins"].as_array_mut().into_iter().flatten();
        for (told, plugin) in plugins.zip(&inventory.plugins) {
            let is_unchanged = self.before.iter().any(|before| is_same(before, plugin));
            told["outcome"] = json!(if is_unchanged { "unchanged" } else { "installed" });
        }
        Ok(page)
    }
}

/// Whether a plugin was left as it was; that its bytes were synced since is no other plugin.
fn is_same(before: &InstalledPlugin, after: &InstalledPlugin) -> bool {
    let mut before = before.clone();
    before.synced = after.synced;
    before == *after
}
