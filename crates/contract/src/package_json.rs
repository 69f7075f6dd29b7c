//! Rules about `package.json`: what it must say before anything else is looked at.

use serde_json::Value;
use tarball::{Destination, Kind, ManifestError, PackageName, read_manifest};

use crate::inspection::{Content, Inspection, failed, line_at, quoted, text};
use crate::{CheckError, Rule, rules};

pub(crate) const PATH: &str = "package.json";
const ALPHA: &str = "alpha/package.json";

/// Roles that the portal loads, and what loads them (`@backstage/cli-node`, `PackageRoles`).
const PLUGIN_ROLES: [(&str, Platform); 5] = [
    ("backend-plugin", Platform::Node),
    ("backend-plugin-module", Platform::Node),
    ("frontend-plugin", Platform::Web),
    ("frontend-plugin-module", Platform::Web),
    ("frontend-dynamic-container", Platform::Web),
];
/// Roles that the portal knows and does not load.
const OTHER_ROLES: [&str; 7] =
    ["frontend", "backend", "cli", "cli-module", "web-library", "node-library", "common-library"];

/// What must be there, nested keys joined by a dot, and the rule about it.
const STRINGS: [(&str, Rule); 3] =
    [("name", rules::NAME_INVALID), ("version", rules::VERSION_INVALID), ("backstage.role", rules::ROLE_INVALID)];

/// What loads a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// The backend, by `require`.
    Node,
    /// The browser, by Module Federation.
    Web,
}

/// A `package.json` that is a JSON object, whatever its fields are.
#[derive(Debug)]
pub(crate) struct Package {
    json: Value,
}

impl Package {
    /// A field; `Value::Null` where there is none.
    pub(crate) fn field(&self, key: &str) -> &Value {
        &self.json[key]
    }

    /// Where the plugin goes, if its name is one.
    pub(crate) fn destination(&self) -> Option<Destination> {
        PackageName::parse(self.json["name"].as_str()?).ok().map(|name| name.destination())
    }

    /// What loads the plugin; `None` when nothing does.
    pub(crate) fn platform(&self) -> Option<Platform> {
        let role = self.json["backstage"]["role"].as_str()?;
        PLUGIN_ROLES.iter().find(|(name, _)| *name == role).map(|(_, platform)| *platform)
    }

    /// `main`, unless it is missing or empty.
    pub(crate) fn main(&self) -> Option<&str> {
        self.json["main"].as_str().filter(|main| !main.is_empty())
    }

    /// The names that a field of dependencies lists.
    pub(crate) fn dependencies(&self, field: &str) -> impl Iterator<Item = &str> {
        self.json[field].as_object().into_iter().flat_map(|names| names.keys().map(String::as_str))
    }
}

/// Reads and judges the plugin's `package.json`; `None` when it says nothing at all.
pub(crate) fn read(inspection: &mut Inspection<'_>) -> Result<Option<Package>, CheckError> {
    // The installer's own reader comes first: what it refuses is refused here for the same reason.
    let refusal = match read_manifest(inspection.dir, inspection.limits) {
        Ok(_) => None,
        Err(ManifestError::Io { source }) => return Err(failed("read", PATH, source)),
        Err(error @ (ManifestError::Missing | ManifestError::NotAFile | ManifestError::Json { .. })) => {
            let (rule, line, message) = refused(&error);
            inspection.report_line(rule, PATH, line, message);
            return Ok(None);
        }
        Err(error) => Some(error),
    };
    let bytes = match inspection.read(PATH, inspection.limits.manifest)? {
        Content::Bytes(bytes) => bytes,
        Content::Absent | Content::NotAFile | Content::TooLarge => Vec::new(),
    };
    let Ok(json @ Value::Object(_)) = serde_json::from_slice(&bytes) else {
        let message = match refusal {
            Some(error @ ManifestError::TooLarge { .. }) => error.to_string(),
            _ => "expected a JSON object, found something else".to_owned(),
        };
        inspection.report_at(&rules::PACKAGE_JSON_INVALID, PATH, message);
        return Ok(None);
    };
    let package = Package { json };
    judge_fields(inspection, &package, &text(&bytes), refusal.as_ref());
    alpha(inspection)?;
    Ok(Some(package))
}

