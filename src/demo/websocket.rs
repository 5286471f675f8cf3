//! The WebSocket echo: says who it is, then returns every message.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tungstenite::error::CapacityError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Bytes, Error, HandshakeError, Message, WebSocket};

use super::listen::close_gently;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent client is pinged after this long, and given up when it stays silent as long again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const NOT_A_WEBSOCKET: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 47\r\n\r\noneport WebSocket backend: not an upgrade (400)";

/// Serves one connection to its end. `address` is named in the first message.
pub fn serve(stream: TcpStream, address: SocketAddr) {
    let Ok(kept) = stream.try_clone() else { return };
    if stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT)).is_err() {
        return;
    }
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    match tungstenite::accept_with_config(stream, Some(limits)) {
        Ok(mut socket) => {
            if let Err(error) = converse(&mut socket, address) {
                close_with_reason(&mut socket, &error);
            }
        }
        Err(HandshakeError::Failure(Error::Io(_))) | Err(HandshakeError::Interrupted(_)) => return,
        // The library itself answers nothing to a request that is no upgrade.
        Err(HandshakeError::Failure(_)) => drop((&kept).write_all(NOT_A_WEBSOCKET)),
    }
    close_gently(&kept);
}

/// Says who serves, then echoes until one side closes. Pings and closes are answered by the library.
fn converse(socket: &mut WebSocket<TcpStream>, address: SocketAddr) -> tungstenite::Result<()> {
    let pid = std::process::id();
    socket.get_ref().set_read_timeout(Some(IDLE_TIMEOUT))?;
    // Kept under 126 bytes: then its frame header is two bytes and shows well in a terminal.
    let hello = format!(r#"{{"backend":"websocket echo","address":"{address}","pid":{pid}}}"#);
    socket.send(Message::text(hello))?;

    let mut waits_for_pong = false;
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message)?,
            Ok(_) => {}
            Err(Error::Io(e)) if is_timeout(&e) && !waits_for_pong => {
                socket.send(Message::Ping(Bytes::new()))?;
                waits_for_pong = true;
                continue;
            }
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(()),
            Err(error) => return Err(error),
        }
        waits_for_pong = false;
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Tells the client why the conversation ends (RFC 6455 §7.4.1), as far as it still listens.
fn close_with_reason(socket: &mut WebSocket<TcpStream>, error: &Error) {
    let (code, reason) = match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => (CloseCode::Size, "at most 4 MiB a message"),
        Error::Utf8(_) => (CloseCode::Invalid, "text is not UTF-8"),
        Error::Io(e) if is_timeout(e) => (CloseCode::Away, "no answer to a ping"),
        Error::Protocol(_) => (CloseCode::Protocol, "protocol error"),
        _ => return,
    };
    let frame = CloseFrame { code, reason: reason.into() };
    let _ = socket.close(Some(frame)).and_then(|()| socket.flush());
}
