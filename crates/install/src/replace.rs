//! Files that are there whole or not at all.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};

use tarball::{Dir, FileMode};

/// Writes a file beside its place, and puts it there whole.
pub(crate) fn replace(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let incoming = format!("{name}.{:016x}", RandomState::new().build_hasher().finish());
    let mut file = dir.create_file(&incoming, FileMode::Plain)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| dir.rename(&incoming, dir, name));
    if written.is_err() {
        // It has a name that no later run takes.
        drop(dir.remove_file(&incoming));
    }
    written
}
