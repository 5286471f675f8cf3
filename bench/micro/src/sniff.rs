//! The single-port preset's rules over the first bytes of a connection.

use divan::{Bencher, black_box};
use oneport::config::{BackendId, Config, Source, load, preset};
use oneport::rules::{Choice, ContentVerdict, View, choose_backend, content_verdict};

use crate::WRONG;
use crate::messages::{CURL, RAW, noise};
use crate::upgrade::UPGRADE;

const WEB: Choice = Choice::Backend(BackendId(0));
const WS: Choice = Choice::Backend(BackendId(1));
const SOCKET: Choice = Choice::Backend(BackendId(2));

#[divan::bench]
fn http_get(bencher: Bencher) {
    sniff(bencher, CURL, WEB);
}

#[divan::bench]
fn websocket_upgrade(bencher: Bencher) {
    sniff(bencher, UPGRADE, WS);
}

#[divan::bench]
fn zeros_and_payload(bencher: Bencher) {
    sniff(bencher, RAW, SOCKET);
}

#[divan::bench]
fn half_a_head(bencher: Bencher) {
    sniff(bencher, &UPGRADE[..UPGRADE.len() / 2], Choice::NotYet);
}

#[divan::bench]
fn random_bytes(bencher: Bencher) {
    sniff(bencher, &noise(), WEB);
}

/// What a session asks after each read: may it go on, and where to.
fn sniff(bencher: Bencher, bytes: &[u8], expected: Choice) {
    let text = preset("*:80", "127.0.0.1:8100", "127.0.0.1:2200", "127.0.0.1:2100");
    let Config { frontends, .. } =
        load(&[Source::new("preset", text)], &|_| None).config.expect("the preset is good");
    let frontend = &frontends[0];
    let decide = || {
        let view = View::new(black_box(bytes), false);
        match content_verdict(frontend, &view) {
            // As a session does: while anything is open here, and bytes may come, it reads on.
            ContentVerdict::NotYet => Choice::NotYet,
            ContentVerdict::Accept | ContentVerdict::Reject => choose_backend(frontend, &view),
        }
    };
    assert_eq!(decide(), expected, "{WRONG}");
    bencher.bench_local(decide);
}
