//! What rules look at: the bytes so far, and the request head in them.

use std::cell::OnceCell;

use crate::http::{HeadError, RequestHead, parse_request};

/// The first bytes of a connection, or one request of an HTTP session.
pub struct View<'a> {
    bytes: &'a [u8],
    is_final: bool,
    given: Option<&'a RequestHead>,
    /// Parsed when a rule asks for it, and only once.
    parsed: OnceCell<Result<Option<Box<RequestHead>>, HeadError>>,
}

/// What is known of the request head.
pub(super) enum Head<'a> {
    /// It is whole.
    Whole(&'a RequestHead),
    /// More bytes could complete it.
    Partial,
    /// The bytes are no HTTP request, or no more will come.
    Absent,
}

impl<'a> View<'a> {
    /// The bytes a connection began with. `is_final`: no more will be looked at (end of input, inspect delay
    /// over, buffer full), so nothing is "not yet" any more.
    pub fn new(bytes: &'a [u8], is_final: bool) -> Self {
        Self { bytes, is_final, given: None, parsed: OnceCell::new() }
    }

    /// A request whose head has been parsed already; `bytes` are those it was read from.
    pub fn with_head(bytes: &'a [u8], head: &'a RequestHead) -> Self {
        Self { bytes, is_final: true, given: Some(head), parsed: OnceCell::new() }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether nothing more will come.
    pub(super) fn is_final(&self) -> bool {
        self.is_final
    }

    /// The request head.
    pub(super) fn head(&self) -> Head<'_> {
        if let Some(head) = self.given {
            return Head::Whole(head);
        }
        match self.parsed.get_or_init(|| parse_request(self.bytes).map(|head| head.map(Box::new))) {
            Ok(Some(head)) => Head::Whole(head),
            Ok(None) if !self.is_final => Head::Partial,
            Ok(None) | Err(_) => Head::Absent,
        }
    }
}
