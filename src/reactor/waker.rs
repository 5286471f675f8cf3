//! The loop's waker: a flag while the loop runs, an eventfd write while it sleeps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

/// Tasks are being polled; nobody asked for another turn yet.
const RUNNING: u8 = 0;
/// Somebody asked for another turn: do not sleep.
const NOTIFIED: u8 = 1;
/// The loop is in epoll, or about to be.
const ASLEEP: u8 = 2;

pub(super) struct LoopWaker {
    state: AtomicU8,
    event_fd: OwnedFd,
}

impl LoopWaker {
    pub(super) fn new() -> io::Result<Self> {
        let event_fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { state: AtomicU8::new(RUNNING), event_fd })
    }

    pub(super) fn event_fd(&self) -> BorrowedFd<'_> {
        self.event_fd.as_fd()
    }

    /// Before tasks are polled: what is notified from here on asks for another turn.
    pub(super) fn begin_turn(&self) {
        self.state.store(RUNNING, Ordering::SeqCst);
    }

    /// Before epoll: true when the loop may sleep, false when somebody already asked for another turn.
    pub(super) fn fall_asleep(&self) -> bool {
        self.state.compare_exchange(RUNNING, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Only the one who finds the loop asleep writes; it is then NOTIFIED until the next turn.
        if self.state.swap(NOTIFIED, Ordering::SeqCst) == ASLEEP {
            // The counter cannot overflow: it would take 2^64 writes.
            let _ = rustix::io::write(&self.event_fd, &1u64.to_ne_bytes());
        }
    }
}
