//! A session in `mode http`: request after request, each routed by itself.

mod answer;
mod body;
mod changes;
mod exchange;
mod handle;
mod link;
mod persistence;
mod prepare;
mod replies;
mod respond;
mod retry;
pub(super) mod rules;
mod told;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::Session;
use super::tally;
use super::tcp::Carrier;
use super::trace::Trace;
use crate::backend::Backend;
use crate::http::{HeadError, parse_request};
use crate::net::Buffer;
use crate::reactor::Expired;

/// What follows a request.
enum Next {
    /// Another one may come.
    Another,
    /// The connection is over.
    Close,
    /// The same, but the client may still be sending: it is to get our last answer all the same.
    CloseGently,
    /// What follows is no longer HTTP.
    Tunnel(Box<Carrier>),
}

/// Serves requests until one side is done. `input` is what was read while sniffing, and `sniffed` the backend
/// that was chosen by it, which only the log line of a request that never becomes whole needs.
pub(super) async fn serve(session: &Session, sniffed: &Option<Rc<Backend>>, input: &mut Option<Buffer>) {
    let mut nth: u32 = 0;
    loop {
        // Boxed but for the wait: what one request needs is large, and an idle connection shall not hold it.
        let next = match first_byte(session, input, nth).await {
            Ok(()) => Box::pin(handle::handle(session, input, nth, sniffed.as_ref())).await,
            Err(who) if nth == 0 => Box::pin(refuse_silence(session, who, sniffed.as_ref())).await,
            Err(_) => Next::Close,
        };
        match next {
            Next::Another => nth = nth.saturating_add(1),
            Next::Close => return,
            Next::CloseGently => return Box::pin(session.close_gently()).await,
            Next::Tunnel(carrier) => return Box::pin(carrier.run(session)).await,
        }
    }
}

/// Waits for a request to begin.
///
/// # Errors
/// Who ended the wait, when none came.
fn first_byte(
    session: &Session,
    input: &mut Option<Buffer>,
    nth: u32,
) -> impl Future<Output = Result<(), u8>> {
    let timeouts = &session.frontend.config.timeouts;
    if nth > 0 {
        session.deadline.set_after(timeouts.http_keep_alive_ms);
    } else if timeouts.http_request_ms == 0 {
        session.deadline.set_at(crate::reactor::NEVER);
    } else {
        // The sniffing included.
        session.deadline.set_at(session.ready_ms().saturating_add(timeouts.http_request_ms));
    }
    let mut blank = 0;
    poll_fn(move |context| {
        while nothing_but_empty_lines(input, &mut blank) {
            match session.client.poll_fill(context, input) {
                Poll::Ready(Ok(len)) if len > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Err(b'C')),
                Poll::Pending => return session.deadline.poll_expired(context).map(|_| Err(b'c')),
            }
        }
        Poll::Ready(Ok(()))
    })
}

/// A client that connected and sent no request: 408 after the timeout, nothing when it left by itself.
async fn refuse_silence(session: &Session, who: u8, sniffed: Option<&Rc<Backend>>) -> Next {
    let config = &session.frontend.config;
    if config.http.ignore_probes {
        return Next::Close;
    }
    let mut trace = Trace::since_accept(session);
    trace.backend = sniffed.cloned();
    trace.end(who, b'R');
    let next = if who == b'c' {
        answer::refuse(session, 408, &mut trace).await
    } else {
        trace.status = 400;
        Next::Close
    };
    match config.dont_log_null {
        true => tally::count(&trace, session, true),
        false => trace.log(session, true),
    }
    next
}

/// Empty lines before a request are passed over (RFC 9112 §2.2), a few of them; true while nothing else is there.
/// What is no empty line, or one too many, is left for the parser, which refuses it.
fn nothing_but_empty_lines(input: &mut Option<Buffer>, blank: &mut u32) -> bool {
    const EMPTY_LINES_MAX: u32 = 4;
    let Some(buffer) = input else { return true };
    while *blank < EMPTY_LINES_MAX {
        match buffer.bytes() {
            [b'\n', ..] => buffer.consume(1),
            [b'\r', b'\n', ..] => buffer.consume(2),
            _ => break,
        }
        *blank += 1;
    }
    match buffer.bytes() {
        [] => {
            *input = None;
            true
        }
        // Perhaps the first half of an empty line. It may be the last byte of a full buffer: make room behind it.
        [b'\r'] => {
            buffer.compact();
            *blank < EMPTY_LINES_MAX
        }
        _ => false,
    }
}

/// Reads until a whole head is there.
///
/// # Errors
/// What follows when it will not be: the client has its answer then.
async fn whole_head(
    session: &Session,
    input: &mut Option<Buffer>,
    nth: u32,
    trace: &mut Trace,
) -> Result<(), Next> {
    if nth > 0 {
        session.deadline.set_after(session.frontend.config.timeouts.http_request_ms);
    }
    let mut scanned = 0;
    loop {
        let Some(buffer) = input.as_mut() else { return Err(Next::Close) };
        if has_head_end(buffer.bytes(), &mut scanned) {
            return Ok(());
        }
        let (status, who) = match refusal(buffer, session.frontend.head_bytes_max) {
            Some(status) => (status, b'P'),
            None => match session.deadline.within(|context| session.client.poll_fill(context, input)).await {
                Ok(Ok(len)) if len > 0 => continue,
                Ok(_) => (400, b'C'),
                Err(Expired) => (408, b'c'),
            },
        };
        trace.end(who, b'R');
        trace.timers.request = -1;
        return Err(answer::refuse(session, status, trace).await);
    }
}

/// Whether bytes that are no whole head yet can still become one; else the status to refuse them with.
fn refusal(buffer: &mut Buffer, head_bytes_max: usize) -> Option<u16> {
    buffer.compact();
    if buffer.len() > head_bytes_max || buffer.room().is_empty() {
        return Some(HeadError::TooLong.status());
    }
    parse_request(buffer.bytes()).err().map(HeadError::status)
}

/// Looks for the empty line that ends a head, from where the last look stopped.
fn has_head_end(bytes: &[u8], scanned: &mut usize) -> bool {
    let mut from = *scanned;
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let line_end = from + at;
        match bytes.get(line_end + 1..) {
            Some([b'\n', ..] | [b'\r', b'\n', ..]) => return true,
            // The next byte is still to come: look at this line end again.
            Some([] | [b'\r']) | None => {
                *scanned = line_end;
                return false;
            }
            Some(_) => from = line_end + 1,
        }
    }
    *scanned = bytes.len();
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_in_any_segmentation() {
        for head in
            ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n"]
        {
            let mut scanned = 0;
            for len in 0..head.len() {
                assert!(!has_head_end(&head.as_bytes()[..len], &mut scanned), "{head:?} at {len}");
            }
            assert!(has_head_end(head.as_bytes(), &mut scanned), "{head:?}");
            assert!(has_head_end(head.as_bytes(), &mut 0), "{head:?}");
        }
    }
}
