//! What must hold for any bytes, as functions a fuzzer can call.
//!
//! ```
//! fuzz::sri::target(b"sha512-not a digest");
//! ```
//!
//! - One module for each [`Target`]; [`TARGETS`] lists them. A target asserts properties, most of them against a dumb
//!   reader of its own, so that a wrong answer is found like a crash.
//! - `fuzz_targets/` lets libFuzzer call them, `cargo xtask fuzz` runs that, `tests/corpus.rs` replays what it kept.
//!
//! # What this crate refuses
//! It takes no input from anywhere but its argument, reaches no network, and writes to temporary folders only. What
//! does not hold it says by a panic, which is what a fuzzer looks for.

#![expect(clippy::missing_panics_doc, reason = "said once, above, for the whole crate")]

pub mod challenge_header;
pub mod config;
pub mod gzip_tar;
pub mod logfmt_roundtrip;
pub mod manifest;
pub mod package_json;
pub mod package_name;
pub mod policy_match;
pub mod source_uri;
pub mod sri;
pub mod values_edit;

mod json;
mod rows;
mod scripted;
mod target;

pub use target::{TARGETS, Target};
