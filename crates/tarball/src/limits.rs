//! How much an archive may ask of this machine.

/// Upper bounds on everything an archive decides. A value at a limit is accepted, one past it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole expanded tar stream; also bytes of all files in the tree, each hard link counted as a copy.
    pub expanded: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Expanded bytes for each compressed one, asked once [`ratio_from`](Self::ratio_from) bytes are out.
    pub ratio: u64,
    /// Expanded bytes that are accepted whatever the ratio.
    pub ratio_from: u64,
    /// Entries, those outside a selected folder included.
    pub entries: u64,
    /// Components of one path, the top folder included.
    pub depth: usize,
    /// Bytes of one path, and of a symlink's target.
    pub path: usize,
    /// Bytes of one path component.
    pub component: usize,
    /// Bytes of one PAX header or GNU long name.
    pub extension: u64,
    /// Extension headers in a row before one entry.
    pub extensions: usize,
    /// Bytes of `package.json`.
    pub manifest: u64,
    /// Folders opened while placing the entries: one is opened again when an archive comes back to it. Of several
    /// layers, names listed to hide some of them count, too.
    pub opened: u64,
    /// Bytes of memory for symlinks, which are made after all files.
    pub symlinks: usize,
    /// Path components walked, and folders opened, while proving that all symlinks stay inside.
    pub symlink_steps: u64,
}

impl Limits {
    /// Bytes that an artifact of `compressed` bytes may expand to by its ratio.
    pub(crate) fn by_ratio(&self, compressed: u64) -> u64 {
        compressed.saturating_mul(self.ratio).max(self.ratio_from)
    }
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        const GIB: u64 = 1024 * MIB;
        Self {
            expanded: 2 * GIB,
            file: 512 * MIB,
            ratio: 200,
            ratio_from: 64 * MIB,
            entries: 100_000,
            depth: 64,
            path: 1024,
            component: 255,
            extension: 64 * KIB,
            extensions: 3,
            manifest: MIB,
            opened: 1_000_000,
            symlinks: 8 * 1024 * 1024,
            symlink_steps: 1_000_000,
        }
    }
}
