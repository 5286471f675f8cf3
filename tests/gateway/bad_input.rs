//! Every row of "bad input": the right answer, a log line with its termination state, a connection that was
//! open during it untouched, and no descriptor left behind.

use crate::support::client::Client;
use crate::support::peers::{Backend, Peer, ok};
use crate::support::ports::free_port;
use crate::support::process::Gateway;
use crate::support::program::Program;
use crate::support::syslog::Syslog;
use crate::support::{ignore, logline, ms, show};
use std::time::Duration;

/// A gateway with two ports before one scripted web backend (`mode http`, and sniffed), and a bystander.
struct Rig {
    gateway: Gateway,
    syslog: Syslog,
    /// The port in `mode http`.
    http_port: u16,
    bystander: Client,
    descriptors: usize,
    _echo: Backend,
}

impl Rig {
    #[track_caller]
    fn start(web_port: u16) -> Self {
        let (syslog, echo, http_port) = (Syslog::udp(), Backend::echo(), free_port());
        let gateway = Gateway::start(|port| {
            format!(
                "global\n log 127.0.0.1:{} local0\n\
                 defaults\n log global\n timeout connect 500ms\n timeout client 20s\n timeout server 700ms\n \
                 timeout http-request 700ms\n timeout tunnel 1m\n retries 1\n\
                 frontend web\n mode http\n option httplog\n bind 127.0.0.1:{http_port}\n default_backend www\n\
                 frontend sniffed\n mode tcp\n option tcplog\n bind 127.0.0.1:{port}\n \
                 tcp-request inspect-delay 300ms\n tcp-request content accept if HTTP\n \
                 use_backend raw if {{ payload(0,8) -m bin 0000000000000000 }}\n default_backend www\n\
                 backend www\n mode http\n server w 127.0.0.1:{web_port}\n\
                 backend raw\n mode tcp\n server r 127.0.0.1:{}\n",
                syslog.port, echo.port
            )
        });
        let mut bystander = gateway.client();
        bystander.send([0; 8]);
        assert_eq!(bystander.read_exact(8), [0; 8]);
        // The first session line opens the way to the syslog server (in HAProxy one for each thread).
        let mut first = gateway.client();
        first.send([0; 8]);
        assert_eq!(first.read_exact(8), [0; 8]);
        drop(first);
        syslog.wait_for(" sniffed raw/");
        let lazy = if Program::subject() == Program::Haproxy { 4 } else { 0 };
        let descriptors = gateway.settled_descriptors() + lazy;
        Self { gateway, syslog, http_port, bystander, descriptors, _echo: echo }
    }

    /// Both ports, one after the other.
    /// Each connects when it is asked for: one that waited for its turn would run into its own timeout.
    fn clients(&self) -> impl Iterator<Item = Client> {
        [self.http_port, self.gateway.port].into_iter().map(Client::to)
    }

    /// The bystander lives, nothing is left behind, and there is a line with this status and state.
    #[track_caller]
    fn check(&mut self, status: i32, termination: &str) {
        let line = logline::http_line(&self.syslog.wait_for(" web "));
        assert_eq!((line.status, line.termination.as_str()), (status, termination));
        self.check_untouched();
    }

    #[track_caller]
    fn check_untouched(&mut self) {
        self.bystander.send("still there");
        assert_eq!(self.bystander.read_exact(11), b"still there");
        self.gateway.wait_descriptors(self.descriptors);
    }
}

/// `GET /` through both ports to a backend with this script.
#[track_caller]
fn expect_for_backend(script: fn(&mut Peer), status: u16, termination: &str) {
    let backend = Backend::start(script);
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().status, status);
    }
    rig.check(status.into(), termination);
}

#[test]
fn garbage() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send(crate::support::pattern::payload(77, 5_000));
        let (bytes, _) = client.read_to_end();
        assert!(bytes.starts_with(b"HTTP/1.1 400 "), "{}", show(&bytes));
    }
    rig.check(400, "PR--");
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn a_partial_head_and_silence() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("GET / HTTP/1.1\r\nHost:");
        assert_eq!(client.answer().status, 408);
    }
    rig.check(408, "cR--");
}

#[test]
fn a_partial_head_and_the_end() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("GET / HTTP/1.1\r\nHost:");
        client.finish();
        let (bytes, _) = client.read_to_end();
        assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400 "), "{}", show(&bytes));
    }
    rig.check(400, "CR--");
}

#[test]
fn a_partial_head_and_a_reset() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("GET / HTTP/1.1\r\nHost:");
        std::thread::sleep(ms(50));
        client.reset();
    }
    rig.check(400, "CR--");
}

