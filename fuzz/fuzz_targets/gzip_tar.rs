//! Lets libFuzzer call [`fuzz::gzip_tar`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::gzip_tar::target(bytes));
