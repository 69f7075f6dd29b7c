//! `cargo xtask dist`: the static installer and the CA bundle, as the image takes them, within their budgets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::command::{self, cargo};
use crate::workspace;

const INSTALLER: &str = "butler-plugin-installer";
const TARGET: &str = "x86_64-unknown-linux-musl";
/// Where Debian's `ca-certificates` keeps the bundle, and where the image will have it.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const DIST_CA_BUNDLE: &str = "ca-certificates.crt";
/// What an initContainer may weigh: every node pulls it before a portal can boot.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// What one person can still read through in a review of dependencies; ours are counted, too.
pub(crate) const MAX_CRATES: usize = 75;

/// What `cargo xtask dist` made, within its budgets.
pub(crate) struct Dist {
    /// The folder `dist/`.
    pub(crate) folder: PathBuf,
    /// The installer's size in bytes.
    pub(crate) bytes: usize,
    /// How many packages are linked into it, ours counted.
    pub(crate) crates: usize,
}

impl Dist {
    /// The static installer.
    pub(crate) fn installer(&self) -> PathBuf {
        self.folder.join(INSTALLER)
    }

    /// The CA certificates that the image has.
    pub(crate) fn ca_bundle(&self) -> PathBuf {
        self.folder.join(DIST_CA_BUNDLE)
    }
}

/// Builds, checks and fills the folder `dist/`.
pub(crate) fn run() -> anyhow::Result<Dist> {
    add_target()?;
    let arguments = ["build", "--release", "--locked", "--target", TARGET, "--package", INSTALLER];
    command::run(&mut cargo(&arguments))?;
    let built = workspace::target()?.join(TARGET).join("release").join(INSTALLER);
    let binary = fs::read(&built).with_context(|| format!("could not read `{}`", built.display()))?;
    let tree = ["tree", "--locked", "--edges=normal", "--prefix=none", "--target", TARGET, "--package", INSTALLER];
    let crates = crates(&command::read(&mut cargo(&tree))?);
    within_budget(&binary, crates)?;

    let dist = workspace::root().join("dist");
    fs::create_dir_all(&dist).with_context(|| format!("could not create `{}`", dist.display()))?;
    copy(&built, &dist.join(INSTALLER))?;
    copy(Path::new(CA_BUNDLE), &dist.join(DIST_CA_BUNDLE)).context("install Debian's `ca-certificates`")?;
    println!(
        "dist/{INSTALLER}: static, {} bytes (at most {MAX_BYTES}), {crates} crates (at most {MAX_CRATES})",
        binary.len()
    );
    Ok(Dist { folder: dist.canonicalize()?, bytes: binary.len(), crates })
}

fn add_target() -> anyhow::Result<()> {
    let installed = command::read(&mut command::program("rustup", &["target", "list", "--installed"]))?;
    if installed.lines().any(|target| target == TARGET) {
        return Ok(());
    }
    command::run(&mut command::program("rustup", &["target", "add", TARGET]))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("could not copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(())
}

fn within_budget(binary: &[u8], crates: usize) -> anyhow::Result<()> {
    ensure!(
        is_static(binary).context("expected a 64-bit little-endian ELF file")?,
        "expected a static binary, found one with a program interpreter"
    );
    ensure!(binary.len() <= MAX_BYTES, "expected a binary of at most {MAX_BYTES} bytes, found {}", binary.len());
    ensure!(crates <= MAX_CRATES, "expected at most {MAX_CRATES} crates in the binary, found {crates}");
    Ok(())
}

/// Counts the different packages in what `cargo tree --prefix none` prints: `name v1.2.3 (…)` a line, many twice.
fn crates(tree: &str) -> usize {
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    tree.lines().filter(|line| !line.is_empty()).map(name_and_version).collect::<BTreeSet<_>>().len()
}

/// Whether an ELF file runs without a dynamic loader; `None` when it is no ELF file of ours.
///
/// ELF-64 object file format, "ELF header" and "program header table": a file that needs a loader names it in a
/// segment of type `PT_INTERP`.
fn is_static(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    const CLASS_64_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
    if !elf.starts_with(CLASS_64_LITTLE_ENDIAN) {
        return None;
    }
    let offset = usize::try_from(u64::from_le_bytes(array(elf, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(array(elf, 54)?));
    let count = usize::from(u16::from_le_bytes(array(elf, 56)?));
    for index in 0..count {
        let at = index.checked_mul(size)?.checked_add(offset)?;
        if u32::from_le_bytes(array(elf, at)?) == PT_INTERP {
            return Some(false);
        }
    }
    Some(true)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one program header of this type.
    fn elf(segment: u32) -> Vec<u8> {
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf.extend(segment.to_le_bytes());
        elf.resize(64 + 56, 0);
        elf
    }

    #[test]
    fn each_exceeded_budget_is_an_error() {
        let padded = |bytes| {
            let mut binary = elf(1);
            binary.resize(bytes, 0);
            binary
        };
        let rows = [
            ("at the limits", padded(MAX_BYTES), MAX_CRATES, None),
            ("one byte too many", padded(MAX_BYTES + 1), MAX_CRATES, Some("bytes")),
            ("one crate too many", padded(MAX_BYTES), MAX_CRATES + 1, Some("crates")),
            ("dynamic", elf(3), 1, Some("static")),
            ("a script", b"#!/bin/sh".to_vec(), 1, Some("ELF")),
            ("cut in the header", elf(1)[..40].to_vec(), 1, Some("ELF")),
        ];
        for (name, binary, crates, wrong) in rows {
            let answer = within_budget(&binary, crates).map_err(|error| error.to_string());
            match wrong {
                None => assert_eq!(answer, Ok(()), "{name}"),
                Some(word) => assert!(answer.unwrap_err().contains(word), "{name}"),
            }
        }
    }

    #[test]
    fn a_crate_is_counted_once_and_two_versions_twice() {
        assert_eq!(crates("a v1.0.0 (/x)\nb v1.0.0\nb v2.0.0\nb v1.0.0 (*)\n\n"), 3);
    }
}
