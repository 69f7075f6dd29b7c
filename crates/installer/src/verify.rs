//! `verify`: whether a root still holds what was installed, told file by file.

use std::path::{Path, PathBuf};

use install::{Difference, InstalledPlugin, Told, Verification};
use serde_json::{Value, json};
use source::printable;
use transport::{Stop, SystemClock};

use crate::cli::{Args, ReportFormat, RootArgs};
use crate::exit::Status;
use crate::report;
use crate::sandbox::Rules;

/// Most differences, and most foreign folders, in a report that is held in memory; all differences are counted.
const DIFFERENCES: usize = 10_000;

/// Hashes everything and reports on standard output.
pub(crate) fn run(args: &Args, verify: &RootArgs) -> Status {
    report::end_on_signals();
    let (root, format) = (report::root(args, verify), verify.format);
    Rules::reading(root).enforce();
    let mut document = Document::default();
    let verified = install::verify(root, &SystemClock::start(), &Stop::new(), &mut |told| match format {
        ReportFormat::Text => report::print_text(&line(&told)),
        ReportFormat::Json => document.add(&told),
    });
    match verified {
        Err(error) => {
            report::untold(root, format, &error.into());
            Status::Root
        }
        Ok(verification) => {
            match format {
                ReportFormat::Text => report::print_text(&summary(root, verification)),
                ReportFormat::Json => report::print(&document.finish(root, verification)),
            }
            if verification.differences == 0 { Status::Completed } else { Status::Rejected }
        }
    }
}

fn line(told: &Told<'_>) -> String {
    match told {
        Told::Difference { plugin, path, difference } => {
            let detail = match difference {
                Difference::Missing => String::new(),
                difference => format!(": {}", printable(&difference.to_string())),
            };
            format!("{}: {}{detail}\n", difference.name(), printable(&report::text_of(place(plugin, path))))
        }
        Told::Plugin { plugin, verification: Verification { differences: 0, files, bytes, .. } } => {
            format!("ok: {}: {}, {bytes} bytes\n", printable(&plugin.dest), counted(*files, "file"))
        }
        Told::Foreign { folder } => format!(
            "note: {}: not installed by this program, but a portal would load it\n",
            printable(&report::text_of(folder))
        ),
        Told::Waiting => {
            "note: plugins are being made visible by an installer: waiting until that is done\n".to_owned()
        }
        Told::StartedOver => {
            "note: an installer has changed the root: starting over, what was said so far counts no more\n".to_owned()
        }
        _ => String::new(),
    }
}

fn place(plugin: &InstalledPlugin, path: &Path) -> PathBuf {
    // Joined with nothing, a slash would be left at the end.
    if path.as_os_str().is_empty() { plugin.dest.clone().into() } else { Path::new(&plugin.dest).join(path) }
}

fn summary(root: &Path, verification: Verification) -> String {
    let Verification { plugins, files, bytes, differences, .. } = verification;
    let (plugins, files) = (counted(plugins, "plugin"), counted(files, "file"));
    let result = match differences {
        0 => "all is as it was installed".to_owned(),
        _ => format!("{} from what was installed", counted(differences, "difference")),
    };
    format!("{}: {plugins}, {files}, {bytes} bytes verified; {result}\n", printable(&report::text_of(root)))
}

fn counted(count: u64, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

/// A report as one JSON document.
#[derive(Default)]
struct Document {
    plugins: Vec<Value>,
    differences: Vec<Value>,
    foreign: Vec<String>,
}

impl Document {
    fn add(&mut self, told: &Told<'_>) {
        match told {
            Told::Difference { plugin, path, difference } if self.differences.len() < DIFFERENCES => {
                self.differences.push(json!({
                    "dest": plugin.dest,
                    "path": report::text_of(path),
                    "what": difference.name(),
                    "detail": difference.to_string(),
                }));
            }
            Told::Plugin { plugin, verification: Verification { files, bytes, differences, .. } } => {
                self.plugins.push(json!({
                    "name": plugin.name,
                    "version": plugin.version,
                    "dest": plugin.dest,
                    "files": files,
                    "bytes": bytes,
                    "difference_count": differences,
                }));
            }
            Told::Foreign { folder } if self.foreign.len() < DIFFERENCES => self.foreign.push(report::text_of(folder)),
            Told::StartedOver => *self = Self::default(),
            _ => {}
        }
    }

    fn finish(self, root: &Path, verification: Verification) -> Value {
        json!({
            "root": report::text_of(root),
            "intact": verification.differences == 0,
            "plugins": self.plugins,
            "files": verification.files,
            "bytes": verification.bytes,
            "difference_count": verification.differences,
            "differences": self.differences,
            "foreign": self.foreign,
        })
    }
}
