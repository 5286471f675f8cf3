//! `http-reuse` and server connections that belong to one client: oneport beside HAProxy with the same configuration.
//! Each step of a case is a request of one of several clients; what is compared is over which server connection it
//! went.

use crate::support::client::Client;
use crate::support::peers::{Backend, Peer};
use crate::support::ports::free_port;
use crate::support::process::Starter;
use crate::support::program::{Program, only_oneport};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that answers each request with the number of its connection, and as `first` says to the first one.
/// Of each connection `skipped` bytes come before the first request.
fn server(name: &'static str, first: &'static str, skipped: usize) -> Backend {
    let count = Arc::new(AtomicUsize::new(0));
    Backend::start(move |peer: &mut Peer| {
        let body = format!("{name}{}", count.fetch_add(1, Ordering::SeqCst));
        let mut head = first;
        peer.read_exact(skipped);
        while peer.read_request().is_some() {
            peer.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
            head = OK;
        }
    })
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// The server connections that the requests of `steps` (one letter a client) went over.
fn paths(program: Program, method: &str, extra: &str, first: &'static str, steps: &str) -> Vec<String> {
    // A header of version 2 for IPv4.
    let skipped = if extra.contains("send-proxy-v2") { 28 } else { 0 };
    let (s1, s2) = (server("a", first, skipped), server("b", first, skipped));
    let port = free_port();
    let extra = extra.replace("@1@", &s1.port.to_string()).replace("@2@", &s2.port.to_string());
    // Idle connections of HAProxy belong to a thread.
    let threads = if program == Program::Haproxy { "global\n    nbthread 1\n" } else { "" };
    let config = format!(
        "{threads}{}listen l\n    mode http\n    bind 127.0.0.1:{port}\n    {extra}\n",
        crate::rig::DEFAULTS
    );
    let gateway = Starter::of(program).ready_port(port).start(&config);
    let mut clients: HashMap<char, Client> = HashMap::new();
    steps
        .chars()
        .map(|who| {
            let client = clients.entry(who).or_insert_with(|| gateway.client());
            client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"));
            client.answer().text()
        })
        .collect()
}

/// For each step: whether its connection was new, in the order of the steps.
fn is_new(paths: &[String]) -> String {
    let is_first = |at: usize| !paths[..at].contains(&paths[at]);
    (0..paths.len()).map(|at| if is_first(at) { '+' } else { '.' }).collect()
}

/// Both programs open a connection at the same steps; POST, so that nothing may be repeated.
#[track_caller]
fn same(extra: &str, steps: &str, expected: &str) {
    for program in [Program::Oneport, Program::Haproxy] {
        let found = paths(program, "POST", extra, OK, steps);
        assert_eq!(is_new(&found), expected, "{program:?} {steps} {found:?} {extra}");
    }
}

/// HAProxy keeps idle connections by what it has needed of late; so many it keeps in any case.
const ONE: &str = "server s 127.0.0.1:@1@ pool-low-conn 10";

#[test]
fn never_keeps_a_connection_for_its_client() {
    let extra = format!("http-reuse never\n    {ONE}");
    for program in [Program::Oneport, Program::Haproxy] {
        let found = paths(program, "GET", &extra, OK, "AABABBC");
        assert_eq!(found, ["a0", "a0", "a1", "a0", "a1", "a1", "a2"], "{program:?}");
    }
}

#[test]
fn safe_gives_a_clients_first_request_a_new_connection() {
    same(&format!("http-reuse safe\n    {ONE}"), "AABACAB", "+.+.+..");
    // Of any method.
    for program in [Program::Oneport, Program::Haproxy] {
        let found = paths(program, "GET", &format!("http-reuse safe\n    {ONE}"), OK, "ABC");
        assert_eq!(is_new(&found), "+++", "{program:?}");
    }
}

#[test]
fn aggressive_trusts_a_connection_that_was_used_again() {
    // The connection of A is not trusted with B's first request, but after A's second one it is.
    same(&format!("http-reuse aggressive\n    {ONE}"), "AB", "++");
    same(&format!("http-reuse aggressive\n    {ONE}"), "AAB", "+..");
}

#[test]
fn always_uses_any_connection() {
    same(&format!("http-reuse always\n    {ONE}"), "ABAC", "+...");
}

#[test]
fn the_default_repeats_what_may_be_repeated() {
    // Towards HAProxy, whose default is `safe`, a documented difference.
    let ours = |method: &str| is_new(&paths(Program::Oneport, method, ONE, OK, "ABAB"));
    assert_eq!((ours("GET").as_str(), ours("POST").as_str()), ("+...", "++.."));
    let theirs = is_new(&paths(Program::Haproxy, "GET", ONE, OK, "ABAB"));
    assert_eq!(theirs, "++..");
}

#[test]
fn a_server_that_is_told_of_clients_has_a_connection_for_each() {
    for told in ["send-proxy", "send-proxy-v2"] {
        for reuse in ["safe", "always", "never"] {
            let extra = format!("http-reuse {reuse}\n    {ONE} {told}");
            for program in [Program::Oneport, Program::Haproxy] {
                let found = paths(program, "GET", &extra, OK, "AABAB");
                assert_eq!(found, ["a0", "a0", "a1", "a0", "a1"], "{program:?} {extra}");
            }
        }
    }
}

#[test]
fn a_connection_that_is_being_authenticated_stays_with_its_client_and_server() {
    const NTLM: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n";
    let extra = "http-reuse always\n    server s 127.0.0.1:@1@ pool-low-conn 10\n    server t 127.0.0.1:@2@ pool-low-conn 10";
    for program in [Program::Oneport, Program::Haproxy] {
        let found = paths(program, "GET", extra, NTLM, "AAABBA");
        let (a, b) = (found[0].clone(), found[3].clone());
        assert_ne!(a, b);
        assert_eq!(found, [&a, &a, &a, &b, &b, &a].map(String::clone), "{program:?}");
    }
}

#[test]
fn server_close_keeps_nothing() {
    same(&format!("http-reuse always\n    option http-server-close\n    {ONE}"), "AAB", "+++");
}

#[test]
fn a_server_that_closes_a_reserved_connection_gets_another() {
    if only_oneport("a request is repeated") {
        return;
    }
    let backend = Backend::start(|peer: &mut Peer| {
        for _ in 0..2 {
            if peer.read_request().is_none() {
                return;
            }
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        }
    });
    let gateway = crate::rig::http_gateway(&backend, "http-reuse never");
    let mut client = gateway.client();
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(backend.accepts(), 3);
}

#[test]
fn reserved_connections_end_with_their_client() {
    let backend = Backend::web("a");
    let gateway = crate::rig::http_gateway(&backend, "http-reuse never");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(backend.open(), 1);
    drop(client);
    crate::support::eventually("the server's connection is closed", || backend.open() == 0);
}
