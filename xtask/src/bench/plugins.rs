//! Plugins like the published ones: as large, as many files, packed as npm and GNU tar pack. Made, and the same each time.

use std::io::Write as _;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use testkit::{LongNames, Tarball};

use super::noise::Xorshift;
use super::script::script;

/// Bytes of text that all files are cut from. Two neighbouring files seldom share a piece, and deflate looks back
/// 32 KiB only.
const POOL: usize = 8 * 1024 * 1024;
/// Bytes of the pool with the same names in them.
const SCRIPT: usize = 64 * 1024;
/// Bytes of a bundle, such as a program's that was made one file of.
const BUNDLE: usize = 512 * 1024;
/// How many files of a backend there are for each bundle.
const FILES_PER_BUNDLE: usize = 500;
/// Files of one module below `node_modules`.
const MODULE: usize = 20;

/// Compressed sizes in KB, of a frontend or a backend: the first is 4.9 MB, the first ten are 29.6 MB.
const FIRST: [(Kind, usize); 10] = [
    (Kind::Frontend, 4900),
    (Kind::Backend, 19),
    (Kind::Backend, 161),
    (Kind::Backend, 236),
    (Kind::Backend, 928),
    (Kind::Backend, 1253),
    (Kind::Frontend, 6389),
    (Kind::Backend, 2600),
    (Kind::Backend, 9400),
    (Kind::Frontend, 3714),
];
/// The same for all others: with these four times, fifty plugins are 207 MB.
const OTHERS: [(Kind, usize); 10] = [
    (Kind::Backend, 22_900),
    (Kind::Backend, 160),
    (Kind::Backend, 1250),
    (Kind::Frontend, 6390),
    (Kind::Backend, 930),
    (Kind::Frontend, 4500),
    (Kind::Backend, 2300),
    (Kind::Backend, 480),
    (Kind::Frontend, 3100),
    (Kind::Backend, 2340),
];

/// What a plugin is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    kind: Kind,
    extent: Extent,
    top: Top,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// `node_modules`: files of 7 KiB on average.
    Backend,
    /// Chunks of a bundler, in one folder: files of 38 KiB on average.
    Frontend,
    /// Files of 16 KiB.
    Even,
}

#[derive(Debug, Clone, Copy)]
enum Extent {
    /// Compressed bytes, and what the compressor has taken and not given yet: at most 32 KiB.
    Packed(usize),
    Files(usize),
}

/// The folder that holds everything else.
#[derive(Debug, Clone, Copy)]
enum Top {
    /// `package/`, as npm has it.
    Package,
    /// The plugin's name, as an image that may have several plugins has it.
    Name,
}

/// A plugin.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) tarball: Vec<u8>,
}

/// Fifty with the sizes of published ones. The first of them are a smaller choice of the same.
pub(super) fn real() -> Vec<Recipe> {
    let sizes = FIRST.into_iter().chain((0..4).flat_map(|_| OTHERS));
    sizes
        .map(|(kind, kilobytes)| Recipe { kind, extent: Extent::Packed(kilobytes * 1000), top: Top::Package })
        .collect()
}

/// Twenty of 400 files of 16 KiB.
pub(super) fn even() -> Vec<Recipe> {
    vec![Recipe { kind: Kind::Even, extent: Extent::Files(400), top: Top::Package }; 20]
}

/// The same as layers of images.
pub(super) fn images() -> Vec<Recipe> {
    even().into_iter().map(|recipe| Recipe { top: Top::Name, ..recipe }).collect()
}

/// As small as the smallest published ones: 20 files.
pub(super) fn small(count: usize) -> Vec<Recipe> {
    vec![Recipe { kind: Kind::Backend, extent: Extent::Files(20), top: Top::Package }; count]
}

/// Makes plugins, on all cores.
pub(super) fn make(recipes: &[Recipe]) -> Vec<Made> {
    let pool = pool();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(recipe) = recipes.get(number)
        {
            made.push((number, recipe.make(number, &pool)));
        }
        made
    };
    let mut made = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..thread::available_parallelism().map_or(1, Into::into)).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}

fn pool() -> String {
    (0..POOL / SCRIPT).map(|seed| script(seed as u64, SCRIPT)).collect()
}

