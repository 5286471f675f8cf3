//! What a session or a request leaves for its log line, gathered on the way.

use std::cell::Cell;
use std::rc::Rc;

use super::Session;
use super::alias::Facts;
use super::capture::Captured;
use super::extra::LogLevel;
use super::tally;
use crate::backend::{Backend, Course, Server, Slot};
use crate::config::{Format, LogFormat, Mode, PersistWord};
use crate::net::Buffer;
use crate::observe::{BAD_REQUEST, LogLine, NO_SERVER, Peer, Record, SESSION_SEVERITY, Timers};

/// `option log-separate-errors`: err.
pub(super) const ERROR_SEVERITY: u8 = 3;

/// Facts for one line.
pub(super) struct Trace {
    pub backend: Option<Rc<Backend>>,
    /// Index of the server in its backend.
    server: Option<usize>,
    pub timers: Timers,
    pub bytes_to_client: u64,
    pub status: i16,
    pub termination: [u8; 4],
    /// Its way to a server.
    pub course: Course,
    /// The request line; kept only when a line will be written.
    pub request: Option<Box<[u8]>>,
    /// Loop clock and unix time at which it began.
    start_ms: u64,
    start_wall_ms: u64,
    /// Its number among all of the process.
    pub number: u32,
    /// From the client, heads included.
    pub bytes_from_client: u64,
    /// A request's head was read.
    pub has_begun: bool,
    /// A rule has ended it, or refused its answer.
    pub ruled: bool,
    /// The line is written already.
    logged: bool,
    /// What became of the cookie that keeps the client with its server.
    pub kept: Kept,
}

/// What a request asked of its server by what it was given before.
pub(super) struct Kept {
    /// The last two characters of the termination state: the client's cookie, and the one that the answer sets.
    pub flags: [u8; 2],
    /// What rules say.
    pub word: PersistWord,
    /// The server that was asked for, while it is the one that is used.
    pub server: Option<usize>,
    /// The dates in the client's cookie, seconds of unix time; 0 = there are none.
    pub last_s: u32,
    pub first_s: u32,
}

impl Trace {
    /// One that begins now (for HTTP: with the first byte of a request).
    pub(super) fn begin(session: &Session) -> Self {
        let reactor = session.reactor();
        Self::starting(session, reactor.now_ms(), reactor.wall_ms())
    }

    /// One of a connection's first request: it began with the first byte, which sniffing may have read.
    pub(super) fn since_first_byte(session: &Session) -> Self {
        session.note_first_byte();
        let start_ms = session.begun_ms();
        let reactor = session.reactor();
        // By the clock as it stands now: a board may have got its time since the accept.
        let start_wall_ms = reactor.wall_ms().saturating_sub(reactor.now_ms().saturating_sub(start_ms));
        Self::starting(session, start_ms, start_wall_ms)
    }

    /// One that began with the accept.
    pub(super) fn since_accept(session: &Session) -> Self {
        Self::starting(session, session.accepted_ms, session.accepted_wall_ms)
    }

    fn starting(session: &Session, start_ms: u64, start_wall_ms: u64) -> Self {
        Self {
            backend: None,
            server: None,
            timers: Timers::default(),
            bytes_to_client: 0,
            status: -1,
            termination: *b"----",
            course: Course::default(),
            request: None,
            start_ms,
            start_wall_ms,
            number: session.frontend.process.next_number(),
            bytes_from_client: 0,
            has_begun: false,
            ruled: false,
            logged: false,
            kept: Kept { flags: *b"NN", word: PersistWord::Usual, server: None, last_s: 0, first_s: 0 },
        }
    }

    /// Index of the server in its backend.
    pub(super) fn server(&self) -> Option<usize> {
        self.server
    }

    /// Loop clock at which it began.
    pub(super) fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// Milliseconds since it began, as the timers hold them.
    #[inline(never)]
    pub(super) fn elapsed_ms(&self, session: &Session) -> i32 {
        timer_ms(session.reactor().now_ms().saturating_sub(self.start_ms))
    }

    /// Notes the server that was chosen.
    pub(super) fn chose(&mut self, slot: &Slot) {
        self.asked_for(Some(slot.index()));
    }

    /// Notes the server that a request asked for, or in whose queue it was, when it came to nothing; `None` = in the
    /// backend's.
    pub(super) fn asked_for(&mut self, server: Option<usize>) {
        self.server = server;
        // The one that the cookie named did not do.
        if self.kept.server.take_if(|wanted| Some(*wanted) != server).is_some() && self.kept.flags[0] == b'V'
        {
            self.kept.flags[0] = b'D';
        }
    }

    /// Sets the first two characters of the termination state: who, and in which phase.
    pub(super) fn end(&mut self, who: u8, phase: u8) {
        self.termination[..2].copy_from_slice(&[who, phase]);
    }

    /// Writes the line, where the frontend has somewhere to write it. `http` = it was an HTTP session.
    pub(super) fn log(&mut self, session: &Session, http: bool) {
        self.timers.total = self.elapsed_ms(session);
        tally::count(self, session, http);
        self.write(session, http, false);
        session.forget_request();
    }

    /// Writes the line now although the session goes on (`option logasap`); `head_bytes` are about to go to the client.
    pub(super) fn log_early(&mut self, session: &Session, http: bool, head_bytes: usize) {
        if session.frontend.config.lines.asap {
            self.timers.total = self.elapsed_ms(session);
            let so_far = self.bytes_to_client;
            self.bytes_to_client = so_far.saturating_add(head_bytes as u64);
            self.write(session, http, true);
            self.bytes_to_client = so_far;
        }
    }

