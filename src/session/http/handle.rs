//! One request, from its first bytes to its log line: what its head comes to, and what answers it.

use std::rc::Rc;

use super::super::Session;
use super::super::tally;
use super::super::tcp;
use super::super::trace::Trace;
use super::exchange::Exchange;
use super::prepare::{Prepared, prepare};
use super::rules::{End, Ending};
use super::{Next, answer, body, whole_head};
use crate::backend::Backend;
use crate::http::RequestFacts;
use crate::http::answer::compose;
use crate::net::Buffer;

/// Handles the request whose first bytes stand in `input`, to its log line.
pub(super) async fn handle(
    session: &Session,
    input: &mut Option<Buffer>,
    nth: u32,
    sniffed: Option<&Rc<Backend>>,
) -> Next {
    let mut trace = if nth == 0 { Trace::since_first_byte(session) } else { Trace::begin(session) };
    trace.backend = sniffed.cloned();
    if let Err(next) = whole_head(session, input, nth, &mut trace).await {
        trace.log(session, true);
        return next;
    }
    trace.timers.request = trace.elapsed_ms(session);
    let mut paused = None;
    let prepared = loop {
        match prepare(session, input, (nth, paused), &mut trace) {
            Prepared::Wait { paused: mut waiting, within, at_least } => {
                let rule = (within, at_least);
                if let Err(next) = Box::pin(body::wait(session, input, &mut waiting, rule, &mut trace)).await
                {
                    trace.log(session, true);
                    return next;
                }
                trace.timers.request = trace.elapsed_ms(session);
                paused = Some(waiting);
            }
            prepared => break prepared,
        }
    };
    let mut exchange = match prepared {
        Prepared::Send(request) => Exchange::new(session, request, input, nth, trace),
        // Taken out above.
        Prepared::Wait { .. } => return Next::Close,
        Prepared::Tunnel(backend) => return Box::pin(tunnel(session, backend, input, trace)).await,
        Prepared::Refuse { status, termination: (who, phase) } => {
            if who == b'P' {
                trace.timers.request = -1;
            }
            trace.end(who, phase);
            let next = answer::refuse(session, status, &mut trace).await;
            trace.log(session, true);
            return next;
        }
        Prepared::Monitor { status, facts, keep_alive } => {
            session.forget_request();
            let bytes = match status {
                200 => compose(200, &[(b"Cache-Control", b"no-cache")], b""),
                _ => Vec::new(),
            };
            let next =
                Box::pin(answer::deliver(session, (status, bytes), facts, keep_alive, &mut trace)).await;
            trace.end(b'L', b'R');
            trace.ruled = true;
            tally::count(&trace, session, true);
            return next;
        }
        Prepared::End { end, facts, keep_alive } => {
            trace.backend.iter().for_each(|backend| backend.note_answered());
            let next = Box::pin(end_by_rule(session, end, facts, keep_alive, &mut trace)).await;
            trace.log(session, true);
            return next;
        }
    };
    let done = exchange.run().await;
    exchange.conclude(done)
}

/// Ends a request as a rule wants it.
pub(super) async fn end_by_rule(
    session: &Session,
    end: End,
    facts: RequestFacts,
    may_stay: bool,
    trace: &mut Trace,
) -> Next {
    trace.ruled = !matches!(*end, Ending::Failed(_));
    if let Ending::Drop { tarpit: true, .. } | Ending::Answer { tarpit: true, .. } = *end {
        // As long as the backend says, once one is chosen.
        let of_backend = trace.backend.as_ref().map(|backend| backend.config.timeouts.tarpit_ms);
        session.deadline.set_after(of_backend.unwrap_or(session.frontend.config.timeouts.tarpit_ms));
        session.deadline.expired().await;
    }
    let (answer, may_stay) = match *end {
        // Only requests wait, and not here.
        Ending::Wait { .. } => return Next::Close,
        Ending::Failed(phase) => {
            if phase == b'R' {
                trace.timers.request = -1;
            }
            trace.end(b'P', phase);
            ((500, Vec::new()), may_stay)
        }
        Ending::Drop { reset, .. } => {
            trace.end(b'P', b'R');
            trace.timers.request = -1;
            if reset {
                session.client.drop_silently();
            }
            return Next::Close;
        }
        Ending::Answer { status, bytes, termination: (who, phase), keep_alive, tarpit } => {
            if tarpit {
                // As HAProxy tells it: the tarpit is a wait before the request.
                trace.timers.wait = trace.elapsed_ms(session);
                trace.timers.request = -1;
            }
            trace.end(who, phase);
            ((status, bytes), keep_alive && may_stay)
        }
    };
    answer::deliver(session, answer, facts, may_stay, trace).await
}

/// Hands the request, as it came, to a backend in `mode tcp`.
async fn tunnel(session: &Session, backend: Rc<Backend>, input: &mut Option<Buffer>, trace: Trace) -> Next {
    match tcp::open(session, backend, input.take(), trace).await {
        Ok(carrier) => Next::Tunnel(carrier.of_http()),
        Err(mut trace) => {
            let next = match trace.termination {
                // Rules of the backend, or the client itself, have ended the connection.
                [_, b'R', ..] | [b'C', ..] => Next::Close,
                _ => answer::refuse(session, 503, &mut trace).await,
            };
            trace.log(session, true);
            next
        }
    }
}