impl Recipe {
    fn make(self, number: usize, pool: &str) -> Made {
        let name = format!("plugin-{number:04}");
        let mut random = Xorshift::new(number as u64);
        // npm writes no folders, and long names into two fields; GNU tar writes both as entries.
        let is_npm = number.is_multiple_of(2);
        let long_names = if is_npm { LongNames::Prefix } else { LongNames::Gnu };
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let mut pack = |archive: Tarball| {
            let tar = archive.long_names(long_names).ending([]).tar();
            packed.write_all(&tar).expect("memory takes everything");
            packed.get_ref().len()
        };
        let manifest =
            format!(r#"{{"name":"{name}","version":"1.0.0","backstage":{{"role":"{}"}}}}"#, self.kind.role());
        let top = match self.top {
            Top::Package => "package",
            Top::Name => &name,
        };
        let mut len = pack(Tarball::new().file(format!("{top}/package.json"), manifest));
        let mut files = 1;
        let mut last = String::new();
        while match self.extent {
            Extent::Packed(bytes) => len < bytes,
            Extent::Files(count) => files < count,
        } {
            let folder = format!("{top}/{}", self.kind.folder(files));
            if !is_npm && folder != last {
                let folders = folder.match_indices('/').map(|(end, _)| &folder[..end]);
                pack(
                    folders
                        .filter(|folder| !last.starts_with(&format!("{folder}/")))
                        .fold(Tarball::new(), Tarball::dir),
                );
            }
            let size = self.kind.size(files, &mut random);
            let at = random.below(pool.len() - size);
            len = pack(Tarball::new().file(format!("{folder}file-{files:05}.js"), &pool[at..at + size]));
            files += 1;
            last = folder;
        }
        packed.write_all(&[0; 1024]).expect("memory takes everything");
        Made { name, tarball: packed.finish().expect("memory takes everything") }
    }
}

impl Kind {
    const fn role(self) -> &'static str {
        match self {
            Self::Backend | Self::Even => "backend-plugin",
            Self::Frontend => "frontend-plugin",
        }
    }

    /// Where the file with that number is below the folder on top, with a slash at the end. One module in eight is
    /// another one's own, with a path too long for a header's field.
    fn folder(self, file: usize) -> String {
        const OWN: &str = "node_modules/@some-organisation/a-module-of-its-own-version/dist/cjs/implementation/";
        match (self, file / MODULE) {
            (Self::Backend, module) if module % 8 == 7 => format!("node_modules/module-{module:04}/{OWN}"),
            (Self::Backend, module) => format!("node_modules/module-{module:04}/lib/"),
            (Self::Frontend, _) => "dist/static/".to_owned(),
            (Self::Even, chunk) => format!("dist/chunks/{chunk:02}/"),
        }
    }

    /// Each doubling is as frequent as the others, so that most of the bytes are in few of the files.
    fn size(self, file: usize, random: &mut Xorshift) -> usize {
        let mut spread = |least: usize, doublings| {
            let least = least << random.below(doublings);
            least + random.below(least)
        };
        match self {
            Self::Backend if file % FILES_PER_BUNDLE == FILES_PER_BUNDLE - 1 => BUNDLE,
            Self::Backend => spread(256, 7),
            Self::Frontend => spread(4096, 5),
            Self::Even => 16 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read as _;

    fn expanded(made: &Made) -> usize {
        GzDecoder::new(&made.tarball[..]).read_to_end(&mut Vec::new()).unwrap()
    }

    #[test]
    fn fifty_weigh_what_fifty_published_ones_do() {
        let packed = |count| {
            let sizes = real().into_iter().take(count).map(|recipe| match recipe.extent {
                Extent::Packed(bytes) => bytes,
                Extent::Files(_) => 0,
            });
            sizes.sum::<usize>()
        };
        assert_eq!([1, 10, 50].map(packed), [4_900_000, 29_600_000, 207_000_000]);
    }

    #[test]
    fn they_are_as_large_as_asked_and_compress_like_real_ones() {
        for (kind, bytes) in [(Kind::Backend, 161_000), (Kind::Frontend, 600_000)] {
            let made = Recipe { kind, extent: Extent::Packed(bytes), top: Top::Package }.make(1, &pool());
            let (packed, expanded) = (made.tarball.len(), expanded(&made));
            assert!((bytes..bytes + 32 * 1024).contains(&packed), "{kind:?}: {packed} of {bytes} bytes");
            assert!((5..9).contains(&(expanded / packed)), "{kind:?}: {packed} of {expanded} bytes");
        }
    }

    #[test]
    fn a_layer_is_the_same_plugin_below_its_own_name() {
        let tar = |recipes: &[Recipe]| {
            let mut tar = Vec::new();
            GzDecoder::new(&make(&recipes[..1])[0].tarball[..]).read_to_end(&mut tar).unwrap();
            tar
        };
        let (plugin, layer) = (tar(&even()), tar(&images()));
        assert_eq!(plugin.len(), layer.len());
        assert!(plugin.starts_with(b"package/package.json\0") && layer.starts_with(b"plugin-0000/package.json\0"));
    }

    #[test]
    fn every_making_gives_the_same_bytes() {
        let recipes = [small(2), even()[..1].to_vec()].concat();
        let (one, other) = (make(&recipes), make(&recipes));
        assert_eq!(one.len(), recipes.len());
        for (one, other) in one.iter().zip(&other) {
            assert!(one.name == other.name && one.tarball == other.tarball, "{}", one.name);
        }
        assert!(one[0].tarball != one[1].tarball);
    }
}
