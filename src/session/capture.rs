//! What is kept of messages for the log: headers, a cookie (configuration §4.2, "capture …").

use super::Session;
use crate::config::{Capture, Side};
use crate::http::cookies::Cookie;
use crate::http::head::{Fields, values};
use crate::http::{RequestHead, ResponseHead};

/// The kept texts, in the order of the `capture` lines.
#[derive(Default)]
pub(super) struct Captured {
    pub request: Vec<Option<Box<[u8]>>>,
    pub response: Vec<Option<Box<[u8]>>>,
    /// Of the request and of the answer, as `name=value`.
    pub cookies: [Option<Box<[u8]>>; 2],
}

impl Session {
    /// Keeps what is wanted of a request, before any rule changes it; what the request before left is gone.
    pub(super) fn capture_request(&self, head: &RequestHead, bytes: &[u8]) {
        let wanted = &self.frontend.config.captures;
        if wanted.is_empty() {
            return;
        }
        let captured = &mut self.extra().captured;
        // What rules for the first bytes have kept stays.
        captured.request.resize_with(wanted.request.len(), || None);
        captured.response.clear();
        captured.response.resize_with(wanted.response.len(), || None);
        keep_all(&mut captured.request, &wanted.request, (&head.fields, bytes));
        captured.cookies = [None, None];
    }

    /// Keeps what is wanted of an answer.
    pub(super) fn capture_response(&self, head: &ResponseHead, bytes: &[u8]) {
        let wanted = &self.frontend.config.captures;
        if wanted.response.is_empty() {
            return;
        }
        let captured = &mut self.extra().captured;
        keep_all(&mut captured.response, &wanted.response, (&head.fields, bytes));
    }

    /// Keeps a cookie whose text `name=value` begins as wanted; true where it does.
    pub(super) fn capture_cookie(&self, side: Side, cookie: Cookie<'_>) -> bool {
        let wanted = &self.frontend.config.captures.cookie;
        if wanted.name.is_empty() {
            return false;
        }
        let pieces = [cookie.name, b"=", cookie.value];
        let found = pieces.into_iter().flatten().take(wanted.name.len()).eq(wanted.name.as_bytes());
        if found {
            let text = pieces.concat();
            let [client, server] = &mut self.extra().captured.cookies;
            *(if side == Side::Request { client } else { server }) = keep(wanted, Some(&text));
        }
        found
    }

    /// Fills a slot: `http-request capture`, `http-response capture`.
    pub(super) fn capture(&self, side: Side, slot: usize, text: &[u8]) {
        let wanted = &self.frontend.config.captures;
        let captured = &mut self.extra().captured;
        let (slots, wanted) = match side {
            Side::Request => (&mut captured.request, &wanted.request),
            Side::Response => (&mut captured.response, &wanted.response),
        };
        slots.resize_with(wanted.len(), || None);
        if let (Some(slot), Some(wanted)) = (slots.get_mut(slot), wanted.get(slot)) {
            *slot = Some(cut(text, wanted.len_bytes).into());
        }
    }
}

/// Keeps the last value of each field, where there is one.
fn keep_all(slots: &mut [Option<Box<[u8]>>], wanted: &[Capture], (fields, bytes): (&Fields, &[u8])) {
    for (slot, capture) in slots.iter_mut().zip(wanted) {
        if let found @ Some(_) = keep(capture, values(fields, bytes, &capture.name).last()) {
            *slot = found;
        }
    }
}

fn cut(text: &[u8], len: usize) -> &[u8] {
    text.get(..len).unwrap_or(text)
}

fn keep(capture: &Capture, value: Option<&[u8]>) -> Option<Box<[u8]>> {
    value.map(|value| cut(value, capture.len_bytes).into())
}
