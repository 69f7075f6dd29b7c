//! Archives with bytes changed at random.

use crate::outcome;
use crate::writer::Tar;
use proptest::prelude::*;

fn sample() -> Tar {
    Tar::package()
        .pax(b'x', &[("path", "package/renamed"), ("size", "3")])
        .file("package/x", b"abc")
        .extension(b'L', b"package/long\0")
        .file("package/cut", b"x")
        .symlink("package/l", "x/../long")
        .hard_link("package/h", "package/long")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// `outcome` asserts that nothing is written outside.
    #[test]
    fn changed_tar_bytes_never_panic_or_escape(
        changes in proptest::collection::vec((0..8192_usize, any::<u8>()), 1..8),
        repaired in any::<bool>(),
    ) {
        let mut tar = sample();
        let len = tar.0.len();
        for (at, byte) in changes {
            tar.0[at % len] = byte;
        }
        if repaired {
            for block in tar.0.chunks_exact_mut(512) {
                block[148..156].copy_from_slice(b"        ");
                let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        outcome(&tar.gz());
    }

    #[test]
    fn a_changed_artifact_is_never_accepted_with_another_tree(at in any::<prop::sample::Index>(), with in 1..=255_u8) {
        let good = sample().gz();
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        let changed = outcome(&bytes);
        // Parts of the gzip header, and a few bits of a deflate stream, say nothing about the content.
        if changed.result.is_ok() {
            prop_assert_eq!(changed.tree, outcome(&good).tree);
        }
    }

    #[test]
    fn random_bytes_are_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(outcome(&bytes).reason(), "archive_invalid");
        prop_assert_eq!(outcome(&crate::writer::gzip(&bytes)).reason(), "archive_invalid");
    }
}
