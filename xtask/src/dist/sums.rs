//! The SHA-256 of each file that is shipped, in the form that `sha256sum --check` reads.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use integrity::{Algorithm, OciDigest};

/// The file that they stand in.
pub(super) const SUMS: &str = "SHA256SUMS";

/// Writes one line for each file in the folder, however deep, in the order of their paths. A link is no file.
pub(super) fn write(dist: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(dist, "", &mut files).with_context(|| format!("could not read `{}`", dist.display()))?;
    files.sort();
    let mut sums = Vec::new();
    for name in files {
        let file = dist.join(&name);
        let bytes = fs::read(&file).with_context(|| format!("could not read `{}`", file.display()))?;
        writeln!(sums, "{}  {name}", sha256(&bytes))?;
    }
    fs::write(dist.join(SUMS), sums).with_context(|| format!("could not write `{SUMS}`"))
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() && name != SUMS {
            files.push(name);
        }
    }
    Ok(())
}

/// The digest in hexadecimal digits alone.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = OciDigest::of(Algorithm::Sha256, bytes).to_string();
    digest.trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn sha256sum_finds_every_file_and_every_change() {
        let dist = tempfile::tempdir().unwrap();
        fs::create_dir(dist.path().join("image")).unwrap();
        for (name, text) in [("b", "x"), ("a", "y"), ("image/index.json", "{}")] {
            fs::write(dist.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", dist.path().join("link")).unwrap();
        // Twice, as the first sums are no file of which there is one.
        write(dist.path()).unwrap();
        write(dist.path()).unwrap();
        let check = || {
            let output = Command::new("sha256sum").args(["--check", SUMS]).current_dir(dist.path()).output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(check(), (true, "a: OK\nb: OK\nimage/index.json: OK\n".to_owned()));
        fs::write(dist.path().join("image/index.json"), "[]").unwrap();
        assert_eq!(check(), (false, "a: OK\nb: OK\nimage/index.json: FAILED\n".to_owned()));
    }
}
