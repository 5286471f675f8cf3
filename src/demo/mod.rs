//! The demo (`--demo`): three small backends of its own, for the gateway to stand in front of.
//!
//! | backend | speaks | file |
//! |---|---|---|
//! | web | HTTP/1.1: the page and a few routes that show what the gateway did | `web.rs`, `routes.rs` |
//! | ws | WebSocket: echoes text and binary messages | `websocket.rs` |
//! | socket | raw bytes: expects 8 zero bytes, then echoes | `raw.rs` |
//!
//! Plain threads and blocking sockets with timeouts, bounded in number: this is host code that board
//! builds leave out (cargo feature `demo`), and it shares nothing with the gateway but the wire.

mod banner;
mod listen;
mod raw;
mod routes;
mod text;
mod trip;
mod web;
mod websocket;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

pub use banner::banner;

/// Where the three backends listen, all on loopback. They serve until the process ends.
pub struct Backends {
    /// The web server with the demo page.
    pub web: SocketAddr,
    /// The WebSocket echo.
    pub ws: SocketAddr,
    /// The raw socket echo that expects the 8 zero bytes.
    pub socket: SocketAddr,
    gateway: Gateway,
}

impl Backends {
    /// Tells the web backend where the gateway listens, in the words of `--listen` (`*:8080`).
    ///
    /// A browser cannot speak raw TCP, so the page asks the web backend to make the raw round trip through
    /// the gateway's own port; without this address `/api/socket` answers 503. May be called again.
    pub fn set_gateway(&self, listen: &str) {
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = banner::public_address(listen);
    }
}

/// The gateway's public host and port as a client on this machine reaches it; `None` until told.
type Gateway = Arc<Mutex<Option<(String, u16)>>>;

/// Binds the three backends to free loopback ports, then serves them on threads.
///
/// All three are bound before this returns, so the gateway may connect at once. Threads do not survive
/// `fork` and must not exist before privileges are dropped: call it after both.
///
/// # Errors
/// When a loopback port cannot be bound or a thread cannot be started.
pub fn start() -> io::Result<Backends> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (web, ws, socket) = (bind()?, bind()?, bind()?);
    let gateway = Gateway::default();
    let backends = Backends {
        web: web.local_addr()?,
        ws: ws.local_addr()?,
        socket: socket.local_addr()?,
        gateway: gateway.clone(),
    };

    let site = Arc::new(routes::Site::new(backends.web, gateway));
    listen::serve("demo-web", web, web::BUSY, move |stream| web::serve(stream, &site))?;
    let address = backends.ws;
    listen::serve("demo-ws", ws, web::BUSY, move |stream| websocket::serve(stream, address))?;
    let address = backends.socket;
    listen::serve("demo-socket", socket, raw::BUSY, move |stream| raw::serve(stream, address))?;
    Ok(backends)
}

#[cfg(test)]
mod tests;
