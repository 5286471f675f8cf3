//! Three protocols on one port.

use crate::board::ROOT;
use crate::inside::Context;
use crate::rig::single_port_config;
use crate::support::client::Client;
use crate::support::ms;
use crate::support::pattern::payload;
use crate::support::peers::{Backend, Peer};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Starter};
use crate::support::socket::End;
use crate::support::websocket::{WsEcho, connect, expect_echo};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tungstenite::Message;

/// Eight zero bytes, then what a raw client says.
const RAW: &[u8] = b"\0\0\0\0\0\0\0\0from a raw client";

/// Only one gateway at a time has the ports of the shipped files.
static FIXED_PORTS: Mutex<()> = Mutex::new(());

/// The three servers behind the port.
struct Peers {
    web: Backend,
    ws: WsEcho,
    raw: Backend,
}

impl Peers {
    fn start() -> Self {
        Self { web: Backend::start(web), ws: WsEcho::start(), raw: Backend::echo() }
    }
}

/// Answers a request with its own method, target and body, chunked for `/chunked`.
fn web(peer: &mut Peer) {
    while let Some(request) = peer.read_request() {
        let mut body = format!("{} {} ", request.method, request.target).into_bytes();
        body.extend(&request.body);
        let answer = if request.target == "/chunked" {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in body.chunks(1_000) {
                answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
                answer.extend(chunk);
                answer.extend(b"\r\n");
            }
            answer.extend(b"0\r\nX-Trailer: kept\r\n\r\n");
            answer
        } else {
            let mut answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            answer.extend(body);
            answer
        };
        if !peer.write(answer) {
            return;
        }
    }
}

fn single_port(peers: &Peers) -> Gateway {
    Gateway::start(|port| single_port_config(port, peers.web.port, peers.ws.port, peers.raw.port, 8))
}

