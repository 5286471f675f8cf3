//! The clock, read once per turn of the loop: on many boards reading it is a real system call.

use std::cell::Cell;
use std::time::Instant;

use crate::process::wall_ms;

pub(super) struct Clock {
    start: Instant,
    now_ms: Cell<u64>,
    /// Wall-clock milliseconds minus `now_ms`, known once somebody asked in this turn.
    wall_offset_ms: Cell<Option<i64>>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), now_ms: Cell::new(0), wall_offset_ms: Cell::new(None) }
    }

    /// Reads the monotonic clock for a new turn.
    pub(super) fn advance(&self) {
        // In 64 bits: `as_millis` divides 128-bit numbers, which is dear on small boards.
        let elapsed = self.start.elapsed();
        self.now_ms.set(elapsed.as_secs().saturating_mul(1_000) + u64::from(elapsed.subsec_millis()));
        self.wall_offset_ms.set(None);
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// The wall clock may jump at any time (a board without a battery starts in 1970): it is never used for
    /// timers, and a time before 1970 is 0.
    pub(super) fn wall_ms(&self) -> u64 {
        let now_ms = i64::try_from(self.now_ms()).unwrap_or(i64::MAX);
        let offset_ms = self.wall_offset_ms.get().unwrap_or_else(|| {
            let offset_ms = wall_ms().saturating_sub(now_ms);
            self.wall_offset_ms.set(Some(offset_ms));
            offset_ms
        });
        u64::try_from(offset_ms.saturating_add(now_ms)).unwrap_or(0)
    }
}
