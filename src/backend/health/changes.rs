//! Changes of a server's state: what follows from them, and the lines that tell of them, in HAProxy's words and at its
//! levels. Operators search for them.

use std::fmt::Write;
use std::rc::Rc;

use super::super::{Backend, Server};
use super::state::{Admin, Op};
use super::verdict::Verdict;

/// Levels of syslog.
pub(in crate::backend) const EMERGENCY: u8 = 0;
const ALERT: u8 = 1;
pub(super) const NOTICE: u8 = 5;

/// Why sessions of a server are ended, as the first character of their termination state.
const BY_DOWN: u8 = b'D';
const BY_UP: u8 = b'U';

impl Backend {
    /// How many servers take traffic, and how many backup servers.
    pub(crate) fn usable(&self) -> (usize, usize) {
        let count =
            |backup| self.servers.iter().filter(|s| s.is_usable() && s.config.backup == backup).count();
        (count(false), count(true))
    }

    /// `Backup Server b/s`.
    fn title(&self, server: &Server) -> String {
        let kind = if server.config.backup { "Backup " } else { "" };
        format!("{kind}Server {}/{}", self.config.name, server.config.name)
    }

    /// Puts an operational state into force: `why` is the check that has led to it, where it is to be told.
    pub(super) fn set_state(self: &Rc<Self>, index: usize, op: Op, why: Option<&Verdict>) {
        let Some(server) = self.servers.get(index) else { return };
        let was = server.state.op.get();
        let op = if op == Op::Running && self.starts_slowly(server) { Op::Starting } else { op };
        let same = was == op || was == Op::Running && op == Op::Starting;
        if same || server.state.admin.get().is_maint() {
            return;
        }
        let before = self.usable();
        let was_leaving = was == Op::Stopping || server.state.admin.get().is_drain();
        server.state.enter(op, self.reactor.now_ms());
        let mut text = self.title(server);
        text.push_str(match op {
            Op::Stopped => " is DOWN",
            Op::Stopping => " is stopping",
            Op::Starting | Op::Running => " is UP",
        });
        self.add_via(&mut text, server);
        if let Some(verdict) = why {
            text.push_str(", reason: ");
            text.push_str(&verdict.reason());
        }
        match op {
            Op::Stopped => self.leave_traffic(index, &mut text),
            Op::Stopping => self.add_online(index, &mut text),
            Op::Starting | Op::Running => {
                self.take_up(index);
                self.add_online(index, &mut text);
            }
        }
        self.tell(if op == Op::Stopped && !was_leaving { ALERT } else { NOTICE }, &text);
        if server.state.admin.get().is_drain() {
            let mut text = self.title(server);
            if server.state.admin.get().meets(Admin::DRAIN) {
                text.push_str(" remains in forced drain mode");
            } else {
                text.push_str(" is leaving forced drain but remains in drain mode");
                self.add_via(&mut text, server);
            }
            text.push('.');
            self.tell(NOTICE, &text);
        }
        self.after_change(before);
        if op != Op::Stopped {
            self.end_backup_sessions(server);
        }
        for (backend, index) in server.trackers() {
            backend.set_state(index, op, None);
        }
    }

    /// Sets and clears marks that hold whatever checks say; `cause` goes into the line, in brackets.
    pub fn mark(self: &Rc<Self>, index: usize, set: Admin, clear: Admin, cause: &str) {
        let Some(server) = self.servers.get(index) else { return };
        let was = server.state.admin.get();
        let now = was.with(set).without(clear);
        if was == now {
            return;
        }
        let before = self.usable();
        server.state.admin.set(now);
        let mut text = self.title(server);
        let mut level = NOTICE;
        match (was.is_maint(), now.is_maint()) {
            (false, true) => {
                let was_down = server.state.op.get() == Op::Stopped;
                text.push_str(match was_down {
                    true => " was DOWN and now enters maintenance",
                    false => " is going DOWN for maintenance",
                });
                if !cause.is_empty() {
                    let _ = write!(text, " ({cause})");
                }
                self.add_via(&mut text, server);
                if was_down {
                    text.push('.');
                } else {
                    let was_leaving = server.state.op.get() == Op::Stopping || was.is_drain();
                    level = if was_leaving { NOTICE } else { ALERT };
                    server.state.enter(Op::Stopped, self.reactor.now_ms());
                    self.leave_traffic(index, &mut text);
                }
            }
            (true, false) => self.leave_maintenance(index, was, cause, &mut text),
            (true, true) => return,
            (false, false) => self.change_drain(index, was, &mut text),
        }
        self.tell(level, &text);
        self.after_change(before);
        let inherited = |from: Admin| match from.is_maint() {
            true => Admin::TRACKED_MAINT,
            false if from.is_drain() => Admin::TRACKED_DRAIN,
            false => Admin::default(),
        };
        let all = Admin::TRACKED_MAINT.with(Admin::TRACKED_DRAIN);
        for (backend, index) in server.trackers() {
            backend.mark(index, inherited(now), all.without(inherited(now)), "");
        }
    }

