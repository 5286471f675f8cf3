//! Replays the fuzz corpora without a fuzzer, so that every toolchain and board runs them.

use std::path::Path;

#[path = "../fuzz/bodies/check_answer.rs"]
mod check_answer_body;
#[path = "../fuzz/bodies/chunked.rs"]
mod chunked_body;
#[path = "../fuzz/bodies/config_load.rs"]
mod config_load_body;
#[path = "../fuzz/bodies/cookies.rs"]
mod cookies_body;
#[cfg(feature = "explain")]
#[path = "../fuzz/bodies/explain_hex.rs"]
mod explain_hex_body;
#[path = "../fuzz/bodies/http_edit.rs"]
mod http_edit_body;
#[path = "../fuzz/bodies/log_format.rs"]
mod log_format_body;
#[path = "../fuzz/bodies/proxy_header.rs"]
mod proxy_header_body;
#[path = "../fuzz/bodies/request_head.rs"]
mod request_head_body;
#[path = "../fuzz/bodies/response_head.rs"]
mod response_head_body;
#[path = "../fuzz/bodies/rules_sniff.rs"]
mod rules_sniff_body;

fn replay(name: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the project") {
        let path = entry.expect("a readable folder").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a readable file"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn chunked() {
    replay("chunked", chunked_body::check);
}

#[test]
fn check_answer() {
    replay("check_answer", check_answer_body::check);
}

#[test]
fn request_head() {
    replay("request_head", request_head_body::check);
}

#[test]
fn response_head() {
    replay("response_head", response_head_body::check);
}

#[test]
fn proxy_header() {
    replay("proxy_header", proxy_header_body::check);
}

#[test]
fn cookies() {
    replay("cookies", cookies_body::check);
}

#[test]
fn config_load() {
    replay("config_load", config_load_body::check);
}

#[test]
fn rules_sniff() {
    replay("rules_sniff", rules_sniff_body::check);
}

#[test]
fn http_edit() {
    replay("http_edit", http_edit_body::check);
}

#[test]
fn log_format() {
    replay("log_format", log_format_body::check);
}

#[test]
#[cfg(feature = "explain")]
fn explain_hex() {
    replay("explain_hex", explain_hex_body::check);
}
