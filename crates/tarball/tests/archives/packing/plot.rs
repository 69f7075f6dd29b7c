//! Trees on disk, made in code.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tarball::{Dir, FileMode, Folder, Limits};

use crate::{MANIFEST, list};

/// A folder to be packed, with a good `package.json` in it.
pub(super) struct Plot(tempfile::TempDir);

impl Plot {
    pub(super) fn new() -> Self {
        Self::bare().file("package.json", MANIFEST)
    }

    /// Without a `package.json`.
    pub(super) fn bare() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn file(self, path: &str, bytes: &[u8]) -> Self {
        self.write(path, bytes, FileMode::Plain)
    }

    pub(super) fn executable(self, path: &str, bytes: &[u8]) -> Self {
        self.write(path, bytes, FileMode::Executable)
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Self {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.dir(parent).symlink(target, name).unwrap();
        self
    }

    pub(super) fn folder_at(self, path: &str) -> Self {
        self.dir(path);
        self
    }

    /// The same tree to those who pack: other times, and other modes where they do not count.
    pub(super) fn handled_otherwise(self) -> Self {
        let handled = |path: PathBuf| {
            let metadata = path.symlink_metadata().unwrap();
            let mode = match metadata.permissions().mode() & 0o777 {
                0o644 => 0o660,
                _ => 0o710,
            };
            if !metadata.is_symlink() {
                std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                let file = File::open(path).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
            }
        };
        self.tree().into_keys().for_each(|name| handled(self.0.path().join(name)));
        self
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// The folder at `path`, made with those above it.
    pub(super) fn dir(&self, path: &str) -> Dir {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.fold(Dir::open(self.0.path()).unwrap(), |dir, name| {
            if dir.kind(name).unwrap().is_none() { dir.create_dir(name).unwrap() } else { dir.open_dir(name).unwrap() }
        })
    }

    pub(super) fn folder(&self, top: &str) -> Folder {
        Folder::open(self.dir(""), top, &Limits::default()).unwrap()
    }

    /// What is in it, as `list` tells.
    pub(super) fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        list(self.0.path(), "", &mut tree);
        tree
    }

    fn write(self, path: &str, bytes: &[u8], mode: FileMode) -> Self {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.dir(parent).create_file(name, mode).unwrap().write_all(bytes).unwrap();
        self
    }
}

/// Text of `len` bytes that compresses about as code does, the same on every machine.
pub(super) fn text(len: usize, seed: u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "const ",
        "function ",
        "return ",
        "exports.",
        "require(",
        "module",
        " => {",
        "}\n",
        ");\n",
        "undefined",
        "this.",
        "value",
        " = ",
        "if (",
        "'use strict';\n",
        "plugin",
    ];
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(WORDS[usize::from(state.to_be_bytes()[0] & 15)].as_bytes());
        if state.to_be_bytes()[1] < 64 {
            bytes.extend_from_slice(format!("v{:x}", state.to_be_bytes()[2]).as_bytes());
        }
    }
    bytes.truncate(len);
    bytes
}
