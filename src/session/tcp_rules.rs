//! `tcp-request` and `tcp-response` rules at work (configuration §4.2).

use std::future::poll_fn;
use std::task::Poll;

use super::Session;
use super::http::rules::{Done, End, Ending, common, filled};
use super::sniff::{Sniffed, sniff};
use super::stick;
use super::trace::Trace;
use super::tunnel::Tunnel;
use super::world::Scene;
use crate::backend::Backend;
use crate::config::{Acl, HttpAction, HttpRule};
use crate::http::{RequestHead, ResponseHead};
use crate::net::{Buffer, Stream};
use crate::rules::{ContentVerdict, Seen, View, value, walk};

/// What rules say of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    Accept,
    /// More bytes are needed.
    NotYet,
    Reject,
    SilentDrop,
    /// The server's side ends.
    Close,
}

impl Scene<'_> {
    /// What `rules` say, and all that they do on the way: a rule that is looked at again is done again.
    pub(super) fn ruling(&self, rules: &[HttpRule], acls: &[Acl], view: &View<'_>) -> Ruling {
        let mut no = Ruling::Reject;
        let verdict = walk(rules, acls, view, &mut |action| match action {
            HttpAction::Close => {
                no = Ruling::Close;
                Some(ContentVerdict::Reject)
            }
            HttpAction::ExpectProxy => {
                self.session.expect_header();
                None
            }
            // HAProxy waits for what it shall keep; a variable takes what there is.
            HttpAction::Capture(_, _, expr) if !view.is_final() && !value(expr, view, &mut |_| ()) => {
                Some(ContentVerdict::NotYet)
            }
            action => match common(self, action, view, &filled(action, view)) {
                Some(Done::Stop) => Some(ContentVerdict::Accept),
                Some(Done::End(end)) => {
                    if matches!(*end, Ending::Drop { reset: true, .. }) {
                        no = Ruling::SilentDrop;
                    }
                    Some(ContentVerdict::Reject)
                }
                Some(Done::Next | Done::Strict(_)) | None => None,
            },
        });
        match verdict {
            ContentVerdict::Accept => Ruling::Accept,
            ContentVerdict::NotYet => Ruling::NotYet,
            ContentVerdict::Reject => no,
        }
    }
}

impl Session {
    /// `tcp-request connection` and `tcp-request session`: false when the connection is over, which nothing logs.
    pub(super) fn is_let_in(&self, rules: &[HttpRule]) -> bool {
        if rules.is_empty() {
            return true;
        }
        let scene = Scene::of(self);
        let view = Seen::new(&[], true).within(&scene);
        match scene.ruling(rules, &self.frontend.config.acls, &view) {
            Ruling::Accept | Ruling::NotYet => return true,
            Ruling::SilentDrop => self.client.drop_silently(),
            Ruling::Reject | Ruling::Close => self.client.reset_on_close(),
        }
        false
    }

    /// What a frontend's rules (or a backend's) say of a request. Its head is there: nothing is waited for.
    pub(super) fn ruling_on_request(
        &self,
        backend: Option<&Backend>,
        head: &RequestHead,
        bytes: &[u8],
    ) -> Result<(), End> {
        let frontend = &self.frontend.config;
        let (rules, acls) = match backend {
            None => (&frontend.tcp.request, &frontend.acls),
            Some(backend) => (&backend.config.tcp.request, &backend.config.acls),
        };
        // Rules that only accept change nothing about a request that has come.
        if rules.iter().all(|rule| matches!(rule.action, HttpAction::Allow)) {
            return Ok(());
        }
        let scene = Scene { backend, ..Scene::of(self) };
        let view = Seen::with_head(bytes, head).within(&scene);
        match scene.ruling(rules, acls, &view) {
            Ruling::Accept | Ruling::NotYet => Ok(()),
            no => Err(Ending::drop(no == Ruling::SilentDrop, false)),
        }
    }

