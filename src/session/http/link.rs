//! Connections to servers: the one that a request goes on.

use super::super::tcp::{self, since_wait};
use super::exchange::{Exchange, Failure};
use super::prepare::Request;
use super::told::{set_name, told_address};
use crate::backend::{Connected, Slot, connect};
use crate::config::Reuse;
use crate::net::Stream;

/// A connection to the server, and how many requests it has carried before.
pub(super) struct Link {
    pub stream: Stream,
    pub slot: Slot,
    pub carried: u32,
}

impl Exchange<'_> {
    /// The server to which a connection of this client's own stands, where that counts.
    pub(super) fn own_server(&self) -> Option<usize> {
        let Request { backend, wish, .. } = &self.request;
        // What is hashed has a server of its own.
        let prefers = backend.config.persistence.prefer_last && wish.hash.is_none();
        self.session.own_server(backend, prefers)
    }

    /// An idle connection where one may be used, else a new one.
    pub(super) async fn link(&mut self, slot: Slot) -> Result<Link, Failure> {
        if let Some((stream, carried)) = self.idle_stream(&slot) {
            self.may_replay = self.may_repeat();
            self.trace.timers.connect = 0;
            slot.note_session();
            self.session.note_server(&stream);
            self.tell_name(&slot);
            return Ok(Link { stream, slot, carried });
        }
        self.new_link(slot).await
    }

    /// An idle connection that this request may use.
    ///
    /// The server can close it in the moment we do. A request that may be repeated is then sent again; where nothing
    /// is configured another one gets an idle connection only when the client itself sent it on a used connection and
    /// so is ready for the same mishap (what HAProxy's manual calls `http-reuse safe`).
    fn idle_stream(&mut self, slot: &Slot) -> Option<(Stream, u32)> {
        if !self.request.keeps_server || self.request.upgrade {
            return None;
        }
        if let Some(taken) = self.session.take_reserved(slot) {
            self.is_private = true;
            return Some(taken);
        }
        if self.is_for_one_client(slot) {
            return None;
        }
        let later = self.nth > 0;
        let (any, proven) = match self.request.backend.config.http.reuse {
            Reuse::Repeatable => (later || self.may_repeat(), false),
            Reuse::Never | Reuse::Safe => (later, false),
            Reuse::Aggressive => (later, true),
            Reuse::Always => (true, false),
        };
        if any || proven { slot.server().take_idle(!any) } else { None }
    }

    /// Whether a connection to this server is for nobody else: as configured, or because it was opened in the client's
    /// name (PROXY protocol) or to a port of its choice.
    pub(super) fn is_for_one_client(&self, slot: &Slot) -> bool {
        let backend = &self.request.backend;
        backend.config.http.reuse == Reuse::Never
            || backend.is_told_of_clients() && slot.server().is_told_of_clients()
    }

    pub(super) async fn new_link(&mut self, slot: Slot) -> Result<Link, Failure> {
        let session = self.session;
        let mut ends = session.ends_for(slot.backend());
        if let Some((name, occurrence)) = slot.server().source_header() {
            let Some(told) = told_address(self.request.out.bytes(), name, occurrence) else {
                return Err(Failure::Status(500, b'I', b'C'));
            };
            ends.told = told;
        }
        // A server's name is told once it is known which one it is.
        let first = match slot.backend().config.send_name {
            None => self.request.out.bytes(),
            Some(_) => &[],
        };
        // Boxed: a request on a connection that stands already does not need this room.
        let asker = tcp::asker(session, slot.backend(), &self.trace.course);
        let connecting = Box::pin(connect(slot, first, &ends, &self.request.wish, &asker));
        let result = connecting.await;
        match result {
            Ok(Connected { stream, sent, slot }) => {
                self.sent = sent;
                session.note_server(&stream);
                self.trace.chose(&slot);
                tcp::note_moved(&mut self.trace);
                self.trace.timers.connect = since_wait(session, &self.trace);
                self.tell_name(&slot);
                Ok(Link { stream, slot, carried: 0 })
            }
            Err(error) => {
                tcp::note_failure(session, &error, &mut self.trace);
                let end = error.slot.and_then(|slot| self.redirected(&slot));
                Err(end.map_or(Failure::NoServer, Failure::Rule))
            }
        }
    }

    /// Puts the server's name into the request, where its backend asks for that.
    fn tell_name(&mut self, slot: &Slot) {
        if let Some(field) = &slot.backend().config.send_name {
            set_name(&mut self.request.out, field, &slot.server().config.name);
        }
    }
}
