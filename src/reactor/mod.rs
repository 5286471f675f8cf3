//! The event loop of the data plane: edge-triggered epoll, timers, the cached clock and [`Reactor::run`].
//!
//! One thread owns a reactor. A file descriptor is registered once, when it has first said "would block"
//! ([`Source`]); from then on the kernel reports edges and no `epoll_ctl` is made for it again. The invariant
//! that keeps this right: **whoever stops before `EAGAIN` (or a short read) must ask again before sleeping**,
//! because no second edge comes for bytes that are already there. [`Source::poll_io`] is the only way to do
//! I/O and keeps it.
//!
//! This is the only room that names epoll.
//!
//! Tasks come in two kinds. Those that carry users' traffic ([`Reactor::spawn`]) have a run queue of their own,
//! since they are woken with every message. What ticks or steers ([`Reactor::spawn_control`], and the future
//! given to [`Reactor::run`]) runs on a `smol::LocalExecutor`, which is polled only when one of them was woken.
//! Both are polled on this thread; async-io's timers and sockets live on a thread of its own and only meet
//! this loop in the waker, which writes an eventfd when the loop is asleep.

mod blocking;
mod clock;
mod source;
mod tasks;
mod timer;
mod waker;

pub use blocking::off_loop;
pub use source::{Direction, Source};
pub use timer::{Deadline, Expired, NEVER};

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustix::event::epoll;
use smol::LocalExecutor;

use clock::Clock;
use source::Sources;
use tasks::RunQueue;
use timer::Timers;
use waker::LoopWaker;

/// Events taken from the kernel in one turn; more wait for the next turn. Few on purpose: what an event is about
/// is then still in the processor's cache when its task runs. With 64 busy connections a relayed message cost 3 %
/// less CPU time than with 256 events a turn; with 8, the further calls of epoll ate that up.
const EVENTS_PER_TURN: usize = 16;

/// The key of the eventfd among epoll's keys; sources use their slab index, which is far below.
const WAKE_KEY: u64 = u64::MAX;

/// A reference to the loop that anything on its thread may keep. A process makes one and never drops it.
pub type Handle = &'static Reactor;

/// The event loop's state.
pub struct Reactor {
    epoll: OwnedFd,
    sources: RefCell<Sources>,
    timers: RefCell<Timers>,
    clock: Clock,
    loop_waker: Arc<LoopWaker>,
    tasks: &'static RunQueue,
    control: LocalExecutor<'static>,
}

impl Reactor {
    /// Makes the epoll instance and the eventfd. The reactor lives as long as the process.
    ///
    /// # Errors
    /// The system call's error where the kernel has no descriptors left.
    pub fn new() -> io::Result<Handle> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let loop_waker = Arc::new(LoopWaker::new()?);
        // Edge-triggered: each write is an edge of its own, so the counter is never read back.
        epoll::add(
            &epoll,
            loop_waker.event_fd(),
            epoll::EventData::new_u64(WAKE_KEY),
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )?;
        Ok(Box::leak(Box::new(Self {
            epoll,
            sources: RefCell::default(),
            timers: RefCell::default(),
            clock: Clock::new(),
            tasks: RunQueue::new(loop_waker.clone()),
            loop_waker,
            control: LocalExecutor::new(),
        })))
    }

    /// Milliseconds of the monotonic clock since the reactor was made, as read at the start of this turn.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Milliseconds since 1970 of the wall clock, read at most once a turn; 0 when the clock stands before 1970.
    pub fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Starts a task of the data plane on this thread; it ends by itself, or when the returned handle is dropped.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> smol::Task<T> {
        self.tasks.spawn(future)
    }

    /// Starts a task of the control plane: one that ticks or steers, and carries no user's bytes.
    pub fn spawn_control<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> smol::Task<T> {
        self.control.spawn(future)
    }

    /// Makes a [`Deadline`] come now, by its [`key`](Deadline::key): whoever waits for it finds it expired, once.
    pub fn expire(&self, key: u32) {
        let waker = self.timers.borrow_mut().force(key, true);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes that back, where nobody has found it expired yet.
    pub fn relent(&self, key: u32) {
        self.timers.borrow_mut().force(key, false);
    }

    /// Runs the loop until `main` is done. Tasks that were spawned stay where they are when it returns.
    ///
    /// # Errors
    /// Only what epoll itself reports, which means the process cannot go on.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> io::Result<T> {
        let waker = Waker::from(self.loop_waker.clone());
        let mut context = Context::from_waker(&waker);
        let mut control = pin!(self.control.run(main));
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        let _entered = self.tasks.enter();
        // The start may have taken long (names were looked up), and the first turn serves connections already.
        self.clock.advance();
        loop {
            self.loop_waker.begin_turn();
            if self.loop_waker.take_control_due()
                && let Poll::Ready(value) = control.as_mut().poll(&mut context)
            {
                return Ok(value);
            }
            self.tasks.run();
            self.wait(&mut events)?;
            // Awake: what is woken from here on is polled in this turn and needs no eventfd.
            self.loop_waker.begin_turn();
            self.clock.advance();
            self.dispatch(&events);
            self.timers.borrow_mut().fire(self.now_ms());
        }
    }

    /// Sleeps until the kernel has events, the next timer is due, or somebody woke the loop.
    fn wait(&self, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        events.clear();
        let sleep_ms = match self.timers.borrow().next_ms() {
            _ if !self.tasks.is_empty() || !self.loop_waker.fall_asleep() => Some(0),
            // By the clock of this turn, which saves reading it again: late by no more than the turn took.
            Some(due_ms) => Some(due_ms.saturating_sub(self.now_ms())),
            None => None,
        };
        let timeout = sleep_ms.map(timespec_ms);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Marks what the kernel reported and wakes the tasks that wait for it.
    fn dispatch(&self, events: &[epoll::Event]) {
        let mut sources = self.sources.borrow_mut();
        for event in events {
            let key = event.data.u64();
            if key != WAKE_KEY {
                sources.mark(key, event.flags);
            }
        }
    }
}

/// A relative time for epoll; at most a day, so that no kernel's 32-bit millisecond count overflows.
fn timespec_ms(ms: u64) -> rustix::event::Timespec {
    let ms = ms.min(86_400_000);
    // Both fit: seconds ≤ 86,400 and nanoseconds < 10^9.
    rustix::event::Timespec { tv_sec: (ms / 1_000) as _, tv_nsec: ((ms % 1_000) * 1_000_000) as _ }
}

#[cfg(test)]
mod tests;