/// The rule that the installer's reader found broken, the line where it knows one, and what it found.
pub(crate) fn refused(error: &ManifestError) -> (&'static Rule, Option<u32>, String) {
    match error {
        ManifestError::Missing | ManifestError::NotAFile => (&rules::PACKAGE_JSON_MISSING, None, error.to_string()),
        ManifestError::Json { source } => {
            let line = u32::try_from(source.line()).ok().filter(|line| *line > 0);
            let message = format!("expected JSON without repeated keys, found: {source}");
            (&rules::PACKAGE_JSON_INVALID, line, message)
        }
        ManifestError::Key { key } => {
            let rule =
                STRINGS.iter().find(|(name, _)| name == key).map_or(&rules::PACKAGE_JSON_INVALID, |(_, rule)| rule);
            (rule, None, absent(key))
        }
        ManifestError::Name { source } => (&rules::NAME_INVALID, None, source.to_string()),
        ManifestError::Version => (&rules::VERSION_INVALID, None, error.to_string()),
        ManifestError::Role => (&rules::ROLE_INVALID, None, error.to_string()),
        _ => (&rules::PACKAGE_JSON_INVALID, None, error.to_string()),
    }
}

fn absent(key: &str) -> String {
    format!("expected a string `{key}`, found none")
}

fn judge_fields(inspection: &mut Inspection<'_>, package: &Package, text: &str, refusal: Option<&ManifestError>) {
    let ill_formed = match refusal {
        Some(error @ ManifestError::Name { .. }) => Some((error, "name")),
        Some(error @ ManifestError::Version) => Some((error, "version")),
        Some(error @ ManifestError::Role) => Some((error, "role")),
        _ => None,
    };
    if let Some((error, key)) = ill_formed {
        let (rule, _, message) = refused(error);
        inspection.report_line(rule, PATH, line_of(text, key), message);
    }
    // The reader stops at the first missing field; the author wants to know all of them.
    for (key, rule) in &STRINGS {
        let value = key.split('.').fold(&package.json, |value, name| &value[name]);
        if !value.is_string() {
            inspection.report_at(rule, PATH, absent(key));
        }
    }
    if let Some(role) = package.json["backstage"]["role"].as_str()
        && package.platform().is_none()
        && !inspection.has(&rules::ROLE_INVALID)
    {
        let rule = if OTHER_ROLES.contains(&role) { &rules::ROLE_NOT_DYNAMIC } else { &rules::ROLE_UNKNOWN };
        let message = format!("expected the role of a frontend or backend plugin or module, found {}", quoted(role));
        inspection.report_line(rule, PATH, line_of(text, "role"), message);
    }
    if package.platform().is_some() && package.main().is_none() {
        inspection.report_at(&rules::MAIN_MISSING, PATH, "expected a string `main`, found none");
    }
}

fn alpha(inspection: &mut Inspection<'_>) -> Result<(), CheckError> {
    if inspection.kind("alpha")? == Some(Kind::Directory) {
        let found = match inspection.read(ALPHA, inspection.limits.manifest)? {
            Content::Bytes(bytes) if serde_json::from_slice::<Value>(&bytes).is_ok() => return Ok(()),
            Content::Bytes(_) => "something else",
            Content::Absent => "none",
            Content::NotAFile => "no regular file",
            Content::TooLarge => "a larger file than a `package.json` may be",
        };
        inspection.report_at(&rules::ALPHA_INVALID, ALPHA, format!("expected a `package.json` of JSON, found {found}"));
    }
    Ok(())
}

/// The line where a key first stands.
fn line_of(text: &str, key: &str) -> Option<u32> {
    line_at(text, text.find(&format!("\"{key}\""))?)
}
