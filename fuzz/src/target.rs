//! The list of targets.

use crate::{
    challenge_header, config, gzip_tar, logfmt_roundtrip, manifest, package_json, package_name, policy_match,
    source_uri, sri, values_edit,
};

/// One function to be called with any bytes, and what helps a fuzzer to find its way in.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its module, and its folder in the corpus.
    pub name: &'static str,
    /// Panics if something does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that stand in such inputs.
    pub words: &'static [&'static str],
    /// Bytes of the longest input worth trying.
    pub max_len: usize,
}

macro_rules! target {
    ($name:ident, $max_len:expr) => {
        Target {
            name: stringify!($name),
            run: $name::target,
            seeds: $name::seeds,
            words: $name::WORDS,
            max_len: $max_len,
        }
    };
}

/// All targets, those that read the most hostile bytes first.
pub const TARGETS: [Target; 11] = [
    target!(gzip_tar, 16 * 1024),
    target!(config, 8 * 1024),
    target!(source_uri, 512),
    target!(policy_match, 1024),
    target!(challenge_header, 4 * 1024),
    target!(manifest, 8 * 1024),
    target!(logfmt_roundtrip, 4 * 1024),
    target!(sri, 512),
    target!(package_name, 256),
    target!(package_json, 4 * 1024),
    target!(values_edit, 4 * 1024),
];
