//! One request and its answer: a server connection, the request sent, the answer passed on, both bodies
//! streamed side by side.

use std::io;
use std::task::{Context, Poll};

use super::super::Session;
use super::super::relay::{Flow, FlowError, Waiting};
use super::super::tcp::{self, since_wait};
use super::super::trace::{InUse, Trace};
use super::handle::end_by_rule;
use super::link::Link;
use super::prepare::Request;
use super::rules::{End, Ending};
use super::{Next, answer, retry};
use crate::backend::{Observed, Slot};
use crate::http::answer::compose;
use crate::http::edit::path_of;
use crate::http::{Framing, Method, RequestFacts, Version};
use crate::net::{Buffer, Stream};
use crate::reactor::Expired;

/// Why an exchange ends without a server's (whole) answer.
pub(super) enum Failure {
    /// Answer with this status, if nothing of an answer was sent yet; who and phase for the log.
    Status(u16, u8, u8),
    /// Close without a word: the client is gone, or it may try again by itself.
    Silent(u8, u8),
    /// No server; `trace` knows why.
    NoServer,
    /// The answer's status is one that `retry-on` names: its bit.
    Again(u16),
    /// A rule gives another answer.
    Rule(End),
}

impl Failure {
    /// The same, as it is told where the server's own state has ended the session; what it says of the server is noted.
    fn seen_of(self, slot: &Slot) -> Self {
        if let Some(by) = slot.ended_by() {
            return match self {
                Self::Status(_, _, phase) => Self::Status(502, by, phase),
                Self::Silent(_, phase) => Self::Silent(by, phase),
                other => other,
            };
        }
        if matches!(self, Self::Status(502, b'P', b'H')) {
            slot.observe(Observed::InvalidAnswer);
        }
        self
    }

    /// The same where it is not made good by another attempt: only then a server without an answer is held to have
    /// failed.
    pub(super) fn kept_of(self, slot: &Slot) -> Self {
        match self {
            Self::Status(502, b'S', b'H') => slot.observe(Observed::Closed),
            Self::Status(504, b's', b'H') => slot.observe(Observed::Silent),
            _ => {}
        }
        self
    }
}

/// What was found where the answer should begin.
enum Wait {
    /// A whole head.
    Head,
    /// A used connection ended before a byte of an answer came.
    Stale,
}

/// What the beginning of an answer came to.
pub(super) enum Found {
    /// A part of a head.
    Part,
    /// An interim head (1xx), to be passed on unless there is nothing for this client.
    Interim,
    /// The final one.
    Final,
}

/// The head of the final answer as the client gets it, and what follows from it. The head itself, with its
/// index of fields, is never held over a wait.
#[derive(Default)]
pub(super) struct Answer {
    /// Of an interim answer as well, until it is sent.
    pub out: Buffer,
    pub framing: Framing,
    /// What follows is no longer HTTP.
    pub tunnel: bool,
    /// The client may send another request after this answer.
    pub keep_alive: bool,
    /// The server's connection may be used again after it.
    pub reusable: bool,
}

/// What an attempt came to.
enum Outcome {
    /// The answer has been passed on.
    Answered(Next),
    /// The server has agreed to another protocol, and the client was told.
    Upgraded(Link),
}

/// How an exchange ended.
pub(super) enum Done {
    /// With an answer, or without.
    Next(Next),
    /// As a tunnel, with what the server has sent of it already.
    Upgraded(Link, Option<Buffer>),
}

