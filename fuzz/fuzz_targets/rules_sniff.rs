#![no_main]
#[path = "../bodies/rules_sniff.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
