//! The PROXY protocol: accepted with `accept-proxy`, sent with `send-proxy` and `send-proxy-v2`.

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::peers::{Backend, Peer, ok};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Signal, Starter, folder, run};
use crate::support::program::{Program, only_oneport};
use crate::support::socket::End;
use crate::support::syslog::Syslog;
use crate::support::web::Nginx;
use crate::support::{eventually, expect_about, ms};
use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const NOT_A_HEADER: &str = "Received something which does not look like a PROXY protocol header";
const INVALID: &str = "Received an invalid PROXY protocol header";
const UNHANDLED: &str = "Received an unhandled protocol in the PROXY protocol header";
const TRUNCATED: &str = "Truncated PROXY protocol header received";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A version 1 header, made without the code under test.
fn line(source: &str, destination: &str) -> Vec<u8> {
    let (from, to) = (address(source), address(destination));
    let family = if from.is_ipv4() { 4 } else { 6 };
    let (from_ip, to_ip) = (from.ip(), to.ip());
    format!("PROXY TCP{family} {from_ip} {to_ip} {} {}\r\n", from.port(), to.port()).into_bytes()
}

/// A version 2 header, made without the code under test.
fn binary(source: &str, destination: &str) -> Vec<u8> {
    let (from, to) = (address(source), address(destination));
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let body = [octets(from.ip()), octets(to.ip()), ports].concat();
    block(0x21, if from.is_ipv4() { 0x11 } else { 0x21 }, &body)
}

fn block(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// A gateway in `mode tcp` that wants headers, before an echo.
struct Rig {
    syslog: Syslog,
    backend: Backend,
    gateway: Gateway,
}

impl Rig {
    /// `lines` go into the `listen` section.
    #[track_caller]
    fn start(lines: &str) -> Self {
        let (syslog, backend) = (Syslog::udp(), Backend::echo());
        let gateway = Gateway::start(|port| {
            format!(
                "global\n log 127.0.0.1:{} local0\n{DEFAULTS} log global\n option tcplog\n\
                 listen web\n mode tcp\n bind 127.0.0.1:{port} accept-proxy\n server s1 127.0.0.1:{}\n{lines}",
                syslog.port, backend.port
            )
        });
        Self { syslog, backend, gateway }
    }

    /// What was logged of connections so far.
    fn logged(&self) -> Vec<String> {
        self.syslog.lines().into_iter().filter(|line| line.contains("] web")).collect()
    }

    /// Sends a header and "hello" in the pieces that `send` makes of them; the echo must be "hello" alone.
    #[track_caller]
    fn carries(&self, header: &[u8], send: fn(&mut Client, &[u8])) {
        let mut client = self.gateway.client();
        send(&mut client, &[header, b"hello"].concat());
        assert_eq!(client.read_exact(5), b"hello");
        client.finish();
        assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
    }
}

fn in_one_piece(client: &mut Client, bytes: &[u8]) {
    client.send(bytes);
}

fn in_single_bytes(client: &mut Client, bytes: &[u8]) {
    client.send_bytewise(bytes, std::time::Duration::from_micros(200));
}

#[test]
fn the_client_is_who_the_header_says() {
    let rig = Rig::start("");
    rig.carries(&line("192.0.2.1:1001", "198.51.100.2:80"), in_one_piece);
    rig.syslog.wait_for(": 192.0.2.1:1001 [");
    rig.carries(&line("[2001:db8::1]:1002", "[2001:db8::2]:80"), in_one_piece);
    rig.syslog.wait_for(": 2001:db8::1:1002 [");
    rig.carries(&binary("192.0.2.1:1003", "198.51.100.2:80"), in_one_piece);
    rig.syslog.wait_for(": 192.0.2.1:1003 [");
    rig.carries(&binary("[2001:db8::1]:1004", "[2001:db8::2]:80"), in_one_piece);
    rig.syslog.wait_for(": 2001:db8::1:1004 [");
    let with_tlvs =
        [&binary("192.0.2.1:1005", "198.51.100.2:80")[16..], b"\x04\x0b\xb8", &[b'n'; 3_000]].concat();
    rig.carries(&block(0x21, 0x11, &with_tlvs), in_one_piece);
    rig.syslog.wait_for(": 192.0.2.1:1005 [");
}

#[test]
fn a_header_may_come_in_any_pieces() {
    if only_oneport("HAProxy wants the header in one piece") {
        return;
    }
    let rig = Rig::start("");
    rig.carries(&line("192.0.2.1:1001", "198.51.100.2:80"), in_single_bytes);
    rig.syslog.wait_for(": 192.0.2.1:1001 [");
    rig.carries(&binary("[2001:db8::1]:1002", "[2001:db8::2]:80"), in_single_bytes);
    rig.syslog.wait_for(": 2001:db8::1:1002 [");
    rig.carries(&line("192.0.2.1:1003", "198.51.100.2:80"), |client, bytes| {
        let (header, rest) = bytes.split_at(bytes.len() - 5);
        client.send_pieces([header, rest], ms(100));
    });
    rig.syslog.wait_for(": 192.0.2.1:1003 [");
}

#[test]
fn a_header_that_names_nobody_leaves_the_addresses() {
    if only_oneport("HAProxy 2.6 refuses unix sockets and datagrams, and UNKNOWN with more behind it") {
        return;
    }
    let rig = Rig::start("");
    let datagram = &binary("192.0.2.1:1003", "198.51.100.2:80")[16..];
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.1 and so on\r\n".to_vec(),
        LOCAL.to_vec(),
        block(0x20, 0x11, datagram),
        block(0x21, 0x00, b""),
        block(0x21, 0x31, &[b'/'; 216]),
        block(0x21, 0x12, datagram),
    ] {
        rig.carries(&header, in_one_piece);
    }
    eventually("seven lines", || rig.logged().len() == 7);
    for logged in rig.logged() {
        assert!(logged.contains(": 127.0.0.1:"), "{logged}");
    }
}

