//! What rules look at: the bytes of a request so far, and their HTTP head, parsed at most once.

use super::world::{NOWHERE, World};
use crate::config::Side;
use crate::http::{RequestHead, ResponseHead, read_request};
use std::cell::{Cell, OnceCell};

/// The bytes a client has sent so far, and the gateway around them.
pub struct View<'a> {
    bytes: &'a [u8],
    is_final: bool,
    given: Option<&'a RequestHead>,
    /// Filled in by the first fetch that needs it, where the bytes are one. In place rather than boxed: no rule
    /// allocates.
    parsed: OnceCell<RequestHead>,
    /// Why there is none after that fetch: more bytes may make it one, or they cannot.
    lacking: Cell<Option<bool>>,
    response: Option<(&'a ResponseHead, &'a [u8])>,
    /// What a server has sent so far, where that is what rules look at.
    answer: Option<&'a [u8]>,
    /// The body's first bytes, where they do not stand behind the head.
    body: Option<&'a [u8]>,
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
    /// All bytes so far, from the first on. `is_final`: no more can be waited for (the inspect delay is over,
    /// the input has ended, the buffer is full), and every verdict is yes or no.
    #[must_use]
    pub fn new(bytes: &'a [u8], is_final: bool) -> Self {
        Self {
            bytes,
            is_final,
            given: None,
            parsed: OnceCell::new(),
            lacking: Cell::new(None),
            response: None,
            answer: None,
            body: None,
            world: &NOWHERE,
        }
    }

    /// A request whose head is parsed already; `head` was parsed from `bytes`. The view is final: an HTTP
    /// session decides by the head, never by what may follow.
    #[must_use]
    pub fn with_head(bytes: &'a [u8], head: &'a RequestHead) -> Self {
        Self { given: Some(head), ..Self::new(bytes, true) }
    }

    /// An answer, whose head was parsed from `bytes`. The request is over: only what was kept of it is known.
    #[must_use]
    pub fn of_response(bytes: &'a [u8], head: &'a ResponseHead) -> Self {
        Self { response: Some((head, bytes)), answer: Some(bytes), ..Self::new(&[], true) }
    }

    /// What a server has sent so far. The client's bytes are gone.
    #[must_use]
    pub fn of_answer(bytes: &'a [u8], is_final: bool) -> Self {
        Self { answer: Some(bytes), ..Self::new(&[], is_final) }
    }

    /// The bytes of a message so far; `None` where it is not what rules look at.
    pub(super) fn message(&self, side: Side) -> Option<&'a [u8]> {
        match side {
            Side::Request if self.answer.is_none() => Some(self.bytes),
            Side::Request => None,
            Side::Response => self.answer,
        }
    }

    /// The same with a body of its own, because the head was changed in a copy.
    #[must_use]
    pub fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// What stands behind this head: the beginning of the body, and perhaps of the next request.
    pub(super) fn body(&self, head: &RequestHead) -> &'a [u8] {
        self.body.unwrap_or_else(|| self.bytes.get(head.len..).unwrap_or_default())
    }

    /// The same within a gateway.
    #[must_use]
    pub fn within(mut self, world: &'a dyn World) -> Self {
        self.world = world;
        self
    }

    /// The gateway.
    #[must_use]
    pub fn world(&self) -> &'a dyn World {
        self.world
    }

    /// The answer's head, and the bytes it was parsed from.
    #[must_use]
    pub fn response(&self) -> Option<(&'a ResponseHead, &'a [u8])> {
        self.response
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether no more bytes can be waited for.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
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
        if let Some(head) = self.given {
            return Head::Whole(head);
        }
        if self.answer.is_some() {
            return Head::None;
        }
        match self.lacking.get() {
            Some(true) if !self.is_final => Head::NotYet,
            Some(_) => Head::None,
            None => self.parsed.get().map_or_else(|| self.parse(), Head::Whole),
        }
    }

    /// Does so for the first time. Most of what is sniffed is no request, so that only a whole head is moved.
    fn parse(&self) -> Head<'_> {
        let mut head = RequestHead::default();
        match read_request(self.bytes, &mut head) {
            Ok(true) => return Head::Whole(self.parsed.get_or_init(|| head)),
            Ok(false) => self.lacking.set(Some(true)),
            Err(_) => self.lacking.set(Some(false)),
        }
        self.http()
    }
}
