//! Addresses that this machine does not have yet: a device starts its services before its network is up.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

use super::accept::{Port, Room};
use super::listen::{Order, explain};
use crate::net::Listener;
use crate::reactor::Deadline;

/// How often an address is tried again, milliseconds.
const AGAIN_MS: u64 = 500;

/// What happens with an address that this machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It is an error.
    Refuse,
    /// It is tried again until it comes, or for so long, milliseconds.
    Wait {
        /// `None` = without end.
        limit_ms: Option<u64>,
    },
    /// It is listened on all the same (IP_FREEBIND): by a process that will not have the rights to do it later.
    AtOnce,
}

/// How long a listener waits for its address, and what happens when it never comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// `None` = without end.
    pub limit_ms: Option<u64>,
    /// At the start, giving up is what an error of the start is: the process ends. After a reload it is not
    /// worth those who are being served.
    pub ends_process: bool,
}

/// Opens the listener as soon as its address is there. `None` when the port is closed before, or has to be
/// given up, which an error message says then.
pub(super) async fn open(port: &Port, room: &Room, order: &Order, patience: Patience) -> Option<Listener> {
    let text = port.text();
    log::warn!("'{text}' is not an address of this machine yet: waiting for it");
    let began_ms = room.reactor.now_ms();
    loop {
        if !pause(port, room).await {
            return None;
        }
        let waited_ms = room.reactor.now_ms().saturating_sub(began_ms);
        match order.open() {
            Ok(socket) => {
                log::info!("'{text}' is there after {} s: listening", waited_ms / 1_000);
                port.set_listening();
                room.waits.changed(false);
                return Some(Listener::new(room.reactor, socket));
            }
            Err(error) if is_missing(&error) && patience.limit_ms.is_none_or(|limit| waited_ms < limit) => {}
            Err(error) => {
                log::error!(
                    "gave up waiting for '{text}' after {} s: {}",
                    waited_ms / 1_000,
                    explain(&error)
                );
                room.waits.changed(patience.ends_process);
                return None;
            }
        }
    }
}

/// Whether the address is not there, but may come.
pub(super) fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Lets some time pass; false when the port is to be closed.
async fn pause(port: &Port, room: &Room) -> bool {
    let pause = Deadline::new(room.reactor);
    pause.set_after(AGAIN_MS);
    poll_fn(|context| {
        if port.is_closing_else_wake(context.waker()) {
            return Poll::Ready(false);
        }
        pause.poll_expired(context).map(|_| true)
    })
    .await
}

/// What became of waiting, for the one task that steers the process.
#[derive(Default)]
pub(super) struct Waits {
    changed: Cell<bool>,
    failed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Waits {
    fn changed(&self, failed: bool) {
        self.changed.set(true);
        self.failed.set(self.failed.get() || failed);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Returns when an address came or was given up since the last call; false when the process is to end
    /// because of it.
    pub(super) async fn next(&self) -> bool {
        poll_fn(|context| {
            if self.changed.take() {
                return Poll::Ready(!self.failed.get());
            }
            self.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }
}
