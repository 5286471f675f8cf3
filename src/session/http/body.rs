//! Waiting for a body before rules go on (`wait-for-body`, `option http-buffer-request`).

use super::super::Session;
use super::super::trace::Trace;
use super::super::world::Scene;
use super::exchange::Exchange;
use super::prepare::Paused;
use super::rules::Within;
use super::{Next, answer};
use crate::config::{HttpAction, HttpRule};
use crate::http::{ResponseHead, body_so_far};
use crate::net::Buffer;
use crate::reactor::{Expired, NEVER};
use crate::rules::{Seen, applies};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Reads until `at_least` bytes of the body are there, or all of it, or the buffer is full.
///
/// # Errors
/// What follows when they will not be: the client has its answer then.
pub(super) async fn wait(
    session: &Session,
    input: &mut Option<Buffer>,
    paused: &mut Paused,
    (within, at_least): (Within, usize),
    trace: &mut Trace,
) -> Result<(), Next> {
    let deadline = &session.deadline;
    match within {
        Within::Time(ms) => deadline.set_after(ms),
        Within::Request => deadline.set_at(match session.frontend.config.timeouts.http_request_ms {
            0 => NEVER,
            ms => trace.start_ms().saturating_add(ms),
        }),
    }
    let head_len = paused.head.len;
    if paused.head.expect_continue && input.as_ref().is_some_and(|buffer| buffer.len() <= head_len) {
        let mut out = Buffer::take();
        let len = out.append(CONTINUE);
        if !matches!(
            deadline.within(|context| session.client.poll_flush(context, &mut out)).await,
            Ok(Ok(()))
        ) {
            trace.end(b'C', b'R');
            return Err(Next::Close);
        }
        trace.bytes_to_client = trace.bytes_to_client.saturating_add(len as u64);
        paused.told_to_continue(session, input.as_ref().map(Buffer::bytes).unwrap_or_default());
    }
    loop {
        let Some(buffer) = input.as_mut() else { return Err(Next::Close) };
        let raw = buffer.bytes().get(head_len..).unwrap_or_default();
        let (data, whole) = body_so_far(paused.head.framing, raw);
        if whole || data.len() >= at_least {
            return Ok(());
        }
        drop(data);
        buffer.compact();
        if buffer.room().is_empty() {
            return Ok(());
        }
        match deadline.within(|context| session.client.poll_fill(context, input)).await {
            Ok(Ok(len)) if len > 0 => {}
            Ok(_) => {
                trace.end(b'C', b'R');
                return Err(Next::Close);
            }
            Err(Expired) => {
                trace.end(b'c', b'R');
                trace.timers.request = -1;
                return Err(answer::refuse(session, 408, trace).await);
            }
        }
    }
}

impl Exchange<'_> {
    /// Whether rules for answers wait for more of this one's body (`http-response wait-for-body`).
    pub(super) fn answer_lacks_body(&mut self, head: &ResponseHead, buffer: &Buffer) -> bool {
        let front = &self.session.frontend.config.http_rules.response;
        if front.is_empty() && self.request.backend.config.http_rules.response.is_empty() {
            return false;
        }
        let backend = self.request.backend.clone();
        let (back, front) = (&backend.config, &self.session.frontend.config);
        let waits = |rule: &&HttpRule| matches!(rule.action, HttpAction::WaitForBody { .. });
        let lists = [(&back.http_rules.response, &back.acls), (&front.http_rules.response, &front.acls)];
        if head.tunnel || lists.iter().all(|(rules, _)| !rules.iter().any(|rule| waits(&rule))) {
            return false;
        }
        let (data, whole) = body_so_far(head.framing, buffer.bytes().get(head.len..).unwrap_or_default());
        let is_full = buffer.len() >= buffer.capacity();
        if whole || is_full || self.body_until_ms == u64::MAX {
            return false;
        }
        let mut scene = Scene::of(self.session);
        (scene.backend, scene.server) = (Some(&*backend), self.trace.server());
        let view = Seen::of_response(buffer.bytes(), head).within(&scene);
        let wanted = lists.iter().flat_map(|(rules, acls)| {
            rules.iter().filter(waits).filter(|rule| applies(rule.condition.as_ref(), acls, &view))
        });
        let now_ms = self.session.reactor().now_ms();
        for rule in wanted {
            if let HttpAction::WaitForBody { time_ms, at_least } = rule.action
                && data.len() < at_least
            {
                if self.body_until_ms == 0 {
                    self.body_until_ms = now_ms.saturating_add(time_ms).max(1);
                    self.set_wait_timeout();
                }
                return true;
            }
        }
        // Enough for all of them: what else is to come has the server's timeout.
        if self.body_until_ms > 0 {
            self.body_until_ms = 0;
            self.set_wait_timeout();
        }
        false
    }
}
