//! Answers that rules and error pages give.

use super::super::Session;
use super::super::fill::fill;
use super::super::world::Scene;
use super::rules::{End, Ending};
use crate::backend::Backend;
use crate::config::{ErrorPage, Reply, ReplyBody, Target};
use crate::http::answer::{compose, has_page};
use crate::rules::View;

/// The page that the configuration has for a status.
pub(super) fn configured<'a>(
    session: &'a Session,
    backend: Option<&'a Backend>,
    status: u16,
) -> Option<&'a ErrorPage> {
    let find =
        |list: &'a [(u16, ErrorPage)]| list.iter().find(|(known, _)| *known == status).map(|(_, page)| page);
    backend.and_then(|b| find(&b.config.errors)).or_else(|| find(&session.frontend.config.errors))
}

/// A request's end by a rule's answer.
pub(super) fn replied(scene: &Scene<'_>, reply: &Reply, view: &View<'_>, termination: (u8, u8)) -> End {
    let tarpit = termination.1 == b'T';
    match composed(scene, reply, view) {
        None => Ending::drop(false, tarpit),
        Some(bytes) => {
            Box::new(Ending::Answer { status: reply.status, bytes, termination, keep_alive: true, tarpit })
        }
    }
}

/// The whole answer of a rule; empty where the page of its status is meant, `None` where nothing is to be said.
fn composed(scene: &Scene<'_>, reply: &Reply, view: &View<'_>) -> Option<Vec<u8>> {
    let status = reply.status;
    let whole = |page: &[u8]| (!page.is_empty()).then(|| page.to_vec());
    match &reply.body {
        // A page can take no further fields; what has none gets an empty body.
        ReplyBody::Page if reply.headers.is_empty() => match configured(scene.session, scene.backend, status)
        {
            // Here the request can still be seen.
            Some(ErrorPage::Made(reply)) => Some(made(reply, view)),
            Some(ErrorPage::Whole(page)) => whole(page),
            None if has_page(status) => Some(Vec::new()),
            None => Some(made(reply, view)),
        },
        ReplyBody::Whole(page) => whole(page),
        ReplyBody::Pages(id) => match scene.session.frontend.shared.references.get(id.0) {
            Some(Target::Pages(pages)) => match pages.iter().find(|(known, _)| *known == status) {
                Some((_, page)) => whole(page),
                None => Some(made(reply, view)),
            },
            _ => Some(made(reply, view)),
        },
        _ => Some(made(reply, view)),
    }
}

/// An answer made of its parts.
pub(super) fn made(reply: &Reply, view: &View<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    let body: &[u8] = match &reply.body {
        ReplyBody::Page | ReplyBody::Empty | ReplyBody::Whole(_) | ReplyBody::Pages(_) => b"",
        ReplyBody::Bytes(bytes) => bytes,
        ReplyBody::Format(format) => {
            fill(format, view, &mut text);
            &text
        }
    };
    let mut values = Vec::with_capacity(reply.headers.len());
    for (name, format) in &reply.headers {
        let mut value = Vec::new();
        fill(format, view, &mut value);
        value.retain(|&b| b == b'\t' || b >= b' ' && b != 0x7f);
        // As in HAProxy a field without a value is left out.
        if !value.is_empty() {
            values.push((name, value));
        }
    }
    let mut fields: Vec<(&[u8], &[u8])> = Vec::with_capacity(values.len() + 1);
    if let Some(kind) = reply.content_type.as_ref().filter(|_| !body.is_empty()) {
        fields.push((b"Content-Type", kind.as_bytes()));
    } else if matches!(reply.body, ReplyBody::Bytes(_) | ReplyBody::Format(_)) {
        fields.push((b"Content-Type", b"text/plain"));
    }
    for (name, value) in &values {
        fields.push((name.as_bytes(), value));
    }
    compose(reply.status, &fields, body)
}
