//! Requests that are sent again, beside HAProxy with the same configuration: what the second attempt is, and what never
//! is attempted twice. Cases with one server that fails and one that does not stand in
//! `tests/differential/servers/retry-*.case`; here a server fails once and then does as it should.

use crate::support::ignore;
use crate::support::peers::{Backend, Peer, ok};
use crate::support::ports::free_port;
use crate::support::process::Starter;
use crate::support::program::{Program, only_oneport};
use crate::support::syslog::Syslog;
use crate::support::{eventually, ms};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const UNAVAILABLE: &str = "HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n";

/// A server whose connection number `bad` (from 0) treats its request number `at` badly: answers with these bytes and
/// closes.
fn failing(bad: usize, at: usize, answer: &'static str) -> Backend {
    let count = Arc::new(AtomicUsize::new(0));
    Backend::start(move |peer: &mut Peer| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let mut request = 0;
        while peer.read_request().is_some() {
            if number == bad && request == at {
                ignore(peer.write(answer));
                return;
            }
            peer.write(ok("fine"));
            request += 1;
        }
    })
}

/// What a client gets for `requests` on one connection, what the server got, and the log lines.
fn picture(program: Program, lines: &str, server: &Backend, requests: &[String]) -> String {
    let syslog = Syslog::udp();
    let port = free_port();
    let config = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         listen l\n bind 127.0.0.1:{port}\n log 127.0.0.1:{} local0\n \
         log-format \"line %HP %b/%s %ST %tsc %rc.\"\n {lines}\n server s 127.0.0.1:{}\n",
        syslog.port, server.port
    );
    let gateway = Starter::of(program).ready_port(port).start(&config);
    let mut client = gateway.client();
    let mut picture = String::new();
    for request in requests {
        client.send(request);
        match client.try_answer_to("GET") {
            Ok(answer) => {
                let text = if answer.status == 200 { answer.text() } else { String::new() };
                picture.push_str(&format!("got {} {text}\n", answer.status));
            }
            Err(_) => picture.push_str("got nothing\n"),
        }
    }
    let got = String::from_utf8(server.received_all()).unwrap();
    picture.push_str(&format!("the server got {} requests\n", got.matches(" HTTP/1.1\r\n").count()));
    let of_requests = || {
        let lines = syslog.lines().into_iter();
        let lines = lines.filter_map(|line| line.find("line /").map(|at| line[at..].trim_end().to_owned()));
        lines.collect::<Vec<String>>()
    };
    eventually("the log lines have come", || of_requests().len() >= requests.len());
    picture + &of_requests().join("\n")
}

#[track_caller]
fn same(lines: &str, server: impl Fn() -> Backend, requests: &[String]) -> String {
    let ours = picture(Program::Oneport, lines, &server(), requests);
    let theirs = picture(Program::Haproxy, lines, &server(), requests);
    assert_eq!(ours, theirs, "{lines}");
    ours
}

fn post(body: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {body}\r\n\r\n{}", "x".repeat(body))
}

#[test]
fn the_same_server_is_asked_again_at_once() {
    for (answer, lines) in [
        (UNAVAILABLE, "retry-on 503"),
        (UNAVAILABLE, "retry-on 500 502"),
        ("", "retry-on empty-response"),
        ("", "retry-on conn-failure"),
        ("nonsense\r\n\r\n", "retry-on junk-response"),
        ("nonsense\r\n\r\n", "retry-on empty-response"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "retry-on empty-response"),
        (UNAVAILABLE, "retry-on all-retryable-errors\n retries 0"),
    ] {
        same(lines, || failing(0, 0, answer), &[GET.into()]);
    }
}

#[test]
fn bodies_that_fit_are_sent_again() {
    for (body, expected) in [(0, 2), (5, 2), (12_000, 2), (40_000, 1)] {
        let picture = same("retry-on 503", || failing(0, 0, UNAVAILABLE), &[post(body)]);
        assert!(picture.contains(&format!("the server got {expected} requests")), "{body}: {picture}");
    }
}

#[test]
fn a_rule_forbids_it() {
    let lines = "retry-on 503\n http-request disable-l7-retry if { method POST }";
    same(lines, || failing(0, 0, UNAVAILABLE), &[post(5)]);
    same(lines, || failing(0, 0, UNAVAILABLE), &[GET.into()]);
}

#[test]
fn a_used_connection_that_ends_is_a_failure_like_others() {
    let twice = [GET.to_owned(), GET.to_owned()];
    let picture = same("retry-on empty-response", || failing(0, 1, ""), &twice);
    assert!(picture.contains("200 ---- 1."), "{picture}");
    let picture = same("retry-on empty-response", || failing(0, 1, ""), &[GET.to_owned(), post(5)]);
    assert!(picture.contains("200 ---- 1."), "{picture}");
}

/// A request that must not be sent twice and got no answer on a used connection: the client sees it close.
#[test]
fn without_a_reason_nothing_is_sent_twice_that_may_do_harm() {
    let picture = picture(Program::subject(), "", &failing(0, 1, ""), &[GET.to_owned(), post(5)]);
    assert!(picture.contains("got nothing\nthe server got 2 requests"), "{picture}");
}

#[test]
fn a_pause_comes_only_before_the_same_server() {
    if only_oneport("the differential cases compare both") {
        return;
    }
    let server = Backend::web("a");
    let refused = free_port();
    let port = free_port();
    let config = format!(
        "{}listen l\n mode http\n bind 127.0.0.1:{port}\n option redispatch\n server s1 127.0.0.1:{refused}\n \
         server s2 127.0.0.1:{}\n",
        crate::rig::DEFAULTS,
        server.port
    );
    let gateway = Starter::new().ready_port(port).start(&config);
    let started = std::time::Instant::now();
    for _ in 0..10 {
        let mut client = gateway.client();
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    assert!(started.elapsed() < ms(900), "{:?}", started.elapsed());
}
