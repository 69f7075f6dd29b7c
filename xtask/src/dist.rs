//! `cargo xtask dist`: all that is released, in one folder: two static binaries within their budgets, what is linked
//! into each, the installer's image, and the sums of all these files.

mod again;
mod build;
mod certificates;
mod image;
mod push;
mod sbom;
mod sums;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use self::image::Image;
use crate::command::cargo;
use crate::workspace;

const TARGET: &str = "x86_64-unknown-linux-musl";
const DIST_CA_BUNDLE: &str = "ca-certificates.crt";
/// Where the image has it, from its root.
const IMAGE_CA_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// The image, as a layout.
const DIST_IMAGE: &str = "image";

/// The folder of names that the image has in its own root, and the name by which the installer is called where it takes
/// the place of Red Hat Developer Hub's.
const DIST_NAMES: &str = "names";
const RHDH_NAME: &str = "install-dynamic-plugins";
/// What that name leads to, from the image's root.
const IMAGE_INSTALLER: &str = "usr/local/bin/butler-plugin-installer";

/// What an initContainer may weigh, as every node pulls it before a portal can boot, and what one person can still
/// read through in a review of dependencies.
const INSTALLER: Budget = Budget { package: "butler-plugin-installer", bytes: 4 * 1024 * 1024, crates: 75 };
/// What a pipeline fetches for each build. The review is the same one but for a few crates.
const PUBLISHER: Budget = Budget { package: "butler-plugin-publisher", bytes: 5 * 1024 * 1024, crates: 80 };

/// How large a binary may become.
pub(crate) struct Budget {
    /// The package; its binary has the same name.
    package: &'static str,
    /// Bytes of the binary.
    pub(crate) bytes: usize,
    /// Packages linked into it, ours counted.
    pub(crate) crates: usize,
}

/// What `cargo xtask dist` made, within its budgets.
pub(crate) struct Dist {
    /// The folder `dist/`.
    pub(crate) folder: PathBuf,
    pub(crate) installer: Binary,
    pub(crate) publisher: Binary,
}

/// A static binary.
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// How many packages are linked into it, ours counted.
    pub(crate) crates: usize,
    pub(crate) budget: Budget,
}

impl Dist {
    /// The CA certificates that the image has.
    pub(crate) fn ca_bundle(&self) -> PathBuf {
        self.folder.join(DIST_CA_BUNDLE)
    }
}

/// What is wanted beyond the folder.
pub(crate) struct Wish {
    /// `oci://registry/repository:tag`, where the image is to be pushed to.
    pub(crate) push: Option<String>,
    /// How it is made sure that the folder is the same everywhere.
    pub(crate) proof: Proof,
}

/// Whether anybody else would get the same bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nobody asks.
    None,
    /// All of it is made once more, in another place.
    Twice,
}

/// Where it is made.
struct Place {
    /// The top of the sources.
    source: PathBuf,
    /// Where cargo builds into.
    target: PathBuf,
    /// The folder to fill.
    dist: PathBuf,
    /// Where cargo keeps what it downloaded.
    cargo_home: PathBuf,
}

impl Place {
    fn here() -> anyhow::Result<Self> {
        let source = workspace::root().to_owned();
        let home = || std::env::home_dir().map(|home| home.join(".cargo"));
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
        let cargo_home = cargo_home.context("expected `CARGO_HOME` or `HOME`")?;
        Ok(Self { target: workspace::target()?, dist: source.join("dist"), source, cargo_home })
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = cargo(arguments);
        cargo.current_dir(&self.source).env("CARGO_HOME", &self.cargo_home);
        cargo
    }
}

/// Builds, checks and fills the folder `dist/`.
pub(crate) fn run() -> anyhow::Result<Dist> {
    fill(&Place::here()?)
}

/// The same, and what is wished.
pub(crate) fn release(wish: &Wish) -> anyhow::Result<()> {
    let place = Place::here()?;
    fill(&place)?;
    if wish.proof == Proof::Twice {
        again::compare(&place)?;
    }
    if let Some(to) = &wish.push {
        let digest = push::push(&image(&place.dist)?, to)?;
        println!("pushed `{to}`: {digest}");
    }
    Ok(())
}