    fn write(&mut self, session: &Session, http: bool, unfinished: bool) {
        let frontend = &session.frontend;
        if !frontend.logger.is_active() {
            return;
        }
        // On a sniffed port each session gets the line of its own kind.
        let config = &frontend.config;
        let format = match config.log_format {
            LogFormat::Http if !http => LogFormat::Tcp,
            format => format,
        };
        let failed = self.failed();
        // Not where a server failed: nobody may have looked yet whether the client has sent something.
        let null = !http
            && config.dont_log_null
            && self.bytes_from_client == 0
            && matches!(self.termination, [b'-' | b'C' | b'c', ..]);
        if self.logged || null || config.lines.only_errors && !failed {
            return;
        }
        let severity = match session.log_level() {
            LogLevel::Silent => return,
            LogLevel::Severity(severity) => severity,
            LogLevel::Usual if failed && config.lines.separate_errors => ERROR_SEVERITY,
            LogLevel::Usual => SESSION_SEVERITY,
        };
        let server =
            self.backend.as_ref().zip(self.server).and_then(|(backend, index)| backend.servers.get(index));
        // Made now if it was not: what follows only reads.
        session.note_number(self.number);
        session.known_id();
        let extra = session.extra.borrow();
        let mut record = record(session, Some(self), self.backend.as_deref(), server);
        record.unfinished = unfinished;
        if let Some(Captured { request, response, cookies: [client, server] }) =
            extra.as_ref().map(|extra| &extra.captured)
        {
            record.headers = [request, response];
            record.cookies = [client.as_deref(), server.as_deref()];
        }
        // Only this line tells our own address, which costs a system call.
        if format == LogFormat::Default {
            record.local = session.destination().map_or(Peer::Unix(session.listener_number()), Peer::Inet);
        }
        let now_ms = i64::try_from(session.reactor().wall_ms()).unwrap_or(i64::MAX);
        let mut line = LogLine::new();
        let facts = Facts { session, trace: Some(self), record: &record };
        match config.lines.custom.as_ref().filter(|_| format == LogFormat::Custom) {
            Some(custom) => facts.fill(custom, &mut line),
            None => frontend.logger.session_line(&mut line, &record, format),
        }
        let mut structured = LogLine::new();
        if let Some(format) = &config.lines.structured {
            facts.fill(format, &mut structured);
        }
        frontend.logger.send_session(severity, &line, structured.as_bytes(), now_ms);
        self.logged = true;
    }

    /// Whether this is more than a session that went as it should.
    fn failed(&self) -> bool {
        let [who, ..] = self.termination;
        let Course { retries, redispatched, .. } = &self.course;
        !matches!(who, b'-' | b'L') || retries.get() > 0 || redispatched.get() || self.status >= 500
    }
}

/// The facts of a session; without a trace only those that are known from the beginning.
pub(super) fn record<'a>(
    session: &'a Session,
    trace: Option<&'a Trace>,
    backend: Option<&'a Backend>,
    server: Option<&'a Server>,
) -> Record<'a> {
    let frontend = &session.frontend;
    let accepted_ms = trace.map_or(session.accepted_wall_ms, |trace| trace.start_wall_ms);
    let mut record = Record {
        client: session.peer(),
        accepted_ms: i64::try_from(accepted_ms).unwrap_or(i64::MAX),
        frontend: &frontend.config.name,
        mode: frontend.config.mode,
        backend: backend.map_or(&frontend.config.name, |backend| &backend.config.name),
        server: server.map_or(NO_SERVER, |server| &server.config.name),
        actconn: frontend.process.connections.get(),
        feconn: frontend.connections.get(),
        beconn: backend.map_or(0, |backend| backend.connections.get()),
        srvconn: server.map_or(0, |server| server.in_use()),
        ..Record::default()
    };
    if let Some(trace) = trace {
        record.timers = trace.timers;
        record.bytes_to_client = trace.bytes_to_client;
        record.status = trace.status;
        record.termination = trace.termination;
        if trace.has_begun && backend.or(own_backend(session).map(|own| &**own)).is_some_and(tells_of_cookies)
        {
            record.termination[2..].copy_from_slice(&trace.kept.flags);
        }
        record.retries = trace.course.retries.get();
        record.redispatched = trace.course.redispatched.get();
        [record.srv_queue, record.backend_queue] = trace.course.places.each_ref().map(Cell::get);
        record.request = trace.request.as_deref().unwrap_or(BAD_REQUEST);
    }
    record
}

fn tells_of_cookies(backend: &Backend) -> bool {
    backend.config.persistence.cookie.as_ref().is_some_and(|cookie| cookie.is_told())
}

/// Before a backend is chosen a `listen` has its own.
pub(super) fn own_backend(session: &Session) -> Option<&Rc<Backend>> {
    session.frontend.config.own_backend.and_then(|id| session.frontend.backend(id))
}

/// Fills `error-log-format` for a connection that never became a session.
pub(super) fn fill_refused(session: &Session, format: &Format, line: &mut LogLine) {
    let mut trace = Trace::since_accept(session);
    // What HAProxy says of them.
    (trace.status, trace.termination) = (0, *b"PR--");
    let record = record(session, Some(&trace), None, None);
    Facts { session, trace: Some(&trace), record: &record }.fill(format, line);
}

impl Session {
    /// The line of a connection that never came to a backend, after so much from the client.
    pub(super) fn log_refused(&self, termination: [u8; 4], read: &Option<Buffer>) {
        let mut trace = Trace::since_accept(self);
        trace.bytes_from_client = read.as_ref().map_or(0, |read| read.len() as u64);
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
        backend.enter();
        Self(backend)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get().saturating_sub(1));
    }
}
