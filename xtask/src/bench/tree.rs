//! Folders to be packed: one of many small files, one of many bytes. Made, not downloaded, and the same each time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::noise::noise;
use super::script::script;

const MANIFEST: &str = r#"{"name":"large","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
/// Files of one module below `node_modules`.
const MODULE: usize = 20;
/// The smallest files; the largest are not quite 64 times as large.
const SMALL: usize = 512;
const SIZES: [usize; 6] = [SMALL, 2 * SMALL, 4 * SMALL, 8 * SMALL, 16 * SMALL, 32 * SMALL];
/// Bytes of each of the large files.
const LARGE: usize = 1024 * 1024;
/// Half of it text and half of it noise, by turns: a compressor has to change its mind all the time.
const PIECE: usize = 16 * 1024;

/// A folder as an export leaves it.
pub(super) struct Tree {
    pub(super) path: PathBuf,
    /// What it consists of.
    pub(super) name: String,
    /// Bytes of all files.
    pub(super) len: u64,
}

impl Tree {
    /// What `node_modules` are like: files of half a KiB to 32 KiB that compress to a sixth.
    pub(super) fn small_files(within: &Path, count: usize) -> anyhow::Result<Self> {
        let mut tree = Self::new(within, format!("{count} small files"))?;
        // `package.json` is one of them.
        for number in 1..count {
            let (module, file) = (number / MODULE, number % MODULE);
            let path = format!("node_modules/module-{module:03}/lib/file-{file:02}.js");
            tree.write(&path, script(number as u64, script_len(number)).as_bytes())?;
        }
        Ok(tree)
    }

    /// What images and programs are like: files of 1 MiB that compress to little more than a half.
    pub(super) fn large_files(within: &Path, count: usize) -> anyhow::Result<Self> {
        let (noise, text) = (noise(LARGE / 2), script(0, LARGE / 2));
        let pieces = noise.chunks(PIECE).zip(text.as_bytes().chunks(PIECE));
        let content: Vec<_> = pieces.flat_map(|(noise, text)| [noise, text].concat()).collect();
        let mut tree = Self::new(within, format!("{count} files of 1 MiB"))?;
        for number in 1..=count {
            let (end, start) = content.split_at(number * 4099 % LARGE);
            tree.write(&format!("dist/large-{number:03}.bin"), &[start, end].concat())?;
        }
        Ok(tree)
    }

    fn new(within: &Path, name: String) -> anyhow::Result<Self> {
        let mut tree = Self { path: within.join("dist-dynamic"), name, len: 0 };
        tree.write("package.json", MANIFEST.as_bytes())?;
        Ok(tree)
    }

    fn write(&mut self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let file = self.path.join(path);
        let folder = file.parent().unwrap_or(&self.path);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, content));
        self.len += content.len() as u64;
        written.with_context(|| format!("could not write `{}`", file.display()))
    }
}

/// All sizes are as frequent, so that most of the bytes are in few of the files.
fn script_len(number: usize) -> usize {
    let size = SIZES[number * 31 % SIZES.len()];
    size + number * 7919 % size
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Tarball;

    /// One of each kind, and how many times smaller it becomes at least.
    const ROWS: [(&str, Make, usize); 2] =
        [("small", |within| Tree::small_files(within, 300), 5), ("large", |within| Tree::large_files(within, 4), 1)];

    type Make = fn(&Path) -> anyhow::Result<Tree>;

    #[test]
    fn every_making_gives_the_same_tree() {
        let listed = |make: Make| {
            let folder = tempfile::tempdir().unwrap();
            testkit::Tree::of(&make(folder.path()).unwrap().path).unwrap()
        };
        for (name, make, _) in ROWS {
            assert_eq!(listed(make), listed(make), "{name}");
        }
    }

    #[test]
    fn small_files_are_as_many_as_asked_for_and_as_large_as_real_ones() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::small_files(folder.path(), 100).unwrap();
        let listing = testkit::Tree::of(&tree.path).unwrap();
        assert_eq!(listing.lines().iter().filter(|line| line.contains(" file ")).count(), 100, "{listing}");
        let len: usize = (1..10_000).map(script_len).sum();
        assert!((60_000_000..100_000_000).contains(&len), "{len}");
    }

    #[test]
    fn small_files_compress_like_scripts_and_large_ones_to_a_half() {
        for (name, make, times) in ROWS {
            let folder = tempfile::tempdir().unwrap();
            let tarball = Tarball::from_folder(&make(folder.path()).unwrap().path).unwrap();
            let (plain, packed) = (tarball.tar().len(), tarball.gzip().len());
            assert!((times..times + 2).contains(&(plain / packed)), "{name}: {packed} of {plain} bytes");
        }
    }
}
