//! Waiting for a server that has room. First come, first served; whoever leaves is forgotten at once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::Pick;
use crate::reactor::Deadline;

/// Why there is no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoServer {
    /// None is up.
    Down,
    /// None had room in time (`timeout queue`).
    QueueTimeout,
}

/// Those who wait, by ticket. Bounded by `maxconn`: each is a session.
#[derive(Default)]
pub(super) struct Queue {
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next_ticket: Cell<u64>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Asks `pick` now, and again each time it is this one's turn.
    pub(super) async fn wait(&self, deadline: &Deadline, pick: impl Fn() -> Pick) -> Result<usize, NoServer> {
        // Nobody overtakes those who wait already.
        if self.waiting.borrow().is_empty() {
            match pick() {
                Pick::Server(index) => return Ok(index),
                Pick::Down => return Err(NoServer::Down),
                Pick::Full => {}
            }
        }
        let number = self.next_ticket.get();
        self.next_ticket.set(number.wrapping_add(1));
        let _ticket = Ticket { queue: self, number };
        poll_fn(|context| {
            if deadline.poll_expired(context).is_ready() {
                return Poll::Ready(Err(NoServer::QueueTimeout));
            }
            if self.is_first(number) {
                match pick() {
                    Pick::Server(index) => return Poll::Ready(Ok(index)),
                    Pick::Down => return Poll::Ready(Err(NoServer::Down)),
                    Pick::Full => {}
                }
            }
            self.waiting.borrow_mut().insert(number, context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn is_first(&self, number: u64) -> bool {
        self.waiting.borrow().first_key_value().is_none_or(|(first, _)| *first >= number)
    }

    /// Lets the first in the queue look again.
    pub(super) fn wake_one(&self) {
        if let Some((_, waker)) = self.waiting.borrow().first_key_value() {
            waker.wake_by_ref();
        }
    }
}

/// A place in the queue.
struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let was_first = self.queue.is_first(self.number);
        self.queue.waiting.borrow_mut().remove(&self.number);
        // Served, timed out or gone: the next one looks, since there may be room for it too.
        if was_first {
            self.queue.wake_one();
        }
    }
}
