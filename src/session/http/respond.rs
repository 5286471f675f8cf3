//! The answer's way to the client: head and body passed on, the connections' fate decided.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::super::relay::{Bound, Flow, FlowError, Waiting};
use super::super::stick;
use super::super::tally;
use super::super::tcp_rules::Ruling;
use super::super::trace::Trace;
use super::Next;
use super::exchange::{Answer, Exchange, Failure, Found};
use super::link::Link;
use super::persistence;
use super::rules::{End, Ending, Response};
use crate::backend::{Backend, Observed};
use crate::config::Queues;
use crate::http::{
    After, Chunked, Framing, Method, ResponseEdits, ResponseHead, TooLong, Version, read_response,
    write_response,
};
use crate::net::{Buffer, Stream};
use crate::reactor::Expired;
use crate::rules::Seen;

/// Interim answers (1xx) that a server may send before the final one.
const INTERIM_MAX: u32 = 64;

impl Exchange<'_> {
    /// Reads the head at the front of `response` and writes it for the client, if it is whole. No waiting in
    /// here: the head's index is large, and lives only as long as this call.
    pub(super) fn read_head(
        &mut self,
        response: &mut Option<Buffer>,
        answer: &mut Answer,
    ) -> Result<Found, Failure> {
        const BAD: Failure = Failure::Status(502, b'P', b'H');
        let Some(buffer) = response else { return Ok(Found::Part) };
        // The head is large: it stays where it is made.
        let mut head = ResponseHead::default();
        match read_response(buffer.bytes(), self.request.facts, &mut head) {
            Ok(true) => {}
            Ok(false) => {
                buffer.compact();
                let too_long =
                    buffer.room().is_empty() || buffer.len() > self.session.frontend.head_bytes_max;
                return if too_long { Err(BAD) } else { Ok(Found::Part) };
            }
            Err(_) => return Err(BAD),
        }
        let unasked = !self.request.upgrade || self.request.upload.is_some();
        if head.status == 101 && unasked {
            return Err(BAD);
        }
        let found = if head.is_interim() {
            self.interim += 1;
            tally::note_answer(&self.trace, head.status);
            if self.interim > INTERIM_MAX {
                return Err(BAD);
            }
            // Others know none.
            if self.request.facts.version == Version::Http11
                && self.rewrite(&head, buffer.bytes(), &[], After::KeepAlive, &mut answer.out).is_err()
            {
                return Err(BAD);
            }
            Found::Interim
        } else {
            if self.armed != 0 && self.is_to_be_repeated(Queues::status_bit(head.status)) {
                return Err(Failure::Again(Queues::status_bit(head.status)));
            }
            if self.answer_lacks_body(&head, buffer) {
                buffer.compact();
                return Ok(Found::Part);
            }
            self.final_answer(&mut head, buffer.bytes(), answer)?;
            Found::Final
        };
        buffer.consume(head.len);
        if buffer.is_empty() {
            *response = None;
        }
        Ok(found)
    }

    fn final_answer(
        &mut self,
        head: &mut ResponseHead,
        bytes: &[u8],
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        self.trace.status = i16::try_from(head.status).unwrap_or(-1);
        tally::note_answer(&self.trace, head.status);
        if let Some(server) = self.trace.server() {
            self.request.backend.observe(server, Observed::answer(head.status));
        }
        self.session.capture_response(head, bytes);
        self.is_tied |= ties_to_connection(head, bytes);
        answer.reusable = head.keep_alive;
        let mut told: &[(&str, &[u8])] = &[];
        // The client goes by the method that it sent.
        let to_head = self.request.to_head;
        if to_head != (self.request.facts.method == Method::Head) {
            // A body that nobody is to have is left where it is.
            answer.reusable &= matches!(head.framing, Framing::None | Framing::Length(0));
            if head.answer_instead(to_head) {
                told = &[("Content-Length", b"0")];
            }
        }
        let delimited = head.is_delimited_for(self.request.facts.version);
        answer.keep_alive = head.tunnel || self.request.keep_alive && delimited && !self.upload_broken;
        answer.tunnel = head.tunnel;
        let (written, body) = (head.status, head.framing);
        let backend = self.request.backend.clone();
        let back = &backend.config;
        if !back.tcp.response.is_empty() {
            self.check_answer(head, bytes)?;
        }
        if !back.sticks.is_empty() {
            stick::on_answer(self.session, &backend, Seen::of_response(bytes, head), self.trace.server());
        }
        let server = self.trace.server();
        let mut work =
            Response { session: self.session, backend: Some(&backend), server, head, bytes, text: None };
        let method = self.request.facts.method;
        ruled(&mut work, &backend, method, &mut self.trace).map_err(Failure::Rule)?;
        self.trace.status = i16::try_from(work.head.status).unwrap_or(-1);
        if work.head.status != written {
            match work.head.mend_status(written, to_head) {
                true => told = &[("Content-Length", b"0")],
                false if work.head.is_bodyless() => told = &[],
                false => {}
            }
            // A body that may no longer be there is left where it is.
            answer.reusable &= work.head.framing == body || body == Framing::Length(0);
        }
        answer.framing = work.head.framing;
        let after = if answer.keep_alive { After::KeepAlive } else { After::Close };
        let written = self.rewrite(work.head, work.head_bytes(), told, after, &mut answer.out);
        written.map_err(|_| match work.text {
            Some(_) => Failure::Rule(Ending::failed(b'H')),
            None => Failure::Status(502, b'P', b'H'),
        })
    }

    /// The `tcp-response content` rules of the backend.
    fn check_answer(&mut self, head: &ResponseHead, bytes: &[u8]) -> Result<(), Failure> {
        let backend = &self.request.backend;
        let ruling = self.session.ruling_on_answer(backend, head, bytes);
        let seen = backend.config.tcp.response_delay_ms.is_some();
        match ruling {
            Ruling::Accept | Ruling::NotYet => return Ok(()),
            // Only the server's connection ends, after this answer.
            Ruling::Close if seen => {
                self.is_private = true;
                return Ok(());
            }
            Ruling::Close => return Err(Failure::Status(502, b'S', b'H')),
            Ruling::Reject | Ruling::SilentDrop => {}
        }
        if seen {
            self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(bytes.len() as u64);
        } else {
            self.trace.status = -1;
        }
        self.session.end_by(ruling);
        Err(Failure::Silent(b'P', if ruling == Ruling::Reject { b'D' } else { b'R' }))
    }

    fn rewrite(
        &self,
        head: &ResponseHead,
        bytes: &[u8],
        add_fields: &[(&str, &[u8])],
        after: After,
        out: &mut Buffer,
    ) -> Result<(), TooLong> {
        let edits = ResponseEdits { client: self.request.facts.version, after, add_fields };
        *out = Buffer::take();
        let len = write_response(head, bytes, &edits, out.room())?;
        out.filled(len);
        Ok(())
    }

    pub(super) async fn send_to_client(&mut self, out: &mut Buffer) -> Result<(), Failure> {
        let session = self.session;
        let len = out.len() as u64;
        session.deadline.set_after(session.frontend.config.timeouts.client_ms);
        match session.deadline.within(|context| session.client.poll_flush(context, out)).await {
            Ok(Ok(())) => {
                self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(len);
                self.set_wait_timeout();
                Ok(())
            }
            Ok(Err(_)) => Err(Failure::Silent(b'C', b'D')),
            Err(Expired) => Err(Failure::Silent(b'c', b'D')),
        }
    }

    /// Passes the answer on, head and body, while the request's body may still be coming. True when it leaves
    /// the server's connection fit for another request.
    pub(super) async fn pass_answer(
        &mut self,
        answer: &mut Answer,
        link: &Link,
        response: &mut Option<Buffer>,
    ) -> Result<bool, Failure> {
        let bound = match (answer.framing, self.request.facts.version) {
            (Framing::None, _) => Bound::Length(0),
            (Framing::Length(len), _) => Bound::Length(len),
            (Framing::Chunked, Version::Http11) => Bound::Chunked(Chunked::new()),
            (Framing::Chunked, Version::Http10) => Bound::Dechunked(Chunked::new()),
            (Framing::UntilClose, _) => Bound::End,
        };
        // A dechunked answer keeps nothing of what follows it, so it cannot tell whether something did.
        let reusable = answer.reusable && !matches!(bound, Bound::Dechunked(_) | Bound::End);
        let mut body = Flow::new(bound, response.take()).map_err(|_| {
            // As HAProxy tells it: there was no answer.
            self.trace.timers.response = -1;
            Failure::Status(502, b'P', b'H')
        })?;
        // Head and body leave in one write where they fit into one buffer.
        let len = answer.out.append(body.ready_bytes());
        body.passed(len);
        self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(answer.out.len() as u64);
        self.answered = true;
        let before = body.passed_bytes();
        let result = self.stream_answer(&link.stream, &mut answer.out, &mut body).await;
        let later = body.passed_bytes().saturating_sub(before);
        self.trace.bytes_to_client = self.trace.bytes_to_client.saturating_add(later);
        result?;
        self.finish_upload(&link.stream).await;
        Ok(reusable && body.into_rest().is_none())
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
    async fn stream_answer(
        &mut self,
        server: &Stream,
        out: &mut Buffer,
        body: &mut Flow,
    ) -> Result<(), Failure> {
        let session = self.session;
        let client_ms = session.frontend.config.timeouts.client_ms;
        let server_ms = self.request.backend.config.timeouts.server_ms;
        session.deadline.set_after(client_ms);
        let result = poll_fn(|context| {
            let mut moved = false;
            // What becomes of the upload now no longer changes the answer.
            if self.poll_request(context, server, &mut moved).is_err() {
                self.upload_broken = true;
            }
            if !out.is_empty() {
                match session.client.poll_flush(context, out) {
                    Poll::Ready(Ok(())) => out.release(),
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
        let client_first = !out.is_empty() || body.waiting() == Waiting::Sink;
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

    /// Both messages are over, or the client's never will be: what becomes of the connections. `reusable` = the
    /// server's answer leaves its connection fit for another request.
    pub(super) fn finish(&mut self, link: Link, reusable: bool, keep_alive: bool) -> Next {
        let upload_done = self.request.upload.is_none() && self.sent >= self.request.out.len();
        let whole = upload_done && !self.upload_broken;
        let Link { stream, slot, carried } = link;
        let requests = carried.saturating_add(1);
        if reusable && whole && self.request.keeps_server && slot.server().may_reuse(requests) {
            if self.is_private || self.is_tied || self.is_for_one_client(&slot) {
                self.session.reserve(&slot, (stream, requests), self.is_tied);
            } else {
                slot.keep(stream, requests);
            }
        }
        match (whole, keep_alive) {
            // The server answered without waiting for the whole body; the client may still be sending it.
            (false, _) => Next::CloseGently,
            (true, true) => Next::Another,
            (true, false) => Next::Close,
        }
    }
}

/// Runs what there is to run for a server's answer: the rules of both sides, and what cookies ask for between them.
fn ruled(work: &mut Response<'_>, backend: &Backend, method: Method, trace: &mut Trace) -> Result<(), End> {
    let (back, front) = (&backend.config, &work.session.frontend.config);
    // A tunnel is agreed on already: nothing about it can be changed. The rules of a `listen` run once.
    let sides = [
        (&back.http_rules, &back.acls, !work.head.tunnel),
        (
            &front.http_rules,
            &front.acls,
            !work.head.tunnel && !Rc::ptr_eq(&back.http_rules, &front.http_rules),
        ),
    ];
    for (rules, acls, _) in sides.iter().filter(|(rules, _, runs)| *runs && rules.ask_answers()) {
        work.run_all(rules, acls)?;
    }
    if persistence::reads_cookies(work.session, Some(backend)) {
        persistence::on_answer(work, backend, method, trace)?;
    }
    for (rules, acls, _) in sides.iter().filter(|(.., runs)| *runs) {
        work.run(&rules.after, acls)?;
    }
    Ok(())
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
