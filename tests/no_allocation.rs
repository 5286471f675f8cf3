//! A thousand ACLs or rules on one frontend cost no allocation for a request that they do not concern.

use std::alloc::System;
use std::fmt::Write;

use oneport::config::{BackendId, Source, load};
use oneport::http::edit::Text;
use oneport::http::parse_request;
use oneport::rules::{Choice, View, applies, choose_backend};
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

/// What other threads allocate would be counted too, so this is one test.
#[test]
fn only_what_a_request_uses_allocates() {
    a_thousand_acls_allocate_nothing();
    a_thousand_rules_that_do_not_hold_allocate_nothing();
    a_header_that_is_set_costs_one_copy_of_the_head();
}

/// Actions of `http-request`; each has a condition that does not hold.
const ACTIONS: [&str; 6] = [
    "set-header X-A %[src]",
    "deny deny_status 429",
    "set-path /x%[path]",
    "del-header cookie",
    "set-var(txn.a) path",
    "redirect location /%[path]",
];

fn a_thousand_rules_that_do_not_hold_allocate_nothing() {
    let mut text = String::from(
        "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
         frontend many\n bind :81\n default_backend last\n",
    );
    for i in 0..1_000 {
        let criterion = CRITERIA[i % CRITERIA.len()].replace('#', &i.to_string());
        let _ = writeln!(text, " http-request {} if {{ {criterion} }}", ACTIONS[i % ACTIONS.len()]);
    }
    text.push_str("backend last\n server s 127.0.0.1:1\n");
    let loaded = load(&[Source::new("many.cfg", text)], &|_| None);
    let Some(config) = loaded.config else { panic!("{:?}", loaded.diagnostics) };
    let frontend = &config.frontends[0];
    assert_eq!(frontend.http_rules.request.len(), 1_000);
    let head = parse_request(REQUEST).expect("a good request").expect("a whole one");
    let view = View::with_head(REQUEST, &head);
    let holding = || {
        let rules = frontend.http_rules.request.iter();
        rules.filter(|rule| applies(rule.condition.as_ref(), &frontend.acls, &view)).count()
    };
    assert_eq!(holding(), 0);
    let region = Region::new(COUNTED);
    let count = holding();
    let change = region.change();
    assert_eq!((count, change.allocations, change.reallocations), (0, 0, 0));
}

/// The value that is filled in is one more, and that is all that a rule for a header takes.
fn a_header_that_is_set_costs_one_copy_of_the_head() {
    let mut head = parse_request(REQUEST).expect("a good request").expect("a whole one");
    let region = Region::new(COUNTED);
    let mut text = Text::of(REQUEST, 30_000);
    for value in [&b"one"[..], b"two"] {
        head.edit().remove(&text, &|name| name == b"X");
        head.edit().add(&mut text, b"X", value).expect("room");
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (1, 0));
}

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
