//! Waiting for a server that has room.
//!
//! Whoever must go to one server waits in that server's queue, all others in the backend's. A place that becomes free
//! is given to the first of both queues, by priority, then by time; nobody else can take it meanwhile. Whoever leaves
//! is forgotten at once. Each of those who wait is a session, so `maxconn` bounds them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Asker, Backend, Pick, Server, Slot, Wish};

/// No server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoServer {
    /// Why there is none.
    pub reason: Reason,
    /// Whose queue it was.
    pub server: Option<usize>,
}

/// Why there is no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// None is up.
    Down,
    /// None had room in time (`timeout queue`).
    QueueTimeout,
    /// As many wait for it as may (`maxqueue`).
    QueueFull,
    /// The client has closed its connection (`option abortonclose`).
    ClientGone,
}

/// Where somebody stands: by class, then by time, then by who came first.
type Key = (i16, i64, u32);

/// Those who wait for one server, or for any.
#[derive(Default)]
pub(super) struct Queue {
    /// In the order of their keys. Most come to the end and leave from the front; a key is found by halving.
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
    /// How many have left it for a server.
    served: Cell<u32>,
}

struct Waiter {
    key: Key,
    /// It goes to its server or nowhere.
    insists: bool,
    /// `served` of its queue when it came, later its position when it left.
    position: Cell<u32>,
    answer: Cell<Option<Answer>>,
    waker: Cell<Option<Waker>>,
}

/// What ends the wait.
enum Answer {
    /// The right to use a server.
    Slot(Slot),
    /// Its server is down: it may go to another one.
    Choose,
}

/// What a request that asks for a server comes to.
pub(super) enum Start {
    /// This server has room.
    Now(usize),
    /// It waits for this server, or for any.
    Wait(Option<usize>),
    Never(NoServer),
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    fn first(&self) -> Option<Key> {
        self.waiting.borrow().front().map(|waiter| waiter.key)
    }

    fn push(&self, waiter: Rc<Waiter>) {
        waiter.position.set(self.served.get());
        let mut waiting = self.waiting.borrow_mut();
        let at = match waiting.back() {
            Some(last) if last.key > waiter.key => waiting.partition_point(|other| other.key < waiter.key),
            _ => waiting.len(),
        };
        waiting.insert(at, waiter);
    }

    /// Takes one out; false when it has left already.
    fn remove(&self, key: Key) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let Ok(at) = waiting.binary_search_by(|waiter| waiter.key.cmp(&key)) else { return false };
        let waiter = waiting.remove(at);
        drop(waiting);
        if let Some(waiter) = waiter {
            self.leaves(&waiter);
        }
        true
    }

    /// How many were served before it, itself included.
    fn leaves(&self, waiter: &Waiter) {
        waiter.position.set(self.served.get().wrapping_sub(waiter.position.get()).wrapping_add(1));
    }

    /// Gives the first one a server.
    fn serve_first(&self, slot: Slot) {
        let first = self.waiting.borrow_mut().pop_front();
        let Some(waiter) = first else { return };
        self.leaves(&waiter);
        self.served.set(self.served.get().wrapping_add(1));
        slot.server().promised.set(slot.server().promised.get().saturating_add(1));
        waiter.tell(Answer::Slot(slot));
    }

    /// Sends all away that may go elsewhere.
    fn scatter(&self) -> usize {
        let all = self.waiting.take();
        let (stay, go): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(|waiter| waiter.insists);
        self.waiting.replace(stay);
        for waiter in &go {
            self.leaves(waiter);
            waiter.tell(Answer::Choose);
        }
        go.len()
    }
}

impl Waiter {
    fn tell(&self, answer: Answer) {
        self.answer.set(Some(answer));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn take_answer(&self) -> Option<Answer> {
        let answer = self.answer.take();
        if let Some(Answer::Slot(slot)) = &answer {
            slot.server().promised.set(slot.server().promised.get().saturating_sub(1));
        }
        answer
    }
}

impl Backend {
    /// Sessions that wait for a server.
    pub fn queued(&self) -> usize {
        self.waiting.get() as usize
    }

    /// The server that is asked for, if it takes traffic.
    pub(super) fn named(&self, wish: &Wish) -> Option<usize> {
        let takes = |server: &Server| server.is_up() || wish.even_down;
        wish.server.filter(|&index| self.servers.get(index).is_some_and(takes))
    }

    /// What a request comes to now.
    pub(super) fn begin(self: &Rc<Self>, wish: &Wish) -> Start {
        self.set_limits();
        if let Some(index) = self.named(wish) {
            return self.start_at(index, wish);
        }
        // Nobody overtakes those who wait already.
        if !self.queue.is_empty() {
            self.serve_all();
            if !self.queue.is_empty() && self.servers.iter().any(Server::is_usable) {
                return Start::Wait(None);
            }
        }
        match self.pick(wish) {
            Pick::Server(index) => self.start_at(index, wish),
            Pick::Full => Start::Wait(None),
            Pick::Down => Start::Never(NoServer { reason: Reason::Down, server: None }),
        }
    }

    /// The same where only this server will do, or where the algorithm wants it though it is full.
    fn start_at(self: &Rc<Self>, index: usize, wish: &Wish) -> Start {
        match self.servers.get(index) {
            Some(server) if server.is_full() => {
                let max = server.config.maxqueue as usize;
                if max == 0 || server.queue.len() < max {
                    Start::Wait(Some(index))
                } else if wish.server.is_some() && !wish.insists && self.config.queues.redispatch.is_some() {
                    self.begin(&Wish { server: None, avoid: Some(index), ..*wish })
                } else {
                    Start::Never(NoServer { reason: Reason::QueueFull, server: Some(index) })
                }
            }
            _ => Start::Now(index),
        }
    }

