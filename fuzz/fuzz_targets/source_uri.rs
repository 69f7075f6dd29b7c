//! Lets libFuzzer call [`fuzz::source_uri`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::source_uri::target(bytes));
