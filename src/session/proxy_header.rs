//! The PROXY protocol header before a client's first byte (`bind … accept-proxy`): its addresses become those of the
//! connection.

use std::cell::Cell;

use super::Session;
use super::trace::{ERROR_SEVERITY, fill_refused};
use crate::net::{Buffer, Header, HeaderError, parse_header};
use crate::observe::{LogLine, Refused, SESSION_SEVERITY, formats::skipped as skipped_since};
use crate::reactor::Expired;

/// Lines about refused headers that a frontend writes within a second; the others are counted.
const LINES_A_SECOND: u32 = 10;

/// Why a connection did not get past its header. The words are HAProxy's, which operators search for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// It was closed before a byte came.
    Closed,
    /// The same, with an error.
    Broken,
    TimedOut,
    /// It ended within its header, or the header is longer than a buffer.
    Truncated,
    NoHeader,
    Invalid,
    Protocol,
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Self::Closed => "Connection closed while waiting for PROXY protocol header",
            Self::Broken => "Connection error while waiting for PROXY protocol header",
            Self::TimedOut => "Timeout while waiting for PROXY protocol header",
            Self::Truncated => "Truncated PROXY protocol header received",
            Self::NoHeader => "Received something which does not look like a PROXY protocol header",
            Self::Invalid => "Received an invalid PROXY protocol header",
            Self::Protocol => "Received an unhandled protocol in the PROXY protocol header",
        }
    }
}

/// Reads the header, within `timeout client` as a whole: a header in small pieces gets no more time. What follows it
/// stays in `buffer`. False when the connection is over; that is logged then.
pub(super) async fn read(session: &Session, buffer: &mut Option<Buffer>) -> bool {
    session.deadline.set_after(session.frontend.config.timeouts.client_ms);
    match whole(session, buffer).await {
        Ok(header) => {
            take(session, buffer, &header);
            true
        }
        Err(refusal) => {
            refuse(session, refusal, buffer.is_some());
            false
        }
    }
}

async fn whole(session: &Session, buffer: &mut Option<Buffer>) -> Result<Header, Refusal> {
    loop {
        if let Some(buffer) = buffer {
            match parse_header(buffer.bytes()) {
                Ok(Some(header)) => return Ok(header),
                Ok(None) if buffer.room().is_empty() => return Err(Refusal::Truncated),
                Ok(None) => {}
                Err(HeaderError::NoHeader) => return Err(Refusal::NoHeader),
                Err(HeaderError::Invalid) => return Err(Refusal::Invalid),
                Err(HeaderError::Protocol) => return Err(Refusal::Protocol),
            }
        }
        match session.deadline.within(|context| session.client.poll_fill(context, buffer)).await {
            Ok(Ok(len)) if len > 0 => {}
            Ok(Ok(_)) if buffer.is_none() => return Err(Refusal::Closed),
            Ok(Ok(_)) => return Err(Refusal::Truncated),
            Ok(Err(_)) => return Err(Refusal::Broken),
            Err(Expired) => return Err(Refusal::TimedOut),
        }
    }
}

fn take(session: &Session, buffer: &mut Option<Buffer>, header: &Header) {
    session.note_header();
    if let Some(ends) = header.ends {
        session.peer.set(Some(ends.source));
        session.set_destination(ends.destination);
    }
    match buffer {
        Some(bytes) if bytes.len() > header.len_bytes => {
            bytes.consume(header.len_bytes);
            bytes.compact();
            session.note_first_byte();
        }
        _ => *buffer = None,
    }
}

fn refuse(session: &Session, refusal: Refusal, sent_something: bool) {
    let frontend = &session.frontend;
    let silent = !sent_something && matches!(refusal, Refusal::Closed | Refusal::Broken | Refusal::TimedOut);
    if !frontend.logger.is_active() || (silent && frontend.config.dont_log_null) {
        return;
    }
    let Some(skipped) = frontend.header_refusals.line_at(session.reactor().now_ms()) else { return };
    let lines = &frontend.config.lines;
    let mut line = LogLine::new();
    match &lines.errors {
        Some(format) => fill_refused(session, format, &mut line),
        None => frontend.logger.refused_line(&mut line, &refused(session, refusal)),
    }
    skipped_since(&mut line, skipped);
    let severity = if lines.separate_errors { ERROR_SEVERITY } else { SESSION_SEVERITY };
    let now_ms = i64::try_from(session.reactor().wall_ms()).unwrap_or(i64::MAX);
    frontend.logger.send_session(severity, &line, b"", now_ms);
}

fn refused(session: &Session, refusal: Refusal) -> Refused<'_> {
    let bind = session.bind();
    Refused {
        client: session.peer(),
        accepted_ms: i64::try_from(session.accepted_wall_ms).unwrap_or(i64::MAX),
        frontend: &session.frontend.config.name,
        listener: bind.and_then(|bind| bind.name.as_deref()),
        listener_number: session.listener_number(),
        reason: refusal.text(),
    }
}

/// Keeps a flood of refused headers from flooding the log.
#[derive(Default)]
pub struct HeaderRefusals {
    second: Cell<u64>,
    lines: Cell<u32>,
    skipped: Cell<u32>,
}

impl HeaderRefusals {
    /// Whether a line may be written now, and if so how many were not since the last one.
    fn line_at(&self, now_ms: u64) -> Option<u32> {
        let second = now_ms / 1_000;
        if self.second.replace(second) != second {
            self.lines.set(0);
        }
        if self.lines.get() >= LINES_A_SECOND {
            self.skipped.set(self.skipped.get().saturating_add(1));
            return None;
        }
        self.lines.set(self.lines.get() + 1);
        Some(self.skipped.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let refusals = HeaderRefusals::default();
        let written = (0..100).filter(|&ms| refusals.line_at(5_000 + ms).is_some()).count();
        assert_eq!(written, 10);
        assert_eq!(refusals.line_at(6_000), Some(90));
        assert_eq!(refusals.line_at(6_001), Some(0));
    }
}
