//! Each rule on its own smallest wrong plugin: a good one with one thing broken.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::net::UnixListener;

use contract::{Checked, RULES, check, collisions};
use serde_json::{Value, json};
use tarball::{Dir, FileMode, Limits};

/// What stands at a path.
enum Made {
    File(Vec<u8>),
    Link(&'static str),
    Folder,
    Socket,
}

/// A plugin's folder, before it is on disk.
struct Plugin {
    package: Value,
    manifest: Value,
    made: BTreeMap<Vec<u8>, Made>,
    limits: Limits,
}

impl Plugin {
    fn new(package: Value, manifest: Value) -> Self {
        Self { package, manifest, made: BTreeMap::new(), limits: Limits::default() }
    }

    /// A backend as the exporter leaves it.
    fn backend() -> Self {
        let package = json!({
            "name": "@acme/hello-backend-dynamic",
            "version": "1.2.3",
            "main": "dist/index.cjs.js",
            "backstage": { "role": "backend-plugin", "pluginId": "hello" },
            "dependencies": { "@acme/words": "^1.0.0", "pad": "^2.0.0" },
            "peerDependencies": { "@backstage/backend-plugin-api": "^1.0.0", "express": "^4.0.0" },
            "bundleDependencies": true,
        });
        Self::new(package, Value::Null)
            .file(
                "dist/index.cjs.js",
                "'use strict';\n\nvar plugin = require('./plugin.cjs.js');\n\nexports.default = plugin.hello;\n",
            )
            .file("dist/plugin.cjs.js", "'use strict';\n\nexports.hello = require('pad')();\n")
            .file("dist/.config-schema.json", "{}")
            .file(".gitignore", "\n*\n")
            .file("node_modules/pad/package.json", r#"{"name":"pad","version":"2.0.0","type":"module"}"#)
            .file("node_modules/pad/cli.js", "export default 1;")
            .file("node_modules/@acme/words/package.json", "{}")
            .made("node_modules/.bin/pad", Made::Link("../pad/cli.js"))
    }

    /// A frontend as the exporter leaves it.
    fn frontend() -> Self {
        let package = json!({
            "name": "acme.hello-dynamic",
            "version": "1.2.3",
            "main": "dist/index.esm.js",
            "backstage": { "role": "frontend-plugin", "pluginId": "hello" },
            "dependencies": { "@backstage/core-components": "^0.18.0", "react-use": "^17.0.0" },
            "peerDependencies": { "react": "^18.0.0" },
        });
        let shared = ["@material-ui/core/styles", "@material-ui/styles", "react", "react-dom"]
            .map(|name| json!({ "name": name, "version": "*", "singleton": true, "requiredVersion": "*" }));
        let manifest = json!({
            "id": "acme__hello",
            "name": "acme__hello",
            "metaData": {
                "name": "acme__hello",
                "type": "app",
                "remoteEntry": { "name": "remoteEntry.js", "path": "", "type": "global" },
                "globalName": "acme__hello",
                "publicPath": "auto",
            },
            "shared": shared,
            "exposes": [{ "id": "acme__hello:.", "name": ".", "path": "." }],
        });
        Self::new(package, manifest)
            .file("dist/remoteEntry.js", "var acme__hello;(()=>{acme__hello=1})();")
            .file("dist/static/1.js", REACT)
            .file("dist/static/2.js", EXPORTS)
            .file("dist-scalprum/static/3.js", "(0,r.jsx)(s.ScalprumProvider,{})")
    }

    fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.made(path, Made::File(content.as_ref().to_vec()))
    }

    fn made(mut self, path: impl AsRef<[u8]>, made: Made) -> Self {
        self.made.insert(path.as_ref().to_vec(), made);
        self
    }

    fn without(mut self, path: &str) -> Self {
        assert!(self.made.remove(path.as_bytes()).is_some(), "{path}");
        self
    }

