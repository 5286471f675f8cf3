//! One port, three protocols: which backend gets a connection, whatever the segmentation of its first bytes.

use crate::rig::SinglePort;
use crate::support::client::Client;
use crate::support::ms;
use crate::support::pattern::payload;
use crate::support::program::{Program, installed, only_oneport};
use crate::support::socket::End;
use crate::support::web::{BLOB_LEN, BLOB_SEED};
use crate::support::websocket::{HANDSHAKE, connect, expect_echo};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: device\r\n\r\n";

#[track_caller]
fn expect_web(client: &mut Client) {
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-backend"), Some("nginx"));
    assert!(answer.text().contains("served by nginx"));
}

/// The bytes went to the echo unchanged, the zeros included.
#[track_caller]
fn expect_socket(client: &mut Client, sent: &[u8]) {
    assert_eq!(client.read_exact(sent.len()), sent);
}

#[track_caller]
fn expect_websocket(client: &mut Client) {
    let answer = client.answer();
    assert_eq!(answer.status, 101, "{}", answer.head);
    assert_eq!(answer.header("x-backend"), Some("websocket"));
}

#[track_caller]
fn all_three(rig: &SinglePort) {
    let mut client = rig.gateway.client();
    client.send(GET);
    expect_web(&mut client);
    let mut socket = connect(rig.gateway.port, "/echo");
    expect_echo(&mut socket, "over one port".into());
    let mut raw = rig.gateway.client();
    raw.send(b"\0\0\0\0\0\0\0\0raw bytes");
    expect_socket(&mut raw, b"\0\0\0\0\0\0\0\0raw bytes");
}

#[test]
fn a_file_carries_all_three_protocols() {
    all_three(&SinglePort::start(8));
}

#[test]
fn a_file_that_tests_four_bytes_carries_all_three_protocols() {
    all_three(&SinglePort::start(4));
}

#[test]
fn the_preset_carries_all_three_protocols() {
    if only_oneport("the preset") {
        return;
    }
    all_three(&SinglePort::start_preset());
}

#[test]
fn curl_gets_a_file_whole() {
    let rig = SinglePort::start(8);
    let mut curl = std::process::Command::new(installed("curl", "curl"));
    curl.args(["-sS", "--max-time", "20"]).arg(format!("http://127.0.0.1:{}/blob", rig.gateway.port));
    let output = crate::support::process::run_command(curl);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == payload(BLOB_SEED, BLOB_LEN), "{} bytes came", output.stdout.len());
}

#[test]
fn an_http_head_goes_to_the_web_server_in_any_segmentation() {
    let rig = SinglePort::start(8);
    let mut whole = rig.gateway.client();
    whole.send(GET);
    expect_web(&mut whole);
    for split in [1, 3, 5, 16, 20, GET.len() - 3, GET.len() - 1] {
        let mut client = rig.gateway.client();
        client.send_pieces([&GET[..split], &GET[split..]], ms(40));
        expect_web(&mut client);
    }
    let mut bytewise = rig.gateway.client();
    bytewise.send_bytewise(GET, ms(2));
    expect_web(&mut bytewise);
}

#[test]
fn a_pause_longer_than_the_inspect_delay_in_a_head_does_no_harm() {
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    client.send_pieces(["GET / HTTP/1.1\r\nHos", "t: device\r\n\r\n"], ms(700));
    expect_web(&mut client);
}

#[test]
fn the_web_server_sees_the_clients_address() {
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    client.send("GET /from HTTP/1.1\r\nHost: device\r\n\r\n");
    assert_eq!(client.answer().text(), "127.0.0.1");
}

#[test]
fn an_upgrade_goes_to_the_websocket_server_wherever_it_is_split() {
    let rig = SinglePort::start(8);
    for split in (1..HANDSHAKE.len()).step_by(7) {
        let mut client = rig.gateway.client();
        client.send_pieces([&HANDSHAKE[..split], &HANDSHAKE[split..]], ms(10));
        expect_websocket(&mut client);
    }
    let mut bytewise = rig.gateway.client();
    bytewise.send_bytewise(HANDSHAKE, ms(1));
    expect_websocket(&mut bytewise);
}

#[test]
fn an_upgrade_is_recognised_in_any_case() {
    let rig = SinglePort::start(8);
    for (name, value) in [("Upgrade", "WebSocket"), ("upgrade", "WEBSOCKET"), ("UPGRADE", "websocket")] {
        let mut client = rig.gateway.client();
        client.send(HANDSHAKE.replace("Upgrade: websocket", &format!("{name}: {value}")));
        expect_websocket(&mut client);
    }
}

