//! Lets libFuzzer call [`fuzz::logfmt_roundtrip`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::logfmt_roundtrip::target(bytes));
