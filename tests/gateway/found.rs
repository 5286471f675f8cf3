//! Faults that reviews found: each test failed before its fault was put right.

use crate::rig::{DEFAULTS, http_config, http_gateway, tcp_gateway};
use crate::support::client::Client;
use crate::support::logline::http_line;
use crate::support::pattern::payload;
use crate::support::peers::{Backend, Peer, ok, web};
use crate::support::ports::{free_port, free_port_range, is_listening};
use crate::support::process::{Gateway, Signal, Starter, folder};
use crate::support::program::{inheriting, only_oneport};
use crate::support::socket::{End, Socket};
use crate::support::syslog::Syslog;
use crate::support::{eventually, ms};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// `X-Backend` of one request on a connection of its own.
#[track_caller]
fn served_by(port: u16) -> String {
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.answer().header("x-backend").unwrap_or_default().to_string()
}

/// What came by one port was sent over the idle connection to the server of the other.
#[test]
fn a_server_that_follows_the_clients_port_is_never_the_other_ports() {
    let first = free_port_range(4);
    let _one = Backend::on_port(first + 2, web("one"));
    let _two = Backend::on_port(first + 3, web("two"));
    let _gateway = Starter::new().ready_port(first).ready_port(first + 1).start(&format!(
        "{DEFAULTS}frontend f\n mode http\n bind 127.0.0.1:{first}\n bind 127.0.0.1:{}\n default_backend b\n\
         backend b\n mode http\n server s 127.0.0.1:+2\n",
        first + 1
    ));
    for _ in 0..4 {
        for (port, name) in [(first, "one"), (first + 1, "two")] {
            let mut client = Client::to(port);
            client.send(GET);
            assert_eq!(client.answer().header("x-backend"), Some(name));
        }
    }
}

/// accept() failed for ever, and the process did nothing but call it.
#[test]
fn an_inherited_listener_that_was_shut_down_freezes_nothing() {
    if only_oneport("HAProxy says nothing about it") {
        return;
    }
    let backend = Backend::web("a");
    let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
    let shared = inherited.try_clone().unwrap();
    let other = free_port();
    let dir = folder();
    let file = dir.path().join("gateway.cfg");
    std::fs::write(&file, http_config(other, backend.port, "bind fd@7")).unwrap();
    let command = inheriting(inherited, &file);
    let mut gateway = Starter::new().ready_port(other).spawn(command, dir);
    assert_eq!(served_by(shared.local_addr().unwrap().port()), "a");
    rustix::net::shutdown(&shared, rustix::net::Shutdown::Both).unwrap();
    gateway.wait_stderr("accepts no more connections");
    let ticks = gateway.cpu_ticks();
    std::thread::sleep(ms(1_000));
    let used = gateway.cpu_ticks() - ticks;
    assert!(used < 20, "no spinning on a dead listener: {used} ticks of 100");
    assert_eq!(served_by(other), "a");
    let said = gateway.stderr();
    assert_eq!(said.matches("accepts no more connections").count(), 1, "said once:\n{said}");
    assert!(said.contains("fd@7"), "said of which:\n{said}");
    gateway.signal(Signal::TERM);
    gateway.wait_exit(Duration::from_secs(5));
}

/// Two such clients had the process for themselves: it read on and on, and nobody else was served.
#[test]
fn a_flood_of_empty_lines_starves_nobody_and_is_a_400() {
    if only_oneport("HAProxy skips any number of empty lines") {
        return;
    }
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let port = gateway.port;
    let until = Instant::now() + ms(2_000);
    let floods: Vec<_> = (0..2).map(|_| std::thread::spawn(move || flood(port, until))).collect();
    std::thread::sleep(ms(200));
    let mut served = 0;
    while Instant::now() < until {
        let started = Instant::now();
        assert_eq!(served_by(port), "a");
        assert!(started.elapsed() < ms(1_000), "served after {:?}", started.elapsed());
        served += 1;
        std::thread::sleep(ms(50));
    }
    assert!(served >= 3, "{served} requests in two seconds");
    for flood in floods {
        let (connections, refused) = flood.join().unwrap();
        assert!(refused >= 1, "{connections} floods, and no 400");
        assert_eq!(refused, connections, "each flood is refused");
    }
}

