//! What is kept of messages for the log: headers, a cookie (configuration §4.2, "capture …").

use super::Session;
use super::extra::Extra;
use crate::config::{Capture, Side};
use crate::http::cookies::Cookie;
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
        let mut extra = self.extra.borrow_mut();
        let captured = &mut extra.get_or_insert_default().captured;
        // What rules for the first bytes have kept stays.
        captured.request.resize_with(wanted.request.len(), || None);
        captured.response = wanted.response.iter().map(|_| None).collect();
        for (slot, capture) in captured.request.iter_mut().zip(&wanted.request) {
            let found = keep(capture, head.values(bytes, &capture.name).last());
            if found.is_some() {
                *slot = found;
            }
        }
        captured.cookies = [None, None];
    }

    /// Keeps what is wanted of an answer.
    pub(super) fn capture_response(&self, head: &ResponseHead, bytes: &[u8]) {
        let wanted = &self.frontend.config.captures;
        if wanted.response.is_empty() {
            return;
        }
        let mut extra = self.extra.borrow_mut();
        let captured = &mut extra.get_or_insert_default().captured;
        for (slot, capture) in captured.response.iter_mut().zip(&wanted.response) {
            let found = keep(capture, head.values(bytes, &capture.name).last());
            if found.is_some() {
                *slot = found;
            }
        }
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
            let mut extra = self.extra.borrow_mut();
            let [client, server] = &mut extra.get_or_insert_default().captured.cookies;
            *(if side == Side::Request { client } else { server }) = keep(wanted, Some(&text));
        }
        found
    }

    /// Fills a slot: `http-request capture`, `http-response capture`.
    pub(super) fn capture(&self, side: Side, slot: usize, text: &[u8]) {
        let wanted = &self.frontend.config.captures;
        let mut extra = self.extra.borrow_mut();
        let Extra { captured, .. } = &mut **extra.get_or_insert_default();
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

fn cut(text: &[u8], len: usize) -> &[u8] {
    text.get(..len).unwrap_or(text)
}

fn keep(capture: &Capture, value: Option<&[u8]>) -> Option<Box<[u8]>> {
    value.map(|value| cut(value, capture.len_bytes).into())
}