#[test]
fn an_upgrade_to_something_else_goes_to_the_web_server() {
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: device\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    expect_web(&mut client);
}

#[test]
fn eight_zeros_go_to_the_socket_process_unchanged() {
    let rig = SinglePort::start(8);
    let sent = b"\0\0\0\0\0\0\0\0hello";
    let mut client = rig.gateway.client();
    client.send(sent);
    expect_socket(&mut client, sent);
    client.finish();
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
    rig.socket.wait_received(last(&rig), sent);
}

#[test]
fn eight_zeros_may_come_in_any_segmentation() {
    if only_oneport("HAProxy decides on the first segment") {
        return;
    }
    let rig = SinglePort::start(8);
    let sent = b"\0\0\0\0\0\0\0\0hello";
    for split in 1..8 {
        let mut client = rig.gateway.client();
        client.send_pieces([&sent[..split], &sent[split..]], ms(60));
        expect_socket(&mut client, sent);
    }
    let mut bytewise = rig.gateway.client();
    bytewise.send_bytewise(sent, ms(50));
    expect_socket(&mut bytewise, sent);
}

#[test]
fn two_zeros_and_two_more_after_a_pause_are_four() {
    if only_oneport("HAProxy answers 400 after the first two") {
        return;
    }
    let rig = SinglePort::start(4);
    let mut client = rig.gateway.client();
    client.send_pieces([&[0, 0], &[0, 0]], ms(200));
    expect_socket(&mut client, &[0; 4]);
}

#[test]
fn zeros_that_stop_short_are_what_the_default_backend_says() {
    let rig = SinglePort::start(4);
    let started = Instant::now();
    let mut client = rig.gateway.client();
    client.send([0, 0, 0]);
    let answer = client.answer();
    assert_eq!(answer.status, 400);
    if Program::subject() == Program::Oneport {
        assert!(started.elapsed() >= ms(500), "more zeros could have come within the inspect delay");
    }
    assert_eq!(client.read_to_end().1, End::Closed);
}

#[test]
fn zeros_and_then_something_else_need_not_wait() {
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    client.send([0, 0, 0, b'x', 0, 0, 0, 0, 0]);
    assert_eq!(client.answer().status, 400);
}

#[test]
fn zeros_and_the_end_of_input_need_not_wait() {
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    client.send([0, 0, 0]);
    client.finish();
    let (bytes, end) = client.read_to_end();
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400 "), "{}", crate::support::show(&bytes));
    assert_eq!(end, End::Closed);
}

/// A server that speaks first can stand behind the same port as its default.
#[test]
fn a_silent_client_gets_the_default_backend_after_the_delay() {
    let banner = crate::support::peers::Backend::start(|peer| {
        peer.write("220 ready\r\n");
        peer.read_to_end();
    });
    let gateway = crate::support::process::Gateway::start(|port| {
        format!(
            "{}frontend all\n mode tcp\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 400ms\n \
             tcp-request content accept if HTTP\n acl zeros payload(0,8) -m bin 0000000000000000\n \
             use_backend other if zeros\n default_backend banner\n\
             backend banner\n mode tcp\n server b 127.0.0.1:{}\n\
             backend other\n mode tcp\n server o 127.0.0.1:{}\n",
            crate::rig::DEFAULTS,
            banner.port,
            crate::support::ports::free_port()
        )
    });
    let started = Instant::now();
    let mut client = gateway.client();
    assert_eq!(client.read_exact(11), b"220 ready\r\n");
    assert!(started.elapsed() >= ms(400), "{:?}", started.elapsed());
}

#[test]
fn a_silent_client_of_the_single_port_is_a_408_in_the_end() {
    if only_oneport("timeouts where the file sets none") {
        return;
    }
    let rig = SinglePort::start(8);
    let started = Instant::now();
    let mut client = rig.gateway.client();
    assert_eq!(client.answer().status, 408);
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(9), "http-request is 10 s by default, took {took:?}");
}

#[test]
fn other_protocols_are_what_the_default_backend_says() {
    let rig = SinglePort::start(8);
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x01\x02\x03\x04\x05\x06\x07\x08";
    let garbage = payload(7, 3_000);
    for bytes in [&tls_hello[..], b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\xff\xfe\xfd\r\n\r\n", &garbage] {
        let mut client = rig.gateway.client();
        client.send(bytes);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "for {}", crate::support::show(bytes));
        // What the gateway has not read may turn its close into a reset.
        client.read_to_end();
    }
}