/// Sends empty lines without pause until then, again when it is refused; how often, and how often with a 400.
fn flood(port: u16, until: Instant) -> (u32, u32) {
    let lines = b"\r\n".repeat(50_000);
    let (mut connections, mut refused) = (0, 0);
    while Instant::now() < until {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut reading = Client::over(Socket::tcp(stream.try_clone().unwrap()));
        let answer = std::thread::spawn(move || reading.try_answer_to("GET").map(|answer| answer.status));
        let mut writing = Socket::tcp(stream.try_clone().unwrap());
        // The first ones even at the very end: without them it would be a silent client.
        while writing.write(&lines) && Instant::now() < until && !answer.is_finished() {}
        connections += 1;
        refused += u32::from(answer.join().unwrap() == Ok(400));
        // It may have been closed by the other side before.
        let _ = stream.shutdown(Shutdown::Both);
    }
    (connections, refused)
}

/// Every CR and LF before a request was taken for a part of an empty line.
#[test]
fn a_few_empty_lines_are_skipped_and_a_lone_cr_is_not() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send(format!("\r\n\r\n\r\n\r\n{GET}"));
        assert_eq!(client.answer().status, 200);
    }
    for bad in ["\rGET", "\r\n\rGET", "\r\r\nGET"] {
        let mut client = gateway.client();
        client.send(GET.replace("GET", bad));
        assert_eq!(client.answer().status, 400, "{bad:?}");
    }
}

/// The upload was cut off at the answer's last byte.
#[test]
fn an_upload_goes_on_whole_behind_an_early_answer() {
    const LEN: usize = 5_000_000;
    let (done, result) = std::sync::mpsc::channel();
    let backend = Backend::start(move |peer| {
        peer.read_head();
        peer.write(ok("ok"));
        // The test may have failed and gone.
        let _ = done.send(peer.read_exact(LEN));
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {LEN}\r\n\r\n"));
    let body = payload(4, LEN);
    for piece in body.chunks(100_000) {
        assert!(client.send(piece), "the gateway closed in the middle of the upload");
        std::thread::sleep(ms(5));
    }
    assert_eq!(client.answer().text(), "ok");
    let got = result.recv().unwrap();
    assert!(got.as_ref() == Some(&body), "{:?} bytes of {LEN}", got.map(|bytes| bytes.len()));
}

/// The listener was closed with its queue, and the kernel reset everybody in it.
#[test]
fn sigusr1_serves_who_waits_in_the_accept_queue() {
    if only_oneport("HAProxy resets them") {
        return;
    }
    let backend = Backend::web("a");
    for _ in 0..5 {
        let mut gateway = http_gateway(&backend, "");
        assert_eq!(served_by(gateway.port), "a");
        gateway.signal(Signal::STOP);
        let mut clients: Vec<Client> = (0..10).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        }
        gateway.signal(Signal::USR1);
        gateway.signal(Signal::CONT);
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
            assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
        }
        assert_eq!(gateway.wait_exit(Duration::from_secs(10)).code(), Some(0));
    }
}

/// A read ends at the mark; that was taken for an empty socket buffer, and what stood behind it waited.
#[test]
fn urgent_data_does_not_hold_back_what_follows() {
    let backend = Backend::silent();
    let gateway = tcp_gateway(&backend, "");
    let Socket::Tcp(stream) = gateway.client().into_socket() else { unreachable!() };
    let mut client = Socket::tcp(stream.try_clone().unwrap());
    client.write(b"hello");
    backend.wait_received(0, b"hello");
    // All of it is there when the gateway comes to read.
    gateway.signal(Signal::STOP);
    client.write(b"abc");
    rustix::net::send(&stream, b"X", rustix::net::SendFlags::OOB).unwrap();
    client.write(b"def");
    std::thread::sleep(ms(100));
    gateway.signal(Signal::CONT);
    backend.wait_received(0, b"helloabcdef");
    client.write(b"ghi");
    backend.wait_received(0, b"helloabcdefghi");
}

/// Splice never gets past the mark: it says "end" there once the peer has finished, and what followed was lost.
#[test]
fn urgent_data_in_the_midst_of_bulk_loses_nothing() {
    const LEN: usize = 8 * 1024 * 1024;
    // Behind so many bytes: in the midst, and as the very last.
    for mark in [LEN / 2, LEN - 100_000, LEN] {
        let backend = Backend::start(|peer| {
            peer.pause(ms(300));
            let mut got = Vec::new();
            while let Ok(bytes) = peer.read_some() {
                got.extend(bytes);
            }
            let verdict = if got == payload(11, LEN) { "got it all" } else { "wrong bytes" };
            peer.write(format!("{verdict}: {}", got.len()));
        });
        let gateway = tcp_gateway(&backend, "");
        let Socket::Tcp(stream) = gateway.client().into_socket() else { unreachable!() };
        let mut client = Client::over(Socket::tcp(stream.try_clone().unwrap()));
        let bytes = payload(11, LEN);
        client.send(&bytes[..mark]);
        rustix::net::send(&stream, b"X", rustix::net::SendFlags::OOB).unwrap();
        client.send(&bytes[mark..]);
        client.finish();
        let (answer, end) = client.read_to_end();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!((answer, end), (format!("got it all: {LEN}"), End::Closed), "mark at {mark}");
    }
}