#[test]
fn what_is_no_header_is_closed_without_an_answer_and_logged() {
    let rig = Rig::start("");
    let tcp4 = binary("192.0.2.1:1003", "198.51.100.2:80");
    let long = [b"PROXY UNKNOWN ", &[b'x'; 94][..]].concat();
    let mut expected = Vec::new();
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], NOT_A_HEADER),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NOT_A_HEADER),
        (&block(0x11, 0x11, &tcp4[16..]), NOT_A_HEADER),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 1001 80\nhello", INVALID),
        (b"PROXY TCP4 2001:db8::1 ::2 1001 80\r\n", INVALID),
        (&block(0x22, 0x11, &tcp4[16..]), INVALID),
        (&block(0x21, 0x11, &tcp4[16..24]), INVALID),
        (&[&block(0x21, 0x11, &[&tcp4[16..], b"\x03\0\x04abcd"].concat())[..], b"hello"].concat(), INVALID),
        (b"PROXY TCP5 192.0.2.1 198.51.100.2 1001 80\r\n", UNHANDLED),
        (&long, INVALID),
    ] {
        if bytes == long && Program::subject() == Program::Haproxy {
            continue;
        }
        let mut client = rig.gateway.client();
        client.send(bytes);
        let (answer, end) = client.read_to_end();
        assert!(answer.is_empty() && end != End::Open, "{answer:?}");
        expected.push(reason);
    }
    eventually("a line for each", || rig.logged().len() == expected.len());
    for (logged, reason) in rig.logged().iter().zip(expected) {
        // HAProxy has taken over the addresses when it finds the checksum wrong.
        let client_known = Program::subject() == Program::Haproxy || logged.contains(": 127.0.0.1:");
        assert!(client_known, "{logged}");
        assert!(logged.contains(&format!("] web/1: {reason}")), "{logged}: not {reason}");
    }
    assert_eq!(rig.backend.accepts(), 0);
}

#[test]
fn a_header_that_ends_too_early_is_logged_as_truncated() {
    let rig = Rig::start("");
    let mut client = rig.gateway.client();
    client.send("PROXY TCP4 192.0");
    client.finish();
    assert_eq!(client.read_to_end().0, b"");
    rig.syslog.wait_for(&format!("] web/1: {TRUNCATED}"));
    let client = rig.gateway.client();
    client.finish();
    rig.syslog.wait_for("] web/1: Connection closed while waiting for PROXY protocol header");
}

#[test]
fn a_header_longer_than_a_buffer_is_refused() {
    let rig = Rig::start("");
    let tlv = [b"\x04\x80\x00", &[b'n'; 0x8000][..]].concat();
    let header = [&binary("192.0.2.1:1005", "198.51.100.2:80")[16..], &tlv].concat();
    let mut client = rig.gateway.client();
    client.send(block(0x21, 0x11, &header));
    assert_eq!(client.read_to_end().0, b"");
    rig.syslog.wait_for(&format!("] web/1: {TRUNCATED}"));
}

