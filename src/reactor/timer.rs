//! Timers of the data plane, made for timeouts that hardly ever fire.
//!
//! A session has one [`Deadline`]. Activity only stores a later time in it; the queue keeps the earlier one,
//! and looks at the deadline when that comes. So a busy connection costs one queue operation per timeout
//! period and not one per request.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::Handle;

/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// `key` of a deadline that the queue does not know.
const UNQUEUED: u32 = u32::MAX;

struct Entry {
    /// When it is meant to fire.
    deadline_ms: u64,
    /// Where it stands in the queue; never later than `deadline_ms`.
    queued_ms: u64,
    /// It has come before its time; whoever waits for it next finds it so, once.
    forced: bool,
    waker: Waker,
}

/// All deadlines that somebody waits for.
#[derive(Default)]
pub(super) struct Timers {
    entries: Slab<Entry>,
    queue: BTreeSet<(u64, u32)>,
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
            self.queue.pop_first();
            let Some(entry) = self.entries.get_mut(key as usize) else { continue };
            if entry.deadline_ms > now_ms {
                entry.queued_ms = entry.deadline_ms;
                if entry.deadline_ms != NEVER {
                    self.queue.insert((entry.deadline_ms, key));
                }
            } else {
                entry.queued_ms = NEVER;
                entry.waker.wake_by_ref();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.queue.is_empty()
    }

    fn insert(&mut self, deadline_ms: u64, waker: &Waker) -> u32 {
        let entry = Entry { deadline_ms, queued_ms: deadline_ms, forced: false, waker: waker.clone() };
        let key = self.entries.insert(entry) as u32;
        if deadline_ms != NEVER {
            self.queue.insert((deadline_ms, key));
        }
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
        if deadline_ms < entry.queued_ms {
            self.queue.remove(&(entry.queued_ms, key));
            self.queue.insert((deadline_ms, key));
            entry.queued_ms = deadline_ms;
        }
        std::mem::take(&mut entry.forced)
    }

    fn remove(&mut self, key: u32) -> Option<Entry> {
        let entry = self.entries.try_remove(key as usize)?;
        self.queue.remove(&(entry.queued_ms, key));
        Some(entry)
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
