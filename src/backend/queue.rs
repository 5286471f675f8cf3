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
    /// With the server that they insist on: those of one server wait for each other alone.
    waiting: RefCell<BTreeMap<u64, (Option<usize>, Waker)>>,
    next_ticket: Cell<u64>,
    /// Somebody has insisted on a server.
    is_mixed: Cell<bool>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Asks `pick` now, and again each time it is this one's turn.
    pub(super) async fn wait(
        &self,
        deadline: &Deadline,
        server: Option<usize>,
        pick: impl Fn() -> Pick,
    ) -> Result<usize, NoServer> {
        // Nobody overtakes those who wait already.
        if self.first(server).is_none() {
            match pick() {
                Pick::Server(index) => return Ok(index),
                Pick::Down => return Err(NoServer::Down),
                Pick::Full => {}
            }
        }
        if server.is_some() {
            self.is_mixed.set(true);
        }
        let number = self.next_ticket.get();
        self.next_ticket.set(number.wrapping_add(1));
        let _ticket = Ticket { queue: self, number, server };
        poll_fn(|context| {
            if deadline.poll_expired(context).is_ready() {
                return Poll::Ready(Err(NoServer::QueueTimeout));
            }
            if self.is_first(number, server) {
                match pick() {
                    Pick::Server(index) => return Poll::Ready(Ok(index)),
                    Pick::Down => return Poll::Ready(Err(NoServer::Down)),
                    Pick::Full => {}
                }
            }
            self.waiting.borrow_mut().insert(number, (server, context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// The first of those who wait for the same.
    fn first(&self, server: Option<usize>) -> Option<u64> {
        let waiting = self.waiting.borrow();
        waiting.iter().find(|(_, (known, _))| *known == server).map(|(number, _)| *number)
    }

    fn is_first(&self, number: u64, server: Option<usize>) -> bool {
        self.first(server).is_none_or(|first| first >= number)
    }

    /// Lets the first in the queue look again, and the first of those who insist on a server.
    pub(super) fn wake_one(&self) {
        let waiting = self.waiting.borrow();
        let mut woken: Vec<Option<usize>> = Vec::new();
        for (server, waker) in waiting.values() {
            if !woken.contains(server) {
                woken.push(*server);
                waker.wake_by_ref();
            }
            // Where no rule prefers a server, the first is the only one.
            if !self.is_mixed.get() {
                break;
            }
        }
    }
}

/// A place in the queue.
struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
    server: Option<usize>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let was_first = self.queue.is_first(self.number, self.server);
        self.queue.waiting.borrow_mut().remove(&self.number);
        // Served, timed out or gone: the next one looks, since there may be room for it too.
        if was_first {
            self.queue.wake_one();
        }
    }
}
