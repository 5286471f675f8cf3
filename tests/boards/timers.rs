//! Timeouts of every kind must fire, and checks come back: on 32-bit MIPS a wrong width of the time in one system
//! call makes async-io's timers silent while traffic goes on (`.cargo/config.toml`, fix_y2038). Seen here with a
//! binary that was built without it: `checks` fails, the event loop's own timeouts do not.

use crate::inside::Context;
use crate::support::peers::{Backend, BlackHole, ok, web};
use crate::support::ports::free_port;
use crate::support::process::Gateway;
use crate::support::socket::End;
use crate::support::websocket::{HANDSHAKE, raw_backend};
use crate::support::{eventually, expect_about, ms};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// A gateway in which every timeout is a minute but those given.
#[track_caller]
fn gateway(mode: &str, server_port: u16, timeouts: &str) -> Gateway {
    Gateway::start(|port| {
        format!(
            "defaults\n timeout connect 1m\n timeout client 1m\n timeout server 1m\n retries 0\n\
             listen l\n mode {mode}\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server_port}\n{timeouts}\n"
        )
    })
}

/// To a server that neither accepts nor refuses.
pub fn connect(_: &Context) {
    let hole = BlackHole::new();
    let gateway = gateway("http", hole.port, " timeout connect 700ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 503);
    expect_about(started.elapsed(), ms(700));
}

/// Nobody says anything.
pub fn client(_: &Context) {
    let backend = Backend::silent();
    let gateway = gateway("tcp", backend.port, " timeout client 800ms");
    let mut client = gateway.client();
    let started = Instant::now();
    client.send("x");
    client.read_to_end();
    expect_about(started.elapsed(), ms(800));
    assert_ne!(backend.wait_end(0), End::Open);

    // The same in the middle of a request's body.
    let gateway = self::gateway("http", backend.port, " timeout client 800ms");
    let mut client = gateway.client();
    let started = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome");
    assert_eq!(client.answer().status, 408);
    expect_about(started.elapsed(), ms(800));
}

/// The server gets the request and is silent.
pub fn server(_: &Context) {
    let backend = Backend::silent();
    let gateway = gateway("http", backend.port, " timeout server 800ms");
    let started = Instant::now();
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 504);
    expect_about(started.elapsed(), ms(800));
}

/// For a silent client, and for one that sends a byte now and then.
pub fn http_request(_: &Context) {
    let backend = Backend::web("a");
    let gateway = gateway("http", backend.port, " timeout http-request 900ms");
    for bytes in ["", "GET / HT"] {
        let started = Instant::now();
        let mut client = gateway.client();
        client.send_bytewise(bytes, ms(90));
        assert_eq!(client.answer().status, 408);
        expect_about(started.elapsed(), ms(900));
    }
    assert_eq!(backend.accepts(), 0);
}

/// Between two requests; the second one comes in time. Where nothing is said of it, `http-request` counts.
pub fn http_keep_alive(_: &Context) {
    for timeouts in [" timeout http-keep-alive 900ms", " timeout http-request 900ms"] {
        let backend = Backend::web("a");
        expect_idle_end_of(&gateway("http", backend.port, timeouts), ms(900));
    }
}

#[track_caller]
fn expect_idle_end_of(gateway: &Gateway, expected: Duration) {
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    std::thread::sleep(ms(300));
    let started = Instant::now();
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed), "no 408 for an idle connection");
    expect_about(started.elapsed(), expected);
}

/// After a 101 it stands in for `client` and `server`.
pub fn tunnel(_: &Context) {
    let backend = raw_backend();
    let gateway =
        gateway("http", backend.port, " timeout client 400ms\n timeout server 400ms\n timeout tunnel 1500ms");
    let mut client = gateway.client();
    client.send(HANDSHAKE);
    assert_eq!(client.answer().status, 101);
    std::thread::sleep(ms(900));
    let started = Instant::now();
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    client.read_to_end();
    expect_about(started.elapsed(), ms(1_500));
    assert_ne!(backend.wait_end(0), End::Open);
}

/// Three of eight zero bytes, or none at all: when the delay is over, the rules decide with what there is.
pub fn inspect_delay(_: &Context) {
    let (eight, fewer) = (
        Backend::echo(),
        Backend::start(|peer| {
            peer.write("fewer");
            peer.read_to_end();
        }),
    );
    let gateway = Gateway::start(|port| {
        format!(
            "defaults\n timeout connect 1m\n timeout client 1m\n timeout server 1m\n\
             frontend f\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 900ms\n \
             tcp-request content accept if HTTP\n acl eight payload(0,8) -m bin 0000000000000000\n \
             use_backend eight if eight\n default_backend fewer\n\
             backend eight\n server s 127.0.0.1:{}\nbackend fewer\n server s 127.0.0.1:{}\n",
            eight.port, fewer.port
        )
    });
    for bytes in [&b"\0\0\0"[..], b""] {
        let started = Instant::now();
        let mut client = gateway.client();
        client.send(bytes);
        assert_eq!(client.read_exact(5), b"fewer");
        expect_about(started.elapsed(), ms(900));
    }
    assert_eq!(eight.accepts(), 0);
}

/// Many timers at once, whose order is not that in which they were set.
pub fn several(_: &Context) {
    let backend = Backend::silent();
    let slow = gateway("tcp", backend.port, " timeout client 2s");
    let quick = gateway("http", backend.port, " timeout http-request 1s");
    let mut clients: Vec<_> =
        (0..20).map(|n| if n % 2 == 0 { slow.client() } else { quick.client() }).collect();
    let started = Instant::now();
    for client in clients.iter_mut().skip(1).step_by(2) {
        assert_eq!(client.answer().status, 408);
        expect_about(started.elapsed(), ms(950));
    }
    for client in clients.iter_mut().step_by(2) {
        client.read_to_end();
        expect_about(started.elapsed(), ms(1_950));
    }
}

/// A dead server is taken out and, when it is there again, back. Then one that accepts nothing: its checks end
/// by `timeout check`.
pub fn checks(_: &Context) {
    let (stays, port) = (Backend::web("stays"), free_port());
    let goes = Backend::on_port(port, web("goes"));
    let gateway = Gateway::start(|listen| {
        format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n\
             listen l\n bind 127.0.0.1:{listen}\n server stays 127.0.0.1:{} check inter 150ms\n \
             server goes 127.0.0.1:{port} check inter 150ms fall 2 rise 2\n",
            stays.port
        )
    });
    let ask = || {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.answer().header("x-backend").unwrap_or_default().to_string()
    };
    eventually("the second server is asked too", || ask() == "goes");
    goes.stop();
    drop(goes);
    gateway.wait_stderr("Server l/goes is DOWN");
    assert!((0..6).all(|_| ask() == "stays"), "nobody is sent to a server that is down");
    let _again = Backend::on_port(port, web("goes"));
    gateway.wait_stderr("Server l/goes is UP");
    eventually("the second server is asked again", || ask() == "goes");

    let hole = BlackHole::new();
    let fine = Backend::answering(|_| ok("fine"));
    let gateway = Gateway::start(|listen| {
        format!(
            "defaults\n mode http\n timeout connect 20s\n timeout client 1m\n timeout server 1m\n timeout check 200ms\n\
             listen l\n bind 127.0.0.1:{listen}\n server hole 127.0.0.1:{} check inter 150ms fall 2\n \
             server fine 127.0.0.1:{}\n",
            hole.port, fine.port
        )
    });
    gateway.wait_stderr("Server l/hole is DOWN");
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().text(), "fine");
}
