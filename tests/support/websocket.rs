//! A real WebSocket library (tungstenite) on both sides.

use super::SOON;
use super::peers::Backend;
use super::socket::{End, Socket};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

/// An echo server: text and binary come back as they are, pings are answered, a close is answered with its
/// own code. It answers `/close/CODE` with that close code at once.
pub struct WsEcho {
    /// Its port on 127.0.0.1.
    pub port: u16,
    stopping: Arc<AtomicBool>,
}

impl WsEcho {
    /// Starts one on a port of its own.
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Starts one on this socket.
    pub fn on(listener: TcpListener) -> Self {
        rustix::net::listen(&listener, 4_096).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stopping = Arc::new(AtomicBool::new(false));
        let for_thread = stopping.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if for_thread.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::Builder::new().stack_size(512 * 1024).spawn(move || serve(stream)).unwrap();
            }
        });
        Self { port, stopping }
    }
}

impl Drop for WsEcho {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

// The signature of the callback is tungstenite's.
#[allow(clippy::result_large_err)]
fn serve(stream: TcpStream) {
    use tungstenite::handshake::server::{Request, Response};
    use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
    stream.set_nodelay(true).unwrap();
    let mut path = String::new();
    let note = |request: &Request, mut response: Response| {
        path = request.uri().path().to_string();
        response.headers_mut().insert("X-Backend", "websocket".parse().unwrap());
        Ok(response)
    };
    // A health check connects and goes away: then there is no handshake.
    let Ok(mut socket) = tungstenite::accept_hdr_with_config(stream, note, Some(config())) else { return };
    if let Some(code) = path.strip_prefix("/close/").and_then(|code| code.parse::<u16>().ok()) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "as asked".into() };
        let _ = socket.close(Some(frame));
    }
    // Ends with the connection, or when the closing handshake is done.
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

fn config() -> WebSocketConfig {
    // Small buffers: the load tests hold many connections at once.
    WebSocketConfig::default().read_buffer_size(4_096)
}

/// A client that has done its handshake through a gateway.
pub fn connect(port: u16, path: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway accepts the connection");
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let url = format!("ws://127.0.0.1:{port}{path}");
    let (socket, response) =
        tungstenite::client::client_with_config(url, stream, Some(config())).expect("a WebSocket handshake");
    assert_eq!(response.headers().get("X-Backend").map(|value| value.as_bytes()), Some(&b"websocket"[..]));
    socket
}

/// Sends a message and expects it back.
#[track_caller]
pub fn expect_echo(socket: &mut WebSocket<TcpStream>, message: Message) {
    socket.send(message.clone()).expect("a message can be sent");
    let back = socket.read().expect("the message comes back");
    assert!(back == message, "another message of {} bytes came back", back.len());
}

/// The bytes of an opening handshake, for clients that send them in pieces.
pub const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: device\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A backend that answers the handshake by hand, then echoes bytes: for tests that look at single bytes.
pub fn raw_backend() -> Backend {
    Backend::start(|peer| {
        if peer.read_head().is_some() {
            peer.write(
                "HTTP/1.1 101 Switching Protocols\r\nX-Backend: websocket\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            );
            super::peers::echo(peer);
        }
    })
}

/// What the other side of a finished handshake does when the socket is cut.
pub fn end_of(socket: WebSocket<TcpStream>) -> End {
    let mut raw = Socket::tcp(socket.get_ref().try_clone().unwrap());
    raw.set_read_timeout(SOON);
    let mut buffer = [0; 1_024];
    loop {
        if let Err(end) = raw.read(&mut buffer) {
            return end;
        }
    }
}
