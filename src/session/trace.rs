//! What a session or a request leaves for its log line, gathered on the way.

use std::rc::Rc;

use super::Session;
use crate::backend::{Backend, Slot};
use crate::config::{LogFormat, Mode};
use crate::observe::{BAD_REQUEST, NO_SERVER, Peer, Record, Timers};

/// Facts for one line.
pub(super) struct Trace {
    pub backend: Option<Rc<Backend>>,
    /// Index of the server in its backend.
    server: Option<usize>,
    pub timers: Timers,
    pub bytes_to_client: u64,
    pub status: i16,
    pub termination: [u8; 4],
    pub retries: u32,
    /// The request line; kept only when a line will be written.
    pub request: Option<Box<[u8]>>,
    /// Loop clock and unix time at which it began.
    start_ms: u64,
    start_wall_ms: u64,
}

impl Trace {
    /// One that begins now (for HTTP: with the first byte of a request).
    pub(super) fn begin(session: &Session) -> Self {
        let reactor = session.reactor();
        Self::starting(reactor.now_ms(), reactor.wall_ms())
    }

    /// One of a connection's first request: it began with the first byte, which sniffing may have read.
    pub(super) fn since_first_byte(session: &Session) -> Self {
        session.note_first_byte();
        let start_ms = session.begun_ms();
        let reactor = session.reactor();
        // By the clock as it stands now: a board may have got its time since the accept.
        let start_wall_ms = reactor.wall_ms().saturating_sub(reactor.now_ms().saturating_sub(start_ms));
        Self::starting(start_ms, start_wall_ms)
    }

    /// One that began with the accept.
    pub(super) fn since_accept(session: &Session) -> Self {
        Self::starting(session.accepted_ms, session.accepted_wall_ms)
    }

    fn starting(start_ms: u64, start_wall_ms: u64) -> Self {
        Self {
            backend: None,
            server: None,
            timers: Timers::default(),
            bytes_to_client: 0,
            status: -1,
            termination: *b"----",
            retries: 0,
            request: None,
            start_ms,
            start_wall_ms,
        }
    }

    /// Milliseconds since it began, as the timers hold them.
    pub(super) fn elapsed_ms(&self, session: &Session) -> i32 {
        timer_ms(session.reactor().now_ms().saturating_sub(self.start_ms))
    }

    /// Notes the server that was chosen.
    pub(super) fn chose(&mut self, slot: &Slot) {
        self.server = Some(slot.index());
    }

    /// Sets the first two characters of the termination state: who, and in which phase.
    pub(super) fn end(&mut self, who: u8, phase: u8) {
        self.termination = [who, phase, b'-', b'-'];
    }

    /// Writes the line, where the frontend has somewhere to write it. `http` = it was an HTTP session.
    pub(super) fn log(&mut self, session: &Session, http: bool) {
        let frontend = &session.frontend;
        if !frontend.logger.is_active() {
            return;
        }
        self.timers.total = self.elapsed_ms(session);
        // On a sniffed port each session gets the line of its own kind.
        let format = match frontend.config.log_format {
            LogFormat::Http if !http => LogFormat::Tcp,
            format => format,
        };
        // Only this line tells our own address, which costs a system call.
        let local = match format {
            LogFormat::Default => {
                session.destination().map_or(Peer::Unix(session.listener_number()), Peer::Inet)
            }
            LogFormat::Tcp | LogFormat::Http => Peer::Unix(1),
        };
        let server =
            self.backend.as_ref().zip(self.server).and_then(|(backend, index)| backend.servers.get(index));
        let record = Record {
            client: session.peer(),
            local,
            accepted_ms: i64::try_from(self.start_wall_ms).unwrap_or(i64::MAX),
            frontend: &frontend.config.name,
            mode: frontend.config.mode,
            backend: self.backend.as_ref().map_or(&frontend.config.name, |backend| &backend.config.name),
            server: server.map_or(NO_SERVER, |server| &server.config.name),
            timers: self.timers,
            bytes_to_client: self.bytes_to_client,
            status: self.status,
            termination: self.termination,
            actconn: frontend.process.connections.get(),
            feconn: frontend.connections.get(),
            beconn: self.backend.as_ref().map_or(0, |backend| backend.connections.get()),
            srvconn: server.map_or(0, |server| server.connections.get()),
            retries: self.retries,
            redispatched: false,
            srv_queue: 0,
            backend_queue: 0,
            request: self.request.as_deref().unwrap_or(BAD_REQUEST),
        };
        let now_ms = i64::try_from(session.reactor().wall_ms()).unwrap_or(i64::MAX);
        frontend.logger.session(&record, format, now_ms);
    }
}

impl Session {
    /// The line of a connection that never came to a backend.
    pub(super) fn log_refused(&self, termination: [u8; 4]) {
        let mut trace = Trace::since_accept(self);
        trace.termination = termination;
        trace.log(self, self.frontend.config.mode == Mode::Http);
    }
}

/// Milliseconds as a timer of the log line.
pub(super) fn timer_ms(ms: u64) -> i32 {
    i32::try_from(ms).unwrap_or(i32::MAX)
}

/// Counts a session (or request) of a backend while it lives.
pub(super) struct InUse(Rc<Backend>);

impl InUse {
    pub(super) fn new(backend: Rc<Backend>) -> Self {
        backend.connections.set(backend.connections.get().saturating_add(1));
        Self(backend)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get().saturating_sub(1));
    }
}
