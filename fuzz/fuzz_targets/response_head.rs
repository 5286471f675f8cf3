#![no_main]
#[path = "../bodies/response_head.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
