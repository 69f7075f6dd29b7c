//! `cargo xtask demo`: two plugins checked, published and installed, and a tampered one turned away, in one folder.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use testkit::{Registry, Tree};

use crate::command::{self, cargo};
use crate::workspace;

const INSTALLER: &str = "butler-plugin-installer";
const PUBLISHER: &str = "butler-plugin-publisher";
/// The exit status of both when all went well.
const DONE: i32 = 0;
/// The installer's exit status when a plugin was rejected and the run was to be all or nothing.
const REJECTED: i32 = 1;
/// Characters of a SHA-256 in hex.
const DIGEST_LEN: usize = 64;

/// A plugin as an exporter leaves it: its folder's name, and its files.
type Plugin = (&'static str, &'static [(&'static str, &'static str)]);

const PLUGINS: [Plugin; 2] = [
    (
        "hello-backend",
        &[
            (
                "package.json",
                r#"{ "name": "hello-backend-dynamic", "version": "1.0.0", "main": "dist/index.cjs.js",
  "backstage": { "role": "backend-plugin", "pluginId": "hello" } }"#,
            ),
            ("dist/index.cjs.js", "exports.default = { $$type: '@backstage/BackendFeature' };\n"),
        ],
    ),
    (
        "hello-frontend",
        &[
            (
                "package.json",
                r#"{ "name": "hello-frontend-dynamic", "version": "1.0.0", "main": "dist/index.js",
  "backstage": { "role": "frontend-plugin", "pluginId": "hello" } }"#,
            ),
            (
                "dist/mf-manifest.json",
                r#"{ "id": "hello", "name": "hello",
  "metaData": { "remoteEntry": { "name": "remoteEntry.js" }, "globalName": "hello", "publicPath": "auto" },
  "shared": [{ "name": "react", "singleton": true }], "exposes": [{ "name": ".", "path": "." }] }"#,
            ),
            (
                "dist/remoteEntry.js",
                "var hello = { Hello: () => 'hello', dynamicPluginsExports: {\n  \
                 dynamicRoutes: [{ path: '/hello', importName: 'Hello' }] } };\n",
            ),
        ],
    ),
];

/// Shows the way of a plugin from a folder to the root, and of a tampered one to the log.
pub(crate) fn run() -> anyhow::Result<()> {
    play(&mut io::stdout())
}

/// What [`run`] shows.
pub(crate) fn record() -> anyhow::Result<String> {
    let mut shown = Vec::new();
    play(&mut shown)?;
    String::from_utf8(shown).context("the demo printed something that is not UTF-8")
}

fn play(out: &mut dyn Write) -> anyhow::Result<()> {
    command::run(&mut cargo(&["build", "--locked", "--package", INSTALLER, "--package", PUBLISHER]))?;
    let folder = tempfile::tempdir().context("could not create a folder for the demo")?;
    let desk = folder.path();
    for (name, files) in PLUGINS {
        files.iter().try_for_each(|(path, text)| write_file(&desk.join(name).join(path), text))?;
    }
    let registry = Registry::start();
    let reference = |name: &str| format!("oci://{}/my-org/{name}:1.0.0", registry.host());

    step(out, "1. An author checks two plugins", "What a portal would not take, or not run, would be told here:")?;
    program(out, PUBLISHER, desk, &["check", "hello-backend", "hello-frontend"], DONE)?;

    step(
        out,
        "2. The author pushes them to a registry, which runs in this process",
        "The last lines of each are for the operator's values. The same folder has the same integrity on every machine:",
    )?;
    let mut list = format!("allowedSources:\n  - oci://{}/my-org\nplugins:\n", registry.host());
    for (name, _) in PLUGINS {
        let block = program(out, PUBLISHER, desk, &["push", name, &reference(name)], DONE)?;
        // The entry alone, as it stands below `plugins` in the file.
        for line in block.lines().skip_while(|line| *line != "dynamicPlugins:").skip(2) {
            writeln!(list, "{}", line.strip_prefix("  ").unwrap_or(line))?;
        }
    }

    step(
        out,
        "3. The operator lists them",
        "This file is what the chart makes of `dynamicPlugins` in its values. Everything from elsewhere is refused:",
    )?;
    write!(out, "{list}")?;

    step(
        out,
        "4. The installer runs, as the portal's initContainer does",
        "Each record says what became of a plugin; `digest_verified=ok` says that the bytes are the promised ones:",
    )?;
    let portal = Portal::new(&desk.join("node-1"), &list)?;
    portal.install(out, DONE)?;
    portal.show(
        out,
        "A folder is named after its plugin's `package.json`.\n\
         The two files with a dot are the installer's lock and its record. Mode, kind, path, SHA-256:",
    )?;

    step(out, "5. The container starts again", "The files are as they were installed, so that nothing is fetched:")?;
    portal.install(out, DONE)?;

    step(
        out,
        "6. Someone replaces `hello-backend:1.0.0` in the registry, and the pod starts on another node",
        "Without `--force` the publisher refuses to. The tag is the same then, the bytes are not. One rejected plugin\n\
         ends the run, as `continueOnError` is not set:",
    )?;
    write_file(&desk.join("hello-backend/dist/extra.js"), "steal();\n")?;
    program(out, PUBLISHER, desk, &["push", "hello-backend", &reference("hello-backend"), "--force"], DONE)?;
    let portal = Portal::new(&desk.join("node-2"), &list)?;
    portal.install(out, REJECTED)?;
    portal.show(out, "No plugin is on the volume, the good one neither; what is left is the lock's file:")
}

