//! Lets libFuzzer call [`fuzz::sri`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::sri::target(bytes));
