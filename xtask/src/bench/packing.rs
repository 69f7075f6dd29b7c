//! The publisher's `pack` beside tar and gzip: as small as `gzip -9` in half its time, and in little memory.

use std::array;
use std::fs;
use std::process::Command;

use anyhow::Context as _;

use super::Place;
use super::table::{Limit, Packer, Tool};
use super::tree::Tree;
use super::usage::Usage;
use crate::dist::Binary;

const MIB: u64 = 1024 * 1024;
/// What a build may have to spare beside the bundler that came before.
const MAX_PEAK: u64 = 64 * MIB;
/// More than the largest plugin known brings along.
const SMALL_FILES: usize = 10_000;

/// Ways to make the tarball `$3` of the folder `$2`, ours first: a name, and what a shell does, to which `$1` is the
/// publisher. Each is started by a shell, as one of them needs it.
const WAYS: [(&str, &str); 3] = [
    ("butler-plugin-publisher pack", r#"exec "$1" pack "$2" --output "$3""#),
    ("tar -cz", r#"exec tar -cz -f "$3" -C "$2" ."#),
    ("tar -c, gzip -9", r#"tar -c -C "$2" . | gzip -9 > "$3""#),
];

/// What all ways took for one tree, in their order.
pub(super) struct Comparison {
    name: String,
    /// The tree in words.
    pub(super) about: String,
    pub(super) packers: [Packer; 3],
}

/// Packs a tree of many small files and one of `large_files`.
pub(super) fn measure(place: &Place, large_files: usize, rounds: usize) -> anyhow::Result<[Comparison; 2]> {
    let small = place.with_root(|root| Comparison::of(Tree::small_files(root, SMALL_FILES)?, place, rounds))?;
    let large = place.with_root(|root| Comparison::of(Tree::large_files(root, large_files)?, place, rounds))?;
    Ok([small, large])
}

/// What is limited of the publisher.
pub(super) fn limits(publisher: &Binary, comparisons: &[Comparison]) -> Vec<Limit> {
    let Binary { bytes, crates, budget, .. } = publisher;
    let binary = [
        Limit::bytes("static binary of the publisher", *bytes as u64, budget.bytes as u64),
        Limit::count("crates in the publisher", *crates, budget.crates),
    ];
    binary.into_iter().chain(comparisons.iter().flat_map(Comparison::limits)).collect()
}

impl Comparison {
    /// Every way once a round, so that what disturbs the machine disturbs all of them.
    fn of(tree: Tree, place: &Place, rounds: usize) -> anyhow::Result<Self> {
        let tarball = place.at("package.tgz");
        let mut usages = [const { Vec::new() }; 3];
        let mut packed = [0; 3];
        for _ in 0..rounds {
            for (way, (_, script)) in WAYS.iter().enumerate() {
                let mut command = Command::new("sh");
                command.args(["-c", script, "sh"]).arg(&place.publisher).arg(&tree.path).arg(&tarball);
                usages[way].push(Usage::of(&command)?);
                packed[way] = fs::metadata(&tarball).context("could not look at a tarball")?.len();
                fs::remove_file(&tarball).context("could not remove a tarball")?;
            }
        }
        let packers = array::from_fn(|way| Packer {
            tool: Tool { name: WAYS[way].0, usage: Usage::middle(&usages[way]) },
            packed: packed[way],
        });
        let about = format!("{}, {} MiB in all; folder and tarball lie in memory", tree.name, tree.len / MIB);
        Ok(Self { name: tree.name, about, packers })
    }

    /// What has to be kept to beside `gzip -9`, and without it.
    fn limits(&self) -> [Limit; 3] {
        let [ours, _, best] = &self.packers;
        let what = |what| format!("{what}, {}", self.name);
        [
            Limit::bytes(what("peak memory"), ours.tool.usage.peak, MAX_PEAK),
            Limit::bytes(what("packed size, to 1.01 of `gzip -9`"), ours.packed, best.packed / 100 * 101),
            Limit::time(what("time, to half of `gzip -9`"), ours.tool.usage.wall, best.tool.usage.wall / 2),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::table::Verdict::{self, TooLong, TooMuch, Within};
    use std::time::Duration;

    #[test]
    fn ours_is_held_against_the_best_of_gzip() {
        let packer = |millis, peak, packed| {
            let time = Duration::from_millis(millis);
            Packer { tool: Tool { name: "any", usage: Usage { wall: time, cpu: time, peak } }, packed }
        };
        let verdicts = |ours| {
            let packers = [ours, packer(1, 1, 1), packer(1000, 1, 10_000)];
            let comparison = Comparison { name: "a tree".to_owned(), about: String::new(), packers };
            comparison.limits().map(|limit| limit.verdict())
        };
        let rows: [(&str, Packer, [Verdict; 3]); 4] = [
            ("at the limits", packer(500, MAX_PEAK, 10_100), [Within; 3]),
            ("more memory", packer(500, MAX_PEAK + 1, 10_100), [TooMuch, Within, Within]),
            ("more bytes", packer(500, MAX_PEAK, 10_101), [Within, TooMuch, Within]),
            ("more time", packer(501, MAX_PEAK, 10_100), [Within, Within, TooLong]),
        ];
        for (name, ours, expected) in rows {
            assert_eq!(verdicts(ours), expected, "{name}");
        }
    }
}