/// The first half of an empty line was the last byte of a full buffer: the read into no room was taken for the end.
#[test]
fn an_empty_line_between_requests_may_be_split_at_the_end_of_a_full_buffer() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let len = 3 * 16_384 - 1;
    let mut client = gateway.client();
    client.send(format!("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n"));
    // The body begins with a buffer of its own.
    eventually("the first head arrives", || backend.received(0).ends_with(b"\r\n\r\n"));
    gateway.signal(Signal::STOP);
    let mut rest = payload(12, len);
    rest.extend_from_slice(b"\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    client.send(rest);
    gateway.signal(Signal::CONT);
    assert_eq!(client.answer().text(), "a POST /1\n");
    assert_eq!(client.answer().text(), "a GET /2\n");
}

/// "Address in use": the process stood in its own way, as the old socket is closed only after the new one is open.
#[test]
fn a_reload_changes_a_binds_address_and_keeps_its_port() {
    if only_oneport("HAProxy reloads in a new process") {
        return;
    }
    let (wide, narrow) = (Backend::web("wide"), Backend::web("narrow"));
    let port = free_port();
    let wide_config = http_config(port, wide.port, "").replace("bind 127.0.0.1:", "bind *:");
    let gateway = Gateway::start_on(port, &wide_config);
    let reachable = || TcpStream::connect(("127.0.0.2", port)).is_ok();
    assert!(reachable());
    for _ in 0..2 {
        gateway.rewrite_config(&http_config(port, narrow.port, ""));
        gateway.signal(Signal::HUP);
        eventually("the port is this address's only", || !reachable());
        assert_eq!(served_by(port), "narrow");
        gateway.rewrite_config(&wide_config);
        gateway.signal(Signal::HUP);
        eventually("the port is every address's again", reachable);
        eventually("the wide file serves", || served_by(port) == "wide");
    }
    assert!(is_listening(port) && !gateway.stderr().contains("in use"), "{}", gateway.stderr());
}

/// The server connection went back to the idle ones with what the server had sent too much still in it, or lost.
#[test]
fn a_server_connection_that_was_dechunked_is_not_used_again() {
    if only_oneport("HAProxy sends chunks to a 1.0 client") {
        return;
    }
    let backend = Backend::answering(|request| {
        if request.target == "/chunked" {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nin \r\n6\r\npieces\r\n0\r\n\r\n"
                .to_vec()
        } else {
            ok("of its own")
        }
    });
    let gateway = http_gateway(&backend, "");
    let mut old = gateway.client();
    old.send("GET /chunked HTTP/1.0\r\n\r\n");
    assert_eq!(old.answer().text(), "in pieces");
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().text(), "of its own");
    assert_eq!(backend.accepts(), 2, "one server connection each");
    assert!(!backend.received(0).windows(10).any(|ten| ten == b"GET / HTTP"));
}

/// NTLM signs a connection in, not a request: the next client was signed in as the one before.
#[test]
fn a_server_connection_in_an_ntlm_handshake_is_given_to_nobody_else() {
    for scheme in ["NTLM", "Negotiate", "ntlm TlRMTVNTUAACAAAA"] {
        let backend = Backend::answering(move |request| {
            if request.target == "/login" {
                let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n";
                format!("{head}WWW-Authenticate: {scheme}\r\n\r\nno").into_bytes()
            } else {
                ok("yes")
            }
        });
        let gateway = http_gateway(&backend, "http-reuse always");
        let mut first = gateway.client();
        first.send("GET /login HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(first.answer().status, 401);
        let mut second = gateway.client();
        second.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(second.answer().text(), "yes");
        assert_eq!(backend.accepts(), 2, "{scheme}");
        assert!(!backend.received(0).windows(7).any(|seven| seven == b"/second"), "{scheme}");
    }
}

/// A server in maintenance was connected to all the same.
#[test]
fn a_disabled_server_is_not_checked() {
    let (off, on) = (Backend::web("off"), Backend::web("on"));
    let gateway = Gateway::start(|port| {
        format!(
            // A check that says nothing is reset before it could be accepted.
            "{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{port}\n option httpchk\n \
             server off 127.0.0.1:{} check inter 100 disabled\n server on 127.0.0.1:{} check inter 100\n",
            off.port, on.port
        )
    });
    eventually("the other server is checked", || on.accepts() >= 5);
    assert_eq!(served_by(gateway.port), "on");
    assert_eq!(off.accepts(), 0);
}

/// `Peer` scripts for [`a_servers_fault_leaves_the_client_connected`]: the first connection fails.
fn once(fault: impl Fn(&mut Peer) + Send + Sync + 'static) -> Backend {
    let first = std::sync::atomic::AtomicBool::new(true);
    let serve = web("a");
    Backend::start(move |peer| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            peer.read_request();
            fault(peer);
        } else {
            serve(peer);
        }
    })
}

