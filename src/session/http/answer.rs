//! Answers of our own, in place of a server's.

use super::super::Session;
use super::super::trace::Trace;
use super::Next;
use crate::http::{answer, without_body};
use crate::net::Buffer;

/// Sends an error page; what follows is a close that lets the client read it.
pub(super) async fn refuse(session: &Session, status: u16, trace: &mut Trace) -> Next {
    send(session, status, false, false, trace).await
}

/// Sends an error page, its head alone where `head_only` (HEAD). With `keep_alive` the connection stays open.
pub(super) async fn send(
    session: &Session,
    status: u16,
    head_only: bool,
    keep_alive: bool,
    trace: &mut Trace,
) -> Next {
    let page = if head_only { without_body(answer(status)) } else { answer(status) };
    let (before, after) = match keep_alive {
        true => without_close(page),
        false => (page, &b""[..]),
    };
    trace.status = i16::try_from(status).unwrap_or(-1);
    session.deadline.set_after(session.frontend.config.timeouts.client_ms);
    let mut out = Buffer::take();
    let len = out.append(before) + out.append(after);
    let flushed = session.deadline.within(|context| session.client.poll_flush(context, &mut out)).await;
    if !matches!(flushed, Ok(Ok(()))) {
        return Next::Close;
    }
    trace.bytes_to_client = trace.bytes_to_client.saturating_add(len as u64);
    if keep_alive {
        return Next::Another;
    }
    Next::CloseGently
}

/// A page in two parts, its `Connection: close` left out between them.
fn without_close(page: &[u8]) -> (&[u8], &[u8]) {
    const FIELD: &[u8] = b"Connection: close\r\n";
    match memchr::memmem::find(page, FIELD) {
        Some(at) => page
            .split_at_checked(at)
            .map_or((page, &b""[..]), |(before, rest)| (before, rest.get(FIELD.len()..).unwrap_or_default())),
        None => (page, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_can_do_without_its_close() {
        for status in [502, 503, 504] {
            let (before, after) = without_close(answer(status));
            assert!(!after.is_empty());
            assert!(before.ends_with(b"\r\n") && !after.starts_with(b"Connection"));
        }
    }
}