    /// Changes a value of `package.json`; `Value::Null` removes it.
    fn package(mut self, pointer: &str, value: Value) -> Self {
        set(&mut self.package, pointer, value);
        self
    }

    /// Changes a value of the federation manifest; `Value::Null` removes it.
    fn manifest(mut self, pointer: &str, value: Value) -> Self {
        set(&mut self.manifest, pointer, value);
        self
    }

    /// Takes a module out of `shared`.
    fn unshare(mut self, name: &str) -> Self {
        let shared = self.manifest["shared"].as_array_mut().unwrap();
        shared.retain(|module| module["name"] != name);
        self
    }

    fn limited(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Puts the plugin on disk and checks it.
    fn check(mut self) -> Checked {
        for (path, json) in [("package.json", &self.package), ("dist/mf-manifest.json", &self.manifest)] {
            if !json.is_null() {
                self.made.entry(path.into()).or_insert_with(|| Made::File(json.to_string().into_bytes()));
            }
        }
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        for (path, made) in &self.made {
            put(&root, path, made, temp.path());
        }
        check("plugin", &root, &self.limits).unwrap()
    }
}

/// A bundler's chunk that exports a page and what the portal shall make of it.
const EXPORTS: &str = "(e,t,n)=>{n.d(t,{HelloPage:()=>r,HelloIcon:()=>i,dynamicPluginsExports:()=>o});let o={dynamicRoutes:[{\
    path:\"/hello/*\",importName:\"HelloPage\",menuItem:{text:\"Hello\",iconImportName:'HelloIcon'}}],menuItems:[]}}";

/// A bundler's chunk that holds React, and one that holds `react-dom`.
const REACT: &str = "n.prototype.isReactComponent={},t.__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED=V,t.act=A";
const REACT_DOM: &str = "var l={bundleType:0,version:\"18.3.1\",rendererPackageName:\"react-dom\"};";

fn set(json: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(&key).unwrap();
    } else {
        parent.insert(key, value);
    }
}

fn put(root: &Dir, path: &[u8], made: &Made, on_disk: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let mut names: Vec<_> = path.split(|byte| *byte == b'/').map(std::ffi::OsStr::from_bytes).collect();
    let last = names.pop().unwrap();
    let mut dir = root.try_clone().unwrap();
    for name in names {
        dir = if dir.kind(name).unwrap().is_none() { dir.create_dir(name) } else { dir.open_dir(name) }.unwrap();
    }
    match made {
        Made::File(bytes) => dir.create_file(last, FileMode::Plain).unwrap().write_all(bytes).unwrap(),
        Made::Link(target) => dir.symlink(target, last).unwrap(),
        Made::Folder => drop(dir.create_dir(last).unwrap()),
        Made::Socket => drop(UnixListener::bind(on_disk.join(std::ffi::OsStr::from_bytes(path))).unwrap()),
    }
}

fn ids(checked: &Checked) -> Vec<&'static str> {
    checked.findings().iter().map(|finding| finding.rule.id).collect()
}

/// A backend with a dependency that is not installed, and a script that may ask for it.
fn asking(name: &str, script: &str) -> Plugin {
    let key = name.replace('/', "~1");
    Plugin::backend().package(&format!("/dependencies/{key}"), json!("1")).file("dist/lazy/a.js", script)
}

/// A frontend with these exports beside those for the portal, which are of these lists.
fn exporting(names: &str, lists: &str) -> Plugin {
    let script = format!("n.d(t,{names});n.d(t,{{dynamicPluginsExports:()=>o}});let o={{{lists}}}");
    Plugin::frontend().file("dist/static/2.js", script)
}

