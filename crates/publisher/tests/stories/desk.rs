//! An author's desk: a folder with a plugin in it, and the program to run on it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const PUBLISHER: &str = env!("CARGO_BIN_EXE_butler-plugin-publisher");
/// Longest wait for anything; what takes that long hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// A folder with `dist-dynamic/` and whatever else a story needs.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    /// A desk with an exported backend on it: hidden files, a program, a link, an empty folder.
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.plugin("dist-dynamic", "@acme/hello-dynamic", "1.2.3");
        desk
    }

    /// Puts a plugin's folder on the desk.
    pub(crate) fn plugin(&self, folder: &str, name: &str, version: &str) -> PathBuf {
        let package = format!(
            r#"{{"name": "{name}", "version": "{version}", "main": "dist/index.cjs.js", "description": "Says hello",
                "repository": {{"type": "git", "url": "git+https://git.example.com/acme/hello.git"}},
                "backstage": {{"role": "backend-plugin", "pluginId": "hello"}}, "dependencies": {{"is-even": "1.0.0"}}}}"#
        );
        self.write(&format!("{folder}/package.json"), package);
        self.write(&format!("{folder}/.gitignore"), "*\n");
        self.write(&format!("{folder}/dist/index.cjs.js"), "exports.default = require('is-even');\n");
        self.write(&format!("{folder}/dist/.config-schema.json"), "{}\n");
        self.write(
            &format!("{folder}/node_modules/is-even/package.json"),
            r#"{"name": "is-even", "version": "1.0.0"}"#,
        );
        let program = self.write(&format!("{folder}/node_modules/is-even/cli.js"), "#!/usr/bin/env node\n");
        fs::set_permissions(program, PermissionsExt::from_mode(0o754)).unwrap();
        fs::create_dir_all(self.path(&format!("{folder}/node_modules/.bin"))).unwrap();
        symlink("../is-even/cli.js", self.path(&format!("{folder}/node_modules/.bin/is-even"))).unwrap();
        fs::create_dir_all(self.path(&format!("{folder}/dist/empty"))).unwrap();
        self.path(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names in a folder of the desk, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program, with a home of its own and no terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let home = self.path("home");
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(self.path("tmp")).unwrap();
        let mut command = Command::new(PUBLISHER);
        command
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.folder.path())
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "", |command| command)
    }

    /// Runs with something on standard input, or with a changed environment.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        input: &str,
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Run {
        let mut command = self.command(arguments);
        change(&mut command);
        let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).write_stdin(input).output().unwrap();
        let run = Run::of(&output);
        assert_eq!(self.names("tmp"), Vec::<String>::new(), "temporary files are left\n{run:?}");
        run
    }
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { stdout: text(&output.stdout), stderr: text(&output.stderr), status: output.status.code() }
    }

    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Insists on words on standard error.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "expected `{words}` in\n{}", self.stderr);
        self
    }

    /// Insists that a text is on neither stream.
    #[track_caller]
    pub(crate) fn keeps_quiet_about(self, secret: &str) -> Self {
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "`{secret}` is in {self:?}");
        self
    }
}

/// Runs another program to its end, which must be a good one.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A program that another package of the workspace builds: `cargo test --workspace` puts both into one folder.
pub(crate) fn installer() -> PathBuf {
    let installer = Path::new(PUBLISHER).with_file_name("butler-plugin-installer");
    assert!(installer.is_file(), "`cargo build --workspace` makes `{}`", installer.display());
    installer
}
