//! Where a scene plays: a registry with the images, an npm registry with the plugin, a folder and a root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::assert::OutputAssertExt as _;
use serde_json::json;
use tempfile::TempDir;
use testkit::{DockerRegistry, HttpServer, Reply, sha256_digest};

use crate::FIXTURES;
use crate::outcome::Outcome;

const INSTALLER: &str = env!("CARGO_BIN_EXE_butler-plugin-installer");
const TARBALL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/fixtures/janus-idp-backstage-plugin-ocm-backend-dynamic-4.0.11.tgz"
);
const NPM_LIST: &str = include_str!("../../../../fixtures/rhdh/npm.toml");
/// The folders of a scene that are laid over its files before a further run.
const FURTHER_RUNS: [&str; 2] = ["then", "finally"];
/// What `DIGEST` in a scene is the digest of.
const PINNED: &str = "plugins/one:1.0";

/// What all scenes share: images that buildah made, in a registry that is not ours, and a published plugin.
pub(crate) struct Built {
    registry: DockerRegistry,
    npm: HttpServer,
    output: TempDir,
    digest: String,
}

impl Built {
    pub(crate) fn new() -> Self {
        let registry = DockerRegistry::open();
        let output = tempfile::tempdir().unwrap();
        let mut build = Command::new("sh");
        build.arg(format!("{FIXTURES}/build.sh")).arg(output.path()).arg(registry.host());
        build.assert().success();
        let mut inspect = Command::new("skopeo");
        inspect.args(["--insecure-policy", "inspect", "--raw", "--tls-verify=false"]);
        let manifest = inspect.arg(format!("docker://{}/{PINNED}", registry.host())).assert().success();
        let digest = sha256_digest(&manifest.get_output().stdout);
        let digest = digest.trim_start_matches("sha256:").to_owned();
        Self { registry, npm: npm(), output, digest }
    }
}

/// A registry of npm's with one package in one version.
fn npm() -> HttpServer {
    let tarball = fs::read(TARBALL);
    let tarball = tarball.unwrap_or_else(|error| panic!("`{TARBALL}`: {error}; `cargo xtask fixtures` downloads it"));
    let value = |key: &str| {
        let mut fields = NPM_LIST.lines().filter_map(|line| line.split_once(" = "));
        fields.find(|(name, _)| *name == key).unwrap().1.trim_matches('"')
    };
    let (name, version, integrity) = (value("name"), value("version"), value("integrity"));
    HttpServer::start(move |request| {
        let dist = json!({ "tarball": format!("{}/tarball.tgz", request.origin), "integrity": integrity });
        let package = json!({
            "name": name,
            "dist-tags": { "latest": version },
            "versions": { version: { "name": name, "version": version, "dist": dist } },
        });
        match request.path.replace("%2f", "/") {
            path if path == "/tarball.tgz" => Reply::ok().body(tarball.clone()),
            path if path.trim_start_matches('/') == name => Reply::ok().json(&package),
            _ => Reply::status(404),
        }
    })
}

/// A folder with the scene's files, and the root; both stay from run to run.
pub(crate) struct Stage<'a> {
    built: &'a Built,
    scratch: TempDir,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(built: &'a Built) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("root")).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("--archive").arg(built.output.path().join("local")).arg(scratch.path().join("folder"));
        copy.assert().success();
        let containers = scratch.path().join("home/.config/containers");
        fs::create_dir_all(&containers).unwrap();
        let host = built.registry.host();
        fs::write(
            containers.join("registries.conf"),
            format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"),
        )
        .unwrap();
        Self { built, scratch }
    }

    /// Runs the installer on the scene's files, and on what is laid over them.
    pub(crate) fn play(&self, scene: &str) -> Vec<Outcome> {
        let scene = Path::new(FIXTURES).join("scenes").join(scene);
        let further = FURTHER_RUNS.iter().map(|name| scene.join(name)).filter(|step| step.is_dir());
        std::iter::once(scene.clone()).chain(further).map(|step| self.run(&step)).collect()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn run(&self, step: &Path) -> Outcome {
        let mut command = Command::new(INSTALLER);
        // As many as the original had, so that lines come in an order.
        let environment = [("DYNAMIC_PLUGINS_WORKERS", "1"), ("DYNAMIC_PLUGINS_NPM_WORKERS", "1")];
        command
            .env_clear()
            .envs(environment)
            .env("DYNAMIC_PLUGINS_DIALECT", "rhdh")
            .env("HOME", self.at("home"))
            .env("NPM_CONFIG_REGISTRY", self.built.npm.origin())
            .current_dir(self.at("folder"))
            .arg("--termination-log")
            .arg(self.at("termination-log"))
            .arg(self.at("root"));
        for file in fs::read_dir(step).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
            let text = self.filled_in(&fs::read_to_string(file.path()).unwrap());
            match file.file_name().to_str().unwrap() {
                "env" => {
                    let lines = text.lines().filter(|line| !line.starts_with('#'));
                    command.envs(lines.map(|line| line.split_once('=').unwrap()));
                }
                "retag" => self.retag(text.split_once(' ').unwrap()),
                name => fs::write(self.at("folder").join(name), text).unwrap(),
            }
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| self.placeholders(str::from_utf8(bytes).unwrap());
        Outcome {
            status: output.status.code().unwrap().into(),
            log: crate::log::client_lines(&text(&output.stdout)),
            failure: crate::log::failure(&text(&output.stderr)),
            config: crate::app_config::read(&self.at("root").join(crate::outcome::APP_CONFIG)),
            root: crate::outcome::tree(&self.at("root"), |path| self.placeholders(path)),
            entities: crate::outcome::tree(&self.at("folder/entities"), |path| self.placeholders(path)),
        }
    }

    /// A scene's text with what its words stand for.
    fn filled_in(&self, text: &str) -> String {
        let folder = self.at("folder").display().to_string();
        text.replace("REGISTRY", self.built.registry.host())
            .replace("FOLDER", &folder)
            .replace("DIGEST", &self.built.digest)
    }

    /// The other way, and as the facts have it.
    fn placeholders(&self, text: &str) -> String {
        let host = self.built.registry.host();
        text.replace(&self.at("root").display().to_string(), "ROOT")
            .replace(&self.at("folder").display().to_string(), "FOLDER")
            .replace(host, "REGISTRY")
            .replace(&host.replace([':', '/', '@'], "_"), "REGISTRY")
            .replace(&self.built.digest, "DIGEST")
    }

    /// Makes the second name mean the first.
    fn retag(&self, (from, to): (&str, &str)) {
        let image = |name: &str| format!("docker://{}/{}", self.built.registry.host(), name.trim());
        let mut copy = Command::new("skopeo");
        copy.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        copy.arg(image(from)).arg(image(to)).assert().success();
    }
}
