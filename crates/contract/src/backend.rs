//! Rules about what the portal's backend loads with `require`.

use std::collections::BTreeSet;

use serde_json::Value;
use tarball::Kind;

use crate::inspection::{Content, FINDINGS, Inspection, extension, line_at, quoted, text};
use crate::package_json::Package;
use crate::scan::{self, Coverage, SCRIPT};
use crate::script::{code, es_module_syntax, lacks_plugin_export, requests};
use crate::{CheckError, rules};

/// What Node tries for a path without a file of that very name (Node.js documentation, modules, "All together").
const SUFFIXES: [&str; 7] = ["", ".js", ".json", ".node", "/index.js", "/index.json", "/index.node"];

/// What `require` takes from Node itself, whatever is installed (Node.js 20, `module.builtinModules`).
const BUILT_IN: [&str; 42] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// A module that the portal would load.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// It may well register a plugin.
    Plausible,
    /// It certainly has no export that the portal looks for; the file it is.
    Bare(String),
    /// There is a finding about it already.
    Reported,
}

pub(crate) fn check(inspection: &mut Inspection<'_>, package: &Package) -> Result<(), CheckError> {
    let alpha = alpha_main(inspection)?.map(|main| entry(inspection, "alpha", &main)).transpose()?;
    let main = package.main().map(|main| entry(inspection, "", main)).transpose()?;
    // The portal takes the first entry that registers something, the alpha one first.
    if alpha != Some(Entry::Plausible)
        && let Some(Entry::Bare(path)) = main
    {
        let message =
            "expected a default export, or one named `dynamicPluginInstaller`, found only other exports or none";
        inspection.report_at(&rules::MAIN_NO_DEFAULT_EXPORT, &path, message);
    }
    dependencies(inspection, package)
}

fn alpha_main(inspection: &mut Inspection<'_>) -> Result<Option<String>, CheckError> {
    let Content::Bytes(bytes) = inspection.read("alpha/package.json", inspection.limits.manifest)? else {
        return Ok(None);
    };
    let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(json["main"].as_str().filter(|main| !main.is_empty()).map(str::to_owned))
}

/// Judges the module that `main` names in the `package.json` of `folder`.
fn entry(inspection: &mut Inspection<'_>, folder: &str, main: &str) -> Result<Entry, CheckError> {
    let Ok(wanted) = inspection.locate(folder, main) else {
        let message = format!("expected `main` inside the plugin, found {}", quoted(main));
        inspection.report_at(&rules::MAIN_OUTSIDE, "package.json", message);
        return Ok(Entry::Reported);
    };
    let mut found = None;
    for suffix in SUFFIXES {
        let path = format!("{wanted}{suffix}");
        if inspection.kind(&path)? == Some(Kind::File) {
            found = Some(path);
            break;
        }
    }
    let Some(path) = found else {
        // A folder with a `package.json` of its own names another file, which is for Node to find.
        if inspection.kind(&format!("{wanted}/package.json"))? == Some(Kind::File) && wanted != folder {
            return Ok(Entry::Plausible);
        }
        let message = format!("expected the file that `main` names, found none at {}", quoted(main));
        inspection.report_at(&rules::MAIN_FILE_MISSING, "package.json", message);
        return Ok(Entry::Reported);
    };
    let reported = match extension(&path) {
        "json" | "node" => return Ok(Entry::Plausible),
        "mjs" => Some("expected CommonJS, found a file named `.mjs`"),
        "cjs" => None,
        _ => is_in_module_package(inspection, &path)?
            .then_some("expected CommonJS, found `\"type\": \"module\"` in the `package.json` above it"),
    };
    if let Some(message) = reported {
        inspection.report_at(&rules::MAIN_ESM, &path, message);
        return Ok(Entry::Reported);
    }
    let Content::Bytes(bytes) = inspection.read(&path, SCRIPT)? else { return Ok(Entry::Plausible) };
    let text = text(&bytes);
    if let Some(at) = es_module_syntax(&text) {
        let message = "expected CommonJS, found `import` or `export` and nothing exported to `require`";
        inspection.report_line(&rules::MAIN_ESM, &path, line_at(&text, at), message);
        return Ok(Entry::Reported);
    }
    Ok(if lacks_plugin_export(&text) { Entry::Bare(path) } else { Entry::Plausible })
}

