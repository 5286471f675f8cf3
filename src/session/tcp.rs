//! A session of a `mode tcp` backend: one server connection, one tunnel.

use std::rc::Rc;

use super::Session;
use super::relay::{Bound, Flow};
use super::trace::{InUse, Trace};
use super::tunnel::tunnel;
use crate::backend::{Backend, ConnectError, ConnectFailure, Connected, NoServer, Slot, connect};
use crate::net::Buffer;

/// Carries the connection to a server of `backend`, with the bytes that were read while sniffing in front.
pub(super) async fn carry(session: &Session, backend: Rc<Backend>, buffer: Option<Buffer>) {
    let mut trace = Trace::since_accept(session);
    run(session, backend, buffer, &mut trace).await;
    trace.log(session, false);
}

/// [`carry`] without the log line, for an upgrade that an HTTP session hands over.
pub(super) async fn run(
    session: &Session,
    backend: Rc<Backend>,
    mut buffer: Option<Buffer>,
    trace: &mut Trace,
) {
    let _in_use = InUse::new(backend.clone());
    trace.backend = Some(backend.clone());
    let first = buffer.as_ref().map(Buffer::bytes).unwrap_or_default();
    let Some(Connected { stream, sent, slot, .. }) = server_for(session, &backend, first, trace).await else {
        return;
    };
    if let Some(buffer) = &mut buffer {
        buffer.consume(sent);
    }
    // Neither fails: a tunnel has no framing.
    let (Ok(up), Ok(down)) = (Flow::new(Bound::End, buffer), Flow::new(Bound::End, None)) else { return };
    let timeouts = session.tunnel_timeouts(&backend);
    let end = tunnel(&session.client, &stream, up, down, &session.deadline, timeouts).await;
    drop(slot);
    trace.bytes_to_client = trace.bytes_to_client.saturating_add(end.down_bytes);
    if end.who != b'-' {
        trace.end(end.who, b'D');
    }
}

/// A connection to a server, or the reason in `trace`.
pub(super) async fn server_for(
    session: &Session,
    backend: &Rc<Backend>,
    first: &[u8],
    trace: &mut Trace,
) -> Option<Connected> {
    let slot = slot_for(session, backend, trace).await?;
    match connect(slot, first, session.local_for(backend), &session.deadline).await {
        Ok(connected) => {
            trace.chose(&connected.slot);
            trace.retries = connected.retries;
            trace.timers.connect = since_wait(session, trace);
            Some(connected)
        }
        Err(error) => {
            note_failure(&error, trace);
            None
        }
    }
}

/// The right to use a server, or the reason in `trace`.
pub(super) async fn slot_for(session: &Session, backend: &Rc<Backend>, trace: &mut Trace) -> Option<Slot> {
    let before_ms = trace.elapsed_ms(session);
    match backend.slot(&session.deadline).await {
        Ok(slot) => {
            trace.chose(&slot);
            trace.timers.wait = match trace.timers.request {
                // tcplog counts Tw from the accept, httplog from the end of the head (configuration §8.4).
                -1 => trace.elapsed_ms(session),
                _ => trace.elapsed_ms(session).saturating_sub(before_ms),
            };
            Some(slot)
        }
        Err(NoServer::Down) => {
            trace.end(b'S', b'C');
            None
        }
        Err(NoServer::QueueTimeout) => {
            trace.end(b's', b'Q');
            None
        }
    }
}

/// Tc: from the end of the wait to now.
pub(super) fn since_wait(session: &Session, trace: &Trace) -> i32 {
    let before = trace.timers.request.max(0).saturating_add(trace.timers.wait.max(0));
    trace.elapsed_ms(session).saturating_sub(before)
}

pub(super) fn note_failure(error: &ConnectError, trace: &mut Trace) {
    trace.retries = error.retries;
    if let Some(slot) = &error.slot {
        trace.chose(slot);
    }
    match &error.failure {
        ConnectFailure::TimedOut => trace.end(b's', b'C'),
        ConnectFailure::NoServer(NoServer::QueueTimeout) => trace.end(b's', b'Q'),
        ConnectFailure::NoServer(NoServer::Down) | ConnectFailure::Failed(_) => trace.end(b'S', b'C'),
    }
}
