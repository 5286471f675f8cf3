//! Idle connections to servers, kept for the next request.
//!
//! They hold no buffer and no task; the loop notes when the server ends one, and it is then not used again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Weak;
use std::task::{Poll, Waker};

use super::{Backend, Server};
use crate::config::Pool;
use crate::net::Stream;
use crate::reactor::{Deadline, Handle};

thread_local! {
    static KEPT: Cell<u32> = const { Cell::new(0) };
    static KEPT_MAX: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Limits how many idle connections the process keeps, to all servers together.
pub fn set_idle_max(max: u32) {
    KEPT_MAX.set(max);
}

struct Idle {
    stream: Stream,
    since_ms: u64,
    /// So many requests it has carried.
    requests: u32,
    _kept: Kept,
}

/// An idle connection that is for one client alone.
pub struct Reserved {
    stream: Stream,
    requests: u32,
    _kept: Kept,
}

impl Reserved {
    /// Keeps a connection that has carried so many requests as the pool would; `None` when it is not fit for that.
    pub fn new(stream: Stream, requests: u32) -> Option<Self> {
        let kept = Kept::one_more()?;
        stream.settle().then_some(Self { stream, requests, _kept: kept })
    }

    /// The connection, if it is still quiet, and how many requests it has carried.
    pub fn take(self) -> Option<(Stream, u32)> {
        self.stream.is_quiet().then_some((self.stream, self.requests))
    }
}

/// Counts an idle connection while it lives.
struct Kept;

impl Kept {
    /// `None` when there are as many as may be.
    fn one_more() -> Option<Self> {
        if KEPT.get() >= KEPT_MAX.get() {
            return None;
        }
        KEPT.set(KEPT.get().saturating_add(1));
        Some(Self)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = KEPT.try_with(|kept| kept.set(kept.get().saturating_sub(1)));
    }
}

/// The idle connections of one server, oldest first.
#[derive(Default)]
pub(super) struct IdlePool {
    idle: RefCell<VecDeque<Idle>>,
}

impl IdlePool {
    /// The one used last: it is the least likely to be ended by the server in this moment. With `proven` only one
    /// that has carried more than one request. Returns how many it has carried, too.
    pub(super) fn take(&self, proven: bool) -> Option<(Stream, u32)> {
        loop {
            let mut all = self.idle.borrow_mut();
            let at = all.iter().rposition(|idle| idle.requests > 1 || !proven)?;
            let idle = all.remove(at)?;
            if idle.stream.is_quiet() {
                return Some((idle.stream, idle.requests));
            }
        }
    }

    /// Keeps a connection on which nothing is outstanding; one that has said something unasked, or ended, is
    /// closed, and so is one beyond what `pool` or [`set_idle_max`] says.
    pub(super) fn put(&self, stream: Stream, requests: u32, pool: Pool) {
        if self.idle.borrow().len() < pool.max as usize
            && pool.keep_ms > 0
            && let Some(kept) = Kept::one_more()
            && stream.settle()
        {
            let since_ms = stream.reactor().now_ms();
            self.idle.borrow_mut().push_back(Idle { stream, since_ms, requests, _kept: kept });
        }
    }

    /// How many there are, and how many of them have carried more than one request.
    pub(super) fn count(&self) -> (usize, usize) {
        let idle = self.idle.borrow();
        (idle.len(), idle.iter().filter(|idle| idle.requests > 1).count())
    }

    /// Closes all; false when there were none.
    pub(super) fn clear(&self) -> bool {
        let all = std::mem::take(&mut *self.idle.borrow_mut());
        !all.is_empty()
    }

    /// Closes what the server has ended or what is too old; returns when the next one will be.
    fn purge(&self, now_ms: u64, keep_ms: u64) -> Option<u64> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.stream.is_quiet() && now_ms.saturating_sub(idle.since_ms) < keep_ms);
        let next_ms = idle.front().map(|idle| idle.since_ms.saturating_add(keep_ms));
        if next_ms.is_none() {
            idle.shrink_to_fit();
        }
        next_ms
    }
}

/// Tells the purge that there is something to look after.
#[derive(Default)]
pub(super) struct IdleWatch {
    some: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl IdleWatch {
    pub(super) fn notify(&self) {
        if !self.some.replace(true)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// Closes idle connections in time; sleeps without a timer while there are none.
pub(super) async fn purge(backend: Weak<Backend>, reactor: Handle) {
    let deadline = Deadline::new(reactor);
    loop {
        poll_fn(|context| match backend.upgrade() {
            Some(backend) if !backend.idle.some.get() => {
                *backend.idle.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
        let Some(next_ms) = purge_all(&backend, reactor.now_ms()) else {
            if backend.strong_count() == 0 {
                return;
            }
            continue;
        };
        deadline.set_at(next_ms);
        deadline.expired().await;
    }
}

/// One round over all servers; `None` when nothing is left (or the backend is gone).
fn purge_all(backend: &Weak<Backend>, now_ms: u64) -> Option<u64> {
    let backend = backend.upgrade()?;
    let purge = |server: &Server| server.idle.purge(now_ms, server.config.pool.keep_ms);
    let next_ms = backend.servers.iter().filter_map(purge).min();
    backend.idle.some.set(next_ms.is_some());
    next_ms
}
