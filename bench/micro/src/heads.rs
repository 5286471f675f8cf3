//! Reading a head, and writing the one that goes on.

use divan::{Bencher, black_box};
use oneport::http::{
    After, Method, RequestEdits, RequestFacts, ResponseEdits, Version, parse_request, parse_response,
    write_request, write_response,
};

use crate::WRONG;
use crate::messages::{ANSWER, BROWSER, CURL};

const TO_GET: RequestFacts = RequestFacts { method: Method::Get, version: Version::Http11 };

#[divan::bench(args = ["curl", "browser"])]
fn parse_a_request(bencher: Bencher, client: &str) {
    let bytes = request_of(client);
    let parse = || parse_request(black_box(bytes)).map(|head| head.map(|head| head.len));
    assert_eq!(parse(), Ok(Some(bytes.len())), "{WRONG}");
    bencher.bench_local(parse);
}

#[divan::bench]
fn parse_an_answer(bencher: Bencher) {
    let parse = || parse_response(black_box(ANSWER), TO_GET).map(|head| head.map(|head| head.len));
    assert_eq!(parse(), Ok(Some(ANSWER.len())), "{WRONG}");
    bencher.bench_local(parse);
}

/// Without reading it, with the client's address added: `option forwardfor`.
#[divan::bench(args = ["curl", "browser"])]
fn rewrite_a_request(bencher: Bencher, client: &str) {
    let bytes = request_of(client);
    let head = parse_request(bytes).expect("a good request").expect("a whole one");
    let edits = RequestEdits {
        after: After::KeepAlive,
        add_fields: &[("X-Forwarded-For", b"192.168.178.21")],
        forward_for: Some("X-Forwarded-For"),
        proxy_header: false,
    };
    let mut out = vec![0; 16_384];
    let mut write = || write_request(&head, black_box(bytes), &edits, black_box(&mut out));
    assert!(write().is_ok(), "{WRONG}");
    bencher.bench_local(write);
}

#[divan::bench]
fn rewrite_an_answer(bencher: Bencher) {
    let head = parse_response(ANSWER, TO_GET).expect("a good answer").expect("a whole one");
    let edits = ResponseEdits { client: Version::Http11, after: After::KeepAlive, add_fields: &[] };
    let mut out = vec![0; 16_384];
    let mut write = || write_response(&head, black_box(ANSWER), &edits, black_box(&mut out));
    assert!(write().is_ok(), "{WRONG}");
    bencher.bench_local(write);
}

fn request_of(client: &str) -> &'static [u8] {
    if client == "curl" { CURL } else { BROWSER }
}