#[test]
fn a_client_without_a_header_is_closed_after_timeout_client() {
    let rig = Rig::start(" timeout client 700ms\n");
    let mut client = rig.gateway.client();
    let (took, end) = client.time_to_end();
    assert_eq!(end, End::Closed);
    expect_about(took, ms(700));
    rig.syslog.wait_for("] web/1: Timeout while waiting for PROXY protocol header");
    if only_oneport("HAProxy wants the header in one piece") {
        return;
    }
    // Bytes that come one by one get no more time.
    let mut client = rig.gateway.client();
    client.send_bytewise("PROXY TCP4 192", ms(100));
    assert!(matches!(client.time_to_end().1, End::Closed | End::Reset));
    eventually("a second line", || rig.logged().len() == 2);
}

#[test]
fn the_time_for_a_request_begins_behind_the_header() {
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen web\n mode http\n timeout http-request 2s\n bind 127.0.0.1:{port} accept-proxy\n \
             server s1 127.0.0.1:{}\n",
            backend.port
        )
    });
    let mut client = gateway.client();
    std::thread::sleep(ms(2_500));
    client.send(line("192.0.2.1:1001", "198.51.100.2:80"));
    std::thread::sleep(ms(200));
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn dontlognull_is_silent_about_clients_that_were_silent() {
    let rig = Rig::start(" timeout client 300ms\n option dontlognull\n");
    let mut client = rig.gateway.client();
    assert_eq!(client.time_to_end().1, End::Closed);
    let client = rig.gateway.client();
    client.finish();
    let mut client = rig.gateway.client();
    client.send("HELO");
    client.finish();
    client.read_to_end();
    eventually("a line", || !rig.logged().is_empty());
    assert_eq!(rig.logged().len(), 1, "{:?}", rig.logged());
}

#[test]
fn a_flood_of_bad_headers_does_not_flood_the_log() {
    if only_oneport("HAProxy logs each") {
        return;
    }
    let rig = Rig::start("");
    for _ in 0..60 {
        let mut client = rig.gateway.client();
        client.send("GET / HTTP/1.1\r\n\r\n");
        client.read_to_end();
    }
    let flooded = rig.logged().len();
    std::thread::sleep(ms(1_100));
    let mut client = rig.gateway.client();
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.read_to_end();
    rig.syslog.wait_for("more such connections were not logged)");
    // Ten a second; a busy machine may need some seconds for the sixty.
    assert!(flooded < 60, "{flooded} lines");
}

#[test]
fn http_tells_the_clients_address_on() {
    let backend = Backend::answering(|request| ok(&request.values("x-forwarded-for").join(",")));
    let syslog = Syslog::udp();
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{} local0\n{DEFAULTS} log global\n option httplog\n mode http\n\
             listen web\n bind 127.0.0.1:{port} accept-proxy\n option forwardfor\n server s1 127.0.0.1:{}\n",
            syslog.port, backend.port
        )
    });
    let request = b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = gateway.client();
    client.send([&binary("192.0.2.1:1001", "198.51.100.2:80"), &request[..]].concat());
    assert_eq!(client.answer().text(), "192.0.2.1");
    client.send(request);
    assert_eq!(client.answer().text(), "192.0.2.1");
    let lines = || syslog.lines().iter().filter(|line| line.contains(": 192.0.2.1:1001 [")).count();
    eventually("two lines", || lines() == 2);
}

#[test]
fn a_unix_client_may_bear_an_ip_address() {
    let (syslog, backend, dir) = (Syslog::udp(), Backend::echo(), folder());
    let path = dir.path().join("in.sock");
    let _gateway = Starter::new().ready_path(&path).start(&format!(
        "global\n log 127.0.0.1:{} local0\n{DEFAULTS} log global\n option tcplog\n\
         listen web\n mode tcp\n bind 127.0.0.1:{}\n bind unix@{} accept-proxy name sock\n server s1 127.0.0.1:{}\n",
        syslog.port,
        free_port(),
        path.display(),
        backend.port
    ));
    let exchange = |header: &[u8]| {
        let mut client = Client::to_path(&path);
        client.send([header, b"hello"].concat());
        client.finish();
        client.read_to_end().0
    };
    assert_eq!(exchange(&line("192.0.2.1:1001", "198.51.100.2:80")), b"hello");
    syslog.wait_for(": 192.0.2.1:1001 [");
    assert_eq!(exchange(b"PROXY UNKNOWN\r\n"), b"hello");
    syslog.wait_for(": unix:2 [");
    assert_eq!(exchange(b"not a header at all"), b"");
    syslog.wait_for(&format!("] web/sock: {NOT_A_HEADER}"));
}