    /// A server that comes out of maintenance is up at once, but on probation.
    fn leave_maintenance(self: &Rc<Self>, index: usize, was: Admin, cause: &str, text: &mut String) {
        let Some(server) = self.servers.get(index) else { return };
        let tracked = server.tracked().map(|(backend, index)| {
            backend.servers.get(index).map_or(Op::Stopped, |tracked| tracked.state.op.get())
        });
        let agent_is_up = server.config.state.agent.is_none() || server.state.agent.get().is_up();
        if tracked != Some(Op::Stopped) && agent_is_up {
            let mut counter = server.state.check.get();
            counter.health = counter.rise;
            server.state.check.set(counter);
            let op = match tracked {
                Some(Op::Stopping) => Op::Stopping,
                _ if self.starts_slowly(server) => Op::Starting,
                _ => Op::Running,
            };
            server.state.enter(op, self.reactor.now_ms());
            self.take_up(index);
        }
        let up = if server.state.op.get() == Op::Stopped { "DOWN" } else { "UP" };
        let ready = if server.state.admin.get().is_drain() { "DRAIN" } else { "READY" };
        let leaving = match was {
            _ if was.meets(Admin::MAINT) => "leaving forced maintenance",
            _ if was.meets(Admin::NO_ADDRESS) => "resolves again",
            _ => "leaving maintenance",
        };
        if was.meets(Admin::NO_ADDRESS) && !was.meets(Admin::MAINT) {
            let _ = write!(text, " ('{cause}')");
        }
        let _ = write!(text, " is {up}/{ready} ({leaving}).");
    }

    fn change_drain(self: &Rc<Self>, index: usize, was: Admin, text: &mut String) {
        let Some(server) = self.servers.get(index) else { return };
        let stopped = server.state.op.get() == Op::Stopped;
        match (was.is_drain(), server.state.admin.get().is_drain()) {
            (false, true) => {
                text.push_str(" enters drain state");
                self.add_via(text, server);
                if stopped { self.add_left(index, text) } else { self.add_online(index, text) }
            }
            (true, false) => {
                let up = if stopped { "DOWN" } else { "UP" };
                let _ = write!(text, " is {up} (leaving forced drain).");
            }
            _ => text.push_str(" remains in drain mode."),
        }
    }

    /// What follows wherever a server stops.
    fn leave_traffic(self: &Rc<Self>, index: usize, text: &mut String) {
        let Some(server) = self.servers.get(index) else { return };
        self.add_left(index, text);
        server.idle.clear();
        if server.config.state.ends_sessions {
            server.end_sessions(BY_DOWN, self.reactor);
        }
    }

    /// Whether a server that is up again gets its share step by step; the shares of static algorithms are fixed.
    fn starts_slowly(&self, server: &Server) -> bool {
        server.config.state.slowstart_ms > 0 && !self.config.balance.is_static()
    }

    /// What follows wherever a server takes traffic again.
    fn take_up(self: &Rc<Self>, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        if server.state.op.get() == Op::Starting {
            server.set_ramp(0, 1);
            super::slowstart::begin(self, index);
        }
    }

    /// A server that does its work again may be the end of the sessions of the backup servers.
    fn end_backup_sessions(&self, server: &Server) {
        if server.config.state.ends_backup_sessions && !server.config.backup && server.is_usable() {
            for backup in self.servers.iter().filter(|server| server.config.backup) {
                backup.end_sessions(BY_UP, self.reactor);
            }
        }
    }

    /// The choice is made anew; says so when nothing is left to be chosen.
    pub(crate) fn after_change(self: &Rc<Self>, before: (usize, usize)) {
        self.servers_changed();
        self.note_outage(before != (0, 0), self.usable() != (0, 0));
        if before != (0, 0) && self.usable() == (0, 0) {
            let kind = if self.config.listens { "proxy" } else { "backend" };
            self.tell(EMERGENCY, &format!("{kind} {} has no server available!", self.config.name));
        }
    }

    fn add_via(&self, text: &mut String, server: &Server) {
        if let Some((backend, index)) = server.tracked()
            && let Some(tracked) = backend.servers.get(index)
        {
            let _ = write!(text, " via {}/{}", backend.config.name, tracked.config.name);
        }
    }

    fn add_left(self: &Rc<Self>, index: usize, text: &mut String) {
        let Some(server) = self.servers.get(index) else { return };
        let requeued = self.requeue(index);
        let (active, backups) = self.usable();
        let _ = write!(
            text,
            ". {active} active and {backups} backup servers left.{} {} sessions active, {requeued} requeued, \
             {} remaining in queue.",
            on_backup(active, backups),
            server.connections.get(),
            self.queued()
        );
    }

    fn add_online(self: &Rc<Self>, index: usize, text: &mut String) {
        let requeued = self.requeue(index);
        let (active, backups) = self.usable();
        let _ = write!(
            text,
            ". {active} active and {backups} backup servers online.{} {requeued} sessions requeued, {} total in queue.",
            on_backup(active, backups),
            self.queued()
        );
    }

    /// Tells of something that is no fault.
    pub(crate) fn tell_notice(&self, text: &str) {
        self.tell(NOTICE, text);
    }

    /// Tells the log of the backend, and whoever looks at the terminal.
    pub fn tell(&self, level: u8, text: &str) {
        let voice = self.voice.borrow().clone();
        match voice {
            Some(voice) => voice(level, text),
            None if level == EMERGENCY => log::error!("{text}"),
            None => log::warn!("{text}"),
        }
    }
}

fn on_backup(active: usize, backups: usize) -> &'static str {
    if active == 0 && backups > 0 { " Running on backup." } else { "" }
}
