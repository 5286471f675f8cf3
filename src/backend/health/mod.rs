//! Health checks and what follows from them, on the control plane: a check says something ([`probe`], [`verdict`]), it is
//! counted here, and where that changes a server's state, [`changes`] puts it into force and tells the log.

mod agent;
mod answer;
mod changes;
mod observe;
mod probe;
mod script;
mod slowstart;
mod start;
mod state;
mod verdict;

pub use answer::{Answer, Judgement, judge};
pub use observe::Observed;
pub use start::{Spread, link};
pub use state::{Admin, Counter, Facts, Op};

pub(super) use agent::attend;
pub(super) use changes::EMERGENCY;
pub(super) use state::State;

use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::{Backend, Server};
use crate::config::Check;
use crate::reactor::Deadline;
use changes::NOTICE;
use probe::probe;
use verdict::{Status, Verdict};

/// Checks are brought forward by less than this to be made together, and by no more than a hundredth of their pause.
const TOGETHER_MS_MAX: u64 = 20;

/// Checks one server for as long as its backend lives.
pub(super) async fn watch(backend: Weak<Backend>, index: usize, check: Check, first_delay_ms: u64) {
    let Some(deadline) = backend.upgrade().map(|backend| Deadline::new(backend.reactor)) else { return };
    let mut pause_ms = first_delay_ms;
    let start = Instant::now();
    loop {
        sleep(&backend, index, &deadline, pause_ms).await;
        if is_paused(&backend, index) {
            pause_ms = check.inter_ms.max(1);
            continue;
        }
        let Some(verdict) = probe(&backend, index, &check).await else { return };
        let Some(backend) = backend.upgrade() else { return };
        backend.judge(index, verdict);
        let Some(server) = backend.servers.get(index) else { return };
        // The nanoseconds since the start are chance enough.
        let chance = start.elapsed().subsec_nanos();
        pause_ms = spread_ms(pause_ms_of(server, &check), check.spread_percent, chance).max(1);
    }
}

/// A pause that is longer or shorter by up to so many percent.
fn spread_ms(pause_ms: u64, percent: u32, chance: u32) -> u64 {
    let most_ms = pause_ms.saturating_mul(percent.into()) / 100;
    pause_ms.saturating_sub(most_ms).saturating_add(u64::from(chance) % (2 * most_ms + 1))
}

/// A time a little earlier, at which others are up too: one wake-up is then for several checks.
fn together_ms(at_ms: u64, pause_ms: u64) -> u64 {
    at_ms - at_ms % (pause_ms / 100).clamp(1, TOGETHER_MS_MAX)
}

/// Until the next check: shorter while the state is changing.
fn pause_ms_of(server: &Server, check: &Check) -> u64 {
    let counter = server.state.check.get();
    let or_inter = |ms: Option<u64>| ms.unwrap_or(check.inter_ms);
    if counter.health == counter.top() {
        check.inter_ms
    } else if server.state.op.get() == Op::Stopped && counter.health == 0 {
        or_inter(check.downinter_ms)
    } else {
        or_inter(check.fastinter_ms)
    }
}

/// Whether the server is in maintenance: no check is made, but the address that it may lack is looked for.
fn is_paused(backend: &Weak<Backend>, index: usize) -> bool {
    let Some(backend) = backend.upgrade() else { return false };
    let Some(server) = backend.servers.get(index) else { return false };
    if server.address().is_none() {
        backend.look_up_again(index);
    }
    server.is_in_maintenance()
}

/// Sleeps, or less where somebody is in a hurry. The timer is the loop's own, which costs no second thread: a thousand
/// checks are not to be noticed.
async fn sleep(backend: &Weak<Backend>, index: usize, deadline: &Deadline, pause_ms: u64) {
    if pause_ms == 0 {
        return;
    }
    deadline.set_after(pause_ms);
    deadline.set_at(together_ms(deadline.at_ms(), pause_ms));
    poll_fn(|context| {
        if let Some(backend) = backend.upgrade()
            && let Some(server) = backend.servers.get(index)
            && let Some(at_ms) = server.state.hurry.take(context.waker())
            && at_ms < deadline.at_ms()
        {
            deadline.set_at(at_ms);
        }
        deadline.poll_expired(context).map(drop)
    })
    .await;
}

impl Backend {
    /// Takes what a check says.
    fn judge(self: &Rc<Self>, index: usize, mut verdict: Verdict) {
        let Some(server) = self.servers.get(index) else { return };
        let state = &server.state;
        if state.admin.get().is_maint() {
            // It has come while the check was under way.
            return;
        }
        // Nobody is with a server that is down: there is nothing to be finished.
        if verdict.status == Status::L7OkC && state.op.get() == Op::Stopped {
            verdict.status = Status::L7Sts;
        }
        let mut counter = state.check.get();
        let is_news = match verdict.status {
            Status::SockErr => false,
            status if status.is_ok() => {
                state.errors.set(0);
                counter.pass()
            }
            _ => {
                // The name's next address, where it has several, and where it may have moved.
                server.rotate_target();
                self.look_up_again(index);
                let is_news = counter.fail();
                state.failed_checks.set(state.failed_checks.get().saturating_add(is_news.into()));
                is_news
            }
        };
        state.check.set(counter);
        let before = state.last_check.borrow().as_ref().map(|last| last.status);
        if self.config.log_checks && (is_news || before != Some(verdict.status)) {
            self.tell_check(server, "Health", &verdict, counter);
        }
        state.last_check.replace(Some(verdict.clone()));
        let why = Some(&verdict).filter(|_| !self.config.log_checks);
        let agent_is_up = state.agent.get().is_up();
        match verdict.status {
            Status::SockErr => {}
            Status::L7OkC if counter.is_up() && agent_is_up => self.set_state(index, Op::Stopping, why),
            status if status.is_ok() && counter.is_up() && agent_is_up => {
                self.set_state(index, Op::Running, why);
            }
            status if !status.is_ok() && counter.health == 0 => self.set_state(index, Op::Stopped, why),
            _ => {}
        }
    }

    /// The line of `option log-health-checks`.
    fn tell_check(&self, server: &Server, kind: &str, verdict: &Verdict, counter: Counter) {
        let (steps, of) = counter.steps();
        let text = format!(
            "{kind} check for {}server {}/{} {}, reason: {}, status: {steps}/{of} {}.",
            if server.config.backup { "backup " } else { "" },
            self.config.name,
            server.config.name,
            match verdict.status {
                Status::L7OkC => "conditionally succeeded",
                status if status.is_ok() => "succeeded",
                _ => "failed",
            },
            verdict.reason(),
            match () {
                () if !counter.is_up() => "DOWN",
                () if server.weight() == 0 => "DRAIN",
                () => "UP",
            }
        );
        self.tell(NOTICE, &text);
    }
}

#[cfg(test)]
mod tests;
