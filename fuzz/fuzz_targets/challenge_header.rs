//! Lets libFuzzer call [`fuzz::challenge_header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::challenge_header::target(bytes));
