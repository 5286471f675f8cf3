//! Answers of our own, in place of a server's.

use super::super::Session;
use super::super::trace::Trace;
use super::super::world::Scene;
use std::rc::Rc;

use super::Next;
use super::replies::{configured, made};
use super::rules::Response;
use crate::backend::Backend;
use crate::config::ErrorPage;
use crate::http::{
    After, Method, RequestFacts, ResponseEdits, Version, answer, parse_response, write_response,
};
use crate::net::Buffer;
use crate::rules::Seen;

/// Sends an error page; what follows is a close that lets the client read it.
pub(super) async fn refuse(session: &Session, status: u16, trace: &mut Trace) -> Next {
    send(session, status, false, false, trace).await
}

/// Sends an error page, its head alone where `head_only` (HEAD). With `keep_alive` the connection stays open.
pub(super) async fn send(
    session: &Session,
    status: u16,
    head_only: bool,
    keep_alive: bool,
    trace: &mut Trace,
) -> Next {
    let method = if head_only { Method::Head } else { Method::Get };
    let facts = RequestFacts { method, version: Version::Http11 };
    // Boxed: it is rare, and larger than what goes on.
    Box::pin(deliver(session, (status, Vec::new()), facts, keep_alive, trace)).await
}

/// The page that the configuration has for a status, else our own, which it then says.
fn page(session: &Session, status: u16, backend: Option<&Backend>) -> (Rc<[u8]>, bool) {
    match configured(session, backend, status) {
        Some(ErrorPage::Whole(page)) => (page.clone(), false),
        Some(ErrorPage::Made(reply)) => {
            let scene = Scene { backend, ..Scene::of(session) };
            (made(reply, &Seen::new(b"", true).within(&scene)).into(), false)
        }
        None => (Rc::from(answer(status)), true),
    }
}

/// Sends an answer of our own, changed by the rules for all answers; without bytes the page of its status.
pub(super) async fn deliver(
    session: &Session,
    (status, bytes): (u16, Vec<u8>),
    facts: RequestFacts,
    keep_alive: bool,
    trace: &mut Trace,
) -> Next {
    let backend = trace.backend.clone();
    let (whole, is_own): (Rc<[u8]>, bool) = match bytes.is_empty() {
        true => page(session, status, backend.as_deref()),
        false => (bytes.into(), false),
    };
    // A page can have another status of its own (`errorloc`): that is not told.
    trace.status = i16::try_from(status).unwrap_or(-1);
    if whole.is_empty() {
        // An empty error file: close without a word.
        return Next::Close;
    }
    let mut may_stay = keep_alive;
    let fate = (&mut may_stay, is_own);
    let Some((mut out, body_at)) = head(session, &whole, backend.as_deref(), facts, fate, trace) else {
        return Next::Close;
    };
    let mut body = match facts.method {
        Method::Head => &[],
        _ => whole.get(body_at..).unwrap_or_default(),
    };
    loop {
        let taken = out.append(body);
        body = body.get(taken..).unwrap_or_default();
        let len = out.len() as u64;
        session.deadline.set_after(session.frontend.config.timeouts.client_ms);
        let flushed = session.deadline.within(|context| session.client.poll_flush(context, &mut out)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            return Next::Close;
        }
        trace.bytes_to_client = trace.bytes_to_client.saturating_add(len);
        if body.is_empty() {
            return if may_stay { Next::Another } else { Next::CloseGently };
        }
    }
}

/// Writes the head of an answer of our own, and says where its body begins. No waiting in here: the head's index
/// is large.
fn head(
    session: &Session,
    whole: &[u8],
    backend: Option<&Backend>,
    facts: RequestFacts,
    (may_stay, is_own): (&mut bool, bool),
    trace: &mut Trace,
) -> Option<(Buffer, usize)> {
    let to = RequestFacts { method: Method::Get, version: Version::Http11 };
    let mut head = parse_response(whole, to).ok()??;
    // Our own pages say that they close, which concerns only those after which it must be so.
    *may_stay &= is_own || head.keep_alive;
    let (mut body_at, written) = (head.len, head.status);
    let mut told: &[(&str, &[u8])] = &[];
    let frontend = &session.frontend.config;
    let mut work =
        Response { session, backend, server: trace.server(), head: &mut head, bytes: whole, text: None };
    // The rules of a `listen` run once.
    if let Some(backend) = backend.filter(|b| !Rc::ptr_eq(&b.config.http_rules, &frontend.http_rules)) {
        // What cannot be changed stays: there is no answer beyond this one.
        let _ = work.run(&backend.config.http_rules.after, &backend.config.acls);
    }
    let _ = work.run(&frontend.http_rules.after, &frontend.acls);
    if work.head.status != written {
        trace.status = i16::try_from(work.head.status).unwrap_or(-1);
        if work.head.mend_status(written, facts.method == Method::Head) {
            told = &[("Content-Length", b"0")];
        }
    }
    if work.head.is_bodyless() {
        body_at = whole.len();
    }
    let after = if *may_stay { After::KeepAlive } else { After::Close };
    let edits = ResponseEdits { client: facts.version, after, add_fields: told };
    let mut out = Buffer::take();
    let len = write_response(work.head, work.head_bytes(), &edits, out.room()).ok()?;
    out.filled(len);
    Some((out, body_at))
}
