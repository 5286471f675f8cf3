//! What happened so far, in numbers: plain cells, since one thread runs everything and 32-bit boards have no 64-bit
//! atomics. They are counted in few places (a session's in `session/tally.rs`, at its end) and shown as plain values by
//! `gateway/stats.rs`.

mod rate;
mod times;

pub use rate::Rate;
pub use times::{Step, Times};

use std::cell::Cell;

/// Counters of a backend, of a server, or of the part of a frontend that they have in common.
///
/// A request costs as few of them as can be: what a server had a part in is counted with the server alone, and a backend's
/// number is the sum (but for sessions, their rate, and answers by class, which it has for itself); HTTP requests are
/// as many as answers of all classes; sessions of a server that were no attempt to connect used a connection again.
#[derive(Default)]
pub struct Side {
    /// Sessions; requests in `mode http`, but for frontends. A server's count each attempt to connect.
    pub sessions: Counter,
    /// Most of them at the same time.
    pub sessions_max: Peak,
    /// Sessions a second.
    pub rate: Rate,
    /// Bytes from the client.
    pub bytes_in: Counter,
    /// Bytes to the client.
    pub bytes_out: Counter,
    /// Requests refused by a rule.
    pub denied_requests: Counter,
    /// Answers refused by a rule.
    pub denied_responses: Counter,
    /// Requests that were not understood or not completed in time.
    pub request_errors: Counter,
    /// Sessions without a connection to a server, after all retries.
    pub connect_errors: Counter,
    /// Answers that did not come, were not understood or broke off.
    pub response_errors: Counter,
    /// Further attempts to connect.
    pub retries: Counter,
    /// Sessions given to another server.
    pub redispatches: Counter,
    /// Transfers that the client broke off.
    pub client_aborts: Counter,
    /// Transfers that the server broke off.
    pub server_aborts: Counter,
    /// Errors of our own.
    pub internal_errors: Counter,
    /// How often the choice between servers fell on it.
    pub chosen: Counter,
    /// Attempts to connect.
    pub connects: Counter,
    /// Most who waited for it at the same time.
    pub queue_max: Peak,
    /// Answers by the first digit of their status.
    pub responses: ResponseClasses,
    /// How long its steps take.
    pub times: Times,
    /// Loop clock at the last session, milliseconds; 0 = none yet.
    pub last_session_ms: Cell<u64>,
}

impl Side {
    /// A session came: now, and so many are there.
    pub fn enter(&self, now_ms: u64, current: u32) {
        self.sessions.increment();
        self.sessions_max.see(current);
        self.rate.tick(now_ms);
        self.last_session_ms.set(now_ms.max(1));
    }
}

/// Counters of a frontend.
#[derive(Default)]
pub struct Front {
    /// What backends have as well.
    pub side: Side,
    /// Connections.
    pub connections: Counter,
    /// Connections a second.
    pub connection_rate: Rate,
    /// Requests a second.
    pub request_rate: Rate,
    /// Requests that the gateway answered itself, because rules wanted it.
    pub intercepted: Counter,
    /// Connections refused by `tcp-request connection` rules.
    pub denied_connections: Counter,
    /// Connections refused by `tcp-request session` rules.
    pub denied_sessions: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        // At the end of 64 bits it would begin anew, as HAProxy's do: no check for what does not happen.
        self.0.set(self.0.get().wrapping_add(count));
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// The largest of the numbers that were seen.
#[derive(Debug, Default)]
pub struct Peak(Cell<u32>);

impl Peak {
    /// Looks at a number.
    pub fn see(&self, number: u32) {
        if number > self.0.get() {
            self.0.set(number);
        }
    }

    /// The largest.
    pub fn get(&self) -> u32 {
        self.0.get()
    }
}

/// Answers by class.
#[derive(Debug, Default)]
pub struct ResponseClasses([Counter; 6]);

impl ResponseClasses {
    /// Counts an answer of this status; none at all (0) is of no known class.
    #[allow(clippy::indexing_slicing, reason = "a class is 0 to 5")]
    pub fn count(&self, status: u16) {
        self.0[Self::class_of(status)].increment();
    }

    /// Answers of a class, 1 (1xx) to 5 (5xx); any other number = those of no known class.
    #[allow(clippy::indexing_slicing, reason = "a class is 0 to 5")]
    pub fn get(&self, class: u16) -> u64 {
        self.0[Self::class_of(class.saturating_mul(100))].get()
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }

    fn class_of(status: u16) -> usize {
        match status / 100 {
            class @ 1..=5 => usize::from(class),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted_with_the_most_at_once() {
        let side = Side::default();
        for (now_ms, current) in [(5, 1), (6, 2), (7, 1)] {
            side.enter(now_ms, current);
        }
        assert_eq!((side.sessions.get(), side.sessions_max.get()), (3, 2));
        assert_eq!((side.rate.max(), side.last_session_ms.get()), (3, 7));
    }

    #[test]
    fn answers_have_classes() {
        let responses = ResponseClasses::default();
        for status in [101, 200, 204, 304, 404, 503, 0, 99, 600, u16::MAX] {
            responses.count(status);
        }
        assert_eq!([1, 2, 3, 4, 5, 0, 9].map(|class| responses.get(class)), [1, 2, 1, 1, 1, 4, 4]);
        assert_eq!(responses.sum(), 10);
    }
}
