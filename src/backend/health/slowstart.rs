//! `slowstart`: a server that is up again gets its share step by step (configuration §5.2, "slowstart").

use std::rc::{Rc, Weak};

use super::super::Backend;
use super::state::Op;
use crate::reactor::Deadline;

/// Twenty steps, but none shorter than this.
const STEP_MS_MIN: u64 = 1_000;

/// Leads the server's share from its first sixteenth to the whole.
pub(super) fn begin(backend: &Rc<Backend>, index: usize) {
    let task = backend.reactor.spawn_control(ramp(Rc::downgrade(backend), index));
    let mut tasks = backend.tasks.borrow_mut();
    tasks.retain(|task| !task.is_finished());
    tasks.push(task);
}

async fn ramp(backend: Weak<Backend>, index: usize) {
    let Some(deadline) = backend.upgrade().map(|backend| Deadline::new(backend.reactor)) else { return };
    let mut began_ms = None;
    loop {
        let step_ms = {
            let Some(backend) = backend.upgrade() else { return };
            let Some(server) = backend.servers.get(index) else { return };
            // One that has gone down and come back meanwhile has begun anew.
            let changed_ms = server.state.changed_ms.get();
            if server.state.op.get() != Op::Starting || *began_ms.get_or_insert(changed_ms) != changed_ms {
                return;
            }
            let now_ms = backend.reactor.now_ms();
            let past_ms = now_ms.saturating_sub(changed_ms);
            let whole_ms = server.config.state.slowstart_ms;
            server.set_ramp(past_ms, whole_ms);
            if past_ms >= whole_ms {
                server.state.enter(Op::Running, now_ms);
            }
            backend.servers_changed();
            if past_ms >= whole_ms {
                return;
            }
            (whole_ms / 20).max(STEP_MS_MIN).min(whole_ms - past_ms)
        };
        deadline.set_after(step_ms.max(1));
        deadline.expired().await;
    }
}
