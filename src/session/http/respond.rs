//! The answer's way to the client: head and body passed on, the connections' fate decided.

use std::future::poll_fn;
use std::task::Poll;

use super::super::relay::{Bound, Flow, FlowError, Waiting};
use super::super::tunnel::tunnel;
use super::Next;
use super::exchange::{Exchange, Failure, Link};
use crate::http::{After, Chunked, Framing, ResponseEdits, ResponseHead, Version, write_response};
use crate::net::{Buffer, Stream};
use crate::reactor::Expired;

impl Exchange<'_> {
    pub(super) fn edits(&self, after: After) -> ResponseEdits<'static> {
        ResponseEdits { client: self.request.facts.version, after, add_fields: &[] }
    }

    pub(super) async fn send_to_client(&mut self, out: &mut Buffer) -> Result<(), Failure> {
        let session = self.session;
        let len = out.len() as u64;
        session.deadline.set_after(session.frontend.config.timeouts.client_ms);
        let flush = poll_fn(|context| session.client.poll_flush(context, out));
        match session.deadline.guard(flush).await {
            Ok(Ok(())) => {
                self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(len);
                self.set_wait_timeout();
                Ok(())
            }
            Ok(Err(_)) => Err(Failure::Silent(b'C', b'D')),
            Err(Expired) => Err(Failure::Silent(b'c', b'D')),
        }
    }

    /// After a 101 (or a 2xx to CONNECT) the connection is a tunnel.
    pub(super) async fn switch_protocols(
        &mut self,
        head: &ResponseHead,
        link: Link,
        mut response: Option<Buffer>,
    ) -> Result<Next, Failure> {
        let mut out = Buffer::take();
        self.answer_head(head, &mut response, After::KeepAlive, &mut out)?;
        self.answered = true;
        self.send_to_client(&mut out).await?;
        drop(out);
        let session = self.session;
        let bad = |_| Failure::Silent(b'P', b'D');
        let up = Flow::new(Bound::End, self.input.take()).map_err(bad)?;
        let down = Flow::new(Bound::End, response).map_err(bad)?;
        let timeouts = session.tunnel_timeouts(&self.request.backend);
        let end = tunnel(&session.client, &link.stream, up, down, &session.deadline, timeouts).await;
        drop(link);
        self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(end.down_bytes);
        if end.who != b'-' {
            self.trace.end(end.who, b'D');
        }
        Ok(Next::Close)
    }

    /// Writes the head for the client into `out` and takes it out of `response`.
    fn answer_head(
        &mut self,
        head: &ResponseHead,
        response: &mut Option<Buffer>,
        after: After,
        out: &mut Buffer,
    ) -> Result<(), Failure> {
        const BAD: Failure = Failure::Status(502, b'P', b'H');
        let Some(buffer) = response else { return Err(BAD) };
        self.is_private |= ties_to_connection(head, buffer.bytes());
        let len = write_response(head, buffer.bytes(), &self.edits(after), out.room()).map_err(|_| BAD)?;
        out.filled(len);
        buffer.consume(head.len);
        if buffer.is_empty() {
            *response = None;
        }
        Ok(())
    }

    /// Passes the answer on, head and body, while the request's body may still be coming.
    pub(super) async fn pass_answer(
        &mut self,
        head: &ResponseHead,
        link: Link,
        mut response: Option<Buffer>,
    ) -> Result<Next, Failure> {
        let version = self.request.facts.version;
        let keep_alive = self.request.keep_alive && head.is_delimited_for(version) && !self.upload_broken;
        let after = if keep_alive { After::KeepAlive } else { After::Close };
        let mut out = Buffer::take();
        self.answer_head(head, &mut response, after, &mut out)?;
        let bound = match (head.framing, version) {
            (Framing::None, _) => Bound::Length(0),
            (Framing::Length(len), _) => Bound::Length(len),
            (Framing::Chunked, Version::Http11) => Bound::Chunked(Chunked::new()),
            (Framing::Chunked, Version::Http10) => Bound::Dechunked(Chunked::new()),
            (Framing::UntilClose, _) => Bound::End,
        };
        let mut body = Flow::new(bound, response).map_err(|_| Failure::Status(502, b'P', b'H'))?;
        // Head and body leave in one write where they fit into one buffer.
        let len = out.append(body.ready_bytes());
        body.passed(len);
        self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(out.len() as u64);
        self.answered = true;
        let before = body.passed_bytes();
        let result = self.stream_answer(&link.stream, out, &mut body).await;
        let later = body.passed_bytes().saturating_sub(before);
        self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(later);
        result?;
        self.finish_upload(&link.stream).await;
        self.finish(head, link, body, keep_alive).await
    }

    /// The server has answered before the request's body was over. It may well be reading on, so the body is
    /// passed on until one side ends it or the client is silent for too long.
    async fn finish_upload(&mut self, server: &Stream) {
        if self.request.upload.is_none() && self.sent >= self.request.out.len() {
            return;
        }
        let session = self.session;
        let client_ms = session.frontend.config.timeouts.client_ms;
        session.deadline.set_after(client_ms);
        let whole = poll_fn(|context| {
            let mut moved = false;
            if self.poll_request(context, server, &mut moved).is_err() || self.upload_broken {
                return Poll::Ready(false);
            }
            if self.request.upload.is_none() && self.sent >= self.request.out.len() {
                return Poll::Ready(true);
            }
            if moved {
                session.deadline.set_after(client_ms);
            }
            session.deadline.poll_expired(context).map(|_| false)
        })
        .await;
        self.upload_broken |= !whole;
    }

    /// Moves the answer's body to the client, and the request's to the server.
    async fn stream_answer(&mut self, server: &Stream, out: Buffer, body: &mut Flow) -> Result<(), Failure> {
        let session = self.session;
        let client_ms = session.frontend.config.timeouts.client_ms;
        let server_ms = self.request.backend.config.timeouts.server_ms;
        let mut out = Some(out);
        session.deadline.set_after(client_ms);
        let result = poll_fn(|context| {
            let mut moved = false;
            // What becomes of the upload now no longer changes the answer.
            if self.poll_request(context, server, &mut moved).is_err() {
                self.upload_broken = true;
            }
            if let Some(buffer) = &mut out {
                match session.client.poll_flush(context, buffer) {
                    Poll::Ready(Ok(())) => out = None,
                    Poll::Ready(Err(error)) => return Poll::Ready(Ok(Err(FlowError::Sink(error)))),
                    Poll::Pending => return session.deadline.poll_expired(context).map(Err),
                }
                moved = true;
            }
            let result = body.poll_move(context, server, &session.client, &mut moved);
            if result.is_ready() {
                return result.map(Ok);
            }
            if moved {
                session.deadline.set_after(match body.waiting() {
                    Waiting::Source => server_ms,
                    Waiting::Sink => client_ms,
                });
            }
            session.deadline.poll_expired(context).map(Err)
        })
        .await;
        let client_first = out.is_some() || body.waiting() == Waiting::Sink;
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(FlowError::Sink(_))) => Err(Failure::Silent(b'C', b'D')),
            Ok(Err(FlowError::Source(_) | FlowError::Truncated | FlowError::Framing)) => {
                // The client must not take half an answer for a whole one.
                session.client.reset_on_close();
                Err(Failure::Silent(b'S', b'D'))
            }
            Err(Expired) => Err(Failure::Silent(if client_first { b'c' } else { b's' }, b'D')),
        }
    }

    /// Both messages are over, or the client's never will be: what becomes of the connections.
    async fn finish(
        &mut self,
        head: &ResponseHead,
        link: Link,
        body: Flow,
        keep_alive: bool,
    ) -> Result<Next, Failure> {
        let upload_done = self.request.upload.is_none() && self.sent >= self.request.out.len();
        let delimited = head.framing != Framing::UntilClose;
        // A dechunked answer keeps nothing of what follows it, so it cannot tell whether something did.
        let dechunked = head.framing == Framing::Chunked && self.request.facts.version == Version::Http10;
        let clean = body.into_rest().is_none()
            && upload_done
            && !self.upload_broken
            && !dechunked
            && !self.is_private;
        let Link { stream, slot, .. } = link;
        if clean && delimited && head.keep_alive && self.may_share() {
            slot.keep(stream);
        } else {
            drop(stream);
        }
        drop(slot);
        if !upload_done || self.upload_broken {
            // The server answered without waiting for the whole body; the client may still be sending it.
            self.trace.stop_clock(self.session);
            self.session.close_gently().await;
            return Ok(Next::Close);
        }
        Ok(if keep_alive { Next::Another } else { Next::Close })
    }
}

/// Whether an answer begins an authentication of the connection itself (NTLM, Negotiate), as 401 and 407 do.
fn ties_to_connection(head: &ResponseHead, bytes: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 2] = [b"NTLM", b"Negotiate"];
    let begins = |value: &[u8]| {
        SCHEMES
            .iter()
            .any(|scheme| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
    };
    matches!(head.status, 401 | 407)
        && ["www-authenticate", "proxy-authenticate"].iter().any(|name| head.values(bytes, name).any(begins))
}
