//! How the loop is told that there is something to do: a flag while it runs, an eventfd write while it sleeps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

/// Tasks are being polled; nobody asked for another turn yet.
const RUNNING: u8 = 0;
/// Somebody asked for another turn: do not sleep.
const NOTIFIED: u8 = 1;
/// The loop is in epoll, or about to be.
const ASLEEP: u8 = 2;

/// As a [`Wake`]r it stands for the control plane's executor; the data plane's tasks have a queue of their own.
pub(super) struct LoopWaker {
    state: AtomicU8,
    /// The control plane has something to do.
    control_due: AtomicBool,
    event_fd: OwnedFd,
}

impl LoopWaker {
    pub(super) fn new() -> io::Result<Self> {
        let event_fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Due at first: what was spawned before the loop ran is to be polled once.
        Ok(Self { state: AtomicU8::new(RUNNING), control_due: AtomicBool::new(true), event_fd })
    }

    pub(super) fn event_fd(&self) -> BorrowedFd<'_> {
        self.event_fd.as_fd()
    }

    /// Before tasks are polled: what is notified from here on asks for another turn.
    pub(super) fn begin_turn(&self) {
        self.state.store(RUNNING, Ordering::SeqCst);
    }

    /// Whether the control plane was woken since this was last asked.
    pub(super) fn take_control_due(&self) -> bool {
        self.control_due.swap(false, Ordering::SeqCst)
    }

    /// Before epoll: true when the loop may sleep, false when somebody already asked for another turn.
    pub(super) fn fall_asleep(&self) -> bool {
        self.state.compare_exchange(RUNNING, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Asks for another turn, from any thread.
    pub(super) fn end_sleep(&self) {
        // Only the one who finds the loop asleep writes; it is then NOTIFIED until the next turn.
        if self.state.swap(NOTIFIED, Ordering::SeqCst) == ASLEEP {
            // The counter cannot overflow: it would take 2^64 writes.
            let _ = rustix::io::write(&self.event_fd, &1u64.to_ne_bytes());
        }
    }
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.control_due.store(true, Ordering::SeqCst);
        self.end_sleep();
    }
}
