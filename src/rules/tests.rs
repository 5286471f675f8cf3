use super::*;
use crate::config::{self, Source};

fn frontend(rules: &str) -> (Frontend, Vec<String>) {
    let text = format!(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n mode tcp\n bind :80\n{rules}\n default_backend web\n\
         backend web\n mode http\n server s 127.0.0.1:1\nbackend ws\n server s 127.0.0.1:2\nbackend raw\n server s 127.0.0.1:3\n"
    );
    let loaded = config::load(&[Source::new("test", text)], &|_| None);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let names = config.backends.iter().map(|backend| backend.name.clone()).collect();
    (config.frontends[0].clone(), names)
}

const SNIFF: &str = " tcp-request inspect-delay 500ms\n tcp-request content accept if HTTP\n \
    acl is_websocket hdr(upgrade) -i websocket\n use_backend ws if is_websocket\n \
    acl is_socket payload(0,8) -m bin 0000000000000000\n use_backend raw if !HTTP is_socket\n";

/// What the rules say of each prefix, and of the whole: `?` while undecided.
fn outcome(frontend: &Frontend, names: &[String], bytes: &[u8], is_final: bool) -> String {
    let view = View::new(bytes, is_final);
    match content_verdict(frontend, &view) {
        ContentVerdict::NotYet => return "?".into(),
        ContentVerdict::Reject => return "reject".into(),
        ContentVerdict::Accept => {}
    }
    match choose_backend(frontend, &view) {
        Choice::Backend(id) => names[id.0].clone(),
        Choice::None => "none".into(),
        Choice::NotYet => "?".into(),
    }
}

#[test]
fn the_single_port_rules_decide_as_soon_as_they_can_and_never_change_their_mind() {
    let (frontend, names) = frontend(SNIFF);
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let upgrade = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    // Bytes, the backend, and how many bytes it takes to know.
    let rows: [(&[u8], &str, usize); 7] = [
        (get, "web", get.len()),
        (upgrade, "ws", upgrade.len()),
        (b"\0\0\0\0\0\0\0\0hello", "raw", 8),
        (b"\0\0\0\0\0\0\0x", "web", 8),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "web", 1),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "web", 4),
        (b"\x80binary", "web", 1),
    ];
    for (bytes, backend, needed) in rows {
        for len in 0..=bytes.len() {
            let expected = if len >= needed { backend } else { "?" };
            assert_eq!(outcome(&frontend, &names, &bytes[..len], false), expected, "{bytes:?} after {len}");
        }
    }
}

#[test]
fn what_is_undecided_at_the_end_is_a_no() {
    let (frontend, names) = frontend(SNIFF);
    for bytes in [&b""[..], b"\0\0\0", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n"] {
        assert_eq!(outcome(&frontend, &names, bytes, true), "web", "{bytes:?}");
    }
}

#[test]
fn two_of_four_zero_bytes_wait_where_haproxy_does_not() {
    let (frontend, names) =
        frontend(&SNIFF.replace("payload(0,8) -m bin 0000000000000000", "payload(0,4) -m bin 00000000"));
    assert_eq!(outcome(&frontend, &names, b"\0\0", false), "?");
    assert_eq!(outcome(&frontend, &names, b"\0\0\0\0", false), "raw");
}

#[test]
fn a_rejected_connection_is_rejected_at_once() {
    let (frontend, names) =
        frontend(" tcp-request inspect-delay 1s\n tcp-request content reject unless HTTP\n");
    assert_eq!(outcome(&frontend, &names, b"GET /", false), "?");
    assert_eq!(outcome(&frontend, &names, b"\x16", false), "reject");
    assert_eq!(outcome(&frontend, &names, b"GET /", true), "reject");
}

#[test]
fn or_not_and_anonymous_conditions() {
    let (frontend, names) = frontend(
        " tcp-request inspect-delay 1s\n use_backend ws if { hdr(x) a } or { hdr(x) b } !{ hdr(y) -m found }\n use_backend raw unless { hdr(z) -m found } || FALSE\n",
    );
    let with = |fields: &str| {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        outcome(&frontend, &names, bytes.as_bytes(), false)
    };
    assert_eq!(with("X: a\r\nY: 1\r\n"), "ws");
    assert_eq!(with("X: b\r\n"), "ws");
    assert_eq!(with("X: b\r\nY: 1\r\n"), "raw");
    assert_eq!(with("X: b\r\nY: 1\r\nZ: 1\r\n"), "web");
    assert_eq!(with("X: c, a\r\nY: 1\r\n"), "ws", "each element of a list counts");
}
