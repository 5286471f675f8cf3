//! One request and its answer: a server connection, the request sent, the answer passed on, both bodies
//! streamed side by side.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::super::Session;
use super::super::relay::{Flow, FlowError, Waiting};
use super::super::tcp::{self, since_wait};
use super::super::trace::{InUse, Trace};
use super::prepare::{Prepared, Request, is_idempotent, prepare};
use super::{Next, answer};
use crate::backend::{Connected, Slot, connect};
use crate::config::ConnectionMode;
use crate::http::{After, Method, ResponseHead, Version, parse_response, write_response};
use crate::net::{Buffer, Stream};
use crate::reactor::Expired;

/// Interim answers (1xx) that a server may send before the final one.
const INTERIM_MAX: u32 = 64;

/// Handles the request whose whole head stands at the front of `input`.
pub(super) async fn handle(
    session: &Session,
    input: &mut Option<Buffer>,
    nth: u32,
    mut trace: Trace,
) -> Next {
    trace.timers.request = trace.elapsed_ms(session);
    let next = match prepare(session, input, &mut trace) {
        Prepared::Send(request) => {
            let _in_use = InUse::new(request.backend.clone());
            let mut exchange = Exchange::new(session, request, input, nth, &mut trace);
            exchange.run().await
        }
        Prepared::Tunnel(backend) => {
            let tunnel = Box::pin(tcp::run(session, backend, input.take(), &mut trace));
            tunnel.await;
            if trace.timers.connect < 0 {
                answer::refuse(session, 503, &mut trace).await;
            }
            Next::Close
        }
        Prepared::Refuse { status, termination: (who, phase) } => {
            if who == b'P' {
                trace.timers.request = -1;
            }
            trace.end(who, phase);
            answer::refuse(session, status, &mut trace).await;
            Next::Close
        }
    };
    trace.log(session, true);
    next
}

/// Why an exchange ends without a server's (whole) answer.
pub(super) enum Failure {
    /// Answer with this status, if nothing of an answer was sent yet; who and phase for the log.
    Status(u16, u8, u8),
    /// Close without a word: the client is gone, or it may try again by itself.
    Silent(u8, u8),
    /// No server; `trace` knows why.
    NoServer,
}

/// What was found where the answer should begin.
enum Wait {
    /// A whole head.
    Head(Box<ResponseHead>),
    /// A used connection ended before a byte of an answer came.
    Stale,
}

/// A connection to the server, and whether it has been used before.
pub(super) struct Link {
    pub stream: Stream,
    pub slot: Slot,
    pub reused: bool,
}

/// One request under way.
pub(super) struct Exchange<'a> {
    pub session: &'a Session,
    pub trace: &'a mut Trace,
    pub input: &'a mut Option<Buffer>,
    pub nth: u32,
    pub request: Request,
    /// How much of `request.out` has been sent.
    pub sent: usize,
    /// The same bytes in a box of their size, while a used connection may turn out to be stale.
    pub replay: Option<Box<[u8]>>,
    /// The server takes no more of the body, but may still answer.
    pub upload_broken: bool,
    /// Bytes of the body that went into `request.out` with the head.
    pub upload_start: u64,
    /// Any part of the final answer has been sent to the client.
    pub answered: bool,
    /// Interim answers (1xx) so far.
    pub interim: u32,
    /// The server has tied who the client is to the connection: nobody else may get it.
    pub is_private: bool,
}

impl<'a> Exchange<'a> {
    fn new(
        session: &'a Session,
        request: Request,
        input: &'a mut Option<Buffer>,
        nth: u32,
        trace: &'a mut Trace,
    ) -> Self {
        let upload_start = request.upload.as_ref().map_or(0, Flow::passed_bytes);
        Self {
            session,
            trace,
            input,
            nth,
            request,
            sent: 0,
            replay: None,
            upload_broken: false,
            upload_start,
            answered: false,
            interim: 0,
            is_private: false,
        }
    }

    async fn run(&mut self) -> Next {
        match self.attempt().await {
            Ok(next) => next,
            Err(failure) => self.fail(failure).await,
        }
    }

    /// Gets a connection, sends the request, and passes the answer on.
    async fn attempt(&mut self) -> Result<Next, Failure> {
        let backend = self.request.backend.clone();
        let slot = tcp::slot_for(self.session, &backend, self.trace).await.ok_or(Failure::NoServer)?;
        let mut link = self.link(slot).await?;
        let mut response = None;
        let head = loop {
            match self.await_head(&link, &mut response).await? {
                Wait::Head(head) => break head,
                Wait::Stale => link = self.replace(link).await?,
            }
        };
        self.replay = None;
        self.trace.timers.response = self.since_connect();
        self.trace.status = i16::try_from(head.status).unwrap_or(-1);
        if head.tunnel {
            return self.switch_protocols(&head, link, response).await;
        }
        self.pass_answer(&head, link, response).await
    }

