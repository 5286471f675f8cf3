//! A session of a `mode tcp` backend: one server connection, one tunnel.

use std::rc::Rc;

use super::Session;
use super::choice::{persist_word, stick_to, wish};
use super::stick;
use super::tcp_rules;
use super::trace::{InUse, Trace, timer_ms};
use super::tunnel::Tunnel;
use crate::backend::{
    Asker, Backend, ConnectError, ConnectFailure, Connected, Course, NoServer, Reason, Slot, Wish, connect,
};
use crate::config::Mode;
use crate::net::{Buffer, Stream};
use crate::rules::Seen;

/// A tunnel that stands: the server's connection, both directions, and what is logged at the end.
pub(super) struct Carrier {
    trace: Trace,
    in_use: InUse,
    slot: Slot,
    server: Stream,
    tunnel: Tunnel,
    /// It began as an HTTP request, and gets the log line of one.
    http: bool,
}

/// Connects to a server of `backend` and sends what was read while sniffing.
///
/// # Errors
/// The trace, with the reason in it, when there is no server.
pub(super) async fn open(
    session: &Session,
    backend: Rc<Backend>,
    mut first: Option<Buffer>,
    mut trace: Trace,
) -> Result<Box<Carrier>, Box<Trace>> {
    let in_use = InUse::new(backend.clone());
    trace.backend = Some(backend.clone());
    if !backend.config.tcp.request.is_empty()
        && !Box::pin(tcp_rules::lets_in(session, &backend, &mut first, &mut trace)).await
    {
        return Err(Box::new(trace));
    }
    let bytes = first.as_ref().map(Buffer::bytes).unwrap_or_default();
    let Some(connected) = server_for(session, &backend, bytes, &mut trace).await else {
        trace.bytes_from_client = bytes.len() as u64;
        return Err(Box::new(trace));
    };
    let Connected { stream, sent, slot, .. } = connected;
    trace.bytes_from_client = sent as u64;
    if let Some(buffer) = &mut first {
        buffer.consume(sent);
    }
    Ok(Carrier::new(session, trace, in_use, (stream, slot), (first, None), false))
}

impl Carrier {
    /// `held` is what was read already, from the client and from the server.
    pub(super) fn new(
        session: &Session,
        trace: Trace,
        in_use: InUse,
        (server, slot): (Stream, Slot),
        (up, down): (Option<Buffer>, Option<Buffer>),
        http: bool,
    ) -> Box<Self> {
        let tunnel = Tunnel::new(up, down, session.tunnel_timeouts(slot.backend()));
        Box::new(Self { trace, in_use, slot, server, tunnel, http })
    }

    /// The same, begun by an HTTP request.
    pub(super) fn of_http(mut self: Box<Self>) -> Box<Self> {
        self.http = true;
        self
    }

    /// The tunnel, from its beginning to its log line.
    pub(super) async fn run(self: Box<Self>, session: &Session) {
        let mut carrier = self;
        let Self { trace, server, tunnel, slot, http, .. } = &mut *carrier;
        let backend = slot.backend();
        // A tunnel that began as an HTTP answer was asked about as such.
        let asks = backend.config.mode == Mode::Tcp && !backend.config.tcp.response.is_empty();
        if !asks && backend.config.mode == Mode::Tcp && !backend.config.sticks.is_empty() {
            stick::on_answer(session, backend, Seen::of_answer(&[], true), Some(slot.index()));
        }
        if !asks || Box::pin(tcp_rules::lets_out(session, backend, server, tunnel, trace)).await {
            trace.log_early(session, *http, 0);
            let end = tunnel.run(&session.client, server, &session.deadline).await;
            trace.bytes_from_client = trace.bytes_from_client.saturating_add(end.up_bytes);
            trace.bytes_to_client = trace.bytes_to_client.saturating_add(end.down_bytes);
            if let Some(who) = slot.ended_by() {
                trace.end(who, b'-');
            } else if end.who != b'-' {
                trace.end(end.who, b'D');
            }
        }
        // Neither the line nor the server's load counts a tunnel that has ended.
        let Self { mut trace, in_use, slot, server, http, .. } = *carrier;
        drop((server, slot, in_use));
        trace.log(session, http);
    }
}