#[test]
fn a_head_that_is_too_long() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    // HAProxy calls every bad head a 400; RFC 6585 §5 has a status of its own for this one.
    let status = if Program::subject() == Program::Oneport { 431 } else { 400 };
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    for mut client in rig.clients() {
        client.send(&long);
        assert_eq!(client.answer().status, status);
    }
    rig.check(status.into(), "PR--");
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn a_head_of_fifteen_kibibytes_just_fits() {
    let backend = Backend::web("a");
    let rig = Rig::start(backend.port);
    let fill = 15 * 1024 - "GET / HTTP/1.1\r\nHost: h\r\nX-Long: \r\n\r\n".len() - 200;
    for mut client in rig.clients() {
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {}\r\n\r\n", "x".repeat(fill)));
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn too_many_fields() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    let status = if Program::subject() == Program::Oneport { 431 } else { 400 };
    let many: String = (0..150).map(|n| format!("X-{n}: 1\r\n")).collect();
    for mut client in rig.clients() {
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"));
        assert_eq!(client.answer().status, status);
    }
    rig.check(status.into(), "PR--");
}

#[test]
fn a_slow_client() {
    let backend = Backend::web("a");
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send_bytewise("GET /", Duration::from_millis(300));
        assert_eq!(client.answer().status, 408);
    }
    rig.check(408, "cR--");
}

#[test]
fn a_backend_that_refuses() {
    let mut rig = Rig::start(free_port());
    for mut client in rig.clients() {
        client.send("GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().status, 503);
    }
    rig.check(503, "SC--");
}

#[test]
fn a_backend_that_hangs() {
    expect_for_backend(|peer| ignore(peer.read_to_end()), 504, "sH--");
}

#[test]
fn a_backend_that_closes_at_once() {
    expect_for_backend(|peer| ignore(peer.read_request()), 502, "SH--");
}

#[test]
fn a_backend_that_resets_before_its_answer() {
    expect_for_backend(|peer| ignore((peer.read_request(), peer.reset())), 502, "SH--");
}

#[test]
fn a_backend_that_closes_in_its_head() {
    expect_for_backend(|peer| ignore((peer.read_request(), peer.write("HTTP/1.1 200 O"))), 502, "SH--");
}

#[test]
fn a_backend_that_talks_garbage() {
    expect_for_backend(
        |peer| ignore((peer.read_request(), peer.write([7; 100]), peer.read_to_end())),
        502,
        "PH--",
    );
}

#[test]
fn a_backend_with_an_endless_head() {
    expect_for_backend(
        |peer| {
            peer.read_request();
            peer.write("HTTP/1.1 200 OK\r\nX-Long: ");
            while peer.write([b'x'; 4_096]) {}
        },
        502,
        "PH--",
    );
}

/// The client must be able to tell that the answer is not whole.
#[track_caller]
fn expect_broken_body(framing: &'static str, reset: bool) {
    let backend = Backend::start(move |peer| {
        peer.read_request();
        peer.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        peer.write(if framing.contains("chunked") { "64\r\nhalf" } else { "half" });
        peer.pause(ms(200));
        if reset {
            peer.reset();
        }
    });
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
        let problem = client.try_answer_to("GET").expect_err("an answer cut off must not look whole");
        assert!(!problem.contains("Open"), "the client must not hang: {problem}");
    }
    rig.check(200, "SD--");
}

#[test]
fn a_backend_that_closes_mid_answer() {
    expect_broken_body("Content-Length: 100", false);
}

#[test]
fn a_backend_that_closes_mid_chunk() {
    expect_broken_body("Transfer-Encoding: chunked", false);
}

#[test]
fn a_backend_that_resets_mid_answer() {
    expect_broken_body("Content-Length: 100", true);
}

#[test]
fn a_client_that_resets_mid_answer() {
    let backend = Backend::start(|peer| {
        peer.read_request();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while peer.write([b'x'; 50_000]) {
            peer.pause(ms(1));
        }
    });
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
        client.read_exact(100_000);
        client.reset();
    }
    // An empty splice pipe may be kept for the next bulk transfer.
    rig.descriptors += 2;
    rig.check(200, "CD--");
}

#[test]
fn a_client_that_resets_mid_request() {
    let backend = Backend::start(|peer| ignore(peer.read_request()));
    let mut rig = Rig::start(backend.port);
    for mut client in rig.clients() {
        client.send("POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nsome");
        std::thread::sleep(ms(150));
        client.reset();
    }
    let line = logline::http_line(&rig.syslog.wait_for(" web "));
    assert!(line.termination.starts_with('C'), "{}", line.termination);
    rig.check_untouched();
}

#[test]
fn two_hundred_bad_connections_leave_no_memory() {
    let backend = Backend::answering(|_| ok("x"));
    let mut rig = Rig::start(backend.port);
    let bad = |rounds: usize| {
        for round in 0..rounds {
            for mut client in rig.clients() {
                client.send(crate::support::pattern::payload(round as u64, 3_000));
                client.read_to_end();
            }
            let mut half = Client::to(rig.http_port);
            half.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
            half.read_to_end();
        }
    };
    bad(30);
    let before = rig.gateway.resident_kib();
    bad(200);
    let grown = rig.gateway.resident_kib().saturating_sub(before);
    assert!(grown < 1_024, "{grown} KiB more");
    rig.check_untouched();
}
