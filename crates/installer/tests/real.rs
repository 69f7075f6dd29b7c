//! Published plugins, installed by the real binary: the same tree as GNU tar makes of the same tarball.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test works with paths")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::assert::OutputAssertExt as _;
use testkit::{Ca, HttpServer, Recorder, Registry, Reply, Tree};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const LIST: &str = include_str!("../../../fixtures/real.toml");

/// A plugin as `fixtures/real.toml` lists it.
struct Published {
    name: &'static str,
    version: &'static str,
    integrity: &'static str,
}

impl Published {
    fn all() -> Vec<Self> {
        let value = |table: &'static str, key: &str| {
            let mut fields = table.lines().filter_map(|line| line.split_once(" = "));
            fields.find(|(name, _)| *name == key).unwrap().1.trim_matches('"')
        };
        let plugin = |table| Self {
            name: value(table, "name"),
            version: value(table, "version"),
            integrity: value(table, "integrity"),
        };
        LIST.split("[[plugin]]").skip(1).map(plugin).collect()
    }

    /// Its name as one component: `@scope/x` is `scope-x`.
    fn flat_name(&self) -> String {
        self.name.trim_start_matches('@').replace('/', "-")
    }

    fn tarball(&self) -> PathBuf {
        let file = format!("{}-{}.tgz", self.flat_name(), self.version);
        let path = Path::new(WORKSPACE).join("target/fixtures").join(file);
        assert!(path.is_file(), "`{}` is missing: `cargo xtask fixtures` downloads it", path.display());
        path
    }

    /// What GNU tar makes of the tarball, with the modes that every installed plugin has.
    fn unpacked_by_tar(&self) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        Command::new("tar")
            .args(["--extract", "--gzip", "--strip-components=1", "--preserve-permissions", "--no-same-owner"])
            .arg("--file")
            .arg(self.tarball())
            .arg("--directory")
            .arg(folder.path())
            .assert()
            .success();
        Tree::of(folder.path()).unwrap().lines().iter().map(|line| with_mode_of_an_installed_file(line)).collect()
    }
}

/// Turns the mode at the start of a line into what it is on a root: `0644`, with any execute bit `0755`.
fn with_mode_of_an_installed_file(line: &str) -> String {
    let (mode, rest) = line.split_once(' ').unwrap();
    let executable = u32::from_str_radix(mode, 8).unwrap() & 0o111 != 0;
    let mode = match rest.split(' ').next().unwrap() {
        "dir" => "0755",
        "file" if executable => "0755",
        "file" => "0644",
        _ => mode,
    };
    format!("{mode} {rest}")
}

/// A file to read and a volume to fill.
struct Portal {
    folder: tempfile::TempDir,
    ca: Ca,
}

impl Portal {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        Self { folder, ca: Ca::new() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary as the chart does, and returns its standard output.
    fn install(&self, allowed: &str, packages: &[String]) -> String {
        let mut config = format!("allowedSources:\n  - {allowed}\nplugins:\n");
        for (package, plugin) in packages.iter().zip(Published::all()) {
            write!(config, "  - package: {package}\n    integrity: {}\n", plugin.integrity).unwrap();
        }
        fs::write(self.at("dynamic-plugins.yaml"), config).unwrap();
        fs::write(self.at("ca.pem"), self.ca.pem()).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_butler-plugin-installer"))
            .arg("--config")
            .arg(self.at("dynamic-plugins.yaml"))
            .arg("--root")
            .arg(self.at("root"))
            .env_clear()
            .env("SSL_CERT_FILE", self.at("ca.pem"))
            .assert()
            .success();
        String::from_utf8(run.get_output().stdout.clone()).unwrap()
    }

    /// Installs everything twice: first from the network, then finding that nothing is to be done.
    fn installs(&self, allowed: &str, packages: &[String], requests: &Recorder) {
        let log = self.install(allowed, packages);
        assert_eq!(log.matches("event=plugin_installed").count(), packages.len(), "{log}");
        assert_eq!(log.matches("digest_verified=ok").count(), packages.len(), "{log}");
        for plugin in Published::all() {
            let installed = Tree::of(&self.at("root").join(plugin.flat_name())).unwrap();
            assert_same(plugin.name, installed.lines(), &plugin.unpacked_by_tar());
        }
        let before = Tree::with_owners_and_times(&self.at("root")).unwrap();
        let asked = requests.requests().len();

        let log = self.install(allowed, packages);
        assert_eq!(log.matches("reason=unchanged").count(), packages.len(), "{log}");
        assert_eq!(requests.requests().len(), asked);
        assert_eq!(plugins_of(&Tree::with_owners_and_times(&self.at("root")).unwrap()), plugins_of(&before));
    }
}

/// The lines of the plugins' folders: the program's own files are rewritten in every run.
fn plugins_of(tree: &Tree) -> Vec<&String> {
    tree.lines().iter().filter(|line| !line.contains(" .butler-plugins.")).collect()
}

/// Names the first entry that differs, where a comparison of thousands of lines would name none.
fn assert_same(name: &str, installed: &[String], expected: &[String]) {
    for (ours, theirs) in installed.iter().zip(expected) {
        assert_eq!(ours, theirs, "{name}");
    }
    assert_eq!(installed.len(), expected.len(), "{name}");
}

#[test]
fn published_plugins_come_over_https_as_gnu_tar_unpacks_them() {
    let portal = Portal::new();
    let plugins = Published::all();
    let tarballs: Vec<_> = plugins.iter().map(|plugin| fs::read(plugin.tarball()).unwrap()).collect();
    let server = HttpServer::builder().tls(&portal.ca).start(move |request| {
        let number = request.path.strip_prefix("/plugins/").and_then(|name| name.strip_suffix(".tgz"));
        match number.and_then(|number| tarballs.get(number.parse::<usize>().ok()?)) {
            Some(bytes) => Reply::ok().header("content-type", "application/octet-stream").body(bytes.clone()),
            None => Reply::status(404),
        }
    });
    let packages: Vec<_> = (0..plugins.len()).map(|number| server.url(&format!("/plugins/{number}.tgz"))).collect();
    portal.installs(&server.url("/plugins"), &packages, server.recorder());
}

#[test]
fn published_plugins_come_from_a_registry_as_gnu_tar_unpacks_them() {
    let portal = Portal::new();
    let registry = Registry::builder().tls(&portal.ca).start();
    let push = |plugin: Published| {
        let repository = format!("my-org/{}", plugin.flat_name());
        let pushed = registry.push(&repository, plugin.version, &fs::read(plugin.tarball()).unwrap());
        assert_eq!(pushed.integrity, plugin.integrity, "{}", plugin.name);
        pushed.reference
    };
    let packages: Vec<_> = Published::all().into_iter().map(push).collect();
    portal.installs(&format!("oci://{}/my-org", registry.host()), &packages, registry.recorder());
}

#[test]
fn the_list_has_a_small_plugin_a_large_one_and_one_of_many_files() {
    let plugins = Published::all();
    let size = |plugin: &Published| fs::metadata(plugin.tarball()).unwrap().len();
    assert!(plugins.iter().any(|plugin| size(plugin) < 100 * 1024));
    assert!(plugins.iter().any(|plugin| (1024 * 1024..5 * 1024 * 1024).contains(&size(plugin))));
    let files = |plugin: &Published| plugin.unpacked_by_tar().iter().filter(|line| line.contains(" file ")).count();
    assert!(plugins.iter().any(|plugin| files(plugin) > 1000));
}
