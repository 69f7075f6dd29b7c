//! Rules about `package.json`: what it must say before anything else is looked at.

use serde_json::Value;
use tarball::{Destination, Kind, ManifestError, PackageName, read_manifest};

use crate::inspection::{Content, Inspection, failed, line_at, quoted, text};
use crate::{CheckError, Rule, rules};

const PATH: &str = "package.json";
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
        Err(error @ (ManifestError::Missing | ManifestError::NotAFile)) => {
            inspection.report_at(&rules::PACKAGE_JSON_MISSING, PATH, error.to_string());
            return Ok(None);
        }
        Err(ManifestError::Json { source }) => {
            let line = u32::try_from(source.line()).ok().filter(|line| *line > 0);
            let message = format!("expected JSON without repeated keys, found: {source}");
            inspection.report_line(&rules::PACKAGE_JSON_INVALID, PATH, line, message);
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

fn judge_fields(inspection: &mut Inspection<'_>, package: &Package, text: &str, refusal: Option<&ManifestError>) {
    let mut refused = |rule: &'static Rule, key: &str, message: String| {
        inspection.report_line(rule, PATH, line_of(text, key), message);
    };
    match refusal {
        Some(ManifestError::Name { source }) => refused(&rules::NAME_INVALID, "name", source.to_string()),
        Some(error @ ManifestError::Version) => refused(&rules::VERSION_INVALID, "version", error.to_string()),
        Some(error @ ManifestError::Role) => refused(&rules::ROLE_INVALID, "role", error.to_string()),
        _ => {}
    }
    // The reader stops at the first missing field; the author wants to know all of them.
    for (pointer, rule) in [
        ("/name", &rules::NAME_INVALID),
        ("/version", &rules::VERSION_INVALID),
        ("/backstage/role", &rules::ROLE_INVALID),
    ] {
        if package.json.pointer(pointer).is_none_or(|value| !value.is_string()) {
            let key = pointer[1..].replace('/', ".");
            inspection.report_at(rule, PATH, format!("expected a string `{key}`, found none"));
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
