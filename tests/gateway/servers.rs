//! Backends with servers: balance, checks, retries, limits.

use crate::rig::{DEFAULTS, http_gateway};
use crate::support::client::Client;
use crate::support::peers::{Backend, ok, web};
use crate::support::ports::free_port;
use crate::support::process::Gateway;
use crate::support::{eventually, ignore, ms};
use std::collections::BTreeMap;
use std::time::Instant;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// A `mode http` gateway with these `server` lines (and others) in its backend.
#[track_caller]
fn gateway(lines: &str) -> Gateway {
    Gateway::start(|port| format!("{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{port}\n{lines}\n"))
}

/// Status and `X-Backend` of one request on a connection of its own.
#[track_caller]
fn ask(gateway: &Gateway) -> (u16, String) {
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = client.answer();
    (answer.status, answer.header("x-backend").unwrap_or_default().to_string())
}

fn counts(gateway: &Gateway, requests: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        let (status, name) = ask(gateway);
        assert_eq!(status, 200);
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[test]
fn servers_take_turns() {
    let (a, b, c) = (Backend::web("a"), Backend::web("b"), Backend::web("c"));
    let gateway = gateway(&format!(
        " balance roundrobin\n server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n server c 127.0.0.1:{}",
        a.port, b.port, c.port
    ));
    let counts = counts(&gateway, 12);
    assert_eq!(counts, BTreeMap::from([("a".into(), 4), ("b".into(), 4), ("c".into(), 4)]));
}

#[test]
fn turns_follow_the_weights() {
    let (a, b, c) = (Backend::web("a"), Backend::web("b"), Backend::web("c"));
    let gateway = gateway(&format!(
        " balance roundrobin\n server a 127.0.0.1:{} weight 1\n server b 127.0.0.1:{} weight 3\n \
         server c 127.0.0.1:{} weight 0",
        a.port, b.port, c.port
    ));
    let counts = counts(&gateway, 16);
    assert_eq!(counts, BTreeMap::from([("a".into(), 4), ("b".into(), 12)]));
}

#[test]
fn connections_in_mode_tcp_take_turns() {
    let (a, b) =
        (Backend::start(|peer| ignore(peer.write("a"))), Backend::start(|peer| ignore(peer.write("b"))));
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen raw\n mode tcp\n bind 127.0.0.1:{port}\n server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n",
            a.port, b.port
        )
    });
    let seen: Vec<u8> = (0..6).flat_map(|_| gateway.client().read_to_end().0).collect();
    assert_eq!(seen.iter().filter(|byte| **byte == b'a').count(), 3, "{seen:?}");
}

#[test]
fn a_backup_serves_only_when_the_others_are_down() {
    let b = Backend::web("b");
    let a = Backend::web("a");
    let gateway = gateway(&format!(
        " option redispatch\n server a 127.0.0.1:{} check inter 150 fall 2\n server b 127.0.0.1:{} backup",
        a.port, b.port
    ));
    assert_eq!(counts(&gateway, 4), BTreeMap::from([("a".into(), 4)]));
    a.stop();
    eventually("the backup takes over", || ask(&gateway) == (200, "b".into()));
    assert_eq!(counts(&gateway, 4), BTreeMap::from([("b".into(), 4)]));
}

#[test]
fn checks_take_a_server_out_and_back_in() {
    let (a, b) = (Backend::web("a"), Backend::web("b"));
    let gateway = gateway(&format!(
        " server a 127.0.0.1:{} check inter 150 fall 2 rise 2\n server b 127.0.0.1:{} check inter 150 fall 2 rise 2",
        a.port, b.port
    ));
    assert_eq!(counts(&gateway, 6), BTreeMap::from([("a".into(), 3), ("b".into(), 3)]));
    let port = b.port;
    b.stop();
    std::thread::sleep(ms(1_500));
    assert_eq!(counts(&gateway, 6), BTreeMap::from([("a".into(), 6)]));
    let _b = Backend::on_port(port, web("b"));
    eventually("the server that is up again gets traffic", || ask(&gateway).1 == "b");
    assert_eq!(counts(&gateway, 6), BTreeMap::from([("a".into(), 3), ("b".into(), 3)]));
}

#[test]
fn no_server_left_is_a_503_at_once() {
    let gateway = gateway(&format!(" server a 127.0.0.1:{} check inter 100 fall 1", free_port()));
    std::thread::sleep(ms(1_000));
    let started = Instant::now();
    assert_eq!(ask(&gateway).0, 503);
    assert!(started.elapsed() < ms(900), "no attempt to connect is made: {:?}", started.elapsed());
}

#[test]
fn a_disabled_server_gets_nothing() {
    let (a, b) = (Backend::web("a"), Backend::web("b"));
    let gateway =
        gateway(&format!(" server a 127.0.0.1:{} disabled\n server b 127.0.0.1:{}", a.port, b.port));
    assert_eq!(counts(&gateway, 4), BTreeMap::from([("b".into(), 4)]));
}

#[test]
fn a_server_that_refuses_is_tried_again() {
    let port = free_port();
    let gateway = gateway(&format!(" retries 5\n server a 127.0.0.1:{port}"));
    let mut client = gateway.client();
    client.send(GET);
    std::thread::sleep(ms(1_200));
    let _late = Backend::on_port(port, web("late"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("x-backend")), (200, Some("late")));
}

