//! Rules about what the browser loads by Module Federation.

use serde_json::Value;
use tarball::Kind;

use crate::exports::{PluginExports, is_in_dist};
use crate::inspection::{Content, Inspection, line_at, quoted};
use crate::package_json::Package;
use crate::scan;
use crate::script::words;
use crate::{CheckError, rules};

const PATH: &str = "dist/mf-manifest.json";
/// Bytes of the largest federation manifest that is read.
const MANIFEST: u64 = 4 * 1024 * 1024;
/// What React assigns and everyone else only reads, up to version 18 and from 19 on.
const REACT_INTERNALS: [&str; 2] = [
    "__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED",
    "__CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE",
];

pub(crate) fn check(inspection: &mut Inspection<'_>, package: &Package) -> Result<(), CheckError> {
    let Some(manifest) = manifest(inspection)? else { return Ok(()) };
    federation(inspection, &manifest);
    remote_entry(inspection, &manifest["metaData"]["remoteEntry"])?;
    let shared = Shared(&manifest["shared"]);
    if shared.lists("@material-ui/core/styles") && !shared.lists("@material-ui/styles") {
        let message =
            "expected `shared` to list `@material-ui/styles` beside `@material-ui/core/styles`, found it missing";
        inspection.report_at(&rules::STYLES_NOT_SHARED, PATH, message);
    }
    installed_react(inspection)?;
    bundle(inspection, shared)?;
    react_is_shared(inspection, package, shared);
    Ok(())
}

/// Reads the federation manifest, if it is a JSON object.
fn manifest(inspection: &mut Inspection<'_>) -> Result<Option<Value>, CheckError> {
    let invalid = &rules::MF_MANIFEST_INVALID;
    match inspection.read(PATH, MANIFEST)? {
        Content::Absent => {
            inspection.report_at(&rules::MF_MANIFEST_MISSING, PATH, "expected a federation manifest, found none");
        }
        Content::NotAFile => inspection.report_at(invalid, PATH, "expected a regular file, found something else"),
        Content::TooLarge => {
            inspection.report_at(invalid, PATH, format!("expected at most {MANIFEST} bytes, found more"));
        }
        Content::Bytes(bytes) => match serde_json::from_slice(&bytes) {
            Ok(manifest @ Value::Object(_)) => return Ok(Some(manifest)),
            Ok(_) => inspection.report_at(invalid, PATH, "expected a JSON object, found something else"),
            Err(error) => {
                let line = u32::try_from(error.line()).ok().filter(|line| *line > 0);
                inspection.report_line(invalid, PATH, line, format!("expected JSON, found: {error}"));
            }
        },
    }
    Ok(None)
}

fn federation(inspection: &mut Inspection<'_>, manifest: &Value) {
    let mut expect = |rule, value: &Value, key: &str| {
        if value.as_str().is_none_or(str::is_empty) {
            inspection.report_at(rule, PATH, format!("expected a string `{key}`, found none"));
        }
    };
    let metadata = &manifest["metaData"];
    expect(&rules::MF_NAME_MISSING, &manifest["name"], "name");
    expect(&rules::MF_REMOTE_ENTRY_MISSING, &metadata["remoteEntry"]["name"], "metaData.remoteEntry.name");
    expect(&rules::MF_GLOBAL_NAME_MISSING, &metadata["globalName"], "metaData.globalName");

    match metadata["publicPath"].as_str() {
        // The browser's runtime takes an empty one for `auto`.
        Some("auto" | "") => {}
        Some(path) => inspection.report_at(
            &rules::MF_PUBLIC_PATH_FIXED,
            PATH,
            format!("expected `metaData.publicPath` to be `auto`, found {}", quoted(path)),
        ),
        None => {
            let message = "expected a string `metaData.publicPath`, found none";
            inspection.report_at(&rules::MF_PUBLIC_PATH_MISSING, PATH, message);
        }
    }
    let exposes = manifest["exposes"].as_array().map_or(&[][..], Vec::as_slice);
    let found = if exposes.iter().any(|expose| !expose["name"].is_string()) {
        Some("one without `name`".to_owned())
    } else if exposes.iter().any(|expose| exposed_path(expose) == Some(".")) {
        None
    } else {
        let paths: Vec<_> = exposes.iter().filter_map(exposed_path).take(8).map(quoted).collect();
        Some(if paths.is_empty() { "nothing exposed".to_owned() } else { paths.join(", ") })
    };
    if let Some(found) = found {
        let message = format!("expected `exposes` to have names and the path `.`, found {found}");
        inspection.report_at(&rules::MF_EXPOSE_MISSING, PATH, message);
    }
}

/// Where a module is exposed; older manifests have its name only.
fn exposed_path(expose: &Value) -> Option<&str> {
    expose["path"].as_str().or_else(|| expose["name"].as_str())
}

