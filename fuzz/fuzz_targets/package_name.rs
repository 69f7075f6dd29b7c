//! Lets libFuzzer call [`fuzz::package_name`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::package_name::target(bytes));
