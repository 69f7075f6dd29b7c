//! `cargo xtask test`: every test, after what they need is there.

use std::process::Command;

use anyhow::bail;

use crate::command::{self, cargo};
use crate::{bench, dist, fixtures, sweep};

/// The folder that `cargo xtask dist` filled, for tests of the static binary and of the image.
const DIST_VARIABLE: &str = "BUTLER_DIST";

/// Programs that tests start, and the Debian packages that hold them.
const NEEDED: [(&str, &str); 10] = [
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("buildah", "buildah"),
    ("curl", "curl"),
    ("musl-gcc", "musl-tools"),
    ("npm", "npm"),
    ("python3", "python3-venv"),
    ("time", "time"),
    ("strace", "strace"),
    ("bsdtar", "libarchive-tools"),
];

/// Brings what is missing, builds the static binaries, looks at their limits, sweeps, runs unit tests, stories and
/// doctests.
pub(crate) fn run() -> anyhow::Result<()> {
    install_missing(&NEEDED)?;
    fixtures::run()?;
    let dist = dist::run()?;
    bench::check(&dist)?;
    sweep::check(&dist)?;
    let test = |arguments: &[&str]| command::run(cargo(arguments).env(DIST_VARIABLE, &dist.folder));
    if command::has_subcommand("nextest") {
        test(&["test", "--workspace", "--locked", "--doc"])?;
        // Last, as its closing line counts all tests at once.
        test(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
    } else {
        test(&["test", "--workspace", "--locked", "--no-fail-fast"])
    }
}

/// Installs the Debian packages of programs that are not there, and says so.
pub(crate) fn install_missing(needed: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing: Vec<_> = needed.iter().filter(|(program, _)| !command::is_installed(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    println!("the tests need these Debian packages, which are missing: {}", packages.join(" "));
    if !is_root()? || !command::is_installed("apt-get") {
        bail!("install them as root: `{}`", install_line(&packages));
    }
    command::run(&mut apt_get(&["update"]))?;
    command::run(apt_get(&["install", "--yes", "--no-install-recommends"]).args(&packages))
}

fn install_line(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut apt_get = command::program("apt-get", arguments);
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}

fn is_root() -> anyhow::Result<bool> {
    Ok(command::read(&mut command::program("id", &["-u"]))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_type_names_every_missing_package() {
        assert!(install_line(&["skopeo", "musl-tools"]).ends_with("--no-install-recommends skopeo musl-tools"));
    }
}
