//! What the kernel opens to start a program.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Most files that are looked at for one program; the kernel follows five scripts.
const MAX_FILES: usize = 16;
/// Bytes in which the kernel looks for a script's interpreter.
const SCRIPT_HEAD: usize = 256;
/// Most segments of a program that are looked at.
const MAX_SEGMENTS: u64 = 64;
/// Longest path that the kernel takes.
const MAX_PATH: usize = 4096;

/// The program, the interpreter of a script, the loader of a dynamic program, and what those need in turn. What `env`
/// is to start for a script is looked for in the folders of `path`, as in `PATH`.
pub(crate) fn needed_by(program: &Path, path: &OsStr) -> Vec<PathBuf> {
    let mut needed = vec![program.to_owned()];
    let mut next = 0;
    while let Some(program) = needed.get(next).filter(|_| next < MAX_FILES) {
        needed.extend(asked_for(program, path).unwrap_or_default());
        next += 1;
    }
    needed
}

fn asked_for(program: &Path, path: &OsStr) -> Option<Vec<PathBuf>> {
    // A pipe would keep us waiting.
    let file = program.is_file().then(|| File::open(program).ok())??;
    let mut head = [0; SCRIPT_HEAD];
    let read = file.read_at(&mut head, 0).ok()?;
    let head = head.get(..read)?;
    match head.strip_prefix(b"#!") {
        Some(line) => of_script(line, path),
        None => Some(vec![loader(&file, head)?]),
    }
}

fn of_script(line: &[u8], path: &OsStr) -> Option<Vec<PathBuf>> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
    let interpreter = owned(words.next()?);
    let is_env = interpreter.file_name() == Some(OsStr::new("env"));
    let started = words.find(|word| is_env && !word.starts_with(b"-") && !word.contains(&b'='));
    let found = started.and_then(|name| {
        std::env::split_paths(path).map(|folder| folder.join(owned(name))).find(|program| program.is_file())
    });
    Some([interpreter].into_iter().chain(found).collect())
}

/// The path in a program's `PT_INTERP` segment (ELF-64 object file format, "program header").
fn loader(file: &File, head: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u32 = 3;
    const CLASS_64_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
    if !head.starts_with(CLASS_64_LITTLE_ENDIAN) {
        return None;
    }
    let start = u64::from_le_bytes(array(head, 32)?);
    let size = u64::from(u16::from_le_bytes(array(head, 54)?));
    let count = u64::from(u16::from_le_bytes(array(head, 56)?));
    for index in 0..count.min(MAX_SEGMENTS) {
        let mut segment = [0; 40];
        file.read_exact_at(&mut segment, start.checked_add(index.checked_mul(size)?)?).ok()?;
        if u32::from_le_bytes(array(&segment, 0)?) == PT_INTERP {
            let length = usize::try_from(u64::from_le_bytes(array(&segment, 32)?)).ok()?.min(MAX_PATH);
            let mut path = vec![0; length];
            file.read_exact_at(&mut path, u64::from_le_bytes(array(&segment, 8)?)).ok()?;
            return path.split(|byte| *byte == 0).next().map(owned);
        }
    }
    None
}

fn owned(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;

    #[test]
    fn interpreters_and_loaders_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // A header of 64 bytes, two segments of 56, and the path that the second names.
        let elf = |path: &str| {
            let mut elf = vec![0; 64 + 2 * 56];
            elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
            elf[32] = 64;
            elf[54] = 56;
            elf[56] = 2;
            elf[64] = 1;
            elf[120] = 3;
            elf[128] = 176;
            elf[152] = u8::try_from(path.len()).unwrap();
            elf.extend(path.as_bytes());
            elf
        };
        let script = |text: &str| text.replace("HERE", folder.path().to_str().unwrap()).into_bytes();
        for (name, bytes) in [
            ("dynamic", elf("/lib/loader.so\0")),
            ("cut", elf("/lib/loader.so\0")[..130].to_vec()),
            ("segments-beyond-the-end", {
                let mut elf = elf("");
                elf[39] = 255;
                elf
            }),
            ("static", b"\x7fELF\x02\x01 and no more".to_vec()),
            ("script", script("#! \tHERE/dynamic -e\nexit")),
            ("script-of-a-script", script("#!HERE/script\n")),
            ("by-env", script("#!/usr/bin/env -S A=1 dynamic -u\n")),
            ("by-env-elsewhere", script("#!/usr/bin/env python4\n")),
            ("itself", script("#!HERE/itself")),
            ("empty-line", script("#! \n/bin/sh")),
            ("text", script("echo")),
            ("empty", Vec::new()),
        ] {
            std::fs::write(at(name), bytes).unwrap();
        }
        let loader = || PathBuf::from("/lib/loader.so");
        let env = || PathBuf::from("/usr/bin/env");
        for (name, expected) in [
            ("dynamic", vec![loader()]),
            ("cut", vec![]),
            ("segments-beyond-the-end", vec![]),
            ("static", vec![]),
            ("script", vec![at("dynamic"), loader()]),
            ("script-of-a-script", vec![at("script"), at("dynamic"), loader()]),
            ("by-env", vec![env(), at("dynamic"), loader()]),
            ("by-env-elsewhere", vec![env()]),
            ("empty-line", vec![]),
            ("text", vec![]),
            ("empty", vec![]),
            ("missing", vec![]),
        ] {
            let mut needed = needed_by(&at(name), folder.path().as_os_str());
            // The system's `env` has a loader of its own.
            needed.retain(|path| *path == loader() || *path == env() || path.starts_with(folder.path()));
            assert_eq!(needed, [vec![at(name)], expected].concat(), "{name}");
        }
        assert_eq!(needed_by(&at("itself"), OsStr::new("")).len(), MAX_FILES + 1);
    }
}
