//! A session in `mode http`: request after request, each routed by itself.

mod answer;
mod exchange;
mod prepare;
mod respond;

use std::rc::Rc;

use super::Session;
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
}

/// Serves requests until one side is done. `first` is what was read while sniffing, and `sniffed` the backend
/// that was chosen by it, which only the log line of a request that never becomes whole needs.
pub(super) async fn serve(session: &Session, sniffed: Option<Rc<Backend>>, first: Option<Buffer>) {
    let mut input = first;
    let mut nth: u32 = 0;
    loop {
        let Some(mut trace) = first_byte(session, &mut input, nth, sniffed.as_ref()).await else { return };
        if !whole_head(session, &mut input, nth, &mut trace).await {
            return;
        }
        // Boxed: what one request needs is large, and an idle connection shall not hold it.
        match Box::pin(exchange::handle(session, &mut input, nth, trace)).await {
            Next::Another => nth = nth.saturating_add(1),
            Next::Close => return,
        }
    }
}

/// Waits for a request to begin. `None` when none came; what there is to log of that is logged.
async fn first_byte(
    session: &Session,
    input: &mut Option<Buffer>,
    nth: u32,
    sniffed: Option<&Rc<Backend>>,
) -> Option<Trace> {
    let timeouts = &session.frontend.config.timeouts;
    if nth > 0 {
        session.deadline.set_after(timeouts.http_keep_alive_ms);
    } else if timeouts.http_request_ms == 0 {
        session.deadline.set_at(crate::reactor::NEVER);
    } else {
        // Counted from the accept, the sniffing included.
        session.deadline.set_at(session.accepted_ms.saturating_add(timeouts.http_request_ms));
    }
    let mut blank = 0;
    while nothing_but_empty_lines(input, &mut blank) {
        let end = match session.deadline.guard(session.client.fill(input)).await {
            Ok(Ok(len)) if len > 0 => continue,
            Ok(_) => b'C',
            Err(Expired) => b'c',
        };
        if nth == 0 {
            refuse_silence(session, end, sniffed).await;
        }
        return None;
    }
    let mut trace = if nth == 0 { Trace::since_first_byte(session) } else { Trace::begin(session) };
    trace.backend = sniffed.cloned();
    Some(trace)
}

/// A client that connected and sent no request: 408 after the timeout, nothing when it left by itself.
async fn refuse_silence(session: &Session, who: u8, sniffed: Option<&Rc<Backend>>) {
    let mut trace = Trace::since_accept(session);
    trace.backend = sniffed.cloned();
    trace.end(who, b'R');
    if who == b'c' {
        answer::refuse(session, 408, &mut trace).await;
    } else {
        trace.status = 400;
    }
    if !session.frontend.config.dont_log_null {
        trace.log(session, true);
    }
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
        // Perhaps the first half of an empty line.
        [b'\r'] => *blank < EMPTY_LINES_MAX,
        _ => false,
    }
}

/// Reads until a whole head is there. False when it will not be: the client has its answer then.
async fn whole_head(session: &Session, input: &mut Option<Buffer>, nth: u32, trace: &mut Trace) -> bool {
    let timeouts = &session.frontend.config.timeouts;
    if nth > 0 {
        session.deadline.set_after(timeouts.http_request_ms);
    }
    let mut scanned = 0;
    loop {
        let Some(buffer) = input.as_mut() else { return false };
        if has_head_end(buffer.bytes(), &mut scanned) {
            return true;
        }
        let (status, who) = match refusal(buffer, session.frontend.head_bytes_max) {
            Some(status) => (status, b'P'),
            None => match session.deadline.guard(session.client.fill(input)).await {
                Ok(Ok(len)) if len > 0 => continue,
                Ok(_) => (400, b'C'),
                Err(Expired) => (408, b'c'),
            },
        };
        trace.end(who, b'R');
        trace.timers.request = -1;
        answer::refuse(session, status, trace).await;
        trace.log(session, true);
        return false;
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
