//! Rules about names, kinds and sizes: what the installer would refuse to unpack.

use std::io;
use std::num::NonZeroUsize;

use tarball::{Dir, EntryPath, EntryPathError, Folder, Kind, Limits, Packing, SecretFiles, inspect};

use crate::inspection::{Inspection, Stray, extension, failed, quoted};
use crate::{CheckError, Rule, rules};

/// Bytes of one tar block; every header takes one, and every file is filled up to the next.
const BLOCK: u64 = 512;
/// Bytes of memory for one link beside its two texts, as the installer counts them.
const LINK_OVERHEAD: usize = 64;
/// The folder on top of a tarball, which counts for depth and length.
const TOP: &str = "package/";

/// Walks the whole folder once: reports what the installer refuses, and notes links and scripts for the other rules.
pub(crate) fn walk(inspection: &mut Inspection<'_>) -> Result<(), CheckError> {
    // The archive has an entry for the folder itself and two blocks at its end.
    let mut entries = 1_u64;
    let mut expanded = 3 * BLOCK;
    let mut link_bytes = 0_usize;
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let allowed = inspection.limits.entries.saturating_sub(entries);
        let Some(names) = list(inspection, &folder, allowed)? else {
            let max = inspection.limits.entries;
            inspection.report(&rules::ENTRIES_LIMIT, format!("expected at most {max} files and folders, found more"));
            break;
        };
        for (name, kind) in names {
            entries += 1;
            expanded = expanded.saturating_add(BLOCK);
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if !name_is_fit(inspection, &path) {
                continue;
            }
            match kind {
                Kind::Directory => folders.push(path),
                Kind::File => {
                    expanded = expanded.saturating_add(file(inspection, &path)?);
                    if !path.starts_with("node_modules/") && matches!(extension(&path), "js" | "cjs" | "mjs") {
                        inspection.scripts.push(path);
                    }
                }
                Kind::Symlink => link(inspection, path, &mut link_bytes)?,
                Kind::Special => {
                    inspection.report_at(
                        &rules::SPECIAL_FILE,
                        &path,
                        "expected a file, folder or link, found a device, pipe or socket",
                    );
                }
            }
        }
    }
    inspection.scripts.sort_unstable();
    if expanded > inspection.limits.expanded {
        let max = inspection.limits.expanded;
        inspection.report(
            &rules::EXPANDED_LIMIT,
            format!("expected at most {max} bytes unpacked, found {expanded} as a tar stream"),
        );
    }
    judge_links(inspection);
    Ok(())
}

/// Reports the files with secrets that the packer knows, by name or content.
pub(crate) fn secrets(inspection: &mut Inspection<'_>, dir: &Dir, limits: &Limits) -> Result<(), CheckError> {
    let packing = Packing { limits: *limits, secret_files: SecretFiles::Allow, threads: NonZeroUsize::MIN };
    let dir = dir.try_clone().map_err(|source| failed("open", "", source))?;
    // What else the packer refuses has rules of its own.
    let Ok(folder) = Folder::open(dir, TOP.trim_end_matches('/'), limits) else { return Ok(()) };
    let Ok(inspected) = inspect(&[folder], &packing) else { return Ok(()) };
    for (path, offence) in inspected.secrets().named() {
        let path = path.strip_prefix(TOP).unwrap_or(path);
        inspection.report_at(&rules::SECRET_FILE, path, offence.to_string());
    }
    Ok(())
}

/// The names in a folder; `None` when there are more than `allowed`.
fn list(
    inspection: &mut Inspection<'_>,
    folder: &str,
    allowed: u64,
) -> Result<Option<Vec<(String, Kind)>>, CheckError> {
    let refused = |source: io::Error| failed("list", folder, source);
    let mut names = Vec::new();
    let mut unreadable = Vec::new();
    for entry in inspection.tree.dir(folder).and_then(tarball::Dir::entries).map_err(refused)? {
        if (names.len() + unreadable.len()) as u64 >= allowed {
            return Ok(None);
        }
        let (name, kind) = entry.map_err(refused)?;
        match name.into_string() {
            Ok(name) => names.push((name, kind)),
            Err(name) => unreadable.push(name.to_string_lossy().into_owned()),
        }
    }
    for name in unreadable {
        let path = format!("{folder}/{name}");
        inspection.report_at(
            &rules::NAME_UNSAFE,
            path.trim_start_matches('/'),
            "expected a name in UTF-8, found other bytes",
        );
    }
    Ok(Some(names))
}

fn name_is_fit(inspection: &mut Inspection<'_>, path: &str) -> bool {
    let Err(error) = EntryPath::parse(format!("{TOP}{path}").as_bytes(), inspection.limits) else { return true };
    inspection.report_at(about_name(error), path, format!("{error}, found {}", quoted(path)));
    false
}

/// The rule about a name that cannot be unpacked.
pub(crate) fn about_name(error: EntryPathError) -> &'static Rule {
    match error.reason() {
        "archive_limit_exceeded" => &rules::PATH_LIMIT,
        _ => &rules::NAME_UNSAFE,
    }
}

/// The bytes a file takes in a tar stream after its header.
fn file(inspection: &mut Inspection<'_>, path: &str) -> Result<u64, CheckError> {
    let len = inspection
        .tree
        .open_file(path)
        .and_then(|file| file.metadata())
        .map_err(|source| failed("open", path, source))?
        .len();
    let max = inspection.limits.file;
    if len > max {
        inspection.report_at(&rules::FILE_LIMIT, path, format!("expected at most {max} bytes, found {len}"));
    }
    Ok(len.div_ceil(BLOCK).saturating_mul(BLOCK))
}

fn link(inspection: &mut Inspection<'_>, path: String, bytes: &mut usize) -> Result<(), CheckError> {
    let target = inspection.tree.read_link(&path).map_err(|source| failed("read the link", &path, source))?;
    let Some(target) = target.to_str() else {
        inspection.report_at(&rules::NAME_UNSAFE, &path, "expected a link to a name in UTF-8, found other bytes");
        return Ok(());
    };
    if target.len() > inspection.limits.path {
        let max = inspection.limits.path;
        let found = target.len();
        inspection.report_at(
            &rules::PATH_LIMIT,
            &path,
            format!("expected a link of at most {max} bytes, found {found}"),
        );
        return Ok(());
    }
    if target.contains(|char: char| char.is_control() || char == '\\') {
        inspection.report_at(
            &rules::NAME_UNSAFE,
            &path,
            format!("expected a link without control characters and backslashes, found {}", quoted(target)),
        );
        return Ok(());
    }
    let before = *bytes;
    *bytes += path.len() + target.len() + LINK_OVERHEAD;
    let max = inspection.limits.symlinks;
    if *bytes <= max {
        inspection.links.insert(path, target.to_owned());
    } else if before <= max {
        inspection.report_at(
            &rules::ENTRIES_LIMIT,
            &path,
            format!("expected at most {max} bytes of links, found more"),
        );
    }
    Ok(())
}

fn judge_links(inspection: &mut Inspection<'_>) {
    let mut steps = inspection.limits.symlink_steps;
    let stray: Vec<_> = inspection
        .links
        .iter()
        .filter_map(|(path, target)| {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let why = match inspection.resolve(parent, target, &mut steps).err()? {
                Stray::Leaves => "expected a relative link that stays in the plugin, found one that leaves it",
                Stray::Loops => "expected a link that ends somewhere, found too many in a row",
            };
            Some((path.clone(), format!("{why}: {}", quoted(target))))
        })
        .collect();
    for (path, message) in stray {
        inspection.report_at(&rules::LINK_STRAY, &path, message);
    }
}
