#![no_main]
#[path = "../bodies/explain_hex.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
