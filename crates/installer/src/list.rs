//! `list`: what is installed on a root, as it is recorded there.

use std::path::Path;

use audit::rfc3339;
use install::{Commit, InstalledPlugin, Inventory, Writing};
use serde_json::{Value, json};
use source::printable;

use crate::cli::{Args, ReportFormat, RootArgs};
use crate::exit::Status;
use crate::report;
use crate::sandbox::Rules;

/// Columns of the table.
const HEAD: [&str; 6] = ["NAME", "VERSION", "DESTINATION", "FILES", "INSTALLED", "SOURCE"];

/// Reads the record and reports on standard output.
pub(crate) fn run(args: &Args, list: &RootArgs) -> Status {
    let (root, format) = (report::root(args, list), list.format);
    Rules::reading(root).enforce();
    match Inventory::read(root) {
        Err(error) => {
            report::untold(root, format, &error.into());
            return Status::Root;
        }
        Ok(inventory) => match format {
            ReportFormat::Json => report::print(&to_json(root, &inventory)),
            ReportFormat::Text => report::print_text(&page(root, &inventory)),
        },
    }
    Status::Completed
}

/// All that is recorded, as JSON.
pub(crate) fn to_json(root: &Path, inventory: &Inventory) -> Value {
    let writing = inventory.writing.as_ref();
    json!({
        "root": report::text_of(root),
        "installer": writing.map(|writing| &writing.installer),
        "written": writing.map(|writing| rfc3339(writing.at)),
        "commit_open": writing.is_some_and(|writing| writing.commit == Commit::Open),
        "plugins": inventory.plugins.iter().map(plugin_to_json).collect::<Vec<_>>(),
    })
}

pub(crate) fn plugin_to_json(plugin: &InstalledPlugin) -> Value {
    json!({
        "name": plugin.name,
        "version": plugin.version,
        "dest": plugin.dest,
        "source": plugin.source,
        "integrity": plugin.integrity,
        "manifest": plugin.manifest,
        "installer": plugin.installer,
        "installed": rfc3339(plugin.installed),
        "synced": plugin.synced,
        "files": plugin.files,
        "folders": plugin.folders,
    })
}

fn page(root: &Path, inventory: &Inventory) -> String {
    let root = printable(&report::text_of(root));
    let Some(Writing { installer, at, commit, .. }) = &inventory.writing else {
        return format!("{root}: nothing is installed\n");
    };
    let mut page = if inventory.plugins.is_empty() { String::new() } else { table(&inventory.plugins) };
    if *commit == Commit::Open {
        page += "note: the plugins are being made visible by an installer at work, or by one that was killed; \
                 its next run completes it\n";
    }
    let (count, installer, at) = (inventory.plugins.len(), printable(installer), rfc3339(*at));
    let many = if count == 1 { "" } else { "s" };
    page + &format!("{root}: {count} plugin{many}, recorded by version {installer} of the installer at {at}\n")
}

fn table(plugins: &[InstalledPlugin]) -> String {
    let row = |plugin: &InstalledPlugin| {
        let text = |text: &String| printable(text);
        let (files, installed) = (plugin.files.to_string(), rfc3339(plugin.installed));
        vec![text(&plugin.name), text(&plugin.version), text(&plugin.dest), files, installed, text(&plugin.source)]
    };
    report::table(&HEAD, &plugins.iter().map(row).collect::<Vec<_>>())
}
