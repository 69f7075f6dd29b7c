//! What a chart of Red Hat Developer Hub gives its installer: a working folder, a volume, variables.

use std::ffi::OsString;
use std::fs;
use std::ops::Deref;
use std::process::Command;

use base64ct::{Base64, Encoding as _};
use serde_json::{Map, Value, json};
use testkit::{HttpServer, Image, OCI_LAYER, Plugin, Pushed, Recorder, Registry, Reply, Request, Tarball, sri};

use crate::portal::{Portal, Run, Running};

/// What RHDH's own tool writes beside the plugins of an image.
pub(crate) const ANNOTATION: &str = "io.backstage.dynamic-packages";
pub(crate) const APP_CONFIG: &str = "app-config.dynamic-plugins.yaml";

/// A portal whose installer is called as RHDH's is.
pub(crate) struct Hub {
    portal: Portal,
    variables: Vec<(String, OsString)>,
}

impl Deref for Hub {
    type Target = Portal;

    fn deref(&self) -> &Portal {
        &self.portal
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        let portal = Portal::new();
        // What this machine has in its own file is no part of a story.
        let registries = portal.write("registries.conf", "");
        let mut hub = Self { portal, variables: Vec::new() };
        hub.set("CONTAINERS_REGISTRIES_CONF", registries);
        hub
    }

    /// One whose file has these entries.
    pub(crate) fn listing(entries: &[&str]) -> Self {
        let hub = Self::new();
        hub.plugins_are(entries);
        hub
    }

    /// Writes the file anew: each entry is its text behind `package: `, more keys on lines of their own.
    pub(crate) fn plugins_are(&self, entries: &[&str]) {
        self.list(&format!("plugins:{}", plugins(entries)));
    }

    pub(crate) fn list(&self, text: &str) {
        self.write("dynamic-plugins.yaml", text);
    }

    /// The same in our own dialect.
    pub(crate) const fn portal(&self) -> &Portal {
        &self.portal
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(set, _)| set != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.portal.command().get_program());
        command
            .env_clear()
            .env("DYNAMIC_PLUGINS_DIALECT", "rhdh")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path("."))
            .arg("--termination-log")
            .arg(self.path("termination-log"))
            // Whoever waits between tries says so.
            .arg("--tries=1")
            .arg(self.root());
        command
    }

    pub(crate) fn install(&self) -> Run {
        self.run(self.command())
    }

    pub(crate) fn install_with(&self, arguments: &[&str]) -> Run {
        let mut command = self.command();
        command.args(arguments);
        self.run(command)
    }

    pub(crate) fn start(&self) -> Running<'_> {
        self.portal.start(|command| {
            *command = self.command();
            command
        })
    }

    /// A file on the volume.
    pub(crate) fn installed(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn app_config(&self) -> String {
        self.installed(APP_CONFIG)
    }
}

/// The value of `plugins`.
pub(crate) fn plugins(entries: &[&str]) -> String {
    if entries.is_empty() { " []\n".to_owned() } else { format!("\n{}", entries.iter().map(item).collect::<String>()) }
}

fn item(entry: &&str) -> String {
    format!("  - package: {}\n", entry.trim_end().replace('\n', "\n    "))
}

/// A plugin, its code with a mark to tell it by.
pub(crate) fn plugin(name: &str, mark: &str) -> Plugin {
    Plugin::backend(name).file("dist/mark", mark)
}

/// The `package.json` of a plugin that a test makes by hand.
pub(crate) fn manifest(name: &str) -> String {
    json!({ "name": name, "version": "1.0.0", "backstage": { "role": "backend-plugin" } }).to_string()
}

/// An image with these plugins, each in the folder of its name, and without a word about them.
pub(crate) fn bare_image(names: &[&str], mark: &str) -> Image {
    let add = |archive, name: &&str| plugin(name, mark).add_to(archive, name);
    Image::new(OCI_LAYER, &names.iter().fold(Tarball::new(), add).gzip())
}

/// The same with the annotation that RHDH's tool writes.
pub(crate) fn image(names: &[&str], mark: &str) -> Image {
    bare_image(names, mark).annotation(ANNOTATION, &annotation(names))
}

pub(crate) fn annotation(names: &[&str]) -> String {
    let element = |name: &&str| {
        let about = json!({ "name": name, "version": "1.0.0", "backstage": { "role": "backend-plugin" } });
        Value::Object(Map::from_iter([((*name).to_owned(), about)]))
    };
    Base64::encode_string(names.iter().map(element).collect::<Value>().to_string().as_bytes())
}

/// Pushes [`image`] as `rhdh/<repository>`.
pub(crate) fn push(registry: &Registry, repository: &str, tag: &str, names: &[&str], mark: &str) -> Pushed {
    registry.push_image(&format!("rhdh/{repository}"), tag, &image(names, mark))
}

/// A reference by digest in place of the one by tag.
pub(crate) fn pinned(pushed: &Pushed) -> String {
    let (image, _tag) = pushed.reference.rsplit_once(':').unwrap();
    format!("{image}@{}", pushed.digest)
}

/// Requests as `METHOD path`.
pub(crate) fn asked(recorder: &Recorder) -> Vec<String> {
    recorder.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

/// A registry of npm with one package, in whose tarballs the version is the mark.
pub(crate) struct Npm {
    pub(crate) name: &'static str,
    tarballs: Vec<(&'static str, Vec<u8>)>,
}

impl Npm {
    pub(crate) fn new(name: &'static str, versions: &[&'static str]) -> Self {
        let tarball = |version: &&'static str| (*version, plugin(name, version).version(version).tarball());
        Self { name, tarballs: versions.iter().map(tarball).collect() }
    }

    pub(crate) fn integrity(&self, version: &str) -> String {
        sri(&self.tarballs.iter().find(|(own, _)| *own == version).unwrap().1)
    }

    /// What it answers; `None` where another package is asked for. The newest is tagged `latest`, the oldest `old`.
    pub(crate) fn answer(&self, request: &Request) -> Option<Reply> {
        let below = request.path.strip_prefix("/npm/")?;
        let own = below.replace("%2f", "/").replace("%2F", "/");
        if own == self.name {
            return Some(Reply::ok().json(&self.packument(&request.origin)));
        }
        let file = own.strip_prefix(self.name)?.strip_prefix("/-/")?.strip_suffix(".tgz")?;
        let (_, tarball) = self.tarballs.iter().find(|(version, _)| *version == file)?;
        Some(Reply::ok().body(tarball.clone()))
    }

    fn packument(&self, origin: &str) -> Value {
        let version = |(version, tarball): &(&str, Vec<u8>)| {
            let at = format!("{origin}/npm/{}/-/{version}.tgz", self.name);
            let dist = json!({ "tarball": at, "integrity": sri(tarball) });
            ((*version).to_owned(), json!({ "name": self.name, "version": version, "dist": dist }))
        };
        let [oldest, newest] = [self.tarballs.first(), self.tarballs.last()].map(|of| of.unwrap().0);
        json!({
            "name": self.name,
            "dist-tags": { "latest": newest, "old": oldest },
            "versions": self.tarballs.iter().map(version).collect::<Map<_, _>>(),
        })
    }

    /// Serves it alone, over plain http.
    pub(crate) fn serve(self) -> HttpServer {
        HttpServer::start(move |request| self.answer(request).unwrap_or_else(|| Reply::status(404)))
    }
}
