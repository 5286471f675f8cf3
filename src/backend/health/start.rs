//! The start of checks: spread over time, and servers that track others tied to them.

use std::rc::Rc;

use super::super::Backend;
use super::state::{Admin, Op};
use super::{attend, watch};

/// Spreads the first checks of all servers of the process, so that they never come all at once.
pub struct Spread {
    nth: u64,
    of: u64,
    inter_ms_min: u64,
    /// `max-spread-checks`.
    max_ms: Option<u64>,
}

impl Spread {
    /// For all of these backends.
    pub fn over(backends: &[Rc<Backend>], max_ms: Option<u64>) -> Self {
        let servers = || backends.iter().flat_map(|backend| &backend.servers);
        let checks = servers().filter(|server| server.config.check.is_some()).count();
        let agents = servers().filter(|server| server.config.state.agent.is_some()).count();
        let inter_ms =
            servers().filter_map(|server| server.config.check.as_ref()).map(|check| check.inter_ms);
        Self {
            nth: 0,
            of: (checks + agents).max(1) as u64,
            inter_ms_min: inter_ms.min().unwrap_or(0),
            max_ms,
        }
    }

    /// When the next one is to begin.
    fn delay_ms(&mut self, inter_ms: u64) -> u64 {
        let whole_ms = inter_ms.max(self.inter_ms_min).min(self.max_ms.unwrap_or(u64::MAX));
        let delay_ms = whole_ms.saturating_mul(self.nth) / self.of;
        self.nth += 1;
        delay_ms
    }
}

impl Backend {
    /// Starts the health checks and the purge of idle connections.
    pub fn start(self: &Rc<Self>, spread: &mut Spread) {
        for (index, server) in self.servers.iter().enumerate() {
            self.resume(index);
            if let Some(check) = &server.config.check {
                let delay_ms = spread.delay_ms(check.inter_ms);
                self.keep(watch(Rc::downgrade(self), index, *check, delay_ms));
            }
            if let Some(agent) = &server.config.state.agent {
                let delay_ms = spread.delay_ms(agent.inter_ms);
                self.keep(attend(Rc::downgrade(self), index, agent.clone(), delay_ms));
            }
        }
        self.keep(super::super::idle::purge(Rc::downgrade(self), self.reactor));
    }

    /// Takes up what was under way before a reload: a slow start, and where the server that it tracks stands.
    fn resume(self: &Rc<Self>, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        let mut tracked = server.tracked();
        while let Some((backend, at)) = tracked {
            let Some(leader) = backend.servers.get(at) else { break };
            if leader.state.op.get() == Op::Stopped && !leader.is_in_maintenance() {
                server.state.op.set(Op::Stopped);
            }
            tracked = leader.tracked();
        }
        if server.state.op.get() == Op::Starting {
            super::slowstart::begin(self, index);
        }
    }

    fn keep(&self, future: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(self.reactor.spawn_control(future));
    }
}

/// Ties each server to the one that it tracks.
pub fn link(backends: &[Rc<Backend>]) {
    for backend in backends {
        for (index, server) in backend.servers.iter().enumerate() {
            let Some((other, at)) = server.config.state.track else { continue };
            let Some(tracked) = backends.get(other.0) else { continue };
            server.follow((tracked, at));
            if let Some(leader) = tracked.servers.get(at) {
                leader.lead((backend, index));
            }
        }
    }
    // Through chains of them: whoever tracks a server in maintenance is in maintenance too.
    for backend in backends {
        for server in backend.servers.iter().filter(|server| server.is_in_maintenance()) {
            for (tracker, index) in server.trackers() {
                tracker.begin_in_maintenance(index);
            }
        }
    }
}

impl Backend {
    fn begin_in_maintenance(&self, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        let state = &server.state;
        if !state.admin.get().meets(Admin::TRACKED_MAINT) {
            state.admin.set(state.admin.get().with(Admin::TRACKED_MAINT));
            state.op.set(Op::Stopped);
            for (tracker, index) in server.trackers() {
                tracker.begin_in_maintenance(index);
            }
        }
    }
}
