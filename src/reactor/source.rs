//! File descriptors of the data plane: readiness as the kernel reported it, and who waits for it.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use rustix::event::epoll;
use slab::Slab;

use super::Handle;

/// Bytes (or a connection, an end, an error) may be there to read.
const READABLE: u8 = 1;
/// There may be room to write.
const WRITABLE: u8 = 2;
/// The peer has finished sending, or the connection is broken: a read will never block again.
const ENDED: u8 = 4;

/// Urgent data was seen: a read stops short at its mark although more follows.
const URGENT: u8 = 8;

/// `key` of a source that epoll does not know yet.
const UNREGISTERED: u32 = u32::MAX;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

impl Direction {
    const fn bit(self) -> u8 {
        match self {
            Self::Read => READABLE,
            Self::Write => WRITABLE,
        }
    }
}

/// What the reactor keeps of a registered descriptor. There is one waker and not two, because a connection is
/// one task: it reads and writes, and sleeps until either is possible.
#[derive(Default)]
struct Entry {
    ready: u8,
    /// The directions that `waker` waits for.
    wanted: u8,
    /// epoll reports room to write. Not from the beginning: nearly every socket has room when it is registered,
    /// each would be reported for that at once, and few ever fill up.
    reports_room: bool,
    waker: Option<Waker>,
}

/// All registered descriptors, by epoll key.
#[derive(Default)]
pub(super) struct Sources {
    entries: Slab<Entry>,
}

impl Sources {
    /// Notes an event. All events of a turn are noted before any task runs, so no key is stale: the source of
    /// each is still the one that the kernel meant.
    pub(super) fn mark(&mut self, key: u64, flags: epoll::EventFlags) {
        use epoll::EventFlags as F;
        let Some(entry) = usize::try_from(key).ok().and_then(|key| self.entries.get_mut(key)) else {
            return;
        };
        let broken = flags.intersects(F::HUP | F::ERR);
        if flags.intersects(F::PRI) {
            entry.ready |= URGENT;
        }
        if flags.intersects(F::RDHUP) || broken {
            entry.ready |= ENDED;
        }
        if flags.intersects(F::IN | F::RDHUP) || broken {
            entry.ready |= READABLE;
        }
        if flags.intersects(F::OUT) || broken {
            entry.ready |= WRITABLE;
        }
        if entry.ready & entry.wanted != 0 {
            entry.wanted = 0;
            if let Some(waker) = &entry.waker {
                waker.wake_by_ref();
            }
        }
    }
}

/// What epoll is asked to report of a source.
fn interest(room: bool) -> epoll::EventFlags {
    use epoll::EventFlags as F;
    let input = F::IN | F::PRI | F::RDHUP | F::ET;
    if room { input | F::OUT } else { input }
}

/// A non-blocking file descriptor of the data plane. Closing it (drop) takes it out of epoll.
///
/// One task at a time uses it: when two wait for it, only the one that asked last is woken.
pub struct Source {
    fd: OwnedFd,
    reactor: Handle,
    /// Slab index in [`Sources`], or [`UNREGISTERED`].
    key: Cell<u32>,
    /// Readiness before registration: optimistic at first, so that the first call is made without epoll.
    hint: Cell<u8>,
}

impl Source {
    /// Takes a descriptor that is already non-blocking. No system call is made.
    pub fn new(reactor: Handle, fd: OwnedFd) -> Self {
        Self { fd, reactor, key: Cell::new(UNREGISTERED), hint: Cell::new(READABLE | WRITABLE) }
    }

    /// The loop it belongs to.
    pub fn reactor(&self) -> Handle {
        self.reactor
    }

