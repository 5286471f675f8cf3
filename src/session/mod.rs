//! One connection's life: sniff, choose a backend, connect, then tunnel or HTTP; at its end one log line.
//!
//! Each connection is one task, written as straight async code. What is large and short-lived (connecting, the
//! handling of one request) is boxed, and so is a tunnel: an idle kept-alive connection costs only its small
//! frame and no buffer. A test below holds the frame's size.

mod alias;
mod capture;
mod choice;
mod extra;
mod hash;
mod http;
mod monitor;
mod proxy_header;
mod relay;
mod reserve;
mod sniff;
mod stick;
mod tally;
mod tcp;
mod tcp_rules;
mod trace;
mod tunnel;
mod world;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};

use crate::backend::{Backend, ClientEnds, Table};
use crate::config::{self, BackendId, Bind, Mode};
use crate::counters::Front;
use crate::http::parse_request;
use crate::net::{Accepted, Buffer, Rate, Stream};
use crate::observe::{Logger, Peer};
use crate::reactor::{Deadline, Handle};
use crate::rules::fill;
use extra::Extra;
pub use proxy_header::HeaderRefusals;
use sniff::Sniffed;
use trace::Trace;
use tunnel::TunnelTimeouts;

/// Buffers that a session holds at most. An HTTP one, with a client that reads nothing and sends on: the beginning of
/// its next request (or of this one's body), the request until it is sent (then its copy, until the answer begins), what
/// the server has sent, and the head of an answer on its way to the client.
pub const HTTP_BUFFERS_MAX: u32 = 4;
/// The same for a session of `mode tcp`: one for each direction.
pub const TCP_BUFFERS_MAX: u32 = 2;

/// A frontend at work, with the backends of its configuration. A reload makes new ones; sessions keep theirs.
pub struct Frontend {
    /// What the configuration says of it.
    pub config: config::Frontend,
    /// All backends of the same configuration; [`BackendId`] is an index into them.
    pub backends: Rc<[Rc<Backend>]>,
    /// What expressions of the same configuration name.
    pub shared: Rc<Shared>,
    /// Where session lines go.
    pub logger: Logger,
    /// Numbers of the whole process.
    pub process: Rc<Process>,
    /// Client connections now.
    pub connections: Cell<u32>,
    /// What happened here.
    pub counters: Front,
    /// `rate-limit sessions`.
    pub rate: Rate,
    /// The longest request head, bytes (`tune.bufsize` less `tune.maxrewrite`).
    pub head_bytes_max: usize,
    /// A stop or a reload has taken this configuration out of force: connections end after their request.
    pub leaving: Cell<bool>,
    /// PROXY protocol headers that were no headers.
    pub header_refusals: HeaderRefusals,
    /// Its sessions, where `hard-stop-after` may have to cut them; `None` costs nothing.
    pub tasks: Option<Tasks>,
}

/// Sessions that can be cut.
#[derive(Default)]
pub struct Tasks(RefCell<Vec<smol::Task<()>>>);

impl Tasks {
    /// So many are kept without a look at which have ended.
    const UNSEEN: usize = 64;

    /// Keeps a session. Those that have ended go once they are as many as the `running` ones.
    pub fn add(&self, task: smol::Task<()>, running: u32) {
        let mut tasks = self.0.borrow_mut();
        if tasks.len() >= Self::UNSEEN && tasks.len() / 2 >= running as usize {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task);
    }

    /// Ends them all.
    pub fn cut(&self) {
        // Not under the borrow: the end of a session tells those who wait for room.
        drop(self.0.take());
    }
}

/// What the expressions of one configuration share.
pub struct Shared {
    /// What they name; a `RefId` is an index into it.
    references: Vec<config::Target>,
    /// Backends in the order of their names, where rules work names out.
    by_name: Vec<BackendId>,
    /// By variable: how long it lives.
    scopes: Vec<Scope>,
    /// The variables of the whole process (`proc.…`).
    variables: RefCell<extra::Variables>,
    /// The user lists.
    userlists: Vec<config::UserList>,
    /// Whether rules read the request's line (`capture.req.uri` and the like).
    keeps_line: bool,
    /// The stick tables of the process that the configuration has.
    pub tables: RefCell<Vec<Rc<Table>>>,
    /// Every frontend of the configuration, for `fe_conn(name)`.
    pub frontends: RefCell<Vec<Weak<Frontend>>>,
}

impl Shared {
    /// Of a configuration whose frontends are still to be made.
    pub fn new(
        references: Vec<config::Target>,
        by_name: Vec<BackendId>,
        variables: &[Rc<str>],
        userlists: Vec<config::UserList>,
    ) -> Self {
        let mut scopes = Vec::with_capacity(variables.len());
        for name in variables {
            scopes.push(match name.split_once('.') {
                Some(("proc", _)) => Scope::Process,
                Some(("sess", _)) => Scope::Session,
                _ => Scope::Request,
            });
        }
        Self {
            references,
            by_name,
            scopes,
            variables: RefCell::default(),
            keeps_line: variables.iter().any(|name| **name == *config::REQUEST_LINE),
            userlists,
            tables: RefCell::default(),
            frontends: RefCell::default(),
        }
    }
}

