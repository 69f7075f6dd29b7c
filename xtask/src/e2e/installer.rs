//! Our installer, run as the chart's initContainer runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::market::Entry;

/// One plugin of a list, with what its operator configures.
pub(super) struct Wanted<'a> {
    pub(super) entry: &'a Entry,
    /// One line of YAML.
    pub(super) config: Option<&'static str>,
}

impl<'a> Wanted<'a> {
    /// One that nobody configures.
    pub(super) const fn plain(entry: &'a Entry) -> Self {
        Self { entry, config: None }
    }
}

/// What becomes of the others when a plugin is rejected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnReject {
    Stop,
    GoOn,
}

/// A plugin list.
pub(super) fn list(on_reject: OnReject, allowed: &[String], plugins: &[Wanted]) -> String {
    let mut lines = vec![format!("continueOnError: {}", on_reject == OnReject::GoOn)];
    if !allowed.is_empty() {
        lines.push("allowedSources:".to_owned());
        lines.extend(allowed.iter().map(|prefix| format!("  - {prefix}")));
    }
    lines.push("plugins:".to_owned());
    for Wanted { entry: Entry { package, integrity }, config } in plugins {
        lines.push(format!("  - package: {package}"));
        lines.push(format!("    integrity: {integrity}"));
        lines.extend(config.map(|config| format!("    pluginConfig: {config}")));
    }
    lines.join("\n") + "\n"
}

/// Whom the installer trusts, and which logins it has.
pub(super) enum Trust {
    /// The authority in this file; nothing of the environment has a say.
    Only(PathBuf),
    /// Whatever the environment says.
    Environment,
}

/// The installer.
pub(super) struct Installer {
    program: PathBuf,
    trust: Trust,
    /// Where lists and logs are kept.
    folder: PathBuf,
}

/// What a run said, and how it ended.
pub(super) struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Installer {
    pub(super) const fn new(program: PathBuf, trust: Trust, folder: PathBuf) -> Self {
        Self { program, trust, folder }
    }

    /// Makes `root` hold what `list` says; `name` is for the files that tell of it afterwards.
    pub(super) fn run(&self, name: &str, list: &str, root: &Path) -> anyhow::Result<Run> {
        fs::create_dir_all(root).with_context(|| format!("could not create `{}`", root.display()))?;
        let at = |what: &str| self.folder.join(format!("{name}.{what}"));
        fs::write(at("yaml"), list).with_context(|| format!("could not write `{}`", at("yaml").display()))?;
        let mut installer = Command::new(&self.program);
        installer.arg("--config").arg(at("yaml")).arg("--root").arg(root);
        if let Trust::Only(ca_file) = &self.trust {
            installer.env_clear().arg("--ca-file").arg(ca_file);
        }
        let done = installer.output().context("could not start the installer")?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("the installer's log is not UTF-8");
        let (stdout, stderr) = (text(done.stdout)?, text(done.stderr)?);
        let log = format!("{stdout}{stderr}");
        fs::write(at("log"), log).with_context(|| format!("could not write `{}`", at("log").display()))?;
        Ok(Run { status: done.status.code(), stdout, stderr })
    }
}

impl Run {
    /// Fails unless it ended with this status.
    pub(super) fn expect_status(&self, expected: i32) -> anyhow::Result<()> {
        let found = self.status;
        ensure!(found == Some(expected), "expected the installer to end with {expected}, found {found:?}");
        Ok(())
    }

    /// Fails unless a line of its standard output holds all of `words`.
    pub(super) fn expect_line(&self, words: &[&str]) -> anyhow::Result<()> {
        expect_line(&self.stdout, "standard output", words)
    }

    /// Fails unless a line of its standard error does.
    pub(super) fn expect_error(&self, words: &[&str]) -> anyhow::Result<()> {
        expect_line(&self.stderr, "standard error", words)
    }
}

fn expect_line(text: &str, stream: &str, words: &[&str]) -> anyhow::Result<()> {
    let holds = |line: &str| words.iter().all(|word| line.contains(word));
    ensure!(
        text.lines().any(holds),
        "expected a line with `{}` on the installer's {stream}, found:\n{text}",
        words.join("`, `")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_what_the_chart_renders() {
        let entry = Entry { package: "oci://r/x:1".into(), integrity: "sha512-x".into() };
        let text = list(OnReject::GoOn, &["oci://r".into()], &[Wanted { entry: &entry, config: Some("{ a: 1 }") }]);
        let expected = "continueOnError: true\nallowedSources:\n  - oci://r\nplugins:\n  - package: oci://r/x:1\n    \
                        integrity: sha512-x\n    pluginConfig: { a: 1 }\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_line_must_hold_all_words() {
        let run = Run { status: Some(0), stdout: "a b\nc\n".into(), stderr: String::new() };
        run.expect_line(&["a", "b"]).unwrap();
        assert!(run.expect_line(&["a", "c"]).is_err());
        assert!(run.expect_error(&["a"]).is_err());
        assert!(run.expect_status(1).is_err());
    }
}
