//! A real WebSocket library on both sides of the gateway.

use crate::rig::SinglePort;
use crate::support::pattern::payload;
use crate::support::websocket::{connect, end_of, expect_echo};
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tungstenite::{Error, Message};

#[test]
fn text_and_binary_messages() {
    let rig = SinglePort::start(8);
    let mut socket = connect(rig.gateway.port, "/echo");
    expect_echo(&mut socket, Message::text(""));
    expect_echo(&mut socket, Message::text("Grüße, 世界"));
    expect_echo(&mut socket, Message::binary(vec![0, 1, 2, 0xff]));
    for len in [125, 126, 65_535, 65_536] {
        expect_echo(&mut socket, Message::binary(payload(len, len as usize)));
    }
}

#[test]
fn messages_of_a_mebibyte() {
    let rig = SinglePort::start(8);
    let mut socket = connect(rig.gateway.port, "/echo");
    for seed in 0..4 {
        expect_echo(&mut socket, Message::binary(payload(seed, 1024 * 1024)));
    }
    expect_echo(&mut socket, Message::text("x".repeat(1024 * 1024)));
}

#[test]
fn pings_are_answered_by_the_server() {
    let rig = SinglePort::start(8);
    let mut socket = connect(rig.gateway.port, "/echo");
    socket.send(Message::Ping(b"are you there"[..].into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"are you there"[..].into()));
    expect_echo(&mut socket, "still here".into());
}

#[test]
fn the_clients_close_code_comes_back() {
    let rig = SinglePort::start(8);
    for code in [1000, 1001, 3000, 4321] {
        let mut socket = connect(rig.gateway.port, "/echo");
        let frame = CloseFrame { code: CloseCode::from(code), reason: "enough".into() };
        socket.close(Some(frame.clone())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
        assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    }
}

#[test]
fn the_servers_close_code_arrives() {
    let rig = SinglePort::start(8);
    for code in [1000, 1011, 4001] {
        let mut socket = connect(rig.gateway.port, &format!("/close/{code}"));
        let frame = CloseFrame { code: CloseCode::from(code), reason: "as asked".into() };
        assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
        assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    }
}

#[test]
fn a_frame_that_breaks_the_protocol_ends_that_connection_only() {
    let rig = SinglePort::start(8);
    let mut other = connect(rig.gateway.port, "/echo");
    let mut broken = connect(rig.gateway.port, "/echo");
    // All reserved bits and a reserved opcode.
    std::io::Write::write_all(broken.get_mut(), &[0xff, 0x80, 0, 0, 0, 0]).unwrap();
    assert_ne!(end_of(broken), crate::support::socket::End::Open);
    expect_echo(&mut other, "untouched".into());
}

/// The upgrade as `mode http` carries it: a 101 makes a tunnel of the connection.
#[test]
fn an_upgrade_through_mode_http() {
    let ws = crate::support::websocket::WsEcho::start();
    let gateway = crate::support::process::Gateway::start(|port| crate::rig::http_config(port, ws.port, ""));
    let mut socket = connect(gateway.port, "/echo");
    expect_echo(&mut socket, "through mode http".into());
    expect_echo(&mut socket, Message::binary(payload(1, 1024 * 1024)));
    socket.close(None).unwrap();
    assert!(matches!(socket.read(), Ok(Message::Close(_))));
}