/// How long a variable lives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// As long as the configuration is in force.
    Process,
    /// As long as the connection.
    Session,
    /// As long as the request.
    Request,
}

/// What all sessions of the process share.
pub struct Process {
    /// Client connections now, of all frontends and configurations.
    pub connections: Cell<u32>,
    /// Sessions and requests so far.
    numbers: Cell<u32>,
    /// State of `rand()`: not for secrets.
    random: Cell<u32>,
    /// Told when a connection has ended, so that accepting can go on.
    on_end: Box<dyn Fn()>,
}

impl Process {
    /// One without connections.
    pub fn new(on_end: impl Fn() + 'static) -> Self {
        Self {
            connections: Cell::new(0),
            numbers: Cell::new(0),
            random: Cell::new(0),
            on_end: Box::new(on_end),
        }
    }

    /// The number of a session or request, from 0.
    fn next_number(&self) -> u32 {
        self.numbers.replace(self.numbers.get().wrapping_add(1))
    }

    /// The next of a row of pseudo-random numbers (xorshift32), begun by the clock.
    fn random(&self, seed: u64) -> u32 {
        let mut x = match self.random.get() {
            0 => (seed ^ seed >> 32) as u32 | 1,
            x => x,
        };
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.random.set(x);
        x
    }
}

impl Frontend {
    /// The backend of this index; `None` cannot happen for an id of the same configuration.
    fn backend(&self, id: BackendId) -> Option<&Rc<Backend>> {
        self.backends.get(id.0)
    }
}

/// What a session knows from its beginning to its end. It counts as a connection while it lives.
struct Session {
    frontend: Rc<Frontend>,
    client: Stream,
    /// Where the client is; a PROXY protocol header can say so. `None` on unix sockets.
    peer: Cell<Option<SocketAddr>>,
    /// Loop clock at the accept.
    accepted_ms: u64,
    /// Unix time at the accept, milliseconds.
    accepted_wall_ms: u64,
    /// The first byte came so many milliseconds after the accept; [`NO_BYTE`] before there was one.
    first_byte_after_ms: Cell<u32>,
    /// Which of the frontend's addresses it was accepted on.
    bind: u16,
    /// The one timer of the session.
    deadline: Deadline,
    /// What only some sessions have; made when it is first needed.
    extra: RefCell<Option<Box<Extra>>>,
}

/// Nothing has come from the client yet.
const NO_BYTE: u32 = u32::MAX;

/// Serves a connection from its accept to its end; `bind` is the number of its address in the frontend. It counts from
/// this call on, whether the future was polled yet or not.
pub fn serve(frontend: Rc<Frontend>, bind: u16, accepted: Accepted) -> impl Future<Output = ()> {
    // Made outside of the future, which would otherwise hold the arguments beside it.
    let session = Session::new(frontend, bind, accepted);
    async move { session.run().await }
}

impl Session {
    fn new(frontend: Rc<Frontend>, bind: u16, accepted: Accepted) -> Self {
        let connections = frontend.connections.get().saturating_add(1);
        frontend.connections.set(connections);
        let process = &frontend.process;
        process.connections.set(process.connections.get().saturating_add(1));
        let Accepted { stream, peer } = accepted;
        let reactor = stream.reactor();
        tally::note_connection(&frontend, connections, reactor.now_ms());
        Self {
            frontend,
            peer: Cell::new(peer),
            accepted_ms: reactor.now_ms(),
            accepted_wall_ms: reactor.wall_ms(),
            first_byte_after_ms: Cell::new(NO_BYTE),
            bind,
            deadline: Deadline::new(reactor),
            client: stream,
            extra: RefCell::new(None),
        }
    }

    async fn run(&self) {
        let mut buffer = None;
        let counters = &self.frontend.counters;
        if !self.is_let_in(&self.frontend.config.tcp.connection) {
            return counters.denied_connections.increment();
        }
        if self.is_of_monitor() {
            return Box::pin(self.answer_monitor()).await;
        }
        if self.expects_header() && !Box::pin(proxy_header::read(self, &mut buffer)).await {
            return;
        }
        if !self.is_let_in(&self.frontend.config.tcp.session) {
            return counters.denied_sessions.increment();
        }
        tally::note_session(self);
        match self.route(&mut buffer).await {
            Some(Route::Http(sniffed)) => http::serve(self, &sniffed, &mut buffer).await,
            Some(Route::Tcp(backend)) => {
                // Boxed: connecting needs much more room than the tunnel that follows, and is soon over.
                match Box::pin(tcp::open(self, backend, buffer, Trace::since_accept(self))).await {
                    Ok(carrier) => carrier.run(self).await,
                    Err(mut trace) => trace.log(self, false),
                }
            }
            None => {}
        }
    }

