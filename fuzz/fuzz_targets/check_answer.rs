#![no_main]
#[path = "../bodies/check_answer.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