#[test]
fn the_destination_is_what_the_header_says() {
    let (syslog, backend) = (Syslog::udp(), Backend::echo());
    // No `option tcplog`: the default line tells the destination. The server has no port: it is the destination's.
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{} local0\n{DEFAULTS} log global\n\
             listen web\n mode tcp\n bind 127.0.0.1:{port} accept-proxy\n server s1 127.0.0.1\n",
            syslog.port
        )
    });
    let to = format!("198.51.100.2:{}", backend.port);
    let mut client = gateway.client();
    client.send([&line("192.0.2.1:1001", &to)[..], b"hello"].concat());
    assert_eq!(client.read_exact(5), b"hello");
    client.finish();
    client.read_to_end();
    syslog.wait_for(&format!("Connect from 192.0.2.1:1001 to {to} (web/TCP)"));
}

#[test]
fn a_reload_changes_what_an_open_port_expects() {
    if only_oneport("HAProxy reloads with its master process") {
        return;
    }
    let backend = Backend::echo();
    let config = |port: u16, words: &str| {
        format!(
            "{DEFAULTS}listen web\n mode tcp\n bind 127.0.0.1:{port} {words}\n server s1 127.0.0.1:{}\n",
            backend.port
        )
    };
    let gateway = Gateway::start(|port| config(port, ""));
    gateway.rewrite_config(&config(gateway.port, "accept-proxy"));
    gateway.signal(Signal::HUP);
    let header = line("192.0.2.1:1001", "198.51.100.2:80");
    eventually("headers are taken off", || {
        let mut client = gateway.client();
        client.send([&header[..], b"hello"].concat());
        client.finish();
        client.read_to_end().0 == b"hello"
    });
}

/// A gateway in front of `server` (address and words), and what that backend got from a client that sent "hello".
#[track_caller]
fn sent_to(backend: &Backend, bind: &str, server: &str, connect: impl Fn(u16) -> Client) -> (Vec<u8>, u16) {
    let port = free_port();
    let bind = bind.replace("@PORT@", &port.to_string());
    let text = format!("{DEFAULTS}listen web\n mode tcp\n bind {bind}\n server s1 {server}\n");
    let gateway = match bind.strip_prefix("unix@") {
        Some(path) => Starter::new().ready_path(path.as_ref()).start(&text),
        None => Starter::new().ready_port(port).start(&text),
    };
    let before = backend.accepts();
    let mut client = connect(port);
    client.send("hello");
    eventually("the backend gets it", || backend.received(before).ends_with(b"hello"));
    drop(gateway);
    (backend.received(before), port)
}

#[test]
fn servers_get_the_header_they_ask_for() {
    let backend = Backend::silent();
    let server = |words: &str| format!("127.0.0.1:{} {words}", backend.port);
    let (got, port) = sent_to(&backend, "127.0.0.1:@PORT@", &server("send-proxy"), Client::to);
    let text = String::from_utf8(got).unwrap();
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[..4], ["PROXY", "TCP4", "127.0.0.1", "127.0.0.1"], "{text}");
    assert_eq!(words[5], format!("{port}\r\nhello"));

    let (got, port) =
        sent_to(&backend, "[::1]:@PORT@", &server("send-proxy-v2"), |port| Client::to_address(("::1", port)));
    let source = u16::from_be_bytes([got[48], got[49]]);
    let expected = binary(&format!("[::1]:{source}"), &format!("[::1]:{port}"));
    assert_eq!(got, [&expected[..], b"hello"].concat());

    let (got, _) = sent_to(&backend, "127.0.0.1:@PORT@", &server("send-proxy send-proxy-v2"), Client::to);
    assert_eq!(got.len(), 28 + 5, "the later version wins: {got:?}");
    let crc = server("send-proxy-v2 proxy-v2-options crc32c");
    let (got, _) = sent_to(&backend, "127.0.0.1:@PORT@", &crc, Client::to);
    assert_eq!(got[28..31], [3, 0, 4], "{got:?}");
    let none = server("send-proxy-v2 no-send-proxy-v2");
    let (got, _) = sent_to(&backend, "127.0.0.1:@PORT@", &none, Client::to);
    assert_eq!(got, b"hello");
}