/// Every rule that one folder can break, each time alone.
fn broken() -> Vec<(&'static str, &'static str, Plugin)> {
    let backend = Plugin::backend;
    let frontend = Plugin::frontend;
    let package = |text: &str| Plugin::new(Value::Null, Value::Null).file("package.json", text);
    vec![
        ("package-json-missing", "none", Plugin::new(Value::Null, Value::Null)),
        ("package-json-missing", "a link", backend().made("package.json", Made::Link("dist/index.cjs.js"))),
        ("package-json-missing", "a folder", backend().made("package.json", Made::Folder)),
        ("package-json-invalid", "no JSON", package("{")),
        ("package-json-invalid", "a key twice", package(r#"{"name": "a", "name": "b"}"#)),
        ("package-json-invalid", "no object", package("[]")),
        ("package-json-invalid", "too large", backend().limited(|limits| limits.manifest = 100)),
        ("name-invalid", "none", backend().package("/name", Value::Null)),
        ("name-invalid", "no text", backend().package("/name", json!(1))),
        ("name-invalid", "no package name", backend().package("/name", json!("../x"))),
        ("version-invalid", "none", frontend().package("/version", Value::Null)),
        ("version-invalid", "empty", frontend().package("/version", json!(""))),
        ("role-invalid", "none", backend().package("/backstage/role", Value::Null)),
        ("role-invalid", "no object", backend().package("/backstage", json!("backend-plugin"))),
        ("role-invalid", "ill-formed", backend().package("/backstage/role", json!("Backend Plugin"))),
        ("role-unknown", "unknown", backend().package("/backstage/role", json!("backend-pluginn"))),
        ("role-not-dynamic", "application", frontend().package("/backstage/role", json!("frontend"))),
        ("role-not-dynamic", "command", backend().package("/backstage/role", json!("cli"))),
        ("role-not-dynamic", "library", backend().package("/backstage/role", json!("node-library"))),
        ("main-missing", "backend", backend().package("/main", Value::Null)),
        ("main-missing", "empty", backend().package("/main", json!(""))),
        ("main-missing", "frontend", frontend().package("/main", Value::Null)),
        ("main-outside", "parent", backend().package("/main", json!("../x/index.cjs.js"))),
        ("main-outside", "absolute", backend().package("/main", json!("/dist/index.cjs.js"))),
        ("main-file-missing", "none", backend().package("/main", json!("dist/other.cjs.js"))),
        ("main-file-missing", "a folder", backend().package("/main", json!("dist"))),
        (
            "main-esm",
            "by name",
            backend().package("/main", json!("dist/i.mjs")).file("dist/i.mjs", "exports.default=1"),
        ),
        ("main-esm", "by type", backend().package("/type", json!("module"))),
        ("main-esm", "by a nearer type", backend().file("dist/package.json", r#"{"type":"module"}"#)),
        ("main-esm", "by syntax", backend().file("dist/index.cjs.js", "import a from 'a';\nexport default a;\n")),
        ("main-no-default-export", "named only", backend().file("dist/index.cjs.js", "exports.createRouter = 1;\n")),
        ("main-no-default-export", "nothing", backend().file("dist/index.cjs.js", "'use strict';\n")),
        ("alpha-invalid", "none", backend().made("alpha", Made::Folder)),
        ("alpha-invalid", "no JSON", backend().file("alpha/package.json", "")),
        ("dependency-missing", "plain", asking("x", "var x = require('x');")),
        ("dependency-missing", "scoped", asking("@acme/x", "const { y } = require(\"@acme/x\");")),
        ("dependency-missing", "a part of it", asking("x", "r=require('x/lib/y.js')")),
        ("dependency-missing", "at run time", asking("x", "await import( 'x' )")),
        ("dependency-missing", "after a comment", asking("x", "/* x */ var u = 'http://a'; // y\nrequire('x')")),
        ("dependency-missing", "an empty folder", asking("x", "require('x')").made("node_modules/x", Made::Folder)),
        ("dependency-missing", "nothing to load", asking("x", "require('x')").file("node_modules/x/README.md", "")),
        ("dependency-missing", "where another has it", asking("x", "require('x')").file("a/node_modules/x/a", "")),
        ("mf-manifest-missing", "none", Plugin { manifest: Value::Null, ..frontend() }),
        ("mf-manifest-invalid", "no JSON", frontend().file("dist/mf-manifest.json", "{\n,")),
        ("mf-manifest-invalid", "no object", frontend().file("dist/mf-manifest.json", "1")),
        ("mf-manifest-invalid", "a folder", frontend().made("dist/mf-manifest.json", Made::Folder)),
        ("mf-manifest-invalid", "too large", frontend().file("dist/mf-manifest.json", vec![b' '; 4 * 1024 * 1024 + 1])),
        ("mf-name-missing", "none", frontend().manifest("/name", Value::Null)),
        ("mf-remote-entry-missing", "none", frontend().manifest("/metaData/remoteEntry", Value::Null)),
        ("mf-remote-entry-missing", "no name", frontend().manifest("/metaData/remoteEntry/name", Value::Null)),
        ("remote-entry-file-missing", "none", frontend().without("dist/remoteEntry.js")),
        ("remote-entry-file-missing", "elsewhere", frontend().manifest("/metaData/remoteEntry/path", json!("js/"))),
        ("remote-entry-file-missing", "out", frontend().manifest("/metaData/remoteEntry/name", json!("../../x.js"))),
        ("mf-global-name-missing", "none", frontend().manifest("/metaData/globalName", Value::Null)),
        ("mf-public-path-missing", "none", frontend().manifest("/metaData/publicPath", Value::Null)),
        ("mf-public-path-fixed", "a host", frontend().manifest("/metaData/publicPath", json!("https://cdn.example/"))),
        ("mf-expose-missing", "none", frontend().manifest("/exposes", Value::Null)),
        ("mf-expose-missing", "empty", frontend().manifest("/exposes", json!([]))),
        ("mf-expose-missing", "another", frontend().manifest("/exposes", json!([{ "name": "A", "path": "./A" }]))),
        ("mf-expose-missing", "no name", frontend().manifest("/exposes", json!([{ "path": "." }]))),
        ("styles-not-shared", "one of two", frontend().unshare("@material-ui/styles")),
        ("react-bundled", "React", frontend().unshare("react")),
        ("react-bundled", "React DOM", frontend().unshare("react-dom").file("dist/static/4.js", REACT_DOM)),
        ("react-bundled", "installed", frontend().file("node_modules/react/package.json", "{}")),
        ("react-not-shared", "a peer", frontend().unshare("react").without("dist/static/1.js")),
        ("react-not-shared", "no singleton", frontend().manifest("/shared/2/singleton", json!(false))),
        (
            "scalprum-provider",
            "rendered",
            frontend().file("dist/static/4.js", "a;\n(0,r.jsx)(s.ScalprumProvider,{config:c})"),
        ),
        ("plugin-exports-missing", "no such name", frontend().file("dist/static/2.js", "n.d(t,{HelloPage:()=>r})")),
        ("plugin-exports-missing", "no script with it", frontend().without("dist/static/2.js")),
        ("plugin-exports-missing", "elsewhere", frontend().without("dist/static/2.js").file("src/2.js", EXPORTS)),
        (
            "plugin-exports-missing",
            "only its lists",
            frontend().file("dist/static/2.js", "dynamicRoutes:[{importName:\"Tab\"}]"),
        ),
        ("exports-unknown", "a page", exporting("{HelloPag:()=>r}", "dynamicRoutes:[{importName:\"HelloPage\"}]")),
        ("exports-unknown", "an icon", exporting("{A:()=>r}", "menuItems:[{key:'a',iconImportName:'HelloIcon'}]")),
        ("exports-unknown", "quoted", exporting("{}", "\"dynamicRoutes\" : [{ \"importName\" : 'HelloPage' }]")),
        ("exports-unknown", "as its own text", exporting("{}", "menuItems:[{importName:\"Hello\",text:\"Hello\"}]")),
        ("exports-unknown", "a part of one", exporting("{HelloPage:()=>r}", "dynamicRoutes:[{importName:\"Hello\"}]")),
        (
            "exports-unknown",
            "after a route",
            exporting("{}", "dynamicRoutes:[{path:\"/a/*\",importName:\"HelloPage\"}]"),
        ),
        ("entries-limit", "entries", backend().limited(|limits| limits.entries = 10)),
        ("entries-limit", "links", backend().limited(|limits| limits.symlinks = 10)),
        ("file-limit", "one byte", backend().limited(|limits| limits.file = 512).file("x", [0; 513])),
        ("expanded-limit", "one block", frontend().limited(|limits| limits.expanded = 8 * 1024)),
        ("path-limit", "depth", backend().limited(|limits| limits.depth = 4)),
        ("path-limit", "length", backend().limited(|limits| limits.path = 41)),
        ("path-limit", "component", backend().limited(|limits| limits.component = 16)),
        ("path-limit", "a link's text", backend().limited(|limits| limits.path = 50).made("l", Made::Link(LONG))),
        ("link-stray", "leaves", backend().made("dist/x", Made::Link("../../x"))),
        ("link-stray", "absolute", backend().made("dist/x", Made::Link("/etc/passwd"))),
        ("link-stray", "loop", backend().made("x", Made::Link("x"))),
        (
            "link-stray",
            "by way of another",
            backend().made("a/b/up", Made::Link("../..")).made("x", Made::Link("a/b/up/../y")),
        ),
        ("special-file", "socket", backend().made("s", Made::Socket)),
        ("secret-file", "environment", backend().file(".env", "TOKEN=x")),
        ("secret-file", "key", backend().file("node_modules/x/key.pem", "-----BEGIN PRIVATE KEY-----\nMIIB\n")),
        ("name-unsafe", "backslash", backend().file("a\\b", "")),
        ("name-unsafe", "control", backend().file("a\nb", "")),
        ("name-unsafe", "no UTF-8", backend().made(b"a\xff", Made::File(Vec::new()))),
        ("name-unsafe", "a link's text", backend().made("l", Made::Link("a\\b"))),
    ]
}

/// Bytes of the largest script that is judged.
const SCRIPT: usize = 16 * 1024 * 1024;
const LONG: &str = "dist/././././././././././././././././././././././index.cjs.js";

#[test]
fn good_plugins_have_no_findings() {
    for (name, plugin, destination) in [
        ("backend", Plugin::backend(), "acme-hello-backend-dynamic"),
        ("frontend", Plugin::frontend(), "acme.hello-dynamic"),
    ] {
        let checked = plugin.check();
        assert_eq!(checked.findings(), [], "{name}");
        assert_eq!(checked.destination().unwrap().as_str(), destination, "{name}");
    }
}

#[test]
fn each_broken_plugin_breaks_its_rule_and_no_other() {
    for (id, name, plugin) in broken() {
        let checked = plugin.check();
        assert_eq!(ids(&checked), [id], "{id}, {name}: {:#?}", checked.findings());
    }
}

#[test]
fn every_rule_is_broken_by_some_plugin() {
    let mut tested: BTreeSet<_> = broken().iter().map(|(id, _, _)| *id).collect();
    // Of two plugins, and of no folder.
    tested.extend(["destination-collision", "archive-invalid"]);
    assert_eq!(tested, RULES.iter().map(|rule| rule.id).collect());
}

#[test]
fn unusual_plugins_that_work_have_no_findings() {
    let backend = Plugin::backend;
    let frontend = Plugin::frontend;
    let minimal = json!({ "name": "x", "version": "1", "main": "i", "backstage": { "role": "backend-plugin-module" } });
    for (name, plugin) in [
        ("no dependencies, `main` without its end", Plugin::new(minimal, Value::Null).file("i.js", "module.exports = 1")),
        ("`main` is a folder", backend().package("/main", json!("./dist/")).file("dist/index.js", "exports.default=1")),
        ("`main` is a link", backend().without("dist/index.cjs.js").file("m.js", "exports.default=1").made(
            "dist/index.cjs.js",
            Made::Link("../m.js"),
        )),
        ("CommonJS by its name", backend().package("/type", json!("module")).package("/main", json!("dist/i.cjs")).file("dist/i.cjs", "exports.default=1")),
        ("CommonJS by a nearer type", backend().package("/type", json!("module")).file("dist/package.json", r#"{"type":"commonjs"}"#)),
        ("the alpha entry registers it", backend()
            .file("alpha/package.json", r#"{"main":"../dist/plugin.cjs.js"}"#)
            .file("dist/plugin.cjs.js", "exports.default = 1;")
            .file("dist/index.cjs.js", "exports.createRouter = 1;")),
        ("the alpha entry leaves it to `main`", backend()
            .file("alpha/package.json", r#"{"main":"a.js"}"#)
            .file("alpha/a.js", "exports.x = 1;")),
        ("an installer by name", backend().file("dist/index.cjs.js", "exports.dynamicPluginInstaller = {};")),
        ("a byte order mark in a script", backend().file("dist/index.cjs.js", "\u{feff}exports.default = 1;")),
        ("optional and peer dependencies", backend()
            .package("/dependencies/express", json!("4"))
            .package("/dependencies/@backstage~1types", json!("1"))
            .package("/dependencies/o", json!("1"))
            .package("/optionalDependencies", json!({ "o": "1" }))),
        ("a linked dependency", backend()
            .package("/dependencies/e", json!("1"))
            .file("embedded/e/package.json", "{}")
            .made("node_modules/e", Made::Link("../embedded/e"))),
        ("a dangling link inside", backend().made("x", Made::Link("dist/none"))),
        ("a backend that renders mail", backend().file("node_modules/react/package.json", "{}")),
        ("an empty public path", frontend().manifest("/metaData/publicPath", json!(""))),
        ("a remote entry in a folder", frontend()
            .manifest("/metaData/remoteEntry/path", json!("/js/"))
            .file("dist/js/remoteEntry.js", "")),
        ("a frontend without React", frontend()
            .package("/peerDependencies", json!({}))
            .manifest("/shared", json!([]))
            .without("dist/static/1.js")),
        ("consumers of React's internals", frontend().unshare("react").unshare("react-dom").file(
            "dist/static/1.js",
            "k=r.__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED,w=x.__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED.y;\
             if(!t.isReactComponent)",
        ).package("/peerDependencies", json!({}))),
        ("a library that has the provider", frontend().file(
            "dist/static/4.js",
            "n.d(t,{ScalprumProvider:()=>a});t.ScalprumProvider=b;function ScalprumProvider(){}",
        )),
        ("the provider in a source map", frontend().file("dist/static/4.js.map", "<ScalprumProvider>")),
        ("a dependency that is compiled in", asking("x", "exports.x = function x() {};")),
        ("a dependency in a comment", asking("x", "/** @type {import('x').Y} */\n// require('x')\na();")),
        ("a dependency in text", asking("x", "a = 'require(x)'; b.require('x'); require('x' + c); require('xy/x');")),
        ("a dependency of Node", asking("events", "require('events');")),
        ("a dependency of what does not run", asking("x", "").file("cli/a.js", "require('x')")),
        ("a dependency of a dependency", asking("x", "").file("dist/node_modules/a/a.js", "require('x')")),
        ("a dependency nearby", asking("x", "require('x')").file("dist/node_modules/x/package.json", "{}")),
        ("a dependency beside a large script", asking("x", "require('x')").file("dist/b.js", vec![b' '; SCRIPT + 1])),
        ("exports of another chunk", exporting("{}", "dynamicRoutes:[{importName:\"Tab\"}]").file(
            "dist/static/0.js",
            "t.Tab=1",
        )),
        ("exports by quoted names", exporting("{\"Tab\":()=>r}", "dynamicRoutes:[{importName:\"Tab\"}]")),
        ("exports by an older helper", exporting("\"Tab\",()=>r", "dynamicRoutes:[{importName:\"Tab\"}]")),
        ("exports in text that is code", exporting("{}", "dynamicRoutes:[{importName:\"Tab\"}],x:\"Tab:()=>r\"")),
        ("exports that are computed", exporting("{}", "dynamicRoutes:[{importName:a},{importName:\"\\x41a\"}]")),
        ("exports in a comment", exporting("{}", "dynamicRoutes:[]/* {importName:\"Tab\"} */")),
        ("exports of no list", exporting("{}", "importName:\"Tab\"")),
        ("exports in a linked script", frontend()
            .without("dist/static/2.js")
            .file("2.js", EXPORTS)
            .made("dist/static/2.js", Made::Link("../../2.js"))),
        ("exports beside a large script", exporting("{}", "dynamicRoutes:[{importName:\"Tab\"}]").file(
            "dist/b.js",
            vec![b' '; SCRIPT + 1],
        )),
    ] {
        let checked = plugin.check();
        assert_eq!(checked.findings(), [], "{name}");
    }
}

#[test]
fn limits_hold_at_the_limit() {
    let exact = |limits: &mut Limits| {
        limits.entries = 17;
        limits.depth = 5;
        limits.path = "package/node_modules/@acme/words/package.json".len();
        limits.component = "index.cjs.js".len().max(".config-schema.json".len());
        limits.file = 1024;
    };
    assert_eq!(ids(&Plugin::backend().limited(exact).check()), [""; 0]);
}

#[test]
fn a_script_is_judged_up_to_its_limit() {
    let script = |len: usize| Plugin::backend().file("dist/index.cjs.js", vec![b' '; len]);
    assert_eq!(ids(&script(SCRIPT).check()), ["main-no-default-export"]);
    assert_eq!(ids(&script(SCRIPT + 1).check()), [""; 0]);
    let bundle = |len: usize| Plugin::frontend().file("dist/static/2.js", vec![b' '; len]);
    assert_eq!(ids(&bundle(SCRIPT).check()), ["plugin-exports-missing"]);
    assert_eq!(ids(&bundle(SCRIPT + 1).check()), [""; 0]);
}

#[test]
fn claimed_names_are_judged_up_to_their_limits() {
    let claiming = |name: String| exporting("{}", &format!("dynamicRoutes:[{{importName:\"{name}\"}}]")).check();
    assert_eq!(ids(&claiming("A".repeat(256))), ["exports-unknown"]);
    assert_eq!(ids(&claiming("A".repeat(257))), [""; 0]);
    let many = |count: usize, last: &str| {
        let names: Vec<_> = (1..count).map(|n| format!("A{n}:1")).collect();
        let routes: Vec<_> = (1..count).map(|n| format!("{{importName:\"A{n}\"}}")).collect();
        let lists = format!("dynamicRoutes:[{},{{importName:\"{last}\"}}]", routes.join(","));
        exporting(&format!("{{{}}}", names.join(",")), &lists).check()
    };
    assert_eq!(ids(&many(64, "B")), ["exports-unknown"]);
    assert_eq!(ids(&many(65, "B")), [""; 0]);
}

#[test]
fn a_federation_manifest_is_read_up_to_its_limit() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let plugin = Plugin::frontend();
    let mut text = plugin.manifest.to_string();
    text.push_str(&" ".repeat(LIMIT - text.len()));
    assert_eq!(ids(&plugin.file("dist/mf-manifest.json", text).check()), [""; 0]);
}

#[test]
fn several_mistakes_are_all_told_in_the_order_of_the_rules() {
    let plugin = Plugin::frontend()
        .package("/name", Value::Null)
        .package("/version", json!(7))
        .manifest("/metaData", json!({}))
        .made("z", Made::Link("/z"))
        .made("a", Made::Link("/a"));
    let checked = plugin.check();
    assert_eq!(
        ids(&checked),
        [
            "name-invalid",
            "version-invalid",
            "mf-remote-entry-missing",
            "mf-global-name-missing",
            "mf-public-path-missing",
            "link-stray",
            "link-stray"
        ]
    );
    assert_eq!(checked.destination(), None);
    assert_eq!(checked.findings()[5].path.as_deref(), Some("a"));
}

#[test]
fn a_finding_names_file_and_line() {
    let syntax = Plugin::backend().file("dist/index.cjs.js", "// a\n\nexport default 1;\n").check();
    let json = Plugin::backend().file("package.json", "{\n  \"name\": 1,\n}").check();
    let role = Plugin::backend()
        .file("package.json", "{\"name\":\"x\",\"version\":\"1\",\n\"backstage\":{\n\"role\":\"a\"}}")
        .check();
    let dependency = asking("x", "// a\n'use strict';\nrequire('x');").check();
    let claim = exporting("\n{}", "dynamicRoutes:[\n{importName:\"Tab\"}]").check();
    for (checked, path, line) in [
        (syntax, "dist/index.cjs.js", 3),
        (json, "package.json", 3),
        (role, "package.json", 3),
        (dependency, "dist/lazy/a.js", 3),
        (claim, "dist/static/2.js", 3),
    ] {
        let finding = &checked.findings()[0];
        assert_eq!((finding.path.as_deref(), finding.line), (Some(path), Some(line)), "{finding:?}");
    }
}

#[test]
fn plugins_that_end_in_one_folder_collide() {
    let named = |name: &str| Plugin::backend().package("/name", json!(name)).check();
    let checked = [named("@acme/a-b"), named("@acme-a/b"), named("@acme/c"), named("acme-a-b-dynamic"), named("..")];
    let findings = collisions(&checked);
    assert_eq!(findings.len(), 2);
    assert!(findings.iter().all(|finding| finding.rule.id == "destination-collision"));
    assert!(findings[0].message.contains("acme-a-b-dynamic"), "{}", findings[0].message);
    assert_eq!(collisions(&checked[2..]), []);
}

#[test]
fn hostile_text_reaches_no_message_unescaped() {
    let evil = "a\u{1b}[2J\u{202e}\n";
    let plugins = [
        Plugin::backend().package("/backstage/role", json!(evil)),
        Plugin::backend().package("/main", json!(evil)),
        asking(evil, &format!("require('{evil}')")),
        Plugin::backend().file(evil, ""),
        Plugin::frontend().manifest("/metaData/publicPath", json!(evil.repeat(1000))),
        Plugin::frontend().manifest("/metaData/remoteEntry/name", json!(evil)),
        Plugin::frontend().manifest("/exposes", json!([{ "name": evil }])),
        exporting("{}", &format!("dynamicRoutes:[{{importName:'{}'}}]", evil.trim_end())),
    ];
    for plugin in plugins {
        let checked = plugin.check();
        assert_eq!(checked.findings().len(), 1);
        let finding = &checked.findings()[0];
        let shown = format!("{}{}", finding.message, finding.path.as_deref().unwrap_or(""));
        assert!(shown.contains("\\u{1b}") || finding.rule.id == "role-invalid", "{shown}");
        assert!(!shown.chars().any(|char| char.is_control() || char == '\u{202e}'), "{shown:?}");
        assert!(shown.len() < 1024);
    }
}

#[test]
fn at_most_fifty_findings_are_kept_for_a_rule() {
    let many = (0..60).fold(Plugin::backend(), |plugin, n| plugin.made(format!("l{n}"), Made::Link("/x")));
    assert_eq!(many.check().findings().len(), 50);
}
