//! A thousand ACLs on one frontend cost no allocation for a request.

use std::alloc::System;
use std::fmt::Write;

use oneport::config::{BackendId, Source, load};
use oneport::http::parse_request;
use oneport::rules::{Choice, View, choose_backend};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] =
    b"GET /a/b?c=d HTTP/1.1\r\nHost: www.example.org:80\r\nX: one, two, three\r\nCookie: a=1; b=2\r\n\r\n";

/// Criteria that do not hold for the request; `#` is the ACL's number.
const CRITERIA: [&str; 14] = [
    "hdr(host) -i host-#.example.org",
    "hdr_dom(host) -i other-#",
    "hdr_reg(host) ^host-#[.]",
    "hdr(x,-2) value-#",
    "hdr(x,2) -m beg value-#",
    "path_beg /folder-#",
    "path_dir folder-#",
    "url_param(c) value-#",
    "cook(b) value-#",
    "hdr_cnt(x) gt 1#",
    "payload(0,3) -m str value-#",
    "method PURGE-#",
    "query -m sub value-#",
    "req.fhdr(x) -m end value-#",
];

/// One test alone: what other threads allocate would be counted too.
#[test]
fn a_thousand_acls_allocate_nothing() {
    let mut text = String::from(
        "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
         frontend many\n bind :81\n default_backend last\n",
    );
    for i in 0..1_000 {
        let criterion = CRITERIA[i % CRITERIA.len()].replace('#', &i.to_string());
        let _ = writeln!(text, " acl a{i} {criterion}\n use_backend other if a{i}");
    }
    text.push_str("backend other\n server s 127.0.0.1:1\nbackend last\n server s 127.0.0.1:1\n");
    let loaded = load(&[Source::new("many.cfg", text)], &|_| None);
    let Some(config) = loaded.config else { panic!("{:?}", loaded.diagnostics) };
    let frontend = &config.frontends[0];
    assert_eq!(frontend.acls.len(), 1_000);
    let head = parse_request(REQUEST).expect("a good request").expect("a whole one");
    let decide = || choose_backend(frontend, &View::with_head(REQUEST, &head));
    // A regular expression makes its room at its first use.
    assert_eq!(decide(), Choice::Backend(BackendId(1)));

    let region = Region::new(COUNTED);
    let choice = decide();
    let change = region.change();
    assert_eq!(choice, Choice::Backend(BackendId(1)));
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    // The count counts.
    let region = Region::new(COUNTED);
    drop(std::hint::black_box(vec![1u8; 99]));
    assert_eq!(region.change().allocations, 1);
}