/// Whether the nearest `package.json` above a file makes its `.js` files ES modules.
fn is_in_module_package(inspection: &mut Inspection<'_>, path: &str) -> Result<bool, CheckError> {
    let mut folder = path;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        folder = parent;
        if let Content::Bytes(bytes) = inspection.read(&format!("{folder}/package.json"), inspection.limits.manifest)? {
            return Ok(is_module(&bytes));
        }
    }
    Ok(match inspection.read("package.json", inspection.limits.manifest)? {
        Content::Bytes(bytes) => is_module(&bytes),
        Content::Absent | Content::NotAFile | Content::TooLarge => false,
    })
}

fn is_module(package_json: &[u8]) -> bool {
    serde_json::from_slice::<Value>(package_json).is_ok_and(|json| json["type"] == "module")
}

/// What is compiled into `dist` needs no folder, so a dependency counts where a script beside `main` asks for it.
fn dependencies(inspection: &mut Inspection<'_>, package: &Package) -> Result<(), CheckError> {
    let Some(Ok(main)) = package.main().map(|main| inspection.locate("", main)) else { return Ok(()) };
    let mut wanted = BTreeSet::new();
    for name in package.dependencies("dependencies").filter(|name| !comes_otherwise(package, name)) {
        if !is_installed(inspection, "", name)? {
            wanted.insert(name);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let folder = &main[..main.rfind('/').map_or(0, |slash| slash + 1)];
    let is_beside = |path: &str| path.starts_with(folder) && path.split('/').all(|name| name != "node_modules");
    let mut missing = Vec::new();
    let coverage = scan::scripts(inspection, is_beside, |inspection, path, text| {
        let mut seen = BTreeSet::new();
        for (start, piece) in code(text) {
            for (at, specifier) in requests(piece) {
                let Some(name) = wanted.get(package_name(specifier)).copied().filter(|name| seen.insert(*name)) else {
                    continue;
                };
                if missing.len() < FINDINGS && !is_installed(inspection, path, name)? {
                    missing.push((path.to_owned(), line_at(text, start + at), name));
                    wanted.remove(name);
                }
            }
        }
        Ok(())
    })?;
    if coverage == Coverage::Whole {
        for (path, line, name) in missing {
            let message = format!("expected the dependency {} in `node_modules`, found none", quoted(name));
            inspection.report_line(&rules::DEPENDENCY_MISSING, &path, line, message);
        }
    }
    Ok(())
}

fn comes_otherwise(package: &Package, name: &str) -> bool {
    let fields = ["peerDependencies", "optionalDependencies"];
    // The portal's own packages are found beside the backend, also when a plugin does not name them as peers.
    name.starts_with("@backstage/")
        || BUILT_IN.contains(&name)
        || fields.iter().any(|field| package.field(field).get(name).is_some())
}

/// Whether `require` would find a package from the script at `path`, in a `node_modules` above it.
fn is_installed(inspection: &mut Inspection<'_>, path: &str, name: &str) -> Result<bool, CheckError> {
    // An installation that was cut short or pruned leaves folders with nothing in them.
    let manifest = format!("node_modules/{name}/package.json");
    let mut folder = path;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        folder = parent;
        if inspection.kind(&format!("{folder}/{manifest}"))? == Some(Kind::File) {
            return Ok(true);
        }
    }
    Ok(inspection.kind(&manifest)? == Some(Kind::File))
}

/// The package of a specifier: its first component, or two where the first is a scope.
fn package_name(specifier: &str) -> &str {
    let components = if specifier.starts_with('@') { 2 } else { 1 };
    specifier.match_indices('/').nth(components - 1).map_or(specifier, |(slash, _)| &specifier[..slash])
}
