//! How many connections a second are taken.

use std::cell::Cell;

/// A bound on connections a second: as many at once, then each as soon as its share of a second has passed.
#[derive(Default)]
pub struct Rate {
    /// 0 = no bound.
    a_second: Cell<u32>,
    /// Thousandths of connections that may be taken now; below 0 where several were taken at a time.
    left: Cell<i64>,
    /// Loop clock at which `left` was true.
    at_ms: Cell<u64>,
}

impl Rate {
    /// So many a second; 0 = no bound.
    #[must_use]
    pub fn new(a_second: u32) -> Self {
        let rate = Self::default();
        rate.set(a_second);
        rate
    }

    /// Changes the bound.
    pub fn set(&self, a_second: u32) {
        self.a_second.set(a_second);
        self.left.set(i64::from(a_second) * 1_000);
    }

    /// How long to wait before one may be taken, milliseconds; 0 = not at all.
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        let a_second = i64::from(self.a_second.get());
        if a_second == 0 {
            return 0;
        }
        let passed_ms = now_ms.saturating_sub(self.at_ms.replace(now_ms));
        let gained = i64::try_from(passed_ms).unwrap_or(i64::MAX).saturating_mul(a_second);
        let left = self.left.get().saturating_add(gained).min(a_second * 1_000);
        self.left.set(left);
        u64::try_from((1_000 - left + a_second - 1) / a_second).unwrap_or(0)
    }

    /// One was taken.
    pub fn take(&self) {
        if self.a_second.get() > 0 {
            self.left.set(self.left.get().saturating_sub(1_000));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many can be taken from `from_ms` on, looking every millisecond.
    fn taken(rate: &Rate, from_ms: u64, for_ms: u64) -> u32 {
        let mut taken = 0;
        for now_ms in from_ms..from_ms + for_ms {
            while rate.wait_ms(now_ms) == 0 {
                rate.take();
                taken += 1;
            }
        }
        taken
    }

    #[test]
    fn a_full_second_comes_at_once_and_then_evenly() {
        let rate = Rate::new(100);
        assert_eq!(taken(&rate, 5_000, 1), 100);
        assert_eq!(rate.wait_ms(5_000), 10);
        assert_eq!(taken(&rate, 5_001, 1_000), 100);
        // A long pause saves up no more than a second's share.
        assert_eq!(taken(&rate, 60_000, 1), 100);
    }

    #[test]
    fn slow_and_fast_rates_are_kept() {
        assert_eq!(taken(&Rate::new(1), 9_000, 3_001), 1 + 3);
        assert_eq!(taken(&Rate::new(5_000), 9_000, 1_001), 5_000 + 5_000);
    }

    #[test]
    fn without_a_bound_nobody_waits() {
        let rate = Rate::default();
        rate.take();
        assert_eq!(rate.wait_ms(1), 0);
    }
}
