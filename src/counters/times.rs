//! How long the steps of a session take on the average.

use std::cell::Cell;

/// So many of the last sessions count.
const WINDOW: u32 = 1_024;

/// A step of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// In queues.
    Queue,
    /// Until the connection to the server stood.
    Connect,
    /// From there to the head of the answer.
    Response,
    /// All of it.
    Total,
}

/// Averages over the last sessions, and the longest ever.
#[derive(Debug, Default)]
pub struct Times {
    /// How many were seen, at most [`WINDOW`].
    seen: Cell<u32>,
    steps: [Sum; 4],
}

#[derive(Debug, Default)]
struct Sum {
    /// Of those that count; of the older ones less and less.
    sum_ms: Cell<u64>,
    max_ms: Cell<u32>,
}

impl Times {
    /// Notes how long a session's steps took, in the order of [`Step`].
    pub fn note(&self, steps_ms: [u32; 4]) {
        let seen = self.seen.get();
        let is_full = seen >= WINDOW;
        if !is_full {
            self.seen.set(seen + 1);
        }
        for (step, ms) in self.steps.iter().zip(steps_ms) {
            let sum_ms = step.sum_ms.get();
            // One share of the sum makes room for the new one.
            let share_ms = if is_full { sum_ms.div_ceil(u64::from(WINDOW)) } else { 0 };
            step.sum_ms.set(sum_ms - share_ms + u64::from(ms));
            if ms > step.max_ms.get() {
                step.max_ms.set(ms);
            }
        }
    }

    /// The average of a step, milliseconds, rounded up.
    pub fn average_ms(&self, step: Step) -> u64 {
        let sum_ms = self.steps.get(step as usize).map_or(0, |step| step.sum_ms.get());
        sum_ms.div_ceil(u64::from(self.seen.get().max(1)))
    }

    /// The longest that a step has taken, milliseconds.
    pub fn max_ms(&self, step: Step) -> u32 {
        self.steps.get(step as usize).map_or(0, |step| step.max_ms.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_of_all_until_there_are_many() {
        let times = Times::default();
        assert_eq!(times.average_ms(Step::Total), 0);
        times.note([0, 1, 2, 10]);
        times.note([0, 2, 4, 30]);
        let averages = [Step::Queue, Step::Connect, Step::Response, Step::Total].map(|s| times.average_ms(s));
        assert_eq!(averages, [0, 2, 3, 20]);
        assert_eq!(times.max_ms(Step::Total), 30);
    }

    #[test]
    fn old_sessions_are_forgotten_little_by_little() {
        let times = Times::default();
        (0..5_000).for_each(|_| times.note([0, 0, 0, 100]));
        assert_eq!(times.average_ms(Step::Total), 100);
        (0..20_000).for_each(|_| times.note([0, 0, 0, 0]));
        assert_eq!((times.average_ms(Step::Total), times.max_ms(Step::Total)), (0, 100));
        (0..1_024).for_each(|_| times.note([0, 0, 0, 50]));
        let average_ms = times.average_ms(Step::Total);
        assert!((30..50).contains(&average_ms), "{average_ms}");
    }
}