/// Says what comes next, and what to look at.
fn step(out: &mut dyn Write, title: &str, text: &str) -> io::Result<()> {
    writeln!(out, "\n=== {title}\n\n{text}\n")
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    fs::write(path, text).with_context(|| format!("could not write `{}`", path.display()))
}

/// Runs one of the programs with an empty environment, and shows what it prints. Answers with that.
fn program(
    out: &mut dyn Write,
    name: &str,
    folder: &Path,
    arguments: &[&str],
    expected: i32,
) -> anyhow::Result<String> {
    let path = workspace::target()?.join("debug").join(name);
    // One pipe for both, as at a terminal: the lines of both streams come in their order.
    let (mut reader, writer) = io::pipe()?;
    let mut command = Command::new(&path);
    command.args(arguments).current_dir(folder).env_clear().stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("could not start `{}`", path.display()))?;
    // Else the pipe never ends.
    drop(command);
    let output = io::read_to_string(&mut reader)?;
    let status = child.wait()?;
    write!(out, "$ {name} {}\n{output}", arguments.join(" "))?;
    ensure!(status.code() == Some(expected), "expected `{name}` to end with {expected}, found {status}");
    writeln!(out, "\nIts exit status is {expected}.\n")?;
    Ok(output)
}

/// What the chart gives to the installer: a file to read and a volume to fill.
struct Portal {
    folder: PathBuf,
}

impl Portal {
    fn new(folder: &Path, list: &str) -> anyhow::Result<Self> {
        let root = folder.join("dynamic-plugins-root");
        fs::create_dir_all(&root).with_context(|| format!("could not create `{}`", root.display()))?;
        write_file(&folder.join("dynamic-plugins.yaml"), list)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn install(&self, out: &mut dyn Write, expected: i32) -> anyhow::Result<()> {
        let arguments = ["--config", "dynamic-plugins.yaml", "--root", "dynamic-plugins-root"];
        program(out, INSTALLER, &self.folder, &arguments, expected).map(drop)
    }

    /// Prints what is on the root, with the digests cut to what an eye can compare.
    fn show(&self, out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
        let root = self.folder.join("dynamic-plugins-root");
        let tree = Tree::of(&root).with_context(|| format!("could not list `{}`", root.display()))?;
        writeln!(out, "{text}\n")?;
        for line in tree.lines() {
            match line.rsplit_once(' ') {
                Some((entry, digest)) if digest.len() == DIGEST_LEN => writeln!(out, "{entry}  {}…", &digest[..12])?,
                _ => writeln!(out, "{line}")?,
            }
        }
        Ok(())
    }
}