#[test]
fn an_upgrade_on_a_kept_alive_connection_goes_to_the_websocket_server() {
    if only_oneport("HAProxy closes after the first request") {
        return;
    }
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    for _ in 0..2 {
        client.send(GET);
        expect_web(&mut client);
    }
    client.send(HANDSHAKE);
    expect_websocket(&mut client);
    // A masked text frame with a zero mask, and its unmasked echo.
    client.send(b"\x81\x82\0\0\0\0hi");
    assert_eq!(client.read_exact(4), b"\x81\x02hi");
}

#[test]
fn an_upgrade_pipelined_behind_a_request_goes_to_the_websocket_server() {
    if only_oneport("HAProxy closes after the first request") {
        return;
    }
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    client.send(format!("{GET}{HANDSHAKE}"));
    expect_web(&mut client);
    expect_websocket(&mut client);
}

#[test]
fn the_web_side_keeps_the_clients_connection_alive() {
    let rig = SinglePort::start(8);
    let mut client = rig.gateway.client();
    for _ in 0..3 {
        client.send("GET /blob HTTP/1.1\r\nHost: device\r\n\r\n");
        assert!(client.answer().body == payload(BLOB_SEED, BLOB_LEN));
    }
    assert!(crate::support::ports::is_listening(rig.web.port));
}

#[test]
fn content_rules_reject() {
    let backend = crate::support::peers::Backend::echo();
    let gateway = crate::rig::tcp_gateway(
        &backend,
        "tcp-request inspect-delay 2s\n\
         acl bad payload(0,3) -m str bad\n\
         tcp-request content reject if bad\n\
         tcp-request content accept if { payload(0,3) -m found }",
    );
    let mut bad = gateway.client();
    bad.send("bad bytes");
    let (bytes, end) = bad.read_to_end();
    assert!(bytes.is_empty());
    assert_ne!(end, End::Open);
    let mut good = gateway.client();
    good.send("good bytes");
    assert_eq!(good.read_exact(10), b"good bytes");
    assert_eq!(backend.accepts(), 1, "nothing of a rejected connection reaches the backend");
}

#[test]
fn conditions_combine() {
    let (a, b, c) = (
        crate::support::peers::Backend::web("a"),
        crate::support::peers::Backend::web("b"),
        crate::support::peers::Backend::web("c"),
    );
    let gateway = crate::support::process::Gateway::start(|port| {
        format!(
            "{}frontend f\n mode http\n bind 127.0.0.1:{port}\n\
             acl one hdr(x-one) -m found\n acl two hdr(x-two) -i yes maybe\n acl two hdr(x-two) -m beg sure\n\
             use_backend a if one two\n use_backend b if one !two || {{ hdr(x-b) -m end bee }} !{{ hdr(x-no) 1 }}\n\
             use_backend a unless TRUE\n use_backend c if {{ hdr(x-c) -m sub mid }} or FALSE\n default_backend a\n\
             backend a\n mode http\n server s 127.0.0.1:{}\nbackend b\n mode http\n server s 127.0.0.1:{}\n\
             backend c\n mode http\n server s 127.0.0.1:{}\n",
            crate::rig::DEFAULTS,
            a.port,
            b.port,
            c.port
        )
    });
    for (fields, expected) in [
        ("", "a"),
        ("X-One: 1\r\nX-Two: MAYBE\r\n", "a"),
        ("X-One: 1\r\nX-Two: surely\r\n", "a"),
        ("X-One: 1\r\nX-Two: no, yes\r\n", "a"),
        ("X-One: 1\r\nX-Two: no\r\n", "b"),
        ("X-One: 1\r\n", "b"),
        ("X-Two: yes\r\n", "a"),
        ("X-B: a bee\r\n", "b"),
        ("X-B: a bee\r\nX-No: 1\r\n", "a"),
        ("X-C: amidst\r\n", "c"),
        ("X-C: AMIDST\r\n", "a"),
    ] {
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!(client.answer().header("x-backend"), Some(expected), "for {fields:?}");
    }
}

/// The index of the echo's latest connection (health checks connect, too).
fn last(rig: &SinglePort) -> usize {
    (0..rig.socket.accepts()).rev().find(|index| !rig.socket.received(*index).is_empty()).unwrap_or(0)
}
