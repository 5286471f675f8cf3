//! How the choice of a backend grows with the number of ACLs.

use std::fmt::Write;

use divan::{Bencher, black_box};
use oneport::config::{BackendId, Source, load};
use oneport::http::parse_request;
use oneport::rules::{Choice, View, choose_backend};

use crate::WRONG;
use crate::messages::BROWSER;

/// One ACL and one rule for each name of a host; none is the client's, so that all are looked at.
#[divan::bench(args = [1, 100, 1_000])]
fn acls_on_the_host(bencher: Bencher, count: usize) {
    choose(bencher, count, |i| format!("hdr(host) -i host-{i}.example.org"));
}

/// The same with the first bytes instead of a field.
#[divan::bench(args = [1, 100, 1_000])]
fn acls_on_the_payload(bencher: Bencher, count: usize) {
    choose(bencher, count, |i| format!("payload(0,8) -m bin {:016x}", i + 1));
}

fn choose(bencher: Bencher, count: usize, criterion: impl Fn(usize) -> String) {
    let mut text = String::from(
        "frontend all\n mode http\n bind :80\n timeout client 1s\n default_backend last\n\
         backend other\n mode http\n server s h:1\n timeout connect 1s\n timeout server 1s\n\
         backend last\n mode http\n server s h:1\n timeout connect 1s\n timeout server 1s\n\
         frontend many\n mode http\n bind :81\n timeout client 1s\n default_backend last\n",
    );
    for i in 0..count {
        let _ = writeln!(text, " acl a{i} {}\n use_backend other if a{i}", criterion(i));
    }
    let loaded = load(&[Source::new("many.cfg", text)], &|_| None);
    let Some(config) = loaded.config else { panic!("{:?}", loaded.diagnostics) };
    let frontend = &config.frontends[1];
    assert_eq!(frontend.acls.len(), count);
    // The head was read before, as it is when a request is routed.
    let head = parse_request(BROWSER).expect("a good request").expect("a whole one");
    let decide = || choose_backend(frontend, &View::with_head(black_box(BROWSER), &head));
    assert_eq!(decide(), Choice::Backend(BackendId(1)), "{WRONG}");
    bencher.bench_local(decide);
}
