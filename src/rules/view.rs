//! What rules look at: the bytes of a request so far, and their HTTP head, parsed at most once.

use super::world::{NOWHERE, World};
use crate::config::Side;
use crate::http::{RequestHead, ResponseHead, read_request};
use std::cell::{Cell, OnceCell};

/// What rules look at, before they do.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    bytes: &'a [u8],
    is_final: bool,
    head: Option<&'a RequestHead>,
    response: Option<&'a ResponseHead>,
    /// What a server has sent so far, where that is what rules look at.
    answer: Option<&'a [u8]>,
    /// The body's first bytes, where they do not stand behind the head.
    body: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    /// All bytes so far, from the first on. `is_final`: no more can be waited for (the inspect delay is over,
    /// the input has ended, the buffer is full), and every verdict is yes or no.
    #[must_use]
    pub fn new(bytes: &'a [u8], is_final: bool) -> Self {
        Self { bytes, is_final, head: None, response: None, answer: None, body: None }
    }

    /// A request whose head is parsed already; `head` was parsed from `bytes`. The view is final: an HTTP
    /// session decides by the head, never by what may follow.
    #[must_use]
    pub fn with_head(bytes: &'a [u8], head: &'a RequestHead) -> Self {
        Self { head: Some(head), ..Self::new(bytes, true) }
    }

    /// An answer, whose head was parsed from `bytes`. The request is over: only what was kept of it is known.
    #[must_use]
    pub fn of_response(bytes: &'a [u8], head: &'a ResponseHead) -> Self {
        Self { response: Some(head), ..Self::of_answer(bytes, true) }
    }

    /// What a server has sent so far. The client's bytes are gone.
    #[must_use]
    pub fn of_answer(bytes: &'a [u8], is_final: bool) -> Self {
        Self { answer: Some(bytes), ..Self::new(&[], is_final) }
    }

    /// The same with a body of its own, because the head was changed in a copy.
    #[must_use]
    pub fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// The bytes of a client.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The view of it within a gateway. Large, so that it stays where it is made.
    #[inline(never)]
    #[must_use]
    pub fn within(self, world: &'a dyn World) -> View<'a> {
        View { seen: self, parsed: OnceCell::new(), lacking: Cell::new(None), world }
    }
}

/// The bytes a client has sent so far, and the gateway around them.
pub struct View<'a> {
    seen: Seen<'a>,
    /// Filled in by the first fetch that needs it, where the bytes are one. In place rather than boxed: no rule
    /// allocates.
    parsed: OnceCell<RequestHead>,
    /// Why there is none after that fetch: more bytes may make it one, or they cannot.
    lacking: Cell<Option<bool>>,
    world: &'a dyn World,
}

/// What the bytes are as HTTP.
pub(super) enum Head<'v> {
    /// A whole request head.
    Whole(&'v RequestHead),
    /// More bytes may make it one.
    NotYet,
    /// They cannot become one, or nothing more comes.
    None,
}

impl<'a> View<'a> {
    /// Of [`Seen::new`], where nothing else is known.
    #[must_use]
    pub fn new(bytes: &'a [u8], is_final: bool) -> Self {
        Seen::new(bytes, is_final).within(&NOWHERE)
    }

    /// Of [`Seen::with_head`], where nothing else is known.
    #[must_use]
    pub fn with_head(bytes: &'a [u8], head: &'a RequestHead) -> Self {
        Seen::with_head(bytes, head).within(&NOWHERE)
    }

    /// The bytes of a message so far; `None` where it is not what rules look at.
    pub(super) fn message(&self, side: Side) -> Option<&'a [u8]> {
        match side {
            Side::Request if self.seen.answer.is_none() => Some(self.seen.bytes),
            Side::Request => None,
            Side::Response => self.seen.answer,
        }
    }

    /// What stands behind this head: the beginning of the body, and perhaps of the next request.
    pub(super) fn body(&self, head: &RequestHead) -> &'a [u8] {
        self.seen.body.unwrap_or_else(|| self.seen.bytes.get(head.len..).unwrap_or_default())
    }

    /// The gateway.
    #[must_use]
    pub fn world(&self) -> &'a dyn World {
        self.world
    }

    /// The answer's head, and the bytes it was parsed from.
    #[must_use]
    pub fn response(&self) -> Option<(&'a ResponseHead, &'a [u8])> {
        self.seen.response.zip(self.seen.answer)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.seen.bytes
    }

    /// Whether no more bytes can be waited for.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.seen.is_final
    }

    /// The request head, if the bytes are one. It is parsed at the first call.
    #[must_use]
    pub fn head(&self) -> Option<&RequestHead> {
        match self.http() {
            Head::Whole(head) => Some(head),
            Head::NotYet | Head::None => None,
        }
    }

    pub(super) fn http(&self) -> Head<'_> {
        if let Some(head) = self.seen.head {
            return Head::Whole(head);
        }
        if self.seen.answer.is_some() {
            return Head::None;
        }
        match self.lacking.get() {
            Some(true) if !self.seen.is_final => Head::NotYet,
            Some(_) => Head::None,
            None => self.parsed.get().map_or_else(|| self.parse(), Head::Whole),
        }
    }

    /// Does so for the first time. Most of what is sniffed is no request, so that only a whole head is moved.
    fn parse(&self) -> Head<'_> {
        let mut head = RequestHead::default();
        match read_request(self.seen.bytes, &mut head) {
            Ok(true) => return Head::Whole(self.parsed.get_or_init(|| head)),
            Ok(false) => self.lacking.set(Some(true)),
            Err(_) => self.lacking.set(Some(false)),
        }
        self.http()
    }
}