    /// Turns a failure into an answer, where one can still be given.
    async fn fail(&mut self, failure: Failure) -> Next {
        let (status, who, phase) = match failure {
            Failure::Status(status, who, phase) => (status, who, phase),
            Failure::Silent(who, phase) => {
                self.trace.end(who, phase);
                return Next::Close;
            }
            Failure::NoServer => {
                let [who, phase, ..] = self.trace.termination;
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
        let head_only = self.request.facts.method == Method::Head;
        answer::send(self.session, status, head_only, keep_alive, self.trace).await
    }

    /// An idle connection where one may be used, else a new one.
    ///
    /// An idle connection can be closed by the server in the moment we use it. A request that may be repeated
    /// is then sent again; another one gets an idle connection only when the client itself sent it on a used
    /// connection and so is ready for the same mishap (what HAProxy's manual calls `http-reuse safe`).
    async fn link(&mut self, slot: Slot) -> Result<Link, Failure> {
        let reusable = self.may_share() && !self.request.upgrade;
        if reusable
            && (self.may_repeat() || self.nth > 0)
            && let Some(stream) = slot.server().take_idle()
        {
            if self.may_repeat() {
                self.replay = Some(self.request.out.bytes().into());
            }
            self.trace.timers.connect = 0;
            return Ok(Link { stream, slot, reused: true });
        }
        self.new_link(slot).await
    }

    /// Whether server connections serve more than one request.
    pub(super) fn may_share(&self) -> bool {
        let backend = &self.request.backend;
        // A server without a port of its own is another one for each port the client comes to.
        self.request.connection == ConnectionMode::KeepAlive
            && backend.config.http.reuse
            && !backend.needs_local_port()
    }

    /// Whether sending the request a second time does no harm, and all of it is still at hand.
    fn may_repeat(&self) -> bool {
        self.request.upload.is_none() && is_idempotent(self.request.facts)
    }

    async fn new_link(&mut self, slot: Slot) -> Result<Link, Failure> {
        let session = self.session;
        let local = session.local_for(slot.backend());
        // Out of our hands while it is being sent from: `self` is not borrowed across the wait.
        let result = connect(slot, self.request.out.bytes(), local, &session.deadline).await;
        match result {
            Ok(Connected { stream, sent, slot, retries }) => {
                self.sent = sent;
                self.trace.chose(&slot);
                self.trace.retries = retries;
                self.trace.timers.connect = since_wait(session, self.trace);
                Ok(Link { stream, slot, reused: false })
            }
            Err(error) => {
                tcp::note_failure(&error, self.trace);
                Err(Failure::NoServer)
            }
        }
    }

    /// The server had closed the idle connection: the same request again, on a new one.
    async fn replace(&mut self, stale: Link) -> Result<Link, Failure> {
        let Link { slot, stream, .. } = stale;
        drop(stream);
        let Some(bytes) = self.replay.take() else {
            // Not ours to repeat. The client sees its connection close without an answer, and knows what to do.
            return Err(Failure::Silent(b'S', b'H'));
        };
        self.request.out = Buffer::take();
        self.request.out.append(&bytes);
        self.sent = 0;
        self.upload_broken = false;
        self.new_link(slot).await
    }

    fn since_connect(&self) -> i32 {
        let timers = &self.trace.timers;
        let before = since_wait(self.session, self.trace);
        before.saturating_sub(timers.connect.max(0))
    }

    /// Sends the rest of the request and reads until a final answer's head is there; interim answers (1xx)
    /// are passed on.
    async fn await_head(&mut self, link: &Link, response: &mut Option<Buffer>) -> Result<Wait, Failure> {
        self.set_wait_timeout();
        loop {
            let session = self.session;
            let result =
                session.deadline.guard(poll_fn(|context| self.poll_answer(context, link, response))).await;
            let len = match result {
                Ok(Ok(Ok(len))) => len,
                Ok(Ok(Err(_))) => 0,
                Ok(Err(failure)) => return Err(failure),
                Err(Expired) => return Err(self.waited_too_long()),
            };
            if len == 0 {
                let nothing_came = response.is_none() && self.trace.bytes_to_client == 0;
                if link.reused && nothing_came && self.upload_untouched() {
                    return Ok(Wait::Stale);
                }
                return Err(Failure::Status(502, b'S', b'H'));
            }
            if let Some(head) = self.read_head(response).await? {
                return Ok(Wait::Head(head));
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
            self.request.out.release();
            self.sent = 0;
        }
        let Some(upload) = self.request.upload.as_mut().filter(|_| !self.upload_broken) else {
            return Ok(());
        };
        match upload.poll_move(context, &self.session.client, server, moved) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
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
        if self.waits_for_client() {
            Failure::Status(408, b'c', b'D')
        } else {
            Failure::Status(504, b's', b'H')
        }
    }

    /// Reads the head of an answer, if it is whole and final.
    async fn read_head(
        &mut self,
        response: &mut Option<Buffer>,
    ) -> Result<Option<Box<ResponseHead>>, Failure> {
        const BAD: Failure = Failure::Status(502, b'P', b'H');
        while let Some(buffer) = response {
            let head = match parse_response(buffer.bytes(), self.request.facts) {
                Ok(Some(head)) => head,
                Ok(None) => {
                    buffer.compact();
                    let too_long =
                        buffer.room().is_empty() || buffer.len() > self.session.frontend.head_bytes_max;
                    return if too_long { Err(BAD) } else { Ok(None) };
                }
                Err(_) => return Err(BAD),
            };
            let unasked = !self.request.upgrade || self.request.upload.is_some();
            if head.status == 101 && unasked {
                return Err(BAD);
            }
            if !head.is_interim() {
                return Ok(Some(Box::new(head)));
            }
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(BAD);
            }
            if self.request.facts.version == Version::Http11 {
                let mut out = Buffer::take();
                let edits = self.edits(After::KeepAlive);
                let len = write_response(&head, buffer.bytes(), &edits, out.room()).map_err(|_| BAD)?;
                out.filled(len);
                self.send_to_client(&mut out).await?;
            }
            buffer.consume(head.len);
            if buffer.is_empty() {
                *response = None;
            }
        }
        Ok(None)
    }
}