/// The client lost its connection for what a server had done.
#[test]
fn a_servers_fault_leaves_the_client_connected() {
    #[track_caller]
    fn expect(port: u16, status: u16, repair: impl FnOnce() -> Option<Backend>) {
        let extra = "retries 0\ntimeout server 400ms\ntimeout connect 400ms";
        let gateway = Gateway::start(|listen| http_config(listen, port, extra));
        let mut client = gateway.client();
        client.send(GET);
        let answer = client.answer();
        assert_eq!(answer.status, status);
        let connection = answer.header("connection").unwrap_or_default();
        assert!(!connection.eq_ignore_ascii_case("close"), "{}", answer.head);
        client.expect_silence(ms(200));
        let _repaired = repair();
        client.send(GET);
        assert_eq!(client.answer().header("x-backend"), Some("a"), "after a {status}");
    }
    let garbage = once(|peer| crate::support::ignore(peer.write("no HTTP\r\n\r\n")));
    expect(garbage.port, 502, || None);
    let hangup = once(|_| {});
    expect(hangup.port, 502, || None);
    let silent = once(|peer| crate::support::ignore(peer.read_to_end()));
    expect(silent.port, 504, || None);
    let port = free_port();
    expect(port, 503, || Some(Backend::on_port(port, web("a"))));
}

/// It became a tunnel, over which the client's next bytes went as they were.
#[test]
fn a_101_that_nobody_asked_for_is_a_502() {
    for request in [
        GET,
        "POST / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 100\r\n\r\nsome",
    ] {
        if request != GET && only_oneport("HAProxy passes it on") {
            return;
        }
        let backend = Backend::start(|peer| {
            peer.read_head();
            peer.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
            peer.read_to_end();
        });
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send(request);
        assert_eq!(client.answer().status, 502, "{request}");
    }
}

/// A server could keep a client and its own connection busy for ever with 1xx answers.
#[test]
fn more_than_64_interim_answers_are_a_502() {
    for (count, status) in [(64, 200), (65, 502), (5_000, 502)] {
        if status == 502 && only_oneport("HAProxy passes any number on") {
            return;
        }
        let backend = Backend::start(move |peer| {
            peer.read_request();
            peer.write("HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n".repeat(count));
            peer.write(ok("at last"));
            peer.read_to_end();
        });
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send(GET);
        let mut interim = 0;
        let answer = loop {
            let answer = client.answer();
            if answer.status >= 200 {
                break answer;
            }
            interim += 1;
        };
        assert_eq!((answer.status, interim), (status, 64), "{count} of the server's");
    }
}

/// An httplog gateway whose lines go to a syslog server.
fn logged(backend: &Backend) -> (Syslog, Gateway) {
    let syslog = Syslog::udp();
    let gateway = Gateway::start(|port| {
        let log = format!("log 127.0.0.1:{} local0\noption httplog", syslog.port);
        http_config(port, backend.port, &log)
    });
    (syslog, gateway)
}

/// An idle client's silence before its request was counted as the request's time; and the server connection of
/// a request that was over, as open.
#[test]
fn silence_before_a_request_and_its_own_connection_are_not_counted() {
    let backend = Backend::web("a");
    let (syslog, gateway) = logged(&backend);
    let mut client = gateway.client();
    std::thread::sleep(ms(700));
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    let line = http_line(&syslog.wait_for("GET / "));
    let [request, _, _, _, total] = line.timers;
    assert!((0..600).contains(&request) && (0..600).contains(&total), "{:?}", line.timers);
    assert_eq!(line.connections, [1, 1, 0, 0], "%ac/%fc/%bc/%sc");
}

/// The second of the gentle close was counted, and TR was 0 where there never was a request.
#[test]
fn closing_after_a_400_is_not_counted_and_there_is_no_tr() {
    let backend = Backend::web("a");
    let (syslog, gateway) = logged(&backend);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost : h\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    // The client stays, so the gateway waits for its end as long as it ever does.
    let line = http_line(&syslog.wait_for("<BADREQ>"));
    let [request, .., total] = line.timers;
    assert_eq!(request, -1, "{:?}", line.timers);
    assert!((0..700).contains(&total), "{:?}", line.timers);
    drop(client);
}
