//! Timers of the data plane, made for timeouts that hardly ever fire.
//!
//! A session has one [`Deadline`]. Activity only stores a later time in it; the queue keeps the earlier one,
//! and looks at the deadline when that comes. So a busy connection costs one queue operation per timeout
//! period and not one per request.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::Handle;

/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// `key` of a deadline that has no entry, and `place` of one that is not in the queue.
const UNQUEUED: u32 = u32::MAX;

struct Entry {
    /// When it is meant to fire.
    deadline_ms: u64,
    /// Its place in the queue, or [`UNQUEUED`].
    place: u32,
    /// It has come before its time; whoever waits for it next finds it so, once.
    forced: bool,
    waker: Waker,
}

/// A deadline in the queue: when it is looked at, never later than it is meant to fire, and its key.
type Queued = (u64, u32);

/// All deadlines that somebody waits for.
#[derive(Default)]
pub(super) struct Timers {
    entries: Slab<Entry>,
    /// A heap, the next one first; each entry knows its place.
    queue: Vec<Queued>,
}

impl Timers {
    /// When the loop must look again.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.queue.first().map(|&(at_ms, _)| at_ms)
    }

    /// Wakes what is due, and moves on what has been put off since.
    pub(super) fn fire(&mut self, now_ms: u64) {
        while let Some(&(at_ms, key)) = self.queue.first() {
            if at_ms > now_ms {
                return;
            }
            // What is in the queue has an entry.
            let Some(entry) = self.entries.get(key as usize) else { return };
            match entry.deadline_ms {
                NEVER => self.unqueue(key),
                later_ms if later_ms > now_ms => self.settle(0, (later_ms, key)),
                _ => {
                    entry.waker.wake_by_ref();
                    self.unqueue(key);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.queue.is_empty()
    }

    fn insert(&mut self, deadline_ms: u64, waker: &Waker) -> u32 {
        let entry = Entry { deadline_ms, place: UNQUEUED, forced: false, waker: waker.clone() };
        let key = self.entries.insert(entry) as u32;
        self.enqueue(deadline_ms, key);
        key
    }

    /// Makes a deadline come now, or not, where it was made to.
    pub(super) fn force(&mut self, key: u32, forced: bool) -> Option<Waker> {
        let entry = self.entries.get_mut(key as usize)?;
        entry.forced = forced;
        Some(entry.waker.clone())
    }

    /// Returns whether it was made to come before its time.
    fn update(&mut self, key: u32, deadline_ms: u64, waker: &Waker) -> bool {
        let Some(entry) = self.entries.get_mut(key as usize) else { return false };
        entry.deadline_ms = deadline_ms;
        if !entry.waker.will_wake(waker) {
            entry.waker = waker.clone();
        }
        let was_forced = std::mem::take(&mut entry.forced);
        let place = entry.place as usize;
        match self.queue.get(place) {
            None => self.enqueue(deadline_ms, key),
            Some(&(queued_ms, _)) if deadline_ms < queued_ms => self.settle(place, (deadline_ms, key)),
            Some(_) => {}
        }
        was_forced
    }

    fn remove(&mut self, key: u32) -> Option<Entry> {
        self.unqueue(key);
        self.entries.try_remove(key as usize)
    }

    fn enqueue(&mut self, at_ms: u64, key: u32) {
        if at_ms != NEVER {
            self.queue.push((at_ms, key));
            self.settle(self.queue.len() - 1, (at_ms, key));
        }
    }

    fn unqueue(&mut self, key: u32) {
        let Some(entry) = self.entries.get_mut(key as usize) else { return };
        let place = std::mem::replace(&mut entry.place, UNQUEUED) as usize;
        if place < self.queue.len()
            && let Some(last) = self.queue.pop()
            && place < self.queue.len()
        {
            self.settle(place, last);
        }
    }

    /// Finds the place of a deadline, from a free one on, up or down.
    fn settle(&mut self, mut place: usize, queued: Queued) {
        while let Some(&above) = self.queue.get(place.wrapping_sub(1) / 2).filter(|_| place > 0)
            && queued < above
        {
            self.set(place, above);
            place = (place - 1) / 2;
        }
        loop {
            let mut below = 2 * place + 1;
            let Some(&(mut least)) = self.queue.get(below) else { break };
            if let Some(&other) = self.queue.get(below + 1).filter(|&other| *other < least) {
                (below, least) = (below + 1, other);
            }
            if least > queued {
                break;
            }
            self.set(place, least);
            place = below;
        }
        self.set(place, queued);
    }

    fn set(&mut self, place: usize, queued: Queued) {
        if let (Some(slot), Some(entry)) =
            (self.queue.get_mut(place), self.entries.get_mut(queued.1 as usize))
        {
            *slot = queued;
            // As many as there are keys, which have 32 bits.
            entry.place = place as u32;
        }
    }
}

/// The time was up before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

/// A point in time that one task waits for, and that can be moved cheaply.
pub struct Deadline {
    reactor: Handle,
    at_ms: Cell<u64>,
    key: Cell<u32>,
}

impl Deadline {
    /// A deadline that never comes, until it is set.
    pub fn new(reactor: Handle) -> Self {
        Self { reactor, at_ms: Cell::new(NEVER), key: Cell::new(UNQUEUED) }
    }

    /// Moves it to `timeout_ms` from now; 0 means never, as in HAProxy's configuration.
    #[inline(never)]
    pub fn set_after(&self, timeout_ms: u64) {
        self.at_ms.set(match timeout_ms {
            0 => NEVER,
            ms => self.reactor.now_ms().saturating_add(ms),
        });
    }

    /// Moves it to a time of the loop's clock, in milliseconds; [`NEVER`] to switch it off.
    pub fn set_at(&self, at_ms: u64) {
        self.at_ms.set(at_ms);
    }

    /// When it comes.
    pub fn at_ms(&self) -> u64 {
        self.at_ms.get()
    }

    /// Ready once the time has come; the task is woken then, and only then.
    pub fn poll_expired(&self, context: &mut Context<'_>) -> Poll<Expired> {
        let at_ms = self.at_ms.get();
        if at_ms <= self.reactor.now_ms() {
            return Poll::Ready(Expired);
        }
        match self.key.get() {
            UNQUEUED if at_ms == NEVER => {}
            UNQUEUED => self.key.set(self.reactor.timers.borrow_mut().insert(at_ms, context.waker())),
            key => {
                if self.reactor.timers.borrow_mut().update(key, at_ms, context.waker()) {
                    return Poll::Ready(Expired);
                }
            }
        }
        Poll::Pending
    }

    /// What [`Reactor::expire`](super::Reactor::expire) knows it by, as long as it lives.
    pub fn key(&self) -> u32 {
        if self.key.get() == UNQUEUED {
            self.key.set(self.reactor.timers.borrow_mut().insert(NEVER, Waker::noop()));
        }
        self.key.get()
    }

    /// Polls `poll` until it is ready, but not past the deadline. The same as [`Deadline::guard`], for what is
    /// polled and not awaited: nothing is held twice.
    ///
    /// # Errors
    /// [`Expired`] when the time was up first.
    pub fn within<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> impl Future<Output = Result<T, Expired>> {
        std::future::poll_fn(move |context| match poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll_expired(context).map(Err),
        })
    }

    /// Waits for `future`, but not past the deadline. The deadline may be moved while it waits.
    ///
    /// # Errors
    /// [`Expired`] when the time was up first.
    pub async fn guard<T>(&self, future: impl Future<Output = T>) -> Result<T, Expired> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll_expired(context).map(Err),
        })
        .await
    }

    /// Sleeps until the deadline.
    pub async fn expired(&self) {
        std::future::poll_fn(|context| self.poll_expired(context)).await;
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if self.key.get() != UNQUEUED {
            // Dropped after the borrow ended: the waker may be the last reference to a task.
            let entry = self.reactor.timers.borrow_mut().remove(self.key.get());
            drop(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain list, with times put off, put forward, switched off and taken away.
    #[test]
    fn the_queue_is_a_sorted_one_whatever_is_done_to_it() {
        let mut timers = Timers::default();
        let mut known: Vec<(u32, u64)> = Vec::new();
        let mut chance = 1_u64;
        for round in 0..5_000_u64 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at_ms = round + (chance >> 33) % 1_000;
            let at = (chance >> 40) as usize % known.len().max(1);
            match (chance >> 60, known.get_mut(at)) {
                (0..6, _) | (_, None) => known.push((timers.insert(at_ms, Waker::noop()), at_ms)),
                (6..11, Some((key, deadline_ms))) => {
                    *deadline_ms = if chance >> 32 & 15 == 0 { NEVER } else { at_ms };
                    timers.update(*key, *deadline_ms, Waker::noop());
                }
                (_, Some((key, _))) => {
                    timers.remove(*key);
                    known.swap_remove(at);
                }
            }
            timers.fire(round);
            for (key, deadline_ms) in &known {
                let place = timers.entries[*key as usize].place as usize;
                assert_eq!(place == UNQUEUED as usize, timers.queue.iter().all(|queued| queued.1 != *key));
                if *deadline_ms > round && *deadline_ms != NEVER {
                    let (queued_ms, queued) = timers.queue[place];
                    assert!(queued == *key && queued_ms <= *deadline_ms && queued_ms > round);
                } else if *deadline_ms <= round {
                    assert_eq!(place, UNQUEUED as usize);
                }
            }
            assert!((1..timers.queue.len()).all(|at| timers.queue[(at - 1) / 2] < timers.queue[at]));
        }
        known.drain(..).for_each(|(key, _)| drop(timers.remove(key)));
        assert!(timers.is_empty());
    }
}
