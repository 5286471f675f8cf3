//! Choosing by the first bytes, in any segmentation: "not yet" reads on.

use super::Session;
use super::tcp_rules::Ruling;
use super::world::Scene;
use crate::backend::Backend;
use crate::config::BackendId;
use crate::net::Buffer;
use crate::reactor::Expired;
use crate::rules::{Choice, Seen, choose_backend};

/// What the first bytes came to.
pub(super) enum Sniffed {
    /// Carry it to this backend; `None` when no rule matched and there is no default.
    Chosen(Option<BackendId>),
    /// `tcp-request content` says no.
    Rejected(Ruling),
    /// The client went away first, or broke off.
    Ended {
        /// Whether it had sent anything.
        sent_something: bool,
        /// Who ended it, for the termination state.
        who: u8,
    },
}

/// Reads until the rules can tell, until the inspect delay is over, the input ends, or the buffer is full;
/// from then on what is undecided is taken as "no" (configuration §4.2, "tcp-request inspect-delay"). With a `backend` its
/// rules are asked, and it is what comes out.
pub(super) async fn sniff(
    session: &Session,
    backend: Option<&Backend>,
    buffer: &mut Option<Buffer>,
) -> Sniffed {
    let delay_ms = match backend {
        None => session.frontend.config.tcp.request_delay_ms,
        Some(backend) => backend.config.tcp.request_delay_ms,
    };
    let mut is_final = delay_ms.is_none();
    session.deadline.set_after(delay_ms.unwrap_or(0));
    loop {
        let bytes = buffer.as_ref().map(Buffer::bytes).unwrap_or_default();
        if let Some(sniffed) = decide(session, backend, bytes, is_final) {
            return sniffed;
        }
        match session.deadline.within(|context| session.client.poll_fill(context, buffer)).await {
            Err(Expired) => is_final = true,
            Ok(Ok(0)) if buffer.is_none() && backend.is_none() && !waits_without_input(session) => {
                return Sniffed::Ended { sent_something: false, who: b'C' };
            }
            Ok(Ok(0)) => is_final = true,
            Ok(Ok(_)) => {
                session.note_first_byte();
                is_final = buffer.as_mut().is_some_and(|buffer| buffer.room().is_empty());
            }
            Ok(Err(_)) => return Sniffed::Ended { sent_something: buffer.is_some(), who: b'C' },
        }
    }
}

/// What the rules say; `None` = not yet.
fn decide(session: &Session, backend: Option<&Backend>, bytes: &[u8], is_final: bool) -> Option<Sniffed> {
    let frontend = &session.frontend.config;
    let scene = Scene { backend, ..Scene::of(session) };
    let view = Seen::new(bytes, is_final).within(&scene);
    let (rules, acls) = match backend {
        None => (&frontend.tcp.request, &frontend.acls),
        Some(backend) => (&backend.config.tcp.request, &backend.config.acls),
    };
    match scene.ruling(rules, acls, &view) {
        Ruling::NotYet if !is_final => return None,
        Ruling::Accept | Ruling::NotYet => {}
        no => return Some(Sniffed::Rejected(no)),
    }
    if backend.is_some() {
        return Some(Sniffed::Chosen(None));
    }
    match choose_backend(frontend, &view) {
        Choice::Backend(id) => Some(Sniffed::Chosen(Some(id))),
        Choice::None => Some(Sniffed::Chosen(None)),
        // Rules leave nothing undecided on a final view; should one ever, the default is better than a wait
        // that nothing ends.
        Choice::NotYet if is_final => Some(Sniffed::Chosen(frontend.default_backend)),
        Choice::NotYet => None,
    }
}

/// A client that says nothing and closes its side may still want to listen: to a server that speaks first.
/// An HTTP backend has nothing to say to it.
fn waits_without_input(session: &Session) -> bool {
    let frontend = &session.frontend;
    let default = frontend.config.default_backend.and_then(|id| frontend.backend(id));
    default.is_some_and(|backend| backend.config.mode == crate::config::Mode::Tcp)
}
