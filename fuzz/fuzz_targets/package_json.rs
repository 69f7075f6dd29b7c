//! Lets libFuzzer call [`fuzz::package_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::package_json::target(bytes));
