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

impl Sum {
    #[inline(always)]
    fn note(&self, ms: u32, is_full: bool) {
        let sum_ms = self.sum_ms.get();
        // One share of the sum makes room for the new one.
        let share_ms = if is_full { sum_ms.div_ceil(u64::from(WINDOW)) } else { 0 };
        self.sum_ms.set(sum_ms - share_ms + u64::from(ms));
        if ms > self.max_ms.get() {
            self.max_ms.set(ms);
        }
    }
}

impl Times {
    /// Notes how long a session's steps took, in the order of [`Step`].
    pub fn note(&self, steps_ms: [u32; 4]) {
        let seen = self.seen.get();
        let is_full = seen >= WINDOW;
        if !is_full {
            self.seen.set(seen + 1);
        }
        // Not a loop: its bookkeeping would be most of the work.
        let [queue, connect, response, total] = &self.steps;
        let [queue_ms, connect_ms, response_ms, total_ms] = steps_ms;
        queue.note(queue_ms, is_full);
        connect.note(connect_ms, is_full);
        response.note(response_ms, is_full);
        total.note(total_ms, is_full);
    }

    /// The average of a step over the sessions of all of these, milliseconds, rounded up.
    pub fn average_ms<'a>(all: impl Iterator<Item = &'a Self>, step: Step) -> u64 {
        let add = |(sum_ms, seen): (u64, u64), times: &Self| {
            let of_step = times.steps.get(step as usize).map_or(0, |step| step.sum_ms.get());
            (sum_ms + of_step, seen + u64::from(times.seen.get()))
        };
        let (sum_ms, seen) = all.fold((0, 0), add);
        sum_ms.div_ceil(seen.max(1))
    }

    /// The longest that a step has taken, milliseconds.
    pub fn max_ms(&self, step: Step) -> u32 {
        self.steps.get(step as usize).map_or(0, |step| step.max_ms.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average_ms(times: &Times, step: Step) -> u64 {
        Times::average_ms([times].into_iter(), step)
    }

    #[test]
    fn several_have_an_average_together() {
        let (one, other) = (Times::default(), Times::default());
        one.note([0, 0, 0, 10]);
        one.note([0, 0, 0, 10]);
        other.note([0, 0, 0, 40]);
        assert_eq!(Times::average_ms([&one, &other].into_iter(), Step::Total), 20);
    }

    #[test]
    fn the_average_is_of_all_until_there_are_many() {
        let times = Times::default();
        assert_eq!(average_ms(&times, Step::Total), 0);
        times.note([0, 1, 2, 10]);
        times.note([0, 2, 4, 30]);
        let averages =
            [Step::Queue, Step::Connect, Step::Response, Step::Total].map(|step| average_ms(&times, step));
        assert_eq!(averages, [0, 2, 3, 20]);
        assert_eq!(times.max_ms(Step::Total), 30);
    }

    #[test]
    fn old_sessions_are_forgotten_little_by_little() {
        let times = Times::default();
        (0..5_000).for_each(|_| times.note([0, 0, 0, 100]));
        assert_eq!(average_ms(&times, Step::Total), 100);
        (0..20_000).for_each(|_| times.note([0, 0, 0, 0]));
        assert_eq!((average_ms(&times, Step::Total), times.max_ms(Step::Total)), (0, 100));
        (0..1_024).for_each(|_| times.note([0, 0, 0, 50]));
        let average_ms = average_ms(&times, Step::Total);
        assert!((30..50).contains(&average_ms), "{average_ms}");
    }
}
