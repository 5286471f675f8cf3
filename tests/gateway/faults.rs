//! Servers that misbehave, where time or size needs a test of its own; what they look like in the log is compared with
//! HAProxy in `tests/differential/servers/fault-*.case`.

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::logline::{HttpLine, http_line};
use crate::support::peers::{Backend, Peer, ok, web};
use crate::support::ports::free_port;
use crate::support::process::Gateway;
use crate::support::syslog::Syslog;
use crate::support::{eventually, ms};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const GET: &str = "GET /page HTTP/1.1\r\nHost: h\r\n\r\n";
/// So much a server would send if it were let.
const FLOOD: usize = 100_000_000;
/// What the gateway may grow by meanwhile, KiB: buffers of those who send at the same time, and its tables.
const GROWTH_MAX_KIB: u64 = 4_096;
/// What may be on its way before the gateway closes: both sockets' buffers and its own.
const TAKEN_MAX: usize = 16_000_000;

/// A gateway with a log; `lines` go into its backend.
fn logged_gateway(lines: &str) -> (Gateway, Syslog) {
    let syslog = Syslog::udp();
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}frontend f\n mode http\n bind 127.0.0.1:{port}\n log 127.0.0.1:{} local0\n option httplog\n \
             default_backend b\nbackend b\n mode http\n{lines}\n",
            syslog.port
        )
    });
    (gateway, syslog)
}

/// The session line of a request for this target.
fn line_of(syslog: &Syslog, target: &str) -> HttpLine {
    http_line(&syslog.wait_for(&format!(" {target} ")))
}

/// Sends over and over what `piece` is, to those who take it; how much was taken in all.
fn flood(peer: &mut Peer, start: &str, piece: &str, taken: &AtomicUsize) {
    if peer.read_request().is_none() {
        return;
    }
    let block = piece.repeat(65_536 / piece.len());
    let mut goes_on = peer.write(start);
    let mut sent = 0;
    while goes_on && sent < FLOOD {
        goes_on = peer.write(&block);
        sent += block.len();
        taken.fetch_max(sent, Ordering::Relaxed);
    }
    peer.read_to_end();
}