fn remote_entry(inspection: &mut Inspection<'_>, entry: &Value) -> Result<(), CheckError> {
    let Some(name) = entry["name"].as_str().filter(|name| !name.is_empty()) else { return Ok(()) };
    // The runtime joins the two as parts of one URL, where a leading slash counts for nothing.
    let folder = entry["path"].as_str().unwrap_or("").trim_start_matches('/');
    let file = format!("{folder}/{name}");
    let kind = match inspection.locate("dist", file.trim_start_matches('/')) {
        Ok(path) => inspection.kind(&path)?,
        Err(_) => None,
    };
    if kind != Some(Kind::File) {
        let message = format!("expected the remote entry {} in `dist`, found none", quoted(name));
        inspection.report_at(&rules::REMOTE_ENTRY_FILE_MISSING, PATH, message);
    }
    Ok(())
}

/// A browser never asks for `node_modules`: a copy of React there says that it is no peer, and where it was built in.
fn installed_react(inspection: &mut Inspection<'_>) -> Result<(), CheckError> {
    for name in ["react", "react-dom"] {
        let path = format!("node_modules/{name}");
        if inspection.kind(&path)? == Some(Kind::Directory) {
            let message = format!("expected `{name}` to come from the portal, found it in `node_modules`");
            inspection.report_at(&rules::REACT_BUNDLED, &path, message);
        }
    }
    Ok(())
}

/// Reads every script, for all rules about what is in them.
fn bundle(inspection: &mut Inspection<'_>, shared: Shared<'_>) -> Result<(), CheckError> {
    let mut exports = PluginExports::default();
    let coverage = scan::scripts(inspection, is_in_dist, |inspection, path, text| {
        exports.read(path, text);
        if let Some(at) = renders_scalprum(text) {
            let message = "expected a component for this host, found `ScalprumProvider`";
            inspection.report_line(&rules::SCALPRUM_PROVIDER, path, line_at(text, at), message);
        }
        for (name, holds) in [("react", holds_react as fn(&str) -> bool), ("react-dom", holds_react_dom)] {
            if !shared.lists(name) && holds(text) {
                let message = format!("expected `{name}` to be shared, found its code and no entry in `shared`");
                inspection.report_at(&rules::REACT_BUNDLED, path, message);
            }
        }
        Ok(())
    })?;
    exports.judge(inspection, coverage)
}

fn react_is_shared(inspection: &mut Inspection<'_>, package: &Package, shared: Shared<'_>) {
    if inspection.has(&rules::REACT_BUNDLED) {
        return;
    }
    let depends = ["dependencies", "peerDependencies"].iter().any(|field| package.field(field).get("react").is_some());
    let found = match shared.entry("react") {
        Some(entry) if entry["singleton"] == false => "`singleton` false",
        None if depends => "no such entry, though the plugin depends on it",
        _ => return,
    };
    let message = format!("expected `shared` to list `react` as a singleton, found {found}");
    inspection.report_at(&rules::REACT_NOT_SHARED, PATH, message);
}

/// Where `ScalprumProvider` is used, and not merely defined or passed on by a library that has it.
fn renders_scalprum(text: &str) -> Option<usize> {
    const NAME: &str = "ScalprumProvider";
    words(text, NAME).find(|at| {
        let before = text[..*at].trim_end();
        let after = text[at + NAME.len()..].trim_start();
        let is_assigned = after.starts_with('=') && !after.starts_with("==");
        !(is_assigned || after.starts_with(':') || before.ends_with("function"))
    })
}

fn holds_react(text: &str) -> bool {
    let assigned = |name: &&str| {
        words(text, name).any(|at| {
            let after = text[at + name.len()..].trim_start();
            after.starts_with('=') && !after.starts_with("==")
        })
    };
    // React's own component class, which `react-dom` does not have.
    words(text, "isReactComponent").any(|at| {
        let after = text[at + "isReactComponent".len()..].trim_start();
        after.strip_prefix('=').is_some_and(|value| value.trim_start().starts_with('{'))
    }) && REACT_INTERNALS.iter().any(assigned)
}

fn holds_react_dom(text: &str) -> bool {
    words(text, "rendererPackageName").any(|at| {
        let after = text[at + "rendererPackageName".len()..].trim_start_matches(['"', '\'']).trim_start();
        after.strip_prefix(':').is_some_and(|value| {
            let value = value.trim_start();
            value.starts_with("\"react-dom\"") || value.starts_with("'react-dom'")
        })
    })
}

/// The modules that a manifest shares.
#[derive(Debug, Clone, Copy)]
struct Shared<'m>(&'m Value);

impl<'m> Shared<'m> {
    fn entry(self, name: &str) -> Option<&'m Value> {
        self.0.as_array()?.iter().find(|module| module["name"] == name)
    }

    fn lists(self, name: &str) -> bool {
        self.entry(name).is_some()
    }
}
