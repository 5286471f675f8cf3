//! What a session line tells.

use std::net::SocketAddr;

use crate::config::Mode;

/// Server name of a session that never got as far as a server (configuration §8.2.2).
pub const NO_SERVER: &str = crate::config::NO_SERVER;

/// Request of a session whose request was never understood (configuration §8.2.3).
pub const BAD_REQUEST: &[u8] = b"<BADREQ>";

/// Everything a session line needs, borrowed from the session for the moment of writing.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The client.
    pub client: Peer,
    /// The address it came to; only the default line tells it.
    pub local: Peer,
    /// Unix time, milliseconds: the accept for `tcplog`; for `httplog` the first byte of the request.
    pub accepted_ms: i64,
    /// The frontend's name.
    pub frontend: &'a str,
    /// The frontend's mode; only the default line tells it.
    pub mode: Mode,
    /// The backend's name; the frontend's own while none was chosen.
    pub backend: &'a str,
    /// The server's name; [`NO_SERVER`] while none was chosen.
    pub server: &'a str,
    /// How long each step took.
    pub timers: Timers,
    /// Bytes sent to the client, heads included.
    pub bytes_to_client: u64,
    /// Status sent to the client; -1 when none was.
    pub status: i16,
    /// Termination state (configuration §8.5): who ended it, in which phase, and two characters about
    /// cookies. `tcplog` writes the first two.
    pub termination: [u8; 4],
    /// Connections of the process, this one included.
    pub actconn: u32,
    /// Connections of the frontend, this one included.
    pub feconn: u32,
    /// Connections of the backend.
    pub beconn: u32,
    /// Connections of the server.
    pub srvconn: u32,
    /// Failed attempts to connect before the last one.
    pub retries: u32,
    /// The session was sent to another server after its retries; written as a `+` before them.
    pub redispatched: bool,
    /// Requests served before this one in the server's queue.
    pub srv_queue: u32,
    /// Requests served before this one in the backend's queue.
    pub backend_queue: u32,
    /// The request line as it came, without its line end; [`BAD_REQUEST`] when there was none.
    pub request: &'a [u8],
    /// Cookies that were captured, of the request and of the answer.
    pub cookies: [Option<&'a [u8]>; 2],
    /// Headers that were captured, of the request and of the answer; empty = none are to be.
    pub headers: [&'a [Option<Box<[u8]>>]; 2],
    /// The session goes on: times and bytes are those so far.
    pub unfinished: bool,
}

impl Default for Record<'_> {
    /// A session in which nothing has happened yet.
    fn default() -> Self {
        Self {
            client: Peer::Unix(1),
            local: Peer::Unix(1),
            accepted_ms: 0,
            frontend: "",
            mode: Mode::Tcp,
            backend: "",
            server: NO_SERVER,
            timers: Timers::default(),
            bytes_to_client: 0,
            status: -1,
            termination: *b"----",
            actconn: 0,
            feconn: 0,
            beconn: 0,
            srvconn: 0,
            retries: 0,
            redispatched: false,
            srv_queue: 0,
            backend_queue: 0,
            request: BAD_REQUEST,
            cookies: [None; 2],
            headers: [&[]; 2],
            unfinished: false,
        }
    }
}

/// A connection that ended before there was a session to tell of.
pub struct Refused<'a> {
    /// The client.
    pub client: Peer,
    /// Unix time of the accept, milliseconds.
    pub accepted_ms: i64,
    /// The frontend's name.
    pub frontend: &'a str,
    /// The name of the address it came to, where it has one.
    pub listener: Option<&'a str>,
    /// The number of that address in the frontend, from 1.
    pub listener_number: u32,
    /// Why.
    pub reason: &'static str,
}

/// One end of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// IPv4 or IPv6. IPv4-mapped IPv6 is written as IPv4 (HAProxy writes `::ffff:192.0.2.1`).
    Inet(SocketAddr),
    /// A unix socket, with the number of the listener within its frontend, from 1: `unix:1`.
    Unix(u32),
}

/// Durations in milliseconds; -1 = the session never came that far (configuration §8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// TR: from the first byte of the request to its whole head (`httplog` only).
    pub request: i32,
    /// Tw: in queues.
    pub wait: i32,
    /// Tc: until the connection to the server stood, retries included.
    pub connect: i32,
    /// Tr: from there to the head of the answer (`httplog` only).
    pub response: i32,
    /// Tt for `tcplog` (since the accept), Ta for `httplog` (since the first byte of the request).
    pub total: i32,
}

impl Default for Timers {
    fn default() -> Self {
        Self { request: -1, wait: -1, connect: -1, response: -1, total: 0 }
    }
}
