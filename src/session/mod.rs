//! One connection's life: sniff, choose a backend, connect, then tunnel or HTTP; at its end one log line.
//!
//! Each connection is one task, written as straight async code. What is large and short-lived (the handling
//! of one request) is boxed, so that an idle connection costs only its small frame and no buffer.

mod http;
mod relay;
mod sniff;
mod tcp;
mod trace;
mod tunnel;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::backend::Backend;
use crate::config::{self, BackendId, Mode};
use crate::net::{Accepted, Buffer, Stream};
use crate::observe::{Logger, Peer};
use crate::reactor::{Deadline, Handle};
use sniff::Sniffed;
use tunnel::TunnelTimeouts;

/// A frontend at work, with the backends of its configuration. A reload makes new ones; sessions keep theirs.
pub struct Frontend {
    /// What the configuration says of it.
    pub config: config::Frontend,
    /// All backends of the same configuration; [`BackendId`] is an index into them.
    pub backends: Rc<[Rc<Backend>]>,
    /// Where session lines go.
    pub logger: Logger,
    /// Numbers of the whole process.
    pub process: Rc<Process>,
    /// Client connections now.
    pub connections: Cell<u32>,
    /// The longest request head, bytes (`tune.bufsize` less `tune.maxrewrite`).
    pub head_bytes_max: usize,
    /// A stop or a reload has taken this configuration out of force: connections end after their request.
    pub leaving: Cell<bool>,
}

/// Numbers of the whole process.
#[derive(Default)]
pub struct Process {
    /// Client connections now, of all frontends and configurations.
    pub connections: Cell<u32>,
}

impl Frontend {
    /// The backend of this index; `None` cannot happen for an id of the same configuration.
    fn backend(&self, id: BackendId) -> Option<&Rc<Backend>> {
        self.backends.get(id.0)
    }
}

/// Counts a client connection for as long as it lives; made when it is accepted.
pub struct Admission {
    frontend: Rc<Frontend>,
    /// Told when the connection has ended, so that accepting can go on.
    on_end: Rc<dyn Fn()>,
}

impl Admission {
    /// Counts one.
    pub fn new(frontend: Rc<Frontend>, on_end: Rc<dyn Fn()>) -> Self {
        frontend.connections.set(frontend.connections.get().saturating_add(1));
        let process = &frontend.process;
        process.connections.set(process.connections.get().saturating_add(1));
        Self { frontend, on_end }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Self { frontend, on_end } = self;
        frontend.connections.set(frontend.connections.get().saturating_sub(1));
        let process = &frontend.process;
        process.connections.set(process.connections.get().saturating_sub(1));
        on_end();
    }
}

/// What a session knows from its beginning to its end.
struct Session {
    frontend: Rc<Frontend>,
    client: Stream,
    peer: Option<SocketAddr>,
    /// Loop clock at the accept.
    accepted_ms: u64,
    /// Unix time at the accept, milliseconds.
    accepted_wall_ms: u64,
    /// Loop clock and unix time of the first byte, once there was one.
    first_byte: Cell<Option<(u64, u64)>>,
    /// The one timer of the session.
    deadline: Deadline,
}

/// Serves a connection from its accept to its end.
pub async fn serve(admission: Admission, accepted: Accepted) {
    let session = Session::new(admission.frontend.clone(), accepted);
    let frontend = &session.frontend;
    if frontend.config.mode == Mode::Http && frontend.config.content_rules.is_empty() {
        return Box::pin(http::serve(&session, None, None)).await;
    }
    let mut buffer = None;
    let sniffed = sniff::sniff(&session, &mut buffer).await;
    match sniffed {
        Sniffed::Chosen(_) if frontend.config.mode == Mode::Http => {
            Box::pin(http::serve(&session, None, buffer)).await;
        }
        Sniffed::Chosen(Some(id)) => {
            let Some(backend) = frontend.backend(id).cloned() else { return };
            match backend.config.mode {
                Mode::Http => Box::pin(http::serve(&session, Some(backend), buffer)).await,
                Mode::Tcp => Box::pin(tcp::carry(&session, backend, buffer)).await,
            }
        }
        Sniffed::Chosen(None) => session.log_refused(*b"SC--"),
        Sniffed::Rejected => session.log_refused(*b"PR--"),
        Sniffed::Ended { sent_something, who } => {
            if sent_something || !frontend.config.dont_log_null {
                session.log_refused([who, b'R', b'-', b'-']);
            }
        }
    }
}

impl Session {
    fn new(frontend: Rc<Frontend>, accepted: Accepted) -> Self {
        let Accepted { stream, peer } = accepted;
        let reactor = stream.reactor();
        Self {
            frontend,
            peer,
            accepted_ms: reactor.now_ms(),
            accepted_wall_ms: reactor.wall_ms(),
            first_byte: Cell::new(None),
            deadline: Deadline::new(reactor),
            client: stream,
        }
    }

    fn reactor(&self) -> Handle {
        self.client.reactor()
    }

    /// Notes that the client has begun to send.
    fn note_first_byte(&self) {
        if self.first_byte.get().is_none() {
            let reactor = self.reactor();
            self.first_byte.set(Some((reactor.now_ms(), reactor.wall_ms())));
        }
    }

    fn peer(&self) -> Peer {
        self.peer.map_or(Peer::Unix(1), Peer::Inet)
    }

    /// Our address, asked of the kernel only where a server takes its port from it.
    fn local_for(&self, backend: &Backend) -> Option<SocketAddr> {
        if backend.needs_local_port() { self.client.local_address() } else { None }
    }

    /// Timeouts of a tunnel through this backend (configuration §4.2, "timeout tunnel").
    fn tunnel_timeouts(&self, backend: &Backend) -> TunnelTimeouts {
        let client = &self.frontend.config.timeouts;
        let server = &backend.config.timeouts;
        let tunnel_ms = server.tunnel_ms.or(client.tunnel_ms);
        let client_ms = tunnel_ms.unwrap_or(client.client_ms);
        let server_ms = tunnel_ms.unwrap_or(server.server_ms);
        TunnelTimeouts {
            client_ms,
            server_ms,
            client_fin_ms: client.client_fin_ms.unwrap_or(client_ms),
            server_fin_ms: server.server_fin_ms.unwrap_or(server_ms),
        }
    }

    /// Lets the client read our last answer although it may still be sending: closing with unread input
    /// makes the kernel reset the connection, and the reset can overtake the answer (RFC 9112 §9.6).
    /// Bounded in time and bytes.
    async fn close_gently(&self) {
        const LINGER_MS: u64 = 1_000;
        const LINGER_READS: u32 = 64;
        self.client.shutdown_write();
        self.deadline.set_after(LINGER_MS);
        let drain = async {
            for _ in 0..LINGER_READS {
                let mut ignored: Option<Buffer> = None;
                if !matches!(self.client.fill(&mut ignored).await, Ok(len) if len > 0) {
                    return;
                }
            }
        };
        let _ = self.deadline.guard(drain).await;
    }
}
