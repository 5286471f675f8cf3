//! A thousand ACLs or rules on one frontend cost no allocation for a request that they do not concern.

use std::alloc::System;
use std::fmt::Write;

use oneport::backend::{Server, Table};
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
    a_client_that_a_table_knows_costs_nothing();
}

/// 100,000 IPv4 sources take less than half of the 12 MiB that they may, and less than what is announced for them.
fn a_client_that_a_table_knows_costs_nothing() {
    const CLIENTS: u32 = 100_000;
    let text = "defaults\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nlisten l\n bind :1\n \
                stick-table type ip size 100k expire 1h\n stick on src\n server a 127.0.0.1:1\n server b 127.0.0.1:2\n";
    let loaded = load(&[Source::new("stick.cfg", text)], &|_| None);
    let Some(config) = loaded.config else { panic!("{:?}", loaded.diagnostics) };
    let address = |_: &str, port: u16| Ok(vec![([127, 0, 0, 1], port).into()]);
    let servers: Vec<Server> = config.backends[0]
        .servers
        .iter()
        .map(|server| Server::new(server.clone(), Server::targets(server, address).expect("an address")))
        .collect();
    let region = Region::new(COUNTED);
    let table = Table::new(config.tables[0].clone());
    for client in 0..CLIENTS {
        table.store(&client.to_be_bytes(), &servers, client as usize % 2, 0);
    }
    let change = region.change();
    let taken_bytes = change.bytes_allocated - change.bytes_deallocated;
    println!("{CLIENTS} sources take {} KiB", taken_bytes / 1_024);
    assert!(taken_bytes < 6 << 20, "{taken_bytes}");
    assert!((taken_bytes as u64) < config.tables[0].bytes_max());

    let region = Region::new(COUNTED);
    for client in (0..CLIENTS).rev() {
        let (place, server) = table.find(&client.to_be_bytes(), &servers, 1).expect("it is known");
        assert_eq!(server, Some(client as usize % 2));
        table.store_at(place, &servers, 1, 2);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    // Nor does one more client where the table is full.
    for client in CLIENTS..CLIENTS + 2_400 {
        table.store(&client.to_be_bytes(), &servers, 0, 3);
    }
    let region = Region::new(COUNTED);
    for client in 0..1_000_u32 {
        table.store(&(client | 1 << 31).to_be_bytes(), &servers, 0, 4);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    assert_eq!(table.entries(5).len(), 100 << 10);
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