#[test]
fn headers_over_unix_sockets() {
    let dir = folder();
    let (inside, outside) = (dir.path().join("in.sock"), dir.path().join("out.sock"));
    let backend = Backend::on_path(&outside, |peer: &mut Peer| {
        peer.read_to_end();
    });
    let server = |words: &str| format!("unix@{} {words}", outside.display());
    let (got, _) = sent_to(&backend, "127.0.0.1:@PORT@", &server("send-proxy"), Client::to);
    assert!(got.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 "), "{got:?}");
    // A unix client has no address: the header is for nobody.
    let bind = format!("unix@{}", inside.display());
    let (got, _) = sent_to(&backend, &bind, &server("send-proxy"), |_| Client::to_path(&inside));
    assert_eq!(got, b"PROXY UNKNOWN\r\nhello");
    std::fs::remove_file(&inside).unwrap();
    let (got, _) = sent_to(&backend, &bind, &server("send-proxy-v2"), |_| Client::to_path(&inside));
    assert_eq!(got, [LOCAL, b"hello"].concat());
}

#[test]
fn a_server_that_speaks_first_gets_its_header_at_once() {
    let backend = Backend::start(|peer| {
        if peer.read_exact(28).is_some() {
            peer.write("220 ready");
        }
        peer.read_to_end();
    });
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen mail\n mode tcp\n bind 127.0.0.1:{port}\n server s1 127.0.0.1:{} send-proxy-v2\n",
            backend.port
        )
    });
    assert_eq!(gateway.client().read_exact(9), b"220 ready");
}

#[test]
fn header_and_first_bytes_go_out_in_one_write() {
    let (sender, first) = std::sync::mpsc::channel();
    let backend = Backend::start(move |peer| {
        sender.send(peer.read_some().unwrap_or_default()).unwrap();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        peer.read_to_end();
    });
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{port}\n server s1 127.0.0.1:{} send-proxy\n",
            backend.port
        )
    });
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let first = String::from_utf8(first.recv().unwrap()).unwrap();
    assert!(first.starts_with("PROXY TCP4 ") && first.ends_with("\r\n\r\n"), "{first}");
}

/// The connection of one client never carries the request of another.
#[test]
fn http_clients_do_not_share_connections_that_bear_an_address() {
    let backend = Backend::start(|peer| {
        let header = peer.read_line().unwrap_or_default();
        while peer.read_request().is_some() {
            peer.write(ok(header.trim_end()));
        }
    });
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{port} accept-proxy\n server s1 127.0.0.1:{} \
             send-proxy\n",
            backend.port
        )
    });
    for nth in 1..=4 {
        let header = line(&format!("192.0.2.{nth}:1001"), "198.51.100.2:80");
        let mut client = gateway.client();
        client.send(&header);
        for _ in 0..2 {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(client.answer().text().as_bytes(), header.trim_ascii_end());
        }
    }
}

