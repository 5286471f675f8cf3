//! A request that got no answer, or none that is wanted, and what of it may be sent again.

use std::task::Context;

use super::super::Session;
use super::super::tcp;
use super::exchange::{Exchange, Failure};
use super::link::Link;
use super::prepare::{Request, is_idempotent};
use crate::backend::{Slot, again};
use crate::config::retry_bit;
use crate::net::Buffer;

/// After which failures of its server's this request may be sent again: what `retry-on` says, where all of it is at
/// hand. Costs nothing where it says nothing.
pub(super) fn armed(session: &Session, request: &Request) -> u16 {
    match request.backend.config.queues.retries_answers() {
        0 => 0,
        reasons if request.upload.is_none() && !request.upgrade && !session.is_sent_once() => reasons,
        _ => 0,
    }
}

impl Exchange<'_> {
    /// Another attempt after this failure (`None` = the used connection had ended before a byte of an answer came),
    /// where there may be one.
    ///
    /// # Errors
    /// That failure where not; or what the attempt to connect came to.
    pub(super) async fn try_again(
        &mut self,
        failed: Link,
        failure: Option<Failure>,
        response: &mut Option<Buffer>,
    ) -> Result<Link, Failure> {
        let reason = match &failure {
            Some(Failure::Again(bit)) => *bit,
            None | Some(Failure::Status(502, b'S', b'H')) => const { retry_bit("empty-response") },
            Some(Failure::Status(502, b'P', b'H')) => const { retry_bit("junk-response") },
            Some(Failure::Status(504, b's', b'H')) => const { retry_bit("response-timeout") },
            Some(_) => 0,
        };
        let Link { slot, stream, .. } = failed;
        drop(stream);
        let slot = if self.is_to_be_repeated(reason) {
            *response = None;
            self.restore()?;
            self.body_until_ms = 0;
            self.next_slot(slot).await?
        } else if let Some(failure) = failure {
            return Err(failure.kept_of(&slot));
        } else if std::mem::take(&mut self.may_replay) {
            // The server had closed the idle connection: this is none of the `retries`.
            self.restore()?;
            slot
        } else {
            // Not ours to repeat. The client sees its connection close without an answer, and knows what to do.
            return Err(Failure::Silent(b'S', b'H'));
        };
        self.new_link(slot).await
    }

    /// Whether a failure for this reason leads to another attempt.
    pub(super) fn is_to_be_repeated(&self, reason: u16) -> bool {
        let retries = self.trace.course.retries.get();
        // Nothing may have reached the client, not even an interim answer.
        self.armed & reason != 0
            && retries < self.request.backend.config.queues.retries
            && self.trace.bytes_to_client == 0
    }

    /// Whether sending the request a second time does no harm, and all of it is still at hand.
    pub(super) fn may_repeat(&self) -> bool {
        self.request.upload.is_none() && is_idempotent(self.request.facts)
    }

    /// Whether the client has closed while it waits for an answer.
    pub(super) fn is_abandoned(&self, context: &mut Context<'_>) -> bool {
        self.request.upload.is_none() && self.session.client.poll_ended(context).is_ready()
    }

    /// The right to use the server that the next of the `retries` leads to.
    async fn next_slot(&mut self, slot: Slot) -> Result<Slot, Failure> {
        let asker = tcp::asker(self.session, slot.backend(), &self.trace.course);
        let again = again(slot, &self.request.wish, &asker, false).await;
        let slot = again.map_err(|error| {
            tcp::note_failure(self.session, &error, self.trace);
            Failure::NoServer
        })?;
        self.trace.chose(&slot);
        self.redirected(&slot).map_or(Ok(slot), |end| Err(Failure::Rule(end)))
    }

    /// Makes the request what it was before it was sent.
    fn restore(&mut self) -> Result<(), Failure> {
        // Without a copy it was not sent to its end, and still stands in `request.out`.
        if let Some(bytes) = self.replay.take() {
            self.request.out = Buffer::take();
            if self.request.out.append(&bytes) < bytes.len() {
                // A reload has made buffers smaller meanwhile.
                return Err(Failure::Silent(b'S', b'H'));
            }
        }
        self.sent = 0;
        self.upload_broken = false;
        Ok(())
    }
}
