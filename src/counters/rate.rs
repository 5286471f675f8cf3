//! How often something happens.

use std::cell::Cell;

/// How long a period is, milliseconds.
const PERIOD_MS: u32 = 1_000;

/// Events a second.
#[derive(Debug, Default)]
pub struct Rate {
    /// Loop clock at the beginning of this period; its lower half will do, as only differences are looked at.
    start_ms: Cell<u32>,
    /// Events of this period, and of the one before.
    current: Cell<u32>,
    before: Cell<u32>,
    max: Cell<u32>,
}

impl Rate {
    /// One happened now.
    #[allow(clippy::cast_possible_truncation, reason = "only differences of the clock are looked at")]
    pub fn tick(&self, now_ms: u64) {
        let elapsed_ms = (now_ms as u32).wrapping_sub(self.start_ms.get());
        if elapsed_ms >= PERIOD_MS {
            self.turn(now_ms as u32, elapsed_ms);
        }
        let current = self.current.get().wrapping_add(1);
        self.current.set(current);
        if current > self.max.get() {
            self.max.set(current);
        }
    }

    /// A period is over.
    #[cold]
    fn turn(&self, now_ms: u32, elapsed_ms: u32) {
        let before = if elapsed_ms < 2 * PERIOD_MS { self.current.get() } else { 0 };
        self.before.set(before);
        self.current.set(0);
        self.start_ms.set(now_ms.wrapping_sub(elapsed_ms % PERIOD_MS));
    }

    /// Events of the last second: those of this period, and of the one before as much as is left of the second.
    #[allow(clippy::cast_possible_truncation, reason = "only differences of the clock are looked at")]
    pub fn per_second(&self, now_ms: u64) -> u32 {
        let elapsed_ms = (now_ms as u32).wrapping_sub(self.start_ms.get());
        let (before, current, into_ms) = match elapsed_ms / PERIOD_MS {
            0 => (self.before.get(), self.current.get(), elapsed_ms),
            1 => (self.current.get(), 0, elapsed_ms - PERIOD_MS),
            _ => return 0,
        };
        let left = u64::from(before) * u64::from(PERIOD_MS - into_ms) / u64::from(PERIOD_MS);
        current.saturating_add(left as u32)
    }

    /// The most in one period.
    pub fn max(&self) -> u32 {
        self.max.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_slides_from_one_second_to_the_next() {
        let rate = Rate::default();
        for at_ms in 0..100 {
            rate.tick(5_000 + at_ms);
        }
        assert_eq!(rate.per_second(5_100), 100);
        assert_eq!(rate.per_second(6_000), 100);
        assert_eq!(rate.per_second(6_500), 50);
        rate.tick(6_500);
        assert_eq!((rate.per_second(6_500), rate.max()), (51, 100));
        assert_eq!(rate.per_second(9_000), 0);
        rate.tick(9_000);
        assert_eq!((rate.per_second(9_000), rate.max()), (1, 100));
    }

    #[test]
    fn the_clock_may_pass_32_bits() {
        let rate = Rate::default();
        let late_ms = u64::from(u32::MAX) - 10;
        (0..20).for_each(|after_ms| rate.tick(late_ms + after_ms));
        assert_eq!((rate.per_second(late_ms + 20), rate.max()), (20, 20));
    }
}
