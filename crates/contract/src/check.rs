//! From an open folder to what is wrong with it.

use std::collections::HashMap;
use std::io;

use integrity::Blame;
use tarball::{Destination, Dir, Limits};

use crate::inspection::{Inspection, quoted};
use crate::package_json::Platform;
use crate::{Rule, backend, frontend, package_json, rules, tree};

/// One rule that one plugin breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The plugin, as the caller named it.
    pub plugin: String,
    /// The file inside the plugin, where it is about one; unprintable characters are escaped.
    pub path: Option<String>,
    /// The line in that file, counted from 1, where it is about one.
    pub line: Option<u32>,
    /// What was expected and what was found.
    pub message: String,
}

/// A plugin that was held against every rule, and what came of it.
///
/// Only [`check`] makes one, and [`rejected`](crate::rejected) of what cannot be unpacked.
///
/// ```compile_fail,E0451
/// fn forge() -> contract::Checked {
///     contract::Checked { plugin: "x".to_owned(), destination: None, findings: Vec::new() }
/// }
/// ```
///
/// ```
/// fn prove(dir: &tarball::Dir) -> Result<contract::Checked, contract::CheckError> {
///     contract::check("x", dir, &tarball::Limits::default())
/// }
/// ```
#[must_use = "what was found is to be told"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    plugin: String,
    destination: Option<Destination>,
    findings: Vec<Finding>,
}

impl Checked {
    /// What nobody can look into.
    pub(crate) fn rejected(finding: Finding) -> Self {
        Self { plugin: finding.plugin.clone(), destination: None, findings: vec![finding] }
    }

    /// What is wrong, in the order of the rules, then of the paths.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The plugin's folder below the plugin root; `None` when its name is missing or wrong.
    pub const fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// The plugin, as the caller named it.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }
}

/// Holds a plugin's folder, exported or unpacked, against every rule that one folder alone can break.
///
/// # Errors
/// [`CheckError`] when the file system refuses. Whatever is wrong with the plugin is a [`Finding`].
pub fn check(plugin: &str, dir: &Dir, limits: &Limits) -> Result<Checked, CheckError> {
    let mut inspection = Inspection::new(plugin, dir, limits);
    tree::walk(&mut inspection)?;
    tree::secrets(&mut inspection, dir, limits)?;
    let mut destination = None;
    if let Some(package) = package_json::read(&mut inspection)? {
        destination = package.destination();
        match package.platform() {
            Some(Platform::Node) => backend::check(&mut inspection, &package)?,
            Some(Platform::Web) => frontend::check(&mut inspection, &package)?,
            None => {}
        }
    }
    Ok(Checked { plugin: plugin.to_owned(), destination, findings: inspection.into_findings() })
}

/// The findings about plugins that end in one folder of the plugin root: one for each plugin after the first.
pub fn collisions(checked: &[Checked]) -> Vec<Finding> {
    let mut taken: HashMap<&Destination, &Checked> = HashMap::new();
    let mut findings = Vec::new();
    for plugin in checked {
        let Some(destination) = plugin.destination() else { continue };
        if let Some(first) = taken.get(destination) {
            findings.push(Finding {
                rule: &rules::DESTINATION_COLLISION,
                plugin: plugin.plugin.clone(),
                path: Some("package.json".to_owned()),
                line: None,
                message: format!(
                    "expected a folder of its own, found that {} goes to `{destination}` as well",
                    quoted(&first.plugin)
                ),
            });
        } else {
            taken.insert(destination, plugin);
        }
    }
    findings
}

/// Why a folder could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The file system refused.
    #[error("{doing} `{path}` of the plugin")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what, relative to the plugin's folder.
        path: String,
        /// What the system answered.
        source: io::Error,
    },
}

impl CheckError {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Io { .. } => Blame::Host,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some("let this user read the plugin's folder"),
                io::ErrorKind::NotFound => Some("check again when nothing writes to the plugin's folder"),
                _ => None,
            },
        }
    }
}