#[test]
fn checks_send_a_header_of_their_own() {
    let dir = folder();
    let path = dir.path().join("checked.sock");
    let on_path = Backend::on_path(&path, |peer: &mut Peer| {
        peer.read_to_end();
    });
    let (backend, other) = (Backend::silent(), Backend::silent());
    let here = |words: &str| format!("127.0.0.1:{} check inter 100ms {words}", backend.port);
    let there = |words: &str| format!("{} port {}", here(words), other.port);
    let first_check = |server: &str, backend: &Backend| {
        let before = backend.accepts();
        let gateway = Gateway::start(|port| {
            // A check that says nothing is reset before it could be accepted, unless it ends in order.
            format!(
                "{DEFAULTS}listen web\n mode tcp\n bind 127.0.0.1:{port}\n \
                 option tcp-check\n tcp-check connect default linger\n server s1 {server}\n"
            )
        });
        eventually("two checks", || backend.accepts() >= before + 2);
        backend.wait_end(before);
        drop(gateway);
        backend.received(before)
    };
    let got = first_check(&here("send-proxy"), &backend);
    let text = String::from_utf8_lossy(&got).into_owned();
    let server_port = format!(" {}\r\n", backend.port);
    assert!(text.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ") && text.ends_with(&server_port), "{text}");
    assert_eq!(first_check(&here("send-proxy-v2"), &backend), LOCAL);
    assert_eq!(first_check(&there("send-proxy-v2"), &other), b"");
    assert_eq!(first_check(&there("send-proxy-v2 check-send-proxy"), &other), LOCAL);
    assert!(first_check(&here("check-send-proxy"), &backend).starts_with(b"PROXY TCP4 "));
    let unix = |words: &str| format!("unix@{} check inter 100ms {words}", path.display());
    assert_eq!(first_check(&unix("send-proxy"), &on_path), b"PROXY UNKNOWN\r\n");
    assert_eq!(first_check(&unix("send-proxy-v2"), &on_path), LOCAL);
}

/// `front` sends to `back`, which logs who the client was; the client itself is there under `source`.
#[track_caller]
fn chained(front: Program, back: Program, words: &str, source: &str) {
    let (syslog, backend, inner) = (Syslog::udp(), Backend::echo(), free_port());
    let config = format!(
        "global\n log 127.0.0.1:{} local0\n{DEFAULTS} log global\n option tcplog\n\
         listen inner\n mode tcp\n bind 127.0.0.1:{inner} accept-proxy\n server s1 127.0.0.1:{}\n",
        syslog.port, backend.port
    );
    let _back = Starter::of(back).ready_port(inner).start(&config);
    let outer = free_port();
    let config = format!(
        "{DEFAULTS}listen outer\n mode tcp\n bind 127.0.0.1:{outer} accept-proxy\n server s1 127.0.0.1:{inner} {words}\n"
    );
    let front = Starter::of(front).ready_port(outer).start(&config);
    let to = if address(source).is_ipv4() { "198.51.100.2:80" } else { "[2001:db8::2]:80" };
    let mut client = front.client();
    client.send([&line(source, to)[..], b"hello"].concat());
    assert_eq!(client.read_exact(5), b"hello");
    client.finish();
    client.read_to_end();
    syslog.wait_for(&format!(": {} [", source.replace(['[', ']'], "")));
}

#[test]
fn two_gateways_in_a_row() {
    for words in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"] {
        for source in ["192.0.2.1:1001", "[2001:db8::1]:1002"] {
            chained(Program::Oneport, Program::Oneport, words, source);
        }
    }
}

#[test]
fn haproxy_understands_what_is_sent_and_is_understood() {
    for words in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"] {
        for source in ["192.0.2.1:1001", "[2001:db8::1]:1002"] {
            chained(Program::Oneport, Program::Haproxy, words, source);
            chained(Program::Haproxy, Program::Oneport, words, source);
        }
    }
}

#[test]
fn nginx_understands_what_is_sent() {
    let nginx = Nginx::start();
    for words in ["send-proxy", "send-proxy-v2"] {
        let gateway = Gateway::start(|port| {
            format!(
                "{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{port} accept-proxy\n server s1 127.0.0.1:{} \
                 {words} check inter 100ms\n",
                nginx.proxy_port
            )
        });
        let mut client = gateway.client();
        client.send(line("192.0.2.1:1001", "198.51.100.2:80"));
        for _ in 0..2 {
            client.send("GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(client.answer().text(), "192.0.2.1:1001 to 198.51.100.2:80", "{words}");
        }
    }
}

#[test]
fn options_that_cannot_be_honoured_are_refused_with_the_reason() {
    if only_oneport("the words are ours") {
        return;
    }
    let dir = folder();
    let file = dir.path().join("gateway.cfg");
    for (options, reason) in [
        ("ssl", "`ssl` tells of the client's TLS, which is not built"),
        ("crc32c,unique-id", "`unique-id` is not built"),
        ("crc", "unknown option `crc`, expected `crc32c`"),
    ] {
        let text = format!(
            "{DEFAULTS}listen web\n bind :80\n server s1 h:1 send-proxy-v2 proxy-v2-options {options}\n"
        );
        std::fs::write(&file, text).unwrap();
        let output = run(&["-c", "-f", file.to_str().unwrap()]);
        let written = crate::support::process::written(&output);
        assert!(!output.status.success() && written.contains(reason), "{written}");
    }
}
