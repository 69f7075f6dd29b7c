//! What a reader has who follows a page: the programs, a folder with plugins and lists, registries under their names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use tempfile::TempDir;
use testkit::{Auth, Bearer, HttpServer, Login, Plugin, Proxy, Quirks, Registry, Reply, World, docker_config};

use crate::workspace;

const PROGRAMS: [&str; 2] = ["butler-plugin-installer", "butler-plugin-publisher"];
/// The account of every registry, and of the server of artifacts.
const USER: &str = "my-robot";
const PASSWORD: &str = "made-password";

/// What a page calls it, and what the test has in its place. In what is printed it goes the other way.
type Substitution = (&'static str, String);

/// A reader's desk. Names such as `ghcr.io` are those of a [`World`], which the programs reach through its proxy.
pub(crate) struct Desk {
    folder: TempDir,
    world: World,
    proxy: Proxy,
    substitutions: Vec<Substitution>,
    _servers: ([Registry; 3], HttpServer),
}

impl Desk {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let [github, quay] = [Quirks::ghcr(), Quirks::quay()].map(|quirks| world.registry(of_the_account(quirks)));
        github.push("my-org/my-hello", "1.2.3", &hello("my-hello").tarball());
        github.push("other-org/plugin", "2.0.0", &hello("other").tarball());
        let local = Registry::start();
        let files = Mutex::new(None::<Vec<u8>>);
        let artifacts = world.server("artifacts.example.com", move |request| {
            let mut kept = files.lock().unwrap();
            match request.method.as_str() {
                _ if request.bearer_token() != Some(PASSWORD) => Reply::status(401),
                "PUT" | "POST" => {
                    *kept = Some(request.body.to_vec());
                    Reply::status(201).header("location", "/hello-1.2.3.tgz")
                }
                _ => kept.clone().map_or(Reply::status(404), |bytes| Reply::ok().body(bytes)),
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let substitutions = vec![
            // First, as the folder of the desk may lie there.
            ("/tmp", at("tmp")),
            ("/dynamic-plugins-root", at("dynamic-plugins-root")),
            ("localhost:5000", local.host().to_owned()),
        ];
        let proxy = Proxy::start(&world);
        let desk = Self { folder, world, proxy, substitutions, _servers: ([github, quay, local], artifacts) };
        desk.lay_out();
        desk
    }

    /// The environment of the page's shell, and its folder.
    pub(crate) fn environment(&self, shell: &mut Command) {
        shell
            .env_clear()
            .current_dir(self.path("."))
            .env("HOME", self.path("home"))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display()))
            .env("TMPDIR", self.path("tmp"))
            .env("LC_ALL", "C.UTF-8")
            .env("HTTPS_PROXY", self.proxy.url())
            .env("SSL_CERT_FILE", self.path("home/ca.pem"))
            .env("BUTLER_PLUGINS_TERMINATION_LOG", self.path("home/termination-log"))
            .env("REGISTRY_TOKEN", PASSWORD)
            .env("WORKSPACE", workspace())
            .env("XTASK", env!("CARGO_BIN_EXE_xtask"));
    }

    /// A text of a page as it means something here. What asks for a password gets a terminal that types it.
    pub(crate) fn typed(&self, text: &str) -> String {
        let text = self.substitutions.iter().fold(text.to_owned(), |text, (word, here)| replace(&text, word, here));
        if text.starts_with("butler-plugin-publisher login ") && !text.contains("-stdin") {
            return format!("at-a-terminal '{text}'");
        }
        text
    }

    /// What was printed, as a page would show it.
    pub(crate) fn shown(&self, text: &str) -> String {
        let text = self.substitutions.iter().fold(text.to_owned(), |text, (word, here)| text.replace(here, word));
        text.replace(self.path(".").display().to_string().trim_end_matches('.'), "")
    }

    fn lay_out(&self) {
        self.write("home/ca.pem", self.world.ca().pem());
        self.write("home/.docker/config.json", docker_config("quay.io", USER, PASSWORD));
        self.write("token", PASSWORD);
        fs::create_dir(self.path("tmp")).unwrap();
        self.programs();
        for (folder, name) in [
            ("dist-dynamic", "hello"),
            ("backend/dist-dynamic", "hello-backend"),
            ("plugins/one/dist-dynamic", "one"),
            ("plugins/two/dist-dynamic", "two"),
        ] {
            self.plugin(folder, &hello(name));
        }
        let frontend = Plugin::frontend("hello-frontend").version("1.2.3");
        self.plugin("frontend/dist-dynamic", &frontend);
        for folder in ["docs", "fixtures"] {
            symlink(workspace().join(folder), self.path(folder)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/before.sh");
        let mut shell = Command::new("bash");
        self.environment(shell.arg("-eu").arg(script));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "before.sh: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The two programs, where a build leaves them, and stand-ins for those that need a cluster or a compiler.
    fn programs(&self) {
        let built = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
        fs::create_dir_all(self.path("target")).unwrap();
        symlink(built, self.path("target/debug")).unwrap();
        fs::create_dir(self.path("bin")).unwrap();
        for name in PROGRAMS {
            let program = built.join(name);
            assert!(program.is_file(), "`cargo build --workspace` makes `{}`", program.display());
            for place in ["bin", "."] {
                symlink(&program, self.path(place).join(name)).unwrap();
            }
        }
        symlink(built.join(PROGRAMS[0]), self.path("bin/install-dynamic-plugins")).unwrap();
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/bin");
        for entry in fs::read_dir(stand_ins).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), self.path("bin").join(entry.file_name())).unwrap();
        }
    }

    /// Puts a plugin as an exporter leaves it.
    fn plugin(&self, folder: &str, plugin: &Plugin) {
        let archive = self.write("tmp.tgz", plugin.tarball());
        let folder = self.path(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--strip-components=1", "-xzf"]).arg(&archive).arg("-C").arg(&folder);
        assert!(tar.status().unwrap().success());
        fs::remove_file(archive).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

/// The registry with the manners of these, for [`USER`].
fn of_the_account(quirks: Quirks) -> Quirks {
    let Auth::Bearer(bearer) = quirks.auth else { unreachable!("these give tokens") };
    Quirks { auth: Auth::Bearer(Bearer { login: Login::new(USER, PASSWORD), ..bearer }), ..quirks }
}

fn hello(name: &str) -> Plugin {
    let backstage = serde_json::json!({ "role": "backend-plugin", "pluginId": name });
    Plugin::backend(&format!("{name}-dynamic")).version("1.2.3").field("backstage", backstage)
}

/// Replaces a path, or a host, where it is not the end of a longer one.
fn replace(text: &str, word: &str, here: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let goes_on = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || c == '/' && word.starts_with('/');
        let is_part = before.ends_with(goes_on);
        replaced += before;
        replaced += if is_part { word } else { here };
        rest = &found[word.len()..];
    }
    replaced + rest
}