    /// Where the connection goes to, by its first bytes where rules ask for them. `None` when it is over; what
    /// there is to log of that is logged.
    async fn route(&self, buffer: &mut Option<Buffer>) -> Option<Route> {
        let frontend = &self.frontend;
        if frontend.config.mode == Mode::Http {
            return Some(Route::Http(None));
        }
        match sniff::sniff(self, None, buffer).await {
            Sniffed::Chosen(Some(id)) => {
                let backend = frontend.backend(id)?.clone();
                return Some(match backend.config.mode {
                    Mode::Http => Route::Http(Some(backend)),
                    // Rules for requests see the first one too, wherever it goes.
                    Mode::Tcp if self.is_for_rules(buffer) => Route::Http(Some(backend)),
                    Mode::Tcp => Route::Tcp(backend),
                });
            }
            Sniffed::Chosen(None) => self.log_refused(*b"SC--", buffer),
            Sniffed::Rejected(ruling) => {
                self.read_what_came(buffer).await;
                self.end_by(ruling);
                self.hush_if_null(buffer.is_some());
                self.log_refused(*b"PR--", buffer);
            }
            Sniffed::Ended { sent_something, who } => {
                let probe = frontend.config.dont_log_null || frontend.config.http.ignore_probes;
                if sent_something || !probe {
                    self.log_refused([who, b'R', b'-', b'-'], buffer);
                }
            }
        }
        None
    }

    /// Whether what has come is a request, and there are rules to show it to.
    fn is_for_rules(&self, buffer: &Option<Buffer>) -> bool {
        let rules = &self.frontend.config.http_rules;
        let request = |buffer: &Buffer| matches!(parse_request(buffer.bytes()), Ok(Some(_)));
        rules.of_requests().iter().any(|list| !list.is_empty()) && buffer.as_ref().is_some_and(request)
    }

    fn reactor(&self) -> Handle {
        self.client.reactor()
    }

    /// Notes that the client has begun to send.
    fn note_first_byte(&self) {
        if self.first_byte_after_ms.get() == NO_BYTE {
            let after_ms = self.reactor().now_ms().saturating_sub(self.accepted_ms);
            self.first_byte_after_ms.set(u32::try_from(after_ms).unwrap_or(NO_BYTE - 1));
        }
    }

    /// Loop clock at the first byte; at the accept before there was one.
    fn begun_ms(&self) -> u64 {
        let after_ms = match self.first_byte_after_ms.get() {
            NO_BYTE => 0,
            after_ms => u64::from(after_ms),
        };
        self.accepted_ms.saturating_add(after_ms)
    }

    /// The address it was accepted on.
    fn bind(&self) -> Option<&Bind> {
        self.frontend.config.binds.get(usize::from(self.bind))
    }

    /// Whether it begins with a PROXY protocol header.
    fn expects_header(&self) -> bool {
        self.bind().is_some_and(|bind| bind.accept_proxy) || self.is_header_expected()
    }

    /// The same as HAProxy numbers them: from 1, frontend by frontend.
    fn listener_number(&self) -> u32 {
        u32::from(self.bind).saturating_add(1)
    }

    /// The client.
    fn peer(&self) -> Peer {
        self.peer.get().map_or(Peer::Unix(self.listener_number()), Peer::Inet)
    }

    /// The address the client came to; `None` on unix sockets. Asks the kernel unless a PROXY protocol header said it.
    fn destination(&self) -> Option<SocketAddr> {
        self.told_destination().or_else(|| self.client.local_address())
    }

    /// Both ends of the client's connection, found out only where a server is told one of them.
    fn ends_for(&self, backend: &Backend) -> ClientEnds {
        if !backend.is_told_of_clients() {
            return ClientEnds::default();
        }
        let source = self.peer.get();
        if !backend.follows_clients() {
            return ClientEnds { source, destination: self.destination(), ..ClientEnds::default() };
        }
        // With `transparent` our address of the connection is the one that the client wanted.
        let is_ours = self.bind().is_some_and(|bind| !bind.transparent);
        let gateway = self.client.local_address().filter(|_| is_ours);
        let destination = self.told_destination().or_else(|| self.client.original_destination());
        ClientEnds { source, destination, gateway, told: None }
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

impl Drop for Session {
    fn drop(&mut self) {
        let frontend = &self.frontend;
        frontend.connections.set(frontend.connections.get().saturating_sub(1));
        let process = &frontend.process;
        process.connections.set(process.connections.get().saturating_sub(1));
        (process.on_end)();
    }
}

/// What carries a connection on.
enum Route {
    /// Request after request; the backend that sniffing chose, for the log line of a request that never
    /// becomes whole.
    Http(Option<Rc<Backend>>),
    /// A tunnel to this backend.
    Tcp(Rc<Backend>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_bytes<F: Future>(_: impl Fn(Rc<Frontend>, u16, Accepted) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_waits_for_its_next_request_has_a_small_frame() {
        // 304 bytes in a release build; without optimisation some locals are stored twice.
        let limit = if cfg!(debug_assertions) { 448 } else { 320 };
        let bytes = frame_bytes(serve);
        assert!(bytes <= limit, "{bytes} bytes");
    }
}
