//! The CA certificates of the image: Mozilla's, as Debian's `ca-certificates` brings them.
//!
//! The bundle of the machine holds what its owner trusts besides, such as the CA of a company's proxy. Whoever runs our
//! image has not chosen that one.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::command;

/// The package, and the folder that it has a file in for each certificate.
const PACKAGE: &str = "ca-certificates";
const MOZILLA: &str = "/usr/share/ca-certificates/mozilla";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// All of them, below a line that says which version of the package they are from.
pub(super) fn bundle() -> anyhow::Result<String> {
    let version = command::read(&mut command::program("dpkg-query", &["--show", "--showformat=${Version}", PACKAGE]))?;
    Ok(format!("# Mozilla's CA certificates, from Debian's {PACKAGE} {version}\n{}", joined(Path::new(MOZILLA))?))
}

/// The certificates in a folder, in the order of their files' names.
fn joined(folder: &Path) -> anyhow::Result<String> {
    let read = |what: &Path| format!("could not read `{}`", what.display());
    let entries = fs::read_dir(folder).with_context(|| read(folder))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let mut all = String::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| read(&file))?;
        ensure!(text.starts_with(BEGIN), "expected a certificate in `{}`", file.display());
        all += text.trim_end();
        all.push('\n');
    }
    ensure!(!all.is_empty(), "expected certificates in `{}`, found none", folder.display());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn files_are_joined_by_name_each_on_lines_of_its_own() {
        let (b, a) = (format!("{BEGIN}\nb"), format!("{BEGIN}\na\n\n"));
        let folder = folder(&[("b.crt", &b), ("a.crt", &a)]);
        assert_eq!(joined(folder.path()).unwrap(), format!("{BEGIN}\na\n{BEGIN}\nb\n"));
    }

    #[test]
    fn what_holds_no_certificate_is_an_error() {
        for files in [&[][..], &[("a.crt", "key")]] {
            assert!(joined(folder(files).path()).unwrap_err().to_string().starts_with("expected"), "{files:?}");
        }
    }

    /// The machine's own bundle may hold more.
    #[test]
    fn every_certificate_of_the_bundle_is_a_file_of_the_package() {
        let bundle = bundle().unwrap();
        let (origin, certificates) = bundle.split_once('\n').unwrap();
        assert!(origin.starts_with("# Mozilla's CA certificates, from Debian's ca-certificates 2"), "{origin}");
        let listed = command::read(&mut command::program("dpkg-query", &["--listfiles", PACKAGE])).unwrap();
        let files: Vec<_> = listed.lines().filter(|file| file.starts_with(&format!("{MOZILLA}/"))).collect();
        assert!(files.len() > 100, "{files:?}");
        assert_eq!(certificates.matches(BEGIN).count(), files.len());
        for file in files {
            assert!(certificates.contains(fs::read_to_string(file).unwrap().trim_end()), "{file}");
        }
    }
}
