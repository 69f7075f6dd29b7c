//! Lets libFuzzer call [`fuzz::values_edit`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::values_edit::target(bytes));
