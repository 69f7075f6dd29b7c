//! Replays what fuzzing has kept: every file of `corpus/` and `findings/`, through its target, and the seeds.

use std::path::{Path, PathBuf};
use std::{fs, io};

use fuzz::{TARGETS, Target};

/// Runs everything that is kept for a target, and says which file it was when something does not hold.
fn replay(target: Target) {
    for seed in (target.seeds)() {
        (target.run)(&seed);
    }
    let kept = files("corpus", target.name).expect("the corpus can be read");
    assert!(!kept.is_empty(), "`fuzz/corpus/{}` is empty", target.name);
    // Without findings there is no folder for them.
    let findings = files("findings", target.name).unwrap_or_default();
    for path in kept.into_iter().chain(findings) {
        let bytes = fs::read(&path).expect("the file can be read");
        let outcome = std::panic::catch_unwind(|| (target.run)(&bytes));
        assert!(outcome.is_ok(), "`{}`", path.display());
    }
}

fn files(kind: &str, target: &str) -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target);
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                let known = TARGETS.iter().find(|target| target.name == stringify!($target));
                replay(*known.unwrap());
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!([$(stringify!($target)),*], TARGETS.map(|target| target.name));
        }
    };
}

replayed! {
    gzip_tar config source_uri policy_match challenge_header manifest logfmt_roundtrip sri package_name package_json
    values_edit
}
