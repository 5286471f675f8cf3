//! Each timeout with a small value: never before its time, and not long after.

use crate::support::client::Client;
use crate::support::peers::{Backend, BlackHole, ok};
use crate::support::ports::is_listening;
use crate::support::process::Gateway;
use crate::support::socket::End;
use crate::support::{eventually, expect_about, ms};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// A gateway in which every timeout is a minute but those given.
#[track_caller]
fn gateway(mode: &str, server_port: u16, timeouts: &str) -> Gateway {
    Gateway::start(|port| {
        format!(
            "defaults\n timeout connect 1m\n timeout client 1m\n timeout server 1m\n timeout http-request 1m\n \
             timeout http-keep-alive 1m\n retries 0\n\
             listen l\n mode {mode}\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server_port}\n{timeouts}\n"
        )
    })
}

#[test]
fn connect() {
    let hole = BlackHole::new();
    assert!(is_listening(hole.port));
    let gateway = gateway("http", hole.port, " timeout connect 400ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 503);
    expect_about(started.elapsed(), ms(400));
}

#[test]
fn client_in_a_tunnel() {
    let backend = Backend::silent();
    let gateway = gateway("tcp", backend.port, " timeout client 500ms");
    let mut client = gateway.client();
    client.send("x");
    let (took, _) = client.time_to_end();
    expect_about(took, ms(500));
    assert_ne!(backend.wait_end(0), End::Open);
}

#[test]
fn a_client_that_says_something_now_and_then_is_kept() {
    let backend = Backend::echo();
    let gateway = gateway("tcp", backend.port, " timeout client 600ms\n timeout server 600ms");
    let mut client = gateway.client();
    for _ in 0..8 {
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
        std::thread::sleep(ms(200));
    }
    client.send("last");
    assert_eq!(client.read_exact(4), b"last");
}

/// Whose fault it is may be seen both ways: the client sends nothing more, the server answers nothing.
#[test]
fn client_in_a_request_body() {
    let backend = Backend::silent();
    let gateway = gateway("http", backend.port, " timeout client 500ms\n timeout server 600ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome");
    let status = client.answer().status;
    assert!(status == 408 || status == 504, "{status}");
    expect_about(started.elapsed(), ms(500));
    assert_ne!(backend.wait_end(0), End::Open);
}

#[test]
fn server_before_an_answer() {
    let backend = Backend::silent();
    let gateway = gateway("http", backend.port, " timeout server 400ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 504);
    expect_about(started.elapsed(), ms(400));
}

#[test]
fn server_in_an_answers_body() {
    let backend = Backend::start(|peer| {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
        peer.read_to_end();
    });
    let gateway = gateway("http", backend.port, " timeout server 400ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send(GET);
    let (bytes, end) = client.read_to_end();
    assert!(bytes.ends_with(b"some"));
    assert_ne!(end, End::Open);
    expect_about(started.elapsed(), ms(400));
}

#[test]
fn tunnel_replaces_client_and_server_after_a_101() {
    let backend = crate::support::websocket::raw_backend();
    let gateway =
        gateway("http", backend.port, " timeout client 400ms\n timeout server 400ms\n timeout tunnel 1500ms");
    let mut client = gateway.client();
    client.send(crate::support::websocket::HANDSHAKE);
    assert_eq!(client.answer().status, 101);
    std::thread::sleep(ms(900));
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    let (took, _) = client.time_to_end();
    expect_about(took, ms(1_500));
}

#[test]
fn tunnel_in_mode_tcp() {
    let backend = Backend::echo();
    let gateway =
        gateway("tcp", backend.port, " timeout client 400ms\n timeout server 400ms\n timeout tunnel 1500ms");
    let mut client = gateway.client();
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    let (took, _) = client.time_to_end();
    expect_about(took, ms(1_500));
}

#[test]
fn http_request_for_a_silent_client() {
    let backend = Backend::web("a");
    let gateway = gateway("http", backend.port, " timeout http-request 400ms");
    let started = Instant::now();
    assert_eq!(gateway.client().answer().status, 408);
    expect_about(started.elapsed(), ms(400));
    assert_eq!(backend.accepts(), 0);
}

/// One byte now and then does not prolong it.
#[test]
fn http_request_for_a_slow_client() {
    let backend = Backend::web("a");
    let gateway = gateway("http", backend.port, " timeout http-request 700ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send_bytewise("GET / HTT", ms(150));
    assert_eq!(client.answer().status, 408);
    expect_about(started.elapsed(), ms(700));
    assert!(started.elapsed() < ms(6_000));
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn http_request_is_not_for_bodies() {
    let backend = Backend::answering(|request| ok(&String::from_utf8_lossy(&request.body)));
    let gateway = gateway("http", backend.port, " timeout http-request 400ms");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nsl");
    std::thread::sleep(ms(900));
    client.send("ow");
    assert_eq!(client.answer().text(), "slow");
}

#[test]
fn http_keep_alive() {
    let backend = Backend::web("a");
    let gateway = gateway("http", backend.port, " timeout http-keep-alive 500ms");
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    std::thread::sleep(ms(200));
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    let started = Instant::now();
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed), "no 408 for an idle connection");
    expect_about(started.elapsed(), ms(500));
}

/// After the first byte of the next request it is http-request that counts.
#[test]
fn http_keep_alive_ends_with_the_next_request() {
    let backend = Backend::web("a");
    let gateway = gateway("http", backend.port, " timeout http-keep-alive 300ms\n timeout http-request 20s");
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    client.send("GET / HT");
    std::thread::sleep(ms(800));
    client.send("TP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

/// The server has ended, the client does not.
#[test]
fn client_fin() {
    let backend = Backend::start(|peer| {
        peer.write("bye");
        peer.finish();
        peer.read_to_end();
    });
    let gateway = gateway("tcp", backend.port, " timeout client-fin 400ms");
    let started = Instant::now();
    let mut client = gateway.client();
    assert_eq!(client.read_to_end(), (b"bye".to_vec(), End::Closed));
    backend.wait_end(0);
    expect_about(started.elapsed(), ms(400));
    drop(client);
}

/// The client has ended, the server does not.
#[test]
fn server_fin() {
    let backend = Backend::start(|peer| {
        peer.read_to_end();
        peer.pause(Duration::from_secs(20));
    });
    let gateway = gateway("tcp", backend.port, " timeout server-fin 400ms");
    let mut client: Client = gateway.client();
    client.send("bye");
    client.finish();
    let (took, _) = client.time_to_end();
    expect_about(took, ms(400));
}

/// A check that is not answered in time fails.
#[test]
fn check() {
    let hole = BlackHole::new();
    let gateway = Gateway::start(|port| {
        format!(
            "defaults\n mode http\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n \
             timeout check 200ms\n\
             listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{} check inter 200ms fall 2\n",
            hole.port
        )
    });
    std::thread::sleep(ms(1_500));
    eventually("the server is down, so the answer is a 503 at once", || {
        let started = Instant::now();
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.answer().status == 503 && started.elapsed() < ms(2_000)
    });
}

/// HAProxy's units, and none, which means milliseconds.
#[test]
fn units() {
    let backend = Backend::web("a");
    for written in ["400", "400ms", "400000us"] {
        let gateway = gateway("http", backend.port, &format!(" timeout http-request {written}"));
        let started = Instant::now();
        assert_eq!(gateway.client().answer().status, 408);
        expect_about(started.elapsed(), ms(400));
        assert!(started.elapsed() < Duration::from_secs(8), "{written}");
    }
    let gateway = gateway("http", backend.port, " timeout http-request 1s");
    let started = Instant::now();
    assert_eq!(gateway.client().answer().status, 408);
    expect_about(started.elapsed(), ms(1_000));
}
