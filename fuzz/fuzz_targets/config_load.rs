#![no_main]
#[path = "../bodies/config_load.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
