//! What is counted of servers as it happens; what is known only at the end of a session is counted there.

use std::cell::Cell;

use super::{Backend, Pick, Server, Slot};

/// How often and how long a backend had no server that takes traffic.
#[derive(Default)]
pub struct Outages {
    /// How often that began.
    pub count: Cell<u32>,
    /// Loop clock when it began or ended last; at first, when the backend was made.
    changed_ms: Cell<u64>,
    /// How long it was, all earlier times together.
    ended_ms: Cell<u64>,
}

impl Outages {
    pub(super) fn since(now_ms: u64) -> Self {
        Self { changed_ms: Cell::new(now_ms), ..Self::default() }
    }

    /// There is a server now (`up`), or there no longer is one.
    fn note(&self, up: bool, now_ms: u64) {
        let span_ms = now_ms.saturating_sub(self.changed_ms.replace(now_ms));
        match up {
            true => self.ended_ms.set(self.ended_ms.get().saturating_add(span_ms)),
            false => self.count.set(self.count.get().saturating_add(1)),
        }
    }

    /// Since the last of them began or ended.
    pub fn unchanged_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.changed_ms.get())
    }

    /// How long it was in all, for one that is `up` or down now.
    pub fn down_ms(&self, up: bool, now_ms: u64) -> u64 {
        self.ended_ms.get().saturating_add(if up { 0 } else { self.unchanged_ms(now_ms) })
    }
}

impl Backend {
    /// A server's state or weight has changed: was there one that takes traffic before, and is there one now?
    pub(super) fn note_outage(&self, before: bool, now: bool) {
        if before != now {
            self.outages.note(now, self.reactor.now_ms());
        }
    }

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

impl Server {
    /// How many idle connections are kept, and how many of them have carried more than one request.
    pub fn idle_connections(&self) -> (usize, usize) {
        self.idle.count()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_counted_and_their_times_added_up() {
        let outages = Outages::since(1_000);
        assert_eq!((outages.down_ms(true, 5_000), outages.unchanged_ms(5_000)), (0, 4_000));
        outages.note(false, 5_000);
        assert_eq!((outages.count.get(), outages.down_ms(false, 7_000)), (1, 2_000));
        outages.note(true, 8_000);
        outages.note(false, 9_000);
        assert_eq!((outages.count.get(), outages.down_ms(false, 9_500)), (2, 3_500));
        assert_eq!(outages.unchanged_ms(9_500), 500);
    }
}