    /// What a backend's rules say of an answer. Without an inspect delay they are asked before it comes, and so know
    /// nothing of it.
    pub(super) fn ruling_on_answer(&self, backend: &Backend, head: &ResponseHead, bytes: &[u8]) -> Ruling {
        let tcp = &backend.config.tcp;
        let scene = Scene { backend: Some(backend), ..Scene::of(self) };
        let seen = match tcp.response_delay_ms {
            Some(_) => Seen::of_response(bytes, head),
            None => Seen::of_answer(&[], true),
        };
        scene.ruling(&tcp.response, &backend.config.acls, &seen.within(&scene))
    }

    /// Ends a connection as rules want it.
    pub(super) fn end_by(&self, ruling: Ruling) {
        if ruling == Ruling::SilentDrop {
            self.client.drop_silently();
        }
    }

    /// Reads what has come already where nothing was read so far: a close with unread bytes would be a reset.
    pub(super) async fn read_what_came(&self, buffer: &mut Option<Buffer>) {
        poll_fn(|context| {
            if buffer.is_none() && self.client.poll_fill(context, buffer).is_ready() && buffer.is_some() {
                self.note_first_byte();
            }
            Poll::Ready(())
        })
        .await;
    }

    /// No line for a connection that sent nothing, where that is not wanted.
    pub(super) fn hush_if_null(&self, sent_something: bool) {
        if !sent_something && self.frontend.config.dont_log_null {
            self.set_log_level(super::extra::LogLevel::Silent);
        }
    }
}

/// The rules of a `mode tcp` backend, by what the client has sent; false when it ends the connection, as `trace` says.
pub(super) async fn lets_in(
    session: &Session,
    backend: &Backend,
    first: &mut Option<Buffer>,
    trace: &mut Trace,
) -> bool {
    match sniff(session, Some(backend), first).await {
        Sniffed::Chosen(_) => return true,
        Sniffed::Rejected(ruling) => {
            session.read_what_came(first).await;
            session.end_by(ruling);
            trace.end(b'P', b'R');
        }
        Sniffed::Ended { who, .. } => trace.end(who, b'R'),
    }
    session.hush_if_null(first.is_some());
    false
}

/// The rules of a `mode tcp` backend by the first bytes of its server, which are withheld meanwhile; false when they end
/// the connection, as `trace` says.
pub(super) async fn lets_out(
    session: &Session,
    backend: &Backend,
    server: &Stream,
    tunnel: &mut Tunnel,
    trace: &mut Trace,
) -> bool {
    let tcp = &backend.config.tcp;
    let scene = Scene { backend: Some(backend), server: trace.server(), ..Scene::of(session) };
    let mut ruling = Ruling::Accept;
    let decide = &mut |bytes: &[u8], is_final: bool| {
        let seen = Seen::of_answer(bytes, is_final);
        ruling = scene.ruling(&tcp.response, &backend.config.acls, &seen.within(&scene));
        let decided = ruling != Ruling::NotYet || is_final;
        let passes = matches!(ruling, Ruling::Accept | Ruling::NotYet);
        if decided && passes && !backend.config.sticks.is_empty() {
            stick::on_answer(session, backend, seen, trace.server());
        }
        decided
    };
    tunnel.withhold(&session.client, server, &session.deadline, tcp.response_delay_ms, decide).await;
    match ruling {
        Ruling::Accept | Ruling::NotYet => return true,
        Ruling::Close => {
            tunnel.end_server();
            return true;
        }
        Ruling::Reject => trace.end(b'P', b'D'),
        Ruling::SilentDrop => trace.end(b'P', b'R'),
    }
    session.end_by(ruling);
    let (up, down) = tunnel.so_far();
    trace.bytes_from_client = trace.bytes_from_client.saturating_add(up);
    trace.bytes_to_client = trace.bytes_to_client.saturating_add(down);
    false
}
