//! What rules look at: the bytes of a request so far, and their HTTP head, parsed at most once.

use crate::http::{HeadError, RequestHead, parse_request};
use std::cell::OnceCell;

/// The bytes a client has sent so far.
#[derive(Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    is_final: bool,
    given: Option<&'a RequestHead>,
    /// Filled in by the first fetch that needs it. In place rather than boxed: no rule allocates.
    parsed: OnceCell<Result<Option<RequestHead>, HeadError>>,
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
        Self { bytes, is_final, given: None, parsed: OnceCell::new() }
    }

    /// A request whose head is parsed already; `head` was parsed from `bytes`. The view is final: an HTTP
    /// session decides by the head, never by what may follow.
    #[must_use]
    pub fn with_head(bytes: &'a [u8], head: &'a RequestHead) -> Self {
        Self { bytes, is_final: true, given: Some(head), parsed: OnceCell::new() }
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
        match self.parsed.get_or_init(|| parse_request(self.bytes)) {
            Ok(Some(head)) => Head::Whole(head),
            Ok(None) if !self.is_final => Head::NotYet,
            Ok(None) | Err(_) => Head::None,
        }
    }
}
