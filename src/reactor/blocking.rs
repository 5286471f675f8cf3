//! Work that blocks (a name to look up, a question to the keeper), on a thread beside the loop.

use std::sync::{Arc, Mutex, PoisonError};

/// A job in a box, so that smol's machinery for it is compiled once and not for every kind of result.
type Job = Box<dyn FnOnce() + Send>;

/// Runs `work` on a thread of smol's pool, and waits for it without blocking the loop. `None` when it ended without a
/// result, which takes a panic.
pub async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let result = Arc::new(Mutex::new(None));
    let theirs = result.clone();
    let job: Job = Box::new(move || {
        let value = work();
        *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    });
    smol::unblock(job).await;
    result.lock().unwrap_or_else(PoisonError::into_inner).take()
}
