//! What is counted of servers as it happens; what is known only at the end of a session is counted there.

use std::rc::Rc;

use super::{Backend, Pick, Server, Slot};
use crate::counters::Side;

impl Backend {
    /// A session has come to this backend.
    pub fn enter(&self) {
        let current = self.connections.get().saturating_add(1);
        self.connections.set(current);
        self.note_session(current);
    }

    /// Counts a session that needs no server.
    pub fn note_answered(&self) {
        self.note_session(self.connections.get().saturating_add(1));
    }

    fn note_session(&self, current: u32) {
        self.counters.enter(self.reactor.now_ms(), current);
    }

    /// Counts what the choice between servers fell on.
    pub(super) fn note_choice(&self, pick: Pick) -> Pick {
        if let Pick::Server(index) = pick {
            self.counters.chosen.increment();
            self.of_server(index, |server| server.counters.chosen.increment());
        }
        pick
    }

    fn of_server(&self, index: usize, note: impl FnOnce(&Server)) {
        if let Some(server) = self.servers.get(index) {
            note(server);
        }
    }
}

impl Slot {
    /// An attempt to connect begins.
    pub(super) fn note_attempt(&self) {
        self.note_session(|side| &side.connects);
    }

    /// An idle connection is used again.
    pub fn note_reuse(&self) {
        self.note_session(|side| &side.reuses);
    }

    fn note_session(&self, which: fn(&Side) -> &crate::counters::Counter) {
        let server = self.server();
        server.counters.enter(self.backend.reactor.now_ms(), server.connections.get());
        self.note(which);
    }

    /// An attempt to connect has failed, and there is another one: at this server, or where it `moves` to.
    pub(super) fn note_another_attempt(&self, moves: bool) {
        self.note(if moves { |side| &side.redispatches } else { |side| &side.retries });
    }

    /// One more of something, for the server and its backend.
    fn note(&self, which: fn(&Side) -> &crate::counters::Counter) {
        which(&self.server().counters).increment();
        which(&Rc::as_ref(&self.backend).counters).increment();
    }
}
