//! Set-ups that several tests use: configuration texts and the peers behind them.

use crate::support::peers::{Backend, Request, ok};
use crate::support::process::{Gateway, Starter};
use crate::support::web::Nginx;
use crate::support::websocket::WsEcho;
use std::sync::{Arc, Mutex};

/// The single-port configuration of `tests/configs`, with `zeros` bytes of preamble.
pub fn single_port_config(listen: u16, web: u16, ws: u16, socket: u16, zeros: usize) -> String {
    include_str!("../configs/single-port.cfg")
        .replace("@LISTEN@", &listen.to_string())
        .replace("@WEB@", &web.to_string())
        .replace("@WS@", &ws.to_string())
        .replace("@SOCKET@", &socket.to_string())
        .replace("@ZEROS@", &zeros.to_string())
        .replace("@ZEROHEX@", &"00".repeat(zeros))
}

/// A single-port gateway with the real peers: nginx, a WebSocket library, a raw echo.
pub struct SinglePort {
    /// The gateway.
    pub gateway: Gateway,
    /// The web server.
    pub web: Nginx,
    /// The WebSocket server.
    pub _ws: WsEcho,
    /// The raw socket process.
    pub socket: Backend,
}

impl SinglePort {
    /// Everything started, with a preamble of this many zero bytes.
    #[track_caller]
    pub fn start(zeros: usize) -> Self {
        let (web, ws, socket) = (Nginx::start(), WsEcho::start(), Backend::echo());
        let gateway = Gateway::start(|port| single_port_config(port, web.port, ws.port, socket.port, zeros));
        Self { gateway, web, _ws: ws, socket }
    }

    /// The same, run by the built-in preset.
    #[track_caller]
    pub fn start_preset() -> Self {
        let (web, ws, socket) = (Nginx::start(), WsEcho::start(), Backend::echo());
        let port = crate::support::ports::free_port();
        let gateway = Starter::new()
            .argument("--listen")
            .argument(format!("127.0.0.1:{port}"))
            .argument("--web")
            .argument(format!("127.0.0.1:{}", web.port))
            .argument("--ws")
            .argument(format!("127.0.0.1:{}", ws.port))
            .argument("--socket")
            .argument(format!("127.0.0.1:{}", socket.port))
            .ready_port(port)
            .start_without_file();
        Self { gateway, web, _ws: ws, socket }
    }
}

/// Timeouts long enough never to matter, for configurations that test something else.
pub const DEFAULTS: &str =
    "defaults\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n";

/// A gateway in `mode http` from one port to one backend; `extra` goes into the `listen` section.
#[track_caller]
pub fn http_gateway(backend: &Backend, extra: &str) -> Gateway {
    Gateway::start(|port| http_config(port, backend.port, extra))
}

/// The text of [`http_gateway`].
pub fn http_config(port: u16, backend: u16, extra: &str) -> String {
    format!(
        "{DEFAULTS}listen web\n    mode http\n    bind 127.0.0.1:{port}\n    server s1 127.0.0.1:{backend}\n{}",
        indented(extra)
    )
}

/// A gateway in `mode tcp` from one port to one backend.
#[track_caller]
pub fn tcp_gateway(backend: &Backend, extra: &str) -> Gateway {
    Gateway::start(|port| tcp_config(port, &format!("127.0.0.1:{}", backend.port), extra))
}

/// The text of [`tcp_gateway`], for any server address.
pub fn tcp_config(port: u16, server: &str, extra: &str) -> String {
    format!(
        "{DEFAULTS}listen raw\n    mode tcp\n    bind 127.0.0.1:{port}\n    server s1 {server}\n{}",
        indented(extra)
    )
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("    {}\n", line.trim())).collect()
}

/// A kept-alive backend that remembers its requests.
pub fn remembering() -> (Backend, Arc<Mutex<Vec<Request>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let for_backend = requests.clone();
    let backend = Backend::answering(move |request| {
        for_backend.lock().unwrap().push(request.clone());
        ok("x")
    });
    (backend, requests)
}