/// One request under way.
pub(super) struct Exchange<'a> {
    pub session: &'a Session,
    pub trace: &'a mut Trace,
    pub input: &'a mut Option<Buffer>,
    pub nth: u32,
    pub request: &'a mut Request,
    in_use: InUse,
    /// How much of `request.out` has been sent.
    pub sent: usize,
    /// A used connection may turn out to be stale, and the request may then be sent again.
    pub may_replay: bool,
    /// After which failures the request is sent again (`retry-on`), as [`crate::config::RETRY_REASONS`] numbers them.
    pub armed: u16,
    /// For both, the bytes of `request.out` in a box of their size, once they are sent.
    pub replay: Option<Box<[u8]>>,
    /// The server takes no more of the body, but may still answer.
    pub upload_broken: bool,
    /// Bytes of the body that went into `request.out` with the head.
    pub upload_start: u64,
    /// Bytes of the body, once all of it has been sent.
    body_bytes: u64,
    /// Any part of the final answer has been sent to the client.
    pub answered: bool,
    /// Interim answers (1xx) so far.
    pub interim: u32,
    /// Nobody else may get the server's connection.
    pub is_private: bool,
    /// Because the server knows the client by it.
    pub is_tied: bool,
    /// Loop clock until which rules wait for the answer's body; 0 = they do not, MAX = they no longer do.
    pub body_until_ms: u64,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        session: &'a Session,
        request: &'a mut Request,
        input: &'a mut Option<Buffer>,
        nth: u32,
        trace: &'a mut Trace,
    ) -> Self {
        Self {
            session,
            trace,
            input,
            nth,
            in_use: InUse::new(request.backend.clone()),
            upload_start: request.upload.as_ref().map_or(0, Flow::passed_bytes),
            body_bytes: request.body_bytes,
            armed: retry::armed(session, request),
            request,
            sent: 0,
            may_replay: false,
            replay: None,
            upload_broken: false,
            answered: false,
            interim: 0,
            is_private: false,
            is_tied: false,
            body_until_ms: 0,
        }
    }

    /// The whole exchange but for its log line.
    pub(super) async fn run(&mut self) -> Done {
        let mut response = None;
        match self.attempt(&mut response).await {
            Ok(Outcome::Answered(next)) => Done::Next(next),
            Ok(Outcome::Upgraded(link)) => Done::Upgraded(link, response),
            Err(failure) => Done::Next(self.fail(failure).await),
        }
    }

    /// Notes what was sent; the log line is still to be written.
    pub(super) fn conclude(self) -> InUse {
        let body = self.request.upload.as_ref().map_or(self.body_bytes, Flow::passed_bytes);
        self.trace.bytes_from_client = self.trace.bytes_from_client.saturating_add(body);
        self.in_use
    }

    /// Gets a connection, sends the request, and passes the answer on.
    async fn attempt(&mut self, response: &mut Option<Buffer>) -> Result<Outcome, Failure> {
        let mut wish = self.request.wish;
        wish.server = wish.server.or_else(|| self.own_server());
        let slot = tcp::slot_for(self.session, &self.request.backend, &wish, false, self.trace).await;
        let slot = slot.ok_or(Failure::NoServer)?;
        if let Some(end) = self.redirected(&slot) {
            return Err(Failure::Rule(end));
        }
        let mut link = self.link(slot).await?;
        let mut answer = Answer::default();
        loop {
            let failure = match self.await_head(&link, response, &mut answer).await {
                Ok(Wait::Head) => break,
                Ok(Wait::Stale) => None,
                Err(failure) => Some(failure.seen_of(&link.slot)),
            };
            // Boxed: it is rare, and much larger than what goes on.
            link = Box::pin(self.try_again(link, failure, response)).await?;
        }
        self.may_replay = false;
        self.armed = 0;
        self.replay = None;
        self.trace.timers.response = self.since_connect();
        self.trace.log_early(self.session, true, answer.out.len());
        if answer.tunnel {
            self.answered = true;
            self.send_to_client(&mut answer.out).await?;
            return Ok(Outcome::Upgraded(link));
        }
        let passed = self.pass_answer(&mut answer, &link, response).await;
        let reusable = passed.map_err(|failure| failure.seen_of(&link.slot))?;
        Ok(Outcome::Answered(self.finish(link, reusable, answer.keep_alive)))
    }

    /// `redir` of a server: GET and HEAD are answered in its place.
    pub(super) fn redirected(&self, slot: &Slot) -> Option<End> {
        let to = slot.server().config.redirect.as_deref()?;
        let mut words = self.request.out.bytes().split(|byte| *byte == b' ');
        if !matches!(words.next()?, b"GET" | b"HEAD") {
            return None;
        }
        let target = words.next()?;
        let path = target.get(path_of(target).0..).filter(|path| path.starts_with(b"/"))?;
        let to = if to == "/" { "" } else { to };
        let location = [to.as_bytes(), path].concat();
        let bytes = compose(302, &[(b"Cache-Control", b"no-cache"), (b"Location", &location)], b"");
        Some(Ending::answer(302, bytes, (b'L', b'C'), false))
    }

    /// Turns a failure into an answer, where one can still be given.
    async fn fail(&mut self, failure: Failure) -> Next {
        let (status, who, phase) = match failure {
            Failure::Status(status, who, phase) => (status, who, phase),
            Failure::Silent(who, phase) => {
                self.trace.end(who, phase);
                return Next::Close;
            }
            // Kept from the client only while there is another attempt.
            Failure::Again(_) => (502, b'S', b'H'),
            // The request was understood and its server answered: the times say so.
            Failure::Rule(end) if matches!(*end, Ending::Drop { .. }) => {
                self.trace.end(b'P', b'R');
                self.session.client.drop_silently();
                return Next::Close;
            }
            Failure::Rule(end) => {
                let method = if self.request.to_head { Method::Head } else { Method::Get };
                let facts = RequestFacts { method, ..self.request.facts };
                let may_stay = self.request.upload.is_none() && self.request.keep_alive;
                return end_by_rule(self.session, end, facts, may_stay, self.trace).await;
            }
            Failure::NoServer => {
                let [who, phase, ..] = self.trace.termination;
                if who == b'C' {
                    return Next::Close;
                }
                (503, who, phase)
            }
        };
        self.trace.end(who, phase);
        if self.answered {
            return Next::Close;
        }
        // The fault is the server's, and the whole request was read: the client may go on.
        let whole = self.request.upload.is_none() && status >= 500;
        let keep_alive = whole && self.request.keep_alive && self.request.facts.version == Version::Http11;
        answer::send(self.session, status, self.request.to_head, keep_alive, self.trace).await
    }

    fn since_connect(&self) -> i32 {
        let timers = &self.trace.timers;
        let before = since_wait(self.session, self.trace);
        before.saturating_sub(timers.connect.max(0))
    }

    /// Sends the rest of the request and reads until a final answer's head is there; interim answers (1xx)
    /// are passed on.
    async fn await_head(
        &mut self,
        link: &Link,
        response: &mut Option<Buffer>,
        answer: &mut Answer,
    ) -> Result<Wait, Failure> {
        self.set_wait_timeout();
        loop {
            let session = self.session;
            let result = session.deadline.within(|context| self.poll_answer(context, link, response)).await;
            let len = match result {
                Ok(Ok(Ok(len))) => len,
                Ok(Ok(Err(_))) => 0,
                Ok(Err(failure)) => return Err(failure),
                Err(Expired) => return Err(self.waited_too_long()),
            };
            if len == 0 && self.body_until_ms > 0 {
                // All that there is of the body: its rules can run.
                self.body_until_ms = u64::MAX;
            } else if len == 0 {
                let nothing_came = response.is_none() && self.trace.bytes_to_client == 0;
                if link.carried > 0 && nothing_came && self.upload_untouched() {
                    return Ok(Wait::Stale);
                }
                return Err(Failure::Status(502, b'S', b'H'));
            }
            loop {
                match self.read_head(response, answer)? {
                    Found::Final => return Ok(Wait::Head),
                    Found::Interim if answer.out.is_empty() => {}
                    Found::Interim => {
                        self.send_to_client(&mut answer.out).await?;
                        answer.out.release();
                    }
                    Found::Part => break,
                }
            }
        }
    }

    /// Whether no byte of the body beyond the first write has gone to the server.
    fn upload_untouched(&self) -> bool {
        self.request.upload.as_ref().is_none_or(|upload| upload.passed_bytes() == self.upload_start)
    }

    /// Moves the request on, and is ready when bytes of the answer have come (0 = the end), or not at all.
    fn poll_answer(
        &mut self,
        context: &mut Context<'_>,
        link: &Link,
        response: &mut Option<Buffer>,
    ) -> Poll<Result<io::Result<usize>, Failure>> {
        let mut moved = false;
        if let Err(failure) = self.poll_request(context, &link.stream, &mut moved) {
            return Poll::Ready(Err(failure));
        }
        if moved {
            self.set_wait_timeout();
        }
        if self.request.backend.config.queues.abort_on_close && self.is_abandoned(context) {
            return Poll::Ready(Err(Failure::Status(400, b'C', b'H')));
        }
        link.stream.poll_fill(context, response).map(Ok)
    }

    /// Sends what is to be sent of the request. An error of the server's side is not the end: it may have
    /// answered already (413, say), and the answer is still to be read.
    pub(super) fn poll_request(
        &mut self,
        context: &mut Context<'_>,
        server: &Stream,
        moved: &mut bool,
    ) -> Result<(), Failure> {
        while !self.upload_broken && self.sent < self.request.out.len() {
            let bytes = self.request.out.bytes().get(self.sent..).unwrap_or_default();
            match server.poll_write(context, bytes, false) {
                Poll::Ready(Ok(len)) => self.sent += len,
                Poll::Ready(Err(_)) => self.upload_broken = true,
                Poll::Pending => return Ok(()),
            }
            *moved = true;
        }
        // Sent: the buffer goes back to the pool (a copy of its size is kept where it may be needed again).
        if self.sent > 0 && self.sent >= self.request.out.len() {
            if self.may_replay || self.armed != 0 {
                self.replay = Some(self.request.out.bytes().into());
            }
            self.request.out.release();
            self.sent = 0;
        }
        let Some(upload) = self.request.upload.as_mut().filter(|_| !self.upload_broken) else {
            return Ok(());
        };
        match upload.poll_move(context, &self.session.client, server, moved) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.body_bytes = upload.passed_bytes();
                *self.input = self.request.upload.take().and_then(Flow::into_rest);
                *moved = true;
                Ok(())
            }
            Poll::Ready(Err(FlowError::Sink(_))) => {
                self.upload_broken = true;
                Ok(())
            }
            Poll::Ready(Err(FlowError::Framing)) => Err(Failure::Status(400, b'P', b'D')),
            Poll::Ready(Err(FlowError::Source(_) | FlowError::Truncated)) => {
                Err(Failure::Status(400, b'C', b'D'))
            }
        }
    }

    /// While the client still owes us its body its timeout counts, then the server's.
    pub(super) fn set_wait_timeout(&self) {
        if (1..u64::MAX).contains(&self.body_until_ms) {
            let left_ms = self.body_until_ms.saturating_sub(self.session.reactor().now_ms());
            return self.session.deadline.set_after(left_ms.max(1));
        }
        let client_ms = self.session.frontend.config.timeouts.client_ms;
        let server_ms = self.request.backend.config.timeouts.server_ms;
        self.session.deadline.set_after(if self.waits_for_client() { client_ms } else { server_ms });
    }

    fn waits_for_client(&self) -> bool {
        !self.upload_broken
            && self.sent >= self.request.out.len()
            && self.request.upload.as_ref().is_some_and(|upload| upload.waiting() == Waiting::Source)
    }

    fn waited_too_long(&self) -> Failure {
        if self.body_until_ms > 0 {
            Failure::Status(504, b's', b'R')
        } else if self.waits_for_client() {
            Failure::Status(408, b'c', b'D')
        } else {
            Failure::Status(504, b's', b'H')
        }
    }
}
