//! What a session's end counts, by what it leaves for its log line: every counter of HAProxy's statistics that is
//! not counted as it happens (`backend/tally.rs`).

use super::trace::Trace;
use super::{Frontend, Session};
use crate::backend::{Backend, Server};
use crate::counters::Side;

/// A connection was accepted; so many are there.
pub(super) fn note_connection(frontend: &Frontend, current: u32, now_ms: u64) {
    let front = &frontend.counters;
    front.connections.increment();
    front.connection_rate.tick(now_ms);
    front.side.sessions_max.see(current);
}

/// It was let in.
pub(super) fn note_session(session: &Session) {
    let side = &session.frontend.counters.side;
    side.sessions.increment();
    side.rate.tick(session.reactor().now_ms());
}

/// A server has answered with this status.
pub(super) fn note_answer(trace: &Trace, status: u16) {
    if let Some(server) = server_of(trace) {
        server.counters.responses.count(status);
    }
}

fn server_of(trace: &Trace) -> Option<&Server> {
    trace.backend.as_ref()?.servers.get(trace.server()?)
}

/// Counts a session, or a request of one, that has ended as `trace` says.
pub(super) fn count(trace: &Trace, session: &Session, http: bool) {
    let front = &session.frontend.counters;
    pass(&front.side, trace);
    // None was sent: of no class.
    let status = u16::try_from(trace.status).unwrap_or(0);
    if http {
        front.request_rate.tick(session.reactor().now_ms());
        front.side.responses.count(status);
    }
    if let Some(backend) = &trace.backend {
        if http {
            backend.counters.responses.count(status);
        }
        match server_of(trace) {
            None => pass(&backend.counters, trace),
            Some(server) => {
                pass(&server.counters, trace);
                let timers = &trace.timers;
                // As in HAProxy only those count whose server has answered.
                if timers.connect >= 0 && (timers.response >= 0 || !http) {
                    let steps = [timers.wait, timers.connect, timers.response, timers.total];
                    server.counters.times.note(steps.map(|ms| ms.max(0).cast_unsigned()));
                }
            }
        }
    }
    if !matches!(trace.termination, [b'-', ..]) {
        count_end(trace, session, http);
    }
}

fn pass(side: &Side, trace: &Trace) {
    side.bytes_in.add(trace.bytes_from_client);
    side.bytes_out.add(trace.bytes_to_client);
}

/// Counts what went otherwise than it should, by who ended it and in which phase (configuration §8.5).
#[cold]
fn count_end(trace: &Trace, session: &Session, http: bool) {
    let front = &session.frontend.counters;
    let [who, phase, ..] = trace.termination;
    let backend: Option<&Backend> = trace.backend.as_deref();
    // With the server alone, where there is one: its backend's number is the sum.
    let server = server_of(trace).map(|server| &server.counters);
    let side = server.or(backend.map(|backend| &backend.counters));
    // What a rule of `mode tcp` does shows in the phase alone.
    let ruled = trace.ruled || !http && who == b'P';
    // The frontend's counter, and that of the other side.
    let (ours, theirs) = match (who, phase) {
        (b'L', _) if backend.is_none() => (Some(&front.intercepted), None),
        (b'P', b'R' | b'T') if ruled => {
            let backend = backend.filter(|_| http);
            (Some(&front.side.denied_requests), backend.map(|backend| &backend.counters.denied_requests))
        }
        (b'P', b'D' | b'H') if ruled => {
            (Some(&front.side.denied_responses), side.map(|side| &side.denied_responses))
        }
        (b'P', b'R' | b'H') if trace.status == 500 => {
            (Some(&front.side.internal_errors), side.map(|side| &side.internal_errors))
        }
        (b'P' | b'C' | b'c', b'R') | (b'P', b'D') => (Some(&front.side.request_errors), None),
        (b'S' | b's', b'C' | b'Q') => (None, side.map(|side| &side.connect_errors)),
        (b'S' | b's' | b'P', b'H') => (None, side.map(|side| &side.response_errors)),
        (b'S' | b's', b'D') => {
            if let Some(side) = side.filter(|_| who == b'S') {
                side.response_errors.increment();
            }
            (None, side.map(|side| &side.server_aborts))
        }
        (b'C' | b'c', _) => (None, side.map(|side| &side.client_aborts)),
        _ => (None, None),
    };
    for counter in [ours, theirs].into_iter().flatten() {
        counter.increment();
    }
}
