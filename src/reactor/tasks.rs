//! The run queue of the data plane: the tasks that were woken, first in, first out.
//!
//! Waking a task happens twice per message that passes, nearly always on the loop's own thread, so it is no
//! more than a push to a queue without a lock. A general executor takes a mutex, a lock-free queue and a list
//! of sleepers on that way: half of all instructions of a small message, when it was counted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_task::Runnable;

use super::waker::LoopWaker;

/// Tasks run in one turn before the loop looks at the kernel again.
const RUNS_PER_TURN: usize = 256;

/// A queue that grew longer than this gives its memory back when it is empty.
const ROOM_KEPT: usize = 256;

thread_local! {
    static LOCAL: Local = const { Local { owner: Cell::new(0), woken: RefCell::new(VecDeque::new()) } };
}

/// The part of a run queue that only the loop's thread touches.
struct Local {
    /// Which run queue's loop runs on this thread ([`RunQueue::id`]); 0 = none.
    owner: Cell<usize>,
    woken: RefCell<VecDeque<Runnable>>,
}

/// The woken tasks of one reactor.
pub(super) struct RunQueue {
    loop_waker: Arc<LoopWaker>,
    /// Tasks woken by other threads, or before the loop ran.
    remote: Mutex<Vec<Runnable>>,
    /// Whether there are any.
    has_remote: AtomicBool,
}

impl RunQueue {
    /// An empty one. Like the reactor it lives as long as the process: wakers on any thread refer to it.
    pub(super) fn new(loop_waker: Arc<LoopWaker>) -> &'static Self {
        Box::leak(Box::new(Self { loop_waker, remote: Mutex::default(), has_remote: AtomicBool::new(false) }))
    }

    /// Starts a task; it is first polled by the loop.
    pub(super) fn spawn<T: 'static>(
        &'static self,
        future: impl Future<Output = T> + 'static,
    ) -> smol::Task<T> {
        let (runnable, task) = async_task::spawn_local(future, |runnable| self.push(runnable));
        runnable.schedule();
        task
    }

    /// Makes this thread's queue this reactor's, until the guard is dropped.
    pub(super) fn enter(&'static self) -> Entered {
        LOCAL.with(|local| Entered { before: local.owner.replace(self.id()) })
    }

    /// Runs tasks until none is woken, or the turn's budget is used up. A task that gave way to others is not run
    /// again before the loop has looked at the kernel: otherwise a few that always have more to do (bulk) would
    /// use up the whole budget, and everybody else would wait for hundreds of their turns.
    pub(super) fn run(&self) {
        if self.has_remote.swap(false, Ordering::SeqCst) {
            let remote = std::mem::take(&mut *self.remote.lock().unwrap_or_else(PoisonError::into_inner));
            LOCAL.with(|local| local.woken.borrow_mut().extend(remote));
        }
        let mut budget = RUNS_PER_TURN;
        let mut gave_way = false;
        while budget > 0 {
            // The borrow ends before the task runs: it wakes others.
            let Some(runnable) = LOCAL.with(|local| local.woken.borrow_mut().pop_front()) else {
                return;
            };
            budget -= 1;
            // True when it was woken while it ran: it stands at the end of the queue again.
            if runnable.run() && !gave_way {
                gave_way = true;
                let before_it = LOCAL.with(|local| local.woken.borrow().len()).saturating_sub(1);
                budget = budget.min(before_it);
            }
        }
    }

    /// Whether there is something to run. Called at the end of a turn; what comes later from another thread
    /// goes through the loop's waker.
    pub(super) fn is_empty(&self) -> bool {
        LOCAL.with(|local| {
            let mut woken = local.woken.borrow_mut();
            if woken.is_empty() && woken.capacity() > ROOM_KEPT {
                *woken = VecDeque::new();
            }
            woken.is_empty()
        })
    }

    fn push(&self, runnable: Runnable) {
        let id = self.id();
        // At the end of a thread its queue may be gone.
        let foreign = LOCAL.try_with(|local| match local.owner.get() == id {
            true => {
                local.woken.borrow_mut().push_back(runnable);
                None
            }
            false => Some(runnable),
        });
        if let Ok(Some(runnable)) = foreign {
            self.remote.lock().unwrap_or_else(PoisonError::into_inner).push(runnable);
            self.has_remote.store(true, Ordering::SeqCst);
            self.loop_waker.end_sleep();
        }
    }

    /// Tells run queues apart: none moves, since each is leaked.
    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// The loop runs on this thread.
pub(super) struct Entered {
    before: usize,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = LOCAL.try_with(|local| local.owner.set(self.before));
    }
}
