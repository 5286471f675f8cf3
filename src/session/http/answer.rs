//! Answers of our own, in place of a server's.

use super::super::Session;
use super::super::trace::Trace;
use crate::http::{answer, without_body};

/// Sends an error page and closes in a way that lets the client read it.
pub(super) async fn refuse(session: &Session, status: u16, trace: &mut Trace) {
    send(session, status, false, trace).await;
}

/// The same in answer to a HEAD request: without the page itself.
pub(super) async fn refuse_head(session: &Session, status: u16, trace: &mut Trace) {
    send(session, status, true, trace).await;
}

async fn send(session: &Session, status: u16, head_only: bool, trace: &mut Trace) {
    let page = if head_only { without_body(answer(status)) } else { answer(status) };
    trace.status = i16::try_from(status).unwrap_or(-1);
    session.deadline.set_after(session.frontend.config.timeouts.client_ms);
    if let Ok(Ok(())) = session.deadline.guard(session.client.write_all(page)).await {
        trace.bytes_to_client = trace.bytes_to_client.saturating_add(page.len() as u64);
        session.close_gently().await;
    }
}