    /// Moves the limits of servers with `minconn` to where the load wants them.
    fn set_limits(&self) {
        if self.full == 0 {
            return;
        }
        let load = u64::from(self.connections.get());
        for server in self.servers.iter().filter(|server| server.config.minconn > 0) {
            let max = server.maxconn.get();
            let share = load.min(self.full.into()) * u64::from(max) / u64::from(self.full);
            server.limit.set(u32::try_from(share).unwrap_or(max).max(server.config.minconn));
        }
    }

    /// A server may have room: the first of those who wait for it, and of those who wait for any, get it.
    pub(super) fn serve(self: &Rc<Self>, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        while self.waiting.get() > 0 && server.has_room() {
            let own = server.queue.first();
            let all = self.queue.first().filter(|_| self.serves(index));
            let queue = match (own, all) {
                (None, None) => return,
                (Some(own), Some(all)) if all < own => &self.queue,
                (Some(_), _) => &server.queue,
                (None, Some(_)) => &self.queue,
            };
            self.waiting.set(self.waiting.get().saturating_sub(1));
            queue.serve_first(Slot::new(self.clone(), index));
        }
    }

    /// Any server may have room.
    pub(super) fn serve_all(self: &Rc<Self>) {
        if self.waiting.get() > 0 {
            self.set_limits();
            (0..self.servers.len()).for_each(|index| self.serve(index));
        }
    }

    /// A server's state has changed: gives it those it can take from the backend's queue, or, when it is down, lets those
    /// who wait for it go elsewhere (`option redispatch`). Returns how many that are; to be asked before
    /// [`Backend::servers_changed`].
    pub(super) fn requeue(self: &Rc<Self>, index: usize) -> usize {
        let Some(server) = self.servers.get(index) else { return 0 };
        self.balancer.changed();
        if self.waiting.get() == 0 {
            return 0;
        }
        if server.is_up() {
            let before = self.queue.len();
            self.set_limits();
            self.serve(index);
            return before.saturating_sub(self.queue.len());
        }
        if self.config.queues.redispatch.is_none() || self.config.persistence.even_down {
            return 0;
        }
        let gone = server.queue.scatter();
        self.waiting.set(self.waiting.get().saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX)));
        gone
    }

    /// Whether the choice can fall on this server now.
    fn serves(&self, index: usize) -> bool {
        self.balancer.serves(&self.config.balance, &self.servers, index)
    }

    fn queue_of(&self, place: Option<usize>) -> &Queue {
        place.and_then(|index| self.servers.get(index)).map_or(&self.queue, |server| &server.queue)
    }

    fn key(&self, wish: &Wish) -> Key {
        let number = self.tickets.get();
        self.tickets.set(number.wrapping_add(1));
        let now_ms = i64::try_from(self.reactor.now_ms()).unwrap_or(i64::MAX);
        (wish.class, now_ms.saturating_add(wish.offset_ms.into()), number)
    }
}

/// Waits for a server, first in the queue of `place`.
pub(super) async fn wait(
    backend: &Rc<Backend>,
    asker: &Asker<'_>,
    wish: &Wish,
    place: Option<usize>,
) -> Result<Slot, NoServer> {
    asker.deadline.set_after(backend.config.timeouts.queue_ms);
    let key = backend.key(wish);
    let mut place = place;
    loop {
        let ticket = Ticket::new(backend, place, key, wish.insists);
        let answer = poll_fn(|context| ticket.poll(context, asker)).await;
        let waiter = ticket.leave();
        asker.course.note_place(place.is_some(), waiter.position.get());
        match answer.map_err(|reason| NoServer { reason, server: place })? {
            Answer::Slot(slot) => return Ok(slot),
            Answer::Choose => match backend.begin(&Wish { server: None, avoid: place, ..*wish }) {
                Start::Now(index) => {
                    asker.course.redispatched.set(true);
                    return Ok(Slot::new(backend.clone(), index));
                }
                Start::Wait(next) => place = next,
                // It has waited, so it may as well wait for one to come back.
                Start::Never(NoServer { reason: Reason::Down, .. }) => place = None,
                Start::Never(none) => return Err(none),
            },
        }
    }
}

/// A place in a queue.
struct Ticket<'a> {
    backend: &'a Rc<Backend>,
    place: Option<usize>,
    waiter: Rc<Waiter>,
}

impl<'a> Ticket<'a> {
    fn new(backend: &'a Rc<Backend>, place: Option<usize>, key: Key, insists: bool) -> Self {
        let (answer, waker) = (Cell::new(None), Cell::new(None));
        let waiter = Rc::new(Waiter { key, insists, position: Cell::new(0), answer, waker });
        let queue = backend.queue_of(place);
        queue.push(waiter.clone());
        backend.note_queue(place, queue.len());
        backend.waiting.set(backend.waiting.get().saturating_add(1));
        Self { backend, place, waiter }
    }

    fn poll(&self, context: &mut Context<'_>, asker: &Asker<'_>) -> Poll<Result<Answer, Reason>> {
        // A server that it was given meanwhile is the next one's then.
        if asker.is_gone(context) {
            return Poll::Ready(Err(Reason::ClientGone));
        }
        if let Some(answer) = self.waiter.take_answer() {
            return Poll::Ready(Ok(answer));
        }
        if asker.deadline.poll_expired(context).is_ready() {
            return Poll::Ready(Err(Reason::QueueTimeout));
        }
        self.waiter.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }

    fn leave(self) -> Rc<Waiter> {
        self.waiter.clone()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Self { backend, place, waiter } = self;
        if backend.queue_of(*place).remove(waiter.key) {
            backend.waiting.set(backend.waiting.get().saturating_sub(1));
        }
        // A server that it was given and did not take is the next one's.
        drop(waiter.take_answer());
    }
}
