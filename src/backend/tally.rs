//! What is counted of servers as it happens; what is known only at the end of a session is counted there.

use super::{Backend, Pick, Slot};

impl Backend {
    /// A session has come to this backend.
    pub fn enter(&self) {
        let current = self.connections.get().saturating_add(1);
        self.connections.set(current);
        self.counters.enter(self.reactor.now_ms(), current);
    }

    /// Counts a session that needs no server.
    pub fn note_answered(&self) {
        self.counters.enter(self.reactor.now_ms(), self.connections.get().saturating_add(1));
    }

    /// So many wait for a server, or for any.
    pub(super) fn note_queue(&self, place: Option<usize>, len: usize) {
        let server = place.and_then(|index| self.servers.get(index));
        let counters = server.map_or(&self.counters, |server| &server.counters);
        counters.queue_max.see(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Those who wait for any server.
    pub fn queued_for_any(&self) -> usize {
        self.queue.len()
    }

    /// Counts what the choice between servers fell on.
    pub(super) fn note_choice(&self, pick: Pick) -> Pick {
        if let Pick::Server(index) = pick
            && let Some(server) = self.servers.get(index)
        {
            server.counters.chosen.increment();
        }
        pick
    }
}

impl Slot {
    /// An attempt to connect begins.
    pub(super) fn note_attempt(&self) {
        self.server().counters.connects.increment();
        self.note_session();
    }

    /// A session goes to the server, over a connection that is to be made or was there.
    pub fn note_session(&self) {
        let server = self.server();
        server.counters.enter(self.backend.reactor.now_ms(), server.connections.get());
    }

    /// An attempt to connect has failed, and there is another one: at this server, or where it `moves` to.
    pub(super) fn note_another_attempt(&self, moves: bool) {
        let counters = &self.server().counters;
        if moves { &counters.redispatches } else { &counters.retries }.increment();
    }
}