/// A connection to a server, or the reason in `trace`.
pub(super) async fn server_for(
    session: &Session,
    backend: &Rc<Backend>,
    first: &[u8],
    trace: &mut Trace,
) -> Option<Connected> {
    let word = persist_word(session, backend, Seen::new(first, true));
    let mut wish = wish(session, backend, Seen::new(first, true), word);
    stick_to(session, backend, Seen::new(first, true), &mut wish);
    let slot = slot_for(session, backend, &wish, first.is_empty(), trace).await?;
    let asker = asker(session, backend, &trace.course);
    match connect(slot, first, &session.ends_for(backend), &wish, &asker).await {
        Ok(connected) => {
            trace.chose(&connected.slot);
            note_moved(trace);
            trace.timers.connect = since_wait(session, trace);
            session.note_server(&connected.stream);
            Some(connected)
        }
        Err(error) => {
            note_failure(session, &error, trace);
            None
        }
    }
}

/// The session, as far as backends know it.
pub(super) fn asker<'a>(session: &'a Session, backend: &Backend, course: &'a Course) -> Asker<'a> {
    let leaving = backend.config.queues.abort_on_close.then_some(&session.client);
    Asker { deadline: &session.deadline, leaving, is_silent: false, course }
}

/// The right to use a server, or the reason in `trace`. A client that has sent nothing (`is_silent`) and closes is not
/// waited for.
pub(super) async fn slot_for(
    session: &Session,
    backend: &Rc<Backend>,
    wish: &Wish,
    is_silent: bool,
    trace: &mut Trace,
) -> Option<Slot> {
    let before_ms = trace.elapsed_ms(session);
    let mut asker = asker(session, backend, &trace.course);
    if is_silent && asker.leaving.is_none() {
        (asker.leaving, asker.is_silent) = (Some(&session.client), true);
    }
    let result = backend.slot(&asker, wish).await;
    match result {
        Ok(slot) => {
            trace.chose(&slot);
            trace.timers.wait = match trace.timers.request {
                // tcplog counts Tw from the accept, httplog from the end of the head (configuration §8.4).
                -1 => trace.elapsed_ms(session),
                _ => trace.elapsed_ms(session).saturating_sub(before_ms),
            };
            Some(slot)
        }
        Err(none) => {
            note_none(session, none, trace);
            None
        }
    }
}

/// Notes that there is no server, and why.
fn note_none(session: &Session, none: NoServer, trace: &mut Trace) {
    trace.asked_for(none.server);
    let (who, phase) = match none.reason {
        Reason::Down => (b'S', b'C'),
        Reason::QueueFull => (b'S', b'Q'),
        Reason::QueueTimeout => (b's', b'Q'),
        Reason::ClientGone => (b'C', b'Q'),
    };
    if matches!(none.reason, Reason::QueueTimeout | Reason::ClientGone) {
        trace.timers.wait = trace.elapsed_ms(session).saturating_sub(trace.timers.request.max(0));
    }
    trace.end(who, phase);
}

/// A redispatch counts as a wait until the moment when it had another server.
pub(super) fn note_moved(trace: &mut Trace) {
    let at_ms = trace.course.moved_ms.get();
    if at_ms > 0 {
        let since_start = timer_ms(at_ms.saturating_sub(trace.start_ms()));
        trace.timers.wait = since_start.saturating_sub(trace.timers.request.max(0));
    }
}

/// Tc: from the end of the wait to now.
pub(super) fn since_wait(session: &Session, trace: &Trace) -> i32 {
    let before = trace.timers.request.max(0).saturating_add(trace.timers.wait.max(0));
    trace.elapsed_ms(session).saturating_sub(before)
}

pub(super) fn note_failure(session: &Session, error: &ConnectError, trace: &mut Trace) {
    note_moved(trace);
    if let Some(slot) = &error.slot {
        trace.chose(slot);
    }
    let ended_by = error.slot.as_ref().and_then(Slot::ended_by);
    match &error.failure {
        ConnectFailure::TimedOut => trace.end(ended_by.unwrap_or(b's'), b'C'),
        ConnectFailure::NoServer(none) => note_none(session, *none, trace),
        ConnectFailure::Failed(_) => trace.end(ended_by.unwrap_or(b'S'), b'C'),
        ConnectFailure::ClientGone => trace.end(b'C', b'C'),
    }
}