/// Several requests on one connection: GET, POST with a length, POST in chunks, a chunked answer.
pub fn http(_: &Context) {
    let peers = Peers::start();
    let gateway = single_port(&peers);
    let mut client = gateway.client();
    for n in 0..3 {
        client.send(format!("GET /page-{n} HTTP/1.1\r\nHost: device\r\n\r\n"));
        assert_eq!(client.answer().text(), format!("GET /page-{n} "));
    }
    client.send("POST /form HTTP/1.1\r\nHost: device\r\nContent-Length: 9\r\n\r\nname=mips");
    assert_eq!(client.answer().text(), "POST /form name=mips");

    let body = payload(4, 20_000);
    let mut request =
        b"POST /chunked HTTP/1.1\r\nHost: device\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(777) {
        request.extend(format!("{:X};of=777\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    client.send_pieces(request.chunks(3_001), ms(2));
    let answer = client.answer();
    assert!(answer.body == [b"POST /chunked ", &body[..]].concat(), "{} bytes", answer.body.len());
    assert_eq!(answer.trailers, [("x-trailer".to_string(), "kept".to_string())]);

    client.send("GET /last HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().text(), "GET /last ");
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
    let head = String::from_utf8_lossy(&peers.web.received_all()).into_owned();
    assert!(head.to_lowercase().contains("x-forwarded-for: 127.0.0.1"), "{head}");
}

/// Frames with 7, 16 and 64 bits of length, text and binary, and an orderly close.
pub fn websocket(_: &Context) {
    let peers = Peers::start();
    let gateway = single_port(&peers);
    let mut socket = connect(gateway.port, "/echo");
    for len in [0, 1, 125, 126, 1_000, 65_535, 65_536, 300_000] {
        expect_echo(&mut socket, Message::binary(payload(len as u64, len)));
    }
    expect_echo(&mut socket, Message::text("grüße vom gerät"));
    socket.close(None).unwrap();
    // Until the other side's close frame, which ends the conversation.
    while socket.read().is_ok() {}
}

/// However the eight bytes come, they reach the raw server, and nothing is lost.
pub fn raw_pieces(_: &Context) {
    let peers = Peers::start();
    let gateway = single_port(&peers);
    for size in [1, 3, 7, 8, RAW.len()] {
        let mut client = gateway.client();
        client.send_pieces(RAW.chunks(size), ms(10));
        assert_eq!(client.read_exact(RAW.len()), RAW, "in pieces of {size}");
    }
    assert_eq!(peers.web.received_all(), b"", "none of it reached the web server");
}

/// The client's end is passed on and the answer still comes; then the same the other way round.
pub fn half_close(_: &Context) {
    let backend = Backend::start(|peer| {
        assert_eq!(peer.read_to_end(), End::Closed);
        peer.pause(ms(200));
        peer.write("got it all");
    });
    let gateway = crate::rig::tcp_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("question");
    client.finish();
    assert_eq!(client.read_to_end(), (b"got it all".to_vec(), End::Closed));
    assert_eq!(backend.received(0), b"question");

    let backend = Backend::start(|peer| {
        peer.write("no more from me");
        peer.finish();
        peer.read_to_end();
    });
    let gateway = crate::rig::tcp_gateway(&backend, "");
    let mut client = gateway.client();
    assert_eq!(client.read_to_end(), (b"no more from me".to_vec(), End::Closed));
    client.send("but this from me");
    client.finish();
    backend.wait_received(0, b"but this from me");
    assert_eq!(backend.wait_end(0), End::Closed);
}

/// The built-in preset, told its four addresses.
pub fn preset(_: &Context) {
    let (peers, port) = (Peers::start(), free_port());
    let mut starter = Starter::new().ready_port(port);
    for (flag, port) in [("--listen", port), ("--web", peers.web.port), ("--ws", peers.ws.port)] {
        starter = starter.argument(flag).argument(format!("127.0.0.1:{port}"));
    }
    let gateway =
        starter.argument("--socket").argument(format!("127.0.0.1:{}", peers.raw.port)).start_without_file();
    expect_three_protocols(gateway.port);
}

/// `docs/examples/single-port.cfg`, unchanged: this is a network namespace of our own.
pub fn example_file(_: &Context) {
    run_on_port_80(PathBuf::from(ROOT).join("docs/examples/single-port.cfg"));
}

/// The field's single-port file, where it stands beside the project (as `tests/gateway/reference.rs` has it).
pub fn reference_file(_: &Context) {
    let beside = PathBuf::from(ROOT).join("../shared/reference");
    let file = std::env::var_os("ONEPORT_REFERENCE").map_or(beside, PathBuf::from).join("single-port.cfg");
    if file.is_file() {
        run_on_port_80(file);
    } else {
        println!("  no {}: only our own configurations are run", file.display());
    }
}

fn run_on_port_80(file: PathBuf) {
    let _peers = FixedPeers::start();
    let text = std::fs::read_to_string(file).unwrap();
    let _gateway = Starter::new().ready_port(80).start(&text);
    expect_three_protocols(80);
}

/// The three servers where the shipped files expect them; whoever has them has port 80 too.
pub struct FixedPeers {
    _peers: Peers,
    _alone: MutexGuard<'static, ()>,
}

impl FixedPeers {
    /// Waits until nobody else has them, and starts them.
    pub fn start() -> Self {
        let alone = FIXED_PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let peers = Peers {
            web: Backend::on_port(8100, web),
            ws: WsEcho::on(TcpListener::bind("127.0.0.1:2200").unwrap()),
            raw: Backend::on_port(2100, crate::support::peers::echo),
        };
        Self { _peers: peers, _alone: alone }
    }
}

/// Asks for `/a`, echoes frames, echoes raw bytes.
#[track_caller]
pub fn expect_three_protocols(port: u16) {
    let mut client = Client::to(port);
    client.send("GET /a HTTP/1.1\r\nHost: device\r\n\r\n");
    assert_eq!(client.answer().text(), "GET /a ");
    expect_echo(&mut connect(port, "/echo"), Message::binary(payload(9, 5_000)));
    let mut client = Client::to(port);
    client.send_bytewise(RAW, ms(5));
    assert_eq!(client.read_exact(RAW.len()), RAW);
}
