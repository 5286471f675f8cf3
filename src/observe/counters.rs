//! What happened so far, in numbers: plain cells, since one thread runs everything and 32-bit boards have no
//! 64-bit atomics.

use std::cell::Cell;

/// Counters of one side of a proxy: a frontend, a backend or a server.
#[derive(Debug, Default)]
pub struct ProxyCounters {
    /// Connections (backend and server: sessions): now, most at once, all.
    pub connections: Gauge,
    /// HTTP requests.
    pub requests: Counter,
    /// Bytes from the client.
    pub bytes_in: Counter,
    /// Bytes to the client.
    pub bytes_out: Counter,
    /// Requests or connections refused by a rule.
    pub denied: Counter,
    /// Requests that were not understood or not completed in time (frontend).
    pub request_errors: Counter,
    /// Connections to servers that failed (backend, server).
    pub connect_errors: Counter,
    /// Answers that were not understood or broke off (backend, server).
    pub response_errors: Counter,
    /// Further attempts to connect.
    pub retries: Counter,
    /// Sessions given to another server after their retries.
    pub redispatches: Counter,
    /// Answers by the first digit of their status.
    pub responses: ResponseClasses,
}

/// Counters of the process.
#[derive(Debug, Default)]
pub struct ProcessCounters {
    /// Client connections: now, most at once, all.
    pub connections: Gauge,
    /// HTTP requests.
    pub requests: Counter,
    /// Bytes from clients.
    pub bytes_in: Counter,
    /// Bytes to clients.
    pub bytes_out: Counter,
    /// How often accepting paused because descriptors ran out.
    pub accept_pauses: Counter,
    /// Reloads that brought a new configuration.
    pub reloads: Counter,
    /// Reloads refused for their configuration.
    pub failed_reloads: Counter,
}

/// A number that only grows; at the end of its range it stays there.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get().saturating_add(count));
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Something that comes and goes.
#[derive(Debug, Default)]
pub struct Gauge {
    current: Cell<u32>,
    max: Cell<u32>,
    total: Counter,
}

impl Gauge {
    /// One came.
    pub fn enter(&self) {
        let current = self.current.get().saturating_add(1);
        self.current.set(current);
        self.max.set(self.max.get().max(current));
        self.total.increment();
    }

    /// One went.
    pub fn leave(&self) {
        debug_assert!(self.current.get() > 0, "more went than came");
        self.current.set(self.current.get().saturating_sub(1));
    }

    /// How many there are.
    pub fn current(&self) -> u32 {
        self.current.get()
    }

    /// Most at once.
    pub fn max(&self) -> u32 {
        self.max.get()
    }

    /// How many came since the start.
    pub fn total(&self) -> u64 {
        self.total.get()
    }
}

/// Answers by class.
#[derive(Debug, Default)]
pub struct ResponseClasses([Counter; 6]);

impl ResponseClasses {
    /// Counts an answer of this status.
    #[allow(clippy::indexing_slicing, reason = "a class is 0 to 5")]
    pub fn count(&self, status: u16) {
        self.0[Self::class_of(status)].increment();
    }

    /// Answers of a class, 1 (1xx) to 5 (5xx); any other number = those of no known class.
    #[allow(clippy::indexing_slicing, reason = "a class is 0 to 5")]
    pub fn get(&self, class: u16) -> u64 {
        self.0[Self::class_of(class.saturating_mul(100))].get()
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
    fn gauges_remember_the_most() {
        let gauge = Gauge::default();
        gauge.enter();
        gauge.enter();
        gauge.leave();
        gauge.enter();
        gauge.leave();
        gauge.leave();
        assert_eq!((gauge.current(), gauge.max(), gauge.total()), (0, 2, 3));
    }

    #[test]
    fn classes_and_limits() {
        let responses = ResponseClasses::default();
        for status in [101, 200, 204, 304, 404, 503, 0, 99, 600, u16::MAX] {
            responses.count(status);
        }
        assert_eq!([1, 2, 3, 4, 5, 0, 9].map(|class| responses.get(class)), [1, 2, 1, 1, 1, 4, 4]);
        let counter = Counter::default();
        counter.add(u64::MAX);
        counter.increment();
        assert_eq!(counter.get(), u64::MAX);
    }
}
