//! Lets libFuzzer call [`fuzz::policy_match`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::policy_match::target(bytes));