/// Eight clients at a time ask a server that floods them; how the lines of their requests end, and that neither memory
/// nor what the server got rid of grew with the flood.
fn check_flood(start: &'static str, piece: &'static str) -> Vec<(i32, String)> {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let server = Backend::start(move |peer| flood(peer, start, piece, &counted));
    let (gateway, syslog) = logged_gateway(&format!(" server s 127.0.0.1:{}", server.port));
    let ask_all = |round: usize| {
        let mut clients: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
        for (nth, client) in clients.iter_mut().enumerate() {
            client.send(format!("GET /{round}/{nth} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        }
        clients.iter_mut().for_each(|client| drop(client.read_to_end()));
        (0..8).map(|nth| line_of(&syslog, &format!("/{round}/{nth}"))).collect::<Vec<_>>()
    };
    // Pools and tables are there after the first round.
    ask_all(0);
    let before_kib = gateway.anonymous_kib();
    let lines = ask_all(1);
    let grown_kib = gateway.anonymous_kib().saturating_sub(before_kib);
    assert!(grown_kib < GROWTH_MAX_KIB, "{grown_kib} KiB more");
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < TAKEN_MAX, "{taken} bytes of a flood were taken");
    lines.into_iter().map(|line| (line.status, line.termination)).collect()
}

#[track_caller]
fn expect_ends(ends: &[(i32, String)], status: i32, termination: &str) {
    assert!(ends.iter().all(|end| *end == (status, termination.to_string())), "{ends:?}");
}

#[test]
fn a_head_of_100_megabytes_is_a_502_and_takes_no_memory() {
    let ends =
        check_flood("HTTP/1.1 200 OK\r\n", "X-Filler: fffffffffffffffffffffffffffffffffffffffffff\r\n");
    expect_ends(&ends, 502, "PH--");
}

#[test]
fn one_field_of_100_megabytes_is_a_502_and_takes_no_memory() {
    let ends = check_flood("HTTP/1.1 200 OK\r\nX-Filler: ", "ffffffff");
    expect_ends(&ends, 502, "PH--");
}

#[test]
fn endless_interim_answers_are_a_502_and_take_no_memory() {
    if crate::support::program::only_oneport("HAProxy passes on as many as come") {
        return;
    }
    let ends = check_flood("", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    expect_ends(&ends, 502, "PH--");
}

#[test]
fn endless_trailers_break_the_answer_off_and_take_no_memory() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n";
    for (status, termination) in check_flood(start, "X-Filler: fffffffffffffffffffffffffffffffffff\r\n") {
        // Whether the fault stands in the first bytes, when a 502 can still be given, is the network's choice.
        assert!(["SD--", "PH--", "PD--"].contains(&termination.as_str()), "{status} {termination}");
    }
}

#[test]
fn a_chunk_size_without_end_breaks_the_answer_off_and_takes_no_memory() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n4;";
    for (status, termination) in check_flood(start, "extension=value;") {
        assert!(["SD--", "PH--", "PD--"].contains(&termination.as_str()), "{status} {termination}");
    }
}

/// Servers that answer nothing hold no other request up, and their connections are gone after the timeout.
#[test]
fn a_silent_server_holds_nobody_up() {
    let (silent, lively) = (Backend::silent(), Backend::web("lively"));
    let (gateway, syslog) = logged_gateway(&format!(
        " timeout server 2s\n use-server s if {{ path_beg /silent }}\n server s 127.0.0.1:{} weight 0\n server l 127.0.0.1:{}",
        silent.port, lively.port
    ));
    let before = gateway.settled_descriptors();
    let mut waiting: Vec<Client> = (0..40).map(|_| gateway.client()).collect();
    for (nth, client) in waiting.iter_mut().enumerate() {
        client.send(format!("GET /silent/{nth} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    for _ in 0..20 {
        let mut client = gateway.client();
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    for client in &mut waiting {
        assert_eq!(client.answer().status, 504);
    }
    let line = line_of(&syslog, "/silent/39");
    assert_eq!((line.status, line.termination.as_str(), line.server.as_str()), (504, "sH--", "s"));
    assert!(line.timers[3] == -1 && line.timers[4] >= 2_000, "{:?}", line.timers);
    drop(waiting);
    eventually("the silent server's connections are closed", || silent.open() == 0);
    // Of the lively one some may lie idle for a while.
    gateway.wait_descriptors(before + 4);
}

/// A server whose port comes and goes every 200 ms, and that closes each connection after one answer.
struct Flapping {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Backend>>,
}

impl Flapping {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let script = |peer: &mut Peer| {
                if peer.read_request().is_some() {
                    peer.write(
                        "HTTP/1.1 200 OK\r\nX-Backend: f\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                }
            };
            while !stopped.load(Ordering::SeqCst) {
                let backend = Backend::on_port(port, script);
                std::thread::sleep(ms(200));
                backend.stop();
                std::thread::sleep(ms(200));
            }
            Backend::on_port(port, web("f"))
        });
        Self { stop, thread: Some(thread) }
    }

    /// No more: it stays there.
    fn settle(mut self) -> Backend {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// How often the server went down and came up, by what was said of it.
fn changes(gateway: &Gateway) -> Vec<bool> {
    let said = gateway.stderr();
    let of_server = said.lines().filter(|line| line.contains("Server b/f is "));
    of_server.map(|line| line.contains("Server b/f is UP")).collect()
}

#[test]
fn a_flapping_server_is_followed_and_no_request_is_lost() {
    let (steady, port) = (Backend::web("steady"), free_port());
    let flapping = Flapping::start(port);
    let (gateway, _syslog) = logged_gateway(&format!(
        " option redispatch 1\n retry-on conn-failure empty-response\n timeout connect 300ms\n server f 127.0.0.1:{port} check inter 50 rise 1 fall 1\n \
         server s 127.0.0.1:{}",
        steady.port
    ));
    let before = gateway.settled_descriptors();
    let mut statuses = BTreeMap::<u16, usize>::new();
    let started = std::time::Instant::now();
    while started.elapsed() < ms(5_000) {
        let mut client = gateway.client();
        client.send(GET);
        *statuses.entry(client.answer().status).or_default() += 1;
    }
    let changes = changes(&gateway);
    assert!(changes.len() >= 6, "{changes:?}");
    assert!(changes.windows(2).all(|two| two[0] != two[1]), "down and up take turns: {changes:?}");
    // It can die between taking a request and answering it: `retry-on` sends that one again.
    assert!(statuses.len() == 1 && statuses[&200] > 20, "{statuses:?}");
    let _settled = flapping.settle();
    let names = |gateway: &Gateway| {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.answer().header("x-backend").unwrap_or_default().to_string()
    };
    eventually("it gets traffic again", || names(&gateway) == "f");
    // Connections to the servers lie idle for a while; all else is gone.
    gateway.wait_descriptors(before + 4);
}

#[test]
fn all_servers_down_and_one_back_needs_no_restart() {
    let (a, b) = (Backend::web("a"), Backend::web("b"));
    let check = "check inter 100 rise 1 fall 1";
    let (gateway, syslog) = logged_gateway(&format!(
        " server a 127.0.0.1:{} {check}\n server b 127.0.0.1:{} {check}",
        a.port, b.port
    ));
    let ask = |target: &str| {
        let mut client = gateway.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        client.answer()
    };
    assert_eq!(ask("/before").status, 200);
    let port = b.port;
    a.stop();
    b.stop();
    gateway.wait_stderr("has no server available!");
    assert_eq!(ask("/down").status, 503);
    let line = line_of(&syslog, "/down");
    assert_eq!((line.termination.as_str(), line.server.as_str(), line.retries), ("SC--", "<NOSRV>", 0));
    let _back = Backend::on_port(port, web("b"));
    gateway.wait_stderr("Server b/b is UP");
    let answer = ask("/back");
    assert_eq!((answer.status, answer.header("x-backend")), (200, Some("b")));
}

/// Those who wait while the only server is down are served once it is back, although nobody takes new ones meanwhile.
#[test]
fn those_who_wait_outlast_a_time_without_servers() {
    let server = Backend::answering(|request| {
        std::thread::sleep(if request.target == "/first" { ms(1_500) } else { ms(50) });
        ok(&request.target)
    });
    let checked = Backend::echo();
    let port = checked.port;
    let (gateway, syslog) = logged_gateway(&format!(
        " timeout queue 30s\n server s 127.0.0.1:{} maxconn 1 check port {port} inter 100 rise 1 fall 1",
        server.port
    ));
    let send = |target: &str| {
        let mut client = gateway.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        client
    };
    let mut first = send("/first");
    eventually("the first has the server", || server.open() == 1);
    let mut waiting: Vec<Client> = (0..5).map(|nth| send(&format!("/waits/{nth}"))).collect();
    std::thread::sleep(ms(200));
    checked.stop();
    gateway.wait_stderr("has no server available!");
    assert_eq!(first.answer().text(), "/first", "who is with it stays with it");
    assert_eq!(send("/late").answer().status, 503, "nobody new");
    std::thread::sleep(ms(500));
    let _back = Backend::on_port(port, crate::support::peers::echo);
    for (nth, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), format!("/waits/{nth}"));
    }
    let line = line_of(&syslog, "/waits/4");
    assert_eq!((line.status, line.termination.as_str(), line.server.as_str()), (200, "----", "s"));
    assert!(line.timers[1] >= 500, "it has waited: {:?}", line.timers);
}

/// A server that stops in the middle of a body while others are served: the client learns that there is more.
#[test]
fn half_an_answer_is_no_whole_one() {
    let server = Backend::start(|peer| {
        while let Some(request) = peer.read_request() {
            match request.target.as_str() {
                "/half" => {
                    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf");
                    return;
                }
                _ => peer.write(ok("whole")),
            };
        }
    });
    let (gateway, _syslog) = logged_gateway(&format!(" server s 127.0.0.1:{}", server.port));
    for _ in 0..10 {
        let mut client = gateway.client();
        client.send("GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(client.try_answer_to("GET").is_err(), "a broken answer looks whole");
        let mut client = gateway.client();
        client.send(GET);
        assert_eq!(client.answer().text(), "whole");
    }
}
