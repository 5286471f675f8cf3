#![no_main]
#[path = "../bodies/log_format.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