#[test]
fn a_server_that_keeps_refusing_is_a_503() {
    let gateway =
        gateway(&format!(" retries 1\n timeout connect 200ms\n server a 127.0.0.1:{}", free_port()));
    assert_eq!(ask(&gateway).0, 503);
}

#[test]
fn in_mode_tcp_a_server_that_refuses_ends_the_connection() {
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen raw\n mode tcp\n bind 127.0.0.1:{port}\n retries 0\n server a 127.0.0.1:{}\n",
            free_port()
        )
    });
    let mut client = gateway.client();
    let (bytes, _) = client.read_to_end();
    assert!(bytes.is_empty());
}

#[test]
fn a_servers_maxconn_makes_the_others_wait() {
    let backend = Backend::start(|peer| {
        while peer.read_request().is_some() {
            peer.pause(ms(60));
            peer.write(ok("done"));
        }
    });
    let gateway =
        gateway(&format!(" option http-server-close\n server a 127.0.0.1:{} maxconn 2", backend.port));
    let mut clients: Vec<Client> = (0..10).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    // The gateway may open a connection while the backend has not seen the end of the one before.
    assert!(backend.open_most() <= 4, "{} at once", backend.open_most());
}

#[test]
fn waiting_too_long_for_a_server_is_a_503() {
    let backend = Backend::start(|peer| {
        peer.read_request();
        peer.pause(ms(3_000));
        peer.write(ok("slow"));
    });
    let gateway = gateway(&format!(" timeout queue 300ms\n server a 127.0.0.1:{} maxconn 1", backend.port));
    let mut first = gateway.client();
    first.send(GET);
    eventually("the first request holds the server", || backend.open() == 1);
    let started = Instant::now();
    let mut second = gateway.client();
    second.send(GET);
    assert_eq!(second.answer().status, 503);
    assert!(started.elapsed() >= ms(300));
    assert_eq!(first.answer().status, 200);
}

#[test]
fn connections_beyond_a_frontends_maxconn_wait() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "maxconn 2");
    let mut held: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
    for client in &mut held {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    let mut waiting = gateway.client();
    waiting.send(GET);
    waiting.expect_silence(ms(400));
    held.pop();
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn connections_beyond_the_global_maxconn_wait() {
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!("global\n maxconn 2\n{}", crate::rig::http_config(port, backend.port, ""))
    });
    let mut held: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
    for client in &mut held {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    let mut waiting = gateway.client();
    waiting.send(GET);
    waiting.expect_silence(ms(400));
    held.pop();
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn host_names_are_resolved_at_start() {
    let backend = Backend::web("a");
    let gateway = gateway(&format!(" server a localhost:{}", backend.port));
    assert_eq!(ask(&gateway), (200, "a".into()));
}

#[test]
fn out_of_descriptors_pauses_accepting_and_goes_on() {
    let backend = Backend::echo();
    let gateway = crate::rig::tcp_gateway(&backend, "");
    let mut bystander = gateway.client();
    bystander.send("x");
    assert_eq!(bystander.read_exact(1), b"x");
    let limit = gateway.descriptors() as u64 + 12;
    set_descriptor_limit(gateway.pid(), limit);
    let mut clients: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = gateway.client();
            client.send("hello");
            client
        })
        .collect();
    std::thread::sleep(ms(800));
    // The limit is on numbers, and the test runner may have passed some high ones on.
    assert!(gateway.descriptors() as u64 <= limit + 4, "{} > {limit}", gateway.descriptors());
    bystander.send("still");
    assert_eq!(bystander.read_exact(5), b"still");
    let ticks = gateway.cpu_ticks();
    std::thread::sleep(ms(1_000));
    let used = gateway.cpu_ticks() - ticks;
    assert!(used < 50, "no spinning while there are no descriptors: {used} ticks of 100");
    if crate::support::program::Program::subject() == crate::support::program::Program::Oneport {
        let said = gateway.stderr().to_lowercase().matches("descriptor").count();
        assert!((1..=3).contains(&said), "said once, not {said} times:\n{}", gateway.stderr());
    }
    clients.truncate(2);
    drop(clients);
    eventually("new connections are served again", || {
        let mut client = gateway.client();
        client.send("again");
        client.read_until_quiet(ms(500)).0 == b"again"
    });
}

fn set_descriptor_limit(pid: i32, limit: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
    prlimit(Pid::from_raw(pid), Resource::Nofile, limit).expect("the descriptor limit of our own child");
}

/// A shortage of the gateway's own descriptors took healthy servers down.
#[test]
fn a_check_that_fails_for_want_of_our_own_descriptors_says_nothing() {
    if crate::support::program::only_oneport("how HAProxy counts such a check is its own business") {
        return;
    }
    let backend = Backend::echo();
    let gateway = Gateway::start(|port| {
        format!(
            "defaults\n timeout connect 1s\n timeout client 20s\n timeout server 20s\nlisten l\n mode tcp\n \
             bind 127.0.0.1:{port}\n server s 127.0.0.1:{} check inter 100 fall 2\n",
            backend.port
        )
    });
    std::thread::sleep(ms(300));
    set_descriptor_limit(gateway.pid(), gateway.descriptors() as u64 + 3);
    let clients: Vec<Client> = (0..12).map(|_| gateway.client()).collect();
    std::thread::sleep(ms(1_000));
    assert!(!gateway.stderr().contains("is DOWN"), "{}", gateway.stderr());
    drop(clients);
}