fn fill(place: &Place) -> anyhow::Result<Dist> {
    let built = build::build(place)?;
    let folder = &place.dist;
    clear(folder).with_context(|| format!("could not clear `{}`", folder.display()))?;
    let folder = folder.canonicalize()?;
    let installer = INSTALLER.binary(place, &built)?;
    let publisher = PUBLISHER.binary(place, &built)?;
    let certificates = certificates::bundle().context("install Debian's `ca-certificates`")?;
    fs::write(folder.join(DIST_CA_BUNDLE), certificates).context("could not write the CA certificates")?;
    name_installer(&folder.join(DIST_NAMES)).context("could not give the installer its other name")?;
    image(&folder)?.write(&folder.join(DIST_IMAGE))?;
    sums::write(&folder)?;
    Ok(Dist { folder, installer, publisher })
}

fn image(dist: &Path) -> anyhow::Result<Image> {
    let metadata = workspace::metadata()?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let package: &Value =
        packages.find(|package| package["name"] == INSTALLER.package).context("no package is the installer's")?;
    Image::pack(dist, package)
}

/// An empty folder: what an earlier run left there is no part of this release.
fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}

impl Budget {
    /// Takes the binary over from the folder `built` when it keeps to this, and writes down what is in it.
    fn binary(self, place: &Place, built: &Path) -> anyhow::Result<Binary> {
        let Self { package, bytes: max_bytes, crates: max_crates } = self;
        let (built, path) = (built.join(package), place.dist.join(package));
        let binary = fs::read(&built).with_context(|| format!("could not read `{}`", built.display()))?;
        let crates = crates(&build::tree(place, package, &["--edges=normal", "--prefix=none"])?);
        self.holds(&binary, crates)?;
        build::expect_no_folder(place, package, &binary)?;
        copy(&built, &path)?;
        let sbom = serde_json::to_string_pretty(&sbom::sbom(place, package, &sums::sha256(&binary))?)?;
        let sbom_path = place.dist.join(format!("{package}.cdx.json"));
        fs::write(&sbom_path, sbom + "\n").with_context(|| format!("could not write `{}`", sbom_path.display()))?;
        let bytes = binary.len();
        println!("dist/{package}: static, {bytes} bytes (at most {max_bytes}), {crates} crates (at most {max_crates})");
        Ok(Binary { path, bytes, crates, budget: self })
    }

    fn holds(&self, binary: &[u8], crates: usize) -> anyhow::Result<()> {
        let Self { package, bytes: max_bytes, crates: max_crates } = self;
        let is_static = is_static(binary);
        let is_static =
            is_static.with_context(|| format!("expected a 64-bit little-endian ELF file as `{package}`"))?;
        ensure!(is_static, "expected a static `{package}`, found one with a program interpreter");
        let bytes = binary.len();
        ensure!(bytes <= *max_bytes, "expected at most {max_bytes} bytes of `{package}`, found {bytes}");
        ensure!(crates <= *max_crates, "expected at most {max_crates} crates in `{package}`, found {crates}");
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("could not copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(())
}

fn name_installer(names: &Path) -> io::Result<()> {
    fs::create_dir_all(names)?;
    symlink(IMAGE_INSTALLER, names.join(RHDH_NAME))
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
        let budget = Budget { package: "any", bytes: 200, crates: 75 };
        let padded = |bytes| {
            let mut binary = elf(1);
            binary.resize(bytes, 0);
            binary
        };
        let rows = [
            ("at the limits", padded(budget.bytes), budget.crates, None),
            ("one byte too many", padded(budget.bytes + 1), budget.crates, Some("bytes")),
            ("one crate too many", padded(budget.bytes), budget.crates + 1, Some("crates")),
            ("dynamic", elf(3), 1, Some("static")),
            ("a script", b"#!/bin/sh".to_vec(), 1, Some("ELF")),
            ("cut in the header", elf(1)[..40].to_vec(), 1, Some("ELF")),
        ];
        for (name, binary, crates, wrong) in rows {
            let answer = budget.holds(&binary, crates).map_err(|error| error.to_string());
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