    /// Does `call` when the descriptor may be ready, and again until it stops saying `EAGAIN`; parks the task
    /// otherwise.
    #[inline]
    pub fn poll_io<T>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        mut call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        while self.ready_or_park(context, direction)? {
            match call(self.fd.as_fd()) {
                // Parks in the next round, unless an event came with the registration.
                Err(rustix::io::Errno::AGAIN) => self.clear(direction),
                Err(rustix::io::Errno::INTR) => {}
                result => return Poll::Ready(result.map_err(Into::into)),
            }
        }
        Poll::Pending
    }

    /// Ready when a call in this direction may succeed; parks the task otherwise.
    pub fn poll_ready(&self, context: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        if self.ready_or_park(context, direction)? { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Ready when the peer has finished sending, or the connection is broken; parks the task otherwise. Reads nothing.
    pub fn poll_ended(&self, context: &mut Context<'_>) -> Poll<()> {
        // Without a watch it is as if it never ended.
        if self.watch().is_err() {
            return Poll::Pending;
        }
        let mut sources = self.reactor.sources.borrow_mut();
        let Some(entry) = sources.entries.get_mut(self.key.get() as usize) else { return Poll::Ready(()) };
        if entry.ready & ENDED != 0 {
            return Poll::Ready(());
        }
        entry.wanted |= ENDED;
        match &entry.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => entry.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Whether a call may succeed. Where not, the task is woken when one may; the source is registered for
    /// that, if it was not yet.
    fn ready_or_park(&self, context: &mut Context<'_>, direction: Direction) -> io::Result<bool> {
        let bit = direction.bit();
        if self.key.get() == UNREGISTERED {
            if self.hint.get() & bit != 0 {
                return Ok(true);
            }
            self.register(direction == Direction::Write)?;
        }
        let mut sources = self.reactor.sources.borrow_mut();
        // The entry of a registered source is there until the source is dropped.
        let Some(entry) = sources.entries.get_mut(self.key.get() as usize) else { return Ok(true) };
        if entry.ready & bit != 0 {
            return Ok(true);
        }
        if direction == Direction::Write && !entry.reports_room {
            let data = epoll::EventData::new_u64(u64::from(self.key.get()));
            // The kernel looks at once: room that came since the last call is reported.
            epoll::modify(&self.reactor.epoll, &self.fd, data, interest(true))?;
            entry.reports_room = true;
        }
        entry.wanted |= bit;
        match &entry.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => entry.waker = Some(context.waker().clone()),
        }
        Ok(false)
    }

    /// Whether the kernel has not yet said "would block" since the last edge.
    pub fn may(&self, direction: Direction) -> bool {
        self.ready() & direction.bit() != 0
    }

    /// Whether the peer has sent urgent data, ever.
    pub fn is_urgent(&self) -> bool {
        self.ready() & URGENT != 0
    }

    /// Says that a read came back short: the kernel's buffer is empty, so the next read waits for an edge
    /// instead of asking for an `EAGAIN`. Not believed once the peer has ended, since the end is still to be
    /// read, nor once it has sent urgent data, at whose mark a read stops.
    pub fn drained(&self) {
        match self.registered() {
            None => self.hint.set(self.hint.get() & !READABLE),
            Some(key) => {
                if let Some(entry) = self.reactor.sources.borrow_mut().entries.get_mut(key)
                    && entry.ready & (ENDED | URGENT) == 0
                {
                    entry.ready &= !READABLE;
                }
            }
        }
    }

    /// Says that the direction would block (a call outside [`Source::poll_io`] found out).
    pub fn clear(&self, direction: Direction) {
        let bit = direction.bit();
        match self.registered() {
            None => self.hint.set(self.hint.get() & !bit),
            Some(key) => {
                if let Some(entry) = self.reactor.sources.borrow_mut().entries.get_mut(key) {
                    entry.ready &= !bit;
                }
            }
        }
    }

    /// True while nothing has come on an idle connection: no bytes, no end, no error. Costs no system call,
    /// but only a registered source knows: register with [`Source::watch`] first.
    pub fn is_quiet(&self) -> bool {
        self.registered().is_some() && self.ready() & (READABLE | ENDED) == 0
    }

    /// Registers now, so that what comes is noted even while no task waits.
    ///
    /// # Errors
    /// epoll's: no memory, or the limit of watches.
    pub fn watch(&self) -> io::Result<()> {
        if self.registered().is_some() { Ok(()) } else { self.register(false) }
    }

    fn register(&self, reports_room: bool) -> io::Result<()> {
        let mut sources = self.reactor.sources.borrow_mut();
        let slot = sources.entries.vacant_entry();
        let key = u32::try_from(slot.key()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let data = epoll::EventData::new_u64(u64::from(key));
        // The kernel reports at once what is already there, so nothing is lost between the last call and now.
        epoll::add(&self.reactor.epoll, &self.fd, data, interest(reports_room))?;
        slot.insert(Entry { ready: self.hint.get(), reports_room, ..Entry::default() });
        self.key.set(key);
        Ok(())
    }

    /// Nobody waits for it any more: it goes from one task to another, and shall not keep the first one alive.
    pub fn detach(&self) {
        let waker = self.registered().and_then(|key| {
            let mut sources = self.reactor.sources.borrow_mut();
            let entry = sources.entries.get_mut(key)?;
            entry.wanted = 0;
            entry.waker.take()
        });
        // Outside the borrow: dropping the last waker can drop a task, and with it sources.
        drop(waker);
    }

    fn registered(&self) -> Option<usize> {
        let key = self.key.get();
        (key != UNREGISTERED).then_some(key as usize)
    }

    fn ready(&self) -> u8 {
        match self.registered() {
            None => self.hint.get(),
            Some(key) => self.reactor.sources.borrow().entries.get(key).map_or(0, |entry| entry.ready),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(key) = self.registered() {
            // Wakers are dropped outside the borrow: dropping the last one can drop a task, and with it sources.
            let entry = self.reactor.sources.borrow_mut().entries.try_remove(key);
            drop(entry);
        }
        // epoll forgets the descriptor when it is closed: nothing of ours duplicates it.
    }
}
